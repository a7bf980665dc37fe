# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of tests of containers are those of all tests."""

import pytest
from helpers.containers import need

from gentoomuch_portage.config import isolation_kinds


@pytest.fixture(params=isolation_kinds.AUTOMATIC)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of container that works here."""
    named: str = request.param
    need(named)
    return named
