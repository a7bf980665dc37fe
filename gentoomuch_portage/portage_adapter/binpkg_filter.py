"""Binary packages that somebody has a reason against: refused before the resolver sees them.

What is refused is skipped where depgraph lists candidates (so the next instance, the next repository or the
ebuild is taken), told in the block in which Portage tells of ignored binary packages, and named among the
reasons of a mask where nothing is left. A list of ``--resume`` that needs one of them is not carried out.

Binary packages that have just been fetched: judged by what they are, before they are merged.

The resolver knows of a package on a binhost what its index tells and what the binhost shows of it, which no digest
covers. Here it lies on disk as a whole, its digests are compared, and nothing of it is merged yet.
"""

import functools
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from gentoomuch_portage.portage_adapter.binpkg import Binpkg, Reject, shown
from gentoomuch_portage.portage_adapter.patching import swapped

Reason = Callable[[Any], str | None]
"""``Reject`` of a package as Portage's resolver has it."""
_REASON = "gentoomuch"


@contextmanager
def sifted(reject: Reject, heading: str) -> Iterator[None]:
    """As long as the block runs, Portage sees no binary package that ``reject`` gives a reason against.

    Args:
        reject: asked once for each instance that the resolver looks at.
        heading: ends the sentence ``have been ignored due to``.
    """
    from _emerge import depgraph as module
    from _emerge.depgraph import depgraph

    reason = _remembering(reject)
    with ExitStack() as held:
        for name, wrap in (
            ("_iter_match_pkgs_atom", _sifting(depgraph._iter_match_pkgs_atom, reason)),
            ("_loadResumeCommand", _resuming(depgraph._loadResumeCommand, depgraph.UnsatisfiedResumeDep, heading)),
            ("_show_ignored_binaries", _telling(depgraph._show_ignored_binaries, heading)),
        ):
            held.enter_context(swapped(depgraph, name, wrap))
        held.enter_context(swapped(module, "_get_masking_status", _masking(module._get_masking_status, reason)))
        yield


def active() -> bool:
    """Whether somebody sifts already."""
    from _emerge.depgraph import depgraph

    return hasattr(depgraph._iter_match_pkgs_atom, "__wrapped__")


def _remembering(reject: Reject) -> Reason:
    """``reject`` for packages of the resolver, asked once for each."""
    heard: dict[Any, str | None] = {}

    def reason(pkg: Any) -> str | None:
        key = (pkg.root, pkg.cpv, pkg.cpv.build_id, pkg.cpv.build_time, pkg.cpv.mtime, pkg.cpv.file_size)
        if key not in heard:
            heard[key] = reject(shown(pkg))
        return heard[key]

    return reason


def _sifting(plain: Any, reason: Reason) -> Any:
    @functools.wraps(plain)
    def sifting(self: Any, root_config: Any, pkg_type: str, *args: Any, **named: Any) -> Iterator[Any]:
        found = plain(self, root_config, pkg_type, *args, **named)
        if pkg_type != "binary":
            yield from found
            return
        for pkg in found:
            if against := reason(pkg):
                self._dynamic_config.ignored_binaries.setdefault(pkg, {})[_REASON] = against
            else:
                yield pkg

    return sifting


def _resuming(plain: Any, unsatisfied: type[Exception], heading: str) -> Any:
    @functools.wraps(plain)
    def resuming(self: Any, resume_data: Any, *args: Any, **named: Any) -> Any:
        done = False
        try:
            done = plain(self, resume_data, *args, **named)
        except unsatisfied:
            if not _bereft(self, resume_data):
                raise
        if not (bereft := _bereft(self, resume_data)):
            return done
        _write(bereft, heading)  # with --quiet, too: it is why the run fails
        self._dynamic_config.ignored_binaries.clear()  # or they would be told again among all problems
        return False

    return resuming


def _telling(plain: Any, heading: str) -> Any:
    @functools.wraps(plain)
    def telling(self: Any) -> None:
        plain(self)
        _tell(self, heading)

    return telling


def _masking(plain: Any, reason: Reason) -> Any:
    from portage.package.ebuild.getmaskingstatus import _MaskReason

    @functools.wraps(plain)
    def masked(pkg: Any, *args: Any, **named: Any) -> Any:
        reasons = plain(pkg, *args, **named)
        if pkg.type_name == "binary" and (against := reason(pkg)):
            reasons.append(_MaskReason(_REASON, against))
        return reasons

    return masked


def _bereft(graph: Any, resume_data: Any) -> list[tuple[Any, str]]:
    """The refused packages that a list of --resume means and that nothing stands in for, each with the reason.

    Portage leaves out of that list what is gone, and carries on: to a system that lacks what was asked for.
    """
    tasks = [task for task in resume_data.get("mergelist") or () if isinstance(task, list) and len(task) == 4]
    meant = {(root, cpv) for kind, root, cpv, action in tasks if (kind, action) == ("binary", "merge")}
    against = [(pkg, why) for pkg, why in _refused(graph) if (pkg.root, str(pkg.cpv)) in meant]
    return [(pkg, why) for pkg, why in against if not any(_stands_in(one, pkg) for one in _chosen(graph, pkg))]


