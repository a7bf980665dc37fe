"""Binary packages audited once: what was found is kept by the digest of the package."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from gentoomuch_portage import fs
from gentoomuch_portage.audit import package_files, pool
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
    with pool.examining(pool.jobs()) as examine:
        return afresh(path, cache, examine, lambda _: None)


def remembered(digests: Sequence[tuple[str, str]], cache: Path) -> Report | None:
    """What was found in a package when it had been fetched; None where it never was.

    Args:
        digests: as the index of a binhost tells them, the strongest first.
    """
    return _read(_fetched(digests, cache)) if digests else None


def remember(report: Report, digests: Sequence[tuple[str, str]], cache: Path) -> None:
    """Keep what was found in a package that was fetched, and whose digests were compared."""
    if digests:
        fs.write(_fetched(digests, cache), report.essence().to_json())


def _fetched(digests: Sequence[tuple[str, str]], cache: Path) -> Path:
    told = " ".join(f"{kind} {digest}" for kind, digest in digests)
    return cache / "audit" / f"fetched-{hashlib.sha256(told.encode()).hexdigest()}.json"


def afresh(path: Path, cache: Path, examine: pool.Examine, told: Told) -> Report:
    """What is found in a package now; kept for later.

    Args:
        told: of the bytes that are done.

    Raises:
        BadBinpkg: it is none, or a damaged one.
    """
    with pool.folder() as folder:
        report = examine(package_files.of_binpkg(path, folder), told)
    fs.write(_kept(path, cache), report.essence().to_json())
    return report


def _kept(path: Path, cache: Path) -> Path:
    with path.open("rb") as file:
        return cache / "audit" / f"{hashlib.file_digest(file, 'sha256').hexdigest()}.json"


def _read(path: Path) -> Report | None:
    try:
        return Report.of_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
