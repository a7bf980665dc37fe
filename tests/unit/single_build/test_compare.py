# SPDX-License-Identifier: GPL-2.0-or-later
"""Differences of two builds of a package: real archives, with one thing changed."""

import io
import tarfile
from pathlib import Path

import pytest

from gentoomuch_portage.binpkg.source import BadBinpkg
from gentoomuch_portage.single_build.compare import VOLATILE, Difference, compare_packages


def _tar(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return written.getvalue()


def _member(name: str, *, mode: int = 0o644, link: str = "", hard: bool = False, mtime: int = 0) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.mode, member.mtime = mode, mtime
    if link:
        member.type, member.linkname = tarfile.LNKTYPE if hard else tarfile.SYMTYPE, link
    return member


def _package(file: Path, image: list[tuple[tarfile.TarInfo, bytes]], metadata: dict[str, str]) -> Path:
    fields = [(_member(f"metadata/{name}"), text.encode()) for name, text in metadata.items()]
    parts = [
        (_member("hello-1-1/gpkg-1"), b""),
        (_member("hello-1-1/metadata.tar"), _tar(fields)),
        (_member("hello-1-1/image.tar"), _tar(image)),
    ]
    file.write_bytes(_tar(parts))
    return file


_METADATA = {"SLOT": "0", "BUILD_ID": "1", "BUILD_TIME": "1700000000", "environment.bz2": "one"}


def _image(**changes: tarfile.TarInfo | bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
    members = {
        "file": (_member("image/usr/file"), b"content"),
        "link": (_member("image/usr/link", link="file"), b""),
        "hard": (_member("image/usr/hard", link="image/usr/file", hard=True), b""),
    }
    for name, change in changes.items():
        member, content = members[name]
        members[name] = (member, change) if isinstance(change, bytes) else (change, content)
    return list(members.values())


def test_packages_that_differ_only_in_times_and_volatile_fields_are_equal(tmp_path: Path) -> None:
    first = _package(tmp_path / "1.gpkg.tar", _image(), _METADATA)
    other = {**_METADATA, **dict.fromkeys(VOLATILE, "2")}
    second = _package(tmp_path / "2.gpkg.tar", _image(file=_member("image/usr/file", mtime=1)), other)
    assert compare_packages(first, second) == ()


@pytest.mark.parametrize(
    ("changes", "differences"),
    [
        ({"file": b"another"}, (Difference("/usr/file", ("content",)), Difference("/usr/hard", ("content",)))),
        ({"file": _member("image/usr/file", mode=0o755)}, (Difference("/usr/file", ("mode",)),)),
        ({"link": _member("image/usr/link", link="other")}, (Difference("/usr/link", ("target",)),)),
        (
            {"link": _member("image/usr/moved", link="file")},
            (Difference("/usr/link", ("only-first",)), Difference("/usr/moved", ("only-second",))),
        ),
    ],
)
def test_each_difference_of_an_installed_file_is_named(
    changes: dict[str, tarfile.TarInfo | bytes], differences: tuple[Difference, ...], tmp_path: Path
) -> None:
    first = _package(tmp_path / "1.gpkg.tar", _image(), _METADATA)
    second = _package(tmp_path / "2.gpkg.tar", _image(**changes), _METADATA)
    assert compare_packages(first, second) == differences


def test_differences_of_metadata_are_named_by_their_field(tmp_path: Path) -> None:
    first = _package(tmp_path / "1.gpkg.tar", _image(), {**_METADATA, "RDEPEND": "a/b"})
    second = _package(tmp_path / "2.gpkg.tar", _image(), {**_METADATA, "SLOT": "1"})
    assert compare_packages(first, second) == (Difference("RDEPEND", ("only-first",)), Difference("SLOT", ("content",)))


def test_a_truncated_package_is_rejected(tmp_path: Path) -> None:
    first = _package(tmp_path / "1.gpkg.tar", _image(), _METADATA)
    second = tmp_path / "2.gpkg.tar"
    second.write_bytes(first.read_bytes()[:2000])
    with pytest.raises(BadBinpkg):
        compare_packages(first, second)
