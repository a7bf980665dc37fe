"""Portage's own record of user patches: mended where it misses some, and told in words where it has numbers alone."""

import functools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from gentoomuch_portage.portage_adapter.patching import environment, swapped

NAMED = "GM_PATCHES"
"""The file of metadata in which a package tells the names of its patches, a line each: ``DIGEST NAME``."""


def parted(cpv: str) -> tuple[str, str, str, str]:
    """Category, name, version and revision (``r0`` where it has none) of a cpv.

    Raises:
        ValueError: it is none.
    """
    from portage.versions import catpkgsplit

    found = catpkgsplit(cpv)
    if found is None:
        raise ValueError(f"{cpv!r} is no cpv")
    category, name, version, revision = found
    return str(category), str(name), str(version), str(revision)


@contextmanager
def mended() -> Iterator[None]:
    """As long as the block runs, Portage looks for patches wherever its ebuilds do.

    eapply_user reads PN, P and P-PR; UserPatches of 3.0.83 reads PN and PF. So a patch in ``hello-2.0/`` is applied
    to hello-2.0-r1, and the package's digest is never the one that Portage looks for.
    """
    from portage.package.ebuild._config.UserPatches import UserPatches

    with ExitStack() as held:
        for name, wrap in (("_query", _querying), ("__contains__", _containing)):
            held.enter_context(swapped(UserPatches, name, wrap(getattr(UserPatches, name))))
        yield


def _places(key: Any) -> tuple[str, ...]:
    """``CAT/PN`` and so on, the least telling first, as eapply_user has them."""
    from portage.versions import catpkgsplit

    split = catpkgsplit(str(key.cpv))
    if split is None:
        return (str(key.cp),)
    category, name, version, revision = split
    slots = ("", f":{key.cpv.slot}") if hasattr(key.cpv, "slot") else ("",)
    p = f"{category}/{name}-{version}"
    return tuple(f"{one}{slot}" for one in (f"{category}/{name}", p, f"{p}-{revision}") for slot in slots)


def _querying(plain: Any) -> Any:
    @functools.wraps(plain)
    def query(self: Any, func: Callable[[str], Any], key: Any) -> Any:
        first, *rest = _places(key)
        found = func(first).copy()
        for one in rest:
            found |= func(one)
        return found

    return query


def _containing(plain: Any) -> Any:
    @functools.wraps(plain)
    def contains(self: Any, key: Any) -> bool:
        return self._patch_sets is not None and any(one in self._patch_sets for one in _places(key))

    return contains


@contextmanager
def named() -> Iterator[None]:
    """As long as the block runs, each package built tells the names of its user patches in ``NAMED``."""
    from portage.package.ebuild import doebuild

    plain = doebuild._post_src_install_write_metadata

    @functools.wraps(plain)
    def written(settings: Any) -> None:
        plain(settings)
        record(settings)

    with swapped(doebuild, "_post_src_install_write_metadata", written):
        yield


def record(settings: Any) -> None:
    """Write the names of its patches into the build-info of a package, where it has any."""
    info = Path(settings["PORTAGE_BUILDDIR"]) / "build-info"
    if lines := _lines(info / "user_patch.digests"):
        (info / NAMED).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _lines(digests: Path) -> list[str]:
    """Portage's own record in words: it parts digests and names by NUL, which no reader of text takes."""
    try:
        words = digests.read_bytes().decode("utf-8", "replace").strip("\0").split("\0")
    except FileNotFoundError:
        return []
    return [f"{digest} {json.dumps(name)[1:-1]}" for digest, name in zip(words[::2], words[1::2], strict=False)]


def changed(settings: Any, vardb: Any) -> Iterator[tuple[str, str, str, str]]:
    """The installed packages that were built with other user patches than they would get now.

    An ebuild of EAPI 5 and before applies none, whatever is configured: it cannot be rebuilt to have them.

    Args:
        settings: Portage's configuration of the root.
        vardb: what is installed in it.

    Returns:
        cpv, slot, the digest that is recorded and the one that it would get.
    """
    with mended():
        for cpv in vardb.cpv_all():
            recorded, eapi = vardb.aux_get(cpv, ["USER_PATCHES", "EAPI"])
            wanted = settings.userPatchDigest(vardb._pkg_str(cpv, None))
            if recorded.strip().lower() != wanted and eapi not in {"", "0", "1", "2", "3", "4", "5"}:
                pkg = vardb._pkg_str(cpv, None)
                yield str(cpv), str(pkg.slot), recorded.strip().lower(), wanted


def changed_here(env: dict[str, str]) -> list[tuple[str, str, str, str]]:
    """The same, of the root and the configroot of an environment."""
    import portage

    with environment(env):
        trees = portage.create_trees(config_root=env["PORTAGE_CONFIGROOT"], target_root=env.get("ROOT", "/"))
        vartree = trees[trees._target_eroot]["vartree"]
        return sorted(changed(vartree.settings, vartree.dbapi))
