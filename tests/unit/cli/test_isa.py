# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch isa``."""

import json

import pytest

from gentoomuch_portage.cli.commands import run_command_line


@pytest.fixture
def isa(tmp_path, capsys):
    """Run ``gentoomuch isa ...``; its status and what it said."""

    def run(*words: str):
        status = run_command_line(["isa", *words, "--cache", str(tmp_path)])
        return status, capsys.readouterr()

    return run


@pytest.mark.parametrize(
    "words",
    [
        ("check", "-O2 -march=haswell", "--cpu", "x86-64-v2"),
        ("check", "-march=haswell", "--cpu", "x86-64-v2"),
        ("check", "-O2", "-pipe", "-march=haswell", "--cpu", "x86-64-v2"),
        ("check", "--cpu", "x86-64-v2", "--compiler", "gcc-12", "-march=haswell"),
    ],
)
def test_code_with_missing_features_is_rejected_with_their_names(isa, words):
    status, said = isa(*words)

    assert status == 1
    assert "avx2" in said.out


def test_flags_can_follow_two_dashes(tmp_path, capsys):
    status = run_command_line(["isa", "check", "--cache", str(tmp_path), "--", "-march=haswell", "--cpu", "x86-64-v2"])

    assert status == 1
    assert "avx2" in capsys.readouterr().out


def test_isa_check_exits_0_for_code_that_runs(isa):
    assert isa("check", "-march=x86-64-v2", "--cpu", "haswell")[0] == 0


@pytest.mark.parametrize("words", [("-march=native", "--cpu", "haswell"), ("-O2", "--cpu", "nobodys")])
def test_isa_check_exits_2_for_unknown_flags(isa, words):
    assert isa("check", *words)[0] == 2


def test_json_lists_cpus_in_the_order_of_the_arguments(isa):
    status, said = isa("check", "-mavx2", "--cpu", "x86-64-v2", "--cpu", "haswell", "--cpu", "nobodys", "--json")

    assert status == 1
    assert [(one["cpu"], one["verdict"]) for one in json.loads(said.out)] == [
        ("x86-64-v2", "reject"),
        ("haswell", "accept"),
        ("nobodys", "unknown"),
    ]
    assert json.loads(said.out)[0].keys() == {"cpu", "verdict", "missing"}
    assert "avx2" in json.loads(said.out)[0]["missing"]


def test_features_can_follow_the_name_of_a_cpu(isa):
    assert isa("check", "-march=x86-64-v2 -maes -mpclmul", "--cpu", "x86-64-v2")[0] == 1
    assert isa("check", "-march=x86-64-v2 -maes -mpclmul", "--cpu", "x86-64-v2 aes pclmul")[0] == 0


def test_code_of_another_architecture_is_rejected(isa):
    assert isa("check", "-mcpu=cortex-a72", "--cpu", "haswell")[0] == 1
    assert isa("check", "-mcpu=cortex-a72", "--cpu", "cortex-a76")[0] == 0
    assert isa("check", "-mcpu=power9", "--cpu", "power8")[0] == 1


def test_a_compiler_that_is_not_known_is_named_with_those_that_are(isa):
    status, said = isa("check", "-march=haswell", "--cpu", "haswell", "--compiler", "gcc-99")

    assert status == 64
    assert "gcc-12" in said.err


@pytest.mark.parametrize("flags", ["znver3", "-O2 znver3", "", " "])
def test_an_invalid_flag_is_never_accepted(isa, flags):
    status, said = isa("check", flags, "--cpu", "skylake")

    assert (status, said.out) == (64, "")
    assert ("-march=znver3" in said.err) == ("znver3" in flags)


def test_the_value_of_a_flag_can_be_a_separate_argument(isa):
    assert isa("check", "--param l1-cache-size=32 -march=x86-64-v2", "--cpu", "haswell")[0] == 0


def test_check_without_a_cpu_is_a_usage_error(isa):
    assert isa("check", "-O2")[0] == 64


def test_show_prints_level_flags_and_features(isa):
    status, said = isa("show", "x86-64-v3", "--json")
    found = json.loads(said.out)

    assert status == 0
    assert {"avx2", "bmi2", "fma"} <= set(found["features"])
    assert (found["level"], found["goamd64"]) == ("x86-64-v3", "v3")
    assert "fma3" in found["cpu_flags"]["CPU_FLAGS_X86"].split()


def test_show_accepts_flags(isa):
    assert "avx512f" in isa("show", "-O2 -mavx512f")[1].out


def test_show_of_an_arm_cpu_names_gentoos_flags(isa):
    found = json.loads(isa("show", "cortex-a76", "--json")[1].out)

    assert found["arch"] == "arm64"
    assert {"neon", "asimddp"} <= set(found["cpu_flags"]["CPU_FLAGS_ARM"].split())


def test_show_of_nothing_is_this_machine(isa):
    assert isa("show")[0] == 0


def test_show_accepts_all_names_of_ls(isa):
    names = isa("ls", "--arch", "arm64")[1].out.split()

    assert {"cortex-a76", "armv8.2-a"} <= {*names}
    assert isa("show", names[0])[0] == 0
    assert "znver3" not in names


def test_show_and_query_reject_an_unknown_cpu_with_the_same_code(isa):
    status, said = isa("show", "zenver3")

    assert (status, "[no-such-cpu]" in said.err, "isa show znver3" in said.err) == (64, True, True)
