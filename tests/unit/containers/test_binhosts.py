# SPDX-License-Identifier: GPL-2.0-or-later
"""Indexes and packages of binhosts in runs that build in containers."""

import shutil
from pathlib import Path

import pytest
from helpers.binhost import open_folder

from gentoomuch_portage import gpg
from gentoomuch_portage.binhost.client.session import BinhostSession
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.containers import build
from gentoomuch_portage.portage_adapter.binpkg import Binpkg

URL = "http://127.0.0.1:9/b"
"""Nothing listens there."""
REMOTE = Binpkg("a/b-1", "/", 2, 0, frozenset(), frozenset(), "", None, f"{URL}/a/b/b-1-2.gpkg.tar", 0, ())


def _settings(top: Path, key: str, *, checked: bool) -> Settings:
    table = {URL: {"key": key, "timeout": 1}}
    paths = {name: top / name for name in ("config", "state", "cache", "host")}
    return Settings(**paths, defaults={"binhost": table}, checked=checked)


def _cached_index(settings: Settings) -> Path:
    place = settings.cache / "binhosts/p/0123/binhost/127.0.0.1/b/Packages"
    place.parent.mkdir(parents=True)
    place.write_text("TIMESTAMP: 1\n\n")
    return place


def test_a_container_uses_an_index_that_the_host_has_accepted_without_the_network(tmp_path: Path) -> None:
    settings = _settings(tmp_path, "A" * 40, checked=False)
    place = _cached_index(settings)

    assert BinhostSession(settings, "p").update_index(URL, place) == ""
    place.unlink()
    assert BinhostSession(settings, "p").update_index(URL, place)


@pytest.mark.skipif(not shutil.which("gpg"), reason="gpg is not installed")
def test_a_container_skips_a_cached_index_that_the_host_could_not_update(capfd: pytest.CaptureFixture[str]) -> None:
    with open_folder() as folder:
        key = gpg.generate_key(folder / "gnupg", "binhost")
        file = folder / f"config/keys/{key}.asc"
        file.parent.mkdir(parents=True)
        file.write_text(gpg.export_key(folder / "gnupg", key))
        place = _cached_index(_settings(folder, key, checked=True))

        why = BinhostSession(_settings(folder, key, checked=True), "p").update_index(URL, place)

        assert why
        assert BinhostSession(_settings(folder, key, checked=False), "p").update_index(URL, place) == why
    assert URL in capfd.readouterr().err


def test_only_packages_that_the_run_resolved_are_taken_of_binhosts_on_the_host() -> None:
    other = REMOTE._replace(build_id=3)
    local = other._replace(url="", path=Path("/b-1-3.gpkg.tar"))

    def reject(_package: Binpkg) -> str | None:
        return None

    reasons = [build.reject_others(frozenset({"a/b-1-2"}), reject, package) for package in (REMOTE, other, local)]

    assert [reason is None for reason in reasons] == [True, False, True]
    assert build.reject_others(frozenset({"a/b-1-2"}), lambda _: "no", REMOTE) == "no"
