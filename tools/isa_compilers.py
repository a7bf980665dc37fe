# SPDX-License-Identifier: GPL-2.0-or-later
"""The compilers that tools/make-isa-table asks: which there are, what they know, and what they make of options."""

import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from gentoomuch_portage.isa import compiler, macros

_NAME = re.compile(r"(?:(?P<target>[\w-]+)-)?(?P<family>gcc|cpp|clang)-(?P<major>\d+)")
_WHOLE = (
    "-march",
    "-mcpu",
    "-mabi",
    "-mfpu",
    "-mfloat-abi",
    "-mtune",
    "-msve-vector-bits",
    "-mrvv-vector-bits",
    "-mapx-features",
)
"""Options whose value decides what a CPU must have, or an ABI; of any other, the value does not matter here."""
_NO_ANSWER = re.compile(r"-m(no-)?(16|32|64|x32|iamcu|fentry|android|bionic|glibc|musl|uclibc|help|version|native)$")


_ARM32 = (
    "armv4t",
    "armv5t",
    "armv5te",
    "armv6",
    "armv6j",
    "armv6k",
    "armv6kz",
    "armv6z",
    "armv6t2",
    "armv7",
    "armv7-a",
    "armv7ve",
    "armv8-a",
)


@dataclass(frozen=True)
class Arch:
    """An architecture, and how a compiler is told of it."""

    name: str
    target: str
    """What a crossing gcc's name begins with, and clang's --target."""
    fixed: tuple[str, ...] = ()
    by: tuple[str, ...] = ("-march",)
    """The options that take the name of a CPU."""
    hosts: tuple[str, ...] = ()
    """Bases for +EXTENSION, tried in turn."""
    also: tuple[str, ...] = ()
    """Names that no compiler lists."""


ARCHES = (
    Arch("x86_64", "x86_64-linux-gnu", also=("x86-64-v2", "x86-64-v3", "x86-64-v4")),
    Arch("i386", "x86_64-linux-gnu", fixed=("-m32",)),
    Arch("arm64", "aarch64-linux-gnu", by=("-march", "-mcpu"), hosts=("armv8-a", "armv9-a")),
    Arch(
        "arm",
        "arm-linux-gnueabihf",
        fixed=("-mfloat-abi=softfp",),
        by=("-march", "-mcpu"),
        hosts=("armv7-a", "armv8-a", "armv8.2-a", "armv8.6-a"),
    ),
    Arch("ppc64le", "powerpc64le-linux-gnu", by=("-mcpu",)),
    Arch(
        "riscv64",
        "riscv64-linux-gnu",
        by=("-march", "-mcpu"),
        also=("rva20u64", "rva22u64", "rva23u64", "rvb23u64", "thead-c906", "xiangshan-nanhu", "sifive-u74", "xt-c920"),
    ),
)


@dataclass(frozen=True)
class Compiler:
    """One compiler for one architecture."""

    name: str
    """``gcc-14``"""
    argv: tuple[str, ...]
    asked: dict[tuple[str, ...], frozenset[str] | None] = field(default_factory=dict, hash=False, compare=False)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [*self.argv, *words]
        return subprocess.run(argv, input="", capture_output=True, encoding="utf-8", errors="replace", check=False)

    def features(self, *words: str) -> frozenset[str] | None:
        """What it predefines beyond the oldest CPU; None where it refuses the words, or warns that it ignores one."""
        if words not in self.asked:
            ran = self.run(*words, "-Werror", "-dM", "-E", "-x", "c", "-")
            self.asked[words] = macros.parse_macros(ran.stdout) if ran.returncode == 0 else None
        found = self.asked[words]
        return None if found is None else macros.features(found) - self.oldest()

    def oldest(self) -> frozenset[str]:
        if ("oldest",) not in self.asked:
            plain = macros.parse_macros(self.run("-dM", "-E", "-x", "c", "-").stdout)
            ran = self.run(*compiler.oldest_cpu_flags(plain), "-dM", "-E", "-x", "c", "-")
            if ran.returncode:
                raise SystemExit(f"{self.name}: {ran.stderr}")
            self.asked[("oldest",)] = macros.features(macros.parse_macros(ran.stdout))
        return self.asked[("oldest",)] or frozenset()

    def takes(self, words: Iterable[str]) -> frozenset[str]:
        """Those of many words that it takes, each for itself: a compiler names most that it refuses at once."""
        left = tuple(sorted(words))
        ran = self.run(*left, "-Werror", "-dM", "-E", "-x", "c", "-")
        if not left or ran.returncode == 0:
            return frozenset(left)
        named = re.findall(r"(-m[\w.=-]+)", re.sub(r"[;,] did you mean.*", "", ran.stderr))
        if refused := set(named) & set(left):
            return self.takes(set(left) - refused)
        # What it names by another name, or together with something, is found by halves.
        half = len(left) // 2
        return self.takes(left[:half]) | self.takes(left[half:]) if half else frozenset()

    def together(self, words: Iterable[str]) -> tuple[str, ...]:
        """As many words as it takes all at once."""
        words = tuple(words)
        if self.features(*words) is not None:
            return words
        chosen: tuple[str, ...] = ()
        for word in words:
            if self.features(*chosen, word) is not None:
                chosen = (*chosen, word)
        return chosen

    def told(self, *words: str) -> str:
        ran = self.run(*words)
        return ran.stdout + ran.stderr

    def version(self) -> str:
        return self.told("--version").splitlines()[0].strip()


