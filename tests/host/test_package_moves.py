# SPDX-License-Identifier: GPL-2.0-or-later
"""Package moves of a repository (profiles/updates) reach the layers, patches, sets and ledgers of profiles."""

import json
import os
import sys
from pathlib import Path

import pytest

from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.demo_host.host import write

_EBUILD = """EAPI=8

DESCRIPTION="A package that gets another name"
HOMEPAGE="https://github.com/gentoomuch/gentoomuch-portage"
S="${WORKDIR}"

LICENSE="GPL-2+"
SLOT="0"
KEYWORDS="~amd64 ~arm64 ~ppc64 ~riscv ~x86"
IUSE="shout"

src_unpack() { echo plain > text || die; }
src_install() { insinto /usr/share/moved; doins text; }
"""
_PATCH = "--- a/text\n+++ b/text\n@@ -1 +1 @@\n-plain\n+patched\n"
OLD, NEW = "app-demo/old", "app-demo/new"
FILES = {
    "layers/one/package.use/mine": "# loud\napp-demo/old shout\napp-demo/oldest shout\n",
    "layers/one/package.mask": ">=app-demo/old-2\n",
    "layers/one/sets/mine": "app-demo/old\n",
    f"layers/one/patches/{OLD}-1/text.patch": _PATCH,
}
LEDGER = [
    {
        "atom": f"={OLD}-1", "kind": "keywords", "value": "**", "required_by": ["app-demo/old"],
        "since": "2026-01-01", "reason": "",
    }
]  # fmt: skip


@pytest.fixture
def profile(host: Host, tmp_path: Path) -> Host:
    """A profile ``lab`` whose files and ledger name a package that was moved in the meantime, with ebuilds 1 and 2."""
    for version in ("1", "2"):
        write(host.repository / NEW / f"new-{version}.ebuild", _EBUILD)
    write(host.repository / "profiles/updates/1Q-2026", f"move {OLD} {NEW}\nmove app-demo/a app-demo/b\n")
    for name, text in FILES.items():
        write(host.config / name, text)
    lines = f'layers = ["one"]\nroot = "{tmp_path / "root"}"\npackages = ["app-demo/old"]\n[binpkg]\nbuild = false\n'
    host.profile("lab", lines)
    write(host.eprefix / "var/lib/gentoomuch/lab/unmask.json", json.dumps(LEDGER))
    return host


