# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo: one package for two machines, each with its own flags, USE and root, with less than 30 lines of output."""

import platform
import re
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage import console
from gentoomuch_portage.demo_host import Host, make
from gentoomuch_portage.demo_host.errors import wrong_program
from gentoomuch_portage.isa import cpu as isa_cpu
from gentoomuch_portage.portage_adapter import private_api
from gentoomuch_portage.process import run

PACKAGE = "gm-hello"
_LAYERS: Mapping[str, Mapping[str, str]] = {
    "desktop": {"make.conf": 'CFLAGS="-O2 -pipe"\nCXXFLAGS="${CFLAGS}"\n', "package.use/demo": "*/* shout\n"},
    "small": {"make.conf": 'CFLAGS="-Os -pipe"\nCXXFLAGS="${CFLAGS}"\n', "package.use/demo": "*/* -shout\n"},
}
_EMERGING = re.compile(r"^>>> Emerging( binary)? \(\d+ of \d+\) (\S+?)::\S+(?: for (.+))?$", re.M)
_TAIL = 20
"""Lines of the log that are printed if a run fails."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine of the demo."""

    name: str
    cpu: str
    """A -march name."""
    layer: str
    summary: str
    """A description of the layer."""


@dataclass(frozen=True, slots=True)
class Output:
    """The output of the demo: none if quiet."""

    quiet: bool

    def print(self, *lines: str) -> None:
        """Print lines at once."""
        if not self.quiet:
            console.print_result("\n".join(lines))
            sys.stdout.flush()


def run_demo(folder: Path, *, quiet: bool = False) -> int:
    """Build one package for two machines on a demo host, and run both results.

    Args:
        folder: of the host; it is created if it is missing, and kept.
        quiet: print only errors.

    Returns:
        0, or the status of the gm-emerge that failed, with the end of its log.

    Raises:
        MachineError, RunError: the host cannot be created; see ``make``.
        RunError[wrong-program]: a program was not built with the flags of its machine's profile.
    """
    output = Output(quiet)
    host = make(folder)
    folder_name = _short(host.folder)
    machines = tuple(_machines(host))
    output.print(
        f"{console.heading(folder_name)} is a Gentoo host: Portage {private_api.version()}, "
        "two packages, two machines to build for"
    )
    for machine in machines:
        _write(host, machine)
        root = f"{folder_name}/roots/{machine.name}"
        output.print(f"   {machine.name}   cpu {machine.cpu}, {machine.summary}, root {root}")
    output.print("", _typed(". " + shlex.quote(f"{folder_name}/env.sh")))
    for machine in machines:
        if status := _build(host, machine, output):
            return status
    for machine in machines:
        _show(host, machine, output)
    output.print("", *_next_steps(host))
    return 0


def _machines(host: Host) -> Iterator[Machine]:
    strong, plain = _cpus(host)
    yield Machine("laptop", strong, "desktop", "-O2, USE=shout")
    yield Machine("router", plain, "small", "-Os, USE=-shout")


def _cpus(host: Host) -> tuple[str, str]:
    """Return the highest CPU level that this machine and its compiler support, and the lowest one."""
    cache = host.eprefix / "var/cache/gentoomuch"
    kind = platform.machine()
    if kind == "riscv64":  # its compilers do not support native
        return "rv64gc", "rv64gc"
    macros = isa_cpu.macros("native", cache, place="the demo")
    if kind == "x86_64":
        level = isa_cpu.goamd64(macros)
        return ("x86-64" if level == "v1" else f"x86-64-{level}"), "x86-64"
    if kind == "aarch64":
        return ("armv8.1-a" if "ARM_FEATURE_ATOMICS" in macros else "armv8-a"), "armv8-a"
    return ("power9" if "POWER9_VECTOR" in macros else "power8"), "power8"


def _write(host: Host, machine: Machine) -> None:
    root = host.folder / "roots" / machine.name
    host.profile(
        machine.name,
        f'cpu = "{machine.cpu}"\nlayers = ["{machine.layer}"]\nroot = "{root}"\n',
        {f"{machine.layer}/{name}": text for name, text in _LAYERS[machine.layer].items()},
    )
    # Portage adds the prefix to ROOT: a short path to it
    link = host.folder / machine.name
    if not link.is_symlink():
        link.symlink_to(host.eroot(root).relative_to(host.folder))


def _build(host: Host, machine: Machine, output: Output) -> int:
    """Run gm-emerge for a machine, and return its exit status."""
    words = ["gm-emerge", f"--gm-profile={machine.name}", PACKAGE]
    output.print(_typed(shlex.join(words)))
    begun = time.monotonic()
    ran = run(words, env=host.env(NO_COLOR="1"), keep=True, accept=())
    log = host.folder / f"{machine.name}.log"
    log.write_text(ran.out + ran.err, encoding="utf-8")
    if ran.status:
        console.info("\n".join((ran.out + ran.err).splitlines()[-_TAIL:]))
        console.warning(f"gm-emerge failed with status {ran.status}; its output is in {_short(log)}")
        return ran.status
    for binary, cpv, root in _EMERGING.findall(ran.out):
        what = "took the binary package" if binary else "compiled, packed and merged"
        output.print(f"   {what} {cpv}{f' for {machine.name}' if root else ' to build with'}")
    output.print(f"   {time.monotonic() - begun:.1f} s; the output of Portage is in {_short(log)}")
    return 0


def _show(host: Host, machine: Machine, output: Output) -> None:
    """Run the program that was built for a machine."""
    program = host.folder / machine.name / "usr/bin" / PACKAGE
    ran = run([str(program)], keep=True)
    output.print(_typed(_short(program)), *(f"   {console.good(line)}" for line in ran.out.splitlines()))
    if not re.search(rf"={re.escape(machine.cpu)}\s", ran.out):
        raise wrong_program(program, machine.cpu, ran.out.strip())


def _next_steps(host: Host) -> Iterator[str]:
    there = _short(host.folder)
    rows = (
        (f". {shlex.quote(there + '/env.sh')}", "make your shell one of this host: gm-emerge, emerge, gentoomuch"),
        (f"gm-emerge --gm-profile=router --gm-explain {PACKAGE}", "what a run would do, and which plugin decides it"),
        (f"ls {shlex.quote(there + '/gentoo/etc/gentoomuch')}", "two profiles, two layers: change one, build again"),
        (f"ls {shlex.quote(there + '/gentoo/var/cache/binpkgs')}", "the binary packages of both, in one PKGDIR"),
    )
    width = max(len(command) for command, _ in rows)
    yield console.heading("next steps")
    yield from (f"   {command:<{width}}   {why}" for command, why in rows)


def _typed(command: str) -> str:
    return console.heading(f"$ {command}")


def _short(path: Path) -> str:
    """Return a path relative to the current directory if it is below it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
