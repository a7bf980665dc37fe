"""Keep the runs of two profiles apart where Portage keys its files by EROOT alone.

Portage's locks on overlayfs, where a file that was copied up and a new link to it differ in their numbers.

Portage proves by such a link that a lock file is still there, because of NFS. Where the folder below holds the lock
file already, as that of a killed or a busy emerge, it would try for ever.

Let Portage start the phases that build through a program of ours, where sys-apps/sandbox is missing.
"""

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from gentoomuch_portage import fs
from gentoomuch_portage.portage_adapter.patching import swapped


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
            fs.ensure(Path(self.filename).parent)
        plain(self)

    return committed


def _governed(plain: Callable[..., None], configroot: Callable[[], str]) -> Callable[..., None]:
    """Portage builds the configuration of ``/`` with config_root=None, which means the host's own."""

    @functools.wraps(plain)
    def located(self: Any, config_root: Any = None, *args: Any, **named: Any) -> None:
        plain(self, config_root if config_root is not None else configroot(), *args, **named)

    return located


@contextmanager
def overlaid() -> Iterator[None]:
    """As long as the block runs, a lock file is there if its name leads to it."""
    import portage.locks

    with swapped(portage.locks, "_lockfile_was_removed", _removed):
        yield


def _removed(lock_fd: int, lock_path: str) -> tuple[bool, os.stat_result | None]:
    """Whether a lock file has lost its name; as in portage.locks, with what fstat says."""
    held = os.fstat(lock_fd)
    try:
        named = os.stat(lock_path)
    except FileNotFoundError:
        return True, None
    same = (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)
    return (False, held) if same else (True, None)


def missing() -> bool:
    """Whether this Portage has no sandbox."""
    import portage.process

    return not portage.process.sandbox_capable


def group() -> int:
    """The number of Portage's group."""
    from portage.data import portage_gid

    return int(portage_gid)


@contextmanager
def shut(program: str) -> Iterator[None]:
    """As long as the block runs, ``program COMMAND`` is what FEATURES="sandbox usersandbox" mean."""
    import portage.process
    from portage.package.ebuild import config

    with ExitStack() as held:
        held.enter_context(swapped(portage.process, "SANDBOX_BINARY", program))
        held.enter_context(swapped(portage.process, "sandbox_capable", True))
        held.enter_context(swapped(config, "sandbox_capable", True))
        yield
