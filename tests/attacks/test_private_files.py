# SPDX-License-Identifier: GPL-2.0-or-later
"""What containers read of the host: what the list names, and nothing that is private."""

import json
import math
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.containers import need
from helpers.realhost import Ended, RealHost
from helpers.waiting import HANG, wait_for

from gentoomuch_portage import demo_host
from gentoomuch_portage.demo_host import Host

KINDS = ("bwrap", "unshare", "nspawn", "podman")
STARTS = math.ceil(int(os.environ.get("GM_TEST_STARTS", "8")) / len(KINDS))
"""Of each kind. Meant for more than a quick look: GM_TEST_STARTS=60."""
PLANT = Path(__file__).with_name("plant.py")


@pytest.fixture
def host(real_host: RealHost) -> RealHost:
    """A host with the profile ``here``."""
    real_host.profile("here", "")
    return real_host


@pytest.fixture(params=["prefix", "no prefix"])
def either(request: pytest.FixtureRequest) -> Host | RealHost:
    """The demo's host in a prefix, and one where ``/`` is ``/``; both have the profile ``here``."""
    made: Host | RealHost = request.getfixturevalue("host" if request.param == "no prefix" else "demo")
    made.profile("here", "")
    return made


@pytest.fixture
def demo(tmp_path: Path) -> Host:
    """The demo's host."""
    need("unshare")
    return demo_host.make(tmp_path / "demo")


def _prefix(host: Host | RealHost) -> str:
    """EPREFIX, as programs of the host name it."""
    return str(host.eprefix) if isinstance(host, Host) else ""


def _on(host: Host | RealHost, *words: str, **env: str) -> Ended:
    """Run a program on either host to its end."""
    if isinstance(host, RealHost):
        return host.run(*words, **env)
    ended = subprocess.run(words, env=host.env(**env), capture_output=True, text=True, check=False, timeout=HANG)
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def _inside(host: Host | RealHost, script: str, *, profile: str = "here", kind: str = "unshare", **env: str) -> Ended:
    words = ("gentoomuch", "--quiet", "freshroot", profile, "--isolation", kind, "--")
    return _on(host, *words, "sh", "-c", script, **env)


@contextmanager
def _merging(host: RealHost) -> Iterator[None]:
    """Merge a package over and over while the block runs; at least once."""
    merged = host.root / "run/merged"
    loop = host.start("sh", "-c", "while emerge -1q --usepkg=n dev-demo/libgreet; do echo >>/run/merged; done")
    try:
        yield
        wait_for(lambda: merged.exists() or loop.poll() is not None, "a package is merged")
        assert merged.exists()
    finally:
        os.killpg(loop.pid, signal.SIGKILL)
        loop.communicate()
        merged.unlink(missing_ok=True)


@pytest.mark.parametrize("kind", KINDS)
def test_no_private_file_hash_or_key_is_read_while_the_host_changes(host: RealHost, kind: str):
    """RH0, RH1 and RH2: 300 secrets at every depth and of every mode; mounts in /etc, /var and /home; files that come
    and go, a lock file of Portage's among them, while another emerge merges; secrets that are made while the container
    runs.

    Seen failing on dfeccc0: some 150 private files were read at each start, eight of them made after it, with the
    hashes of /etc/shadow and the signing keys of /etc/portage, /usr/src and /var/lib/sbctl.
    """
    host.write("/root/plant.py", PLANT.read_text())

    with _merging(host):
        ended = host.run("python3", "/root/plant.py", kind, str(STARTS), "300", timeout=900)

    assert ended.status == 0, ended.err
    planted = json.loads(ended.out)
    starts = planted["starts"]
    assert [start["status"] for start in starts] == [0] * STARTS, starts[-1]["err"]
    assert {path for start in starts for path in start["private"]} == set()
    assert planted["planted"] > 200
    assert all(start["read"] for start in starts), "what others may read of a package's directory is read"


def test_no_variable_of_the_session_reaches_a_container(either: Host | RealHost):
    """S8: seen failing on dfeccc0, which passed variables whose names did not look like secrets."""
    secrets = {
        "GH_PAT": "hunter2",
        "DATABASE_URL": "postgres://joe:hunter2@db",
        "SENTRY_DSN": "hunter2",
        "KEY": "hunter2",
    }

    ended = _inside(either, "env", FEATURES="test", **secrets)

    assert "hunter2" not in ended.out
    assert "FEATURES=test" in ended.out.splitlines()


