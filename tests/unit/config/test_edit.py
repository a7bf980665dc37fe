# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys are set in the TOML of a profile, and all other lines stay as they are."""

import difflib
import tomllib
from pathlib import Path

import pytest

from gentoomuch_portage.config import edit, schema
from gentoomuch_portage.config import profile as config_profile
from tests.helpers.errors import raises


def changed_lines(before: str, after: str) -> list[str]:
    """The lines that were removed and added."""
    return [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]


@pytest.mark.parametrize("key", [key.name for key in schema.PROFILE_KEYS])
def test_each_key_is_set_in_a_new_profile_and_only_its_own_lines_change(key: str):
    before = config_profile.text("lab")
    value = {str: "x", int: 3}.get(type(dict(_flat(schema.DEFAULTS))[key]), True)

    after = edit.set_value(before, key, value)

    assert dict(_flat(tomllib.loads(after))) == {key: value}
    assert len(changed_lines(before, after)) <= 4  # the line of the key, and of the header of its table


def _flat(values, prefix=""):
    for name, value in values.items():
        if hasattr(value, "items"):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "\n[binpkg]\nuse = false\n"),
        ("[binpkg]\n", "[binpkg]\nuse = false\n"),
        ("[binpkg]\nbuild = true # why\n\n[unmask]\nuse = true\n",
         "[binpkg]\nbuild = true # why\nuse = false\n\n[unmask]\nuse = true\n"),
        ("[binpkg]\nuse = true  # why\n", "[binpkg]\nuse = false  # why\n"),
        ("binpkg.use = true\n", "binpkg.use = false\n"),
        ("binpkg.build = true\n", "binpkg.use = false\nbinpkg.build = true\n"),
        ("binpkg = { use = true, build = true }\n", "binpkg = { use = false, build = true }\n"),
        ("[unmask]\nuse = true\n", "[unmask]\nuse = true\n\n[binpkg]\nuse = false\n"),
        ("[unmask]\n# [binpkg]\n# use = true\nlive = true\n",
         "[unmask]\n# [binpkg]\n# use = true\nlive = true\n\n[binpkg]\nuse = false\n"),
        ("[ binpkg ]  # mine\nbuild = true", "[ binpkg ]  # mine\nbuild = true\nuse = false"),
    ],
)  # fmt: skip
def test_a_key_of_a_table_is_set_where_the_table_is_written(before: str, after: str):
    assert edit.set_value(before, "binpkg.use", False) == after


def test_a_list_of_several_lines_is_replaced_as_a_whole():
    before = '# top\nlayers = [\n  "a",\n  "b",\n]  # mine\ncpu = "x"\n'

    assert edit.set_value(before, "layers", ["c"]) == '# top\nlayers = ["c"]\ncpu = "x"\n'


def test_a_table_in_another_form_is_an_error():
    with raises("unusual-toml"):
        edit.set_value('["binpkg"]\nbuild = true\n', "binpkg.use", False)


def test_comments_between_the_lines_of_a_value_are_not_lost(tmp_path: Path):
    file = tmp_path / "lab.toml"
    file.write_text('[container]\nshow = [\n  "/a",  # why\n]\n')

    with raises("comments-in-value"):
        edit.set_key(file, "container.show", ["/b"])
    assert "# why" in file.read_text()
