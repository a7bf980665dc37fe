# SPDX-License-Identifier: GPL-2.0-or-later
"""The hook unmask: plain emerge keeps what was unmasked for a profile and is installed, and nothing else."""

import json
import re

import pytest
from helpers.unmasking import installed, ledger_of, package, unmasked, unstable

from gentoomuch_portage.demo_host import Host

FREE = "[unmask]\nkeywords = true\nlive = true\nuse = true\nlicense = true\nmask = true\n"


def planned(out: str) -> set[str]:
    """What emerge would merge: ``cat/pkg-1.0``."""
    return set(re.findall(r"^\[ebuild[^\]]*\] (\S+)", out, re.M))


@pytest.fixture
def shy(host: Host) -> Host:
    """A host with app-demo/shy-2.0, which package.mask holds back as 3.0, and profile ``free`` has unmasked."""
    for version in ("1.0", "2.0", "3.0"):
        package(host, f"app-demo/shy-{version}")
    host.write("package.mask/some", "# not ready\n>=app-demo/shy-2.0\n")
    host.profile("free", FREE)
    installed(host, "app-demo/shy-2.0")
    unmasked(host, "free", {"atom": "=app-demo/shy-2.0", "kind": "mask"})
    return host


def test_plain_emerge_keeps_an_unmasked_package_and_unmasks_no_other_version(shy: Host, on):
    before = on("emerge", "-puDN", "--color=n", "@world")
    told = json.loads(on("gentoomuch", "doctor", "--json").out)[-1]
    assert on("gentoomuch", "hooks", "enable", "unmask").status == 0

    after = on("emerge", "-puDN", "--color=n", "@world")
    again = on("emerge", "-p", "--color=n", "@gm-unmasked")

    assert planned(before.out) == {"app-demo/shy-1.0"}
    assert (told["name"], told["hint"]) == ("plain emerge", "gentoomuch hooks enable unmask")
    assert (after.status, planned(after.out)) == (0, set())
    assert "masked" not in after.out + after.err
    assert (again.status, planned(again.out)) == (0, {"app-demo/shy-2.0"})
    assert json.loads(on("gentoomuch", "doctor", "--json").out)[-1]["name"] != "plain emerge"


@pytest.mark.slow
def test_a_mask_that_now_mentions_a_vulnerability_applies_again(shy: Host, on):
    shy.write("package.mask/some", "# CVE-2026-1234: remote code execution\n>=app-demo/shy-2.0\n")
    assert on("gentoomuch", "hooks", "enable", "unmask").status == 0

    ended = on("emerge", "-puDN", "--color=n", "@world")
    pruned = on("gentoomuch", "unmask", "prune", "--profile", "free")

    assert planned(ended.out) == {"app-demo/shy-1.0"}
    assert "it is masked for security now" in pruned.out
    assert ledger_of(shy, "free") == []


@pytest.mark.slow
def test_another_profile_keeps_its_own_policy_though_the_host_has_the_hook(shy: Host, on):
    shy.profile("tame", "[unmask]\nmask = false\n")
    assert on("gentoomuch", "hooks", "enable", "unmask").status == 0

    ended = on("gm-emerge", "--gm-profile=tame", "-puDN", "--color=n", "--usepkg=n", "@world")

    assert planned(ended.out) == {"app-demo/shy-1.0"}


@pytest.mark.slow
def test_the_unmask_hook_can_be_limited_to_one_profile(shy: Host, on):
    shy.profile("tame", "[unmask]\nmask = false\n")
    assert on("gentoomuch", "hooks", "enable", "unmask", "--profile", "tame").status == 0

    assert planned(on("emerge", "-puDN", "--color=n", "@world").out) == {"app-demo/shy-1.0"}


@pytest.mark.slow
def test_without_gentoomuch_emerge_works_as_before_with_one_warning(shy: Host, on):
    assert on("gentoomuch", "hooks", "enable", "unmask", "filter").status == 0
    for file in (shy.etc / "sets.conf").iterdir():
        file.write_text(file.read_text().replace("gentoomuch_portage.", "gentoomuch_gone."))

    ended = on("emerge", "-puDN", "--color=n", "@world")

    assert (ended.status, planned(ended.out)) == (0, {"app-demo/shy-1.0"})
    assert (ended.out + ended.err).count("gentoomuch") == 2  # module and section, on one line
    assert (ended.out + ended.err).count("Could not import") == 1


@pytest.mark.slow
@pytest.mark.parametrize("file", ["etc/gentoomuch/gentoomuch.toml", "var/lib/gentoomuch/free/unmask.json"])
def test_a_damaged_file_of_gentoomuch_does_not_stop_emerge_and_is_reported(shy: Host, on, file: str):
    assert on("gentoomuch", "hooks", "enable", "unmask", "filter").status == 0
    (shy.eprefix / file).write_text("[[no")

    ended = on("emerge", "-p", "--color=n", "app-demo/shy")

    assert (ended.status, planned(ended.out)) == (0, {"app-demo/shy-1.0"})
    assert file in ended.out
    assert "Traceback" not in ended.err


@pytest.mark.slow
def test_all_four_kinds_are_built_anew_by_plain_emerge(host: Host, on):
    host.write("package.license/none", "*/* -* GPL-2+\n")
    (host.repository / "licenses").mkdir(exist_ok=True)
    (host.repository / "licenses/Odd-1").write_text("odd\n")
    package(host, "app-demo/fresh-1.0", keywords=unstable())
    package(host, "app-demo/flagged-1.0", iuse="extra")
    package(host, "app-demo/odd-1.0", license="Odd-1")
    package(host, "app-demo/living-9999", keywords="")
    package(host, "app-demo/top-1.0", rdepend="app-demo/fresh app-demo/flagged[extra] app-demo/odd app-demo/living")
    host.profile("free", FREE)
    assert on("gm-emerge", "--gm-profile=free", "-q", "app-demo/top").status == 0
    before = on("emerge", "-pe", "--color=n", "@world")
    assert on("gentoomuch", "hooks", "enable", "unmask").status == 0

    ended = on("emerge", "-qe", "--color=n", "@world")

    assert "app-demo/top-1.0" not in planned(before.out)
    assert ended.status == 0, ended.err
    assert "masked" not in ended.out + ended.err
    assert "extra" in (host.vdb / "app-demo/flagged-1.0/USE").read_text().split()
    assert ended.out.count(">>> Completed") == 5


@pytest.mark.slow
def test_flags_that_are_installed_otherwise_are_nobodys_to_keep(host: Host, on):
    package(host, "app-demo/flagged-1.0", iuse="extra")
    host.profile("free", FREE)
    installed(host, "app-demo/flagged-1.0")
    unmasked(host, "free", {"atom": "=app-demo/flagged-1.0", "kind": "use", "value": "extra"})
    assert on("gentoomuch", "hooks", "enable", "unmask").status == 0

    assert planned(on("emerge", "-puDN", "--color=n", "@world").out) == set()
