"""What a package records while plain emerge, or ebuild, builds it; called by the hooks, in the phase install."""

import os
from collections.abc import Mapping
from pathlib import Path

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.isa import resolve
from gentoomuch_portage.portage_adapter import binpkg, installed, user_patches

KINDS = {"requires": binpkg.RECORDED, "profile": binpkg.BUILT_FOR, "patches": user_patches.NAMED}
"""What may be asked for -> the file of build-info, of a binary package's metadata and of /var/db/pkg that tells it."""


def record(settings: Settings, folder: Path, environ: Mapping[str, str], profile: str = "") -> None:
    """Write them into ``build-info`` of a package that is being built, unless a run of ours has done it.

    Args:
        folder: PORTAGE_BUILDDIR.
        environ: the variables that its phase has.
    """
    if (folder / "build-info" / binpkg.RECORDED).exists():
        return
    told = {**environ, "PORTAGE_BUILDDIR": str(folder), "T": str(folder / "temp")}
    told.setdefault("PORTAGE_USE", told.get("USE", ""))
    binpkg.record(told, resolve.recording(settings.cache), profile or environ.get("GM_PROFILE", ""))
    user_patches.record(told)


def recorded(what: str, cpv: str, vdb: Path) -> str:
    """What an installed package tells; empty where it tells nothing.

    Args:
        what: a key of ``KINDS``.
        vdb: var/db/pkg.
    """
    file = vdb / cpv / KINDS[what]
    return file.read_text(encoding="utf-8").strip() if file.is_file() else ""


def meant(what: str, asked: str) -> dict[str, str]:
    """The installed packages that a user means, and what each tells; empty where it tells nothing.

    Args:
        asked: ``pkg``, ``cat/pkg`` or ``cat/pkg-1.0``.

    Raises:
        LookupError: it is no name, or that of packages of several categories.
    """
    env = {name: os.environ[name] for name in ("PORTAGE_CONFIGROOT", "ROOT") if name in os.environ}
    found = installed.installed(env, asked, [KINDS[what]])
    return {one.cpv: one.told.get(KINDS[what], "") for one in found}


def vdb(eprefix: str) -> Path:
    """Where this host, or the ROOT that is set, has what is installed."""
    return Path(f"{os.environ.get('ROOT', '').rstrip('/')}{eprefix}/var/db/pkg")
