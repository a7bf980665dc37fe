# SPDX-License-Identifier: GPL-2.0-or-later
"""The set @machine of a configroot: what layers and plugins add, and which entries are valid."""

import random
import re

import pytest
from portage.dep import Atom
from portage.exception import InvalidAtom

from gentoomuch_portage.config import schema
from gentoomuch_portage.config.portage_names import MACHINE
from gentoomuch_portage.errors import BadFile
from gentoomuch_portage.plan.plan import Line

VALID = (
    "app-misc/foo", "app-misc/foo:2", "app-misc/foo:2/3", "app-misc/foo::gentoo", "app-misc/foo[bar,-baz(+)]",
    "=app-misc/foo-1.2", "=app-misc/foo-1*", ">=app-misc/foo-1_rc2-r3:0::gentoo[x]", "~app-misc/foo-1",
    "<x11-libs/gtk+-4", "dev-libs/a-b-3xy", "@server", "@own/server",
)  # fmt: skip
INVALID = (
    "vim", "app-misc/foo-1.2", "=app-misc/foo", "!app-misc/foo", "-app-misc/foo", "app-misc/*", "*/*", "app-misc/foo:=",
    "app-misc/foo[bar?]", "app-misc/foo[]", "@", "@@server", "app-misc/foo app-misc/bar", "app-misc/foo\n", "", "../x",
)  # fmt: skip
PARTS = (
    "a", "b", "1", "-", "-1", "-r1", ".2", "_p", "_p3", "*", "+", "_", "/", "=", ">=", "~", "<", ":0", "::x", "[x]",
    "[-y]", "z", "-1.2", "a/b", "/1", ":1/2",
)  # fmt: skip


def test_layers_and_plugins_add_up_and_equal_entries_count_once(layers):
    first = layers.write("one/sets/machine", "# tools\napp-misc/foo  # the best\n\n@server\n")
    layers.write("two/sets/machine", "app-misc/foo\napp-misc/bar\n")

    composed = layers.composed(Line(MACHINE, "app-misc/baz"), Line(MACHINE, "@server"))

    assert composed.files["machine"][0].decode() == "@server\napp-misc/bar\napp-misc/baz\napp-misc/foo\n"
    assert composed.machine["@server"] == (first, 4)
    assert composed.machine["app-misc/baz"][1] == 0
    assert "sets/machine" not in composed.files


def test_without_entries_nothing_is_written(layers):
    layers.write("one/sets/machine", "# nothing yet\n")
    layers.write("one/sets/other", "app-misc/foo\n")

    assert set(layers.composed().files) == {"sets/other"}


def test_the_section_of_machine_does_not_replace_other_sections(layers):
    layers.write("one/sets/machine", "app-misc/foo\n")
    layers.write("one/sets.conf", "[mine]\n")

    files = layers.composed(Line("sets.conf", "[of-a-plugin]")).files

    sections = b"".join(content for name, (content, _, _) in sorted(files.items()) if name.startswith("sets.conf/"))
    assert re.findall(rb"^\[(.*)\]$", sections, re.M) == [b"mine", b"of-a-plugin", b"machine", b"world"]


def test_build_dependencies_have_no_packages_of_the_machine(layers):
    layers.write("one/sets/machine", "app-misc/foo\n")
    layers.write("one/sets/other", "app-misc/foo\n")

    shown = layers.shown(Line(MACHINE, "app-misc/bar"), building=True)

    assert shown == {"sets/other": "app-misc/foo\n"}


def test_the_set_of_the_host_counts_and_is_kept_for_build_dependencies(layers, tmp_path):
    (tmp_path / "host/sets").mkdir(parents=True)
    (tmp_path / "host/sets/machine").write_text("app-misc/foo\n")

    composed = layers.shown(Line(MACHINE, "app-misc/bar"), host=tmp_path / "host")
    building = layers.shown(Line(MACHINE, "app-misc/bar"), host=tmp_path / "host", building=True)

    assert composed["machine"] == "app-misc/bar\napp-misc/foo\n"
    assert building == {"sets/machine": "app-misc/foo\n"}


@pytest.mark.parametrize("entry", [entry for entry in INVALID if entry.strip() == entry != ""])
def test_an_invalid_line_of_a_layer_is_an_error_with_its_place(layers, entry):
    file = layers.write("one/sets/machine", f"app-misc/foo\n{entry}\n")

    with pytest.raises(BadFile) as caught:
        layers.composed()

    assert (caught.value.path, caught.value.line) == (str(file), 2)


@pytest.mark.parametrize("entry", VALID)
def test_valid_entries_are_accepted(entry):
    assert re.fullmatch(schema.PACKAGE, entry)
    assert entry.startswith("@") or Atom(entry, allow_repo=True)


@pytest.mark.parametrize("entry", INVALID)
def test_invalid_entries_are_rejected(entry):
    assert not re.fullmatch(schema.PACKAGE, entry, re.S)


def test_portage_accepts_each_atom_that_the_pattern_accepts():
    chosen, accepted = random.Random(1), 0
    for _ in range(50_000):
        text = "".join(chosen.choices(PARTS, k=chosen.randint(2, 7)))
        if re.fullmatch(schema.PACKAGE, text):
            accepted += 1
            try:
                Atom(text, allow_repo=True)
            except InvalidAtom:
                pytest.fail(text)
    assert accepted > 500
