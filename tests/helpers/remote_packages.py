# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages of a test's binhost, as Portage's index would tell of them."""

from helpers.http_server import Server

from gentoomuch_portage.portage_adapter.binpkg import Binpkg, Place


def place(server: Server, name: str, size: int | None = None) -> Place:
    """A package of a server; its digest is its name."""
    length = (server.folder / name).stat().st_size if size is None else size
    return Place(f"{server.url}/{name}", length, (("SHA1", name),))


def binpkg(of: Place, others: tuple[Place, ...] = ()) -> Binpkg:
    nothing = frozenset()
    told = {"build_id": 1, "build_time": 0, "use": nothing, "iuse": nothing, "chost": "", "path": None}
    return Binpkg(cpv="a/p-1", root="/", url=of.url, size=of.size, digests=of.digests, others=others, **told)
