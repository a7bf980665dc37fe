# SPDX-License-Identifier: GPL-2.0-or-later
"""Run a container in a virtual machine of qemu, with a kernel of its own and its root directory shared over 9p.

The host creates the mounts as for every other kind, and qemu shares them with the machine as one directory: the host's
kernel enforces what is read-only or copy on write, whatever the kernel of the machine does.
"""

import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage import process
from gentoomuch_portage.config.isolation_kinds import VM
from gentoomuch_portage.containers import artifacts, listen
from gentoomuch_portage.containers.backends import DESCRIPTION
from gentoomuch_portage.containers.spec import ContainerSpec
from gentoomuch_portage.containers.vm import initramfs
from gentoomuch_portage.errors import MissingKernel, MissingProgram

_ROM = 1 << 16
_TRY = b"\xb0\x31\xe6\xf4\xf4".ljust(16, b"\0")
"""The first instructions of a CPU, 16 bytes below the end of a ROM: ``mov al, 0x31; out 0xf4, al; hlt``."""
_TRIED = 0x31 << 1 | 1
"""The exit status of qemu after that. Source: hw/misc/debugexit.c of qemu."""
_REASONS = ("Kernel panic", "gentoomuch: ")
"""How lines of the console begin that say why a machine failed, the strongest first: of its kernel, and of our init."""
_MOST_MEMORY, _MOST_SWAP = 4 << 30, 256 << 30
_NETWORK = ("-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,addr=5")
_GUEST = "gentoomuch_portage.containers.vm.guest"
_SOFTWARE = 70
"""Exit status if the container could not be created."""
_BOOT = 10
"""Seconds in which a kernel without a root has to panic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The hardware of a virtual machine."""

    kernel: str
    """The file of its kernel."""
    kvm: bool
    """Whether the CPU runs it; otherwise qemu emulates it, slowly."""
    terminal: bool
    """Whether it uses the terminal; otherwise its output and errors are separate, and it has no input."""
    cpus: int
    memory: int
    """Bytes."""


def argv(spec: ContainerSpec, machine: Machine) -> tuple[str, ...]:
    """Return the command line of qemu 5 and later. Source: qemu(1)."""
    share = f"local,id=root,path={_escape(f'{spec.run}/root')},security_model=passthrough,multidevs=remap"
    return (
        VM.program, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-name", spec.hostname,
        "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        "-machine", "pc", "-accel", "kvm" if machine.kvm else "tcg", "-cpu", "host" if machine.kvm else "max",
        "-smp", str(machine.cpus), "-m", f"{machine.memory >> 20}M",
        "-kernel", machine.kernel, "-initrd", f"{spec.run}/initrd",
        # A CPU that qemu emulates does not speculate, so that mitigations are useless.
        "-append", "console=ttyS0 quiet panic=-1" + ("" if machine.kvm else " mitigations=off"),
        "-chardev", f"file,id=console,path={_escape(f'{spec.run}/console')}", "-serial", "chardev:console",
        # The first on its bus: the kernel numbers ports by the address of their device.
        "-device", "virtio-serial-pci,addr=3", *_streams(machine),
        "-drive", f"if=none,id=swap,format=raw,discard=unmap,file={_escape(f'{spec.run}/swap')}",
        "-device", "virtio-blk-pci,drive=swap,addr=6",
        "-chardev", f"file,id=status,path={_escape(f'{spec.run}/status')}",
        "-device", "virtserialport,chardev=status,nr=3",
        *_events(spec),
        "-fsdev", share, "-device", "virtio-9p-pci,fsdev=root,mount_tag=root,addr=4",
        "-nic", "none", *(_NETWORK if spec.network else ()),
    )  # fmt: skip


def _streams(machine: Machine) -> tuple[str, ...]:
    if machine.terminal:
        return "-chardev", "stdio,id=out,signal=off", "-device", "virtconsole,chardev=out,nr=0"
    return (
        "-chardev", "file,id=out,path=/proc/self/fd/1,append=on", "-device", "virtserialport,chardev=out,nr=1",
        "-chardev", "file,id=err,path=/proc/self/fd/2,append=on", "-device", "virtserialport,chardev=err,nr=2",
    )  # fmt: skip


def _events(spec: ContainerSpec) -> tuple[str, ...]:
    """Return the port of the event pipe: 9p has no pipes."""
    if not listen.find_target(spec):
        return ()
    return (
        "-chardev", f"file,id=events,path={_escape(f'{spec.run}/{listen.PIPE}')},append=on",
        "-device", "virtserialport,chardev=events,nr=4",
    )  # fmt: skip


def _escape(path: str) -> str:
    """Escape a path for the options of qemu."""
    return path.replace(",", ",,")


