# SPDX-License-Identifier: GPL-2.0-or-later
"""Which command lines of emerge need the keys of binhosts."""

from pathlib import Path

import pytest

from gentoomuch_portage.builtin_plugins import binhost
from gentoomuch_portage.config.profile import Profile
from gentoomuch_portage.plan.request import Request
from gentoomuch_portage.portage_adapter import emerge_arguments

FETCHING = {"--getbinpkg", "--getbinpkgonly", "--resume"}


@pytest.mark.parametrize(
    "word", ["-g", "-G", "-r", "-1g", "-1avG", "-1r", "--getbinpkg", "--getbinpkg=y", "--getbinpkgonly"]
)
def test_an_argument_that_means_getbinpkg_or_resume_needs_the_keys(word: str):
    _, options, _ = emerge_arguments.parse([word])

    assert FETCHING & options.keys()
    assert binhost._fetches(Request.parse([word], {}), Profile.create("box", Path("box.toml")))


@pytest.mark.parametrize("word", ["-1av", "-k", "--usepkg", "--buildpkgonly", "dev-libs/gm-hello", "gcc"])
def test_other_arguments_do_not_need_the_keys(word: str):
    _, options, _ = emerge_arguments.parse([word])

    assert not FETCHING & options.keys()
    assert not binhost._fetches(Request.parse([word], {}), Profile.create("box", Path("box.toml")))
