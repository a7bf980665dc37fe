# SPDX-License-Identifier: GPL-2.0-or-later
"""Report problems of a server once: when they begin, change or end."""

import re
from collections.abc import Callable

_VARYING = re.compile(r"/\S+|[0-9a-fA-F]{8,}|\d+")
"""Paths and numbers, which vary between attempts while the problem is the same."""


class ProblemLog:
    """The current problems, by subject."""

    def __init__(self, report: Callable[[str], None]) -> None:
        """Start without problems.

        Args:
            report: prints a line.
        """
        self._report = report
        self._known: dict[str, str] = {}

    def begin(self, subject: str, problem: str) -> bool:
        """Return whether a problem is new; the caller reports it."""
        pattern = _VARYING.sub("", problem)
        new = self._known.get(subject) != pattern
        self._known[subject] = pattern
        return new

    def failed(self, subject: str, problem: str) -> None:
        """Report a problem if it is new or changed."""
        if self.begin(subject, problem):
            self._report(f"{subject}: {problem}")

    def solved(self, subject: str) -> None:
        """Report that a problem is over, if it was reported."""
        if self._known.pop(subject, ""):
            self._report(f"{subject}: works again")

    def keep(self, subjects: set[str]) -> None:
        """Forget all problems but those of these subjects, without a report."""
        self._known = {subject: pattern for subject, pattern in self._known.items() if subject in subjects}
