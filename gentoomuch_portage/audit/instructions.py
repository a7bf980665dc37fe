"""Which instruction sets stand in machine code, function by function; iced-x86 decodes it.

Source: the CPUID feature flags of Intel SDM volume 2 and AMD APM volume 3, as iced-x86 gives them.
"""

import bisect
import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gentoomuch_portage.audit.elf import Function, Image, Span, missing
from gentoomuch_portage.isa.requirement import SILENT

FEATURES: Mapping[str, str] = {
    "ADX": "ADX", "AES": "AES", "AMX_BF16": "AMX_BF16", "AMX_COMPLEX": "AMX_COMPLEX", "AMX_FP16": "AMX_FP16",
    "AMX_INT8": "AMX_INT8", "AMX_TILE": "AMX_TILE", "AVX": "AVX", "AVX2": "AVX2", "AVX512BW": "AVX512BW",
    "AVX512CD": "AVX512CD", "AVX512DQ": "AVX512DQ", "AVX512ER": "AVX512ER", "AVX512F": "AVX512F",
    "AVX512PF": "AVX512PF", "AVX512VL": "AVX512VL", "AVX512_4FMAPS": "AVX5124FMAPS",
    "AVX512_4VNNIW": "AVX5124VNNIW", "AVX512_BF16": "AVX512BF16", "AVX512_BITALG": "AVX512BITALG",
    "AVX512_FP16": "AVX512FP16", "AVX512_IFMA": "AVX512IFMA", "AVX512_VBMI": "AVX512VBMI",
    "AVX512_VBMI2": "AVX512VBMI2", "AVX512_VNNI": "AVX512VNNI", "AVX512_VP2INTERSECT": "AVX512VP2INTERSECT",
    "AVX512_VPOPCNTDQ": "AVX512VPOPCNTDQ", "AVX_IFMA": "AVXIFMA", "AVX_NE_CONVERT": "AVXNECONVERT",
    "AVX_VNNI": "AVXVNNI", "AVX_VNNI_INT16": "AVXVNNIINT16", "AVX_VNNI_INT8": "AVXVNNIINT8", "BMI1": "BMI",
    "BMI2": "BMI2", "CLFLUSHOPT": "CLFLUSHOPT", "CLWB": "CLWB", "CMPCCXADD": "CMPCCXADD", "CMPXCHG16B": "CX16",
    "D3NOW": "3dNOW", "D3NOWEXT": "3dNOW_A", "F16C": "F16C", "FMA": "FMA", "FMA4": "FMA4",
    "FSGSBASE": "FSGSBASE", "GFNI": "GFNI", "LWP": "LWP", "LZCNT": "LZCNT", "MOVBE": "MOVBE",
    "MOVDIR64B": "MOVDIR64B", "MOVDIRI": "MOVDIRI", "PCLMULQDQ": "PCLMUL", "POPCNT": "POPCNT",
    "PTWRITE": "PTWRITE", "RAO_INT": "RAOINT", "RDPID": "RDPID", "RDRAND": "RDRND", "RDSEED": "RDSEED",
    "SERIALIZE": "SERIALIZE", "SHA": "SHA", "SHA512": "SHA512", "SM3": "SM3", "SM4": "SM4",
    "SSE3": "SSE3", "SSE4A": "SSE4A", "SSE4_1": "SSE4_1", "SSE4_2": "SSE4_2", "SSSE3": "SSSE3", "TBM": "TBM",
    "TSXLDTRK": "TSXLDTRK", "VAES": "VAES", "VPCLMULQDQ": "VPCLMULQDQ", "WAITPKG": "WAITPKG", "XOP": "XOP",
}  # fmt: skip
"""iced-x86's name -> the compiler's macro. What is left out is of every x86-64 (SSE2, CX8, SYSCALL ...), privileged
(VMX, SMAP, XSAVES ...), for finding out what a CPU is and how long things take (CPUID, XGETBV, RDTSCP), a hint that
older CPUs take for a no-op (ENDBR64, PREFETCHW, PAUSE, the prefixes of HLE and MPX), never there without being asked
for (RTM, which firmware turns off on the very CPUs that have it), or of CPUs that no compiler emits code for
(PADLOCK, CYRIX, KNC)."""
OF_X86_64 = frozenset({"MMX", "SSE", "SSE2"})
"""Of every x86-64, and not of every i686."""
_MEANINGLESS = ("TZCNT",)
"""``rep bsf``, which compilers write for every x86-64 since it is faster on some, decodes as TZCNT."""
BRANCH, MEMORY, VALUE = "branch", "memory", "value"
_ALIGNMENT = 16
"""Bytes; less than that behind a function is padding, and counts as its own."""
_ASKING = ("CPUID", "XGETBV")


@dataclass(frozen=True, slots=True)
class Stretch:
    """A function, or what stands between functions."""

    span: Span
    start: int
    end: int
    name: str
    function: bool
    """False between functions: tables and padding, or code that nothing names."""

    @property
    def code(self) -> memoryview:
        """Its bytes."""
        return self.span.data[self.start - self.span.start : self.end - self.span.start]


