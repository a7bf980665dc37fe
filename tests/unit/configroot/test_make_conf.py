# SPDX-License-Identifier: GPL-2.0-or-later
"""make.conf from several layers, held against Portage's own reading and stacking."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from portage.package.ebuild._config.helper import prune_incremental
from portage.util import getconfig

from gentoomuch_portage.configroot import make_conf
from gentoomuch_portage.configroot.make_conf import Piece, accumulate, join


def stacked(values: list[str]) -> set[str]:
    """What Portage's config.regenerate makes of an incremental variable said several times."""
    held: set[str] = set()
    for token in (token for value in values for token in value.split()):
        if token == "-*":
            held.clear()
        elif token.startswith("-"):
            if token.endswith("_*"):
                held = {one for one in held if not one.startswith(token[1:-1])}
            held.discard(token[1:])
        else:
            held.add(token)
    return held


def piece(layer: str, text: str, values: dict[str, str] | None = None) -> Piece:
    return Piece(layer=layer, files=((Path(f"/{layer}/make.conf"), text),), values=values or {})


def read(folder: Path, text: str, known: dict[str, str] | None = None) -> dict[str, str]:
    """What Portage reads in a make.conf after it has read what is known."""
    (folder / "make.conf").write_text(text, encoding="utf-8")
    return getconfig(
        str(folder / "make.conf"), allow_sourcing=True, expand={} if known is None else known, recursive=True
    )


_TOKENS = st.sampled_from(["a", "-a", "b", "-b", "-*", "x_a", "-x_a", "x_b", "-x_*"])
_VALUES = st.lists(st.lists(_TOKENS).map(" ".join), max_size=5)


@given(_VALUES)
@example(["a -*", "a"])
def test_a_sum_equals_applying_its_parts_in_order(values: list[str]):
    assert stacked([accumulate(values)]) == stacked(values)


@given(_VALUES, st.sets(st.sampled_from(["a", "b", "x_a", "x_b", "x_c", "y"])))
def test_a_sum_removes_the_same_values_from_those_below(values: list[str], below: set[str]):
    assert stacked([" ".join(below), accumulate(values)]) == stacked([" ".join(below), *values])


@given(st.lists(st.lists(st.sampled_from(["*", "-*", "GPL-2", "-GPL-2", "@FREE", "-@EULA"])).map(" ".join)))
def test_a_sum_of_licenses_equals_the_result_of_portage(values: list[str]):
    def accepted(text: list[str]) -> list[str]:
        last = {token.removeprefix("-"): token for token in prune_incremental(text)}
        return sorted(last.values())

    assert accepted(accumulate(values).split()) == accepted(" ".join(values).split())


@given(st.lists(st.lists(st.sampled_from(["a", "-a", "b", "-b", "-*"])).map(" ".join), max_size=5))
def test_a_sum_without_negatives_is_the_remaining_values(values: list[str]):
    left = accumulate(values, negative=False).split()

    assert not [token for token in left if token.startswith("-")]
    assert set(left) == stacked(values)


_LINES = st.sampled_from(
    [
        'USE="a -b"',
        'USE="b"\nUSE="${USE} c"',
        'USE="-* d"',
        'USE="${USE} e"',
        'USE="${BELOW}"',
        "USE='-a $x'",
        "A=1",
        'FEATURES="x"',
    ]
)


@given(st.lists(_LINES, max_size=12))
def test_the_joined_text_equals_applying_its_layers_in_order(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
):
    folder = tmp_path_factory.getbasetemp()
    known = {"BELOW": "f -d"}
    values = [read(folder, text, known) for text in texts]
    pieces = [piece(f"l{number}", *pair) for number, pair in enumerate(zip(texts, values, strict=True))]

    found = read(folder, join(pieces, {"USE", "FEATURES"}), {"BELOW": "f -d"})

    for name in ("USE", "FEATURES"):
        assert stacked([found.get(name, "")]) == stacked([value.get(name, "") for value in values])


