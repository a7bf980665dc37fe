# SPDX-License-Identifier: GPL-2.0-or-later
"""Ports that no other program of this machine gets while a test needs them."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reserved_port() -> Iterator[int]:
    """Keep a free port of 127.0.0.1 for the servers of a test until the block ends.

    A server that sets SO_REUSEADDR, as ours and nginx do, can listen on it, one at a time. The kernel gives it to no
    program that asks for any port. Source: socket(7); inet_csk_get_port() of Linux.
    """
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", 0))
        yield keeper.getsockname()[1]
