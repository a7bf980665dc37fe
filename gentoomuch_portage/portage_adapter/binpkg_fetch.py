# SPDX-License-Identifier: GPL-2.0-or-later
"""Fetch packages of binhosts with our own program instead of Portage's FETCHCOMMAND.

Portage still decides when to fetch, how many files at once and where to. It writes the log and checks digests. It
starts our program as it starts wget. The program reads its request from standard input, and writes
its result to another pipe.
"""

import functools
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import portage.data
from _emerge import BinpkgFetcher
from _emerge.Binpkg import Binpkg
from _emerge.BinpkgVerifier import BinpkgVerifier
from portage.exception import DigestException, SignatureException

from gentoomuch_portage.errors import bare
from gentoomuch_portage.portage_adapter.binpkg import Place, to_binpkg
from gentoomuch_portage.portage_adapter.downloads import Downloads, Failure, Order, remove_download, remove_if_empty
from gentoomuch_portage.portage_adapter.patching import swapped

_MOST_RESULT = 4096
_HTTP = ("http://", "https://")


NOT_AS_LISTED = "it is not the file that its index describes"
_REJECTED = "package-rejected"


class _Run:
    """The state of the packages that a run fetches."""

    def __init__(self, downloads: Downloads) -> None:
        self.downloads = downloads
        self.places: dict[str, Place] = {}
        """By name and ROOT: Portage forgets the origin of a package when it is stored on this machine."""
        self.resumed: set[Place] = set()
        self._failed: set[Place] = set()

    def fail(self, place: Place, cpv: str, failure: Failure) -> None:
        """Report the failure of a package, once."""
        if place not in self._failed:
            self._failed.add(place)
            self.downloads.failed(place, cpv, failure)

    def is_rejected(self, place: Place) -> bool:
        """Whether a package must not be fetched, or not again."""
        return place in self._failed or bool(self.downloads.reject_reason(place))


@contextmanager
def fetched_by(downloads: Downloads) -> Iterator[None]:
    """Fetch packages of binhosts with our program, and report failures, while the block runs."""
    run = _Run(downloads)
    with ExitStack() as held:
        for holder, name, wrap in (
            (BinpkgFetcher._BinpkgFetcherProcess, "_start", _started),
            (BinpkgVerifier, "_digest_exception", _digest_failed),
            (Binpkg, "_verifier_exit", _verified),
            (Binpkg, "_unpack_metadata", _unpacked),
        ):
            held.enter_context(swapped(holder, name, wrap(getattr(holder, name), run)))
        yield


def _started(plain: Callable[..., None], run: _Run) -> Callable[..., None]:
    @functools.wraps(plain)
    def started(self: Any) -> None:
        place = _find_place(self.pkg)
        if place is None:
            plain(self)
            return
        tree = self.pkg.root_config.trees["bintree"]
        entry = tree._remotepkgs[tree.dbapi._instance_key(self.pkg.cpv)]
        if self.pretend:
            with _items(entry, {"BASE_URI": bare(entry.get("BASE_URI", ""))}):
                plain(self)
            return
        run.places[_name(self.pkg)] = place
        if run.is_rejected(place):
            remove_if_empty(Path(self.pkg_path))
            self.returncode = 1
            self._async_wait()
        elif place.url.startswith(_HTTP) and _is_ours(tree.settings, entry, place, run.downloads):
            _start_ours(self, plain, tree, entry, place, run)
        else:
            self.addExitListener(functools.partial(_ended, run, place, None))
            plain(self)

    return started


def _is_ours(settings: Any, entry: Any, place: Place, downloads: Downloads) -> bool:
    """Whether our program fetches a package: from one of our binhosts, or if FETCHCOMMAND has its default."""
    if downloads.is_ours(place.url):
        return True
    scheme = place.url.partition(":")[0].upper()
    usual = settings.configdict["globals"].get("FETCHCOMMAND")
    chosen = entry.get("FETCHCOMMAND") or settings.get(f"FETCHCOMMAND_{scheme}") or settings.get("FETCHCOMMAND")
    return bool(chosen == usual)


def _start_ours(process: Any, plain: Callable[..., None], tree: Any, entry: Any, place: Place, run: _Run) -> None:
    partial = Path(process.pkg_path)
    resume = _resumes(tree, partial, place)
    if resume:
        run.resumed.add(place)
    given, request = os.pipe()
    answer, result = os.pipe()
    order = Order(place, partial, resume, _user(tree.settings), result)
    with os.fdopen(request, "w", encoding="utf-8") as pipe:
        pipe.write(run.downloads.request(order))
    # The result pipe keeps its number in the child, so that it replaces no other descriptor.
    process.fd_pipes = {0: given, result: result}
    process.addExitListener(functools.partial(_ended, run, place, (answer, given, result)))
    words = shlex.join(run.downloads.argv) + ' "${FILE}"'
    with _items(entry, {"FETCHCOMMAND": words, "RESUMECOMMAND": words}):
        plain(process)


