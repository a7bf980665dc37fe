# SPDX-License-Identifier: GPL-2.0-or-later
"""Reject binary packages before the resolver considers them, and fetched ones before they are merged.

depgraph skips a rejected package when it lists candidates, so that the next instance, repository or ebuild is used.
The package is listed with the reason below those that Portage itself ignores. If no candidate remains, the reason is
among the masks. ``--resume`` fails if its list requires a rejected package.

For a package on a binhost, the resolver knows only the index and the metadata that the binhost serves, which no digest
covers. So a package is checked again when it is fetched: the whole file is on disk, its digests are verified, and
nothing of it is merged yet.
"""

import functools
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from _emerge import depgraph as module
from _emerge.Binpkg import Binpkg as Task
from _emerge.depgraph import depgraph
from portage.util import writemsg
from portage.util.futures.executor.fork import ForkExecutor

from gentoomuch_portage.portage_adapter import private_api
from gentoomuch_portage.portage_adapter.binpkg import Binpkg, Reject, to_binpkg
from gentoomuch_portage.portage_adapter.downloads import remove_download
from gentoomuch_portage.portage_adapter.patching import swapped
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    from portage.util._async import AsyncTaskFuture
else:
    AsyncTaskFuture = LazyModule("portage.util._async.AsyncTaskFuture")

Reason = Callable[[Any], str | None]
"""``Reject`` for a package object of Portage's resolver."""
_REASON = "gentoomuch"
_REJECTED = "gm_rejected"


class _MaskReason(NamedTuple):
    """A reason among those of Portage, with the same attributes."""

    category: str
    message: str
    unmask_hint: None = None


@private_api.optional(private_api.FILTER)
@contextmanager
def hide_rejected(reject: Reject, heading: str) -> Iterator[None]:
    """Hide binary packages that ``reject`` rejects from Portage while the block runs.

    Args:
        reject: is called once for each instance that the resolver considers.
        heading: the end of the sentence ``have been ignored due to``.
    """
    reason = _remembering(reject)
    explains = private_api.provides(private_api.REASONS)
    with ExitStack() as held:
        hiding = _hiding(depgraph._iter_match_pkgs_atom, reason, explains=explains)
        held.enter_context(swapped(depgraph, "_iter_match_pkgs_atom", hiding))
        if explains:
            held.enter_context(_explained(reason, heading))
        yield


@contextmanager
def _explained(reason: Reason, heading: str) -> Iterator[None]:
    """Let Portage report rejected packages, and check --resume lists, while the block runs."""
    with ExitStack() as held:
        for name, wrap in (
            ("_loadResumeCommand", _resuming(depgraph._loadResumeCommand, depgraph.UnsatisfiedResumeDep, heading)),
            ("_show_ignored_binaries", _reporting(depgraph._show_ignored_binaries, heading)),
        ):
            held.enter_context(swapped(depgraph, name, wrap))
        held.enter_context(swapped(module, "_get_masking_status", _masking(module._get_masking_status, reason)))
        yield


def active() -> bool:
    """Whether a filter is already active."""
    return hasattr(getattr(depgraph, "_iter_match_pkgs_atom", None), "__wrapped__")


def _remembering(reject: Reject) -> Reason:
    """Return ``reject`` for packages of the resolver, with a cache of its results."""
    reasons: dict[Any, str | None] = {}

    def reason(pkg: Any) -> str | None:
        key = (pkg.root, pkg.cpv, pkg.cpv.build_id, pkg.cpv.build_time, pkg.cpv.mtime, pkg.cpv.file_size)
        if key not in reasons:
            reasons[key] = reject(to_binpkg(pkg))
        return reasons[key]

    return reason


def _hiding(plain: Any, reason: Reason, *, explains: bool) -> Any:
    @functools.wraps(plain)
    def hiding(self: Any, root_config: Any, pkg_type: str, *args: Any, **named: Any) -> Iterator[Any]:
        packages = plain(self, root_config, pkg_type, *args, **named)
        if pkg_type != "binary":
            yield from packages
            return
        for pkg in packages:
            if not (against := reason(pkg)):
                yield pkg
            elif explains:
                _rejected(self)[pkg] = against

    return hiding


def _resuming(plain: Any, unsatisfied: type[Exception], heading: str) -> Any:
    @functools.wraps(plain)
    def resuming(self: Any, resume_data: Any, *args: Any, **named: Any) -> Any:
        done = False
        try:
            done = plain(self, resume_data, *args, **named)
        except unsatisfied:
            if not _find_unreplaced(self, resume_data):
                raise
        if not (unreplaced := _find_unreplaced(self, resume_data)):
            return done
        _print_packages(unreplaced, heading)  # even with --quiet: this is why the run fails
        _rejected(self).clear()  # or they are reported again with all problems
        return False

    return resuming


def _reporting(plain: Any, heading: str) -> Any:
    @functools.wraps(plain)
    def reporting(self: Any) -> None:
        plain(self)
        _print_rejected(self, heading)

    return reporting


def _masking(plain: Any, reason: Reason) -> Any:
    @functools.wraps(plain)
    def masked(pkg: Any, *args: Any, **named: Any) -> Any:
        reasons = plain(pkg, *args, **named)
        if pkg.type_name == "binary" and (against := reason(pkg)):
            reasons.append(_MaskReason(_REASON, against))
        return reasons

    return masked


