# SPDX-License-Identifier: GPL-2.0-or-later
"""Record metadata in packages that Portage builds in this process, and check them before they are merged."""

import functools
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _emerge.EbuildPhase import EbuildPhase
from portage.package.ebuild import doebuild
from portage.util.futures.executor.fork import ForkExecutor

from gentoomuch_portage.portage_adapter import build_info, private_api
from gentoomuch_portage.portage_adapter.binpkg import DOTGENTOO, RECORDED, Built
from gentoomuch_portage.portage_adapter.build_info import Requirement
from gentoomuch_portage.portage_adapter.patching import swapped
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    from portage.util._async import AsyncTaskFuture

    from gentoomuch_portage.portage_adapter import user_patches
else:
    user_patches = LazyModule("gentoomuch_portage.portage_adapter.user_patches")
    AsyncTaskFuture = LazyModule("portage.util._async.AsyncTaskFuture")


def recorded(requirement: Requirement, profile: str = "") -> AbstractContextManager[None]:
    """Record the CPU requirement and the profile in each package that is built while the block runs.

    Args:
        profile: may be empty.
    """
    return _recording(lambda settings: build_info.record(settings, requirement, profile))


def patches_recorded() -> AbstractContextManager[None]:
    """Record the names of user patches in each package that is built while the block runs."""
    return _recording(_record_patches)


def _record_patches(settings: Any) -> None:
    if private_api.is_older(private_api.PATCHES):
        user_patches.record_digests(settings)
    build_info.record_patches(settings)


def worktrees_recorded(trees: Mapping[str, str]) -> AbstractContextManager[None]:
    """Record the work tree in each package that is built from one, while the block runs.

    Args:
        trees: cpv -> text to record.
    """

    def write(settings: Any) -> None:
        if text := trees.get(str(settings.mycpv)):
            (Path(settings["PORTAGE_BUILDDIR"]) / "build-info" / DOTGENTOO).write_text(f"{text}\n", encoding="utf-8")

    return _recording(write)


@private_api.optional(private_api.RECORD)
@contextmanager
def _recording(write: Callable[[Any], None]) -> Iterator[None]:
    """Call a function after Portage has written the metadata of a built package, while the block runs."""
    plain = doebuild._post_src_install_write_metadata

    @functools.wraps(plain)
    def written(settings: Any) -> None:
        plain(settings)
        write(settings)

    with swapped(doebuild, "_post_src_install_write_metadata", written):
        yield


Check = Callable[[Built], str | None]
"""Return the reason to neither merge nor package a built package, or None."""


@private_api.optional(private_api.BUILT)
@contextmanager
def checked(check: Check, *, apart: bool = False) -> Iterator[None]:
    """Fail packages that ``check`` rejects at the end of src_install, while the block runs.

    Args:
        apart: call ``check`` in another process, as it may be slow.
    """
    plain = EbuildPhase._post_phase_exit

    @functools.wraps(plain)
    def exited(self: Any, post_phase: Any) -> None:
        if self.phase != "install" or post_phase.returncode != os.EX_OK:
            plain(self, post_phase)
        elif apart:
            self._start_task(_asking(self, check), functools.partial(_answered, self, post_phase, plain))
        else:
            _finish(self, post_phase, plain, check(_built(self.settings)))

    with swapped(EbuildPhase, "_post_phase_exit", exited):
        yield


def _built(settings: Any) -> Built:
    recorded = Path(settings["PORTAGE_BUILDDIR"]) / "build-info" / RECORDED
    return Built(
        cpv=str(settings.mycpv),
        slot=str(settings.get("SLOT", "")).partition("/")[0],
        repository=str(settings.get("PORTAGE_REPO_NAME", "")),
        root=settings["ROOT"],
        requires=recorded.read_text(encoding="utf-8") if recorded.is_file() else "",
        image=Path(settings["D"]),
    )


def _asking(phase: Any, check: Check) -> Any:
    loop = phase.scheduler
    ask = functools.partial(check, _built(phase.settings))
    return AsyncTaskFuture.AsyncTaskFuture(future=loop.run_in_executor(ForkExecutor(loop=loop), ask))


def _answered(phase: Any, post_phase: Any, plain: Any, asking: Any) -> None:
    if asking.cancelled:
        phase._default_final_exit(asking)
        return
    failed = asking.future.exception()
    phase._current_task = post_phase
    _finish(phase, post_phase, plain, f"it cannot be checked: {failed}" if failed else asking.future.result())


def _finish(phase: Any, post_phase: Any, plain: Any, why: str | None) -> None:
    """End src_install; with a reason, fail as if one of Portage's own checks after it had failed."""
    if why:
        subprocess = phase.settings.get("PORTAGE_BACKGROUND") == "subprocess"
        log = None if subprocess else phase.settings.get("PORTAGE_LOG_FILE")
        phase.scheduler.output(f"\n!!! {why}\n", level=logging.ERROR, noiselevel=-1, log_path=log, background=False)
        post_phase.returncode = 1
    plain(phase, post_phase)
