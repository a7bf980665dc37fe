# SPDX-License-Identifier: GPL-2.0-or-later
"""The ID of a .gentoo folder is decided by what it means, and by nothing else."""

import os
import random
import tempfile
from dataclasses import replace
from pathlib import Path

from helpers.dotgentoo import Meaning, rendered
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gentoomuch_portage.dotgentoo.id import compute_id
from gentoomuch_portage.dotgentoo.load import load_folder

EXAMPLES = int(os.environ.get("GM_TEST_EXAMPLES", "150"))

ATOMS = ["app-misc/a", "app-misc/b", "=app-misc/a-1.0", "app-misc/a:0", ">=sci-libs/c-2", "*/*", "app-misc/a-b"]
FLAGS = ["doc", "static", "test", "video_cards_intel", "video_cards_nvidia", "python_targets_python3_12"]
atoms = st.sampled_from(ATOMS)


@st.composite
def _flags(draw: st.DrawFn) -> tuple[bool, frozenset[str]]:
    named = draw(st.sets(st.sampled_from(FLAGS), min_size=1, max_size=4))
    return draw(st.booleans()), frozenset(("-" if draw(st.booleans()) else "") + flag for flag in sorted(named))


OPTIONS = st.dictionaries(
    st.sampled_from(["location", "sync-type", "sync-uri", "priority"]),
    st.sampled_from(["git", "/var/db/repos/x", "https://example.org/x.git?a=b", "10", "a  b", ""]),
    max_size=4,
)
MEANINGS = st.builds(
    Meaning,
    ebuild=st.sampled_from(["EAPI=8\n", "EAPI=8\n# c\n", "EAPI=8\n#overlays\n[x]\n#keywords\n", "\n"]),
    overlays=st.dictionaries(st.sampled_from(["sci", "Sci", "guru", "x-y", "_z"]), OPTIONS, max_size=3),
    keywords=st.dictionaries(
        atoms, st.frozensets(st.sampled_from(["~amd64", "**", "~*", "-arm", "arm64"]), min_size=1), max_size=3
    ),
    mask=st.frozensets(atoms, max_size=3),
    unmask=st.frozensets(atoms, max_size=3),
    use=st.dictionaries(atoms, _flags(), max_size=3),
    license=st.dictionaries(
        atoms, st.sampled_from([("GPL-2",), ("-*", "MIT"), ("@FREE", "-MIT"), ("-MIT", "@FREE")]), max_size=2
    ),
)


def _id(meaning: Meaning, chance: random.Random) -> str:
    with tempfile.TemporaryDirectory(prefix="gm-") as top:
        return compute_id(load_folder(rendered(meaning, Path(top), chance)))


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(MEANINGS, st.integers(0, 2**32))
def test_the_id_is_the_same_in_every_form_of_one_meaning(meaning: Meaning, seed: int):
    chance = random.Random(seed)

    first, second = _id(meaning, chance), _id(meaning, chance)

    assert first == second


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(MEANINGS, MEANINGS, st.sampled_from([*Meaning.__dataclass_fields__]), st.integers(0, 2**32))
def test_the_id_changes_with_each_setting(meaning: Meaning, other: Meaning, name: str, seed: int):
    changed = replace(meaning, **{name: getattr(other, name)})
    chance = random.Random(seed)

    first, second = _id(meaning, chance), _id(changed, chance)

    assert (first == second) == (meaning == changed)
