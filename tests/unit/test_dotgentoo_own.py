"""The project's own .gentoo folder, and its eclass."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gentoomuch_portage.dotgentoo.id import identity
from gentoomuch_portage.dotgentoo.lint import findings
from gentoomuch_portage.dotgentoo.load import read

TOP = Path(__file__).parents[2]
ECLASS = TOP / "gentoomuch_portage/dotgentoo/eclass/dotgentoo.eclass"
own = pytest.mark.skipif(not (TOP / ".gentoo").is_dir(), reason="an unpacked sdist has no .gentoo folder")


@own
def test_the_projects_own_folder_is_good():
    folder = read(TOP / ".gentoo")

    assert findings(folder) == []
    assert len(identity(folder)) == 128


@own
def test_the_ebuild_needs_what_the_distribution_needs():
    [listed] = re.findall(r"install_requires=\[(.*?)\]", (TOP / "setup.py").read_text(encoding="utf-8"), re.S)
    needed = dict(re.findall(r'"([\w.-]+)>=([\d.]+)', listed))
    ebuild = read(TOP / ".gentoo").ebuild

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
