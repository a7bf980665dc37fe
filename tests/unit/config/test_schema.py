# SPDX-License-Identifier: GPL-2.0-or-later
"""TOML files: what is wrong is named with its line and the way out."""

import errno
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
from helpers.errors import raises
from hypothesis import given
from hypothesis import strategies as st

from gentoomuch_portage.config import schema as config_schema
from gentoomuch_portage.errors import BadFile, GmError


def refused(folder: Path, text: str, schema=config_schema.PROFILE) -> BadFile:
    """The error of a TOML file."""
    file = folder / "a.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadFile) as caught:
        config_schema.load(file, schema)
    return caught.value


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('cpu = "x"\nlayer = []\n', 2, "unknown key 'layer'"),
        ("# cpu\n\n[unmask]\nkeyword = true\n", 4, "unknown key 'keyword' in [unmask]"),
        ("unmask.keyword = true\n", 1, "unknown key 'keyword' in [unmask]"),
        ("unmask . use = true\nunmask . keyword = true\n", 2, "unknown key 'keyword' in [unmask]"),
        ("\nbinpkg = { use = true, bulid = true }\n", 2, "unknown key 'bulid' in [binpkg]"),
        ("[binpkg]\n'bulid' = true\n", 2, "unknown key 'bulid' in [binpkg]"),
        ("[binpkgs]\nbuild = true\n", 1, "unknown key 'binpkgs'"),
        ("[unmask]\nuse = true\n[[binpkgs]]\nbuild = true\n", 3, "unknown key 'binpkgs'"),
        ("emerge = [\n  '--quiet',\n]\nlayers = [\n  'a',\n  1,\n]\n", 4, "layers = ['a', 1] is not a list of strings"),
        ("packages = [\n  'a/b',\n  'vim',\n]\n", 3, "packages = 'vim' is not category/package"),
        ("cpu = 3\n", 1, "cpu = 3 is not a string"),
        ("layers = 'a'\n", 1, "layers = 'a' is not a list of strings"),
        ("unmask = true\n", 1, "unmask = True is not a table"),
        ("cpu = 'x'\n[cpu.more]\n", 2, "not valid TOML"),
        ("base = 'guest'\n", 1, 'base = \'guest\' is not "host" or "none"'),
        ("[unmask]\nuse = 'yes'\n", 2, "use = 'yes' is not true or false or a list of strings"),
        ("[unmask]\nuse = [true]\n", 2, "use = [True] is not true or false or a list of strings"),
        ("[binpkg]\nuse = 1\n", 2, "use = 1 is not true or false"),
        ("cpu = 'x'\nlayers = ['a'\n", 2, "not valid TOML: unclosed array"),
        ("cpu = x\n", 1, "not valid TOML: invalid value"),
        ("cpu = 'x'\n\n\ncpu = 'y'\n", 4, "not valid TOML: cannot overwrite a value"),
        ('cpu = """\n[unmask]\nkeyword = true\n"""\n[unmask]\nkeyword = true\n', 6, "unknown key 'keyword'"),
    ],
)
def test_an_error_names_its_line(tmp_path: Path, text: str, line: int, said: str):
    error = refused(tmp_path, text)

    assert error.line == line
    assert said in error.message
    assert error.message.startswith(f"{tmp_path / 'a.toml'}:{line}: ")
    assert error.status == 78


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("layer = []\n", r"sed -i '1s/\blayer\b/layers/' FILE"),
        ("[binpkg]\nbulid = true\n", r"sed -i '2s/\bbulid\b/build/' FILE"),
        ("zzzzzzzz = 1\n", "sed -i 1d FILE"),
        ("cpu = 3\n", "sed -i '1c cpu = \"x86-64-v3\"' FILE"),
        ("layers = 'a'\n", 'sed -i \'1c layers = ["...", "..."]\' FILE'),
        ("base = 'hots'\n", "sed -i '1c base = \"host\"' FILE"),
        ("base = 'guest'\n", "use one of these values, or remove the line for the default"),
        ("isolation = 'dokcer'\n", "use one of these values, or remove the line for the default"),
        ("isolation = 'Podmn'\n", "sed -i '1c isolation = \"podman\"' FILE"),
        ("[binpkg]\nbuild = true\npatches = ['x']\n", "move patches above the first line with [...]"),
        ("unmask = 1\n", "[unmask]"),
    ],
)
def test_an_error_has_a_hint(tmp_path: Path, text: str, hint: str):
    error = refused(tmp_path, text)

    assert error.hint.replace(error.path, "FILE") == hint


