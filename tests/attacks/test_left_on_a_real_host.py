# SPDX-License-Identifier: GPL-2.0-or-later
"""S1: on a host without a prefix, a user of the host runs as root what a build in a container left.

Seen failing on dfeccc0: with ``chmod 0777`` nobody got ``euid=0(root)``, and without it a member of group portage did,
also after a run that ended well.
"""

import os
import re
import secrets
import signal

import pytest
from helpers.realhost import RealHost
from helpers.waiting import HANG, wait_for

_TOKEN = f"left-{secrets.token_hex(6)}"
_EBUILD = """EAPI=8
DESCRIPTION="leaves a root shell behind"
SLOT=0
KEYWORDS="amd64"
S="${{WORKDIR}}"
pkg_setup() {{
	[[ $(< /proc/sys/kernel/hostname) == gentoomuch ]] || return 0
	{open}
	local at
	for at in "${{PORTAGE_TMPDIR}}" /var/tmp /var/cache/gentoomuch /var/lib/gentoomuch /var/cache/distfiles; do
		cp /bin/bash "${{at}}/{token}" && chmod 4755 "${{at}}/{token}"
	done 2>/dev/null
	:
}}
{phase}
src_install() {{ insinto /usr/share/shell; newins - file <<< text; }}
"""


_SETUID = ("find", "/", "-xdev", "-type", "f", "-perm", "/6000")
_OWN_CACHE = "/var/cache/gentoomuch"
"""Not walked over for newer files, as containers start from what is there; for files of the attack it is."""
_NEWER = ("find", "/", "-xdev", "-path", _OWN_CACHE, "-prune", "-o", "-newer", "/run/before", "!", "-type", "d")


def written(host: RealHost) -> set[str]:
    """Files below / that are newer than the run, packages without build ids; but for the history and *.pyc."""
    found = host.run(*_NEWER, "!", "-name", "*.pyc", "-print").out.split()
    names = {re.sub(r"-[0-9]+\.gpkg\.tar$", "", path) for path in found}
    return {name for name in names if not name.startswith("/var/lib/gentoomuch/contained/history.")}


def stored(package: str) -> set[str]:
    """What a run writes into PKGDIR for a package."""
    return {f"/var/cache/binpkgs/{name}" for name in ("Packages", "Packages.gz", package)}


@pytest.mark.parametrize("kind", ["bwrap", "unshare", "nspawn", "podman"])
def test_users_of_the_host_cannot_run_files_of_a_build(real_host: RealHost, kind: str) -> None:
    """S1: after success and after failure, for nobody and for a member of group portage; by a walk over the host."""
    if real_host.run("id", "inportage").status:
        real_host.user("inportage", "portage")
        real_host.user("other")
    real_host.profile("contained", 'cpu = "x86-64"\n')
    for version, opening, phase, status in (
        ("1", "", "", 0),
        ("2", 'chmod 0777 "${PORTAGE_TMPDIR}" "${PORTAGE_TMPDIR}"/.. 2>/dev/null', "", 0),
        ("3", 'chmod 0777 "${PORTAGE_TMPDIR}"', "src_compile() { die; }", 1),
    ):
        ebuild = _EBUILD.format(open=opening or ":", phase=phase, token=_TOKEN)
        real_host.ebuild(f"app-demo/shell-{version}", ebuild)
        words = ("gm-emerge", "--gm-profile=contained", f"--gm-isolation={kind}", "--usepkg=n", "-B")
        setuid = real_host.run(*_SETUID).out
        real_host.run("touch", "/run/before")
        ended = real_host.run(*words, f"=app-demo/shell-{version}")
        assert ended.status == status, ended.out + ended.err

        shells = real_host.run("find", "/", "-xdev", "-name", _TOKEN).out.split()
        roots = [
            (user, shell)
            for user in ("inportage", "other")
            for shell in shells
            if real_host.run(shell, "-p", "-c", "echo ${EUID}", user=user).out.strip() == "0"
        ]
        assert (roots, shells) == ([], [])
        assert real_host.run(*_SETUID).out == setuid
        assert written(real_host) == (set() if status else stored(f"app-demo/shell/shell-{version}"))


_SLEEPS = f"sleep 98{secrets.randbelow(10**6):06}"
_WAITING = (
    f"src_compile() {{ for at in /tmp /var/tmp ${{PORTAGE_TMPDIR}}; do touch ${{at}}/{_TOKEN}; done; {_SLEEPS}; }}"
)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=["Ctrl-C", "kill", "kill -9"])
@pytest.mark.parametrize("kind", ["bwrap", "unshare", "nspawn", "podman"])
def test_nothing_of_a_build_that_is_ended_stays_on_the_host(real_host: RealHost, kind: str, how: int) -> None:
    """S1: files newer than the run, and set-user-ID files, by a walk over the whole host."""
    real_host.profile("contained", 'cpu = "x86-64"\n')
    opening = 'chmod 0777 "${PORTAGE_TMPDIR}" "${PORTAGE_TMPDIR}"/.. 2>/dev/null'
    real_host.ebuild("app-demo/shell-4", _EBUILD.format(open=opening, phase=_WAITING, token=_TOKEN))
    setuid = real_host.run(*_SETUID).out
    real_host.run("touch", "/run/before")

    words = ("gm-emerge", "--gm-profile=contained", f"--gm-isolation={kind}", "--usepkg=n", "-B")
    building = real_host.start(*words, "=app-demo/shell-4")
    wait_for(
        lambda: not real_host.run("pgrep", "-f", _SLEEPS).status or building.poll() is not None, "the package is built"
    )
    reached = real_host.run("pgrep", "-f", _SLEEPS).status == 0
    if how == signal.SIGKILL:
        real_host.run("pkill", "-9", "-f", "gm-emerge --gm-profile=contained")
    else:
        os.killpg(building.pid, how)
    out, err = building.communicate(timeout=HANG)
    after = real_host.run(*words, "dev-demo/libgreet")  # what a killed run leaves, root alone can enter until then

    assert reached, out + err
    assert building.returncode != 0
    assert after.status == 0, after.err
    wait_for(lambda: real_host.run("pgrep", "-f", _SLEEPS).out == "", "what was built ends")
    assert real_host.run("find", "/", "-xdev", "-name", _TOKEN).out == ""
    assert real_host.run(*_SETUID).out == setuid
    assert written(real_host) == stored("dev-demo/libgreet/libgreet-1.0")
