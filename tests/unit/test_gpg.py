# SPDX-License-Identifier: GPL-2.0-or-later
"""gpg whose agent does not start, or not at once."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.errors import raises

from gentoomuch_portage import gpg

pytestmark = pytest.mark.skipif(not shutil.which("gpg-agent"), reason="needs gpg-agent")


@pytest.fixture
def home() -> Iterator[Path]:
    """A key directory with one key."""
    with tempfile.TemporaryDirectory() as folder:
        gpg.generate_key(Path(folder, "keys"), "one")
        yield Path(folder, "keys")


def use_agent(home: Path, script: str) -> None:
    """Start a shell script instead of gpg-agent."""
    program = home.with_name("agent")
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    (home / "gpg.conf").write_text(f"agent-program {program}\n")


def test_secret_keys_are_not_reported_as_missing_because_the_agent_fails(home: Path):
    """``list_secret_keys`` returned an empty list, so that its callers would generate another key."""
    use_agent(home, "exit 1")

    with raises("program-failed"):
        gpg.list_secret_keys(home)


def test_an_agent_that_fails_once_is_started_again(home: Path):
    """Seen in a busy run of all tests: ``key generation failed: No agent running``."""
    failed = home.with_name("failed")
    use_agent(home, f'[ -e {failed} ] || {{ touch {failed}; exit 1; }}; exec {shutil.which("gpg-agent")} "$@"')

    before = gpg.list_secret_keys(home)
    failed.unlink()
    fresh = gpg.generate_key(home, "two")

    assert len(before) == 1
    assert {*gpg.list_secret_keys(home)} == {*before, fresh}


def test_public_keys_need_no_agent(home: Path):
    use_agent(home, "exit 1")

    assert len(gpg.list_public_keys(home)) == 1
