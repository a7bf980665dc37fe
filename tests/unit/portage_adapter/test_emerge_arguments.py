# SPDX-License-Identifier: GPL-2.0-or-later
"""Options that emerge adds to its command line."""

import pytest

from gentoomuch_portage.portage_adapter import emerge_arguments


@pytest.mark.parametrize(
    ("features", "options", "environ", "added"),
    [
        ("", "", {}, ""),
        ("getbinpkg sandbox", "", {}, "--getbinpkg"),
        ("getbinpkg", "--jobs=2", {}, "--getbinpkg --jobs=2"),
        ("getbinpkg", "", {"FEATURES": "-getbinpkg"}, ""),
        ("getbinpkg", "", {"FEATURES": "-*"}, ""),
        ("", "", {"FEATURES": "-getbinpkg getbinpkg"}, "--getbinpkg"),
        ("", "--getbinpkg", {"EMERGE_DEFAULT_OPTS": ""}, ""),
        ("", "", {"EMERGE_DEFAULT_OPTS": "-gk"}, "-gk"),
    ],
)
def test_features_and_default_options_are_added(features, options, environ, added):
    values = {"FEATURES": features, "EMERGE_DEFAULT_OPTS": options}

    assert emerge_arguments.default_options(values, environ) == added


@pytest.mark.parametrize(
    ("words", "defaults", "uses"),
    [
        (["-p", "x"], "", False),
        (["-pg", "x"], "", True),
        (["--getbinpkgonly", "x"], "", True),
        (["--getbinpkg=n", "x"], "", False),
        (["x"], "--getbinpkg", True),
        (["x"], "--jobs=2 -G", True),
        (["--getbinpkg=n", "x"], "--getbinpkg", False),
        (["--ignore-default-opts", "x"], "--jobs=2 --getbinpkg", False),
        (["--ignore-default-opts", "x"], "--getbinpkg --jobs=2", True),
        (["x"], "--jobs='2", False),
    ],
)
def test_binhosts_are_used_as_emerge_decides(words, defaults, uses):
    assert emerge_arguments.uses_binhosts(words, defaults) is uses
    assert emerge_arguments.may_use_binhosts(words, defaults) >= uses
