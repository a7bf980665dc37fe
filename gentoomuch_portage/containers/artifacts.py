# SPDX-License-Identifier: GPL-2.0-or-later
"""Copy finished binary packages and the merge list out of a container.

Only packages that the run resolved leave a container, and only as it resolved them. All files are untrusted input: an
ebuild may have written them.
"""

import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gentoomuch_portage import console, fs
from gentoomuch_portage.binpkg.source import BadBinpkg, Source
from gentoomuch_portage.containers import resolution
from gentoomuch_portage.containers.host_overlay import PACKAGES
from gentoomuch_portage.containers.resolution import File, Resolution, highest_build_id, package_files
from gentoomuch_portage.plan.merge import Merge
from gentoomuch_portage.portage_adapter.binpkg import BUILT_FOR, SUFFIXES
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    from gentoomuch_portage.binpkg import formats
    from gentoomuch_portage.portage_adapter.pkgdir_add import Take
else:
    formats = LazyModule("gentoomuch_portage.binpkg.formats")  # its decompressors are for finished packages

_MOST_NAMED = 20
"""Rejected files that are named in warnings."""
_SKEW = 2
"""Seconds by which the clock of a virtual machine may differ."""
_NAMELESS = "__unknown__"
"""The repository of an ebuild whose repository has no name. Source: dbapi._unknown_repo of Portage."""
_DIGITS = 15
"""Of a number in a package's metadata."""
_KEYS = ("CATEGORY", "PF", "BUILD_ID", "BUILD_TIME", "SLOT", "USE", "IUSE", "repository", BUILT_FOR)


class Admitted(NamedTuple):
    """A package that was taken over from a container."""

    cpv: str
    inner_build_id: int
    """Its BUILD_ID in the container; 0 if it had none."""
    build_id: int
    """Its BUILD_ID in PKGDIR."""


class Claim(NamedTuple):
    """The identity of a package, according to its own metadata."""

    cpv: str
    build_id: int
    """0 if it has none."""
    slot: str
    """Without its subslot."""
    repository: str
    use: tuple[str, ...]
    """The enabled flags of IUSE, sorted."""
    build_time: int
    """Seconds since 1970."""
    profile: str


class Rejected(ValueError):
    """A file that must not leave the container, with the reason."""


def take_over(run: Path, taker: "Callable[[], Take]", reject: Callable[[str], object]) -> list[Admitted]:
    """Move finished packages that the run resolved into PKGDIR; reject all other files.

    Args:
        run: the directory of the run.
        taker: returns the function that adds a package to PKGDIR; called if there is a package.
        reject: called with a line for each rejected file.
    """
    admission = Admission(resolution.load(run))
    reasons, admitted, take = [], list[Admitted](), None
    for file in sorted(_candidates(run / PACKAGES)):
        try:
            claim = admission.admit(file, run / PACKAGES)
            take = take or taker()
            admitted.append(Admitted(claim.cpv, claim.build_id, take(file, claim.cpv, claim.build_id)))
        except (BadBinpkg, ValueError, OSError) as error:
            name = file.relative_to(run / PACKAGES)
            reasons.append(console.escape_unprintable(f"{name} of the container was rejected: {error}"))
    for reason in reasons[:_MOST_NAMED]:
        reject(reason)
    if len(reasons) > _MOST_NAMED:
        reject(f"{len(reasons) - _MOST_NAMED} more files of the container were rejected")
    return admitted


def _candidates(folder: Path) -> Iterator[Path]:
    for above, folders, names in os.walk(folder, followlinks=False):
        folders[:] = [name for name in folders if not Path(above, name).is_symlink()]
        yield from (Path(above, name) for name in names if name.endswith(SUFFIXES) and not name.startswith("."))


def list_fetched(run: Path) -> dict[Path, File]:
    """Return the packages that a container has before it builds: those that it fetched."""
    return {file: File.from_status(file.lstat()) for file in _candidates(run / PACKAGES)}