def _refused(graph: Any) -> list[tuple[Any, str]]:
    ignored = graph._dynamic_config.ignored_binaries.items()
    return [(pkg, against[_REASON]) for pkg, against in ignored if _REASON in against]


def _chosen(graph: Any, pkg: Any) -> list[Any]:
    """What a resolver has taken, or leaves installed, in the slot of a package."""
    return list(graph._dynamic_config._package_tracker.match(pkg.root, pkg.slot_atom, installed=True))


def _stands_in(one: Any, pkg: Any) -> bool:
    return one.type_name == "binary" and bool(one.cpv == pkg.cpv)


def _tell(graph: Any, heading: str) -> None:
    """Name what was refused, unless what was chosen is newer anyhow."""
    if "--quiet" in graph._frozen_config.myopts:
        return
    told = [(pkg, why) for pkg, why in _refused(graph) if not _outdone(pkg, _chosen(graph, pkg))]
    if told:
        graph._show_merge_list()
        _write(told, heading)


def _outdone(pkg: Any, chosen: Iterable[Any]) -> bool:
    return any(one > pkg or (one.cpv == pkg.cpv and _newer(one, pkg)) for one in chosen)


def _newer(one: Any, other: Any) -> bool:
    return one.type_name == "binary" and (one.cpv.build_time or 0) > (other.cpv.build_time or 0)


def _write(told: Iterable[tuple[Any, str]], heading: str) -> None:
    from portage.util import writemsg

    writemsg(f"\n!!! The following binary packages have been ignored due to {heading}:\n\n", noiselevel=-1)
    for pkg, why in sorted(told, key=lambda one: (one[0].cp, -(one[0].cpv.build_time or 0))):
        where = f" for {pkg.root}" if pkg.root_config.settings["ROOT"] != "/" else ""
        writemsg(f"    ={shown(pkg).name}{where} {why}\n", noiselevel=-1)
    writemsg("\n", noiselevel=-1)


@contextmanager
def judged(reject: Reject) -> Iterator[None]:
    """As long as the block runs, a fetched package that ``reject`` gives a reason against fails, and is not merged.

    Args:
        reject: asked in a process of its own, since it may take its time; the file has the name of a package.
    """
    from _emerge.Binpkg import Binpkg as Task

    plain = Task._verifier_exit

    @functools.wraps(plain)
    def verified(self: Any, verifier: Any) -> None:
        # What is only fetched is judged when it is used; what lay here before, the resolver has judged.
        if verifier is None or verifier.returncode != os.EX_OK or self.opts.fetchonly or not self.pkg.remote:
            plain(self, verifier)
            return
        self._default_exit(verifier)
        self._start_task(_asking(self, reject), lambda task: _answered(self, task, plain))

    with swapped(Task, "_verifier_exit", verified):
        yield


def _asking(task: Any, reject: Reject) -> Any:
    from portage.util._async.AsyncTaskFuture import AsyncTaskFuture
    from portage.util.futures.executor.fork import ForkExecutor

    package, loop = shown(task.pkg), task.scheduler
    # Fetched in the background or by an earlier run, it has its name already.
    file = Path(task._fetched_pkg or task.pkg.root_config.trees["bintree"].getname(task.pkg.cpv))
    ask = functools.partial(_reason, reject, package, file)
    return AsyncTaskFuture(future=loop.run_in_executor(ForkExecutor(loop=loop), ask))


def _reason(reject: Reject, package: Binpkg, file: Path) -> str | None:
    """What ``reject`` says of a file that Portage may still call ``....partial``."""
    with tempfile.TemporaryDirectory(prefix="gentoomuch-") as folder:
        named = Path(folder) / file.name.removesuffix(".partial")
        named.symlink_to(file.absolute())
        return reject(package._replace(path=named))


def _answered(task: Any, asking: Any, plain: Any) -> None:
    task._assert_current(asking)
    if asking.cancelled:
        task._default_final_exit(asking)
        return
    failed = asking.future.exception()
    why = f"it cannot be judged: {failed}" if failed else asking.future.result()
    if not why:
        plain(task, None)
        return
    if task._fetched_pkg:
        Path(task._fetched_pkg).unlink()
    said = f"\n!!! ={shown(task.pkg).name} is not merged: {why}\n"
    log = task.settings.get("PORTAGE_LOG_FILE")
    task.scheduler.output(said, level=logging.ERROR, noiselevel=-1, log_path=log, background=False)
    task._current_task = None
    task._async_unlock_builddir(returncode=1)
