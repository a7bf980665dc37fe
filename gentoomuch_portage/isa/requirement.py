"""The ABI of a profile beyond its compiler's flags: CHOST, the libc, and the CHOSTs that Portage is told to accept.

What a binary package needs, what a CPU has, and the verdict between them.

The truth is the compiler that built the package: the instruction sets it predefines for the package's own
flags. It is asked when the package is built, and its answer travels in the package (``GM_REQUIRES``).
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from gentoomuch_portage.isa.macros import abi, features


class Abi(NamedTuple):
    """What code must be made for, whatever the CPU has."""

    chost: str
    """CHOST; empty where it is not told, and then any will do."""
    libc: str
    """ELIBC: ``musl``; empty where it is not told."""
    accepted: tuple[str, ...] = ()
    """ACCEPT_CHOSTS: regular expressions; nothing stands for CHOST alone. Source: make.conf(5)."""

    @classmethod
    def of(cls, text: str) -> Self:
        """Read what ``str`` makes."""
        chost, libc, *accepted = text.split() if text else ("-", "-")
        return cls(chost.strip("-"), libc.strip("-"), tuple(accepted))

    def __str__(self) -> str:
        return " ".join((self.chost or "-", self.libc or "-", *self.accepted))

    def takes(self, chost: str) -> bool:
        """Whether code for a CHOST is accepted; code that tells none is, as by Portage."""
        if not chost or not (self.chost or self.accepted):
            return True
        try:
            return re.fullmatch("|".join(self.accepted) or re.escape(self.chost), chost) is not None
        except re.error:
            return False  # Portage then says so, and accepts nothing either


SILENT: Mapping[str, str] = {
    "ABM": "gcc's other name for LZCNT with POPCNT, which have macros of their own",
    "CLDEMOTE": "of the hint space 0F 1C: a no-op on CPUs without it",
    "ENQCMD": "#GP until the kernel gave the process a PASID, so only behind a driver's leave",
    "EVEX256": "a width of AVX-512, which has macros of its own",
    "EVEX512": "a width of AVX-512, which has macros of its own",
    "FXSR": "fxsave, only by its builtin: of every CPU with SSE, and so of every x86-64",
    "HRESET": "privileged",
    "INVPCID": "privileged",
    "KL": "#UD until the kernel sets CR4.KL and loads a key, which Linux does not",
    "LAHF_SAHF": "sahf after x87 compares where there is no cmov, so never in 64-bit mode; always there in 32-bit mode",
    "MWAIT": "monitor and mwait are privileged",
    "PCONFIG": "privileged",
    "PKU": "#UD until the kernel sets CR4.PKE, so only after pkey_alloc(2); off in many virtual machines",
    "PREFETCHI": "of the hint space 0F 18: a no-op on CPUs without it",
    "SGX": "enclu needs an enclave that the kernel's driver made; gone from newer CPUs of the same line",
    "SHSTK": "rdssp is a no-op elsewhere, and incssp is reached only where rdssp told of a shadow stack",
    "UINTR": "#UD until the kernel sets CR4.UINTR, which Linux does not",
    "USER_MSR": "#GP until the kernel sets up its bitmap",
    "WBNOINVD": "privileged",
    "WIDEKL": "as KL",
    "XSAVES": "privileged",
}
"""Features that no compiler emits by itself, each with the reason why none is missed in user code. Without this
list even -march=skylake would be refused on machines that run it. Every other feature counts, also those
that only builtins use (clzero, mwaitx, rdpru): a program may use them wherever the macro is defined.
Source: Intel SDM volume 2 (the instruction's own page: privilege, #UD conditions, "treated as NOP") and AMD APM
volumes 2 and 3; gcc/config/i386/i386.md and i386-expand.cc (what is emitted without a builtin)."""

LIBCS = frozenset({"glibc", "musl", "uclibc", "bionic"})
"""Words of an ABI that no macro tells: the last part of CHOST, or USE=elibc_*. Source: ::gentoo's desc/elibc.desc."""
_TELLING = ("avx512f", "avx512vl", "avx2", "bmi2", "fma", "avx", "sse4_2", "ssse3", "sve2", "sve")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """What code needs of a CPU, or what a CPU offers to code."""

    features: frozenset[str]
    """Instruction sets beyond the oldest CPU of this ABI, as the compiler's macros name them: ``AVX2``."""
    abi: frozenset[str]
    """Macros of the ABI; code of another ABI cannot run whatever the CPU has."""
    told: str
    """The flags, or the CPU, in words: ``-march=haswell``."""
    known: bool = True
    """False where it could not be found out; ``told`` says why."""
    by: Mapping[str, frozenset[str]] = field(default_factory=dict, compare=False)
    """Where nobody knows which compiler built it: what each that may have done so says, and "" for the one that is
    here. ``features`` is then all of that together for code, and what is sure for a CPU."""

    def to_json(self) -> str:
        """One line; equal requirements give equal text."""
        features, abi = sorted(self.features), sorted(self.abi)
        shown = {"v": 1, "features": features, "abi": abi, "told": self.told, "known": self.known}
        return json.dumps(shown, sort_keys=True)


UNKNOWN = Requirement(features=frozenset(), abi=frozenset(), told="it does not tell its flags", known=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether code runs on a CPU."""

    accept: bool
    code: str
    """``runs``, ``cpu``, ``abi``, ``unknown``."""
    missing: tuple[str, ...] = ()
    """The features that the CPU lacks, in lower case, sorted."""
    reason: str = ""
    """For people; empty where it is accepted."""


def judge(needs: Requirement, has: Requirement, *, unknown: str = "reject") -> Verdict:
    """Hold what code needs against what a CPU has.

    Args:
        unknown: ``reject`` or ``accept`` what does not tell its needs.
    """
    if not needs.known or not has.known:
        told = needs.told if not needs.known else has.told
        accept = unknown == "accept"
        return Verdict(accept=accept, code="unknown", reason="" if accept else told)
    if other := _other_abi(needs.abi, has.abi):
        return Verdict(accept=False, code="abi", reason=f"is of another ABI ({' '.join(sorted(other))})")
    if lacking := sorted(feature.lower() for feature in _lacking(needs, has) if feature not in SILENT):
        return Verdict(
            accept=False, code="cpu", missing=tuple(lacking), reason=f"needs {_short(lacking)} ({needs.told})"
        )
    return Verdict(accept=True, code="runs")


def _lacking(needs: Requirement, has: Requirement) -> frozenset[str]:
    """What is missing, held against what the same compiler says of the CPU.

    Compilers differ in what they can name and in what they believe of a CPU, over the years and from each other: code
    of one and a CPU as another knows it would be refused for names alone.
    """
    if not needs.by:
        return needs.features - has.features
    return frozenset().union(*(wanted - has.by.get(name, has.features) for name, wanted in needs.by.items()))


def _other_abi(needs: frozenset[str], has: frozenset[str]) -> frozenset[str]:
    """In what two ABIs differ; a libc, or an ABI, that is not told differs from none."""
    if not needs & LIBCS or not has & LIBCS:
        needs, has = needs - LIBCS, has - LIBCS
    return needs ^ has if needs and has else frozenset()


def _short(lacking: list[str], *, most: int = 4) -> str:
    """The most telling of several features, and how many more."""
    telling = sorted(lacking, key=lambda name: (_TELLING.index(name) if name in _TELLING else 99, name))
    more = f" and {len(lacking) - most} more" if len(lacking) > most else ""
    return ", ".join(telling[:most]) + more


def of_macros(macros: Iterable[str], base: Iterable[str], told: str) -> Requirement:
    """A requirement from what a compiler predefines.

    Args:
        macros: with the flags in question.
        base: with the oldest CPU of the same ABI.
        told: the flags in words.
    """
    macros = frozenset(macros)
    found = features(macros) - features(base)
    return Requirement(features=found, abi=abi(macros), told=told)


def of_text(text: str) -> Requirement:
    """Read a recorded requirement; ``UNKNOWN`` with the reason where it is not ours."""
    try:
        found = json.loads(text)
        if found["v"] != 1:
            return untold(f"its requirement is of version {found['v']}")
        features, abi = frozenset(_words(found["features"])), frozenset(_words(found["abi"]))
        told = str(found["told"])[:200]
        if not told.isprintable():  # it is shown in a terminal, and anybody may have written it
            raise ValueError("no line of text")
        return Requirement(features=features, abi=abi, told=told, known=found["known"] is True)
    except (ValueError, KeyError, TypeError) as error:
        return untold(f"its requirement cannot be read: {type(error).__name__}")


def _words(found: object) -> list[str]:
    if isinstance(found, list) and all(isinstance(one, str) and re.fullmatch(r"\w{1,40}", one) for one in found):
        return found
    raise ValueError("not a list of words")


def untold(why: str) -> Requirement:
    """The requirement of what nobody can tell, and why."""
    return Requirement(features=frozenset(), abi=frozenset(), told=why, known=False)


def machine_flags(flags: str) -> tuple[str, ...]:
    """The words of compiler flags that choose instruction sets or an ABI, in order; of a double the last is kept.

    -mtune adds no instruction; -O, -f, -W and -D neither, and what stands behind -mllvm is for LLVM's passes. Of
    -march and of -mcpu the last counts, each for itself: which of the two does is for the compiler to say.
    """
    words = [word for word in flags.split() if re.match(r"-m(?!tune\b|llvm)", word)]
    last = {word.partition("=")[0]: word for word in words if re.match(r"-m(arch|cpu)=", word)}
    others = (word for word in words if not re.match(r"-m(arch|cpu)=", word))
    return tuple(dict.fromkeys(reversed([*last.values(), *others])))[::-1]
