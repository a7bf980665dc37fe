# SPDX-License-Identifier: GPL-2.0-or-later
"""Files and packages that mean no good: each is told with its reason, and nothing else becomes of them."""

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gentoomuch_portage.audit import package_files, pool
from gentoomuch_portage.audit.package_files import CodeFile, extract
from gentoomuch_portage.audit.report import Finding, Report, Skipped
from gentoomuch_portage.audit.scan_file import scan_bytes
from gentoomuch_portage.binpkg.source import BadBinpkg

pytest.importorskip("iced_x86", reason="the extra 'audit' is not installed")
pytest.importorskip("elftools", reason="the extra 'audit' is not installed")

ELF = Path("/proc/self/exe").resolve()
SMALL = next(path for path in (Path("/bin/true"), Path("/usr/bin/true"), ELF) if path.exists()).read_bytes()


def gpkg(path: Path, image: bytes, *, name: str = "image.tar") -> Path:
    """A package with this image; the rest of it is not looked at."""
    with tarfile.open(path, "w") as outer:
        for member, content in (("x-1/gpkg-1", b""), (f"x-1/{name}", image)):
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            outer.addfile(entry, io.BytesIO(content))
    return path


def image(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for entry, content in members:
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def named(name: str, **more: object) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    for key, value in more.items():
        setattr(entry, key, value)
    return entry


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(SMALL)))
def test_a_truncated_file_is_rejected_or_read(length):
    report = scan_bytes("true", SMALL[:length])

    assert all(one.why for one in report.skipped)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(4, 511), st.integers(0, 255)), min_size=1, max_size=8), st.booleans())
def test_headers_with_any_numbers_are_rejected_or_read(changes, behind):
    content = bytearray(SMALL)
    for at, value in changes:
        content[-at if behind else at] = value

    report = scan_bytes("true", bytes(content))

    assert all(one.why for one in report.skipped)


def test_a_file_that_is_cut_off_gives_its_reason():
    (skipped,) = scan_bytes("true", SMALL[: len(SMALL) // 2]).skipped

    assert skipped.file == "true"
    assert skipped.why


def test_a_damaged_archive_gives_its_reason():
    (skipped,) = scan_bytes("liba.a", b"!<arch>\nname/           0           0     0     644     9999      `\n").skipped

    assert skipped.why == "damaged archive"


def test_no_path_of_an_image_is_ever_used(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    members = [
        (named("../../escaped"), SMALL),
        (named(f"{tmp_path}/absolute"), SMALL),
        (named("image/link", type=tarfile.SYMTYPE, linkname="/etc/passwd"), b""),
        (named("image/device", type=tarfile.CHRTYPE, devmajor=1), b""),
        (named("image/pipe", type=tarfile.FIFOTYPE), b""),
        (named("image/bell\a"), SMALL),
    ]

    found = list(extract(gpkg(tmp_path / "x-1.gpkg.tar", image(*members)), folder))

    assert sorted(path.name for path in tmp_path.rglob("*")) == ["0", "1", "5", "folder", "x-1.gpkg.tar"]
    assert [one.name for one in found] == ["../../escaped", f"{tmp_path}/absolute".lstrip("/"), "bell?"]


def test_a_header_of_gigabytes_is_rejected_before_it_is_read(tmp_path):
    header = named("x", type=tarfile.XHDTYPE)
    header.size = 8 << 30
    path = gpkg(tmp_path / "x-1.gpkg.tar", header.tobuf(tarfile.GNU_FORMAT) + bytes(2048))

    with pytest.raises(BadBinpkg, match="a header of"):
        list(extract(path, tmp_path))


def test_a_decompression_bomb_is_rejected_at_the_limit(tmp_path, monkeypatch):
    import bz2

    monkeypatch.setattr(package_files, "MOST_UNPACKED", 1 << 20)
    content = bz2.compress(image((named("image/zeros"), bytes(4 << 20))))

    with pytest.raises(BadBinpkg, match="more than"):
        list(extract(gpkg(tmp_path / "x-1.gpkg.tar", content, name="image.tar.bz2"), tmp_path))


def test_a_file_above_the_limit_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(package_files, "MOST_FILE", len(SMALL) - 1)

    (found,) = extract(gpkg(tmp_path / "x-1.gpkg.tar", image((named("image/big"), SMALL))), tmp_path)

    assert isinstance(found, Skipped)


@pytest.mark.parametrize("name", ["image.tar.bz2", "image.tar.gz", "image.tar.xz", "image.tar.zst"])
def test_an_image_that_is_not_an_archive_is_rejected(tmp_path, name):
    with pytest.raises(BadBinpkg):
        list(extract(gpkg(tmp_path / "x-1.gpkg.tar", b"nonsense" * 200, name=name), tmp_path))


def test_unsupported_compression_is_reported(tmp_path):
    with pytest.raises(BadBinpkg, match=r"\.lz4"):
        list(extract(gpkg(tmp_path / "x-1.gpkg.tar", b"", name="image.tar.lz4"), tmp_path))


def test_a_truncated_xpak_is_rejected(tmp_path):
    (tmp_path / "x-1.tbz2").write_bytes(b"BZh91AY")

    with pytest.raises(BadBinpkg, match="with an xpak"):
        list(extract(tmp_path / "x-1.tbz2", tmp_path))


def test_several_processes_find_the_same_as_one(tmp_path):
    for name in "abc":
        (tmp_path / name).write_bytes(SMALL)
    files = [CodeFile(name, tmp_path / name, temporary=False) for name in "abc"]
    sizes: list[int] = []

    with pool.start_scanners(1) as one, pool.start_scanners(2) as two:
        alone, together = one(files, sizes.append), two(files, sizes.append)

    assert alone == together
    assert sizes == [len(SMALL)] * 6


@given(st.lists(st.builds(Finding, st.text(), st.text(), st.just(("AVX", "AVX2")), st.just("plain"))), st.integers(0))
def test_a_report_is_read_as_it_was_written(findings, size):
    report = Report(files=1, size=size, machines=frozenset({"i386"}), findings=tuple(findings))

    assert Report.from_json(report.to_json()) == report


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"v": 2}', '{"v": 0}', '{"v": 2, "findings": [{}], "skipped": []}'])
def test_an_invalid_cached_report_is_computed_again(text):
    assert Report.from_json(text) is None
