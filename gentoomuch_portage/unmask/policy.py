# SPDX-License-Identifier: GPL-2.0-or-later
"""What emerge may unmask for a profile without asking."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

KINDS = ("keywords", "live", "use", "license", "mask")
"""Keys of ``[unmask]`` in a profile. ``live``: ebuilds without keywords, such as live ebuilds."""

Matches = Callable[[str, "Candidate"], bool]
"""Returns whether an atom matches a package."""

_SECURITY = r"\bCVE-\d{4}-\d+|\bGLSA\b|security|vulnerab|exploit|remote code|backdoor|malware"
"""Words in comments of Gentoo's security masks. Source: profiles/package.mask of ::gentoo, 2004 to 2026."""


class Candidate(NamedTuple):
    """A package that would be usable if it were unmasked."""

    cpv: str
    slot: str
    repository: str
    reasons: str = ""
    """Comment in package.mask, if any."""


class Policy(NamedTuple):
    """Kind -> atoms that may be unmasked; ``("*",)``: all, ``()``: none."""

    allowed: Mapping[str, tuple[str, ...]]
    trusted: frozenset[str]
    """Repositories for which ``*`` applies: the main one and those of the layers."""

    def against(self, kind: str, candidate: Candidate, matches: Matches) -> str | None:
        """Return why a package may not be unmasked, or None.

        Args:
            matches: whether an atom matches a package.
        """
        atoms = self.allowed.get(kind, ())
        named = any(atom != "*" and matches(atom, candidate) for atom in atoms)
        if named:
            return None
        if "*" not in atoms:
            return f"[unmask] {kind} does not allow it"
        if kind == "mask" and is_security_mask(candidate.reasons):
            return "it is masked for security; name it in [unmask] mask to allow it"
        if kind != "use" and candidate.repository not in self.trusted:
            reason = f"repository {candidate.repository} is not listed by the profile"
            return f"{reason}; name the package in [unmask] {kind} to allow it"
        return None


def format_policy(unmask: Mapping[str, Any], option: str | None = None) -> dict[str, str]:
    """Format the policy of a profile: kind -> ``*`` for all, empty for none, otherwise atoms.

    Args:
        unmask: kind -> true, false or a list of atoms, as in the profile.
        option: ``--gm-unmask=``: kinds that are allowed in this run, or ``none``.
    """
    if option is not None:
        kinds = {kind for kind in option.split(",") if kind}
        return {kind: "*" if kind in kinds else "" for kind in KINDS}
    return {kind: _text(unmask[kind]) for kind in KINDS}


def is_security_mask(text: str) -> bool:
    """Return whether the comment of a mask mentions a vulnerability."""
    return bool(re.search(_SECURITY, text, re.I))


def parse_policy(texts: Mapping[str, str], trusted: Iterable[str]) -> Policy:
    """Parse a formatted policy."""
    return Policy({kind: tuple(text.split()) for kind, text in texts.items()}, frozenset(trusted))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "*" if value else ""
    return " ".join(value)
