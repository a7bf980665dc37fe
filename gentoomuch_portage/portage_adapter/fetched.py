"""Binary packages that have just been fetched: judged by what they are, before they are merged.

The resolver knows of a package on a binhost what its index tells and what the binhost shows of it, which no digest
covers. Here it lies on disk as a whole, its digests are compared, and nothing of it is merged yet.
"""

import functools
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gentoomuch_portage.portage_adapter.binpkgs import Binpkg, Reject, shown
from gentoomuch_portage.portage_adapter.swap import swapped


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
