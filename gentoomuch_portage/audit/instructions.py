# SPDX-License-Identifier: GPL-2.0-or-later
"""Find the instruction sets that machine code uses, function by function, with the decoder iced-x86.

Source: the CPUID feature flags of Intel SDM volume 2 and AMD APM volume 3, as iced-x86 gives them.
"""

import bisect
import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gentoomuch_portage.audit.elf import Function, Image, Span, missing
from gentoomuch_portage.isa.features import BASELINE, NOT_EMITTED, X86

try:
    import iced_x86
except ImportError:
    iced_x86 = None

_DECODED: Mapping[int, Mapping[str, str]] = {
    64: {feature.decoder: feature.macro for feature in X86 if feature.decoder and feature.macro not in BASELINE},
    32: {feature.decoder: feature.macro for feature in X86 if feature.decoder},
}
"""Bits of code -> iced-x86's name of a feature -> its macro."""
_IGNORED = ("TZCNT",)
"""``rep bsf``, which compilers emit for every x86-64, decodes as TZCNT."""
BRANCH, MEMORY, VALUE = "branch", "memory", "value"
_ALIGNMENT = 16
"""Bytes. A shorter gap after a function is padding, and counts as part of it."""
_QUERYING = ("CPUID", "XGETBV")


@dataclass(frozen=True, slots=True)
class Stretch:
    """A function, or the code between functions."""

    span: Span
    start: int
    end: int
    name: str
    function: bool
    """False between functions: tables, padding, or unnamed code."""

    @property
    def code(self) -> memoryview:
        """Its bytes."""
        return self.span.data[self.start - self.span.start : self.end - self.span.start]


@dataclass(frozen=True, slots=True)
class Used:
    """The requirements of a stretch."""

    stretch: Stretch
    features: frozenset[str]
    """Instruction sets beyond the oldest CPU of the ABI, named by the compiler's macros."""
    queries_cpu: bool
    """Whether it identifies the CPU at run time."""
    decodes: bool
    """Whether every byte is part of an instruction; otherwise it is probably not code."""


def decoder(bits: int, code: memoryview, address: int) -> Any:
    """Decode code at an address.

    Raises:
        MissingProgram: iced-x86 is not installed.
    """
    return check().Decoder(bits, bytes(code), ip=address)


def check() -> Any:
    """Return the module that decodes instructions.

    Raises:
        MissingProgram: iced-x86 is not installed.
    """
    if iced_x86 is None:
        raise missing("iced-x86")
    return iced_x86


def sweep(image: Image) -> tuple[Used, ...]:
    """Return what each stretch of code uses, in the order of addresses."""
    invalid = check().Code.INVALID
    used = []
    for stretch in stretches(image):
        codes = {instruction.code for instruction in decoder(image.bits, stretch.code, stretch.start)}
        features = frozenset(itertools.chain.from_iterable(_features(code, image.bits) for code in codes))
        queries = any(_queries_cpu(code) for code in codes)
        used.append(Used(stretch, features, queries, invalid not in codes))
    return tuple(used)


def stretches(image: Image) -> Iterator[Stretch]:
    """Generate functions and the code between them, without gaps."""
    starts = [function.start for function in image.functions]
    for span in sorted(image.code, key=lambda span: span.start):
        inside = image.functions[bisect.bisect_left(starts, span.start) : bisect.bisect_left(starts, span.end)]
        yield from _split(span, inside, stubs=span.name.startswith(".plt"))


def _split(span: Span, functions: Iterable[Function], *, stubs: bool) -> Iterator[Stretch]:
    if stubs:  # each a jump through a slot
        for start in range(span.start, span.end, 16):
            yield Stretch(span, start, min(start + 16, span.end), "", function=False)
        return
    functions = tuple(functions)
    position = span.start
    for function, following in itertools.zip_longest(functions, functions[1:]):
        limit = min(following.start if following else span.end, span.end)
        if function.start > position:
            yield Stretch(span, position, function.start, "", function=False)
        end = function.start + function.size
        end = end if function.size and end + _ALIGNMENT <= limit else limit
        yield Stretch(span, function.start, end, function.name, function=True)
        position = end
    if span.end > position:
        yield Stretch(span, position, span.end, "", function=False)


def references(bits: int, stretch: Stretch) -> Iterator[tuple[int, str]]:
    """Generate the addresses in the instructions of a stretch, with ``BRANCH``, ``MEMORY``, or ``VALUE`` for a number
    that may be an address.

    The next stretch is a branch target if the last instruction falls through.
    """
    iced = check()
    branches = {iced.OpKind.NEAR_BRANCH32, iced.OpKind.NEAR_BRANCH64}
    loads = {iced.Code.MOV_R32_IMM32, iced.Code.MOV_RM64_IMM32, iced.Code.PUSHQ_IMM32, iced.Code.PUSHD_IMM32}
    falls_through = False
    for instruction in decoder(bits, stretch.code, stretch.start):
        if instruction.mnemonic != iced.Mnemonic.NOP:
            falls_through = instruction.flow_control == iced.FlowControl.NEXT
        if instruction.op0_kind in branches:
            target = instruction.near_branch_target
            if not stretch.start <= target < stretch.end:
                yield target, BRANCH
        elif instruction.is_ip_rel_memory_operand:
            yield instruction.ip_rel_memory_address, MEMORY
        elif instruction.code in loads:
            yield instruction.immediate(instruction.op_count - 1), VALUE
    if falls_through:
        yield stretch.end, BRANCH


@functools.cache
def _features(code: int, bits: int) -> frozenset[str]:
    """Return the features that one kind of instruction requires."""
    if _mnemonic(code) in _IGNORED:
        return frozenset()
    return (
        frozenset(_DECODED[bits][name] for name in _cpuid_features(code) if name in _DECODED[bits]) - NOT_EMITTED.keys()
    )


@functools.cache
def _queries_cpu(code: int) -> bool:
    return _mnemonic(code) in _QUERYING


def _cpuid_features(code: int) -> list[str]:
    return [_names("CpuidFeature")[number] for number in _instruction(code).cpuid_features()]


def _mnemonic(code: int) -> str:
    return _names("Mnemonic")[_instruction(code).mnemonic]


def _instruction(code: int) -> Any:
    instruction = check().Instruction()
    instruction.code = code
    return instruction


@functools.cache
def _names(enumeration: str) -> Mapping[int, str]:
    """Return number -> name of an enumeration of iced-x86."""
    return {number: name for name, number in vars(getattr(check(), enumeration)).items() if name.isupper()}
