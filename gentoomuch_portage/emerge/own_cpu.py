# SPDX-License-Identifier: GPL-2.0-or-later
"""Check that the CPU of this machine can run what a profile merges into this machine's own system."""

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.portage_names import PROFILE_BASHRC
from gentoomuch_portage.config.profile import cpu_unnamed
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot import cross
from gentoomuch_portage.errors import ConfigError, GmError
from gentoomuch_portage.isa.abi import Abi
from gentoomuch_portage.isa.cached import find_answer
from gentoomuch_portage.plan.plan import Line, Part, Plan
from gentoomuch_portage.plugins.hookspec import hookimpl
from gentoomuch_portage.portage_adapter import paths
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    from gentoomuch_portage.isa import machine
    from gentoomuch_portage.portage_adapter import emerge_arguments
else:
    emerge_arguments = LazyModule("gentoomuch_portage.portage_adapter.emerge_arguments")
    machine = LazyModule("gentoomuch_portage.isa.machine")

_ALWAYS_HERE = frozenset({"-march=native", "-mcpu=native"})


class CpuNotHere(ConfigError):
    """The root of the profile is ``/``, but this machine cannot run code for its ``cpu``.

    Attributes:
        place: ``FILE:LINE`` that sets the CPU or the root; the file of the profile if no line of it does.
    """

    code = "cpu-not-here"

    def __init__(self, place: str, profile: str, root: str, reason: str) -> None:
        super().__init__(
            f"{place}: cannot merge into {root}: it is the system of this machine, which cannot run code for "
            f"profile {profile!r}: the code {reason}",
            hint=f'root = "/srv/roots/{profile}" in the profile; or only build: gm-emerge --buildpkgonly',
        )
        self.place, self.profile, self.root = place, profile, root


def find_excess(plan: Plan, settings: Settings) -> CpuNotHere | None:
    """Return why a profile cannot be merged into its root, or None.

    Args:
        plan: a plan with its configroots on disk.
    """
    return _find(plan, settings, plan.root) if plan.own else None


def _find(plan: Plan, settings: Settings, root: str) -> CpuNotHere | None:
    if plan.cpu in _ALWAYS_HERE:
        return None
    reason = _find_reject_reason(plan, settings.cache)
    return CpuNotHere(_place(plan, settings), plan.profile, root, reason) if reason else None


def _find_reject_reason(plan: Plan, cache: Path) -> str:
    """Return why this machine cannot run code of a profile; empty if it can, or if that is unknown."""

    def query() -> str:
        return machine.runs_here(plan.cpu, Abi.parse(plan.abi), cache).reason

    return find_answer(cache, f"runs\0{plan.cpu}\0{plan.abi}", query, str)


def find_unnamed(plan: Plan, settings: Settings) -> ConfigError | None:
    """Return the error for a profile of another machine that sets no CPU, and whose layers set native."""
    named = any(plugin == "cpu" for plugin, _ in plan.parts)
    if plan.own or named or plan.base != "none" or "native" not in plan.cpu:
        return None
    return cpu_unnamed(_place(plan, settings), plan.profile)


def check(plan: Plan, settings: Settings, arguments: Iterable[str]) -> None:
    """Reject a run that would merge code into this machine's system that its CPU cannot run.

    Args:
        plan: a plan with its configroots on disk.
        arguments: of emerge.

    Raises:
        CpuNotHere: the run would do that.
        ConfigError[cpu-unnamed]: the profile is of another machine, and its CPU is not set.
    """
    if unnamed := find_unnamed(plan, settings):
        raise unnamed
    arguments = tuple(arguments)
    root = emerge_arguments.find_directory(arguments, "--root")
    if root and not plan.own and cross.is_own(Path(root).absolute(), paths.eprefix()):
        excess = _find(plan, settings, root)
    else:
        excess = find_excess(plan, settings)
    if excess is not None and emerge_arguments.parse(arguments).merges:
        raise excess


def find_excess_anywhere(plan: Plan, settings: Settings) -> CpuNotHere | None:
    """Return why the packages of a profile cannot be merged into this machine's system, or None; its root may differ.

    Args:
        plan: a plan with its configroots on disk.

    Raises:
        ConfigError[cpu-unnamed]: the profile is of another machine, and its CPU is not set.
    """
    if unnamed := find_unnamed(plan, settings):
        raise unnamed
    return _find(plan, settings, plan.root if plan.own else "/")


_GUARD = """
if [[ ${EBUILD_PHASE} == preinst ]]; then
	[[ ${ROOT:-/} -ef / ]] && die MESSAGE
	for __gm_part in DIRECTORIES; do
		[[ ${EPREFIX}/${__gm_part} -ef ${EROOT%/}/${__gm_part} ]] && die MESSAGE
	done
	unset __gm_part
fi
"""


class Guard:
    """A plugin that keeps packages for another CPU out of this machine's system, with any program that merges them.

    It lets pkg_preinst fail, the last phase before a package is merged.
    """

    def __init__(self, excess: CpuNotHere) -> None:
        self._excess = excess

    @hookimpl
    def gm_parts(self) -> Iterator[Part]:
        message = shlex.quote(f"gentoomuch: {self._excess.message}  [{self._excess.code}]")
        names = " ".join(shlex.quote(name) for name in cross.SYSTEM)
        yield Line(PROFILE_BASHRC, _GUARD.replace("DIRECTORIES", names).replace("MESSAGE", message))


def _place(plan: Plan, settings: Settings) -> str:
    """Return ``FILE:LINE`` that sets the CPU or the root, if the profile is stored on this machine."""
    try:
        profile = config_profile.read(settings, plan.profile)
    except GmError:  # a plan may come from another machine
        return f"profile {plan.profile}"
    places = [profile.where(key) for key in ("cpu", "root")]
    return next((place for place in places if place != str(profile.file)), str(profile.file))
