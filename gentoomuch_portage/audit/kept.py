"""Binary packages audited once: what was found is kept by the digest of the package."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from gentoomuch_portage import files
from gentoomuch_portage.audit import payload, work
from gentoomuch_portage.audit.report import Report

Told = Callable[[int], None]


def audited(path: Path, cache: Path) -> Report:
    """What was found in a package, now or before.

    Raises:
        BadBinpkg: it is none, or a damaged one.
        MissingProgram: a library is not installed.
    """
    kept = _kept(path, cache)
    if (found := _read(kept)) is not None:
        return found
    with work.examining(work.jobs()) as examine:
        return afresh(path, cache, examine, lambda _: None)


def afresh(path: Path, cache: Path, examine: work.Examine, told: Told) -> Report:
    """What is found in a package now; kept for later.

    Args:
        told: of the bytes that are done.

    Raises:
        BadBinpkg: it is none, or a damaged one.
    """
    with work.folder() as folder:
        report = examine(payload.of_binpkg(path, folder), told)
    files.write(_kept(path, cache), report.essence().to_json())
    return report


def _kept(path: Path, cache: Path) -> Path:
    with path.open("rb") as file:
        return cache / "audit" / f"{hashlib.file_digest(file, 'sha256').hexdigest()}.json"


def _read(path: Path) -> Report | None:
    try:
        return Report.of_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
