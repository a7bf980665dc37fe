"""The demo: one package for two machines, each with its own flags, USE and root, told in under 30 lines."""

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
from gentoomuch_portage.demo_host.errors import WrongProgram
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
"""Lines of the log that are shown where a run failed."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine of the story."""

    name: str
    cpu: str
    """A -march name."""
    layer: str
    told: str
    """What the layer says, for people."""


@dataclass(frozen=True, slots=True)
class Told:
    """Where the story is told: nowhere, if quiet."""

    quiet: bool

    def say(self, *lines: str) -> None:
        """Tell some lines at once."""
        if not self.quiet:
            console.say("\n".join(lines))
            sys.stdout.flush()


def tell(folder: Path, *, quiet: bool = False) -> int:
    """Build one package for two machines on a host in a folder, run both results, and say so.

    Args:
        folder: of the host; made where it is missing, and kept.
        quiet: be silent, but for errors.

    Returns:
        0, or the status of the gm-emerge that failed; the end of its log is shown then.

    Raises:
        MachineError, RunError: no host can be made there; see ``make``.
        WrongProgram: a program was not built as its machine's profile says.
    """
    told = Told(quiet)
    host = make(folder)
    there = _short(host.folder)
    machines = tuple(_machines(host))
    told.say(
        f"{console.heading(there)} is a Gentoo host: Portage {private_api.version()}, "
        "two packages, two machines to build for"
    )
    for machine in machines:
        _write(host, machine)
        told.say(f"   {machine.name}   cpu {machine.cpu}, {machine.told}, root {there}/roots/{machine.name}")
    told.say("", _typed(". " + shlex.quote(f"{there}/env.sh")))
    for machine in machines:
        if status := _build(host, machine, told):
            return status
    for machine in machines:
        _show(host, machine, told)
    told.say("", *_look_next(host))
    return 0


def _machines(host: Host) -> Iterator[Machine]:
    strong, plain = _cpus(host)
    yield Machine("laptop", strong, "desktop", "-O2, USE=shout")
    yield Machine("router", plain, "small", "-Os, USE=-shout")


def _cpus(host: Host) -> tuple[str, str]:
    """The best CPU level that this machine reaches and its compiler knows, and the plainest one of its kind."""
    cache = host.eprefix / "var/cache/gentoomuch"
    kind = platform.machine()
    if kind == "riscv64":  # compilers there know no native
        return "rv64gc", "rv64gc"
    found = isa_cpu.macros("native", cache, asked_at="the demo")
    if kind == "x86_64":
        level = isa_cpu.goamd64(found)
        return ("x86-64" if level == "v1" else f"x86-64-{level}"), "x86-64"
    if kind == "aarch64":
        return ("armv8.1-a" if "ARM_FEATURE_ATOMICS" in found else "armv8-a"), "armv8-a"
    return ("power9" if "POWER9_VECTOR" in found else "power8"), "power8"


def _write(host: Host, machine: Machine) -> None:
    root = host.folder / "roots" / machine.name
    host.profile(
        machine.name,
        f'cpu = "{machine.cpu}"\nlayers = ["{machine.layer}"]\nroot = "{root}"\n',
        {f"{machine.layer}/{name}": text for name, text in _LAYERS[machine.layer].items()},
    )
    # Portage puts the prefix below ROOT; nobody should have to type that.
    link = host.folder / machine.name
    if not link.is_symlink():
        link.symlink_to(host.eroot(root).relative_to(host.folder))


def _build(host: Host, machine: Machine, told: Told) -> int:
    """Run gm-emerge for a machine; its exit status."""
    words = ["gm-emerge", f"--gm-profile={machine.name}", PACKAGE]
    told.say(_typed(shlex.join(words)))
    begun = time.monotonic()
    ran = run(words, env=host.env(NO_COLOR="1"), keep=True, accept=())
    log = host.folder / f"{machine.name}.log"
    log.write_text(ran.out + ran.err, encoding="utf-8")
    if ran.status:
        console.tell("\n".join((ran.out + ran.err).splitlines()[-_TAIL:]))
        console.warn(f"gm-emerge ended with {ran.status}; all it said is in {_short(log)}")
        return ran.status
    for binary, cpv, root in _EMERGING.findall(ran.out):
        what = "took the binary package" if binary else "compiled, packed and merged"
        told.say(f"   {what} {cpv}{f' for {machine.name}' if root else ' to build with'}")
    told.say(f"   {time.monotonic() - begun:.1f} s; what Portage said is in {_short(log)}")
    return 0


def _show(host: Host, machine: Machine, told: Told) -> None:
    """Run what was built for a machine."""
    program = host.folder / machine.name / "usr/bin" / PACKAGE
    ran = run([str(program)], keep=True)
    told.say(_typed(_short(program)), *(f"   {console.good(line)}" for line in ran.out.splitlines()))
    if not re.search(rf"={re.escape(machine.cpu)}\s", ran.out):
        raise WrongProgram(program, machine.cpu, ran.out.strip())


def _look_next(host: Host) -> Iterator[str]:
    there = _short(host.folder)
    rows = (
        (f". {shlex.quote(there + '/env.sh')}", "your shell becomes one of this host: gm-emerge, emerge, gentoomuch"),
        (f"gm-emerge --gm-profile=router --gm-explain {PACKAGE}", "what a run would do, and which plugin says so"),
        (f"ls {shlex.quote(there + '/gentoo/etc/gentoomuch')}", "two profiles, two layers: change one, build again"),
        (f"ls {shlex.quote(there + '/gentoo/var/cache/binpkgs')}", "the binary packages of both, in one PKGDIR"),
    )
    width = max(len(command) for command, _ in rows)
    yield console.heading("look next")
    yield from (f"   {command:<{width}}   {why}" for command, why in rows)


def _typed(command: str) -> str:
    return console.heading(f"$ {command}")


def _short(path: Path) -> str:
    """A path as one would type it from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
