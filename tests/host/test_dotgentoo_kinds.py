# SPDX-License-Identifier: GPL-2.0-or-later
"""gm-emerge PATH for projects of several kinds, cloned from where they are published."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import Run
from helpers.project import MAKEFILE, SOURCE, git

from gentoomuch_portage.demo_host import Host

HEAD = 'EAPI=8\n\ninherit dotgentoo\n\nDESCRIPTION="A program that greets"\nLICENSE="GPL-2+"\nSLOT="0"\n\n'
AT = ".gentoo/app-misc/greet/greet-99999.ebuild"
MESON = """project('greet', 'c', version: '1')
executable('greet', 'greet.c', c_args: '-DGREETING="hello"', install: true)
"""
PYPROJECT = """[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "greet"
version = "1"

[project.scripts]
greet = "greet:main"

[tool.setuptools]
py-modules = ["greet"]
"""


@dataclass(frozen=True)
class Kind:
    """A project: its files, and the one whose ``one`` is what it greets."""

    files: dict[str, str]
    source: str


KINDS = {
    "make": Kind(
        {
            AT: HEAD + 'src_compile() { emake CC="${CHOST}-gcc" GREETING=hello; }\nsrc_install() { dobin greet; }\n',
            "Makefile": MAKEFILE,
            "greet.c": SOURCE,
        },
        "greet.c",
    ),
    "meson": Kind(
        {
            AT: HEAD
            + 'src_configure() { CC="${CHOST}-gcc" meson setup build --prefix="${EPREFIX}/usr" || die; }\n'
            + "src_compile() { meson compile -C build || die; }\n"
            + 'src_install() { DESTDIR="${D}" meson install -C build --no-rebuild || die; }\n',
            "meson.build": MESON,
            "greet.c": SOURCE,
        },
        "greet.c",
    ),
    "python": Kind(
        {
            AT: HEAD
            + "src_compile() {\n\tpython3 -m pip --no-cache-dir wheel --no-deps --no-index --no-build-isolation \\\n"
            + "\t\t-w dist . || die\n}\n"
            + "src_install() {\n\tpython3 -m pip --no-cache-dir install --no-deps --no-index --ignore-installed \\\n"
            + "\t\t--no-compile --no-warn-script-location \\\n"
            + '\t\t--root="${D}" --prefix="${EPREFIX}/usr" dist/*.whl || die\n}\n',
            "pyproject.toml": PYPROJECT,
            "greet.py": 'def main():\n    print("hello one")\n',
        },
        "greet.py",
    ),
}


def published(top: Path, files: dict[str, str]) -> Path:
    """A repository with a project in it."""
    for name, text in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    git(top, "init", "-q")
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", "one")
    return top


def says(host: Host, on: Run) -> str:
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    places = [host.eprefix / f"usr/{lib}/{version}/site-packages" for lib in ("lib", "lib64")]
    return on(host.eprefix / "usr/bin/greet", PYTHONPATH=":".join(map(str, places))).out.strip()


@pytest.mark.parametrize(
    "kind", ["make", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("meson", "python"))]
)
def test_a_clone_is_installed_with_its_edits(kind: str, host: Host, on: Run, tmp_path: Path) -> None:
    if kind == "meson" and not (Path(sys.executable).parent / "meson").exists():
        pytest.skip("meson is not installed beside this Python")
    made, clone = KINDS[kind], tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(published(tmp_path / "published", made.files)), str(clone))
    identity = on("gentoomuch", "dotgentoo", "id", clone).out.strip()

    def install(text: str) -> tuple[int, str]:
        (clone / made.source).write_text(made.files[made.source].replace("one", text))
        ended = on("gm-emerge", f"--gm-trust={identity}", ".", cwd=clone)
        assert ended.status == 0, ended.err + ended.out
        return ended.out.count(">>> Compiling source"), says(host, on)

    assert install("dirty") == (1, "hello dirty")
    assert install("edited") == (1, "hello edited")
    assert install("edited") == (0, "hello edited")
