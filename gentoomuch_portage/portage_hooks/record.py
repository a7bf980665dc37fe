# SPDX-License-Identifier: GPL-2.0-or-later
"""Record requirements, profile and patches in a package that plain emerge or ebuild builds; called by hooks."""

import os
from collections.abc import Mapping
from pathlib import Path

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.isa import resolve
from gentoomuch_portage.portage_adapter import binpkg, build_info, installed

KINDS = {"requires": binpkg.RECORDED, "profile": binpkg.BUILT_FOR, "patches": binpkg.PATCHES}
"""A kind of record -> its file in build-info, in metadata of binary packages and in /var/db/pkg."""


def record(settings: Settings, folder: Path, environ: Mapping[str, str], profile: str = "") -> None:
    """Write the records into ``build-info`` of a package in its phase install, unless gm-emerge has done so.

    Args:
        folder: PORTAGE_BUILDDIR.
        environ: of the phase.
    """
    if (folder / "build-info" / binpkg.RECORDED).exists():
        return
    variables = {**environ, "PORTAGE_BUILDDIR": str(folder), "T": str(folder / "temp")}
    variables.setdefault("PORTAGE_USE", variables.get("USE", ""))
    build_info.record(variables, resolve.recorder(settings.cache), profile or environ.get("GM_PROFILE", ""))
    build_info.record_patches(variables)


def read_record(what: str, cpv: str, vdb: Path) -> str:
    """Return a record of an installed package; empty if it has none.

    Args:
        what: a key of ``KINDS``.
        vdb: var/db/pkg.
    """
    file = vdb / cpv / KINDS[what]
    return file.read_text(encoding="utf-8").strip() if file.is_file() else ""


def read_records(what: str, name: str) -> dict[str, str]:
    """Return the installed packages of a name, each with its record, or an empty string.

    Args:
        name: ``pkg``, ``cat/pkg`` or ``cat/pkg-1.0``.

    Raises:
        LookupError: the name is invalid, or packages of several categories have it.
    """
    env = {key: os.environ[key] for key in ("PORTAGE_CONFIGROOT", "ROOT") if key in os.environ}
    return {
        package.cpv: package.build_info.get(KINDS[what], "")
        for package in installed.installed(env, name, [KINDS[what]])
    }


def vdb(eprefix: str) -> Path:
    """Return the database of installed packages, of ROOT if it is set."""
    return Path(f"{os.environ.get('ROOT', '').rstrip('/')}{eprefix}/var/db/pkg")