def test_a_sum_keeps_references_that_only_portage_can_expand(tmp_path: Path):
    texts = ['CONFIG_PROTECT="${EPREFIX}/a"', 'CONFIG_PROTECT="${EPREFIX}/b"']
    pieces = [piece(str(number), text, {"CONFIG_PROTECT": ""}) for number, text in enumerate(texts)]

    found = read(tmp_path, join(pieces, {"CONFIG_PROTECT"}), {"EPREFIX": "/p"})

    assert found["CONFIG_PROTECT"].split() == ["/p/a", "/p/b"]


def test_names_that_make_a_sum_stay_in_the_file(tmp_path: Path):
    text = join([piece("a", "USE=a", {"USE": "a"}), piece("b", "USE=b", {"USE": "b"})], {"USE"})

    assert {name for name in read(tmp_path, text) if not name.startswith("__")} == {"USE"}


def test_make_defaults_are_added_as_literal_values(tmp_path: Path):
    texts = ['USE="a -b"\nVIDEO_CARDS="intel"', 'USE="-a b"\nVIDEO_CARDS="-intel amdgpu"\nARCH="x"']
    pieces = [piece(str(number), text, read(tmp_path, text)) for number, text in enumerate(texts)]

    found = read(tmp_path, make_conf.join_defaults(pieces, {"USE", "VIDEO_CARDS"}))

    assert found == {"USE": "-a b", "VIDEO_CARDS": "-intel amdgpu", "ARCH": "x"}


def test_the_last_layer_sets_variables_that_are_not_incremental(tmp_path: Path):
    pieces = [
        piece("one", 'CFLAGS="-O1"\nUSE="a"', {"CFLAGS": "-O1", "USE": "a"}),
        piece("two", 'CFLAGS="-O2 ${CFLAGS}"'),
    ]

    assert read(tmp_path, join(pieces, {"USE"})) == {"CFLAGS": "-O2 -O1", "USE": "a"}


def test_a_variable_of_one_layer_is_copied_literally():
    text = join([piece("one", 'USE="${USE} a"', {"USE": " a"})], {"USE"})

    assert text.endswith('\nUSE="${USE} a"\n')


def test_a_use_expand_variable_adds_up_among_layers_without_negatives(tmp_path: Path):
    pieces = [piece("one", "", {"VIDEO_CARDS": "intel nouveau"}), piece("two", "", {"VIDEO_CARDS": "-nouveau amdgpu"})]

    found = read(tmp_path, join(pieces, {"USE"}, expanded={"VIDEO_CARDS"}))

    assert found["VIDEO_CARDS"] == "intel amdgpu"


def test_a_negative_use_expand_value_is_removed_with_a_single_layer_too(tmp_path: Path):
    found = read(tmp_path, join([piece("one", "", {"VIDEO_CARDS": "-nouveau intel"})], (), expanded={"VIDEO_CARDS"}))

    assert found["VIDEO_CARDS"] == "intel"


def test_a_text_without_a_line_end_does_not_run_into_the_next(tmp_path: Path):
    assert read(tmp_path, join([piece("one", "A=1"), piece("two", "B=2")], ())) == {"A": "1", "B": "2"}


def test_the_same_pieces_give_the_same_text():
    pieces = [piece("one", "A=1", {"USE": "b a"}), piece("two", "", {"USE": "c", "FEATURES": "d"})]

    assert join(pieces, {"USE", "FEATURES"}) == join(pieces, {"FEATURES", "USE"})


def test_every_line_that_sets_a_variable_is_found():
    text = 'USE="a"\n#USE="b"\n  export USE="c"\nUSE_EXPAND="d"\n'

    assert list(piece("one", text).places("USE")) == [(Path("/one/make.conf"), 1), (Path("/one/make.conf"), 3)]


def test_a_source_relative_to_its_own_file_still_means_the_same_when_joined(tmp_path: Path):
    folder = tmp_path / "layer"
    folder.mkdir()
    (folder / "more.conf").write_text("A=1\n")
    own = Piece(
        layer="one", files=((folder / "make.conf", "source more.conf\nB=2\n  source ./more.conf # x"),), values={}
    )

    assert read(tmp_path, make_conf.join([own], ())) == {"A": "1", "B": "2"}
