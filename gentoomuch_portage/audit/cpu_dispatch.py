"""Whether code beyond the oldest CPU is run by whoever comes along, or only where the CPU was asked before.

Proven are the loader's ways: an ifunc's resolver names what it chooses from. A file that asks the CPU by its own
means may guard the rest of such code in ways that no disassembler can follow (a flag handed from function to
function, a table filled at start), so none of its code is called plain: it is suspect. What is left has nobody
that could have asked.

Source: GCC manual, "Function Multiversioning" and "ifunc"; glibc's csu/libc-start.c and sysdeps/x86/cpu-features.c.
"""

import bisect
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gentoomuch_portage.audit import instructions
from gentoomuch_portage.audit.elf import Image
from gentoomuch_portage.audit.instructions import Used

IFUNC, CLONES = "ifunc", "target_clones"
ASKS, FILE_ASKS, NAMED, NO_FUNCTION = (
    "asks the CPU",
    "its file asks the CPU",
    "named by its instruction set",
    "hardly a function",
)
SUSPICIONS = frozenset({ASKS, FILE_ASKS, NAMED, NO_FUNCTION})

_ISA = (
    r"sse\d\w?|ssse3|avx\w*|evex\w*|fma[34]?|xop|f16c|bmi[12]?|popcnt|lzcnt|aes(ni)?|vaes\w*|v?p?clmul\w*|gfni|sha(ni)?|"
    r"adx|mulx|movbe|rd(rand|seed)|rtm|haswell|broadwell|skylake\w*|icelake\w*|znver\d|bdver\d|x86[-_]64[-_]v\d"
)
_NAMED = re.compile(rf"(^|[^a-zA-Z0-9])(arch_|hw_?)?({_ISA})($|[^a-zA-Z])", re.I)
"""``memcpy_avx_unaligned``, ``sum.avx2``, ``sum.arch_haswell``, ``sha1_block_shaext``."""
_ASKING = re.compile(
    r"(cpu_?(id|flags?|features?|info|model|indicator|supports?|caps?|detect)|getauxval|ia32cap|_rtld_global_ro)",
    re.I,
)
"""``__cpu_model``, ``__cpu_indicator_init``, ``__get_cpuid``, ``OPENSSL_ia32cap_P``, ``av_get_cpu_flags``, and where
the parts of glibc read what ld.so found out."""

_DESCRIPTION = 1024
"""Bytes of glibc's struct cpu_features, and some."""


@dataclass(slots=True)
class _Refers:
    """What one stretch refers to; stretches by their number."""

    calls: set[int] = field(default_factory=set)
    takes: set[int] = field(default_factory=set)
    """Those whose address it takes."""
    symbols: set[str] = field(default_factory=set)
    informed: bool = False
    """It reads the description of the CPU that resolvers read."""

    @property
    def all(self) -> set[int]:
        """Calls and takes."""
        return self.calls | self.takes


def ways(image: Image, used: Sequence[Used]) -> dict[int, str]:
    """How the stretches that need more than the oldest CPU are chosen at run time.

    Args:
        used: of ``instructions.sweep``.

    Returns:
        The number of a stretch -> ``IFUNC`` or ``CLONES``, which are proven, or one of ``SUSPICIONS``. A stretch
        that is missing is used plainly.
    """
    suspects = [number for number, one in enumerate(used) if one.features]
    if not suspects:
        return {}
    graph = _Graph(image, used)
    chosen, asking = graph.chosen(), graph.asking()
    found = {}
    for number in suspects:
        if why := chosen.get(number) or _suspicion(number, used[number], asking):
            found[number] = why
    return found


def asks(image: Image, used: Iterable[Used]) -> bool:
    """Whether an object file asks the CPU, perhaps for the other parts of its archive."""
    names = (target for _, target in image.links if isinstance(target, str))
    return any(one.asks for one in used) or any(_ASKING.search(name) for name in names)


