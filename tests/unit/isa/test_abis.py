# SPDX-License-Identifier: GPL-2.0-or-later
"""The ABI of a profile: what it takes, and how it is written."""

import pytest

from gentoomuch_portage.isa.abi import Abi

GNU = "x86_64-pc-linux-gnu"


@pytest.mark.parametrize(
    "abi", [Abi(GNU, "glibc"), Abi(GNU, ""), Abi("", "musl"), Abi("", ""), Abi(GNU, "", ("i.86-.*", GNU))]
)
def test_a_written_abi_is_read_back(abi):
    assert Abi.parse(str(abi)) == abi


@pytest.mark.parametrize(
    ("abi", "chost", "takes"),
    [
        (Abi(GNU, ""), GNU, True),
        (Abi(GNU, ""), "x86_64-pc-linux-musl", False),
        (Abi(GNU, ""), "", True),
        (Abi("", ""), GNU, True),
        (Abi(GNU, "", (GNU, "i.86-.*")), "i686-pc-linux-gnu", True),
        (Abi(GNU, "", ("i.86-.*",)), GNU, False),
        (Abi(GNU, "", ("(",)), GNU, False),
    ],
)
def test_a_chost_is_accepted_as_by_portage(abi, chost, takes):
    assert abi.accepts(chost) is takes
