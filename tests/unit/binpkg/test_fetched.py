# SPDX-License-Identifier: GPL-2.0-or-later
"""A package that was fetched is judged by what it is, whatever its binhost showed of it before."""

from collections.abc import Callable
from pathlib import Path

import pytest
from _emerge.Binpkg import Binpkg as Task
from helpers.http_server import Server, serving
from helpers.packages import WANTED, gpkg
from helpers.remote_packages import binpkg, place

from gentoomuch_portage.binpkg import metadata
from gentoomuch_portage.binpkg.http import Pools
from gentoomuch_portage.binpkg.metadata import MetadataReader
from gentoomuch_portage.builtin_plugins import runner
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.portage_adapter import emerge
from gentoomuch_portage.portage_adapter.binpkg import Binpkg

SHOWN, TRUE = {"CFLAGS": "-march=x86-64"}, {"CFLAGS": "-march=znver5"}


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], MetadataReader]:
    """Makes the reader of a new run."""
    return lambda: MetadataReader(tmp_path / "cache", WANTED, Pools(lambda _url: ""))


@pytest.fixture
def server(tmp_path: Path):
    """A binhost that shows of its one package what is not in it."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www/p.gpkg.tar").write_bytes(gpkg({name: text.encode() for name, text in SHOWN.items()}, ""))
    with serving(tmp_path / "www") as server:
        yield server


@pytest.fixture
def offered(server: Server) -> Binpkg:
    """The package on its binhost."""
    return binpkg(place(server, "p.gpkg.tar"))


@pytest.fixture
def fetched(offered: Binpkg, tmp_path: Path) -> Binpkg:
    """The same package when it has been fetched, as it is."""
    file = tmp_path / "p.gpkg.tar"
    file.write_bytes(gpkg({name: text.encode() for name, text in TRUE.items()}, ""))
    return offered._replace(path=file)


def test_metadata_of_a_fetched_package_is_cached_forever(
    fresh: Callable[[], MetadataReader], offered: Binpkg, fetched: Binpkg, server: Server
):
    assert fresh().read(offered) == SHOWN
    assert fresh().read(fetched) == TRUE
    server.asked.clear()

    assert fresh().read(offered) == TRUE
    assert server.asked == []


def test_metadata_from_a_binhost_expires(
    fresh: Callable[[], MetadataReader], offered: Binpkg, server: Server, monkeypatch: pytest.MonkeyPatch
):
    fresh().read(offered)
    (server.folder / "p.gpkg.tar").write_bytes(gpkg({"CFLAGS": TRUE["CFLAGS"].encode()}, ""))
    again = fresh().read(offered)
    monkeypatch.setattr(metadata, "_BELIEVED", 1)

    assert again == SHOWN
    assert fresh().read(offered) == TRUE


def test_a_run_without_audit_checks_fetched_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seen = []
    monkeypatch.setattr(emerge, "emerge", lambda _words, **_more: seen.append(Task._verifier_exit) or 0)
    plain = Task._verifier_exit
    settings = Settings.load({f"GM_{name}": str(tmp_path) for name in ("CONFIG", "STATE", "CACHE")})

    runner.gm_run_emerge(Plan(profile="p", base="none", root="/"), settings, lambda _: None, None)

    assert seen != [plain]
    assert Task._verifier_exit is plain
