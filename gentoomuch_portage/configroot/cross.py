# SPDX-License-Identifier: GPL-2.0-or-later
"""Cross-compilation into roots of other machines, with crossdev's conventions: CHOST, CBUILD, SYSROOT.

Source: crossdev(8); emerge(1), "SYSROOT"; PMS, "Cross-compile support".
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gentoomuch_portage.errors import MachineError
from gentoomuch_portage.isa.abi import Abi
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    from gentoomuch_portage import process
    from gentoomuch_portage.portage_adapter import config
else:
    config = LazyModule("gentoomuch_portage.portage_adapter.config")
    process = LazyModule("gentoomuch_portage.process")


def no_compiler(chost: str, program: str, root: Path) -> MachineError:
    """The profile has another CHOST, and no compiler for it is installed."""
    return MachineError(
        f"{root} is for {chost}, and {program} is not on PATH",
        code="no-compiler",
        hint=f"crossdev --stable --target {chost}",
    )


def target(plan: Plan) -> str:
    """Return the CHOST of a plan that cross-compiles; empty if it is that of this machine."""
    wanted, here = Abi.parse(plan.abi).chost, Abi.parse(plan.build_abi).chost
    return wanted if plan.root != "/" and here and wanted != here else ""


def with_sysroot(plan: Plan) -> Plan:
    """Set SYSROOT of a plan that cross-compiles: its root has the headers and libraries of the target.

    A SYSROOT in the environment is kept.
    """
    if not target(plan) or "SYSROOT" in os.environ:
        return plan
    return replace(plan, env={**plan.env, "SYSROOT": plan.root})


def find_missing_compiler(plan: Plan) -> MachineError | None:
    """Return an error if a plan cross-compiles and no compiler for its CHOST is installed."""
    chost, root = target(plan), Path(plan.root)
    if not chost or (plan.isolation != "none" and has_own_portage(root)):
        return None
    cc = config.load(Path(plan.configroot)).values["CC"].split()
    program = cc[0] if cc else f"{chost}-gcc"
    return None if process.find_program(program) else no_compiler(chost, program, root)


SYSTEM = ("", "usr", "usr/bin", "usr/lib", "var/db/pkg")
"""Directories below EROOT: if one of them is this machine's own, a merge changes this machine."""


def is_own(root: Path, eprefix: str) -> bool:
    """Whether a merge into a root changes the system of this machine, whatever the name of the root is.

    This includes a bind mount of ``/``, a symbolic link to it, and a root that shares only /usr with it.

    Args:
        eprefix: Portage's EPREFIX, without a slash at its end.
    """
    if root == Path("/"):
        return True
    here, there = Path(eprefix or "/"), Path(f"{root}{eprefix}")
    pairs = [(Path("/"), root), *((here / name, there / name) for name in SYSTEM)]
    return any(_is_same_directory(own, theirs) for own, theirs in pairs)


def _is_same_directory(own: Path, theirs: Path) -> bool:
    try:
        return own.is_dir() and own.samefile(theirs)
    except OSError:
        return False  # one of the two does not exist


UNFINISHED = ".gentoomuch-bootstrap"
"""A file in a root that is being created: its programs may not work yet, even if Portage is installed."""


def has_own_portage(root: Path) -> bool:
    """Whether emerge can run within a root."""
    if root == Path("/") or (root / UNFINISHED).exists():
        return False
    return all((root / name).exists() for name in ("usr/bin/python3", "usr/bin/emerge"))
