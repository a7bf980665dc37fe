# SPDX-License-Identifier: GPL-2.0-or-later
"""Check a new build against the CPU that it is for, with the same verdict as for a binary package."""

from collections.abc import Iterator
from pathlib import Path

from gentoomuch_portage.binpkg_filter import cpu
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot import cpu_lines
from gentoomuch_portage.configroot.cpu_lines import CpuLine
from gentoomuch_portage.configroot.layers import Composed, Source, compose, list_sources
from gentoomuch_portage.errors import GmError, RunError
from gentoomuch_portage.isa import cpu as isa_cpu
from gentoomuch_portage.isa import flags as isa_flags
from gentoomuch_portage.isa import machine, requirement
from gentoomuch_portage.isa.requirement import Requirement, Verdict
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.portage_adapter import atoms
from gentoomuch_portage.portage_adapter.binpkg import Built


class CpuExceeded(RunError):
    """A package that was built has code that the CPU of the profile cannot run.

    Attributes:
        lines: lines of the configuration that caused it, as far as they can be found.
    """

    code = "cpu-exceeded"

    def __init__(self, cpv: str, profile: str, reason: str, lines: tuple[CpuLine, ...]) -> None:
        super().__init__(
            f"cannot merge {cpv}: it {reason}, which the CPU of profile {profile!r} lacks",
            hint="remove these flags, or set cpu in the profile"
            if lines
            else "its build system adds the flags; patch it: gentoomuch patch prep SET ATOM",
        )
        self.cpv, self.lines = cpv, lines

    def report(self) -> str:
        """Format the error for a run: the failure, the lines that caused it, and the hint."""
        lines = [f"    {line.place}: {line.text}{f' (from {line.via})' if line.via else ''}" for line in self.lines]
        return "\n".join([f"{self.message}  [{self.code}]", *lines, f"    hint:  {self.hint}"])


def find_excess(built: Built, plan: Plan, settings: Settings) -> CpuExceeded | None:
    """Return the error for a package whose flags exceed the CPU, which must be neither merged nor packaged; or None."""
    needed = requirement.parse_requirement(built.requires)
    verdict = cpu.check_requirement(needed, built.root, plan, settings.cache)
    if verdict.code == "cpu":
        return CpuExceeded(built.cpv, plan.profile, verdict.reason, _find_causes(built, verdict, plan, settings))
    return None


def find_lines(composed: Composed, root: str, plan: Plan, cache: Path) -> Iterator[tuple[CpuLine, frozenset[str]]]:
    """Yield the lines of a configuration that select more than the CPU of a root has, each with the features.

    Args:
        root: the ROOT that packages are for.
    """
    available = cpu.find_cpu_of_root(root, plan, cache)
    chost = cpu.abi_of_root(root, plan).chost
    for line in cpu_lines.find(composed, isa_flags.arch_of(chost)):
        verdict = requirement.judge(_requirement_of_line(line, chost, cache), available, unknown="accept")
        if verdict.code == "cpu":
            yield line, frozenset(verdict.missing)


def _requirement_of_line(line: CpuLine, chost: str, cache: Path) -> Requirement:
    """Find what code needs that is built with the flags of a line; for -mtune alone, the features of that CPU."""
    if line.use:
        return Requirement(features=isa_cpu.features_of_use(line.use), abi=frozenset(), description=line.text)
    return machine.measure((f"-march={line.tune}",) if line.tune else line.flags, chost, cache)


def _find_causes(built: Built, verdict: Verdict, plan: Plan, settings: Settings) -> tuple[CpuLine, ...]:
    """Find the lines that apply to a package and select features that its CPU lacks."""
    try:
        composed = _compose_config(built.root != "/" or plan.root == "/", plan, settings)
    except GmError:
        return ()
    return tuple(
        line
        for line, features in find_lines(composed, built.root, plan, settings.cache)
        if not line.tune
        and features & frozenset(verdict.missing)
        and atoms.means(line.atom, built.cpv, built.slot, built.repository)
    )


def _compose_config(for_profile: bool, plan: Plan, settings: Settings) -> Composed:
    """Compose the configuration of a plan with its origins; in a container without the layers, use the configroot."""
    host = settings.host if plan.base == "host" or not for_profile else None
    try:
        sources = list_sources(plan.parts, host=host, config=settings.config)
        if all(source.folder.is_dir() for source in sources):
            return compose(sources, plan.parts, building=not for_profile)
    except GmError:
        pass
    configroot = plan.configroot if for_profile else plan.build_configroot
    return compose([Source("configroot", Path(configroot) / "etc/portage")], ())
