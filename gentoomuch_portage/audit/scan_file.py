"""One file: ELF, or an archive of object files."""

import mmap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gentoomuch_portage.audit import cpu_dispatch, elf, instructions
from gentoomuch_portage.audit.elf import BadElf
from gentoomuch_portage.audit.instructions import Used
from gentoomuch_portage.audit.report import Finding, Report, Skipped, joined
from gentoomuch_portage.isa import cpu

ARCHIVE = b"!<arch>\n"
MAGICS = (elf.MAGIC, ARCHIVE)
"""How a file begins that may hold machine code."""
_BITCODE = (b"BC\xc0\xde", b"\xde\xc0\x17\x0b")
_MACHINES: Mapping[str, str] = {"EM_X86_64": "x86_64", "EM_386": "i386"}
_UNFINISHED = "it holds what a compiler left for link time"
_HEADER = 60
_HWCAPS = "/glibc-hwcaps/"


def examine(name: str, path: Path) -> Report:
    """What a file holds; what is damaged is skipped with the reason, and nothing is executed.

    Args:
        name: how the report calls it.

    Raises:
        MissingProgram: a library is not installed.
    """
    with path.open("rb") as file:
        if not path.stat().st_size:
            return Report()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            content = bytes(mapped)
    return of_bytes(name, content)


def of_bytes(name: str, content: bytes) -> Report:
    """The same for a file in memory."""
    try:
        if content.startswith(ARCHIVE):
            return _archive(name, content)
        return replace(_object(name, content)[0], files=1)
    except (BadElf, MemoryError) as error:
        return Report(files=1, skipped=(Skipped(name, getattr(error, "message", "it takes too much memory")),))


def _archive(name: str, content: bytes) -> Report:
    """The parts of an archive as one file: where one of them asks the CPU, it may ask for the others."""
    read = [_object(f"{name}({part})", data) for part, data in _members(content)]
    report = joined([Report(files=1), *(one for one, _ in read)])
    if not any(asks for _, asks in read):
        return report
    suspect = (replace(one, how=cpu_dispatch.FILE_ASKS) if one.how == "plain" else one for one in report.findings)
    return replace(report, findings=tuple(suspect))


def _object(name: str, content: bytes) -> tuple[Report, bool]:
    """What an ELF file holds, and whether it asks the CPU."""
    if content.startswith(_BITCODE):
        return Report(skipped=(Skipped(name, _UNFINISHED),)), False
    if not content.startswith(elf.MAGIC):
        return Report(), False
    try:
        image = elf.read(content)
    except BadElf as error:
        return Report(skipped=(Skipped(name, error.message),)), False
    machine = _MACHINES.get(image.machine, "")
    if not machine:
        told = image.machine.removeprefix("EM_").lower()
        return Report(
            skipped=(Skipped(name, f"its code is for {told}; only x86 is read"),) if image.code else ()
        ), False
    used = instructions.sweep(image)
    report = Report(
        size=sum(len(span.data) for span in image.code),
        machines=frozenset({machine}) if image.code else frozenset(),
        findings=tuple(_findings(name, image, used)),
        skipped=(Skipped(name, _UNFINISHED),) if image.bytecode else (),
    )
    return report, cpu_dispatch.asks(image, used)


def _findings(name: str, image: elf.Image, used: Sequence[Used]) -> Iterator[Finding]:
    ways = cpu_dispatch.ways(image, used)
    chosen = _loaders_choice(name)
    for number, one in enumerate(used):
        if not one.features:
            continue
        stretch = one.stretch
        where = stretch.name or f"{stretch.span.name}+{stretch.start - stretch.span.start:#x}"
        how = "ld.so" if one.features <= chosen else ways.get(number, "plain")
        yield Finding(name, _printable(where), tuple(sorted(one.features)), how)


def _loaders_choice(name: str) -> frozenset[str]:
    """What a CPU has for which ld.so takes a library out of this folder. Source: ld.so(8), "glibc-hwcaps"."""
    level = f"/{name}".rpartition(_HWCAPS)[2].partition("/")[0] if _HWCAPS in f"/{name}" else ""
    return cpu.level(level)


def _members(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and content of the parts of an archive. Source: ar(5).

    Raises:
        BadElf: it is damaged.
    """
    names = b""
    at = len(ARCHIVE)
    while at + _HEADER <= len(content):
        header = content[at : at + _HEADER]
        told = header[48:58].strip()
        if header[58:] != b"`\n" or not told.isdigit() or at + _HEADER + int(told) > len(content):
            raise BadElf("it is a damaged archive")
        data = content[at + _HEADER : at + _HEADER + int(told)]
        name = header[:16].rstrip()
        if name == b"//":
            names = data
        elif name not in {b"/", b"/SYM64/"}:
            yield _printable(_long(name, names)), data
        at += _HEADER + int(told) + int(told) % 2


def _long(name: bytes, names: bytes) -> str:
    if name[:1] == b"/" and name[1:].isdigit():
        name = names[int(name[1:]) :].partition(b"\n")[0]
    return name.removesuffix(b"/").decode("utf-8", "replace")


def _printable(text: str) -> str:
    """A name that no terminal takes for a command."""
    return "".join(sign if sign.isprintable() else "?" for sign in text[:300])
