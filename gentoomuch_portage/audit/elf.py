"""What an ELF file tells of its machine code: where it stands, its functions, and who chooses among them at start.

Reads ELF files, damaged and hostile ones too.

pyelftools reads the headers. Symbols and relocations are records of a fixed size, taken out of the file at once:
one by one through pyelftools they would take longer than the disassembly.

Source: System V ABI, "Object Files"; x86-64 psABI, "Relocation".

Functions as the unwinder knows them: where each begins and how long it is, also in a stripped file.

Source: LSB Core, "Exception Frames"; the encodings are those of DWARF's DW_EH_PE.
"""

import io
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gentoomuch_portage.errors import MissingProgram, RunError

MAGIC = b"\x7fELF"


class BadElf(RunError):
    """A file that claims to be ELF, and is damaged or hostile."""

    code = "bad-elf"


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes at an address."""

    name: str
    start: int
    data: memoryview

    @property
    def end(self) -> int:
        """The address behind the last byte."""
        return self.start + len(self.data)


@dataclass(frozen=True, slots=True)
class Function:
    """Where a function stands; ``size`` is 0 where nothing tells it, ``name`` empty where it is stripped."""

    start: int
    size: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An ELF file. Sections of an object file, which have no addresses yet, are laid one behind the other."""

    machine: str
    """As the ABI names it: ``EM_X86_64``."""
    bits: int
    """Of its registers: 64 also for x32."""
    code: tuple[Span, ...]
    functions: tuple[Function, ...]
    """Sorted by address, one an address."""
    exported: frozenset[int]
    """Addresses that other files may call."""
    resolvers: frozenset[int]
    """Functions that the loader asks which implementation to take."""
    names: Mapping[int, str]
    """Places that stand for a symbol: its own address, or the slot that the loader fills with it."""
    pointers: Mapping[int, int]
    """Slots that hold the address of something in this file."""
    links: tuple[tuple[int, int | str], ...]
    """Relocations of an object file: the place in code, and the address or the foreign symbol that it means."""
    entry: int
    bytecode: bool
    """It holds what a compiler left for link time, and so perhaps no machine code yet."""


def missing(library: str, atom: str = "") -> MissingProgram:
    """The error that names a library without which nothing can be audited."""
    error = MissingProgram(library, remedy=f"emerge {atom}" if atom else f"pip install {library}")
    error.message = f"reading machine code needs the Python library {library}"
    return error


_RELATIVE_SIGNED, _ABSOLUTE = 0x1B, 0x03
"""What compilers write for x86: 4 bytes relative to themselves, or 4 bytes of an address below 4 GiB."""
_MOST_NAME = 16


def functions(content: bytes, start: int) -> Iterator[tuple[int, int]]:
    """Address and size of the functions of an .eh_frame section.

    What is damaged, or encoded otherwise, ends the list: it is a help to name places, no more.

    Args:
        start: the address of the section.
    """
    encodings: dict[int, int] = {}
    at = 0
    while at + 12 <= len(content):
        length, back = struct.unpack_from("<II", content, at)
        if length in {0, 0xFFFFFFFF} or at + 4 + length > len(content):
            return
        if back == 0:
            encodings[at] = _encoding(content[at + 8 : at + 4 + length])
        elif (encoding := encodings.get(at + 4 - back, -1)) in {_RELATIVE_SIGNED, _ABSOLUTE} and length >= 12:
            said, size = struct.unpack_from("<iI", content, at + 8)
            yield (start + at + 8 + said if encoding == _RELATIVE_SIGNED else said & 0xFFFFFFFF), size
        at += 4 + length


def _encoding(common: bytes) -> int:
    """How the entries that share this common part write addresses; -1 where it does not tell."""
    augmentation, _, rest = common[1:].partition(b"\0")
    if not augmentation.startswith(b"z") or len(augmentation) > _MOST_NAME:
        return -1
    numbers = iter(rest)
    for _ in range(4):  # code and data alignment, return register, length of what follows
        while next(numbers, 0) & 0x80:
            pass
    for letter in augmentation[1:]:
        encoding = next(numbers, -1)
        if letter == ord("R"):
            return encoding
        if letter == ord("P"):
            for _ in range({0x00: 8, 0x04: 8, 0x0C: 8, 0x02: 2, 0x0A: 2}.get(encoding & 0x0F, 4)):
                next(numbers, 0)
    return -1


