# SPDX-License-Identifier: GPL-2.0-or-later
"""The project's own .gentoo folder, and its eclass."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gentoomuch_portage.dotgentoo.id import compute_id
from gentoomuch_portage.dotgentoo.lint import find_problems
from gentoomuch_portage.dotgentoo.load import load_folder

TOP = Path(__file__).parents[3]
ECLASS = TOP / "gentoomuch_portage/dotgentoo/eclass/dotgentoo.eclass"
own = pytest.mark.skipif(not (TOP / ".gentoo").is_dir(), reason="an unpacked sdist has no .gentoo folder")


@own
def test_the_dotgentoo_directory_of_this_project_is_valid():
    folder = load_folder(TOP / ".gentoo")

    assert find_problems(folder) == []
    assert len(compute_id(folder)) == 128


@own
def test_the_ebuild_depends_on_the_requirements_of_the_distribution():
    [listed] = re.findall(r"install_requires=\[(.*?)\]", (TOP / "setup.py").read_text(encoding="utf-8"), re.S)
    needed = dict(re.findall(r'"([\w.-]+)>=([\d.]+)', listed))
    ebuild = load_folder(TOP / ".gentoo").ebuild

    there = dict(re.findall(r">=[\w-]+/([\w-]+?)-([\d.]+)\[", ebuild))
    assert needed
    assert there == needed


def test_the_overlay_that_the_project_is_has_the_same_eclass():
    assert (TOP / "eclass/dotgentoo.eclass").read_bytes() == ECLASS.read_bytes()


def test_shellcheck_finds_nothing_in_the_eclass():
    """SC2034: variables are for the ebuild; SC2148: an eclass has no first line of its own."""
    checked = subprocess.run(
        [Path(sys.executable).with_name("shellcheck"), "--shell=bash", "--exclude=SC2034,SC2148", ECLASS],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (checked.returncode, checked.stdout) == (0, "")


def test_all_that_the_eclass_has_is_documented():
    text = ECLASS.read_text(encoding="utf-8")

    functions = re.findall(r"^([a-z][\w-]*)\(\) \{$", text, re.M)
    assert functions == re.findall(r"^# @FUNCTION: (\S+)$", text, re.M) == ["dotgentoo_src_unpack"]
    for variable in set(re.findall(r"\$\{((?:DOTGENTOO|EGIT)_[A-Z_]+)\}", text)):
        assert f"# @ECLASS_VARIABLE: {variable}\n" in text
    assert not [line for line in text.splitlines() if len(line.expandtabs(4)) > 100 or line != line.rstrip()]
