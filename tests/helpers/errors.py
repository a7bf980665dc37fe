# SPDX-License-Identifier: GPL-2.0-or-later
"""Check which error is raised by its code."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gentoomuch_portage.errors import GmError


@contextmanager
def raises(*codes: str, match: str | None = None) -> Iterator[pytest.ExceptionInfo[GmError]]:
    """Expect an error with one of these codes.

    Args:
        match: a regular expression that its text matches.
    """
    with pytest.raises(GmError, match=match) as caught:
        yield caught
    assert caught.value.code in codes
