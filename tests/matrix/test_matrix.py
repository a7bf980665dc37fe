# SPDX-License-Identifier: GPL-2.0-or-later
"""Every CPU name of a compiler as a package against every one as a profile: verdicts from flags alone, held against
what that compiler predefines. Run with -s, or look at the summary of ``tox -e matrix``, for the figures."""

import shutil
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest

from gentoomuch_portage.isa import compiler, resolve
from gentoomuch_portage.isa.features import NOT_EMITTED
from gentoomuch_portage.isa.requirement import judge

ARM64 = "aarch64-unknown-linux-gnu"
NEEDLESS = 0.02
"""Of all pairs that run, how many may be refused all the same."""


@dataclass(frozen=True)
class Score:
    """How the verdicts on all pairs came out."""

    pairs: int
    run: int
    unsafe: tuple[str, ...]
    needless: tuple[str, ...]

    def __str__(self) -> str:
        share = 100 * len(self.needless) / self.run
        return (
            f"{self.pairs} pairs, of which {self.run} run: {len(self.unsafe)} unsafe verdicts, "
            f"{len(self.needless)} needless refusals ({share:.2f} %)"
        )


def scored(asked: Path, option: str, names: tuple[str, ...], chost: str, cache: Path, cc: str = "") -> Score:
    """The verdicts on all pairs of names, each held against the compiler's own macros.

    Args:
        cc: the compiler, where the packages tell it.
    """
    ask = resolve.query_all(cache, cc, chost)
    needed = {}
    offered = {}
    truth = {}
    for name in names:
        flags = f"{option}={name}"
        needed[name] = resolve.package_requirement(
            {"CFLAGS": f"-O2 -pipe {flags}", "CHOST": chost, "INHERITED": ""}, (), ask
        )
        offered[name] = resolve.capabilities((flags,), cache, chost=chost)
        truth[name] = compiler.measure(asked, (flags,), cache)
    wrong: dict[bool, list[str]] = {True: [], False: []}
    run = 0
    for package, profile in product(names, names):
        lacking = truth[package].features - truth[profile].features - NOT_EMITTED.keys()
        run += not lacking
        accepted = judge(needed[package], offered[profile]).accept
        if accepted == bool(lacking):
            wrong[accepted].append(f"{package} on {profile}: {' '.join(sorted(lacking))}")
    return Score(len(names) ** 2, run, tuple(wrong[True]), tuple(wrong[False]))


def usable(asked: Path, option: str, cache: Path) -> tuple[str, ...]:
    """The names that a compiler takes; without ``native``, and without ARM's R profile, on which no Linux runs."""
    names = compiler.list_cpu_names(asked, option)
    known = {
        name: compiler.measure(asked, (f"{option}={name}",), cache)
        for name in names
        if name not in {"native", "armv8-r", "cortex-r82"}
    }
    return tuple(name for name, found in known.items() if found.known)


def report(score: Score, what: str, record_property, capsys) -> None:
    with capsys.disabled():
        print(f"\n{what}: {score}")
    record_property(what, str(score))


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The C compiler of this machine, which is an x86-64."""
    asked = compiler.find()
    if "x86_64" not in (compiler.predefined_macros(asked, (), tmp_path) or ()):
        pytest.skip(f"{asked} does not compile for x86-64")
    return asked


def test_x86_64_verdicts_from_flags_are_never_unsafe_and_seldom_needless(here, tmp_path, record_property, capsys):
    names = usable(here, "-march", tmp_path)

    score = scored(here, "-march", names, "x86_64-pc-linux-gnu", tmp_path)

    report(score, f"{here.name}, {len(names)} names of -march", record_property, capsys)
    assert len(names) > 50
    assert score.unsafe == ()
    assert len(score.needless) <= NEEDLESS * score.run


def test_without_a_compiler_x86_64_verdicts_are_as_safe(here, tmp_path, monkeypatch, record_property, capsys):
    names = usable(here, "-march", tmp_path)
    monkeypatch.setattr(compiler, "find", lambda cc="": _none())

    score = scored(here, "-march", names, "x86_64-pc-linux-gnu", tmp_path)

    report(score, f"{here.name}, by the table alone", record_property, capsys)
    assert score.unsafe == ()
    assert len(score.needless) <= NEEDLESS * score.run


def _none() -> Path:
    raise compiler.MissingProgram("gcc", "sys-devel/gcc")


@pytest.fixture
def crossing() -> Path:
    """A gcc for arm64."""
    found = next(filter(None, map(shutil.which, ("aarch64-linux-gnu-gcc", "aarch64-unknown-linux-gnu-gcc"))), None)
    if not found:
        pytest.skip("there is no gcc for arm64: apt install gcc-aarch64-linux-gnu, or crossdev -t aarch64-linux-gnu")
    return Path(found)


@pytest.mark.parametrize(("option", "cc"), [("-march", ""), ("-mcpu", f"{ARM64}-gcc")])
def test_arm64_verdicts_are_never_unsafe_and_seldom_needless(crossing, option, cc, tmp_path, record_property, capsys):
    names = usable(crossing, option, tmp_path)

    score = scored(crossing, option, names, ARM64, tmp_path, cc)

    report(score, f"{crossing.name}, {len(names)} names of {option}, CC={cc}", record_property, capsys)
    assert len(names) > 5
    assert score.unsafe == ()
    assert len(score.needless) <= NEEDLESS * score.run


def test_arm64_verdicts_are_safe_with_an_unknown_compiler(crossing, tmp_path, record_property, capsys):
    """clang gives the cryptographic instructions, which a CPU may have or not, to most names of -mcpu; gcc does not.

    So what clang may have built is refused where gcc's code would run.
    """
    names = usable(crossing, "-mcpu", tmp_path)

    score = scored(crossing, "-mcpu", names, ARM64, tmp_path)

    report(score, f"{crossing.name}, {len(names)} names of -mcpu, CC unknown", record_property, capsys)
    assert score.unsafe == ()


def test_the_measure_finds_unsafe_and_needless_verdicts(here, tmp_path, monkeypatch):
    v2, v3 = (resolve.capabilities((f"-march=x86-64-{level}",), tmp_path) for level in ("v2", "v3"))
    monkeypatch.setattr(resolve, "offered", lambda flags, *words, **named: v3 if flags[0].endswith("v2") else v2)

    score = scored(here, "-march", ("x86-64-v2", "x86-64-v3"), "x86_64-pc-linux-gnu", tmp_path)

    assert [one.partition(":")[0] for one in score.unsafe] == ["x86-64-v3 on x86-64-v2"]
    assert [one.partition(":")[0] for one in score.needless] == ["x86-64-v3 on x86-64-v3"]
