# SPDX-License-Identifier: GPL-2.0-or-later
"""Unmasking where one need hides behind the other: several levels deep, over backtracking, --resume, and a binhost."""

import re
from pathlib import Path

import pytest
from helpers.http_server import serving
from helpers.unmasking import answered, ledger_of, package, unstable

from gentoomuch_portage.demo_host import Host

ALL = "[unmask]\nkeywords = true\nlive = true\nuse = true\nlicense = true\nmask = true\n"
NEEDED = {
    ("=app-demo/fresh-1.0", "keywords"),
    ("=app-demo/odd-1.0", "license"),
    ("=app-demo/odd-1.0", "mask"),
    ("=app-demo/flagged-1.0", "use"),
    ("=app-demo/living-9999", "keywords"),
    ("=app-demo/living-9999", "license"),
    ("=app-demo/living-9999", "mask"),
    ("=app-demo/living-9999", "use"),
}


@pytest.fixture
def deep(host: Host) -> Host:
    """top -> fresh (~arch) -> odd (licence, mask) -> flagged[extra] -> living[more] (live, licence, mask)."""
    host.write("package.license/none", "*/* -* GPL-2+\n")
    host.write("package.mask/some", "# not ready\napp-demo/odd\n\n# eats floppies\napp-demo/living\n")
    (host.repository / "licenses").mkdir(exist_ok=True)
    (host.repository / "licenses/Odd-1").write_text("odd\n")
    package(host, "app-demo/top-1.0", rdepend="app-demo/fresh")
    package(host, "app-demo/fresh-1.0", keywords=unstable(), rdepend="app-demo/odd")
    package(host, "app-demo/odd-1.0", license="Odd-1", rdepend="app-demo/flagged[extra]")
    package(host, "app-demo/flagged-1.0", iuse="extra", rdepend="extra? ( app-demo/living[more] )")
    package(host, "app-demo/living-9999", keywords="", iuse="more", license="Odd-1")
    host.profile("free", ALL)
    host.profile("other", ALL)
    return host


def told(shown: str) -> set[tuple[str, str]]:
    """Atom and kind of what emerge says that it unmasks."""
    found = re.findall(r"(?m)^    (keywords|use|license|mask): (=\S+)", shown)
    assert len(found) == len(set(found)), "each is told once"
    return {(atom, kind) for kind, atom in found}


def test_each_need_behind_another_is_shown_in_one_list(deep: Host, on):
    first, second = (on("gm-emerge", "--gm-profile=free", "-p", "app-demo/top") for _ in range(2))

    assert first.status == 0, first.err
    assert told(first.err) == NEEDED
    assert first.out.count("[ebuild") == 5
    assert first.out.count("Calculating dependencies") == 1
    assert first.err == second.err, "the order is always the same"


def test_changes_found_by_backtracking_are_unmasked(deep: Host, on):
    """lib-1.0 is chosen first, as the stable one; only then does it come out that user cannot live with it."""
    deep.write("package.mask/lib", "# too new\n=app-demo/lib-2.0\n")
    package(deep, "app-demo/lib-1.0")
    package(deep, "app-demo/lib-2.0", keywords=unstable(), license="Odd-1", rdepend="app-demo/flagged[extra]")
    package(deep, "app-demo/user-1.0", keywords=unstable(), rdepend=">=app-demo/lib-2")

    ended = on("gm-emerge", "--gm-profile=free", "-p", "app-demo/lib", "app-demo/user", "app-demo/top")

    assert ended.status == 0, ended.err
    assert "app-demo/lib-2.0" in ended.out
    assert "app-demo/lib-1.0" not in ended.out
    lib = {("=app-demo/lib-2.0", kind) for kind in ("keywords", "license", "mask")}
    assert told(ended.err) == NEEDED | lib | {("=app-demo/user-1.0", "keywords")}


@pytest.mark.slow
def test_one_question_grants_all_and_resume_needs_nothing_new(deep: Host, on):
    ebuild = deep.repository / "app-demo/odd/odd-1.0.ebuild"
    good = ebuild.read_text()
    ebuild.write_text(good + "src_compile() { die 'on purpose'; }\n")

    shown = answered(deep, "yes\n", "gm-emerge", "--gm-profile=free", "--ask", "app-demo/top")
    entered = ledger_of(deep, "free")
    ebuild.write_text(good)
    pretended = on("gm-emerge", "--gm-profile=free", "--gm-locked", "-p", "--resume")
    resumed = on("gm-emerge", "--gm-profile=free", "--gm-locked", "-q", "--resume")
    world = on("gm-emerge", "--gm-profile=free", "--gm-locked", "-puDN", "@world")

    assert shown.count("Would you like to merge these packages?") == 1
    assert "on purpose" in shown
    assert {(one["atom"], one["kind"]) for one in entered} == NEEDED
    assert {one["atom"]: one["reason"] for one in entered if one["kind"] == "mask"} == {
        "=app-demo/odd-1.0": "not ready",
        "=app-demo/living-9999": "eats floppies",
    }
    assert re.findall(r"\] (\S+)", pretended.out) == ["app-demo/odd-1.0", "app-demo/fresh-1.0", "app-demo/top-1.0"]
    assert (resumed.status, world.status) == (0, 0), resumed.err + world.err
    assert (deep.vdb / "app-demo/top-1.0").is_dir()
    assert ledger_of(deep, "free") == entered
    assert "[ebuild" not in world.out


@pytest.mark.slow
def test_binary_packages_of_a_binhost_are_unmasked_as_ebuilds_are(deep: Host, on, tmp_path: Path):
    package(deep, "app-demo/masked-1.0", license="Odd-1")
    package(deep, "app-demo/base-1.0", keywords=unstable(), license="Odd-1", rdepend="app-demo/masked")
    deep.write("package.mask/lib", "# too new\napp-demo/masked\n")
    assert on("gm-emerge", "--gm-profile=free", "-q", "-B", "app-demo/base", "app-demo/masked").status == 0
    needed = {("=app-demo/base-1.0", kind) for kind in ("keywords", "license")}
    needed |= {("=app-demo/masked-1.0", kind) for kind in ("mask", "license")}
    deep.profile("strict", ALL.replace("license = true", "license = false"))

    local = on("gm-emerge", "--gm-profile=other", "-pk", "app-demo/base")
    deep.pkgdir.rename(tmp_path / "www")
    deep.pkgdir.mkdir()
    with serving(tmp_path / "www") as server:
        deep.write("binrepos.conf/ours.conf", f"[ours]\nsync-uri = {server.url}\nverify-signature = false\n")
        remote = on("gm-emerge", "--gm-profile=other", "-pg", "app-demo/base")
        refused = on("gm-emerge", "--gm-profile=strict", "-pG", "app-demo/base")
        (deep.repository / "app-demo/base/base-1.0.ebuild").unlink()
        shown = answered(deep, "yes\n", "gm-emerge", "--gm-profile=other", "--ask", "-G", "app-demo/base")

    for ended in (local, remote):
        assert ended.status == 0, ended.err
        assert ended.out.count("[binary") == 2
        assert told(ended.err) == needed
    assert refused.status == 1
    assert 'license = ["=app-demo/base-1.0"]' in refused.err
    assert shown.count("Would you like to merge these packages?") == 1
    assert (deep.vdb / "app-demo/masked-1.0").is_dir()
    assert (deep.vdb / "app-demo/base-1.0").is_dir()
    assert {(one["atom"], one["kind"]) for one in ledger_of(deep, "other")} == needed
