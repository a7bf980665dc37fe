# SPDX-License-Identifier: GPL-2.0-or-later
"""Correct Portage's digest of user patches, and find packages whose patches have changed: ``@gm-patches-changed``."""

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import portage
from portage._sets.base import PackageSet
from portage.versions import catpkgsplit

from gentoomuch_portage.portage_adapter import patch_digest, private_api
from gentoomuch_portage.portage_adapter.patching import environment, swapped
from gentoomuch_portage.portage_adapter.trees import find_target
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    from portage.package.ebuild._config import UserPatches
else:
    UserPatches = LazyModule("portage.package.ebuild._config.UserPatches")  # new in Portage 3.0.83

_WITHOUT_EAPPLY = frozenset({"", "0", "1", "2", "3", "4", "5"})
"""The EAPIs whose ebuilds never apply user patches."""


@private_api.optional(private_api.PATCHES)
@contextmanager
def mended() -> Iterator[None]:
    """Let Portage search the same directories for user patches as its ebuilds do, while the block runs.

    eapply_user reads PN, P and P-PR, but UserPatches of 3.0.83 reads PN and PF. So a patch in ``hello-2.0/`` is applied
    to hello-2.0-r1, but the digest that Portage expects never includes it.
    """
    with ExitStack() as held:
        for name, wrap in (("_query", _querying), ("__contains__", _containing)):
            held.enter_context(swapped(UserPatches.UserPatches, name, wrap(getattr(UserPatches.UserPatches, name))))
        yield


def _places(key: Any) -> tuple[str, ...]:
    """Return the directories of a package, ``CAT/PN`` first, in the order of eapply_user."""
    split = catpkgsplit(str(key.cpv))
    if split is None:
        return (str(key.cp),)
    category, name, version, revision = split
    slots = ("", f":{key.cpv.slot}") if hasattr(key.cpv, "slot") else ("",)
    p = f"{category}/{name}-{version}"
    return tuple(f"{prefix}{slot}" for prefix in (f"{category}/{name}", p, f"{p}-{revision}") for slot in slots)


def _querying(plain: Any) -> Any:
    @functools.wraps(plain)
    def query(self: Any, func: Callable[[str], Any], key: Any) -> Any:
        first, *rest = _places(key)
        patches = func(first).copy()
        for place in rest:
            patches |= func(place)
        return patches

    return query


def _containing(plain: Any) -> Any:
    @functools.wraps(plain)
    def contains(self: Any, key: Any) -> bool:
        return self._patch_sets is not None and any(place in self._patch_sets for place in _places(key))

    return contains


def find_digest(settings: Any, pkg: Any) -> str:
    """Return the digest of the user patches of a package, also with a Portage older than 3.0.83, which has none.

    Args:
        settings: Portage's configuration of its root.
        pkg: a package of the resolver, or a package string of Portage with a slot.
    """
    if hasattr(settings, "userPatchDigest"):
        return str(settings.userPatchDigest(pkg))
    slot = str(pkg.slot).partition("/")[0]
    return patch_digest.digest(_find_applied(settings["PORTAGE_CONFIGROOT"], str(pkg.cpv), slot))


def _find_applied(configroot: str, cpv: str, slot: str) -> dict[str, Path]:
    category, name, version, revision = catpkgsplit(cpv)
    package = patch_digest.Package(category=category, name=name, version=version, revision=revision, slot=slot)
    return patch_digest.find_applied(Path(configroot) / "etc/portage/patches", package)


def record_digests(settings: Any) -> None:
    """Write the digests of the user patches of a built package into its build-info, as Portage 3.0.83 does.

    Source: eapply_user in phase-helpers.sh of Portage 3.0.83; ebuilds up to EAPI 5 do not call it.
    """
    if settings.get("EAPI", "") in _WITHOUT_EAPPLY:
        return
    slot = settings.get("SLOT", "").partition("/")[0]
    applied = _find_applied(settings["PORTAGE_CONFIGROOT"], str(settings.mycpv), slot)
    if applied:
        info = Path(settings["PORTAGE_BUILDDIR"]) / "build-info"
        texts = (text for pair in patch_digest.sums(applied).items() for text in pair)
        (info / "user_patch.digests").write_bytes(b"".join(os.fsencode(text) + b"\0" for text in texts))
        (info / "USER_PATCHES").write_text(f"{patch_digest.digest(applied)}\n", encoding="ascii")


def changed(settings: Any, vardb: Any) -> Iterator[tuple[str, str, str, str]]:
    """Find installed packages that were built with other user patches than the current ones.

    Ebuilds up to EAPI 5 are skipped, since they never apply user patches.

    Args:
        settings: Portage's configuration of the root.
        vardb: Portage's vardbapi of the root.

    Returns:
        cpv, slot, recorded digest and current digest of each.
    """
    with mended():
        for cpv in vardb.cpv_all():
            recorded, eapi = vardb.aux_get(cpv, ["USER_PATCHES", "EAPI"])
            wanted = find_digest(settings, vardb._pkg_str(cpv, None))
            if recorded.strip().lower() != wanted and eapi not in _WITHOUT_EAPPLY:
                pkg = vardb._pkg_str(cpv, None)
                yield str(cpv), str(pkg.slot), recorded.strip().lower(), wanted


def changed_here(env: dict[str, str]) -> list[tuple[str, str, str, str]]:
    """Return what ``changed`` finds for the root and configroot of an environment, sorted."""
    with environment(env):
        trees = portage.create_trees(config_root=env["PORTAGE_CONFIGROOT"], target_root=env.get("ROOT", "/"))
        vartree = find_target(trees)["vartree"]
        return sorted(changed(vartree.settings, vartree.dbapi))


class Changed(PackageSet):  # type: ignore[misc]
    """``@gm-patches-changed``; a package leaves it when it is merged again."""

    _operations = ("merge", "unmerge")
    description = "installed packages whose user patches have changed since they were built"

    def __init__(self, settings: Any, vardb: Any) -> None:
        super().__init__()
        self._settings, self._vardb = settings, vardb

    @classmethod
    def singleBuilder(cls, options: Mapping[str, str], settings: Any, trees: Any) -> Self:  # noqa: N802 - Portage's name
        """Create the set from a section of sets.conf; Portage calls it."""
        return cls(settings, trees["vartree"].dbapi)

    def load(self) -> None:
        """Load the packages as slot atoms, so that the best version replaces each."""
        packages = changed(self._settings, self._vardb)
        self._setAtoms(sorted({f"{self._vardb._pkg_str(cpv, None).cp}:{slot}" for cpv, slot, _, _ in packages}))
