# SPDX-License-Identifier: GPL-2.0-or-later
"""Detect whether code above the baseline ISA is guarded by runtime CPU dispatch.

Dispatch by the loader is proven: the resolver of an ifunc refers to its candidates. A file that queries the CPU itself
may guard code in ways that no disassembler can follow, for example by a flag in a table. Therefore none of its code is
reported as unguarded, only as suspected dispatch. All other code is unguarded.

Source: GCC manual, "Function Multiversioning" and "ifunc"; glibc's csu/libc-start.c and sysdeps/x86/cpu-features.c.
"""

import bisect
import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gentoomuch_portage.audit import instructions
from gentoomuch_portage.audit.elf import Image
from gentoomuch_portage.audit.instructions import Used

IFUNC, CLONES = "ifunc", "target_clones"
QUERIES, FILE_QUERIES, NAMED, NO_FUNCTION = (
    "queries the CPU",
    "its file queries the CPU",
    "named by its instruction set",
    "probably not a function",
)

_ISA = (
    r"sse\d\w?|ssse3|avx\w*|evex\w*|fma[34]?|xop|f16c|bmi[12]?|popcnt|lzcnt|aes(ni)?|vaes\w*|v?p?clmul\w*|gfni|sha(ni)?|"
    r"adx|mulx|movbe|rd(rand|seed)|rtm|haswell|broadwell|skylake\w*|icelake\w*|znver\d|bdver\d|x86[-_]64[-_]v\d"
)
_NAMED = re.compile(rf"(^|[^a-zA-Z0-9])(arch_|hw_?)?({_ISA})($|[^a-zA-Z])", re.I)
"""``memcpy_avx_unaligned``, ``sum.avx2``, ``sum.arch_haswell``, ``sha1_block_shaext``."""
_QUERYING = re.compile(
    r"(cpu_?(id|flags?|features?|info|model|indicator|supports?|caps?|detect)|getauxval|ia32cap|_rtld_global_ro)",
    re.I,
)
"""``__cpu_model``, ``__cpu_indicator_init``, ``__get_cpuid``, ``OPENSSL_ia32cap_P``, ``av_get_cpu_flags``, and the
variable of ld.so that other parts of glibc read."""

_DESCRIPTION = 1024
"""An upper bound of the bytes of glibc's struct cpu_features."""


@dataclass(slots=True)
class _References:
    """References of one stretch, as indexes of stretches."""

    calls: set[int] = field(default_factory=set)
    takes: set[int] = field(default_factory=set)
    """Stretches whose address it takes."""
    symbols: set[str] = field(default_factory=set)
    informed: bool = False
    """Whether it reads the CPU description that resolvers read."""

    @property
    def all(self) -> set[int]:
        """Calls and takes."""
        return self.calls | self.takes


def find_dispatch(image: Image, used: Sequence[Used]) -> dict[int, str]:
    """Find how the stretches above the baseline are guarded at run time.

    Args:
        used: of ``instructions.sweep``.

    Returns:
        Index of a stretch -> ``IFUNC`` or ``CLONES``, which are proven, or another constant, which is a suspicion. A
        missing stretch is unguarded.
    """
    candidates = [number for number, use in enumerate(used) if use.features]
    if not candidates:
        return {}
    graph = _Graph(image, used)
    guarded, querying = graph.find_guarded(), graph.find_querying()
    dispatch = {}
    for number in candidates:
        if kind := guarded.get(number) or _find_suspicion(number, used[number], querying):
            dispatch[number] = kind
    return dispatch


def queries_cpu(image: Image, used: Iterable[Used]) -> bool:
    """Whether an object file queries the CPU, perhaps for other members of its archive."""
    names = (target for _, target in image.links if isinstance(target, str))
    return any(use.queries_cpu for use in used) or any(_QUERYING.search(name) for name in names)


def _find_suspicion(number: int, use: Used, querying: set[int]) -> str:
    if number in querying:
        return QUERIES
    if not (use.decodes and use.stretch.function):
        return NO_FUNCTION
    if _NAMED.search(use.stretch.name):
        return NAMED
    return FILE_QUERIES if querying else ""