@pytest.mark.slow
def test_a_moved_package_keeps_its_use_mask_ledger_entry_and_patches(profile: Host, on, tmp_path: Path):
    before = {path: path.read_bytes() for path in profile.config.rglob("*") if path.is_file()}

    ended = on("gm-emerge", "--gm-profile=lab", "-1v", "--usepkg=n", NEW)

    assert ended.status == 0, ended.out + ended.err
    assert "new-1" in ended.out
    assert 'USE="shout"' in ended.out
    assert (profile.eroot(tmp_path / "root") / "usr/share/moved/text").read_text() == "patched\n"
    assert ended.err.count("gentoomuch profile update lab") == 1
    (entry,) = json.loads((profile.eprefix / "var/lib/gentoomuch/lab/unmask.json").read_text())
    assert entry["atom"] == f"={NEW}-1"
    assert {path: path.read_bytes() for path in profile.config.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_lint_and_doctor_name_each_old_name(profile: Host, on):
    lint = json.loads(on("gentoomuch", "profile", "lint", "lab", "--json").out)
    doctor = json.loads(on("gentoomuch", "doctor", "--json").out)

    places = {
        (os.path.relpath(place["file"], profile.config), place["line"])
        for finding in lint if finding["kind"] == "moved" for place in finding["places"]
    }  # fmt: skip
    assert {name for name, _ in places} >= {"layers/one/package.use/mine", "layers/one/package.mask"}
    assert ("layers/one/package.use/mine", 2) in places
    assert (f"layers/one/patches/{OLD}-1", 0) in places
    assert [fact["hint"] for fact in doctor if fact["name"] == "moves"] == ["gentoomuch profile update lab"]


@pytest.mark.slow
def test_update_writes_the_new_name_everywhere(profile: Host, on):
    old = {str(path) for path in profile.config.rglob("*")}

    unconfirmed = on("gentoomuch", "profile", "update", "lab")
    pretended = on("gentoomuch", "profile", "update", "lab", "--pretend")
    unchanged = {str(path) for path in profile.config.rglob("*")}
    ended = on("gentoomuch", "profile", "update", "--yes")

    assert unconfirmed.status == 64
    assert pretended.status == 0
    assert f"+{NEW} shout" in pretended.out
    assert unchanged == old
    assert ended.status == 0, ended.err
    assert (profile.config / "layers/one/package.use/mine").read_text() == (
        f"# loud\n{NEW} shout\napp-demo/oldest shout\n"
    )
    assert (profile.config / "layers/one/package.mask").read_text() == f">={NEW}-2\n"
    assert (profile.config / "layers/one/sets/mine").read_text() == f"{NEW}\n"
    assert (profile.config / f"layers/one/patches/{NEW}-1/text.patch").read_text() == _PATCH
    assert not (profile.config / f"layers/one/patches/{OLD}-1").exists()
    assert f'"{NEW}"' in (profile.config / "profiles/lab.toml").read_text()
    (entry,) = json.loads((profile.eprefix / "var/lib/gentoomuch/lab/unmask.json").read_text())
    assert entry["atom"] == f"={NEW}-1"
    assert "moved" not in {finding["kind"] for finding in json.loads(on("gentoomuch", "profile", "lint", "--json").out)}
    assert "profile update" not in on("gm-emerge", "--gm-profile=lab", "-p1", NEW).err


def test_an_old_name_that_still_has_an_ebuild_is_not_moved(profile: Host, on):
    write(profile.repository / OLD / "old-1.ebuild", _EBUILD)

    assert on("gentoomuch", "profile", "update", "lab", "--yes").out == ""
    assert f"{OLD} shout" in (profile.config / "layers/one/package.use/mine").read_text()


@pytest.mark.slow
def test_global_updates_run_once_and_not_for_every_profile(profile: Host, on, tmp_path: Path):
    profile.profile("here", "")
    profile.profile("there", "")
    profile.profile("else", f'root = "{tmp_path / "else"}"\n')

    first = on("gm-emerge", "--gm-profile=here", "-p1", "gm-hello")
    others = [on("gm-emerge", f"--gm-profile={name}", "-p1", "gm-hello") for name in ("there", "else", "lab", "here")]
    plain = on("emerge", "-p1", "gm-hello")

    assert "Performing Global Updates" in first.out
    assert ["Performing Global Updates" in ended.out for ended in (*others, plain)] == [False] * 5


@pytest.mark.slow
def test_an_entry_of_the_ledger_alone_is_renamed_silently(profile: Host, on):
    for name in FILES:
        (profile.config / name).unlink()
    profile.profile("lab", "[binpkg]\nbuild = false\n")

    ended = on("gm-emerge", "--gm-profile=lab", "-p1", NEW)

    assert ended.status == 0, ended.out + ended.err
    assert "profile update" not in ended.err
    (entry,) = json.loads((profile.eprefix / "var/lib/gentoomuch/lab/unmask.json").read_text())
    assert (entry["atom"], entry["required_by"]) == (f"={NEW}-1", [OLD])


@pytest.mark.slow
def test_lists_of_unmask_and_the_defaults_of_all_profiles_get_the_new_name(profile: Host, on):
    """Seen failing before: only the file of the profile and its ledger were read, and the policy had the old name."""
    write(profile.repository / NEW / "new-3.ebuild", _EBUILD)
    write(profile.config / "gentoomuch.toml", f'[unmask]\nkeywords = ["{OLD}"]\nmask = [">={OLD}-2"]\n')
    for name in FILES:
        (profile.config / name).unlink()
    (profile.eprefix / "var/lib/gentoomuch/lab/unmask.json").unlink()
    profile.profile("lab", "[binpkg]\nbuild = false\n")

    before = on("gm-emerge", "--gm-profile=lab", "-p1", NEW)
    lint = on("gentoomuch", "profile", "lint", "lab")
    ended = on("gentoomuch", "profile", "update", "lab", "--yes")
    after = on("gm-emerge", "--gm-profile=lab", "-p1", NEW)

    assert (before.status, after.status) == (0, 0), before.out + before.err
    assert "new-3" in before.out
    assert "gentoomuch profile update lab" in before.err
    assert "gentoomuch.toml:2" in lint.out
    assert ended.status == 0, ended.err
    assert (profile.config / "gentoomuch.toml").read_text() == (
        f'[unmask]\nkeywords = ["{NEW}"]\nmask = [">={NEW}-2"]\n'
    )
    assert "profile update" not in after.err


_KILLED = """
import os, sys
from gentoomuch_portage.cli import main
left, above = int(sys.argv[1]), sys.argv[2:]
sys.argv[1:] = ["profile", "update", "lab", "--yes"]
def kill(event, arguments):
    global left
    if event == "os.rename" and any(str(arguments[1]).startswith(folder) for folder in above):
        if left == 0:
            os.kill(os.getpid(), 9)
        left -= 1
sys.addaudithook(kill)
sys.exit(main.main())
"""
"""Ends itself with SIGKILL before it renames a file of the configuration or the state the Nth time."""


@pytest.mark.slow
def test_an_update_that_was_killed_is_completed_by_the_next_one(profile: Host, on):
    state = profile.eprefix / "var/lib/gentoomuch/lab"
    write(profile.config / f"layers/one/patches/{OLD}-1/more.patch", _PATCH)
    write(profile.config / f"layers/one/patches/{NEW}-2/text.patch", _PATCH)
    write(profile.config / f"layers/one/patches/{OLD}-2/more.patch", _PATCH)
    write(profile.config / "gentoomuch.toml", f'[unmask]\nmask = [">={OLD}-2"]\n')
    old = _read_files(profile.config, state)
    killed = []

    for count in range(30):
        killed.append(on(sys.executable, "-c", _KILLED, str(count), str(profile.config), str(state)).status != 0)
        ended = on("gentoomuch", "profile", "update", "lab", "--yes")
        assert ended.status == 0, ended.err
        new = _read_files(profile.config, state)
        assert not [name for name, text in new.items() if f"{OLD}-" in name or (OLD in text and "lab.toml" in name)]
        assert [name for name, text in new.items() if f"={OLD}-" in text] == []
        assert len(new) == len(old)
        if not killed[-1]:
            break
        for path in [path for path in profile.config.rglob("*") if path.is_file()]:
            path.unlink()
        for name, text in old.items():
            write(Path(name), text)

    assert killed[:7] == [True] * 7
    assert not killed[-1]


def _read_files(*folders: Path) -> dict[str, str]:
    """Return the text of each file that can name packages."""
    return {
        str(path): path.read_text()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name[0] != "." and path.suffix in {"", ".json", ".patch", ".toml"}
    }
