# SPDX-License-Identifier: GPL-2.0-or-later
"""F1: on a host without a prefix, where ``/`` is ``/``.

On dfeccc0 what was built for another CPU is merged there as well; seen on the demo host (test_cpu_here.py).
"""

import json
from pathlib import Path

import pytest
from helpers import cpus
from helpers.realhost import RealHost

pytestmark = pytest.mark.skipif(cpus.NOT_X86, reason="the CPUs that are named here are of x86")

PACKAGE = "dev-demo/libgreet"
ROOTS = {
    "this machine": ("/", ""),
    "a link to it": ("/srv/link", "ln -sfn / /srv/link"),
    "a bind mount of it": ("/srv/bound", "mkdir -p /srv/bound && mount --bind / /srv/bound"),
    "a root with the same /usr": ("/srv/usr", "mkdir -p /srv/usr/usr && mount --bind /usr /srv/usr/usr"),
}
"""How this machine's system is named as a root -> the root, and the command that makes it."""


@pytest.fixture(scope="module")
def beyond(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A CPU that this machine has less than."""
    return cpus.beyond_here(tmp_path_factory.mktemp("isa"))


@pytest.mark.parametrize("which", ROOTS)
def test_nothing_for_a_newer_cpu_is_merged_into_the_system_of_a_host(real_host: RealHost, beyond: str, which: str):
    root, command = ROOTS[which]
    real_host.profile("server", f'cpu = "{beyond}"\nroot = "{root}"\n')
    script = f"{command or 'true'} && exec gm-emerge --gm-profile=server --usepkg=n -1q {PACKAGE}"

    ended = real_host.run("unshare", "--mount", "sh", "-c", script)

    assert ended.status == 78, ended.out + ended.err
    assert "[cpu-not-here]" in ended.err
    assert not (real_host.root / "var/db/pkg" / PACKAGE.partition("/")[0]).exists()


@pytest.mark.parametrize("which", ROOTS)
def test_plain_emerge_with_a_profile_merges_nothing_for_a_newer_cpu_either(
    real_host: RealHost, beyond: str, which: str
):
    """F1: ``profile run`` and ``profile env``; seen merged before they compared CPUs."""
    root, command = ROOTS[which]
    real_host.profile("server", f'cpu = "{beyond}"\nroot = "{root}"\n')
    run = f"gentoomuch profile run server -- emerge --usepkg=n -1q {PACKAGE}"
    env = f'eval "$(gentoomuch profile env server)" && emerge --usepkg=n -1q {PACKAGE}'

    for way in (run, env):
        ended = real_host.run("unshare", "--mount", "sh", "-c", f"{command or 'true'} && {way}")
        assert ended.status != 0, ended.out + ended.err
        assert "[cpu-not-here]" in ended.out + ended.err
        assert not list((real_host.root / "var/db/pkg").glob(f"{PACKAGE.partition('/')[0]}/[!-]*"))


def test_lint_and_doctor_of_a_host_report_it_and_a_root_of_its_own_is_merged(real_host: RealHost, beyond: str):
    real_host.profile("server", f'cpu = "{beyond}"\n')
    lint = real_host.run("gentoomuch", "profile", "lint", "server", "--json")
    doctor = real_host.run("gentoomuch", "doctor", "--json")
    real_host.profile("server", f'cpu = "{beyond}"\nroot = "/srv/server"\n')
    ended = real_host.run("gm-emerge", "--gm-profile=server", "--usepkg=n", "-1q", PACKAGE)

    assert [one["kind"] for one in json.loads(lint.out)] == ["cpu-not-here"]
    assert any(one["name"] == "profile" and one["state"] == "bad" for one in json.loads(doctor.out))
    assert ended.status == 0, ended.out + ended.err
    assert list((real_host.root / "srv/server/var/db/pkg").glob(f"{PACKAGE}-*"))
    assert not list(Path(real_host.root / "var/db/pkg").glob(f"{PACKAGE}-*"))
