"""What a virtual machine is booted from: a Linux of the host's, and an initramfs with our own first process.

Drivers that this Linux has as modules are packed in, in the order in which they are loaded; the rest is built in.
"""

import gzip
import hashlib
import lzma
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import fs, process
from gentoomuch_portage.errors import MissingKernel

DRIVERS = ("virtio_pci", "virtio_console", "virtio_blk", "9p", "9pnet_virtio")
NETWORK = ("virtio_net",)
_PAGE = 4096
_INIT = Path(__file__).with_name("init.c")
_IMAGES = ("vmlinuz-{0}", "kernel-{0}", "kernel-genkernel-{0}")


class Kernel(NamedTuple):
    """A Linux to boot."""

    image: Path
    release: str
    """What ``uname -r`` says in it."""
    modules: Path
    """Its folder, which need not be there."""


def kernel(asked: str = "", root: Path = Path("/")) -> Kernel:
    """The Linux to boot: the one that is asked for, that which runs here, or the newest of the host.

    Args:
        asked: a file; empty for one of the host's.
        root: where ``boot`` and ``lib/modules`` are.

    Raises:
        MissingKernel: there is none, it cannot be read, or it is no Linux for this CPU.
    """
    images = [Path(asked)] if asked else sorted(_found(root), key=_rank, reverse=True)
    if not images:
        raise MissingKernel(f"there is no Linux to boot in {root / 'boot'}")
    try:
        release = told(images[0])
    except (OSError, ValueError) as error:
        raise MissingKernel(f"{images[0]} cannot be booted: {error}") from error
    return Kernel(images[0], release, root / "lib/modules" / release)


def _found(root: Path) -> Iterator[Path]:
    for pattern in _IMAGES:
        yield from (root / "boot").glob(pattern.format("*"))
    yield from (root / "lib/modules").glob("*/vmlinuz")


def _rank(image: Path) -> tuple[bool, bool, float]:
    return os.access(image, os.R_OK), os.uname().release in str(image), image.stat().st_mtime


def told(image: Path) -> str:
    """The release that a Linux for x86 names in its header.

    Raises:
        OSError: it cannot be read.
        ValueError: it is none.

    Source: Documentation/arch/x86/boot.rst, ``header`` and ``kernel_version``.
    """
    with image.open("rb") as opened:
        head = opened.read(0x10000)
    at = 0x200 + int.from_bytes(head[0x20E:0x210], "little")
    name = head[at : at + 256].split(b"\0")[0].split(b" ")[0]
    if head[0x202:0x206] != b"HdrS" or not name:
        raise ValueError("it is no Linux for x86")
    return name.decode("ascii", "replace")


def modules(linux: Kernel, wanted: Iterable[str]) -> list[Path]:
    """The files of modules and of all that they need, each behind what it needs; none where they are built in.

    Source: modules.dep(5).
    """
    listed = linux.modules / "modules.dep"
    if not listed.is_file():
        return []
    needs = {}
    for line in listed.read_text(encoding="utf-8").splitlines():
        file, _, rest = line.partition(":")
        needs[file] = rest.split()
    named = {_name(file): file for file in needs}
    order: dict[str, None] = {}
    for name in wanted:
        if name in named:
            _behind(named[name], needs, order)
    return [linux.modules / file for file in order]


def _name(file: str) -> str:
    return file.rpartition("/")[2].split(".ko")[0].replace("-", "_")


def _behind(file: str, needs: Mapping[str, list[str]], order: dict[str, None]) -> None:
    for one in needs.get(file, ()):
        if one not in order:
            _behind(one, needs, order)
    order[file] = None


def initramfs(linux: Kernel, init: bytes, texts: Mapping[str, bytes], *, network: bool) -> bytes:
    """The archive that the kernel unpacks before anything runs.

    Args:
        init: the first process.
        texts: name -> content of further files in it.
    """
    wanted = (*DRIVERS, *(NETWORK if network else ()))
    packed = {"init": init, **texts}
    packed |= {f"modules/{i}": _unpacked(one) for i, one in enumerate(modules(linux, wanted))}
    return cpio(packed)


def swap(size: int) -> bytes:
    """The first page of a disk that memory is put out to.

    Args:
        size: of the disk, in bytes.

    Source: include/linux/swap.h, union swap_header.
    """
    head = bytearray(_PAGE)
    head[1024:1032] = (1).to_bytes(4, "little") + (size // _PAGE - 1).to_bytes(4, "little")
    head[-10:] = b"SWAPSPACE2"
    return bytes(head)


def _unpacked(module: Path) -> bytes:
    packed = module.read_bytes()
    match module.suffix:
        case ".xz":
            return lzma.decompress(packed)
        case ".gz":
            return gzip.decompress(packed)
        case ".zst":
            return _zstd(packed)
    return packed


def _zstd(packed: bytes) -> bytes:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # Python 3.14
    except ImportError:
        from backports import zstd
    unpacked: bytes = zstd.decompress(packed)
    return unpacked


def cpio(packed: Mapping[str, bytes]) -> bytes:
    """An archive of programs, with /dev and /modules.

    Source: Documentation/driver-api/early-userspace/buffer-format.rst, ``newc``.
    """
    made = b"".join(_entry(name, 0o040755, b"") for name in ("dev", "modules"))
    made += b"".join(_entry(name, 0o100755, content) for name, content in packed.items())
    return made + _entry("TRAILER!!!", 0, b"")


def _entry(name: str, mode: int, content: bytes) -> bytes:
    numbers = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % number for number in numbers) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + content + b"\0" * (-len(content) % 4)


def init(cache: Path) -> bytes:
    """Our first process, compiled where that was not done before.

    Raises:
        MissingProgram, ProgramFailed: there is no compiler, or it cannot.
    """
    source = _INIT.read_bytes()
    kept = cache / f"vminit-{hashlib.sha256(source).hexdigest()[:16]}"
    if not kept.exists():
        with fs.fresh_folder(cache, prefix="vminit.") as folder:
            made = folder / "init"
            process.run(["cc", "-Os", "-static", "-s", "-o", str(made), str(_INIT)], keep=True, atom="sys-devel/gcc")
            made.replace(kept)
    return kept.read_bytes()
