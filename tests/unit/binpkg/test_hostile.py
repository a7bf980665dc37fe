# SPDX-License-Identifier: GPL-2.0-or-later
"""Binary packages by somebody who means harm: refused, each as a BadBinpkg with its reason."""

import bz2
import lzma
import random
import struct
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path

import pytest
from helpers.packages import PACK, PLAIN, gpkg, metadata, read, source, tar, xpak, zstd

from gentoomuch_portage.binpkg import formats
from gentoomuch_portage.binpkg.formats import BadBinpkg


def member(kind: bytes, name: str = "metadata/CFLAGS") -> tarfile.TarInfo:
    """The header of a member of some kind."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


def refused(content: bytes, why: str, name: str = "p-1.gpkg.tar") -> None:
    """It is refused for that reason, in a line that a terminal can show."""
    with pytest.raises(BadBinpkg, match=why) as error:
        read(content, name)
    assert error.value.why.isprintable()
    assert len(error.value.why) < 200


def patched(content: bytes, at: int, new: bytes) -> bytes:
    """With other bytes in one place, and the checksum of the header there made right."""
    content = content[:at] + new + content[at + len(new) :]
    start = at // 512 * 512
    header = bytearray(content[start : start + 512])
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return content[:start] + bytes(header) + content[start + 512 :]


@pytest.mark.parametrize("size", range(0, 4000, 60))
def test_a_gpkg_truncated_before_its_image_is_rejected(size):
    noise = random.Random(1).randbytes(3000)

    refused(gpkg({"environment.bz2": noise, **PLAIN})[:size], "truncated")


@pytest.mark.parametrize("kind", PACK)
def test_truncated_metadata_is_rejected(kind):
    refused(gpkg(kind=kind, inner=PACK[kind](metadata(PLAIN))[: -8000 if not kind else -20]), "truncated")


@pytest.mark.parametrize("size", [1, 4, 10, 40, 2000, 4000, 5110])
def test_a_truncated_xpak_is_rejected(size):
    refused(xpak()[:-size], "truncated|no xpak segment", "p.xpak")


@pytest.mark.parametrize("kind", [".zst", ".gz", ".bz2", ".xz"])
def test_a_decompression_bomb_is_rejected(kind):
    plain = metadata({"a": bytes(100 << 20), **PLAIN})

    refused(gpkg(kind=kind, inner=PACK[kind](plain)), "decompresses to more than 32 MiB")


@pytest.mark.parametrize("kind", [".zst", ".gz", ".bz2", ".xz"])
def test_decompression_bomb_with_false_size_is_rejected(kind):
    files = {f"f{number}": bytes(60_000) for number in range(1000)}

    refused(gpkg(kind=kind, inner=PACK[kind](metadata(files))), "decompresses to more than 32 MiB")


def test_too_many_files_are_rejected():
    refused(gpkg({f"f{number}": b"" for number in range(5000)}), "more than 4000 files")
    refused(xpak({f"f{number}": b"" for number in range(5000)}), "more than 4000 files", "p.xpak")


@pytest.mark.parametrize("size", [b"10000000000\0", b"\x80" + (1 << 40).to_bytes(11, "big")])
def test_metadata_of_a_gibibyte_is_rejected_before_it_is_read(size):
    content = source(patched(gpkg(), 512 + 124, size), "p.gpkg.tar")

    with pytest.raises(BadBinpkg, match=r"its metadata has \d+ bytes"):
        formats.read(content, {"CFLAGS"})
    assert content.spent <= 16 << 10


@pytest.mark.parametrize(
    "size", [b"-0000000001\0", b"\xff" * 12, b"99999999999\0", b"+0000000001\0", b"00000000 01\0", b"\0" * 12]
)
@pytest.mark.parametrize("at", [124, 512 + 124])
def test_an_invalid_size_is_rejected(size, at):
    refused(patched(gpkg(), at, size), "invalid size")


@pytest.mark.parametrize("size", [b"00000000000\0", b"00000000001\0", b"00000001000\0"])
def test_metadata_with_a_wrong_length_is_rejected(size):
    refused(patched(gpkg(), 512 + 124, size), "truncated|cannot decompress")


def test_a_wrong_checksum_is_rejected():
    content = gpkg()

    refused(content[:600] + b"x" + content[601:], "not a tar archive")


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.SYMTYPE, "a link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.DIRTYPE, "a directory"),
        (tarfile.FIFOTYPE, "a pipe"),
        (tarfile.GNUTYPE_SPARSE, "a sparse file"),
        (tarfile.XHDTYPE, "an extended header"),
        (tarfile.XGLTYPE, "an extended header"),
        (tarfile.GNUTYPE_LONGLINK, "a long link"),
        (b"Z", "something else than regular files"),
    ],
)
@pytest.mark.parametrize("where", ["outside", "inside"])
def test_members_other_than_regular_files_are_rejected(kind, told, where):
    if where == "inside":
        content = gpkg(kind="", inner=patched(metadata(PLAIN), 156, kind))
    else:
        content = patched(gpkg(), 512 + 156, kind)

    refused(content, told)


def test_pax_headers_are_rejected():
    info = tarfile.TarInfo("metadata/CFLAGS")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "size": "-5"}

    refused(gpkg(kind="", inner=tar([(info, b"-O2")], form=tarfile.PAX_FORMAT)), "an extended header")


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "metadata/../CFLAGS",
        "metadata//CFLAGS",
        "metadata/a/b",
        "CFLAGS",
        "metadata/",
        "metadata/a\x1b[2J",
        "./metadata/a",
    ],
)
def test_a_name_outside_of_the_archive_is_rejected(name):
    refused(gpkg(kind="", inner=tar([(name, b"x")])), "it contains a file named|its metadata contains|a directory")


def test_a_chain_of_long_names_is_rejected():
    long = tarfile.TarInfo("././@LongLink")
    long.type = tarfile.GNUTYPE_LONGNAME

    refused(tar([(long, b"p-1/gpkg-1\0")] * 5000), "something else than regular files")


@pytest.mark.parametrize("form", ["gpkg", "xpak"])
def test_a_duplicate_name_is_rejected(form):
    double = tar([("metadata/CFLAGS", b"-O2"), ("metadata/CFLAGS", b"-O3")])
    segment = xpak({"CFLAGS": b"", "CFLAGZ": b""}, image=0).replace(b"CFLAGZ", b"CFLAGS")

    refused(
        gpkg(kind="", inner=double) if form == "gpkg" else segment,
        "twice",
        f"p.{'gpkg.tar' if form == 'gpkg' else form}",
    )


@pytest.mark.parametrize("form", [gpkg, xpak])
@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (b"-O2 " * (1 << 18), "its CFLAGS has 1048576 bytes"),
        (b"-O2\0-march=x", "control characters"),
        (b"-O2\x1b[2J", "control characters"),
        ("-O2 \u202e".encode(), "control characters"),
    ],
)
def test_flags_with_control_characters_or_of_any_length_are_rejected(form, flags, told):
    refused(form({"CFLAGS": flags}), told, "p.gpkg.tar" if form is gpkg else "p.xpak")


def test_an_unsupported_compression_is_rejected_by_name():
    refused(tar([("p-1/gpkg-1", b""), ("p-1/metadata.tar.lz4", b"x")]), r"unsupported compression \('.lz4'\)")


@pytest.mark.parametrize("content", [b"", b"x" * 20, bytes(100_000), b"\x80" * 5000, b"PK\3\4" * 900])
@pytest.mark.parametrize("name", ["p.gpkg.tar", "p.xpak", "p.tbz2"])
def test_files_of_another_format_are_rejected(content, name):
    refused(content, "truncated|not a tar|no xpak|no metadata", name)


def test_a_gpkg_without_gpkg_1_is_rejected():
    refused(tar([("p-1/metadata.tar", metadata(PLAIN))]), "does not begin with gpkg-1")


def number(content: bytes, at: int, value: int) -> bytes:
    """An xpak with another number in one place; from the end where ``at`` is negative."""
    at %= len(content)
    return content[:at] + struct.pack(">I", value) + content[at + 4 :]


@pytest.mark.parametrize(
    ("at", "value"),
    [
        *((at, value) for at in (-8, 8, 12, 16) for value in (0, 5, 23, 0x7FFFFFFF, 0xFFFFFFFF)),
        *((at, value) for at in (26, 30) for value in (10, 0x7FFFFFFF, 0xFFFFFFFF)),
    ],
)
def test_a_wrong_length_in_an_xpak_is_rejected(at, value):
    refused(
        number(xpak({"CFLAGS": b"-O2 -pipe"}, image=0), at, value),
        "wrong|damaged|exceeds|named|truncated",
        "p.xpak",
    )


def test_a_name_outside_of_an_xpak_is_rejected():
    refused(xpak({"../../etc/passwd": b"x"}), "named", "p.xpak")


BOMBS = """
import resource, sys
from pathlib import Path
from gentoomuch_portage.binpkg.formats import BadBinpkg; from gentoomuch_portage.binpkg import metadata as reader
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
for name in sys.argv[1:]:
    try:
        reader._read_file(Path(name), {"CFLAGS", "GM_REQUIRES"})
    except BadBinpkg as error:
        assert "decompresses to more" in error.why or "cannot decompress" in error.why, error.why
    else:
        raise SystemExit(f"{name} was not refused")
