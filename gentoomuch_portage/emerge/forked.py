# SPDX-License-Identifier: GPL-2.0-or-later
"""Run gm-emerge several times in forks of one process, which imports this module once.

The forks share what is imported here: that takes longer than to resolve the dependencies of a small system.
"""

import gc
import json
import os
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple, Self

from gentoomuch_portage import fs, process
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.emerge import main, run, unmask_grants  # noqa: F401 - for the forks
from gentoomuch_portage.emerge.prepare import Prepared, prepare
from gentoomuch_portage.plan.request import Request
from gentoomuch_portage.plugins.hookspec import hookimpl
from gentoomuch_portage.portage_adapter import (  # noqa: F401 - for the forks
    autounmask,
    binpkg_build,
    binpkg_filter,
    emerge,
    isolation,
    lazy_index,
    preload,
    private_api,
    remask,
    task_events,
    user_patches,
)


class _Recorder:
    """A plugin that records the events of a run in a fork, for this process."""

    def __init__(self) -> None:
        self._file = os.memfd_create("gentoomuch-events")

    @hookimpl
    def gm_event(self, event: Mapping[str, Any]) -> None:
        if event["event"] in {"resolved", "package"} or (event["event"] == "phase-ended" and event["status"]):
            fs.write_line(self._file, "memory", json.dumps(event, default=str))

    def read_and_close(self) -> list[dict[str, Any]]:
        """Return the recorded events."""
        with os.fdopen(self._file, "rb") as file:
            file.seek(0)
            return [json.loads(line) for line in file]


class ForkedRun(NamedTuple):
    """A prepared gm-emerge that runs in a fork of this process."""

    prepared: Prepared
    recorder: _Recorder

    @classmethod
    def prepare(cls, settings: Settings, profile: str, arguments: Iterable[str]) -> Self:
        """Prepare ``gm-emerge --gm-profile=PROFILE ARGUMENTS``.

        Raises:
            GmError: the profile, a file of the configuration, a plugin or an argument is not valid, or Portage
                lacks a name that is needed.
        """
        private_api.check()
        recorder = _Recorder()
        request = Request.parse((f"--gm-profile={profile}", *arguments), os.environ)
        return cls(prepare(request, settings, profile, [("recorder", recorder)]), recorder)

    def run(self, environment: Mapping[str, str]) -> int:
        """Run it once in a fork, and return its exit status; -N if signal N ended it.

        Args:
            environment: variables that are set besides those of this process.

        Raises:
            KeyboardInterrupt: the fork did not end within some seconds of Ctrl-C.
        """
        emerge.load()
        preload.import_modules()
        gc.freeze()  # garbage collection in the fork would copy the memory
        return process.run_forked(partial(_run, self.prepared, environment))

    def read_events(self) -> list[dict[str, Any]]:
        """Return the events ``resolved`` and ``package``, and phases that failed."""
        return self.recorder.read_and_close()


def _run(prepared: Prepared, environment: Mapping[str, str]) -> int:
    # Processes that multiprocessing spawns import this module first, as for the program gm-emerge.
    sys.modules["__main__"] = main
    os.environ.update(environment)
    gc.disable()  # emerge excludes the objects that exist from it, and enables it
    return main.run_to_end(partial(run.run_prepared, prepared))
