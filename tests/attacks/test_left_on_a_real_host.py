# SPDX-License-Identifier: GPL-2.0-or-later
"""S1: on a host without a prefix, a user of the host runs as root what a build in a container left.

Seen failing on dfeccc0: with ``chmod 0777`` nobody got ``euid=0(root)``, and without it a member of group portage did,
also after a run that ended well.
"""

import os
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


@pytest.mark.parametrize("kind", ["bwrap", "unshare", "nspawn", "podman"])
def test_users_of_the_host_cannot_run_files_of_a_build(real_host: RealHost, kind: str) -> None:
    """S1: after success and after failure, for nobody and for a member of group portage."""
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


_PLACES = (
    "/bin",
    "/boot",
    "/etc",
    "/home",
    "/opt",
    "/root",
    "/srv",
    "/tmp",
    "/usr",
    "/var/tmp",
    "/var/cache/distfiles",
)
_SLEEPS = f"sleep 98{secrets.randbelow(10**6):06}"
_WAITING = (
    f"src_compile() {{ for at in /tmp /var/tmp ${{PORTAGE_TMPDIR}}; do touch ${{at}}/{_TOKEN}; done; {_SLEEPS}; }}"
)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
@pytest.mark.parametrize("kind", ["bwrap", "unshare", "nspawn", "podman"])
def test_nothing_of_a_build_that_is_ended_stays_on_the_host(real_host: RealHost, kind: str, how: int) -> None:
    """S1: files newer than the run, and set-user-ID files, by a walk over the whole host."""
    real_host.profile("contained", 'cpu = "x86-64"\n')
    opening = 'chmod 0777 "${PORTAGE_TMPDIR}" "${PORTAGE_TMPDIR}"/.. 2>/dev/null'
    real_host.ebuild("app-demo/shell-4", _EBUILD.format(open=opening, phase=_WAITING, token=_TOKEN))
    setuid = ("find", "/", "-xdev", "-type", "f", "-perm", "/6000")
    before = real_host.run(*setuid).out
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
    assert real_host.run(*setuid).out == before
    newer = ("-xdev", "-newer", "/run/before", "!", "-type", "d", "!", "-name", "*.pyc")
    assert real_host.run("find", *_PLACES, *newer).out == ""
