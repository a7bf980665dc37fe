# SPDX-License-Identifier: GPL-2.0-or-later
"""Copy binary packages into a PKGDIR of their own, each with its digest."""

import hashlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import fs
from gentoomuch_portage.binpkg import formats
from gentoomuch_portage.binpkg.formats import BadBinpkg, Source
from gentoomuch_portage.errors import RunError, UsageError
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.portage_adapter import atoms, pkgdir_add
from gentoomuch_portage.portage_adapter.binpkg import SUFFIXES

_FIELDS = ("CATEGORY", "PF", "BUILD_ID", "SLOT")
_CHUNK = 1 << 20


class NamedPackage(NamedTuple):
    """A binary package that a build installs."""

    cpv: str
    build_id: int
    """0 if it has none."""
    slot: str
    """Without its subslot."""
    path: str
    """The file that was named."""
    sha256: str

    @property
    def cp(self) -> str:
        """Return its category and name."""
        return atoms.package_of(self.cpv)


def unreadable_package(path: Path, reason: object) -> UsageError:
    """A file of --with is not a binary package, or cannot be read."""
    hint = f"name files that end with {' or '.join(SUFFIXES)}"
    return UsageError(f"cannot read the binary package {path}: {reason}", code="unreadable-package", hint=hint)


def package_named_twice(cpv: str) -> UsageError:
    """Two files of ``build --with`` are builds of the same version of a package."""
    return UsageError(f"cannot install two builds of {cpv}", code="package-named-twice", hint="omit one --with")


def copy_packages(plan: Plan, files: Iterable[Path], folder: Path) -> tuple[NamedPackage, ...]:
    """Copy binary packages into ``folder/pkgdir``, and return them sorted.

    Args:
        plan: with the configuration of the profile.
        folder: a new directory that no other user can write to.

    Raises:
        UsageError[unreadable-package], UsageError[package-named-twice]: the files are not valid.
        MachineError[disk-full], ReadOnly: the directory cannot be written.
    """
    pkgdir = fs.ensure(folder / "pkgdir")
    packages: dict[str, NamedPackage] = {}
    copies: list[tuple[Path, NamedPackage]] = []
    for number, file in enumerate(files):
        copy = folder / f"{number}-{file.name}"
        try:
            with fs.disk_errors(copy):
                package = _copy(file, copy)
        except (BadBinpkg, OSError, ValueError) as error:
            raise unreadable_package(file, getattr(error, "strerror", None) or error) from error
        if package.cpv in packages:
            raise package_named_twice(package.cpv)
        packages[package.cpv] = package
        copies.append((copy, package))
    if copies:
        take = pkgdir_add.taker({"PORTAGE_CONFIGROOT": plan.configroot, **plan.env, "PKGDIR": str(pkgdir)})
        for copy, package in copies:
            try:
                take(copy, package.cpv, package.build_id)
            except ValueError as error:
                raise unreadable_package(Path(package.path), error) from error
    return tuple(packages[cpv] for cpv in sorted(packages))


def _copy(file: Path, copy: Path) -> NamedPackage:
    """Copy a package through one descriptor, so that what is checked is what is used."""
    if not file.name.endswith(SUFFIXES):
        raise ValueError("its name does not end as that of a binary package")
    number = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(number, "rb") as source, copy.open("xb") as target:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise ValueError("it is not a regular file")
        digest = hashlib.sha256()
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            target.write(chunk)
    with copy.open("rb") as written:

        def read_at(offset: int, length: int) -> bytes:
            return os.pread(written.fileno(), length, offset)

        fields = formats.read(Source(str(copy), copy.stat().st_size, read_at), _FIELDS)
    cpv, build_id = f"{fields.get('CATEGORY')}/{fields.get('PF')}", fields.get("BUILD_ID") or "0"
    if not atoms.is_exact(cpv) or not (build_id.isascii() and build_id.isdigit()):
        raise ValueError(f"its metadata is of {cpv}")
    slot = fields.get("SLOT", "").partition("/")[0]
    return NamedPackage(cpv, int(build_id), slot, str(file.absolute()), digest.hexdigest())


def package_changed(path: str) -> RunError:
    """A binary package was replaced while it was read."""
    return RunError(f"cannot use {path}: it was changed meanwhile", code="package-changed", hint="try again")
