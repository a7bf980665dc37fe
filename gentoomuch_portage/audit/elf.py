# SPDX-License-Identifier: GPL-2.0-or-later
"""Read code, functions and relocations of ELF files, including damaged and hostile ones.

pyelftools reads the headers. Symbols and relocations are records of a fixed size and are unpacked at once, because
reading them one by one through pyelftools would take longer than the disassembly. Functions of stripped files come
from the unwind tables (.eh_frame).

Source: System V ABI, "Object Files"; x86-64 psABI, "Relocation"; LSB Core, "Exception Frames", with the encodings of
DWARF's DW_EH_PE.
"""

import io
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gentoomuch_portage.errors import MissingProgram, RunError

try:
    from elftools.elf.elffile import ELFFile
except ImportError:
    ELFFile = None

MAGIC = b"\x7fELF"


class BadElf(RunError):
    """An ELF file is not valid."""

    code = "bad-elf"


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes at an address."""

    name: str
    start: int
    data: memoryview

    @property
    def end(self) -> int:
        """The address after the last byte."""
        return self.start + len(self.data)


@dataclass(frozen=True, slots=True)
class Function:
    """A function; ``size`` is 0 if unknown, ``name`` empty if it is stripped."""

    start: int
    size: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An ELF file. Sections of an object file, which have no addresses yet, get consecutive ones."""

    machine: str
    """``EM_X86_64``."""
    bits: int
    """Of its registers: 64 also for x32."""
    code: tuple[Span, ...]
    functions: tuple[Function, ...]
    """Sorted, one for each address."""
    exported: frozenset[int]
    """Addresses that other files may call."""
    resolvers: frozenset[int]
    """Functions that the loader calls to choose an implementation."""
    names: Mapping[int, str]
    """Address of a symbol, or of the slot that the loader fills with it -> its name."""
    pointers: Mapping[int, int]
    """Slot -> the address in this file that it contains."""
    data: tuple[Span, ...]
    """Loaded sections without code: constants, tables, initialised variables."""
    links: tuple[tuple[int, int | str], ...]
    """Relocations of an object file: the place in code, and the address or the external symbol."""
    entry: int
    bytecode: bool
    """It contains bytecode for link-time optimisation, and perhaps no machine code yet."""


def missing(library: str, atom: str = "") -> MissingProgram:
    """Return the error for a missing library."""
    error = MissingProgram(library, hint=f"emerge {atom}" if atom else f"pip install {library}")
    error.message = f"scanning machine code requires the Python library {library}"
    return error


_RELATIVE_SIGNED, _ABSOLUTE = 0x1B, 0x03
"""Encodings of compilers for x86: 4 bytes relative to their own address, or an address below 4 GiB."""
_MOST_NAME = 16


def functions(content: bytes, start: int) -> Iterator[tuple[int, int]]:
    """Generate address and size of the functions of an .eh_frame section.

    A damaged entry, or one with another encoding, ends the list: it only helps to name places.

    Args:
        start: the address of the section.
    """
    encodings: dict[int, int] = {}
    offset = 0
    while offset + 12 <= len(content):
        length, back = struct.unpack_from("<II", content, offset)
        if length in {0, 0xFFFFFFFF} or offset + 4 + length > len(content):
            return
        if back == 0:
            encodings[offset] = _encoding(content[offset + 8 : offset + 4 + length])
        elif (encoding := encodings.get(offset + 4 - back, -1)) in {_RELATIVE_SIGNED, _ABSOLUTE} and length >= 12:
            value, size = struct.unpack_from("<iI", content, offset + 8)
            yield (start + offset + 8 + value if encoding == _RELATIVE_SIGNED else value & 0xFFFFFFFF), size
        offset += 4 + length


def _encoding(common: bytes) -> int:
    """Return the encoding of addresses in entries with this common part; -1 if unknown."""
    augmentation, _, rest = common[1:].partition(b"\0")
    if not augmentation.startswith(b"z") or len(augmentation) > _MOST_NAME:
        return -1
    numbers = iter(rest)
    for _ in range(4):  # code and data alignment, return register, length of the rest
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
"""A browser with debug symbols has a million."""
_ALLOCATE, _EXECUTE, _SEGMENT_EXECUTE = 0x2, 0x4, 0x1
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
    except Exception as error:  # pyelftools has no base class for errors of damaged files
        raise BadElf(f"cannot read its headers ({type(error).__name__})") from error


def check() -> Any:
    """Return the class that reads headers.

    Raises:
        MissingProgram: pyelftools is not installed.
    """
    if ELFFile is None:
        raise missing("pyelftools", "dev-python/pyelftools")
    return ELFFile


