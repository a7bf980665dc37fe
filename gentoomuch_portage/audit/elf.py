"""What an ELF file tells of its machine code: where it stands, its functions, and who chooses among them at start."""

from collections.abc import Mapping
from dataclasses import dataclass

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