def _suspicion(number: int, one: Used, asking: set[int]) -> str:
    if number in asking:
        return ASKS
    if not (one.decodes and one.stretch.function):
        return NO_FUNCTION
    if _NAMED.search(one.stretch.name):
        return NAMED
    return FILE_ASKS if asking else ""


class _Graph:
    """Who refers to whom in one file."""

    def __init__(self, image: Image, used: Sequence[Used]) -> None:
        self.image, self.used = image, used
        self.starts = [one.stretch.start for one in used]
        self.entry = self._at(image.entry)
        self.resolvers = {self._at(at) for at in image.resolvers} - {-1}
        self.description = self._description()
        self.refers = self._linked() if image.links else [self._of(one) for one in used]
        self.referrers: list[set[int]] = [set() for _ in used]
        for number, one in enumerate(self.refers):
            for target in one.all - {number}:
                self.referrers[target].add(number)

    def chosen(self) -> dict[int, str]:
        """What resolvers choose from, the clones that a compiler made for them, and what these alone refer to."""
        choosing = self.resolvers | {number for number, one in enumerate(self.refers) if one.informed}
        within = choosing | {target for number in choosing for target in self.refers[number].all} - {self.entry}
        waiting = list(within)
        while waiting:
            for target in self.refers[waiting.pop()].all - within:
                if (
                    self.referrers[target] <= within
                    and target != self.entry
                    and self.used[target].stretch.start not in self.image.exported
                ):
                    within.add(target)
                    waiting.append(target)
        return {number: CLONES if self._cloned(number) else IFUNC for number in within}

    def asking(self) -> set[int]:
        """The stretches that ask the CPU, but for the start of a C library that is linked in.

        That start is what the entry calls; the program itself it only takes the address of. A file that others
        call into is no such program, but perhaps the loader.
        """
        start = set() if self.image.exported else self._called_from(self.entry)
        return {
            number
            for number, one in enumerate(self.used)
            if (one.asks or any(_ASKING.search(name) for name in self.refers[number].symbols)) and number not in start
        }

    def _description(self) -> range:
        """Where the description of the CPU stands that resolvers read; a C library's loader reads it, too."""
        read = [
            target
            for number in self.resolvers
            for target, how in instructions.references(self.image.bits, self.used[number].stretch)
            if how == instructions.MEMORY and self._at(target) < 0
        ]
        return range(min(read), min(max(read), min(read) + _DESCRIPTION) + 1) if read else range(0)

    def _called_from(self, entry: int) -> set[int]:
        found, waiting = {entry}, [entry]
        while waiting and entry >= 0:
            fresh = self.refers[waiting.pop()].calls - found
            found |= fresh
            waiting += fresh
        return found

    def _cloned(self, number: int) -> bool:
        return "." in self.used[number].stretch.name

    def _at(self, address: int) -> int:
        """The number of the stretch at an address; -1 where there is none."""
        number = bisect.bisect_right(self.starts, address) - 1
        return number if number >= 0 and address < self.used[number].stretch.end else -1

    def _of(self, one: Used) -> _Refers:
        """What the instructions of a stretch refer to."""
        found = _Refers()
        for target, how in instructions.references(self.image.bits, one.stretch):
            self._add(found, target, how)
        return found

    def _linked(self) -> list[_Refers]:
        """The same of an object file, where relocations say it."""
        found = [_Refers() for _ in self.used]
        for place, target in self.image.links:
            number = self._at(place)
            if number >= 0 and isinstance(target, str):
                found[number].symbols.add(target)
            elif number >= 0:
                self._add(found[number], int(target), instructions.MEMORY)
        return found

    def _add(self, found: _Refers, target: int, how: str) -> None:
        if name := self.image.names.get(target):
            found.symbols.add(name)
        number = self._at(self.image.pointers.get(target, target))
        if number >= 0:
            (found.calls if how == instructions.BRANCH else found.takes).add(number)
        elif how == instructions.MEMORY and target in self.description:
            found.informed = True
