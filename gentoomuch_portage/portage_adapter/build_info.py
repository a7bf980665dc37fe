# SPDX-License-Identifier: GPL-2.0-or-later
"""Write our records into the build-info of a built package; does not import Portage."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gentoomuch_portage.isa import no_code
from gentoomuch_portage.isa.variables import BUILT_WITH, parse_environment
from gentoomuch_portage.portage_adapter.binpkg import BUILT_FOR, PATCHES, RECORDED, Built

Requirement = Callable[[dict[str, str], frozenset[str]], str]
"""Return the CPU requirement for the variables of a build and its enabled USE flags."""


def measured(folder: Path, cpv: str, root: str, requirement: Requirement) -> Built:
    """Describe a package that ``ebuild`` has built up to src_install outside of gm-emerge.

    Args:
        folder: PORTAGE_BUILDDIR.
    """
    info = folder / "build-info"
    metadata = {name: _text(info / name) for name in ("SLOT", "repository", "USE")}
    settings = {"T": str(folder / "temp"), "PORTAGE_USE": metadata["USE"]}
    return Built(
        cpv=cpv,
        slot=metadata["SLOT"].partition("/")[0],
        repository=metadata["repository"],
        root=root,
        requires=_require(settings, folder, requirement),
        image=folder / "image",
    )


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8").strip() if file.is_file() else ""


def record(settings: Any, requirement: Requirement, profile: str = "") -> None:
    """Write the CPU requirement and the profile of a package into its build-info.

    Args:
        settings: Portage's settings, or the variables of an ebuild phase.
    """
    info = Path(settings["PORTAGE_BUILDDIR"]) / "build-info"
    (info / RECORDED).write_text(f"{_require(settings, info.parent, requirement)}\n", encoding="utf-8")
    if profile:
        (info / BUILT_FOR).write_text(f"{profile}\n", encoding="utf-8")


def _require(settings: Any, folder: Path, requirement: Requirement) -> str:
    """Return the CPU requirement of a package in PORTAGE_BUILDDIR: that of its flags, if it has any machine code."""
    if not no_code.find_code(folder / "image"):
        return no_code.NO_CODE.to_json()
    return requirement(_built_with(settings, folder / "build-info"), _flags_on(settings))


def _built_with(settings: Any, info: Path) -> dict[str, str]:
    """Return the variables that code was built with, from build-info and the environment that the ebuild saved.

    Source: __dyn_install and __save_ebuild_env of Portage; go-env.eclass exports GOARM and others in pkg_setup.
    """
    environment = Path(settings["T"]) / "environment"
    text = environment.read_text(encoding="utf-8", errors="replace") if environment.is_file() else ""
    exported = parse_environment(text)
    variables = {}
    for name in BUILT_WITH:
        file = info / name
        value = file.read_text(encoding="utf-8").strip() if file.is_file() else exported.get(name)
        variables[name] = value if value is not None else settings.get(name) or ""
    return variables


def _flags_on(settings: Any) -> frozenset[str]:
    return frozenset((settings.get("PORTAGE_USE") or "").split())


def record_patches(settings: Any) -> None:
    """Write the names of user patches to the build-info of a package, if it has any."""
    info = Path(settings["PORTAGE_BUILDDIR"]) / "build-info"
    if lines := _lines(info / "user_patch.digests"):
        (info / PATCHES).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _lines(digests: Path) -> list[str]:
    """Format Portage's record as lines of text; it separates digests and names by NUL."""
    try:
        words = digests.read_bytes().decode("utf-8", "replace").strip("\0").split("\0")
    except FileNotFoundError:
        return []
    return [f"{digest} {json.dumps(name)[1:-1]}" for digest, name in zip(words[::2], words[1::2], strict=False)]