MOST_SECTIONS = 200_000
"""An object of -ffunction-sections may have some 10,000."""
MOST_SYMBOLS = 2_000_000
"""A browser with all its symbols has a million."""
_EXECUTE, _SEGMENT_EXECUTE = 0x4, 0x1
_SYMBOLS = {"SHT_SYMTAB", "SHT_DYNSYM"}
_EMPTY = {"SHT_NOBITS", "SHT_NULL"}
_FUNCTION, _IFUNC = 2, 10
_RELATIVE, _IRELATIVE = 8, {"EM_X86_64": 37, "EM_386": 42}


def read(content: bytes | memoryview) -> Image:
    """Read an ELF file.

    Raises:
        BadElf: it is damaged.
        MissingProgram: pyelftools is not installed.
    """
    parser = check()
    try:
        return _Reader(parser(io.BytesIO(content)), memoryview(content)).image()
    except BadElf:
        raise
    except Exception as error:  # whatever pyelftools raises on what somebody else damaged: it has no base for it
        raise BadElf(f"its headers cannot be read ({type(error).__name__})") from error


def check() -> Any:
    """What reads headers.

    Raises:
        MissingProgram: pyelftools is not installed.
    """
    try:
        from elftools.elf.elffile import ELFFile
    except ImportError as error:
        raise missing("pyelftools", "dev-python/pyelftools") from error
    return ELFFile