def _find_unreplaced(graph: Any, resume_data: Any) -> list[tuple[Any, str]]:
    """Return the rejected packages of a --resume list that have no replacement, each with its reason.

    Portage drops missing packages from that list and continues, so that the system would lack requested packages.
    """
    tasks = [task for task in resume_data.get("mergelist") or () if isinstance(task, list) and len(task) == 4]
    meant = {(root, cpv) for kind, root, cpv, action in tasks if (kind, action) == ("binary", "merge")}
    against = [(pkg, why) for pkg, why in _rejected(graph).items() if (pkg.root, str(pkg.cpv)) in meant]
    return [
        (pkg, why)
        for pkg, why in against
        if not any(_is_replacement(candidate, pkg) for candidate in _list_chosen(graph, pkg))
    ]


def _rejected(graph: Any) -> dict[Any, str]:
    """Return the rejected packages of a resolver, with their reasons; it takes them along to another process.

    They are not among the ignored binaries: before 3.0.83, Portage removes those of the version that it has chosen.
    """
    rejected: dict[Any, str] = vars(graph._dynamic_config).setdefault(_REJECTED, {})
    return rejected


def _list_chosen(graph: Any, pkg: Any) -> list[Any]:
    """Return the packages that the resolver has chosen, or keeps installed, in the slot of a package."""
    return list(graph._dynamic_config._package_tracker.match(pkg.root, pkg.slot_atom, installed=True))


def _is_replacement(candidate: Any, pkg: Any) -> bool:
    return candidate.type_name == "binary" and bool(candidate.cpv == pkg.cpv)


def _print_rejected(graph: Any, heading: str) -> None:
    """Print the rejected packages, except those for which a newer package was chosen."""
    if "--quiet" in graph._frozen_config.myopts:
        return
    rejected = [(pkg, why) for pkg, why in _rejected(graph).items() if not _is_outdated(pkg, _list_chosen(graph, pkg))]
    if rejected:
        graph._show_merge_list()
        _print_packages(rejected, heading)


def _is_outdated(pkg: Any, chosen: Iterable[Any]) -> bool:
    return any(candidate > pkg or (candidate.cpv == pkg.cpv and _is_newer(candidate, pkg)) for candidate in chosen)


def _is_newer(candidate: Any, other: Any) -> bool:
    return candidate.type_name == "binary" and (candidate.cpv.build_time or 0) > (other.cpv.build_time or 0)


def _print_packages(rejected: Iterable[tuple[Any, str]], heading: str) -> None:
    writemsg(f"\n!!! The following binary packages have been ignored due to {heading}:\n\n", noiselevel=-1)
    for pkg, why in sorted(rejected, key=lambda item: (item[0].cp, -(item[0].cpv.build_time or 0))):
        where = f" for {pkg.root}" if pkg.root_config.settings["ROOT"] != "/" else ""
        writemsg(f"    ={to_binpkg(pkg).name}{where} {why}\n", noiselevel=-1)
    writemsg("\n", noiselevel=-1)


@private_api.optional(private_api.FETCHED)
@contextmanager
def check_fetched(reject: Reject) -> Iterator[None]:
    """Fail fetched packages that ``reject`` rejects before they are merged, while the block runs.

    Args:
        reject: is called in another process, as it may be slow; the file has its final name, without ``.partial``.
    """
    plain = Task._verifier_exit

    @functools.wraps(plain)
    def verified(self: Any, verifier: Any) -> None:
        # With --fetchonly, the check is made when the package is used. The resolver has checked local packages; before
        # 3.0.83, Portage has no Package.remote, and packages that it fetched in advance look like local ones.
        local = not getattr(self.pkg, "remote", True)
        if verifier is None or verifier.returncode != os.EX_OK or self.opts.fetchonly or local:
            plain(self, verifier)
            return
        self._start_task(_asking(self, reject), lambda task: _answered(self, task, plain))

    with swapped(Task, "_verifier_exit", verified):
        yield


def _asking(task: Any, reject: Reject) -> Any:
    package, loop = to_binpkg(task.pkg), task.scheduler
    # A file that was fetched in the background or by an earlier run already has its final name.
    file = Path(task._fetched_pkg or task.pkg.root_config.trees["bintree"].getname(task.pkg.cpv))
    ask = functools.partial(_reason, reject, package, file)
    return AsyncTaskFuture.AsyncTaskFuture(future=loop.run_in_executor(ForkExecutor(loop=loop), ask))


def _reason(reject: Reject, package: Binpkg, file: Path) -> str | None:
    """Return the reason to reject a file, which Portage may still name ``....partial``."""
    with tempfile.TemporaryDirectory(prefix="gentoomuch-") as folder:
        named = Path(folder) / file.name.removesuffix(".partial")
        named.symlink_to(file.absolute())
        return reject(package._replace(path=named))


def _answered(task: Any, asking: Any, plain: Any) -> None:
    if asking.cancelled:
        task._default_final_exit(asking)
        return
    failed = asking.future.exception()
    why = f"it cannot be checked: {failed}" if failed else asking.future.result()
    if not why:
        plain(task, None)
        return
    if task._fetched_pkg:
        remove_download(Path(task._fetched_pkg))
    text = f"\n!!! ={to_binpkg(task.pkg).name} is not merged: {why}\n"
    log = task.settings.get("PORTAGE_LOG_FILE")
    task.scheduler.output(text, level=logging.ERROR, noiselevel=-1, log_path=log, background=False)
    task._current_task = None
    task._async_unlock_builddir(returncode=1)
