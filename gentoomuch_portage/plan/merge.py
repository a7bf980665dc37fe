"""What emerge is about to merge, as plain data: what plugins hear of, and what the record keeps."""

from typing import Any, NamedTuple

GOALS = ("merge", "build", "fetch")
"""What a run does with its packages: all of it, ``--buildpkgonly``, ``--fetchonly``."""


class Merge(NamedTuple):
    """One package of the list that emerge resolved."""

    cpv: str
    slot: str
    """Without its subslot."""
    root: str
    """The ROOT that it is merged to."""
    source: str
    """``ebuild``, ``binpkg``, or ``container``: a package that was built in one, in this run."""
    repository: str
    where: str
    """The ebuild or the binary package: a path, or the URL of one that has to be fetched."""
    build_id: int
    """Of the binary package; 0 for an ebuild."""
    use: tuple[str, ...]
    """The flags that are on, of those that it has, sorted."""
    patches: str
    """Portage's digest over its user patches; empty where it has none."""

    @property
    def key(self) -> tuple[str, str]:
        """What names it within a run."""
        return self.root, self.cpv

    @property
    def name(self) -> str:
        """``cat/pkg-1.0``, or ``cat/pkg-1.0-2`` of a binary package, as Portage writes an instance."""
        return f"{self.cpv}-{self.build_id}" if self.build_id else self.cpv


class Done(NamedTuple):
    """How one package ended."""

    status: int
    """0 where it was merged; otherwise that of what failed."""
    seconds: float
    """From its start to its end, without the wait for other packages' merges."""
    phases: dict[str, float]
    """``fetch``, ebuild phases, ``package`` and ``merge`` -> seconds, in the order in which they ended."""
    resources: dict[str, Any]
    """What Portage counted of its cgroup; empty without FEATURES=cgroup."""
