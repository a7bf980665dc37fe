"""The contract with plugins.

A plugin is a module, or any object, with functions marked by ``hookimpl``; its distribution names it under the
entry point group ``gentoomuch_portage``. A hook may grow arguments (pluggy passes an implementation
only those that it names) and never loses any: that is the promise, and there is no version number.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from gentoomuch_portage.plan import Part, Plan
    from gentoomuch_portage.portage_adapter.binpkgs import Binpkg, Reject
    from gentoomuch_portage.profiles import Profile
    from gentoomuch_portage.request import Request
    from gentoomuch_portage.settings import Settings

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
def gm_run_emerge(plan: "Plan", settings: "Settings", reject: "Reject") -> int | None:
    """Carry a plan out and return emerge's exit status, or None to leave it to the next plugin.

    Called once, and again where ``gm_again`` says so. The runner answers last; to stand around it, be a wrapper.

    Args:
        reject: says why a binary package must not be used, or None; ``gm_reject_binpkg`` of all plugins.
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
    """Return ``gentoomuch_portage.cli.Command`` records: further commands of ``gentoomuch``.

    Called once by ``gentoomuch``, never by ``gm-emerge``.
    """


@_hookspec
def gm_facts(settings: "Settings") -> Iterable[Mapping[str, str]]:  # type: ignore[empty-body]
    """Return rows for ``gentoomuch doctor``.

    Each a mapping with ``name``, ``state`` (``good``, ``bad`` or ``note``), ``text``, and perhaps ``remedy``.
    """
