"""Binary packages on offer, held against a profile's CPU."""

import functools
from pathlib import Path

from gentoomuch_portage import binpkg_file, compiler, needs, requirement
from gentoomuch_portage.errors import GmError
from gentoomuch_portage.plan import Plan
from gentoomuch_portage.portage_adapter.binpkgs import Binpkg
from gentoomuch_portage.requirement import Requirement, Verdict
from gentoomuch_portage.settings import Settings


def verdict(binpkg: Binpkg, plan: Plan, settings: Settings) -> Verdict:
    """Whether a binary package may be used for a plan's profile, and why not."""
    needed = needed_by(binpkg, settings.cache)
    cpu = plan.build_cpu if plan.root != "/" and binpkg.root == "/" else plan.cpu
    return requirement.judge(needed, offered_by(cpu, settings.cache), unknown=plan.unknown)


def needed_by(binpkg: Binpkg, cache: Path) -> Requirement:
    """What a binary package needs: what it recorded, or what its flags mean."""
    if binpkg.path is None:
        return requirement.UNKNOWN
    try:
        found = binpkg_file.read(binpkg.path, {requirement.RECORDED, *needs.VARIABLES})
    except GmError as error:
        return Requirement(features=frozenset(), abi=frozenset(), told=error.message, known=False)
    use = binpkg.use & binpkg.iuse
    if requirement.RECORDED in found:
        return requirement.of_text(found[requirement.RECORDED])
    if not any(name in found for name in ("CFLAGS", "CXXFLAGS")):
        return requirement.UNKNOWN
    if any(
        "native" in word for name in ("CFLAGS", "CXXFLAGS") for word in requirement.machine_flags(found.get(name, ""))
    ):
        return Requirement(features=frozenset(), abi=frozenset(), told="it was built with -march=native", known=False)
    return needs.of_variables(found, use, needs.asking(cache))


@functools.lru_cache(maxsize=8)
def offered_by(cpu: str, cache: Path) -> Requirement:
    """What a CPU offers.

    Args:
        cpu: as the plan has it: machine flags of the compiler.
    """
    return compiler.requirement(compiler.find(), requirement.machine_flags(cpu), cache)