def remove_fetched(run: Path, fetched: Mapping[Path, File]) -> None:
    """Remove fetched packages that are unchanged: a package of a binhost is not taken over."""
    now = list_fetched(run)
    for file in [file for file, before in fetched.items() if now.get(file) == before]:
        file.unlink()


class Admission:
    """Decides which files of a container are packages that its run resolved; each package is admitted once."""

    def __init__(self, resolved: Resolution) -> None:
        """Begin with all packages that were resolved."""
        self._resolved, self._left = resolved, list(resolved.merges)

    def admit(self, file: Path, packages: Path) -> Claim:
        """Admit a file of the container.

        Args:
            packages: the directory of the container's packages.

        Raises:
            Rejected: it is not one of the packages, or differs from what was resolved.
            BadBinpkg: it is not a binary package.
            OSError: it cannot be read.
        """
        status = file.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or not status.st_size:
            raise Rejected("it is not a plain file with one name and some content")
        claim = read_claim(file, packages)
        reason = "it is not among the packages that the run resolved before ebuilds ran, or was taken over already"
        for merge in [merge for merge in self._left if merge.cpv == claim.cpv]:
            reason = self._reason(claim, merge, File.from_status(status))
            if not reason:
                self._left.remove(merge)
                return claim
        raise Rejected(reason)

    def _reason(self, claim: Claim, merge: Merge, file: File) -> str:
        """Return why a file is not the package that was resolved; empty if it is."""
        resolved = self._resolved
        if reason := difference(claim, merge):
            return reason
        if claim.profile and claim.profile != resolved.profile:
            return f"it was built for profile {claim.profile}, but the run is for {resolved.profile}"
        if not resolved.since - _SKEW <= claim.build_time <= time.time() + _SKEW:
            return f"its BUILD_TIME {claim.build_time} is not within the run"
        if claim.build_id > self._highest(claim.cpv):
            return f"its BUILD_ID {claim.build_id} does not follow those in PKGDIR and on binhosts"
        if file != resolved.finished.get(merge.key):
            return "emerge in the container did not report it as finished, or it was changed after that"
        return ""

    def _highest(self, cpv: str) -> int:
        """Return the highest BUILD_ID that the container can have assigned, also if other runs have built meanwhile."""
        now = highest_build_id(Path(self._resolved.pkgdir), cpv)
        builds = sum(merge.cpv == cpv for merge in self._resolved.merges)
        return max(now, self._resolved.highest.get(cpv, 0)) + builds


def difference(claim: Claim, merge: Merge) -> str:
    """Return how a package differs from the one that was resolved; empty if it is the same."""
    for name, claimed, resolved in (
        ("slot", claim.slot, merge.slot),
        ("repository", claim.repository, merge.repository.replace(_NAMELESS, "")),
        ("USE", " ".join(claim.use), " ".join(merge.use)),
    ):
        if claimed != resolved:
            return f"its {name} is {claimed!r}, but the run resolved {resolved!r}"
    return ""


def read_claim(file: Path, pkgdir: Path) -> Claim:
    """Read the identity of a package from its metadata, and compare it with its name.

    Args:
        pkgdir: the directory of packages that it is in.

    Raises:
        BadBinpkg: it is not a package.
        Rejected: its name differs.
        OSError: it is a link, or cannot be read.
    """
    number = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        source = Source(str(file), os.fstat(number).st_size, lambda offset, length: os.pread(number, length, offset))
        fields = {**dict.fromkeys(_KEYS, ""), **formats.read(source, _KEYS)}
    finally:
        os.close(number)
    category, name, build_id = fields["CATEGORY"], fields["PF"], fields["BUILD_ID"] or "0"
    stem = next(file.name.removesuffix(suffix) for suffix in SUFFIXES if file.name.endswith(suffix))
    if file.relative_to(pkgdir).parts[0] != category or stem not in {name, f"{name}-{build_id}"}:
        raise Rejected(f"its metadata is of {category}/{name}-{build_id}")
    flags = {flag.lstrip("+-") for flag in fields["IUSE"].split()}
    return Claim(
        cpv=f"{category}/{name}",
        build_id=_number("BUILD_ID", build_id),
        slot=fields["SLOT"].partition("/")[0],
        repository=fields["repository"],
        use=tuple(sorted(flags & {*fields["USE"].split()})),
        build_time=_number("BUILD_TIME", fields["BUILD_TIME"] or "0"),
        profile=fields[BUILT_FOR],
    )


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS and str(int(text)) == text):
        raise Rejected(f"its {name} is not a number: {text[:_DIGITS]!r}")
    return int(text)


