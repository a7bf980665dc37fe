"""All profiles at a glance: what each has, what of it is out of date, and how well the store of packages serves it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from gentoomuch_portage import history
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.emerge.profile_view import looked_at
from gentoomuch_portage.errors import GmError
from gentoomuch_portage.portage_adapter import installed as portage_installed
from gentoomuch_portage.portage_adapter.installed import Outdated
from gentoomuch_portage.reports import binpkgs
from gentoomuch_portage.unmask import ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One profile."""

    profile: str
    cpu: str = ""
    """Its machine flags."""
    root: str = ""
    installed: int = 0
    """Packages in its root."""
    outdated: tuple[Outdated, ...] = ()
    offered: int = 0
    """Binary packages that lie in PKGDIR."""
    refused: int = 0
    """Those of them that its CPU cannot run."""
    unmasked: int = 0
    """Entries of its ledger."""
    built: int = 0
    """Packages that were merged from source, as far as the record goes back."""
    taken: int = 0
    """Packages that were merged from a binary package."""
    last: float = 0
    """When it was last merged to, in seconds since the epoch; 0 where it never was."""
    error: str = ""
    """Why nothing can be said of it."""

    @property
    def behind(self) -> int:
        """How many versions its packages are behind, all together."""
        return sum(one.behind for one in self.outdated)

    @property
    def hit_rate(self) -> float | None:
        """The share of packages that did not have to be built; None where none was merged."""
        merged = self.built + self.taken
        return self.taken / merged if merged else None


def members(settings: Settings, names: Iterable[str]) -> Iterator[Member]:
    """Look at profiles, one after the other; one that cannot be composed tells why."""
    for name in names:
        try:
            yield _member(settings, name)
        except GmError as error:
            yield Member(profile=name, error=error.message)


def _member(settings: Settings, name: str) -> Member:
    with looked_at(settings, name) as view:
        env = {"ROOT": view.plan.root, "SYSROOT": "/", **view.plan.env, "PORTAGE_CONFIGROOT": view.plan.configroot}
        root = portage_installed.looked_at(env)
        judged = binpkgs.judged(view.plan, settings)
    recorded = (one for state in settings.states for one in history.packages(state, [name], "merge"))
    merged = [one for one in recorded if one["status"] == 0]
    return Member(
        profile=name,
        cpu=view.plan.cpu,
        root=view.plan.root,
        installed=root.installed,
        outdated=root.outdated,
        offered=len(judged),
        refused=len(binpkgs.refused(judged)),
        unmasked=len(ledger.read(settings.having(ledger.name(name)), name)),
        built=sum(one["source"] != "binpkg" for one in merged),
        taken=sum(one["source"] == "binpkg" for one in merged),
        last=max((one["at"] for one in merged), default=0.0),
    )


def data(one: Member) -> dict[str, Any]:
    """A profile as ``--json`` tells it."""
    return {
        "profile": one.profile,
        "cpu": one.cpu,
        "root": one.root,
        "installed": one.installed,
        "outdated": [{"cpv": old.cpv, "newest": old.newest, "behind": old.behind} for old in one.outdated],
        "behind": one.behind,
        "offered": one.offered,
        "refused": one.refused,
        "unmasked": one.unmasked,
        "built": one.built,
        "taken": one.taken,
        "hit_rate": one.hit_rate,
        "last": one.last,
        "error": one.error,
    }
