# SPDX-License-Identifier: GPL-2.0-or-later
"""CPUs for tests, found by asking the compiler of this machine: none is taken for granted by its name."""

import platform
from pathlib import Path

import pytest

from gentoomuch_portage.isa import compiler, machine
from gentoomuch_portage.isa.abi import Abi

NOT_X86 = platform.machine() != "x86_64"


def beyond_here(cache: Path) -> str:
    """A CPU that the compiler of this machine builds for, and whose code this machine does not run."""
    names = compiler.list_cpu_names(compiler.find())
    found = (name for name in names if machine.runs_here(f"-march={name}", Abi("", ""), cache).code == "cpu")
    name = next(found, "")
    if not name:
        pytest.skip("this machine runs code for every CPU that its compiler knows")
    return name
