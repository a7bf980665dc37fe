# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages that emerge is about to merge, as plain data for plugins and the record."""

from typing import Any, NamedTuple, Protocol

GOALS = ("merge", "build", "fetch")
"""The goals of a run: merge packages, ``--buildpkgonly``, ``--fetchonly``."""


class Merge(NamedTuple):
    """One package of the list that emerge resolved."""

    cpv: str
    slot: str
    """The slot, without its subslot."""
    root: str
    """The ROOT to merge it to."""
    source: str
    """``ebuild``, ``binpkg``, or ``container`` for a package that this run built in a container."""
    repository: str
    where: str
    """Path of the ebuild or binary package, or the URL of a package to fetch."""
    build_id: int
    """The build ID of a binary package; 0 for an ebuild."""
    use: tuple[str, ...]
    """Enabled flags of its IUSE, sorted."""
    patches: str
    """Portage's digest of its user patches; empty without patches."""

    @property
    def key(self) -> tuple[str, str]:
        """Return root and cpv, which identify it in a run."""
        return self.root, self.cpv

    @property
    def is_remote(self) -> bool:
        """Return whether it is a package of a binhost."""
        return self.source == "binpkg" and "://" in self.where

    @property
    def name(self) -> str:
        """Return ``cat/pkg-1.0``, or ``cat/pkg-1.0-2`` for a binary package, as Portage writes an
        instance.
        """
        return f"{self.cpv}-{self.build_id}" if self.build_id else self.cpv


class PackageResult(NamedTuple):
    """The result of one package."""

    status: int
    """0 if it was merged; otherwise the status of the failed step."""
    seconds: float
    """Time from its start to its end, without waiting for the merges of other packages."""
    phases: dict[str, float]
    """``fetch``, ebuild phases, ``package`` and ``merge`` -> seconds, in the order in which they
    ended.
    """
    resources: dict[str, Any]
    """Counters of its cgroup from Portage; empty without FEATURES=cgroup."""


class MergeListener(Protocol):
    """Is notified of each step of emerge; raises nothing, except GmError in ``on_resolved``."""

    def on_resolved(self, merges: tuple[Merge, ...], goal: str, jobs: int, quiet: bool) -> None:
        """Emerge has resolved its list, and has fetched nothing yet; called once a run."""

    def on_phase_start(self, merge: Merge, phase: str) -> str | None:
        """A phase starts; ``task`` is everything before the merge. Return a reason to stop the package, or None."""

    def on_phase_end(self, merge: Merge, phase: str, status: int, seconds: float) -> None:
        """A phase ended."""

    def on_package_end(self, merge: Merge, status: int, resources: dict[str, Any]) -> None:
        """A package was merged, or failed."""

    def on_tick(self) -> None:
        """A second has passed."""
