"""What a profile lets emerge unmask without asking."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

KINDS = ("keywords", "live", "use", "license", "mask")
"""As ``[unmask]`` of a profile names them. ``live``: no keywords at all, as live ebuilds have."""

Matches = Callable[[str, "Candidate"], bool]
"""Whether an atom means a package."""

_SECURITY = re.compile(r"\bCVE-\d{4}-\d+|\bGLSA\b|security|vulnerab|exploit|remote code|backdoor|malware", re.I)
"""Words that Gentoo's security masks are written with. Source: profiles/package.mask of ::gentoo, 2004 to 2026."""


class Candidate(NamedTuple):
    """A package that could be taken if something were unmasked."""

    cpv: str
    slot: str
    repository: str
    reasons: str = ""
    """Why package.mask masks it, where it does."""


class Policy(NamedTuple):
    """Kind -> what may be unmasked: ``("*",)`` all, ``()`` nothing, or atoms."""

    allowed: Mapping[str, tuple[str, ...]]
    trusted: frozenset[str]
    """Repositories whose packages may be unmasked without being named: the main one and those of the layers."""

    def against(self, kind: str, candidate: Candidate, matches: Matches) -> str | None:
        """Why a package may not be unmasked, or None.

        Args:
            matches: whether an atom means a package.
        """
        atoms = self.allowed.get(kind, ())
        named = any(atom != "*" and matches(atom, candidate) for atom in atoms)
        if named:
            return None
        if "*" not in atoms:
            return f"[unmask] {kind} does not allow it"
        if kind == "mask" and security(candidate.reasons):
            return "it is masked for security; only its name in [unmask] mask lifts that"
        if kind != "use" and candidate.repository not in self.trusted:
            told = f"the profile does not list the repository {candidate.repository}"
            return f"{told}; only its name in [unmask] {kind} allows it"
        return None


def allowed(unmask: Mapping[str, Any], said: str | None = None) -> dict[str, str]:
    """The policy of a profile as texts: ``*`` for all, empty for nothing, otherwise atoms.

    Args:
        unmask: the table of the profile: true, false, or a list of atoms, by kind.
        said: ``--gm-unmask=``: the kinds that are allowed in this run, or ``none``.
    """
    if said is not None:
        kinds = {kind for kind in said.split(",") if kind}
        return {kind: "*" if kind in kinds else "" for kind in KINDS}
    return {kind: _text(unmask[kind]) for kind in KINDS}


def security(text: str) -> bool:
    """Whether the comment of a mask tells of a vulnerability."""
    return bool(_SECURITY.search(text))


def of(texts: Mapping[str, str], trusted: Iterable[str]) -> Policy:
    """The policy that texts mean."""
    return Policy({kind: tuple(text.split()) for kind, text in texts.items()}, frozenset(trusted))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "*" if value else ""
    return " ".join(value)