def _resumes(tree: Any, partial: Path, place: Place) -> bool:
    """Keep a partial file if it is a part of this package, and return whether it can be resumed.

    Portage resumes only the files in ``tree.invalids``. ``NAME.partial.gm`` identifies the package of a partial file.
    """
    mark, content = partial.with_name(f"{partial.name}.gm"), f"{bare(place.url)} {place.size} {place.digests}"
    same = mark.is_file() and mark.read_text(encoding="utf-8") == content
    resume = same and partial.is_file() and 0 < partial.stat().st_size < place.size
    if resume:
        tree.invalids.append(partial.name)
    elif partial.name in tree.invalids:
        tree.invalids.remove(partial.name)
    mark.write_text(content, encoding="utf-8")
    return resume


def _user(settings: Any) -> tuple[int, int, tuple[int, ...]] | None:
    """Return the user, group and groups of FEATURES=userfetch; None for the current user.

    Source: _spawn_fetch in portage/package/ebuild/fetch.py.
    """
    if os.geteuid() or "userfetch" not in settings.features or not portage.data.portage_uid:
        return None
    return int(portage.data.portage_uid), int(portage.data.portage_gid), tuple(map(int, portage.data.userpriv_groups))


def _ended(run: _Run, place: Place, pipes: Sequence[int] | None, process: Any) -> None:
    """Read the result of our program, and report a failure unless the download was cancelled."""
    text = ""
    if pipes:
        os.set_blocking(pipes[0], False)
        os.close(pipes[2])
        with suppress(BlockingIOError):  # a program that was ended wrote nothing, and its descriptor may be open yet
            text = os.read(pipes[0], _MOST_RESULT).decode()
        for number in pipes[:2]:
            os.close(number)
    if process.returncode in {None, 0}:
        return
    remove_if_empty(Path(process.pkg_path))
    if process.cancelled:
        return
    unknown = Failure("its binhost does not give it out", "download-failed")
    run.fail(place, str(process.pkg.cpv), (run.downloads.read(text) if text else None) or unknown)


def _digest_failed(plain: Callable[..., None], run: _Run) -> Callable[..., None]:
    """Remove a fetched file with other digests; Portage would rename it and never remove it."""

    @functools.wraps(plain)
    def failed(self: Any, name: str, value: Any, expected: Any) -> None:
        place, file = run.places.get(_name(self.pkg)), Path(self._pkg_path)
        if place is None or file.suffix != ".partial":
            plain(self, name, value, expected)
            return
        remove_download(file)
        text = f"!!! Reason: Failed on {name} verification\n!!! Got: {value}\n!!! Expected: {expected}\n"
        text = f"\n!!! Digest verification failed:\n!!! {file}\n{text}The file was removed\n"
        self.scheduler.output(text, log_path=self.logfile, background=self.background)
        # If a part was resumed, that part may be wrong: another run may fetch the whole file.
        run.fail(place, str(self.pkg.cpv), Failure(NOT_AS_LISTED, _REJECTED, lasting=place not in run.resumed))

    return failed


def _verified(plain: Callable[..., None], run: _Run) -> Callable[..., None]:
    @functools.wraps(plain)
    def exited(self: Any, verifier: Any) -> None:
        place, fetched = run.places.get(_name(self.pkg)), self._fetched_pkg
        if fetched:
            Path(f"{fetched}.gm").unlink(missing_ok=True)
        if place and verifier is not None and verifier.returncode not in {None, 0} and not verifier.cancelled:
            run.fail(place, str(self.pkg.cpv), Failure(NOT_AS_LISTED, _REJECTED, lasting=True))
        plain(self, verifier)
        whole = verifier is not None and verifier.returncode == 0
        if place and fetched and whole and getattr(self, "_pkg_path", None) is None:
            remove_download(Path(fetched))
            why = "its signature does not hold, or it is damaged"
            run.fail(place, str(self.pkg.cpv), Failure(why, _REJECTED, lasting=True))

    return exited


def _unpacked(plain: Callable[..., Any], run: _Run) -> Callable[..., Any]:
    @functools.wraps(plain)
    async def unpacked(self: Any, loop: Any = None) -> Any:
        try:
            return await plain(self, loop=loop)
        except (DigestException, SignatureException) as error:
            if place := run.places.get(_name(self.pkg)):
                why = f"its signature does not hold: {error}"
                run.fail(place, str(self.pkg.cpv), Failure(why, _REJECTED, lasting=True))
                remove_download(Path(self._pkg_path))
            raise

    return unpacked


@contextmanager
def _items(entry: Any, values: dict[str, str]) -> Iterator[None]:
    """Set values of a mapping while the block runs, then restore it."""
    before = dict(entry)
    entry.update(values)
    try:
        yield
    finally:
        entry.clear()
        entry.update(before)


def _name(pkg: Any) -> str:
    return f"{pkg.root} {pkg.cpv} {pkg.cpv.build_id}"


def _find_place(pkg: Any) -> Place | None:
    """Return the place of a package on its binhost; None if it is stored on this machine."""
    binpkg = to_binpkg(pkg)
    return binpkg.place if binpkg.url else None
