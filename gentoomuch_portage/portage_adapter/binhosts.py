"""The binhosts that Portage knows: asked for their indexes by us, one timeout for each, downloads continued."""

import functools
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr
from pathlib import Path
from typing import Any, NamedTuple

from gentoomuch_portage.errors import bare
from gentoomuch_portage.portage_adapter.binpkg import Place
from gentoomuch_portage.portage_adapter.lazy_index.remote import Bring, remotely
from gentoomuch_portage.portage_adapter.lazy_index.sources import Refused
from gentoomuch_portage.portage_adapter.patching import swapped


class Known(NamedTuple):
    """What a configroot says of binhosts."""

    urls: Mapping[str, str]
    """Name -> URL."""
    home: Path
    """Portage's directory of keys."""


def known(host: Path) -> Known:
    """The binhosts of an ``etc/portage``, and where Portage keeps their keys."""
    import portage
    from portage.binrepo.config import BinRepoConfigLoader

    root = str(host.parent.parent)
    with redirect_stderr(io.StringIO()):
        settings = portage.config(config_root=root, env={})
        repos = BinRepoConfigLoader((str(host / "binrepos.conf"),), settings)
    home = settings.get("BINPKG_GPG_VERIFY_GPG_HOME") or str(host / "gnupg")
    return Known({name: one.sync_uri for name, one in repos.items()}, Path(home))


Failed = Callable[[Place, str, str], None]
"""``failed(place, cpv, why)``: a package of a binhost could not be had, or was refused."""


@contextmanager
def asked(cache: Path, bring: Bring, failed: Failed, dead: Callable[[str], bool], refused: Refused) -> Iterator[None]:
    """As long as the block runs, ask for the indexes of binhosts ourselves, and hear of packages that fail.

    Args:
        cache: indexes are kept there, each below a name that all of its URL makes.
        dead: whether the binhost of a URL is not to be asked any more.
        refused: why a package was refused; empty where it was not. It makes way for the same one of another binhost.
    """
    from _emerge.Binpkg import Binpkg
    from _emerge.BinpkgFetcher import _BinpkgFetcherProcess

    with ExitStack() as held:
        held.enter_context(remotely(cache, bring, refused))
        held.enter_context(swapped(_BinpkgFetcherProcess, "_start", _continuing(_BinpkgFetcherProcess._start, dead)))
        places: dict[str, Place] = {}
        for name, wrap in (("_fetcher_exit", _fetched), ("_verifier_exit", _verified), ("_unpack_metadata", _unpacked)):
            held.enter_context(swapped(Binpkg, name, wrap(getattr(Binpkg, name), places, failed)))
        yield


def _continuing(plain: Callable[..., None], dead: Callable[[str], bool]) -> Callable[..., None]:
    """Portage continues a download only where it knows the file for damaged; we know what it was a part of."""

    @functools.wraps(plain)
    def started(self: Any) -> None:
        place = _offered(self.pkg)
        if place is None or self.pretend:
            plain(self)
            return
        if dead(place.url):
            self.returncode = 1
            self._async_wait()
            return
        tree, partial = self.pkg.root_config.trees["bintree"], Path(self.pkg_path)
        mark, told = partial.with_name(f"{partial.name}.gm"), f"{bare(place.url)} {place.size} {place.digests}"
        same = mark.is_file() and mark.read_text(encoding="utf-8") == told
        if same and partial.is_file() and 0 < partial.stat().st_size < place.size:
            tree.invalids.append(partial.name)
        elif partial.name in tree.invalids:
            tree.invalids.remove(partial.name)
        mark.write_text(told, encoding="utf-8")
        plain(self)

    return started


def _fetched(plain: Callable[..., None], places: dict[str, Place], failed: Failed) -> Callable[..., None]:
    @functools.wraps(plain)
    def exited(self: Any, fetcher: Any) -> None:
        if (place := _offered(self.pkg)) is not None:
            places[_name(self.pkg)] = place  # Portage forgets it once the package lies here
            if _ended_badly(fetcher):
                failed(place, str(self.pkg.cpv), "its binhost does not give it out")
        plain(self, fetcher)

    return exited


def _verified(plain: Callable[..., None], places: dict[str, Place], failed: Failed) -> Callable[..., None]:
    @functools.wraps(plain)
    def exited(self: Any, verifier: Any) -> None:
        place, fetched = places.get(_name(self.pkg)), self._fetched_pkg
        if fetched:
            Path(f"{fetched}.gm").unlink(missing_ok=True)
        if place and _ended_badly(verifier):
            failed(place, str(self.pkg.cpv), "it is not the file that its index tells of")
        plain(self, verifier)
        whole = verifier is not None and verifier.returncode == 0
        if place and fetched and whole and getattr(self, "_pkg_path", None) is None:
            failed(place, str(self.pkg.cpv), "its signature does not hold, or it is damaged")

    return exited


def _ended_badly(task: Any) -> bool:
    """Whether a task of Portage failed by itself; one that the user broke off says nothing about a package."""
    return task is not None and task.returncode not in {None, 0} and not task.cancelled


def _unpacked(plain: Callable[..., Any], places: dict[str, Place], failed: Failed) -> Callable[..., Any]:
    from portage.exception import DigestException, SignatureException

    @functools.wraps(plain)
    async def unpacked(self: Any, loop: Any = None) -> Any:
        try:
            return await plain(self, loop=loop)
        except (DigestException, SignatureException) as error:
            if place := places.get(_name(self.pkg)):
                failed(place, str(self.pkg.cpv), f"its signature does not hold: {error}")
                Path(self._pkg_path).unlink(missing_ok=True)
            raise

    return unpacked


def _name(pkg: Any) -> str:
    return f"{pkg.root} {pkg.cpv} {pkg.cpv.build_id}"


def _offered(pkg: Any) -> Place | None:
    """Where a package is offered by a binhost; None where it lies here."""
    from gentoomuch_portage.portage_adapter.binpkg import shown

    found = shown(pkg)
    return found.place if found.url else None