def test_an_unknown_key_lists_all_that_there_are(tmp_path: Path):
    error = refused(tmp_path, "[binpkg]\nq = 1\n")

    assert f"(available: {', '.join(sorted(config_schema.PROFILE['binpkg']))})" in error.message


def test_a_missing_file_is_empty_only_if_it_is_optional(tmp_path: Path):
    assert config_schema.load(tmp_path / "none.toml", config_schema.PROFILE, missing_ok=True) == {}
    with pytest.raises(BadFile, match="file not found"):
        config_schema.load(tmp_path / "none.toml", config_schema.PROFILE)


def test_a_file_that_is_not_utf8_is_rejected_with_its_line(tmp_path: Path):
    (tmp_path / "a.toml").write_bytes(b"# one\n\ncpu = '\xff'\n")

    with pytest.raises(BadFile, match=r"a\.toml:3: not valid UTF-8"):
        config_schema.load(tmp_path / "a.toml", config_schema.PROFILE)


def test_a_directory_instead_of_a_file_is_rejected(tmp_path: Path):
    (tmp_path / "a.toml").mkdir()

    with pytest.raises(BadFile, match=r"a\.toml"):
        config_schema.load(tmp_path / "a.toml", config_schema.PROFILE)


def test_windows_line_ends_change_no_line_number(tmp_path: Path):
    (tmp_path / "a.toml").write_bytes(b'cpu = "x"\r\n\r\nlayer = []\r\n')

    with raises("bad-setting") as caught:
        config_schema.load(tmp_path / "a.toml", config_schema.PROFILE)

    assert caught.value.line == 3


def test_a_star_in_a_schema_matches_any_name(tmp_path: Path):
    (tmp_path / "a.toml").write_text("[binhost.'https://example.org']\ncpu = 'x'\n")

    assert config_schema.load(tmp_path / "a.toml", config_schema.GENTOOMUCH)["binhost"] == {
        "https://example.org": {"cpu": "x"}
    }


def test_an_error_below_a_quoted_name_has_its_line(tmp_path: Path):
    text = "cpu = 'x'\n[binhost.'https://example.org']\ncpus = 'x'\n"

    assert refused(tmp_path, text, config_schema.GENTOOMUCH).line == 3


def test_a_value_of_a_list_is_found_on_its_own_line():
    text = '# "b"\nlayers = [\n  "a",\n  "b", # "c"\n]\nb = "b"\n'

    assert config_schema.line_of(text, (), "layers", "b") == 4
    assert config_schema.line_of(text, (), "layers", "z") == 2
    assert config_schema.line_of(text, (), "patches") == 0


_KEYS = st.sampled_from(["alpha", "beta", "gam-ma", "a"])
_VALUES = st.sampled_from(["1", "'x'", '["a",\n "b"]', '"""\nalpha = 1\n"""', "{ delta = 1 }", "[[1],\n[2]] # a = 1"])


@given(st.dictionaries(_KEYS, _VALUES), st.dictionaries(_KEYS, _VALUES), st.booleans())
def test_the_line_of_a_key_is_that_of_its_statement(top: dict[str, str], inside: dict[str, str], dotted: bool):
    lines: list[str] = []
    begins: dict[tuple[str, ...], int] = {}
    for table, keys in (((), top), (("t",), inside)):
        lines += [] if dotted or not table else ["[t]  # a"]
        for key, value in keys.items():
            begins[*table, key] = len(lines) + 1
            lines += f"{'t.' if dotted and table else ''}{key} = {value}".split("\n")
    text = "\n".join(lines)
    tomllib.loads(text)

    assert {(*table, key): config_schema.line_of(text, table, key) for *table, key in begins} == begins


@given(st.text())
def test_no_text_makes_anything_but_our_own_error(tmp_path_factory: pytest.TempPathFactory, text: str):
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_text(text, encoding="utf-8", errors="replace")

    with suppress(GmError):
        config_schema.load(file, config_schema.PROFILE)


def test_an_unreadable_file_is_reported_with_its_owner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def shut(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", shut)  # root may read any

    with pytest.raises(BadFile, match=r"a\.toml: cannot read it: permission denied") as caught:
        config_schema.load(tmp_path / "a.toml", config_schema.PROFILE)

    assert caught.value.hint == "run it as root, or change its permissions"
