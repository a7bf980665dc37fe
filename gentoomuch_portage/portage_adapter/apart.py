"""Keep the runs of two profiles apart where Portage keys its files by EROOT alone."""

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from gentoomuch_portage import files
from gentoomuch_portage.portage_adapter.swap import swapped


@contextmanager
def apart(*, state: Path, cache: Path, build_configroot: Callable[[], str]) -> Iterator[None]:
    """Give one profile its own resume list and binhost cache, and let it govern BDEPEND.

    Args:
        state: where the profile's ``mtimedb`` (the list of --resume) is kept.
        cache: where the indexes of its binhosts are kept.
        build_configroot: what governs packages installed in ``/`` where ROOT is another; empty otherwise. Asked anew
            whenever Portage reads its configuration.
    """
    import portage.dbapi.bintree as bintree
    from portage.package.ebuild._config.LocationsManager import LocationsManager
    from portage.util.mtimedb import MtimeDB

    with ExitStack() as held:
        # Not portage.MtimeDB, which is imported lazily: its first use would put the plain class in our place.
        held.enter_context(swapped(MtimeDB, "__init__", _moved(MtimeDB.__init__, state)))
        held.enter_context(swapped(MtimeDB, "commit", _kept(MtimeDB.commit)))
        # An absolute path wins in os.path.join(EROOT, CACHE_PATH, "binhost", ...): its only use there.
        held.enter_context(swapped(bintree, "CACHE_PATH", str(cache)))
        if build_configroot():
            plain = LocationsManager.__init__
            held.enter_context(swapped(LocationsManager, "__init__", _governed(plain, build_configroot)))
        yield


def _moved(plain: Callable[..., None], state: Path) -> Callable[..., None]:
    """MtimeDB, but of a file of this profile for each EROOT."""

    @functools.wraps(plain)
    def opened(self: Any, filename: str) -> None:
        eroot = filename.removesuffix("/var/cache/edb/mtimedb").strip("/").replace("/", "-")
        plain(self, str(state / "resume" / (eroot or "root") / "mtimedb"))

    return opened


def _kept(plain: Callable[..., None]) -> Callable[..., None]:
    """Writing it makes its folder; who only looks makes none."""

    @functools.wraps(plain)
    def committed(self: Any) -> None:
        if self.filename is not None and dict(self) != self._clean_data:
            files.ensure(Path(self.filename).parent)
        plain(self)

    return committed


def _governed(plain: Callable[..., None], configroot: Callable[[], str]) -> Callable[..., None]:
    """Portage builds the configuration of ``/`` with config_root=None, which means the host's own."""

    @functools.wraps(plain)
    def located(self: Any, config_root: Any = None, *args: Any, **named: Any) -> None:
        plain(self, config_root if config_root is not None else configroot(), *args, **named)

    return located
