"""A box in a virtual machine: a kernel of its own on qemu-system, its root handed in over 9p.

The host lays the mounts of the box as for every other kind, and qemu hands them to the machine as one folder: what is
read-only or copy on write is kept so by the host's kernel, whatever the machine's may do.
"""

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage import process
from gentoomuch_portage.containers import artifacts
from gentoomuch_portage.containers.backends import TOLD
from gentoomuch_portage.containers.spec import Box
from gentoomuch_portage.containers.vm import initramfs
from gentoomuch_portage.errors import MissingKernel, MissingProgram

PROGRAM = "qemu-system-x86_64"
ATOM = "app-emulation/qemu"
_ROM = 1 << 16
_TRY = b"\xb0\x31\xe6\xf4\xf4".ljust(16, b"\0")
"""What a CPU starts with, 16 bytes below the end of a ROM: ``mov al, 0x31; out 0xf4, al; hlt``."""
_TRIED = 0x31 << 1 | 1
"""How qemu ends upon that. Source: hw/misc/debugexit.c of qemu."""
_MOST_MEMORY, _MOST_SWAP = 4 << 30, 256 << 30
_NETWORK = ("-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,addr=5")
_DOOR = "gentoomuch_portage.containers.vm.guest"
_SOFTWARE = 70
"""Exit status where a box could not be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a virtual machine is made of."""

    kernel: str
    """The file of the Linux that is booted."""
    kvm: bool
    """Whether the CPU runs it; otherwise qemu does, slowly."""
    terminal: bool
    """Whether it takes over the terminal; otherwise its output and errors are kept apart and it reads nothing."""
    cpus: int
    memory: int
    """Bytes."""


def argv(box: Box, machine: Machine) -> tuple[str, ...]:
    """qemu 5 and later. Source: qemu(1)."""
    share = f"local,id=box,path={_quoted(f'{box.run}/root')},security_model=passthrough,multidevs=remap"
    return (
        PROGRAM, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-name", box.hostname,
        "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        "-machine", "pc", "-accel", "kvm" if machine.kvm else "tcg", "-cpu", "host" if machine.kvm else "max",
        "-smp", str(machine.cpus), "-m", f"{machine.memory >> 20}M",
        "-kernel", machine.kernel, "-initrd", f"{box.run}/initrd",
        # A CPU that qemu plays does not speculate, so that nothing is gained by being wary of it.
        "-append", "console=ttyS0 quiet panic=-1" + ("" if machine.kvm else " mitigations=off"),
        "-chardev", f"file,id=console,path={_quoted(f'{box.run}/console')}", "-serial", "chardev:console",
        # The first on its bus: the kernel numbers ports by the place of their device.
        "-device", "virtio-serial-pci,addr=3", *_streams(machine),
        "-drive", f"if=none,id=swap,format=raw,discard=unmap,file={_quoted(f'{box.run}/swap')}",
        "-device", "virtio-blk-pci,drive=swap,addr=6",
        "-chardev", f"file,id=status,path={_quoted(f'{box.run}/status')}",
        "-device", "virtserialport,chardev=status,nr=3",
        "-fsdev", share, "-device", "virtio-9p-pci,fsdev=box,mount_tag=box,addr=4",
        "-nic", "none", *(_NETWORK if box.network else ()),
    )  # fmt: skip


def _streams(machine: Machine) -> tuple[str, ...]:
    if machine.terminal:
        return "-chardev", "stdio,id=out,signal=off", "-device", "virtconsole,chardev=out,nr=0"
    return (
        "-chardev", "file,id=out,path=/proc/self/fd/1,append=on", "-device", "virtserialport,chardev=out,nr=1",
        "-chardev", "file,id=err,path=/proc/self/fd/2,append=on", "-device", "virtserialport,chardev=err,nr=2",
    )  # fmt: skip


def _quoted(path: str) -> str:
    """A path as qemu wants it among its options."""
    return path.replace(",", ",,")


def prepare(box: Box, cache: Path, *, terminal: bool) -> Machine:
    """Lay a kernel and an initramfs ready.

    Args:
        cache: where our first process is kept.

    Raises:
        MissingKernel: there is none to boot.
        MissingProgram, ProgramFailed: our first process cannot be compiled.
    """
    linux = initramfs.kernel(box.kernel)
    door = (*box.door[:-1], _DOOR, TOLD)
    env = (f"{name}={box.env.get(name, '')}" for name in ("PATH", "PYTHONPATH"))
    texts = {"door": _ended(door), "env": _ended(env), **({"terminal": b""} if terminal else {})}
    made = initramfs.initramfs(linux, initramfs.init(cache), texts, network=box.network)
    (Path(box.run) / "initrd").write_bytes(made)
    _lay_swap(Path(box.run) / "swap")
    kvm = kvm_works(Path(box.run))
    memory = min(_MOST_MEMORY, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)
    cpus = len(os.sched_getaffinity(0)) if kvm else 1
    return Machine(kernel=str(linux.image), kvm=kvm, terminal=terminal, cpus=cpus, memory=memory)


def _lay_swap(file: Path) -> None:
    """Let what does not fit into the machine's memory lie on the disk, which it takes as it comes."""
    size = min(_MOST_SWAP, shutil.disk_usage(file.parent).free // 2 & -(1 << 20))
    file.write_bytes(initramfs.swap(size))
    os.truncate(file, size)


def _ended(words: Iterable[str]) -> bytes:
    return b"".join(word.encode() + b"\0" for word in words)


def lacks(kernel: str = "") -> MissingProgram | MissingKernel | None:
    """What is not here that a virtual machine needs; None where all is, though none was started."""
    for program, atom in ((PROGRAM, ATOM), ("cc", "sys-devel/gcc")):
        if not process.where(program):
            return MissingProgram(program, atom)
    try:
        initramfs.kernel(kernel)
    except MissingKernel as error:
        return error
    return None


def kvm_works(place: Path) -> bool:
    """Whether the CPU runs virtual machines for us: tried out, with three instructions.

    That /dev/kvm is there says little on a machine that is itself a virtual one.

    Args:
        place: a folder for the program of the try.
    """
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    image = place / "kvm"
    image.write_bytes(_TRY.rjust(_ROM, b"\0"))
    words = [
        *("timeout", "3", PROGRAM, "-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc", "-m", "16M"),
        *("-accel", "kvm", "-cpu", "host", "-bios", str(image), "-nic", "none"),
        *("-device", "isa-debug-exit,iobase=0xf4,iosize=4"),
    ]
    return process.run(words, keep=True, accept=()).status == _TRIED


def ended(place: Path, status: int) -> int:
    """The status of a box's program, as its machine has told it.

    Args:
        place: the box's own folder.
        status: qemu's own, which counts where the machine did not come to telling: it was killed, or it has failed;
            then what its kernel said last goes to stderr.
    """
    told = artifacts.text(place / "status")
    if told.isascii() and told.isdigit():
        return min(int(told), 255)
    if status > 128:
        return status
    lines = artifacts.text(place / "console", last=artifacts.MOST).split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), f"qemu ended with {status}")
    shown = "".join(sign for sign in last if sign.isprintable())
    os.write(2, f"gentoomuch: the virtual machine has failed: {shown}\n".encode())
    return _SOFTWARE
