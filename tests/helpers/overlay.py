# SPDX-License-Identifier: GPL-2.0-or-later
"""This repository as an overlay, over ::gentoo or over what stands in for it, in a folder of a test."""

import ast
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

TOP = Path(__file__).parents[2]
STAND_IN = TOP / "tests/data/gentoo"
OURS = ("app-portage", "dev-python", "eclass", "metadata", "profiles")
ECLASSES = ("distutils-r1", "git-r3", "pypi", "python-r1", "systemd")
DEPENDENCIES = {
    "app-arch/unzip": ("6.0", ""),
    "dev-lang/python": ("3.11.9 3.12.9 3.13.9 3.14.2 3.15.0", "threads xml ssl"),
    "dev-python/aiohttp": ("3.14.4", ""),
    "dev-python/backports-zstd": ("1.7.0", ""),
    "dev-python/gpep517": ("19", ""),
    "dev-python/hypothesis": ("6.140.0", ""),
    "dev-python/pluggy": ("1.6.0", ""),
    "dev-python/pyelftools": ("0.33", ""),
    "dev-python/pytest": ("9.0.0", ""),
    "dev-python/setuptools": ("80.9.0", ""),
    "dev-python/snakeoil": ("0.11.6", ""),
    "dev-python/sortedcontainers": ("2.4.0", ""),
    "dev-python/urllib3": ("2.6.0", ""),
    "dev-vcs/git": ("2.51.0", "curl"),
    "virtual/pkgconfig": ("3", ""),
    "sys-apps/bubblewrap": ("0.11.0", ""),
    "sys-apps/pkgcore": ("0.12.44", ""),
    "sys-apps/portage": ("3.0.83", ""),
    "sys-libs/glibc": ("2.42", ""),
}
"""What our ebuilds and the eclass depend on -> versions, and flags. Source: the ebuilds of ::gentoo."""
_STUB = """# Copyright 2026 gentoomuch-portage authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

{python}DESCRIPTION="Stands in for the package of that name"
HOMEPAGE="https://packages.gentoo.org/"
S="${{WORKDIR}}"

LICENSE="metapackage"
SLOT="{slot}"
KEYWORDS="amd64 arm64"
IUSE="{iuse}"
"""


def gentoo() -> Path | None:
    """A checkout of ::gentoo, as GM_TEST_GENTOO or Gentoo itself has it; None without its Python eclasses."""
    for path in (os.environ.get("GM_TEST_GENTOO"), "/var/db/repos/gentoo"):
        if path and all((Path(path) / "eclass" / f"{name}.eclass").is_file() for name in ECLASSES):
            return Path(path)
    return None


def lay_gentoo(into: Path, eclasses: Path | None) -> Path:
    """A small ::gentoo of packages that are only names.

    Args:
        eclasses: a checkout whose eclasses are taken; None for those that stand in for them.
    """
    shutil.copytree(STAND_IN, into)
    if eclasses:
        shutil.rmtree(into / "eclass")
        shutil.copytree(eclasses / "eclass", into / "eclass")
    for package, (versions, iuse) in DEPENDENCIES.items():
        for version in versions.split():
            _stub(into, package, version, iuse)
    (into / "licenses").mkdir()
    for name in ("Apache-2.0", "GPL-2+", "MIT", "metapackage"):
        (into / "licenses" / name).write_text(f"{name}\n")
    return into


def _stub(repository: Path, package: str, version: str, iuse: str) -> None:
    category, name = package.split("/")
    python = category == "dev-python" or name in {"portage", "pkgcore"}
    folder = repository / package
    folder.mkdir(parents=True, exist_ok=True)
    slot = version.rpartition(".")[0] if package == "dev-lang/python" else "0"
    last = 13 if name == "backports-zstd" else 15
    targets = f"PYTHON_COMPAT=( python3_{{12..{last}}} )\ninherit python-r1\n\n" if python else ""
    (folder / f"{name}-{version}.ebuild").write_text(_STUB.format(python=targets, slot=slot, iuse=iuse))