@dataclass(frozen=True, slots=True)
class Used:
    """What the instructions of a stretch need."""

    stretch: Stretch
    features: frozenset[str]
    """Instruction sets beyond the oldest CPU of the ABI, as the compiler's macros name them."""
    asks: bool
    """It asks the CPU what it is."""
    decodes: bool
    """Every byte of it is part of an instruction; otherwise it is hardly code."""


def decoder(bits: int, code: memoryview, at: int) -> Any:
    """Decode code at an address.

    Raises:
        MissingProgram: iced-x86 is not installed.
    """
    return check().Decoder(bits, bytes(code), ip=at)


def check() -> Any:
    """What decodes instructions.

    Raises:
        MissingProgram: iced-x86 is not installed.
    """
    try:
        import iced_x86
    except ImportError as error:
        raise missing("iced-x86") from error
    return iced_x86


def sweep(image: Image) -> tuple[Used, ...]:
    """What each stretch of code uses, in the order of addresses."""
    invalid = check().Code.INVALID
    found = []
    for one in stretches(image):
        codes = {instruction.code for instruction in decoder(image.bits, one.code, one.start)}
        features = frozenset(itertools.chain.from_iterable(_features(code, image.bits) for code in codes))
        asks = any(_asking(code) for code in codes)
        found.append(Used(one, features, asks, invalid not in codes))
    return tuple(found)


def stretches(image: Image) -> Iterator[Stretch]:
    """Functions and what stands between them, without a gap."""
    starts = [one.start for one in image.functions]
    for span in sorted(image.code, key=lambda one: one.start):
        inside = image.functions[bisect.bisect_left(starts, span.start) : bisect.bisect_left(starts, span.end)]
        yield from _parted(span, inside, stubs=span.name.startswith(".plt"))


def _parted(span: Span, functions: Iterable[Function], *, stubs: bool) -> Iterator[Stretch]:
    if stubs:  # each a jump through a slot
        for at in range(span.start, span.end, 16):
            yield Stretch(span, at, min(at + 16, span.end), "", function=False)
        return
    functions = tuple(functions)
    at = span.start
    for one, following in itertools.zip_longest(functions, functions[1:]):
        upto = min(following.start if following else span.end, span.end)
        if one.start > at:
            yield Stretch(span, at, one.start, "", function=False)
        told = one.start + one.size
        end = told if one.size and told + _ALIGNMENT <= upto else upto
        yield Stretch(span, one.start, end, one.name, function=True)
        at = end
    if span.end > at:
        yield Stretch(span, at, span.end, "", function=False)


def references(bits: int, stretch: Stretch) -> Iterator[tuple[int, str]]:
    """The addresses that the instructions of a stretch name, and how: ``BRANCH``, ``MEMORY``, or ``VALUE``, which may
    be any number.

    What follows is jumped to as well where the last instruction runs on.
    """
    iced = check()
    branches = {iced.OpKind.NEAR_BRANCH32, iced.OpKind.NEAR_BRANCH64}
    loads = {iced.Code.MOV_R32_IMM32, iced.Code.MOV_RM64_IMM32, iced.Code.PUSHQ_IMM32, iced.Code.PUSHD_IMM32}
    runs_on = False
    for one in decoder(bits, stretch.code, stretch.start):
        if one.mnemonic != iced.Mnemonic.NOP:
            runs_on = one.flow_control == iced.FlowControl.NEXT
        if one.op0_kind in branches:
            target = one.near_branch_target
            if not stretch.start <= target < stretch.end:
                yield target, BRANCH
        elif one.is_ip_rel_memory_operand:
            yield one.ip_rel_memory_address, MEMORY
        elif one.code in loads:
            yield one.immediate(one.op_count - 1), VALUE
    if runs_on:
        yield stretch.end, BRANCH


@functools.cache
def _features(code: int, bits: int) -> frozenset[str]:
    """What one kind of instruction needs."""
    known = FEATURES if bits == 64 else {**FEATURES, **{name: name for name in OF_X86_64}}
    if _mnemonic(code) in _MEANINGLESS:
        return frozenset()
    return frozenset(known[name] for name in _needed(code) if name in known) - SILENT.keys()


@functools.cache
def _asking(code: int) -> bool:
    return _mnemonic(code) in _ASKING


def _needed(code: int) -> list[str]:
    return [_names("CpuidFeature")[one] for one in _instruction(code).cpuid_features()]


def _mnemonic(code: int) -> str:
    return _names("Mnemonic")[_instruction(code).mnemonic]


def _instruction(code: int) -> Any:
    one = check().Instruction()
    one.code = code
    return one


@functools.cache
def _names(of: str) -> Mapping[int, str]:
    """The numbers of an enumeration of iced-x86, and what they stand for."""
    kind = getattr(check(), of)
    return {number: name for name, number in vars(kind).items() if name.isupper()}
