# SPDX-License-Identifier: GPL-2.0-or-later
"""The contract between gentoomuch and its plugins.

A plugin is a module, or any object, with functions marked by ``hookimpl``. Its distribution names
it under the entry point group ``gentoomuch_portage``. ``examples/gm-lookout`` is a complete plugin
to copy.

Hooks are called in this order:

1. ``gm_parts``
2. ``gm_run_emerge``, which wraps everything up to ``gm_after_package``
3. ``gm_reject_binpkg``, while emerge resolves
4. ``gm_after_resolve``
5. for each package: ``gm_before_package``, ``gm_event`` for its phases, ``gm_before_merge``,
   ``gm_after_package``
6. ``gm_after_run``

Hooks run in the process and thread of emerge. The order between plugins is not defined. Without a
profile, no hook is called. In a container, only ``gm_run_emerge`` and ``gm_reject_binpkg`` are
called, since reports of code that is built there are not trusted.

The contract has no version number. These rules hold instead:

* A hook may get more arguments, and never loses one. pluggy passes only the arguments that an
  implementation names.
* The same holds for parts, for events, and for the fields of arguments: new ones are added, old
  ones stay. Arguments are ``Merge``, ``PackageResult``, ``Plan``, ``Profile``, ``Settings``,
  ``Request`` and ``Binpkg``. A test ensures that.
* ``gentoomuch_portage.api`` has all names that a plugin may import. All other names may move at any
  time.
* A deprecated hook works for at least one year, with a warning in each run in which a plugin
  implements it.
* Objects and modules of Portage are never passed. A plugin that imports them does so at its own
  risk.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import pluggy

from gentoomuch_portage.plan.merge import Merge, MergeListener, PackageResult

if TYPE_CHECKING:
    from gentoomuch_portage.config.profile import Profile
    from gentoomuch_portage.config.settings import Settings
    from gentoomuch_portage.plan.plan import Part, Plan
    from gentoomuch_portage.plan.request import Request
    from gentoomuch_portage.portage_adapter.binpkg import Binpkg, Reject
    from gentoomuch_portage.unmask.ledger import Entry

Follower = Callable[[Mapping[str, Any]], None]
"""Is called with each event, and with ``{"event": "tick"}`` every second while packages are merged."""


class RunListener(MergeListener, Protocol):
    """Is notified of each step of a run."""

    def follow(self, follower: Follower) -> None:
        """Call a function with each event from now on."""

    def on_binpkg_rejected(self, binpkg: "Binpkg", reason: str) -> None:
        """A binary package is not used."""

    def on_unmasked(self, entries: Iterable["Entry"]) -> None:
        """The run has unmasked something that it needs."""

    def on_container_resolved(self, merges: tuple[Merge, ...], goal: str, jobs: int, quiet: bool) -> None:
        """Emerge has resolved its list in a container."""

    def on_container_phase_start(self, merge: Merge, phase: str) -> None:
        """A phase starts in a container, where no plugin can reject it."""

    def on_container_built(self, files: Mapping[str, str]) -> None:
        """Binary packages were built in a container: ``cat/pkg-1.0-2`` -> file."""


GROUP = "gentoomuch_portage"
hookimpl = pluggy.HookimplMarker(GROUP)
_hookspec = pluggy.HookspecMarker(GROUP)


@_hookspec
def gm_parts(request: "Request", settings: "Settings", profile: "Profile") -> Iterable["Part"]:  # type: ignore[empty-body]
    """Return what to add to a run for a profile.

    Called once per run with a profile, before anything is done, also for ``--gm-explain``. Do not
    change anything. A plugin does not see the parts of others. Two plugins that set a variable to
    different values end the run.
    """


@_hookspec(firstresult=True)
def gm_run_emerge(plan: "Plan", settings: "Settings", reject: "Reject", listener: "RunListener | None") -> int | None:
    """Run a plan and return emerge's exit status, or None to leave it to the next plugin.

    Called once, and again if ``gm_again`` returns True. The runner answers last. Use a hook wrapper
    to act before and after it.

    Args:
        reject: returns why a binary package must not be used, or None; calls
            ``gm_reject_binpkg`` of all plugins.
        listener: gets events of emerge and passes them to all plugins. With ``follow``, a wrapper
            gets them as well. In a container it only sends them to the outside.
    """


@_hookspec
def gm_after_resolve(merges: tuple[Merge, ...], goal: str, plan: "Plan", settings: "Settings") -> None:
    """Receive the list of packages before emerge merges them; may stop the run.

    Called once per run, after the answer to ``--ask`` and before anything is fetched; never for
    ``--pretend``.

    Args:
        merges: in emerge's order.
        goal: ``merge``, ``build`` for --buildpkgonly, or ``fetch`` for --fetchonly.

    Raise a ``GmError`` to end the run with its message. Other exceptions end it with the name of the
    plugin.
    """


@_hookspec
def gm_before_package(merge: Merge, plan: "Plan", settings: "Settings") -> None:
    """Act before a package is fetched and built, or unpacked; raise a ``GmError`` to let it fail.

    With ``--keep-going``, emerge continues without it. Called in the process of emerge, between its
    jobs: be quick.
    """


@_hookspec
def gm_before_merge(merge: Merge, plan: "Plan", settings: "Settings") -> None:
    """Act before a finished package is merged to its root; raise a ``GmError`` to let it fail.

    No file of it is on the live system yet. Not called for --buildpkgonly and --fetchonly.
    """


@_hookspec
def gm_after_package(merge: Merge, done: PackageResult, plan: "Plan", settings: "Settings") -> None:
    """Receive the result of a package: its status, its time, and the time of each phase.

    An exception here is one line of warning. The plugin is not called again in this run.
    """


@_hookspec
def gm_event(event: Mapping[str, Any], plan: "Plan", settings: "Settings") -> None:
    """Receive each event of a run, as ``--gm-json=FILE`` writes it.

    ``event["event"]`` has the kind of the event:

    * ``started``, ``ended``: of the run
    * ``resolved``, ``unmasked``
    * ``rejected``: a binary package
    * ``phase-started``, ``phase-ended``: a phase of a package
    * ``package``: the result of a package

    docs/history.md lists their keys. Ignore events and keys that you do not know, since more will
    be added.

    An exception here is one line of warning. The plugin is not called again in this run.
    """


@_hookspec(firstresult=True)
def gm_reject_binpkg(binpkg: "Binpkg", plan: "Plan", settings: "Settings") -> str | None:
    """Return why this binary package must not be used, or None to accept it.

    Called once for each instance that the resolver sees, up to thousands of times per run: answer
    from memory. The reason ends the line ``=cat/pkg-1.0-2 ...`` in Portage's block of ignored
    packages.
    """


@_hookspec(firstresult=True)
def gm_again(plan: "Plan", settings: "Settings", status: int) -> bool | None:
    """Return True to run emerge again after a failure.

    Called a few times at most. Return True only if the next run will differ.
    """


@_hookspec
def gm_after_run(plan: "Plan", settings: "Settings", status: int, seconds: float) -> None:
    """Receive the result of a run.

    Args:
        status: emerge's exit status; 128 + N if signal N ended it.
        seconds: how long emerge took.

    An exception here is one line of warning, since the run is over.
    """


@_hookspec
def gm_commands() -> Iterable[Any]:  # type: ignore[empty-body]
    """Return ``Command`` records: more commands of ``gentoomuch``.

    Called once by ``gentoomuch``, never by ``gm-emerge``.
    """


@_hookspec
def gm_facts(settings: "Settings") -> Iterable[Mapping[str, str]]:  # type: ignore[empty-body]
    """Return rows for ``gentoomuch doctor``.

    Each row is a mapping with ``name``, ``state`` (``good``, ``bad`` or ``note``), ``text``, and
    optionally ``hint``.
    """