def lay_overlay(into: Path) -> Path:
    """The overlay as a clone has it, without the rest of the project."""
    for name in OURS:
        shutil.copytree(TOP / name, into / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    return into


def lend(repositories: list[Path], python: str) -> None:
    """Let ebuilds have a Python that ::gentoo no longer has, where the host is an older Debian."""
    for ebuild in (path for repository in repositories for path in repository.glob("*/*/*.ebuild")):
        ebuild.write_text(ebuild.read_text().replace("python3_{12..", f"python3_{{{python}.."))


def configure(etc: Path, gentoo: Path, overlay: Path) -> None:
    """Write an etc/portage of both repositories."""
    etc.mkdir(parents=True)
    places = f"[gentoo]\nlocation = {gentoo}\n[gentoomuch]\nlocation = {overlay}\n"
    (etc / "repos.conf").write_text(f"[DEFAULT]\nmain-repo = gentoo\n{places}")
    (etc / "make.profile").symlink_to(gentoo / "profiles/default/amd64")


def lay_vdb(into: Path, repositories: list[Path], python: str) -> None:
    """Tell Portage that every package of these repositories but ours is installed.

    Args:
        python: the minor version of the one Python there is.
    """
    target = f"python_targets_python3_{python}"
    for ebuild in (path for repository in repositories for path in repository.glob("*/*/*.ebuild")):
        category = ebuild.parent.parent.name
        if ebuild.parent.name == "gentoomuch-portage":
            continue
        folder = into / category / ebuild.stem
        folder.mkdir(parents=True)
        iuse = re.findall(r'^IUSE="(.*)"', ebuild.read_text(), re.MULTILINE)
        flags = " ".join([*iuse, target])
        slot = re.findall(r'^SLOT="(.*)"', ebuild.read_text(), re.MULTILINE)[0]
        told = {"CATEGORY": category, "PF": ebuild.stem, "EAPI": "8", "SLOT": slot, "KEYWORDS": "amd64 arm64"}
        told |= {"IUSE": flags, "USE": flags, "repository": "gentoo", "CONTENTS": "", "DEFINED_PHASES": "-"}
        for name, value in told.items():
            (folder / name).write_text(f"{value}\n" if value else "")
        shutil.copy(ebuild, folder)


def release(distfiles: Path, overlay: Path) -> None:
    """The tarball of the release that would be made of the work tree, and its ebuild."""
    name = f"gentoomuch-portage-{version()}"
    listed = subprocess.run(
        ["git", "-C", TOP, "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    skipped = {"app-portage", "dev-python", "metadata", "profiles"}
    with tarfile.open(distfiles / f"{name}.tar.gz", "w:gz") as tarball:
        for path in sorted(listed.splitlines()):
            if path.partition("/")[0] not in skipped and (TOP / path).exists():
                tarball.add(TOP / path, f"{name}/{path}")
    package = overlay / "app-portage/gentoomuch-portage"
    for released in package.glob("gentoomuch-portage-[0-8]*.ebuild"):
        released.unlink()
    shutil.copy(package / "gentoomuch-portage-9999.ebuild", package / f"{name}.ebuild")
    (package / "Manifest").unlink(missing_ok=True)  # it tells of the tarball that was last released


def extras() -> dict[str, list[str]]:
    """What each extra of setup.py asks for, by the names that the packages of Gentoo have."""
    calls = [node for node in ast.walk(ast.parse((TOP / "setup.py").read_text())) if isinstance(node, ast.Call)]
    words = {word.arg: word.value for call in calls for word in call.keywords}
    asked = ast.literal_eval(words["extras_require"])
    return {extra: [re.split(r"[><=; ]", one)[0] for one in all_of] for extra, all_of in asked.items()}


def named(ebuild: str) -> set[str]:
    """The packages of dev-python that an ebuild names, ``-bin`` or not."""
    return {name.removesuffix("-bin") for name in re.findall(r"dev-python/([a-z0-9-]*[a-z0-9])-\d", ebuild)}


def modern_bash(folder: Path) -> Path:
    """A folder for PATH whose bash claims to be as new as pkgcore wants it; what it runs, the host's bash runs."""
    folder.mkdir()
    bash = folder / "bash"
    bash.write_text('#!/bin/sh\ncase "$*" in *BASH_VERSINFO*) printf 5.3 ;; *) exec /bin/bash "$@" ;; esac\n')
    bash.chmod(0o755)
    return folder


def version() -> str:
    """The version that is being made, as Portage writes it: 0.2.0_alpha0 of 0.2.0.dev0."""
    text = (TOP / "gentoomuch_portage/__init__.py").read_text()
    return re.findall(r'__version__ = "(.*)"', text)[0].replace(".dev", "_alpha")
