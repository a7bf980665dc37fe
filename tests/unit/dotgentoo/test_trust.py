# SPDX-License-Identifier: GPL-2.0-or-later
"""What is kept of allowed folders, and which atoms of package.unmask lift a security mask."""

from pathlib import Path

import pytest
from helpers.dotgentoo import written

from gentoomuch_portage.config.profile import Profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.dotgentoo import plan_parts, trust
from gentoomuch_portage.dotgentoo.errors import Untrusted
from gentoomuch_portage.dotgentoo.load import load_folder
from gentoomuch_portage.errors import BadFile

ENTRY = '{"date": "2026-01-01", "id": "a", "path": "/p", "security": ["x/y"]}\n'
MASKS = """# Copyright

# Somebody <s@example.org> (2026-01-01)
# Remote code execution.
# CVE-2026-1
dev-libs/bad
=dev-libs/old-1*

# Removal in 30 days.
dev-libs/gone

# Exploited in the wild.

dev-libs/apart
dev-libs/also # a word behind it
# Bumped.
dev-libs/bumped
"""


@pytest.mark.parametrize(
    ("identity", "security", "said", "allowed"),
    [
        ("a", (), "", True),
        ("a", ("x/y",), "", True),
        ("a", ("x/z",), "", False),
        ("b", (), "", False),
        ("b", (), "b", True),
        ("b", (), "c,b", True),
        ("b", ("x/y",), "b", False),
        ("b", ("x/y",), "b:security", True),
        ("bb", (), "b", False),
    ],
)
def test_trust_covers_only_the_confirmed_id(identity, security, said, allowed, tmp_path: Path):
    (tmp_path / "trusted").write_text(ENTRY)

    assert trust.is_trusted(tmp_path, identity, security, said) is allowed


@pytest.mark.parametrize("line", ["nonsense", "{}", "[]", '{"id": "a", "security": 1}', '{"id": "a", "security": []}'])
def test_a_line_that_allows_nothing_is_an_error_with_its_place(line: str, tmp_path: Path):
    (tmp_path / "trusted").write_text(f"{ENTRY}{line}\n")

    with pytest.raises(BadFile, match="trusted:2: "):
        trust.is_trusted(tmp_path, "a", ())


def test_without_a_terminal_nothing_is_trusted(tmp_path: Path, capsys):
    folder = load_folder(written(tmp_path, {"overlays/o": "[sci]\nsync-uri = https://sci.example.org\n"}))

    with pytest.raises(Untrusted):
        trust.ask_user(folder, "ID", (), tmp_path / "state")

    assert "https://sci.example.org" in capsys.readouterr().err
    assert not (tmp_path / "state").exists()


def test_control_characters_cannot_hide_settings_in_the_question(tmp_path: Path):
    files = {"package.env": "a/b e\n", "env/e": 'CFLAGS="$(evil)" \x1b[2K\x1b[1A\u202e\n'}

    shown = trust.describe(load_folder(written(tmp_path / "a\x1bb", files)), "ID")

    assert all(line.isprintable() for line in shown)
    assert any(r"$(evil)" in line and r"\x1b[2K" in line for line in shown)


@pytest.mark.parametrize(
    ("atom", "lifts"),
    [
        ("dev-libs/bad", True),
        (">=dev-libs/bad-1:0::x", True),
        ("dev-libs/old", True),
        ("dev-libs/*", True),
        ("*/*", True),
        ("dev-libs/gone", False),
        ("dev-libs/bumped", False),
        ("dev-libs/other", False),
    ],
)
def test_a_security_mask_is_known_by_its_comment(atom: str, lifts: bool, tmp_path: Path):
    masks = tmp_path / "package.mask"
    masks.write_text(MASKS)
    folder = load_folder(written(tmp_path, {"package.unmask": f"{atom}\n"}))

    assert trust.find_lifted_security_masks(folder, [masks, tmp_path / "none"]) == ((atom,) if lifts else ())


@pytest.mark.parametrize(
    ("line", "lifts"),
    [("-dev-libs/bad", True), ("->=dev-libs/bad-1", True), ("-*/*", True), ("-dev-libs/gone", False), ("a/b", False)],
)
def test_security_masks_removed_by_package_mask_are_found(line: str, lifts: bool, tmp_path: Path):
    masks = tmp_path / "package.mask"
    masks.write_text(MASKS)
    folder = load_folder(written(tmp_path, {"package.mask": f"{line}\n", "package.unmask": "dev-libs/gone\n"}))

    assert trust.find_lifted_security_masks(folder, [masks]) == ((line.removeprefix("-"),) if lifts else ())


def test_masks_of_a_directory_and_of_a_layer_count(tmp_path: Path):
    profile = Profile.create("lab", tmp_path / "lab.toml", layers=("safe",), base="none")
    (tmp_path / "repository/profiles/package.mask").mkdir(parents=True)
    (tmp_path / "repository/profiles/package.mask/one").write_text(MASKS)
    (tmp_path / "layers/safe").mkdir(parents=True)
    (tmp_path / "layers/safe/repos.conf").write_text(f"[sci]\nlocation = {tmp_path}/repository\n")
    (tmp_path / "layers/safe/package.mask").write_text("# CVE-2026-2\ndev-libs/mine\ndev-games/*\n")
    settings = Settings(tmp_path, tmp_path / "state", tmp_path / "cache", tmp_path / "etc/portage")
    folder = load_folder(written(tmp_path / "p", {"package.unmask": "dev-games/x\ndev-libs/bad\ndev-libs/mine\n"}))

    asked = plan_parts.find_security_masks(folder, settings, plan_parts.find_repositories(settings, profile))

    assert asked == ("dev-games/x", "dev-libs/bad", "dev-libs/mine")