def compilers(arch: Arch, roots: Iterable[Path]) -> tuple[Compiler, ...]:
    """All compilers for an architecture, gcc first, each version once."""
    found: dict[tuple[bool, int], Compiler] = {}
    places = [(Path(folder), ()) for folder in os.get_exec_path()]
    enter = ("chroot",) if os.geteuid() == 0 else ("unshare", "--map-root-user", "--root")
    places += [
        (root / "usr/bin", (*enter[:-1], f"{enter[-1]}={root}") if enter[1:] else (*enter, str(root))) for root in roots
    ]
    for folder, inside in places:
        for path in sorted(folder.glob("*-[0-9]*")) if folder.is_dir() else ():
            fits = _NAME.fullmatch(path.name)
            if not fits:
                continue
            clang = fits["family"] == "clang"
            if not clang and (fits["target"] or "x86_64-linux-gnu") != arch.target:
                continue
            argv = (
                *inside,
                f"/usr/bin/{path.name}" if inside else str(path),
                *([f"--target={arch.target}"] if clang else []),
            )
            name = f"{'clang' if clang else 'gcc'}-{fits['major']}"
            found.setdefault((clang, int(fits["major"])), Compiler(name, (*argv, *arch.fixed)))
    return tuple(one for _, one in sorted(found.items()))


def names(arch: Arch, option: str, known: Iterable[Compiler]) -> set[str]:
    """All names that some compiler lists for an option."""
    found = set(arch.also)
    for one in known:
        told = one.told(f"{option}=?", "-E", "-x", "c", "-")
        for listed in re.findall(r"(?:valid|are)\b[^:\n]*?(?:are|" + option + r"=)'?[^:\n]*: ([^;\n]*)", told):
            found |= set(re.split(r"[,\s]+", listed))
        if one.name.startswith("clang"):
            found |= set(re.findall(r"^\t([\w.+-]+)$", one.told("--print-supported-cpus"), re.M))
        else:
            help_ = one.told("--target-help")
            for listed in re.findall(rf"valid arguments (?:to|for) (?:the )?'?{option}=.*?:\n((?:    .*\n)+)", help_):
                found |= set(listed.split())
    if arch.name == "arm64" and option == "-march":
        found |= {f"armv{major}.{minor}-a" for major in (8, 9) for minor in range(10)} | {
            "armv8-a",
            "armv9-a",
            "armv8-r",
        }
    if arch.name == "arm" and option == "-march":
        found |= {*_ARM32}
        found |= {f"armv8.{minor}-a" for minor in range(1, 7)}
    return {name for name in found if re.fullmatch(r"\w[\w.+-]*", name) and name not in {"native", "help", "are"}}


def switches(known: Iterable[Compiler]) -> set[str]:
    """All -m options without a value that some compiler has, and ``-mNAME=`` of those whose value does not matter."""
    found: set[str] = set()
    for one in known:
        if one.name.startswith("clang"):
            found |= {line.split("\t")[0] for line in one.told("--autocomplete=-m").splitlines()}
        else:
            found |= set(re.findall(r"^  (-m[\w.-]+=?)", one.told("--target-help"), re.M))
    plain = {f"-m{word.removeprefix('-m').removeprefix('no-')}" for word in found if word.startswith("-m")}
    both = {f"-mno-{word.removeprefix('-m')}" for word in plain if not word.endswith("=")}
    usable = {word for word in plain | both if re.fullmatch(r"-m[\w.-]+=?", word) and not _NO_ANSWER.match(word)}
    return {word for word in usable if word.rstrip("=") not in _WHOLE}


def extensions(arch: Arch, known: Iterable[Compiler]) -> set[str]:
    """What may stand behind a + in the name of an ARM CPU, or in RISC-V's -march."""
    found: set[str] = set()
    for one in known:
        for host in arch.hosts:
            told = one.told(f"-march={host}+?", "-E", "-x", "c", "-")
            for listed in re.findall(r"valid (?:arguments|feature names)[^:\n]*: ([^;\n]*)", told):
                found |= set(listed.split())
        if one.name.startswith("clang"):
            found |= set(re.findall(r"^    ([a-z][\w-]*) ", one.told("--print-supported-extensions"), re.M))
        found |= set(re.findall(r"^\t([a-z]\w*) +\t[\d., ]+$", one.told("-march=help", "-E", "-x", "c", "-"), re.M))
    return {
        word.removeprefix("no") if word in {"nosimd", "nofp", "nocrypto"} else word for word in found if word != "help"
    }