(line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(line.split()[1])  # ru_maxrss would be that of pytest, from which this process was made
"""


def test_bombs_take_less_than_300_mib_and_write_nothing(tmp_path: Path):
    wide = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.compression_level: 3}
    huge = {zstd.CompressionParameter.window_log: 28, zstd.CompressionParameter.compression_level: 3}
    packers = {
        ".zst": lambda: zstd.ZstdCompressor(options=wide),
        ".gz": lambda: zlib.compressobj(wbits=31),
        ".bz2": bz2.BZ2Compressor,
        ".xz": lzma.LZMACompressor,
    }
    files = [write_bomb(tmp_path / f"p{kind}.gpkg.tar", kind, pack()) for kind, pack in packers.items()]
    files.append(write_bomb(tmp_path / "huge.gpkg.tar", ".zst", zstd.ZstdCompressor(options=huge)))

    argv = [sys.executable, "-c", BOMBS, *files]
    ended = subprocess.run(argv, capture_output=True, text=True, cwd=tmp_path, check=False)

    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) < 300 << 10
    assert sorted(tmp_path.iterdir()) == sorted(files)


def write_bomb(path: Path, kind: str, packer) -> Path:
    """A gpkg whose metadata goes on and on, in files of a length that is allowed."""
    sixteen = bytes(16 << 20)
    packed = [packer.compress(metadata(PLAIN)[:-10240])]
    for number in range(64 if kind == ".zst" else 4):
        info = tarfile.TarInfo(f"metadata/{number}")
        info.size = len(sixteen)
        packed += [packer.compress(info.tobuf(tarfile.USTAR_FORMAT)), packer.compress(sixteen)]
    path.write_bytes(gpkg(kind=kind, inner=b"".join([*packed, packer.flush()])))
    return path