class _Reader:
    """Reads the sections of one file."""

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
        self.at = self._assign_addresses()
        self.symbols = [self._symbols(number) for number in range(len(self.sections))]

    def image(self) -> Image:
        code = tuple(self._code())
        if sum(len(span.data) for span in code) > len(self.content):
            raise BadElf("its sections overlap")
        symbols = [symbol for table in self.symbols for symbol in table]
        functions = [
            Function(address, size, name)
            for address, size, name, kind, *_ in symbols
            if kind in {_FUNCTION, _IFUNC} and address
        ]
        slots, pointers, resolvers = self._slots()
        return Image(
            machine=self.machine,
            bits=32 if self.machine == "EM_386" else 64,
            code=code,
            functions=_deduplicate([*functions, *self._read_frames()]),
            exported=frozenset(
                address for address, *_, kind, dynamic in symbols if dynamic and kind == _FUNCTION and address
            ),
            resolvers=frozenset(address for address, *_, kind, _ in symbols if kind == _IFUNC and address) | resolvers,
            names={address: name for address, _, name, *_ in symbols if address and name} | slots,
            pointers=pointers,
            data=tuple(self._data()),
            links=tuple(self._links()) if self.object else (),
            entry=int(self.elf["e_entry"]),
            bytecode=any(name.startswith((".gnu.lto_", ".llvm.lto")) for name in self.named),
        )

    def _assign_addresses(self) -> list[int]:
        """Return the address of each section."""
        if not self.object:
            return [int(header["sh_addr"]) for header in self.sections]
        places, end = [], 0x10000
        for header in self.sections:
            places.append(end)
            end += int(header["sh_size"]) + 64 & ~15
        return places

    def _bytes(self, number: int) -> memoryview:
        header = self.sections[number]
        if header["sh_type"] in _EMPTY:
            return self.content[:0]
        begin, size = int(header["sh_offset"]), int(header["sh_size"])
        if begin + size > len(self.content):
            raise BadElf(f"its section {self.named[number][:40]!r} is cut off")
        return self.content[begin : begin + size]

    def _code(self) -> Iterator[Span]:
        for number, header in enumerate(self.sections):
            if header["sh_flags"] & _EXECUTE and header["sh_type"] not in _EMPTY:
                yield Span(self.named[number], self.at[number], self._bytes(number))
        if not self.sections:  # sstrip removes the section headers; the loader needs none
            for segment in self.elf.iter_segments("PT_LOAD"):
                if segment["p_flags"] & _SEGMENT_EXECUTE:
                    begin = int(segment["p_offset"])
                    yield Span(
                        "segment", int(segment["p_vaddr"]), self.content[begin : begin + int(segment["p_filesz"])]
                    )

    def _data(self) -> Iterator[Span]:
        for number, header in enumerate(self.sections):
            if header["sh_flags"] & _ALLOCATE and not header["sh_flags"] & _EXECUTE and header["sh_type"] not in _EMPTY:
                yield Span(self.named[number], self.at[number], self._bytes(number))

    def _symbols(self, number: int) -> list[tuple[int, int, str, int, bool]]:
        """Return address, size, name, type, and whether it is dynamic, of the symbols of a section, in order."""
        header = self.sections[number]
        if header["sh_type"] not in _SYMBOLS:
            return []
        table, texts = self._bytes(number), bytes(self._bytes(int(header["sh_link"])))
        layout = struct.Struct("<IBBHQQ" if self.wide else "<IIIBBH")
        if len(table) // layout.size > MOST_SYMBOLS:
            raise BadElf(f"it claims {len(table) // layout.size} symbols")
        symbols = []
        for record in layout.iter_unpack(table[: len(table) // layout.size * layout.size]):
            name, info, _, section, value, size = record if self.wide else _widened(record)
            if self.object and 0 < section < len(self.sections):
                value += self.at[section]
            text = texts[name : texts.find(b"\0", name, name + 4096)].decode("utf-8", "replace")
            symbols.append((value if section else 0, size, text, info & 15, header["sh_type"] == "SHT_DYNSYM"))
        return symbols

    def _relocations(self) -> Iterator[tuple[int, int, tuple[int, int, str, int, bool], int]]:
        """Generate place, type, symbol and addend of relocations with addends, which x86-64 uses."""
        layout = struct.Struct("<QQq" if self.wide else "<IIi")
        for number, header in enumerate(self.sections):
            if header["sh_type"] != "SHT_RELA":
                continue
            target = int(header["sh_info"])
            base = self.at[target] if self.object and target < len(self.at) else 0
            symbols = self.symbols[header["sh_link"]] if header["sh_link"] < len(self.symbols) else []
            table = self._bytes(number)
            for place, info, addend in layout.iter_unpack(table[: len(table) // layout.size * layout.size]):
                kind, symbol = (info & 0xFFFFFFFF, info >> 32) if self.wide else (info & 255, info >> 8)
                yield base + place, kind, symbols[symbol] if symbol < len(symbols) else (0, 0, "", 0, False), addend

    def _slots(self) -> tuple[dict[int, str], dict[int, int], frozenset[int]]:
        """Return the slots of symbols, the slots with addresses of this file, and the resolvers."""
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
        """Return the global offset table as written by the linker, for files without usual relocations."""
        offsets: dict[int, int] = {}
        layout, width = ("<Q", 8) if self.wide else ("<I", 4)
        for number, name in enumerate(self.named):
            if name.startswith(".got"):
                table = self._bytes(number)
                words = struct.iter_unpack(layout, table[: len(table) // width * width])
                offsets |= {self.at[number] + width * place: word for place, (word,) in enumerate(words) if word}
        return offsets

    def _links(self) -> Iterator[tuple[int, int | str]]:
        for place, kind, (address, _, name, *_), addend in self._relocations():
            relative = 4 if kind in {2, 4, 9, 41, 42} else 0  # relative to the end of the instruction, not to the place
            yield place, address + addend + relative if address else name

    def _read_frames(self) -> Iterator[Function]:
        """Generate functions of the unwind tables; an object file has no addresses yet."""
        for number in (number for number, name in enumerate(self.named) if name == ".eh_frame" and not self.object):
            for start, size in functions(bytes(self._bytes(number)), self.at[number]):
                yield Function(start, size, "")


def _widened(record: tuple[int, ...]) -> tuple[int, int, int, int, int, int]:
    name, value, size, info, other, section = record
    return name, info, other, section, value, size


def _deduplicate(functions: list[Function]) -> tuple[Function, ...]:
    """Keep one function for each address, preferably with a size and a name."""

    def quality(function: Function) -> tuple[bool, bool, str]:
        return bool(function.size), bool(function.name), function.name

    best: dict[int, Function] = {}
    for function in functions:
        before = best.get(function.start)
        if before is None or quality(function) > quality(before):
            best[function.start] = function
    return tuple(best[start] for start in sorted(best))
