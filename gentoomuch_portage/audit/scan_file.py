# SPDX-License-Identifier: GPL-2.0-or-later
"""Scan one file: ELF, or an archive of object files."""

import mmap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gentoomuch_portage.audit import cpu_dispatch, elf, instructions
from gentoomuch_portage.audit.elf import BadElf
from gentoomuch_portage.audit.instructions import Used
from gentoomuch_portage.audit.report import Finding, Report, Skipped, join
from gentoomuch_portage.isa import cpu

ARCHIVE = b"!<arch>\n"
MAGICS = (elf.MAGIC, ARCHIVE)
"""The first bytes of files that may contain machine code."""
_BITCODE = (b"BC\xc0\xde", b"\xde\xc0\x17\x0b")
_MACHINES: Mapping[str, str] = {"EM_X86_64": "x86_64", "EM_386": "i386"}
_UNFINISHED = "contains bytecode for link-time optimisation"
_HEADER = 60
_HWCAPS = "/glibc-hwcaps/"


def scan_file(name: str, path: Path) -> Report:
    """Scan a file without executing it; damaged parts are skipped with the reason.

    Args:
        name: for the report.

    Raises:
        MissingProgram: a library is not installed.
    """
    with path.open("rb") as file:
        if not path.stat().st_size:
            return Report()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            content = bytes(mapped)
    return scan_bytes(name, content)


def scan_bytes(name: str, content: bytes) -> Report:
    """Scan the content of a file."""
    try:
        if content.startswith(ARCHIVE):
            return _scan_archive(name, content)
        return replace(_scan_object(name, content)[0], files=1)
    except (BadElf, MemoryError) as error:
        return Report(files=1, skipped=(Skipped(name, getattr(error, "message", "requires too much memory")),))


def _scan_archive(name: str, content: bytes) -> Report:
    """Scan the members of an archive as one file: a member may query the CPU for the others."""
    members = [_scan_object(f"{name}({part})", data) for part, data in _members(content)]
    report = join([Report(files=1), *(scanned for scanned, _ in members)])
    if not any(queries for _, queries in members):
        return report
    findings = [
        replace(finding, how=cpu_dispatch.FILE_QUERIES) if finding.how == "plain" else finding
        for finding in report.findings
    ]
    return replace(report, findings=tuple(findings))


def _scan_object(name: str, content: bytes) -> tuple[Report, bool]:
    """Return the report of an ELF file, and whether it queries the CPU."""
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
        reason = f"code for {image.machine.removeprefix('EM_').lower()}; only x86 is supported"
        return Report(skipped=(Skipped(name, reason),) if image.code else ()), False
    used = instructions.sweep(image)
    report = Report(
        size=sum(len(span.data) for span in image.code),
        machines=frozenset({machine}) if image.code else frozenset(),
        findings=tuple(_findings(name, image, used)),
        skipped=(Skipped(name, _UNFINISHED),) if image.bytecode else (),
    )
    return report, cpu_dispatch.queries_cpu(image, used)


def _findings(name: str, image: elf.Image, used: Sequence[Used]) -> Iterator[Finding]:
    dispatch = cpu_dispatch.find_dispatch(image, used)
    provided = _features_of_hwcaps(name)
    for number, use in enumerate(used):
        if not use.features:
            continue
        stretch = use.stretch
        where = stretch.name or f"{stretch.span.name}+{stretch.start - stretch.span.start:#x}"
        how = "ld.so" if use.features <= provided else dispatch.get(number, "plain")
        yield Finding(name, _printable(where), tuple(sorted(use.features)), how)


def _features_of_hwcaps(name: str) -> frozenset[str]:
    """Return the features of CPUs for which ld.so uses this directory. Source: ld.so(8), "glibc-hwcaps"."""
    level = f"/{name}".rpartition(_HWCAPS)[2].partition("/")[0] if _HWCAPS in f"/{name}" else ""
    return cpu.features_of_level(level)


def _members(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Generate name and content of the members of an archive. Source: ar(5).

    Raises:
        BadElf: the archive is damaged.
    """
    names = b""
    offset = len(ARCHIVE)
    while offset + _HEADER <= len(content):
        header = content[offset : offset + _HEADER]
        size = header[48:58].strip()
        if header[58:] != b"`\n" or not size.isdigit() or offset + _HEADER + int(size) > len(content):
            raise BadElf("damaged archive")
        data = content[offset + _HEADER : offset + _HEADER + int(size)]
        name = header[:16].rstrip()
        if name == b"//":
            names = data
        elif name not in {b"/", b"/SYM64/"}:
            yield _printable(_long(name, names)), data
        offset += _HEADER + int(size) + int(size) % 2


def _long(name: bytes, names: bytes) -> str:
    if name[:1] == b"/" and name[1:].isdigit():
        name = names[int(name[1:]) :].partition(b"\n")[0]
    return name.removesuffix(b"/").decode("utf-8", "replace")


def _printable(text: str) -> str:
    """Replace control characters in a name."""
    return "".join(sign if sign.isprintable() else "?" for sign in text[:300])
