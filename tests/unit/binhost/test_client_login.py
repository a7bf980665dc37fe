# SPDX-License-Identifier: GPL-2.0-or-later
"""A binhost that asks for name and password: they stand in its URL, go to it alone, and are told to nobody."""

import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from helpers.http_server import serving
from helpers.remote_packages import binpkg
from portage.binrepo.config import BinRepoConfigLoader

from gentoomuch_portage.binhost import errors
from gentoomuch_portage.binhost.client import configure, index, session
from gentoomuch_portage.binhost.client.config import BinhostConfig
from gentoomuch_portage.binhost.client.configure import VerifiedBinhost
from gentoomuch_portage.binhost.client.memory import BinhostRecords
from gentoomuch_portage.binpkg.http import login_url
from gentoomuch_portage.builtin_plugins import binhost
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import GmError
from gentoomuch_portage.gpg import BadKey
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.portage_adapter.binpkg import Place
from gentoomuch_portage.portage_adapter.downloads import Failure

SECRET = "http://joe:s%23cret@tower/x"


def test_name_and_password_of_a_url_are_sent_with_every_request_for_an_index(tmp_path: Path):
    (tmp_path / "Packages").write_bytes(b"TIMESTAMP: 1\n\nCPV: a/b-1\n")
    with serving(tmp_path) as server:
        policy = BinhostConfig(server.url.replace("://", "://joe:s%23cret@"), "", 1, True, 10, signed=False)
        index.update_index(
            policy,
            tmp_path,
            tmp_path / "kept/Packages",
            index.timeouts_of(policy),
            BinhostRecords((tmp_path / "state",)),
        )

    assert {one.get("authorization") for one in server.headers} == {"Basic am9lOnMjY3JldA=="}
    assert not [one.name for one in tmp_path.rglob("*") if one.is_file() and "cret" in one.read_text()]


@pytest.mark.parametrize(
    "error",
    [
        BadKey(SECRET, "why"),
        errors.IndexRejected(SECRET, "why"),
        errors.index_rolled_back(SECRET, 1, 2),
        errors.index_too_old(SECRET, 1, 2, 3),
        errors.index_from_future(SECRET, 2, 1),
        errors.KeyRevoked(SECRET, "a", "b"),
        errors.key_changed(SECRET, "a", "b"),
        errors.package_rejected(SECRET, "why"),
        errors.BinhostUnavailable(SECRET, "why"),
        errors.binhosts_collide(SECRET, SECRET),
        errors.other_key_pinned(SECRET, "a", "b"),
        errors.not_confirmed(SECRET, "a"),
    ],
    ids=lambda error: error.code,
)
def test_errors_of_a_binhost_do_not_contain_its_password(error: GmError):
    assert "s%23cret" not in error.message + error.hint
    assert "tower/x" in error.message


def test_available_packages_are_listed_without_the_password():
    offered = binpkg(Place(f"{SECRET}/a/b-1-1.gpkg.tar", 1, ()))

    assert offered.where == "http://tower/x/a/b-1-1.gpkg.tar"


def test_rejected_packages_are_reported_without_the_password(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    settings = Settings.load({"GM_CACHE": str(tmp_path), "GM_CONFIG": str(tmp_path)})
    session.record_dead(tmp_path / "rejected/lab", SECRET, "why", "some-code")

    again = binhost.gm_again(Plan(profile="lab", base="none", root="/"), settings, 1)

    assert again
    assert "http://tower/x was rejected: why (http://tower/x)  [some-code]" in capsys.readouterr().err


@pytest.mark.parametrize(("login", "url"), [(True, "http://joe:s%23cret@tower/x%2By"), (False, "http://tower/x%2By")])
def test_portage_reads_an_escaped_url_with_the_password_only_for_plain_emerge(tmp_path: Path, login: bool, url: str):
    policy = BinhostConfig("http://joe:s%23cret@tower/x%2By", "", 1, True, 10)
    (tmp_path / "binrepos.conf").write_text(policy.section(login=login))

    folders = dict.fromkeys(("EPREFIX", "EROOT", "PORTAGE_CONFIGROOT", "ROOT"), "")
    (found,) = BinRepoConfigLoader((str(tmp_path / "binrepos.conf"),), folders).values()

    assert (found.sync_uri, found.location) == (url, f"/var/cache/binhost/{found.name}")


@pytest.mark.parametrize(
    ("url", "user"),
    [
        ("http://tower/x/a/b.gpkg.tar", "joe:s%23cret"),
        ("http://tower/x/inner/b.gpkg.tar", "ann:other"),
        ("http://tower/xy/b.gpkg.tar", ""),
        ("http://tower/x/../b.gpkg.tar", ""),
        ("https://tower/x/b.gpkg.tar", ""),
        ("http://tower:81/x/b.gpkg.tar", ""),
        ("http://tower.example/x/b.gpkg.tar", ""),
        ("http://own:one@tower/x/b.gpkg.tar", "own:one"),
    ],
)
def test_credentials_are_used_only_for_files_of_their_binhost(url: str, user: str):
    found = login_url(url, [SECRET, "http://ann:other@tower/x/inner/"])

    assert urlsplit(found).netloc.rpartition("@")[0] == user


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A configuration that only its owner may read."""
    (tmp_path / "gentoomuch.toml").touch(0o600)
    return Settings.load({f"GM_{name}": str(tmp_path) for name in ("CONFIG", "STATE", "CACHE")})


def met(url: str) -> VerifiedBinhost:
    return VerifiedBinhost(BinhostConfig(url, "A" * 40, 1, True, 10), b"key", 0, "")


def test_a_configuration_that_gets_a_binhost_is_as_private_as_before(settings: Settings):
    configure.pin(settings, met(SECRET), {})

    assert (settings.config / "gentoomuch.toml").stat().st_mode & 0o777 == 0o600


def test_a_new_configuration_with_a_password_has_mode_0600(settings: Settings):
    (settings.config / "gentoomuch.toml").unlink()

    configure.pin(settings, met(SECRET), {})

    assert (settings.config / "gentoomuch.toml").stat().st_mode & 0o777 == 0o600


def test_clients_that_started_together_write_each_binhost_down_once(settings: Settings):
    told = [configure.pin(settings, met(url), {}) for url in (SECRET, "http://b", SECRET)]

    found = tomllib.loads((settings.config / "gentoomuch.toml").read_text())
    assert (told, [*found["binhost"]]) == ([True, True, False], [SECRET, "http://b"])


def test_records_of_a_binhost_do_not_contain_its_password(tmp_path: Path):
    place = Place(f"{SECRET}/a/b-1-1.gpkg.tar", 1, ())
    session.record_dead(tmp_path, SECRET, "silent", "some-code")
    session.record_failure(tmp_path, place, "a/b-1", Failure("damaged", "some-code", lasting=True))

    assert not [one.name for one in tmp_path.rglob("*") if one.is_file() and "cret" in one.read_text()]
    assert session.find_reject_reason(tmp_path, place) == "damaged (last attempt)"
    assert session.find_dead_reason(tmp_path, f"{SECRET}/other") == "silent"
