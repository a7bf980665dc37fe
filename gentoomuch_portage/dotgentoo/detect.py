"""How a project is built, and what it tells of itself, by the files in its tree; nothing of it is run."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gentoomuch_portage.dotgentoo.errors import BadProject, UnknownBuild

BACKENDS = {
    "flit_core.buildapi": "flit",
    "hatchling.build": "hatchling",
    "jupyter_packaging.build_api": "jupyter",
    "maturin": "maturin",
    "mesonpy": "meson-python",
    "pdm.backend": "pdm-backend",
    "poetry.core.masonry.api": "poetry",
    "scikit_build_core.build": "scikit-build-core",
    "setuptools.build_meta": "setuptools",
    "setuptools.build_meta:__legacy__": "setuptools",
    "sipbuild.api": "sip",
    "uv_build": "uv-build",
}
"""build-backend of pyproject.toml -> DISTUTILS_USE_PEP517. Source: distutils-r1.eclass."""
_FILES = (
    ("Cargo.toml", "cargo"),
    ("go.mod", "go"),
    ("meson.build", "meson"),
    ("CMakeLists.txt", "cmake"),
    ("configure", "configure"),
    ("configure.ac", "autotools"),
    ("configure.in", "autotools"),
    ("GNUmakefile", "make"),
    ("makefile", "make"),
    ("Makefile", "make"),
)
"""In this order: who has a meson.build and a Makefile beside it builds with meson."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """A project."""

    kind: str
    """``python``, ``cargo``, ``go``, ``meson``, ``cmake``, ``configure``, ``autotools`` or ``make``."""
    description: str = ""
    homepage: str = ""
    license: str = ""
    """As SPDX names it; empty where it is not told."""
    backend: str = ""
    """DISTUTILS_USE_PEP517, of a Python project."""


def recognised(project: Path) -> Recognised:
    """How a project is built.

    Raises:
        UnknownBuild: by nothing that we know.
        BadProject: its pyproject.toml or Cargo.toml cannot be read.
    """
    python = _toml(project / "pyproject.toml")
    if "build-system" in python or "project" in python or (project / "setup.py").is_file():
        backend = _table(python, "build-system").get("build-backend", "setuptools.build_meta")
        return _told("python", _table(python, "project"), backend=BACKENDS.get(str(backend), "standalone"))
    for name, kind in _FILES:
        if (project / name).is_file():
            return _told(kind, _table(_toml(project / name), "package") if kind == "cargo" else {})
    raise UnknownBuild(project, ["pyproject.toml", "setup.py", *(name for name, _ in _FILES)])


def _told(kind: str, said: Mapping[str, Any], backend: str = "") -> Recognised:
    urls = said.get("urls")
    pages = urls if isinstance(urls, dict) else {}
    by_name = {str(name).lower(): url for name, url in pages.items()}
    homepage = by_name.get("homepage") or next(iter(by_name.values()), "") or said.get("homepage")
    license_ = said.get("license")
    return Recognised(
        kind=kind,
        description=_line(said.get("description")),
        homepage=_line(homepage or said.get("repository")),
        license=_line(license_.get("text") if isinstance(license_, dict) else license_),
        backend=backend,
    )


def _line(found: Any) -> str:
    return " ".join(found.split()) if isinstance(found, str) else ""


def _table(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = found.get(name)
    return table if isinstance(table, dict) else {}


def _toml(file: Path) -> Mapping[str, Any]:
    if not file.is_file():
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BadProject(file, 0, f"it cannot be read: {error}".lower()) from error
