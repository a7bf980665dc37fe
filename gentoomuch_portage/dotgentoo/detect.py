# SPDX-License-Identifier: GPL-2.0-or-later
"""Detect the build system and metadata of a project from its files, without running any."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gentoomuch_portage.dotgentoo.errors import unknown_build_system
from gentoomuch_portage.errors import BadFile

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
"""Ordered by precedence: a project with meson.build and a Makefile uses meson."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectedProject:
    """A project with its build system and metadata."""

    kind: str
    """``python``, ``cargo``, ``go``, ``meson``, ``cmake``, ``configure``, ``autotools`` or ``make``."""
    description: str = ""
    homepage: str = ""
    license: str = ""
    """SPDX expression; empty if unknown."""
    backend: str = ""
    """DISTUTILS_USE_PEP517 of a Python project."""


def detect_project(project: Path) -> DetectedProject:
    """Detect the build system of a project.

    Raises:
        UsageError[unknown-build]: it has none that is supported.
        BadFile[bad-project]: its pyproject.toml or Cargo.toml is invalid.
    """
    python = _load_toml(project / "pyproject.toml")
    if "build-system" in python or "project" in python or (project / "setup.py").is_file():
        backend = _subtable(python, "build-system").get("build-backend", "setuptools.build_meta")
        return _describe("python", _subtable(python, "project"), backend=BACKENDS.get(str(backend), "standalone"))
    for name, kind in _FILES:
        if (project / name).is_file():
            return _describe(kind, _subtable(_load_toml(project / name), "package") if kind == "cargo" else {})
    raise unknown_build_system(project, ["pyproject.toml", "setup.py", *(name for name, _ in _FILES)])


def _describe(kind: str, table: Mapping[str, Any], backend: str = "") -> DetectedProject:
    urls = table.get("urls")
    pages = urls if isinstance(urls, dict) else {}
    by_name = {str(name).lower(): url for name, url in pages.items()}
    homepage = by_name.get("homepage") or next(iter(by_name.values()), "") or table.get("homepage")
    license_ = table.get("license")
    return DetectedProject(
        kind=kind,
        description=_one_line(table.get("description")),
        homepage=_one_line(homepage or table.get("repository")),
        license=_one_line(license_.get("text") if isinstance(license_, dict) else license_),
        backend=backend,
    )


def _one_line(value: Any) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


def _subtable(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    below = table.get(name)
    return below if isinstance(below, dict) else {}


def _load_toml(file: Path) -> Mapping[str, Any]:
    if not file.is_file():
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BadFile(file, 0, f"cannot read it: {error}".lower(), code="bad-project") from error
