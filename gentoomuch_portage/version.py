# SPDX-License-Identifier: GPL-2.0-or-later
"""The version, and the commit that it was made from."""

from pathlib import Path

from gentoomuch_portage import __version__

_COMMIT = Path(__file__).with_name("commit")
"""The id of the commit; git archive and setup.py write it (Source: export-subst in gitattributes(5))."""
_UNWRITTEN = "$Format"
_SHORT = 10


def describe() -> str:
    """Return the version, of a development version with its commit: ``0.2.0.dev0+5f1093c0aa``."""
    commit = find_commit() if ".dev" in __version__ else ""
    return f"{__version__}{f'+{commit[:_SHORT]}' if commit else ''}"


def find_commit() -> str:
    """Return the id of the commit that these files come from; empty if unknown."""
    try:
        commit = _COMMIT.read_text(encoding="ascii").strip()
        return _read_head(_COMMIT.parents[1] / ".git") if commit.startswith(_UNWRITTEN) else commit
    except (OSError, UnicodeDecodeError):
        return ""


def _read_head(repository: Path) -> str:
    """Return the commit that is checked out, without running git in a directory that may be another user's."""
    head = (repository / "HEAD").read_text(encoding="ascii").strip()
    if not head.startswith("ref: "):
        return head
    name = head.removeprefix("ref: ")
    reference = repository / name
    if reference.is_file():
        return reference.read_text(encoding="ascii").strip()
    packed = (repository / "packed-refs").read_text(encoding="ascii").splitlines()
    return next((line.partition(" ")[0] for line in packed if line.endswith(f" {name}")), "")
