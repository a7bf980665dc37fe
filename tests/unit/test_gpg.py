# SPDX-License-Identifier: GPL-2.0-or-later
"""gpg whose agent does not start, or not at once."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.errors import raises

from gentoomuch_portage import gpg
from gentoomuch_portage.binhost import keys

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


@pytest.fixture
def slow_end(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that ends half a second after it was told to, as on a busy machine; ``gpgconf`` does not wait for it."""
    real = shutil.which("gpgconf")
    program = home.with_name("bin") / "gpgconf"
    program.parent.mkdir()
    later = f'case "$*" in *--kill*) (sleep 0.5; exec {real} "$@") >/dev/null 2>&1 & ;; *) exec {real} "$@" ;; esac'
    program.write_text(f"#!/bin/sh\n{later}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)


def has_agent(home: Path) -> bool:
    words = ["gpg-connect-agent", "--no-autostart", "--homedir", str(home), "/bye"]
    return "no gpg-agent running" not in subprocess.run(words, capture_output=True, text=True, check=False).stderr


@pytest.mark.usefixtures("slow_end")
def test_no_agent_that_is_ending_is_left_for_the_next_gpg(home: Path):
    """Seen on a busy machine: ``keydb_search failed: Connection reset by peer``, and no package was signed."""
    gpg.list_secret_keys(home)

    assert not has_agent(home)


@pytest.mark.usefixtures("slow_end")
def test_no_agent_that_is_ending_is_left_when_portage_has_signed(home: Path):
    script = Path(keys.__file__).with_name("sign-once.sh")
    words = ["sh", str(script), str(home), "--homedir", str(home), "--batch", "--sign", "--armor", "--detach-sign"]

    signed = subprocess.run(words, input="text", capture_output=True, text=True, check=False)

    assert signed.stdout.startswith("-----BEGIN PGP SIGNATURE-----")
    assert not has_agent(home)


def test_public_keys_need_no_agent(home: Path):
    use_agent(home, "exit 1")

    assert len(gpg.list_public_keys(home)) == 1
