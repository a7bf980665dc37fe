# SPDX-License-Identifier: GPL-2.0-or-later
"""Data of all profiles: installed and outdated packages, and use of binary packages."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from gentoomuch_portage import history
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.emerge.profile_view import load_view
from gentoomuch_portage.errors import GmError
from gentoomuch_portage.portage_adapter import root_state
from gentoomuch_portage.portage_adapter.root_state import Advisory, Outdated
from gentoomuch_portage.reports import binpkgs
from gentoomuch_portage.reports.status import load_missing
from gentoomuch_portage.unmask import ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Data of a profile."""

    profile: str
    cpu: str = ""
    """Its machine flags."""
    root: str = ""
    installed: int = 0
    """Packages in its root."""
    missing: tuple[str, ...] = ()
    """Atoms of @world, with @machine, that no installed package matches."""
    outdated: tuple[Outdated, ...] = ()
    advisories: tuple[Advisory, ...] = ()
    """Security advisories (GLSA) that affect its root."""
    binpkgs_available: int = 0
    """Binary packages in PKGDIR."""
    rejected: int = 0
    """Those of them that its CPU cannot run."""
    unmasked: int = 0
    """Entries of its ledger."""
    built: int = 0
    """Packages merged from source, as far as recorded."""
    from_binpkg: int = 0
    """Packages merged from binary packages."""
    last: float = 0
    """Time of the last merge in seconds since 1970; 0 if there was none."""
    error: str = ""
    """Why the profile is invalid; empty if it is valid."""
    hint: str = ""
    """Of the error."""

    @property
    def behind(self) -> int:
        """Sum of the newer versions of all outdated packages."""
        return sum(package.behind for package in self.outdated)

    @property
    def hit_rate(self) -> float | None:
        """Share of merges from binary packages; None without a merge."""
        merged = self.built + self.from_binpkg
        return self.from_binpkg / merged if merged else None


def load_members(settings: Settings, names: Iterable[str]) -> Iterator[Member]:
    """Load profiles one after the other; an invalid one has its error."""
    for name in names:
        try:
            yield _load_member(settings, name)
        except GmError as error:
            yield Member(profile=name, error=error.message, hint=error.hint)


def _load_member(settings: Settings, name: str) -> Member:
    with load_view(settings, name) as view:
        env = {"ROOT": view.plan.root, "SYSROOT": "/", **view.plan.env, "PORTAGE_CONFIGROOT": view.plan.configroot}
        root = root_state.load_root(env)
        missing = load_missing(env, name)
        judged = binpkgs.judge_binpkgs(view, settings)
    recorded = (package for state in settings.states for package in history.read_packages(state, [name], "merge"))
    merged = [package for package in recorded if package["status"] == 0]
    return Member(
        profile=name,
        cpu=view.plan.cpu,
        root=view.plan.root,
        installed=root.installed,
        missing=missing,
        outdated=root.outdated,
        advisories=root.advisories,
        binpkgs_available=len(judged),
        rejected=len(binpkgs.find_rejected(judged)),
        unmasked=len(ledger.read(settings.having(ledger.file_name(name)), name)),
        built=sum(package["source"] != "binpkg" for package in merged),
        from_binpkg=sum(package["source"] == "binpkg" for package in merged),
        last=max((package["at"] for package in merged), default=0.0),
    )


def as_data(member: Member) -> dict[str, Any]:
    """Return a profile as ``--json`` prints it."""
    return {
        "profile": member.profile,
        "cpu": member.cpu,
        "root": member.root,
        "installed": member.installed,
        "missing": list(member.missing),
        "outdated": [{"cpv": old.cpv, "newest": old.newest, "behind": old.behind} for old in member.outdated],
        "behind": member.behind,
        "advisories": [advisory._asdict() for advisory in member.advisories],
        "binpkgs_available": member.binpkgs_available,
        "rejected": member.rejected,
        "unmasked": member.unmasked,
        "built": member.built,
        "from_binpkg": member.from_binpkg,
        "hit_rate": member.hit_rate,
        "last": member.last,
        "error": member.error,
    }
