"""Fixtures of tests of containers are those of all tests."""

import pytest
from boxing import need

from gentoomuch_portage.containers import detect


@pytest.fixture(params=detect.KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of container that works here."""
    named: str = request.param
    need(named)
    return named