def find_merges(
    vdb: Path | None, resolved: Resolution, admitted: Iterable[Admitted], pkgdir: Path, reject: Callable[[str], object]
) -> list[tuple[str, int]]:
    """Return the packages of a run to merge from PKGDIR on the host: cpv and BUILD_ID.

    Args:
        vdb: the container's changes to its database of installed packages, which ebuilds may have written.
        admitted: the packages that were taken over.
        reject: called with a line for each package of the run that differs from what was resolved.
    """
    build_ids = {(package.cpv, package.inner_build_id): package.build_id for package in admitted}
    packages = []
    for cpv, number in read_installed(vdb):
        merges = [merge for merge in resolved.merges if merge.cpv == cpv]
        if (cpv, number) in build_ids:
            packages.append((cpv, build_ids[cpv, number]))
        elif any(_is_resolved(pkgdir, number, merge) for merge in merges):
            packages.append((cpv, number))
        elif merges:
            reject(f"{cpv}-{number} of the container is not merged: it differs from what the run resolved")
    return packages


def _is_resolved(pkgdir: Path, build_id: int, merge: Merge) -> bool:
    """Return whether PKGDIR contains this build of a package, and it was resolved or is equal."""
    if merge.source == "binpkg" and merge.build_id == build_id:
        return True
    for file in package_files(pkgdir, merge.cpv):
        with suppress(BadBinpkg, Rejected, OSError):  # then it is not this build
            claim = read_claim(file, pkgdir)
            if claim.build_id == build_id and not difference(claim, merge):
                return True
    return False


MOST = 4096
"""Bytes of a file with one value in the database of installed packages."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9+_.-]*")
"""Source: PMS, names of categories and packages with their versions."""


def read_installed(vdb: Path | None) -> list[tuple[str, int]]:
    """Return cpv and BUILD_ID of packages, sorted; 0 if a package has none.

    Args:
        vdb: the container's changes to its database of installed packages; None if there are none.
    """
    packages = []
    for category in _subdirectories(vdb):
        for package in _subdirectories(category):
            number = read_text(package / "BUILD_ID") or "0"
            if read_text(package / "PF") == package.name and number.isascii() and number.isdigit():
                packages.append((f"{category.name}/{package.name}", int(number)))
    return packages


def _subdirectories(above: Path | None) -> Iterator[Path]:
    if above is not None:
        with suppress(OSError), os.scandir(above) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if _NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                    yield Path(entry.path)


def read_text_below(top: Path, file: Path, *, most: int = MOST) -> str:
    """Return the text of a plain file below a directory; empty if it is missing, or below a link.

    Raises:
        ValueError: it is larger than ``most`` bytes, or not text.
    """
    try:
        with fs.open_below(top, file) as content:
            if not stat.S_ISREG(os.fstat(content.fileno()).st_mode):
                return ""
            if len(read := content.read(most + 1)) > most:
                raise ValueError(f"{file.name} is larger than {most} bytes")
            return read.decode()
    except OSError:
        return ""


def read_text(file: Path, last: int = 0) -> str:
    """Return the stripped text of a small plain file; empty if it is missing or not text.

    Args:
        last: read only this many bytes at its end.
    """
    with suppress(OSError, UnicodeDecodeError):
        number = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(number)
            if stat.S_ISREG(status.st_mode) and (last or status.st_size <= MOST):
                if last:
                    os.lseek(number, max(0, status.st_size - last), os.SEEK_SET)
                return os.read(number, last or MOST).decode(errors="replace" if last else "strict").strip()
        finally:
            os.close(number)
    return ""
