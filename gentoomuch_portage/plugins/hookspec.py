"""The contract with plugins.

A plugin is a module, or any object, with functions marked by ``hookimpl``; its distribution names it under the
entry point group ``gentoomuch_portage``. ``examples/gm-lookout`` is a whole one, to be copied.

What happens in a run, in this order: ``gm_parts``; ``gm_run_emerge`` stands around all of the rest but the last;
``gm_reject_binpkg`` while emerge resolves; ``gm_after_resolve``; for each package ``gm_before_package``, its fetching
and its phases (``gm_event``), ``gm_before_merge``, ``gm_after_package``; ``gm_after_run``. They are called in
emerge's own process and thread, those of several plugins in no promised order. Without a profile none is called. In a
container no more is called than ``gm_run_emerge`` and ``gm_reject_binpkg``: what is built there is not trusted to tell.

What is promised, and there is no version number beside it:

* A hook may grow arguments (pluggy passes an implementation only those that it names) and never loses any. The same
  holds for the fields of what is handed over (``Merge``, ``Done``, ``Plan``, ``Profile``, ``Settings``, ``Request``,
  ``Binpkg``), for the parts, and for events: new kinds and keys come, old ones stay. A test holds us to it.
* These names can be imported and stay where they are: ``plugins.hookspec.hookimpl``, the parts and ``Plan`` of
  ``plan.plan``, ``plan.merge.Merge`` and ``plan.merge.Done``, ``config.settings.Settings``,
  ``config.isolation_kinds.Asked``, ``errors`` down to ``MachineError``, ``ConfigError``, ``UsageError`` and
  ``RunError``, ``cli.command.Command``. All else may move at any time.
* A hook that has to go is kept for a year at least, and warns in each run in which a plugin answers it.
* What is Portage's (its objects, its modules) is never handed over: a plugin that imports them is on its own.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from gentoomuch_portage.config.profile import Profile
    from gentoomuch_portage.config.settings import Settings
    from gentoomuch_portage.events.reporter import Watch
    from gentoomuch_portage.plan.merge import Done, Merge
    from gentoomuch_portage.plan.plan import Part, Plan
    from gentoomuch_portage.plan.request import Request
    from gentoomuch_portage.portage_adapter.binpkg import Binpkg, Reject

GROUP = "gentoomuch_portage"
hookimpl = pluggy.HookimplMarker(GROUP)
_hookspec = pluggy.HookspecMarker(GROUP)


@_hookspec
def gm_parts(request: "Request", settings: "Settings", profile: "Profile") -> Iterable["Part"]:  # type: ignore[empty-body]
    """Return what to add to a run for a profile.

    Called once a run, before anything is done, also for ``--gm-explain``: read, decide, and change nothing.
    No plugin sees the parts of another; two that set one variable to different values end the run.
    Not called without a profile.
    """


@_hookspec(firstresult=True)
def gm_run_emerge(plan: "Plan", settings: "Settings", reject: "Reject", watch: "Watch | None") -> int | None:
    """Carry a plan out and return emerge's exit status, or None to leave it to the next plugin.

    Called once, and again where ``gm_again`` says so. The runner answers last; to stand around it, be a wrapper.

    Args:
        reject: says why a binary package must not be used, or None; ``gm_reject_binpkg`` of all plugins.
        watch: is told what emerge does, and tells all plugins; ``follow`` lets a wrapper hear it as well. In a
            container it only passes on what emerge does, to be told outside.
    """


@_hookspec
def gm_after_resolve(merges: tuple["Merge", ...], goal: str, plan: "Plan", settings: "Settings") -> None:
    """Hear what emerge is about to do, and perhaps refuse it.

    Called once a run, after ``--ask`` was answered and before anything is fetched; never for ``--pretend``.

    Args:
        merges: in emerge's order.
        goal: ``merge``; ``build`` for --buildpkgonly, ``fetch`` for --fetchonly.

    Raise a ``GmError`` to end the run with its message; anything else that is raised ends it with the plugin's name.
    """


@_hookspec
def gm_before_package(merge: "Merge", plan: "Plan", settings: "Settings") -> None:
    """Hear that a package is about to be fetched and built, or unpacked; raise a ``GmError`` to let it fail.

    With ``--keep-going`` emerge goes on without it. Called in emerge's own process, between its jobs: be quick.
    """


@_hookspec
def gm_before_merge(merge: "Merge", plan: "Plan", settings: "Settings") -> None:
    """Hear that a finished package is about to be merged to its root; raise a ``GmError`` to let it fail.

    Nothing of it is on the live system yet. Not called for --buildpkgonly and --fetchonly.
    """


@_hookspec
def gm_after_package(merge: "Merge", done: "Done", plan: "Plan", settings: "Settings") -> None:
    """Hear how a package ended: its status, how long it took, and how long each phase.

    An exception here is one line of warning, and that plugin hears no more of this run.
    """


@_hookspec
def gm_event(event: Mapping[str, Any], plan: "Plan", settings: "Settings") -> None:
    """Hear all that happens in a run: what ``--gm-json=FILE`` writes, as it is written.

    ``event["event"]`` is ``begun``, ``refused`` (a binary package), ``unmasked``, ``resolved``, ``entered``, ``left``
    (a phase of a package: fetch, those of the ebuild, package, merge; task for all up to the merge), ``package`` or
    ``ended``; docs/history.md has their keys. There will be more kinds, and more keys: pass over what you do not know.

    An exception here is one line of warning, and that plugin hears no more of this run.
    """


@_hookspec(firstresult=True)
def gm_reject_binpkg(binpkg: "Binpkg", plan: "Plan", settings: "Settings") -> str | None:
    """Return why this binary package must not be used here, or None to let it pass.

    Called once for each instance that the resolver looks at, up to thousands of times a run: answer from what you
    hold. The reason ends the line ``=cat/pkg-1.0-2 ...`` of the block that Portage shows.
    """


@_hookspec(firstresult=True)
def gm_again(plan: "Plan", settings: "Settings", status: int) -> bool | None:
    """Return True where emerge is to be run once more, with what is known by now.

    Called after a run that failed, a few times at most. Answer True only where the next run will differ.
    """


@_hookspec
def gm_after_run(plan: "Plan", settings: "Settings", status: int, seconds: float) -> None:
    """Hear how a run ended.

    Args:
        status: emerge's exit status; 128 + N where signal N ended it.
        seconds: how long emerge took.

    An exception here is one line of warning: the run is over.
    """


@_hookspec
def gm_commands() -> Iterable[Any]:  # type: ignore[empty-body]
    """Return ``gentoomuch_portage.cli.command.Command`` records: further commands of ``gentoomuch``.

    Called once by ``gentoomuch``, never by ``gm-emerge``.
    """


@_hookspec
def gm_facts(settings: "Settings") -> Iterable[Mapping[str, str]]:  # type: ignore[empty-body]
    """Return rows for ``gentoomuch doctor``.

    Each a mapping with ``name``, ``state`` (``good``, ``bad`` or ``note``), ``text``, and perhaps ``remedy``.
    """
