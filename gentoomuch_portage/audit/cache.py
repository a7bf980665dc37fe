# SPDX-License-Identifier: GPL-2.0-or-later
"""Cache of audit reports, by the digest of the package."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from gentoomuch_portage.audit import package_files, pool
from gentoomuch_portage.audit.report import Report
from gentoomuch_portage.fs import Cache

Progress = Callable[[int], None]
"""Called with the number of bytes that were scanned."""


def load_or_scan(path: Path, cache: Path) -> Report:
    """Return the report of a package from the cache, or scan it.

    Raises:
        BadBinpkg: it is not a package, or damaged.
        MissingProgram: a library is not installed.
    """
    if (report := _load(_file_key(path), cache)) is not None:
        return report
    with pool.start_scanners(pool.default_jobs()) as scan_files:
        return scan(path, cache, scan_files, lambda _: None)


def load_fetched(digests: Sequence[tuple[str, str]], cache: Path) -> Report | None:
    """Return the report of a package that was fetched before; None if it was not.

    Args:
        digests: of the index of a binhost, the strongest first.
    """
    return _load(_fetched_key(digests), cache) if digests else None


def store_fetched(report: Report, digests: Sequence[tuple[str, str]], cache: Path) -> None:
    """Store the report of a fetched package whose digests were verified."""
    if digests:
        _store(_fetched_key(digests), report, cache)


def _fetched_key(digests: Sequence[tuple[str, str]]) -> str:
    return f"fetched {' '.join(f'{kind} {digest}' for kind, digest in digests)}"


def scan(path: Path, cache: Path, scan_files: pool.Scan, progress: Progress) -> Report:
    """Scan a package, and store its report.

    Raises:
        BadBinpkg: it is not a package, or damaged.
    """
    with pool.folder() as folder:
        report = scan_files(package_files.extract(path, folder), progress)
    _store(_file_key(path), report, cache)
    return report


def _file_key(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load(key: str, cache: Path) -> Report | None:
    return Cache(cache / "audit").load(key, Report.from_json)


def _store(key: str, report: Report, cache: Path) -> None:
    Cache(cache / "audit").store(key, report.summarise().to_json())