class _Graph:
    """The references between the stretches of one file."""

    def __init__(self, image: Image, used: Sequence[Used]) -> None:
        self.image, self.used = image, used
        self.starts = [use.stretch.start for use in used]
        self.entry = self._at(image.entry)
        self.resolvers = {self._at(address) for address in image.resolvers} - {-1}
        self.description = self._find_description()
        self.refers = self._read_links() if image.links else [self._read_references(use) for use in used]
        self.referrers: list[set[int]] = [set() for _ in used]
        for number, references in enumerate(self.refers):
            for target in references.all - {number}:
                self.referrers[target].add(number)

    def find_guarded(self) -> dict[int, str]:
        """Find candidates of resolvers, clones of the compiler, and stretches that only these refer to."""
        choosing = self.resolvers | {number for number, references in enumerate(self.refers) if references.informed}
        within = choosing | {target for number in choosing for target in self.refers[number].all} - {self.entry}
        within |= self._find_unused(within)
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
        return {number: CLONES if self._is_clone(number) else IFUNC for number in within}

    def find_querying(self) -> set[int]:
        """Find the stretches that query the CPU, except those of a C library that is linked into a program.

        These are its start code, which the entry point calls (it takes the address of the program's own ``main``), and
        its resolvers, which query the CPU for their candidates only. A file that exports functions is not such a
        program, but perhaps the loader.
        """
        library = set() if self.image.exported else self._find_callees(self.entry) | self.resolvers
        return {
            number
            for number, use in enumerate(self.used)
            if (use.queries_cpu or any(_QUERYING.search(name) for name in self.refers[number].symbols))
            and number not in library
        }

    def _find_unused(self, within: set[int]) -> set[int]:
        """Find entry points of resolver candidates to which nothing in a program refers.

        They were linked together with the implementation that they jump to, and no resolver returns them.
        Source: glibc's sysdeps/x86_64/multiarch/memset-vec-unaligned-erms.S, ``WMEMSET_SYMBOL``.
        """
        if self.image.exported or not self.resolvers:
            return set()
        unused = {
            number
            for number, references in enumerate(self.refers)
            if not self.referrers[number] and references.calls - {number} and references.calls <= within | {number}
        } - {self.entry}
        stored = self._find_addresses(unused) if unused else set()
        return {number for number in unused if self.starts[number] not in stored}

    def _find_addresses(self, numbers: set[int]) -> set[int]:
        """Find the start addresses of these stretches that the data of the file contains."""
        starts = {self.starts[number] for number in numbers}
        width, code = (8, "Q") if self.image.bits == 64 else (4, "I")
        stored = {target for target in self.image.pointers.values() if target in starts}
        for span in self.image.data:
            stored |= starts.intersection(array(code, bytes(span.data[: len(span.data) // width * width])))
        return stored

    def _find_description(self) -> range:
        """Find the CPU description that resolvers read; the loader of a C library reads it, too."""
        read = [
            target
            for number in self.resolvers
            for target, how in instructions.references(self.image.bits, self.used[number].stretch)
            if how == instructions.MEMORY and self._at(target) < 0
        ]
        return range(min(read), min(max(read), min(read) + _DESCRIPTION) + 1) if read else range(0)

    def _find_callees(self, entry: int) -> set[int]:
        callees, waiting = {entry}, [entry]
        while waiting and entry >= 0:
            fresh = self.refers[waiting.pop()].calls - callees
            callees |= fresh
            waiting += fresh
        return callees

    def _is_clone(self, number: int) -> bool:
        return "." in self.used[number].stretch.name

    def _at(self, address: int) -> int:
        """Return the index of the stretch at an address; -1 if none is there."""
        number = bisect.bisect_right(self.starts, address) - 1
        return number if number >= 0 and address < self.used[number].stretch.end else -1

    def _read_references(self, use: Used) -> _References:
        """Collect the references of the instructions of a stretch."""
        references = _References()
        for target, how in instructions.references(self.image.bits, use.stretch):
            self._add(references, target, how)
        return references

    def _read_links(self) -> list[_References]:
        """Collect the references of an object file from its relocations."""
        references = [_References() for _ in self.used]
        for place, target in self.image.links:
            number = self._at(place)
            if number >= 0 and isinstance(target, str):
                references[number].symbols.add(target)
            elif number >= 0:
                self._add(references[number], int(target), instructions.MEMORY)
        return references

    def _add(self, references: _References, target: int, how: str) -> None:
        if name := self.image.names.get(target):
            references.symbols.add(name)
        number = self._at(self.image.pointers.get(target, target))
        if number >= 0:
            (references.calls if how == instructions.BRANCH else references.takes).add(number)
        elif how == instructions.MEMORY and target in self.description:
            references.informed = True
