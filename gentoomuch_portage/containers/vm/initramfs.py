# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel and the initramfs of a virtual machine.

The kernel is one of the host's; the initramfs contains our own first process and the drivers that are modules, in the
order in which they are loaded.
"""

import gzip
import hashlib
import lzma
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import fs, process, zstd
from gentoomuch_portage.errors import MissingKernel

DRIVERS = ("virtio_pci", "virtio_console", "virtio_blk", "9p", "9pnet_virtio")
NETWORK = ("virtio_net",)
_PAGE = 4096
_INIT = Path(__file__).with_name("init.c")
_IMAGES = ("vmlinuz-{0}", "kernel-{0}", "kernel-genkernel-{0}")


class Kernel(NamedTuple):
    """A Linux kernel to boot."""

    image: Path
    release: str
    """The output of ``uname -r`` when it runs."""
    modules: Path
    """The directory of its modules, which may be missing."""


def find_kernel(file: str = "", root: Path = Path("/")) -> Kernel:
    """Find the kernel to boot: a given file, or one of the host that has all drivers.

    Of several, it is the one that is running, or the one with the highest version.

    Args:
        file: empty for one of the host's.
        root: the directory of ``boot`` and ``lib/modules``.

    Raises:
        MissingKernel: there is none, it cannot be read, it is not a kernel for this CPU, or it has not all drivers.
    """
    images = [Path(file)] if file else sorted(_find_images(root))
    if not images:
        raise MissingKernel(f"no kernel found in {root / 'boot'}")
    kernels, reasons = [], []
    for image in images:
        try:
            kernels.append(_load_kernel(image, root))
        except (OSError, ValueError) as error:
            reasons.append(f"cannot boot {image}: {error}")
    if not kernels:
        raise MissingKernel("; ".join(reasons))
    return max(kernels, key=_rank)


def _find_images(root: Path) -> Iterator[Path]:
    for pattern in _IMAGES:
        yield from (root / "boot").glob(pattern.format("*"))
    yield from (root / "lib/modules").glob("*/vmlinuz")


def _load_kernel(image: Path, root: Path) -> Kernel:
    """Read the release of a kernel, and check its drivers.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a kernel for this CPU, or it has not all drivers.
    """
    release = read_release(image)
    linux = Kernel(image, release, root / "lib/modules" / release)
    if missing := find_missing_drivers(linux):
        raise ValueError(f"drivers missing in {linux.modules}: {', '.join(missing)}")
    return linux


def find_missing_drivers(linux: Kernel) -> list[str]:
    """Return the drivers that a kernel has neither as modules nor built in.

    A kernel without a directory of modules may have all of them built in: nothing lists what it has.
    """
    if not linux.modules.is_dir():
        return []
    names = {
        _module_name(file) for file in (*_load_dependencies(linux), *_load_lines(linux.modules / "modules.builtin"))
    }
    return [name for name in (*DRIVERS, *NETWORK) if name not in names]


def _rank(linux: Kernel) -> tuple[bool, bool, list[str | int]]:
    parts = re.split(r"(\d+)", linux.release)  # text and numbers in turn
    version = [int(part) if part.isdigit() else part for part in parts]
    return linux.modules.is_dir(), linux.release == os.uname().release, version


def read_release(image: Path) -> str:
    """Read the release from the header of a kernel for x86.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not such a kernel.

    Source: Documentation/arch/x86/boot.rst, ``header`` and ``kernel_version``.
    """
    with image.open("rb") as opened:
        head = opened.read(0x10000)
    offset = 0x200 + int.from_bytes(head[0x20E:0x210], "little")
    name = head[offset : offset + 256].split(b"\0")[0].split(b" ")[0]
    if head[0x202:0x206] != b"HdrS" or not name:
        raise ValueError("it is not a Linux kernel for x86")
    return name.decode("ascii", "replace")


def find_modules(linux: Kernel, wanted: Iterable[str]) -> list[Path]:
    """Return the files of modules and of their dependencies, in the order to load them; none if they are built in."""
    dependencies = _load_dependencies(linux)
    files = {_module_name(file): file for file in dependencies}
    order: dict[str, None] = {}
    for name in wanted:
        if name in files:
            _add_module(files[name], dependencies, order)
    return [linux.modules / file for file in order]


def _load_dependencies(linux: Kernel) -> dict[str, list[str]]:
    """Return the modules of a kernel: file -> files of its dependencies. Source: modules.dep(5)."""
    lines = (line.partition(":") for line in _load_lines(linux.modules / "modules.dep"))
    return {file: rest.split() for file, _, rest in lines}


def _load_lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines() if file.is_file() else []


def _module_name(file: str) -> str:
    return file.rpartition("/")[2].split(".ko")[0].replace("-", "_")


def _add_module(file: str, dependencies: Mapping[str, list[str]], order: dict[str, None]) -> None:
    for dependency in dependencies.get(file, ()):
        if dependency not in order:
            _add_module(dependency, dependencies, order)
    order[file] = None


def initramfs(linux: Kernel, init: bytes, texts: Mapping[str, bytes], *, network: bool) -> bytes:
    """Return the archive that the kernel unpacks before it starts a process.

    Args:
        init: the first process.
        texts: name -> content of more files in it.
    """
    wanted = (*DRIVERS, *(NETWORK if network else ()))
    files = {"init": init, **texts}
    files |= {f"modules/{i}": _decompress(module) for i, module in enumerate(find_modules(linux, wanted))}
    return cpio(files)


def swap(size: int) -> bytes:
    """Return the first page of a swap disk.

    Args:
        size: of the disk, in bytes.

    Source: include/linux/swap.h, union swap_header.
    """
    head = bytearray(_PAGE)
    head[1024:1032] = (1).to_bytes(4, "little") + (size // _PAGE - 1).to_bytes(4, "little")
    head[-10:] = b"SWAPSPACE2"
    return bytes(head)


def _decompress(module: Path) -> bytes:
    content = module.read_bytes()
    match module.suffix:
        case ".xz":
            return lzma.decompress(content)
        case ".gz":
            return gzip.decompress(content)
        case ".zst":
            decompressed: bytes = zstd.module().decompress(content)
            return decompressed
    return content


def cpio(files: Mapping[str, bytes]) -> bytes:
    """Return an archive of programs, with /dev and /modules.

    Source: Documentation/driver-api/early-userspace/buffer-format.rst, ``newc``.
    """
    archive = b"".join(_entry(name, 0o040755, b"") for name in ("dev", "modules"))
    archive += b"".join(_entry(name, 0o100755, content) for name, content in files.items())
    return archive + _entry("TRAILER!!!", 0, b"")


def _entry(name: str, mode: int, content: bytes) -> bytes:
    numbers = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % number for number in numbers) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + content + b"\0" * (-len(content) % 4)


def compile_init(cache: Path) -> bytes:
    """Return our first process, compiled unless the cache contains it.

    Raises:
        MissingProgram, ProgramFailed: there is no compiler, or it fails.
    """
    source = _INIT.read_bytes()
    program = cache / f"vminit-{hashlib.sha256(source).hexdigest()[:16]}"
    if not program.exists():
        with fs.fresh_folder(cache, prefix="vminit.") as folder:
            output = folder / "init"
            process.run(["cc", "-Os", "-static", "-s", "-o", str(output), str(_INIT)], keep=True, atom="sys-devel/gcc")
            output.replace(program)
    return program.read_bytes()
