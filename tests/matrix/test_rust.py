# SPDX-License-Identifier: GPL-2.0-or-later
"""What rustc says of its CPUs, held against what we take them to need."""

import re
import shutil
import subprocess

import pytest

from gentoomuch_portage.isa import flags as isa_flags
from gentoomuch_portage.isa import languages, resolve
from gentoomuch_portage.isa.tables import table

CHOST = "x86_64-pc-linux-gnu"
TARGET = "x86_64-unknown-linux-gnu"


def rustc(*words: str) -> str:
    program = shutil.which("rustc")
    if not program:
        pytest.skip("there is no rustc here")
    return subprocess.run([program, *words, "--target", TARGET], capture_output=True, text=True, check=True).stdout


def features(told: str) -> frozenset[str]:
    """What the newest clang makes of machine flags, who shares LLVM with rustc."""
    newest = table("x86_64").compilers[-1]
    return table("x86_64").answers(isa_flags.normalise("x86_64", told.split(), CHOST)).get(newest, frozenset())


def test_every_feature_of_rustc_is_known(tmp_path):
    stable = rustc("--print", "target-features").partition("Code-generation")[0]
    names = re.findall(r"^    ([\w.-]+) ", stable, re.M)

    unknown = [name for name in names if not _known(languages.translate_rust(f"-C target-feature=+{name}", "x86_64"))]

    assert len(names) > 50
    assert unknown == []


def _known(flags: tuple[str, ...]) -> bool:
    return all(table("x86_64").knows(word) for word in isa_flags.normalise("x86_64", flags, CHOST))


def test_code_for_each_rustc_cpu_requires_at_least_the_features_of_rustc(tmp_path):
    names = re.findall(r"^    ([\w.-]+)", rustc("--print", "target-cpus"), re.M)
    short, looked = [], 0
    for name in names:
        found = resolve.package_requirement(
            {"CHOST": CHOST, "INHERITED": "cargo", "RUSTFLAGS": f"-C target-cpu={name}"},
            (),
            resolve.query_all(tmp_path),
        )
        if found.known:
            looked += 1
            said = re.findall(r'target_feature="([\w.-]+)"', rustc("--print", "cfg", "-C", f"target-cpu={name}"))
            told = features(
                " ".join(languages.translate_rust(f"-C target-feature={','.join('+' + one for one in said)}", "x86_64"))
            )
            if told - found.features:
                short.append(f"{name}: {' '.join(sorted(told - found.features))}")

    assert looked > 60
    assert short == []
