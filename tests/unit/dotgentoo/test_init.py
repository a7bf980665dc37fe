# SPDX-License-Identifier: GPL-2.0-or-later
"""gentoomuch dotgentoo init: a first folder for the project in a tree."""

import re
import subprocess
from pathlib import Path

import pytest

from gentoomuch_portage.cli.commands import run_command_line
from gentoomuch_portage.dotgentoo.layout import find_folder
from gentoomuch_portage.dotgentoo.lint import find_problems
from gentoomuch_portage.dotgentoo.load import load_folder

HATCH = '[build-system]\nbuild-backend = "hatchling.build"\n[project]\nname = "x"\n'
KINDS = {
    "hatchling": ({"pyproject.toml": HATCH}, "distutils-r1 dotgentoo", "DISTUTILS_USE_PEP517=hatchling"),
    "its own backend": (
        {"pyproject.toml": '[build-system]\nbuild-backend = "b"\nbackend-path = ["."]\n'},
        "distutils-r1 dotgentoo",
        "DISTUTILS_USE_PEP517=standalone",
    ),
    "setup.py": ({"setup.py": ""}, "distutils-r1 dotgentoo", "DISTUTILS_USE_PEP517=setuptools"),
    "maturin": (
        {"pyproject.toml": '[build-system]\nbuild-backend = "maturin"\n', "Cargo.toml": ""},
        "distutils-r1 dotgentoo",
        "DISTUTILS_USE_PEP517=maturin",
    ),
    "cargo": ({"Cargo.toml": '[package]\nname = "x"\n', "Makefile": ""}, "cargo dotgentoo", "cargo_live_src_unpack"),
    "go": ({"go.mod": "module x\n"}, "go-module dotgentoo", "go-module_live_vendor"),
    "meson": ({"meson.build": "", "Makefile": ""}, "meson dotgentoo", 'SLOT="0"'),
    "cmake": ({"CMakeLists.txt": ""}, "cmake dotgentoo", 'SLOT="0"'),
    "autotools": ({"configure.ac": "", "Makefile": ""}, "autotools dotgentoo", "eautoreconf"),
    "configure": ({"configure.ac": "", "configure": ""}, "dotgentoo", 'SLOT="0"'),
    "make": ({"Makefile": "", "pyproject.toml": "[tool.ruff]\n"}, "dotgentoo", "emake DESTDIR="),
}


@pytest.mark.parametrize(("files", "inherits", "has"), KINDS.values(), ids=KINDS)
def test_it_is_recognised(files: dict[str, str], inherits: str, has: str, tmp_path: Path):
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    status = run_command_line(["dotgentoo", "init", "-q", "app-misc/hello", str(tmp_path)])

    folder = load_folder(find_folder(tmp_path))
    assert (status, folder.cpv) == (0, "app-misc/hello-99999")
    assert re.findall(r"^inherit (.*)", folder.ebuild, re.M) == [inherits]
    assert has in folder.ebuild
    assert find_problems(folder) == []
    assert subprocess.run(["bash", "-n"], input=folder.ebuild, text=True, check=False).returncode == 0


def test_metadata_of_the_project_is_used_and_quoted(tmp_path: Path):
    said = f'{HATCH}description = "A \\"$(touch x)\\" `y` \\\\ z"\nlicense = "GPL-2.0-or-later"\n'
    (tmp_path / "pyproject.toml").write_text(f'{said}[project.urls]\nHomepage = "https://example.org/$x"\n')
    run_command_line(["dotgentoo", "init", "-q", "app-misc/hello", str(tmp_path)])
    ebuild = "".join(
        line
        for line in load_folder(find_folder(tmp_path)).ebuild.splitlines(keepends=True)
        if re.match("DESC|HOME|LIC", line)
    )

    script = f'{ebuild}printf "%s\\n" "$DESCRIPTION" "$HOMEPAGE" "$LICENSE"'
    shown = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path).stdout

    assert shown.splitlines() == ['A "$(touch x)" `y` \\ z', "https://example.org/$x", "GPL-2+"]
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("files", "name", "status", "told"),
    [
        ({}, "app-misc/hello", 64, "unknown-build"),
        ({"Makefile": ""}, "hello", 64, "bad-package"),
        ({"Makefile": ""}, "app-misc/hello-1.0", 64, "bad-package"),
        ({"Makefile": ""}, "../x/hello", 64, "bad-package"),
        ({"pyproject.toml": "["}, "app-misc/hello", 78, "bad-project"),
        ({"Makefile": "", ".gentoo": ""}, "app-misc/hello", 64, "dotgentoo-exists"),
    ],
)
def test_init_rejects_the_project_and_writes_nothing(files, name: str, status: int, told: str, tmp_path: Path, capsys):
    for file, text in files.items():
        (tmp_path / file).write_text(text)

    assert run_command_line(["dotgentoo", "init", name, str(tmp_path)]) == status

    assert f"[{told}]" in capsys.readouterr().err
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(files)
