"""Roots for another machine that are filled from this one, by crossdev's conventions: CHOST, CBUILD, SYSROOT.

Source: crossdev(8); emerge(1), "SYSROOT"; PMS, "Cross-compile support".
"""

import os
from dataclasses import replace
from pathlib import Path

from gentoomuch_portage.errors import MachineError
from gentoomuch_portage.isa.requirement import Abi
from gentoomuch_portage.plan.plan import Plan


class NoCompiler(MachineError):
    """What was to be built is for another machine, and no compiler for that is here."""

    code = "no-compiler"

    def __init__(self, chost: str, program: str, root: Path) -> None:
        super().__init__(
            f"{root} is for {chost}, and {program} is not on PATH", remedy=f"crossdev --stable --target {chost}"
        )
        self.chost, self.program, self.root = chost, program, root


def target(plan: Plan) -> str:
    """The CHOST that a plan builds for with programs of another; empty where both are the same."""
    wanted, here = Abi.of(plan.abi).chost, Abi.of(plan.build_abi).chost
    return wanted if plan.root != "/" and here and wanted != here else ""


def sysrooted(plan: Plan) -> Plan:
    """The plan with SYSROOT as it has to be: headers and libraries of the target are those in its root.

    What the caller's environment says of it stays.
    """
    if not target(plan) or "SYSROOT" in os.environ:
        return plan
    return replace(plan, env={**plan.env, "SYSROOT": plan.root})


def lacks(plan: Plan) -> NoCompiler | None:
    """What is to be said where a plan was to build for another machine and no compiler for that is here."""
    from gentoomuch_portage.portage_adapter import config
    from gentoomuch_portage.process import where

    chost, root = target(plan), Path(plan.root)
    if not chost or (plan.isolation != "none" and stands(root)):
        return None
    asked = config.load(Path(plan.configroot)).values["CC"].split()
    program = asked[0] if asked else f"{chost}-gcc"
    return None if where(program) else NoCompiler(chost, program, root)


UNFINISHED = ".gentoomuch-bootstrap"
"""Stands in a root as long as it is being made: what it holds may not run yet, though Portage is there."""


def stands(root: Path) -> bool:
    """Whether a root can run emerge by itself."""
    if root == Path("/") or (root / UNFINISHED).exists():
        return False
    return all((root / name).exists() for name in ("usr/bin/python3", "usr/bin/emerge"))
