# SPDX-License-Identifier: GPL-2.0-or-later
"""The shipped tables: what compilers that are not here make of flags."""

import random
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from gentoomuch_portage.errors import MissingProgram
from gentoomuch_portage.isa import compiler, resolve
from gentoomuch_portage.isa.features import NOT_EMITTED
from gentoomuch_portage.isa.flags import normalise
from gentoomuch_portage.isa.requirement import judge, machine_flags
from gentoomuch_portage.isa.tables import ARCHES, table

X86 = "x86_64-pc-linux-gnu"
SOME = (
    "x86-64",
    "x86-64-v2",
    "nehalem",
    "haswell",
    "skylake",
    "skylake-avx512",
    "tigerlake",
    "bdver2",
    "znver1",
    "znver3",
)
SWITCHES = ("avx", "avx2", "fma", "bmi2", "avx512f", "avx512bw", "sse4.1", "sse4.2", "popcnt", "aes", "pclmul", "vaes")


@pytest.mark.parametrize("arch", ARCHES)
def test_a_table_knows_gcc_and_clang_and_some_cpus(arch):
    found = table(arch)
    named = [option for option in found.options if option.startswith(("-march=", "-mcpu="))]

    assert {"gcc-12", "gcc-15", "clang-14", "clang-19"} <= set(found.compilers)
    assert len(named) > 15


@pytest.mark.parametrize("arch", ARCHES)
def test_a_table_of_cpus_is_complete(arch):
    found = table(arch)
    rows = [row if isinstance(row, list) else [row] * len(found.compilers) for row in found.options.values()]

    assert {len(row) for row in rows} == {len(found.compilers)}
    assert {number for row in rows for number in row} - {-1} == set(range(len(found.sets)))
    assert all(0 <= number < len(found.features) for one in found.sets for number in one)


def test_no_table_resolves_native():
    assert not [option for arch in ARCHES for option in table(arch).options if "native" in option]


def test_other_architectures_have_no_table():
    assert table("s390x") is None


def test_a_compiler_that_rejects_a_flag_has_no_result():
    found = table("x86_64").answers(("-march=znver5",))

    assert "gcc-12" not in found
    assert "AVX512F" in found["gcc-14"]


def test_a_recorded_requirement_loads_no_table(tmp_path):
    script = (
        "import sys\nfrom gentoomuch_portage.isa import tables as isa_table; from gentoomuch_portage.isa "
        "import requirement\n"
        "read = requirement.parse_requirement(sys.argv[1])\nrequirement.judge(read, read)\n"
        "sys.exit(isa_table.table.cache_info().currsize)\n"
    )
    recorded = resolve.package_requirement(
        {"CHOST": X86, "CFLAGS": "-mavx2"}, (), resolve.query_all(tmp_path)
    ).to_json()

    assert subprocess.run([sys.executable, "-c", script, recorded], check=False).returncode == 0


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The C compiler of this machine, which is an x86-64."""
    try:
        asked = compiler.find()
    except MissingProgram as error:
        pytest.skip(error.message)
    if "x86_64" not in (compiler.predefined_macros(asked, (), tmp_path) or ()):
        pytest.skip(f"{asked} does not compile for x86-64")
    return asked


def test_no_verdict_from_flags_accepts_unsafe_code(here, tmp_path):
    """The quick part of tests/matrix."""
    ask = resolve.query_all(tmp_path, chost=X86)
    needed = {name: resolve.package_requirement({"CFLAGS": f"-march={name}", "CHOST": X86}, (), ask) for name in SOME}
    has = {name: resolve.capabilities((f"-march={name}",), tmp_path, chost=X86) for name in SOME}
    truth = {name: compiler.measure(here, (f"-march={name}",), tmp_path).features for name in SOME}

    runs = {(one, two) for one, two in product(SOME, SOME) if judge(needed[one], has[two]).accept}
    should = {(one, two) for one, two in product(SOME, SOME) if not truth[one] - truth[two] - NOT_EMITTED.keys()}

    assert runs <= should
    assert should <= runs


def test_flags_in_any_order_require_at_least_the_features_of_the_compiler(here, tmp_path):
    draw = random.Random(4)
    short = []
    for _ in range(40):
        chosen = [f"-m{draw.choice(('', '', 'no-'))}{draw.choice(SWITCHES)}" for _ in range(draw.randint(1, 5))]
        flags = machine_flags(" ".join([*chosen, f"-march={draw.choice(SOME)}"]))
        found = resolve.requirement(flags, tmp_path, chost=X86)
        truth = compiler.measure(here, flags, tmp_path).features
        if truth - found.features:
            short.append(flags)

    assert short == []


def test_a_disabled_feature_is_not_a_feature_of_the_cpu(here, tmp_path):
    has = resolve.capabilities(("-march=haswell", "-mno-avx2", "-mno-pclmul"), tmp_path, chost=X86)

    assert not [name for name, found in has.by.items() if found & {"AVX2", "PCLMUL"}]
    assert not has.features & {"AVX2", "PCLMUL"}


def test_every_table_knows_its_own_cpu_names():
    unknown = [
        (arch, option)
        for arch in ARCHES
        for option in table(arch).options
        if option.startswith(("-march=", "-mcpu=", "-mno-", "-mfpu=v"))
        and not (arch in {"x86_64", "i386"} and option.startswith("-mcpu="))
        and not all(table(arch).accepts(word) for word in normalise(arch, (option,)))
    ]

    assert unknown == []
