# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors of make.conf and of files of sections, at the line where the wrong statement begins."""

import contextlib
import gc
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from portage.exception import ParseError
from portage.util import getconfig

from gentoomuch_portage.errors import BadFile
from gentoomuch_portage.portage_adapter import config_files
from gentoomuch_portage.portage_adapter.config_errors import check_sections, wrong_at

_GOOD = st.sampled_from(['A="1"', "export B=2", "", "# C", "C='x\n#y\nz'", 'D="a\\"b" # c', "E=a#b", 'F="\\\n"'])


@given(
    st.lists(_GOOD), st.sampled_from(['X="', "X='a\n\nb", "true", "X", "X=", "1X=2", "X-Y=3", 'X="a\nY="b"\nZ=c', '"'])
)
def test_the_line_of_the_first_wrong_statement_is_found(
    tmp_path_factory: pytest.TempPathFactory, good: list[str], wrong: str
):
    file = tmp_path_factory.getbasetemp() / "make.conf"
    above = "".join(f"{line}\n" for line in good)
    file.write_text(f"{above}\n{wrong}\n")

    with pytest.raises(BadFile) as caught:
        config_files.make_conf(file, {})

    assert (caught.value.path, caught.value.line) == (str(file), above.count("\n") + 2)


@given(st.text(st.sampled_from("AB1=\"'\n\\# $")))
def test_findings_equal_the_errors_of_portage(tmp_path_factory: pytest.TempPathFactory, text: str):
    file = tmp_path_factory.getbasetemp() / "any.conf"
    file.write_text(text)
    refused = False
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            getconfig(str(file), allow_sourcing=True, expand={})
        except (ParseError, ValueError):
            refused = True

    assert bool(wrong_at(file, "")) is refused


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_error_in_a_sourced_file_is_reported_with_that_file(tmp_path: Path):
    (tmp_path / "more").write_text("A=1\n\n1B=2\nC=3\n")
    (tmp_path / "make.conf").write_text("source more\n")

    with pytest.raises(BadFile) as caught:
        config_files.make_conf(tmp_path / "make.conf", {})

    assert (caught.value.path, caught.value.line) == (str(tmp_path / "more"), 3)
    del caught
    gc.collect()  # Portage leaves the file that it was reading open


def test_a_missing_sourced_file_is_reported_among_others(tmp_path: Path):
    (tmp_path / "more").write_text("A=1\n")
    (tmp_path / "make.conf").write_text("source more\nB=1\n\nsource nothing\nC=1\n")

    with pytest.raises(BadFile, match="nothing: No such file") as caught:
        config_files.make_conf(tmp_path / "make.conf", {})

    assert caught.value.line == 4


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a = 1\n", 1, "no \\[section\\] before"),
        ("[a]\nb = 1\n\n[a]\n", 4, "'a' occurs twice"),
        ("[a]\nb = 1\nb = 2\n", 3, "'b' occurs twice"),
        ("[a]\n# b\nb\nc = 1\nd\n", 3, "'b' is not NAME = VALUE"),
    ],
)
def test_an_error_in_sections_names_its_line(tmp_path: Path, text: str, line: int, said: str):
    (tmp_path / "x.conf").write_text(text)

    with pytest.raises(BadFile, match=said) as caught:
        check_sections(tmp_path / "x.conf")

    assert caught.value.line == line


def test_sections_as_portage_has_them_are_right(tmp_path: Path):
    text = "[DEFAULT]\nmain-repo = a\n\n[a]\nlocation = %(EPREFIX)s/x\nsync-uri: https://example.org/%%x\n  more\n; c\n"
    (tmp_path / "x.conf").write_text(text)

    check_sections(tmp_path / "x.conf")