def prepare(spec: ContainerSpec, cache: Path, *, terminal: bool) -> Machine:
    """Write the initramfs and the swap disk of a machine.

    Args:
        cache: stores our first process.

    Raises:
        MissingKernel: there is no kernel to boot.
        MissingProgram, ProgramFailed: our first process cannot be compiled.
    """
    for name in ("status", "console"):  # of an earlier machine of the run
        Path(spec.run, name).unlink(missing_ok=True)
    linux = initramfs.find_kernel(spec.kernel)
    init = (*spec.init[:-1], _GUEST, DESCRIPTION)
    env = (f"{name}={spec.env.get(name, '')}" for name in ("PATH", "PYTHONPATH"))
    texts = {"argv": _terminate(init), "env": _terminate(env), **({"terminal": b""} if terminal else {})}
    archive = initramfs.initramfs(linux, initramfs.compile_init(cache), texts, network=spec.network)
    (Path(spec.run) / "initrd").write_bytes(archive)
    _make_swap(Path(spec.run) / "swap")
    kvm = kvm_works(Path(spec.run)) and boots_with_kvm(linux.image)
    memory = min(_MOST_MEMORY, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)
    cpus = len(os.sched_getaffinity(0)) if kvm else 1
    return Machine(kernel=str(linux.image), kvm=kvm, terminal=terminal, cpus=cpus, memory=memory)


def _make_swap(file: Path) -> None:
    """Create a sparse swap disk for what does not fit into the machine's memory."""
    size = min(_MOST_SWAP, shutil.disk_usage(file.parent).free // 2 & -(1 << 20))
    file.write_bytes(initramfs.swap(size))
    os.truncate(file, size)


def _terminate(words: Iterable[str]) -> bytes:
    return b"".join(word.encode() + b"\0" for word in words)


def find_missing(kernel: str = "") -> MissingProgram | MissingKernel | None:
    """Return the error for the first missing requirement of a virtual machine, or None; no machine is started."""
    for program, package in ((VM.program, VM.package), ("cc", "sys-devel/gcc")):
        if not process.find_program(program):
            return MissingProgram(program, package)
    try:
        initramfs.find_kernel(kernel)
    except MissingKernel as error:
        return error
    return None


def kvm_works(folder: Path) -> bool:
    """Return whether the CPU runs virtual machines, by running one with three instructions.

    In a virtual machine, /dev/kvm may exist without working.

    Args:
        folder: a directory for the program of the test.
    """
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    image = folder / "kvm"
    image.write_bytes(_TRY.rjust(_ROM, b"\0"))
    words = (
        "timeout", "3", VM.program, "-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc", "-m", "16M",
        "-accel", "kvm", "-cpu", "host", "-bios", str(image), "-nic", "none",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
    )  # fmt: skip
    return process.run(words, keep=True, accept=()).status == _TRIED


def boots_with_kvm(kernel: Path) -> bool:
    """Return whether a kernel starts with KVM: without a root it panics at once, and the machine ends.

    Where virtual machines are nested, a few instructions may run while a kernel never gets anywhere.
    """
    words = (
        "timeout", str(_BOOT), VM.program, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-machine", "pc", "-accel", "kvm", "-cpu", "host", "-m", "512M", "-nic", "none", "-kernel", str(kernel),
        "-append", "quiet panic=-1",
    )  # fmt: skip
    return not process.run(words, keep=True, accept=()).status


def exit_status(run: Path, status: int) -> int:
    """Return the exit status of a container's program, as its machine reported it.

    If the machine failed before that, print the reason from its console to stderr.

    Args:
        run: the directory of the run.
        status: of qemu; it is returned if qemu was killed, or the program that started it.
    """
    report = artifacts.read_text(run / "status")
    if report.isascii() and report.isdigit():
        return min(int(report), 255)
    if not 0 <= status <= 128:
        return status
    reason = find_reason(artifacts.read_text(run / "console", last=artifacts.MOST)) or f"qemu ended with {status}"
    os.write(2, f"gentoomuch: the virtual machine failed: {reason}\n".encode())
    return _SOFTWARE


def find_reason(console: str) -> str:
    """Return the line of a console that says why a machine failed: a panic's, our own, or the last; empty if none."""
    printable = ("".join(character for character in line if character.isprintable()) for line in console.split("\n"))
    lines = [line for line in (re.sub(r"^\[ *[\d.]+\] ", "", line.strip()) for line in printable) if line]
    for beginning in _REASONS:
        for line in reversed(lines):
            if line.startswith(beginning):
                return line.removeprefix("gentoomuch: ")
    return lines[-1] if lines else ""