class _Reader:
    """The sections of one file, and what is drawn out of them."""

    def __init__(self, elf: Any, content: memoryview) -> None:
        if not elf.little_endian:
            raise BadElf("it is big-endian")
        if elf.num_sections() > MOST_SECTIONS:
            raise BadElf(f"it claims {elf.num_sections()} sections")
        self.elf, self.content = elf, content
        self.machine: str = elf["e_machine"] if isinstance(elf["e_machine"], str) else f"number {elf['e_machine']}"
        self.wide = elf.elfclass == 64
        self.object = elf["e_type"] == "ET_REL"
        self.sections = [section.header for section in elf.iter_sections()]
        self.named = [str(section.name) for section in elf.iter_sections()]
        self.at = self._laid()
        self.symbols = [self._symbols(number) for number in range(len(self.sections))]

    def image(self) -> Image:
        code = tuple(self._code())
        if sum(len(span.data) for span in code) > len(self.content):
            raise BadElf("its sections overlap")
        found = [symbol for table in self.symbols for symbol in table]
        functions = [
            Function(at, size, name) for at, size, name, kind, *_ in found if kind in {_FUNCTION, _IFUNC} and at
        ]
        slots, pointers, resolvers = self._slots()
        return Image(
            machine=self.machine,
            bits=32 if self.machine == "EM_386" else 64,
            code=code,
            functions=_sorted([*functions, *self._framed()]),
            exported=frozenset(at for at, *_, kind, dynamic in found if dynamic and kind == _FUNCTION and at),
            resolvers=frozenset(at for at, *_, kind, _ in found if kind == _IFUNC and at) | resolvers,
            names={at: name for at, _, name, *_ in found if at and name} | slots,
            pointers=pointers,
            links=tuple(self._links()) if self.object else (),
            entry=int(self.elf["e_entry"]),
            bytecode=any(name.startswith((".gnu.lto_", ".llvm.lto")) for name in self.named),
        )

    def _laid(self) -> list[int]:
        """The address of each section."""
        if not self.object:
            return [int(one["sh_addr"]) for one in self.sections]
        places, end = [], 0x10000
        for one in self.sections:
            places.append(end)
            end += int(one["sh_size"]) + 64 & ~15
        return places

    def _bytes(self, number: int) -> memoryview:
        one = self.sections[number]
        if one["sh_type"] in _EMPTY:
            return self.content[:0]
        begin, size = int(one["sh_offset"]), int(one["sh_size"])
        if begin + size > len(self.content):
            raise BadElf(f"its section {self.named[number][:40]!r} is cut off")
        return self.content[begin : begin + size]

    def _code(self) -> Iterator[Span]:
        held = [
            at for at, one in enumerate(self.sections) if one["sh_flags"] & _EXECUTE and one["sh_type"] not in _EMPTY
        ]
        yield from (Span(self.named[number], self.at[number], self._bytes(number)) for number in held)
        if not self.sections:  # sstrip takes the section headers away; the loader needs none
            for one in self.elf.iter_segments("PT_LOAD"):
                if one["p_flags"] & _SEGMENT_EXECUTE:
                    begin = int(one["p_offset"])
                    yield Span("segment", int(one["p_vaddr"]), self.content[begin : begin + int(one["p_filesz"])])

    def _symbols(self, number: int) -> list[tuple[int, int, str, int, bool]]:
        """Address, size, name, kind, and whether it is dynamic, of the symbols of a section, in their order."""
        one = self.sections[number]
        if one["sh_type"] not in _SYMBOLS:
            return []
        table, texts = self._bytes(number), bytes(self._bytes(int(one["sh_link"])))
        layout = struct.Struct("<IBBHQQ" if self.wide else "<IIIBBH")
        if len(table) // layout.size > MOST_SYMBOLS:
            raise BadElf(f"it claims {len(table) // layout.size} symbols")
        found = []
        for record in layout.iter_unpack(table[: len(table) // layout.size * layout.size]):
            name, info, _, section, value, size = record if self.wide else _widened(record)
            if self.object and 0 < section < len(self.sections):
                value += self.at[section]
            text = texts[name : texts.find(b"\0", name, name + 4096)].decode("utf-8", "replace")
            found.append((value if section else 0, size, text, info & 15, one["sh_type"] == "SHT_DYNSYM"))
        return found

    def _relocations(self) -> Iterator[tuple[int, int, tuple[int, int, str, int, bool], int]]:
        """Place, kind, symbol and addend; of those with addends alone, which x86-64 uses."""
        layout = struct.Struct("<QQq" if self.wide else "<IIi")
        for number, one in enumerate(self.sections):
            if one["sh_type"] != "SHT_RELA":
                continue
            target = int(one["sh_info"])
            base = self.at[target] if self.object and target < len(self.at) else 0
            symbols = self.symbols[one["sh_link"]] if one["sh_link"] < len(self.symbols) else []
            table = self._bytes(number)
            for place, info, addend in layout.iter_unpack(table[: len(table) // layout.size * layout.size]):
                kind, symbol = (info & 0xFFFFFFFF, info >> 32) if self.wide else (info & 255, info >> 8)
                yield base + place, kind, symbols[symbol] if symbol < len(symbols) else (0, 0, "", 0, False), addend

    def _slots(self) -> tuple[dict[int, str], dict[int, int], frozenset[int]]:
        """What the loader fills with a symbol, what holds an address of this file, and the resolvers that it asks."""
        slots, pointers, resolvers = {}, self._global_offsets(), set()
        for place, kind, (_, _, name, *_), addend in () if self.object else self._relocations():
            if kind == _IRELATIVE.get(self.machine):
                resolvers.add(addend)
            elif name:
                slots[place] = name
            elif kind == _RELATIVE:
                pointers[place] = addend
        return slots, pointers, frozenset(resolvers)

    def _global_offsets(self) -> dict[int, int]:
        """The global offset table as the linker filled it; with packed relocations, or none, that is all there is."""
        found: dict[int, int] = {}
        layout, width = ("<Q", 8) if self.wide else ("<I", 4)
        for number, name in enumerate(self.named):
            if name.startswith(".got"):
                table = self._bytes(number)
                words = struct.iter_unpack(layout, table[: len(table) // width * width])
                found |= {self.at[number] + width * place: word for place, (word,) in enumerate(words) if word}
        return found

    def _links(self) -> Iterator[tuple[int, int | str]]:
        for place, kind, (at, _, name, *_), addend in self._relocations():
            relative = 4 if kind in {2, 4, 9, 41, 42} else 0  # to the end of the instruction, not to the place
            yield place, at + addend + relative if at else name

    def _framed(self) -> Iterator[Function]:
        """Functions that have no name; in an object file their addresses are not there yet."""
        for number in (number for number, name in enumerate(self.named) if name == ".eh_frame" and not self.object):
            for start, size in functions(bytes(self._bytes(number)), self.at[number]):
                yield Function(start, size, "")


def _widened(record: tuple[int, ...]) -> tuple[int, int, int, int, int, int]:
    name, value, size, info, other, section = record
    return name, info, other, section, value, size


def _sorted(found: list[Function]) -> tuple[Function, ...]:
    """One function an address: the one that has a name and a size before others."""
    best: dict[int, Function] = {}
    for one in found:
        held = best.get(one.start)
        if held is None or (bool(one.size), bool(one.name), one.name) > (bool(held.size), bool(held.name), held.name):
            best[one.start] = one
    return tuple(best[start] for start in sorted(best))
