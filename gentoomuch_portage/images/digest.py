# SPDX-License-Identifier: GPL-2.0-or-later
"""The inputs of an image, and the record of those that the built image was made from.

One digest of all inputs decides whether an image is built again.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gentoomuch_portage import stored
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.images.plan import ImagePlan
from gentoomuch_portage.portage_adapter.closure import BinaryPackage

_VERSION = "1"
"""Part of every digest: another version of this package may write other bytes."""
RECORD = "image.json"
_FOLDER = "images"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePackage:
    """A binary package that an image contains."""

    cpv: str
    build_id: int
    """0 if it has none."""
    slot: str
    path: str
    built: int
    """Seconds since 1970."""
    sha256: str
    target: bool = True
    """Whether the image has it; others are only needed to install it."""

    @property
    def name(self) -> str:
        """``cat/pkg-1.0``, or ``cat/pkg-1.0-2`` for an instance of a binary package."""
        return f"{self.cpv}-{self.build_id}" if self.build_id else self.cpv


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltLayer:
    """A layer of a built image: SHA-256 digests in hex."""

    file: str
    """Its name in the directory of the image."""
    digest: str
    inner: str
    """Of the uncompressed archive."""
    size: int
    epoch: int
    """Seconds since 1970; no file of the image is newer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A built image."""

    inputs: Mapping[str, str]
    digest: str
    """Of the inputs."""
    layer: BuiltLayer
    files: Mapping[str, str]
    """Format -> name of the file or directory."""


def image_folder(settings: Settings, name: str) -> Path:
    """Return the directory of the built image of a profile; a link, which is replaced as a whole."""
    return settings.cache / _FOLDER / name


def find_built(link: Path) -> Path | None:
    """Return the directory that the link of a built image leads to; None if it is not one of ``image build``."""
    try:
        name = os.readlink(link)
    except OSError:
        return None
    folder = link.parent / name
    return folder if folder_names(link.name).fullmatch(name) and folder.is_dir() and not folder.is_symlink() else None


def folder_names(name: str) -> re.Pattern[str]:
    """Match the names of the directories that ``image build`` creates for an image beside its link."""
    return re.compile(rf"\.{re.escape(name)}-[a-z0-9_]{{8}}(\.done)?")


def load_record(settings: Settings, name: str) -> Record | None:
    """Return the record of a built image; None if there is none, or one of its files is missing or cut."""
    folder = image_folder(settings, name)
    record = stored.recall(folder / RECORD, _parse)
    if record is None or not all((folder / file).exists() for file in record.files.values()):
        return None
    return record if _has_size(folder / record.layer.file, record.layer.size) else None


def _has_size(path: Path, size: int) -> bool:
    """Return whether a regular file can be read and has this size."""
    try:
        with stored.open_regular(path) as file:
            return os.fstat(file.fileno()).st_size == size
    except OSError:
        return False


def _parse(text: str) -> Record:
    fields = json.loads(text)
    return Record(**{**fields, "layer": BuiltLayer(**fields["layer"])})


def format_record(record: Record) -> str:
    """Format a record as JSON."""
    return json.dumps(asdict(record), indent=1, sort_keys=True) + "\n"


def hash_packages(packages: Sequence[BinaryPackage]) -> tuple[ImagePackage, ...]:
    """Return resolved packages with the digests of their files."""
    return tuple(
        ImagePackage(
            cpv=package.cpv,
            build_id=package.build_id,
            slot=package.slot,
            path=package.path,
            built=package.built,
            sha256=_hash_file(Path(package.path)),
            target=package.root != "/",
        )
        for package in packages
    )


def find_inputs(
    plan: ImagePlan, packages: Sequence[ImagePackage], *, parent: str, architecture: str, masks: Sequence[str]
) -> Mapping[str, str]:
    """Return everything that the image depends on: name -> value or digest.

    Args:
        parent: the digest of the inputs of its parent; may be empty.
        masks: the settings that leave files of packages out.
    """
    inputs = {"version": _VERSION, "architecture": architecture, "formats": " ".join(plan.formats)}
    if parent:
        inputs["parent"] = f"{plan.parent} {parent}"
    if masks:
        inputs["masks"] = " ".join(masks)
    for key, value in asdict(plan.container).items():
        if value:
            inputs[key] = value if isinstance(value, str) else json.dumps(value)
    inputs |= {f"package {package.name}": package.sha256 for package in packages if package.target}
    inputs |= {f"files {number} {folder.name}": _hash_tree(folder) for number, folder in enumerate(plan.files, 1)}
    for kind, programs in (("run", plan.run), ("test", plan.test)):
        inputs |= {f"{kind} {number} {file.name}": _hash_file(file) for number, file in enumerate(programs, 1)}
    if plan.remove:
        inputs["remove"] = json.dumps(plan.remove)
    return inputs


def combine(inputs: Mapping[str, str]) -> str:
    """Return the digest of all inputs, in hex."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def find_changes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """Yield what differs between the inputs of the built image and the current ones: ``package a/b-1: added``."""
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            yield f"{name}: added"
        elif name not in after:
            yield f"{name}: removed"
        elif before[name] != after[name]:
            yield f"{name}: changed"


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hash_tree(folder: Path) -> str:
    """Return a digest of names, modes, links and contents below a directory."""
    entries: list[Any] = []
    for path in sorted(folder.rglob("*")):
        state = path.lstat()
        content = ""
        if stat.S_ISLNK(state.st_mode):
            content = str(path.readlink())
        elif stat.S_ISREG(state.st_mode):
            content = _hash_file(path)
        entries.append((str(path.relative_to(folder)), state.st_mode, content))
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest()