def test_no_login_of_a_binhost_is_in_a_container_that_builds(either: Host | RealHost):
    """S8: seen failing on dfeccc0, where pkg_setup read the password of gentoomuch.toml."""
    prefix = _prefix(either)
    either.profile("login", 'layers = ["login"]\n')
    for file, text in (
        (either.config / "gentoomuch.toml", '[binhost."https://joe:hunter2@example.org/x"]\ncpu = "x86-64"\n'),
        (either.config / "layers/login/binrepos.conf", "[x]\nsync-uri = https://joe:hunter2@example.org/x\n"),
        (either.etc / "binrepos.conf/x.conf", "[y]\nsync-uri = https://joe:hunter2@example.org/y\n"),
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o600)

    searched = _inside(either, f"grep -rl hunter[2] {prefix}/etc {prefix}/var /run", profile="login")
    configured = _inside(either, f"cat {prefix}/etc/gentoomuch/gentoomuch.toml", profile="login")

    assert (searched.status, searched.out) == (1, ""), searched.err
    assert configured.out.startswith('[binhost."https://example.org/x"]')


def test_show_adds_its_paths_without_private_files(host: RealHost):
    """RH0: what a profile shows of the host is shown without the private files in it."""
    host.write("/usr/local/share/tool", "tool\n")
    host.write("/usr/local/share/token", "token\n", 0o600)
    host.write("/etc/licences/compiler.lic", "licence\n", 0o600)
    host.write("/etc/licences/other.lic", "other\n", 0o600)
    host.profile("shows", '[container]\nshow = ["/usr/local", "/etc/licences/compiler.lic"]\n')
    reads = "cat /usr/local/share/* /etc/licences/*"

    shown = _inside(host, f"{reads}; echo changed > /usr/local/share/tool", profile="shows")
    usual = _inside(host, reads)

    assert shown.out.splitlines() == ["tool", "licence"]
    assert usual.out == ""
    assert (host.root / "usr/local/share/tool").read_text() == "tool\n"


def test_the_hashes_of_a_root_of_its_own_are_not_in_a_fresh_root(host: RealHost):
    """RH0: seen failing on dfeccc0, where a root that stands on its own showed its own /etc/shadow."""
    made = "mkdir -p /srv/machine /var/cache/gentoomuch && mount -t tmpfs tmpfs /var/cache/gentoomuch"
    assert host.run("sh", "-c", f"{made} && mount --bind / /srv/machine").status == 0
    host.run(
        "sh",
        "-c",
        "echo 'ann:$6$planted$:19000:0:99999:7:::' >> /etc/shadow; echo ann:x:999:999::/:/bin/sh >> /etc/passwd",
    )
    host.profile("machine", 'root = "/srv/machine"\n')

    ended = _inside(host, "cat /etc/shadow", profile="machine")

    assert "ann:!:19000:0:99999:7:::" in ended.out.splitlines(), ended.err
    assert "$6$" not in ended.out


_ON_OVERLAY = """
mkdir -p "$1" && mount -t tmpfs tmpfs "$1" && cd "$1" && mkdir lower upper work cache || exit
mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work cache || exit
shift
exec "$@"
"""
"""Run a program where DIRECTORY/cache is on overlayfs, and DIRECTORY is not: ``sh -c ... sh DIRECTORY PROGRAM``."""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_cache_on_overlayfs_is_reported_with_a_hint_by_runs_and_doctor(either: Host | RealHost):
    """S14: seen failing on dfeccc0, where the run ended with "Invalid argument" and doctor said that all works."""
    top = f"{either.folder}/o" if isinstance(either, Host) else "/o"

    def on_overlay(cache: str, *words: str) -> Ended:
        wrapped = ("unshare", "--mount", "sh", "-c", _ON_OVERLAY, "sh", top, "gentoomuch", *words)
        return _on(either, *wrapped, GM_CACHE=f"{top}/{cache}")

    words = ("freshroot", "here", "--isolation", "unshare", "--", "true")

    refused = on_overlay("cache/gentoomuch", *words)
    doctor = on_overlay("cache/gentoomuch", "doctor", "--json")
    elsewhere = on_overlay("other", *words)

    assert refused.status == 69
    assert "[on-overlayfs]" in refused.err
    facts = {fact["name"]: fact for fact in json.loads(doctor.out)}
    assert facts["container unshare"]["state"] == "note"
    assert f"mount -t tmpfs tmpfs {top}/cache/gentoomuch" in facts["container unshare"]["hint"]
    assert elsewhere.status == 0, elsewhere.err
