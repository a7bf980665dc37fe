"""A binhost that asks for name and password: they stand in its URL, go to it alone, and are told to nobody."""

import tomllib
from pathlib import Path

import pytest
from placing import binpkg
from portage.binrepo.config import BinRepoConfigLoader
from serving import serving

from gentoomuch_portage.binhost import errors
from gentoomuch_portage.binhost.client import configure, index, session
from gentoomuch_portage.binhost.client.config import Policy
from gentoomuch_portage.binhost.client.configure import Met
from gentoomuch_portage.binpkg.http import Patience, Pools
from gentoomuch_portage.builtin_plugins import binhost
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import GmError
from gentoomuch_portage.gpg import BadKey
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.portage_adapter.binpkg import Place

HASTY = Patience(connect=0.5, silence=0.5, total=1.0)
SECRET = "http://joe:s%23cret@tower/x"


def test_name_and_password_of_a_url_are_sent_with_every_request_for_an_index(tmp_path: Path):
    (tmp_path / "Packages").write_bytes(b"TIMESTAMP: 1\n\nCPV: a/b-1\n")
    with serving(tmp_path) as server:
        policy = Policy(server.url.replace("://", "://joe:s%23cret@"), "", 1, True, 10, signed=False)
        index.brought(policy, tmp_path, tmp_path / "kept", Pools(lambda _url: "", HASTY))

    assert {one.get("authorization") for one in server.headers} == {"Basic am9lOnMjY3JldA=="}
    assert not [one.name for one in tmp_path.iterdir() if "cret" in one.read_text()]


@pytest.mark.parametrize(
    "error",
    [
        BadKey(SECRET, "why"),
        errors.IndexRefused(SECRET, "why"),
        errors.PackageRefused(SECRET, "why"),
        errors.BinhostSilent(SECRET, "why"),
        errors.BinhostsCollide(SECRET, SECRET),
        errors.KeyKnown(SECRET, "a", "b"),
        errors.NotConfirmed(SECRET, "a"),
    ],
    ids=lambda error: error.code,
)
def test_no_error_of_a_binhost_tells_its_password(error: GmError):
    assert "s%23cret" not in error.message + error.remedy
    assert "tower/x" in error.message


def test_a_package_that_is_offered_is_told_of_without_the_password():
    offered = binpkg(Place(f"{SECRET}/a/b-1-1.gpkg.tar", 1, ()))

    assert offered.where == "http://tower/x/a/b-1-1.gpkg.tar"


def test_what_is_not_taken_is_named_without_the_password(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    settings = Settings.of({"GM_CACHE": str(tmp_path), "GM_CONFIG": str(tmp_path)})
    session.dead(tmp_path / "refused/lab", SECRET, "why")

    again = binhost.gm_again(Plan(profile="lab", base="none", root="/"), settings, 1)

    assert again
    assert "http://tower/x is not taken: why (http://tower/x)" in capsys.readouterr().err


def test_portage_reads_a_url_with_an_escaped_sign_as_it_was_told(tmp_path: Path):
    told = "http://joe:s%23cret@tower/x%2By"
    (tmp_path / "binrepos.conf").write_text(Policy(told, "", 1, True, 10).section())

    folders = dict.fromkeys(("EPREFIX", "EROOT", "PORTAGE_CONFIGROOT", "ROOT"), "")
    (found,) = BinRepoConfigLoader((str(tmp_path / "binrepos.conf"),), folders).values()

    assert (found.sync_uri, found.location) == (told, f"/var/cache/binhost/{found.name}")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A configuration that only its owner may read."""
    (tmp_path / "gentoomuch.toml").touch(0o600)
    return Settings.of({f"GM_{name}": str(tmp_path) for name in ("CONFIG", "STATE", "CACHE")})


def met(url: str) -> Met:
    return Met(Policy(url, "A" * 40, 1, True, 10), b"key", 0, "")


def test_a_configuration_that_gets_a_binhost_is_as_private_as_before(settings: Settings):
    configure.pinned(settings, met(SECRET), {})

    assert (settings.config / "gentoomuch.toml").stat().st_mode & 0o777 == 0o600


def test_a_configuration_that_begins_with_a_password_is_for_its_owner_alone(settings: Settings):
    (settings.config / "gentoomuch.toml").unlink()

    configure.pinned(settings, met(SECRET), {})

    assert (settings.config / "gentoomuch.toml").stat().st_mode & 0o777 == 0o600


def test_clients_that_started_together_write_each_binhost_down_once(settings: Settings):
    told = [configure.pinned(settings, met(url), {}) for url in (SECRET, "http://b", SECRET)]

    found = tomllib.loads((settings.config / "gentoomuch.toml").read_text())
    assert (told, [*found["binhost"]]) == ([True, True, False], [SECRET, "http://b"])


def test_what_is_remembered_of_a_binhost_has_no_password(tmp_path: Path):
    place = Place(f"{SECRET}/a/b-1-1.gpkg.tar", 1, ())
    session.dead(tmp_path, SECRET, "silent")
    session.remember(tmp_path, place, "a/b-1", "damaged", lasting=True)

    assert not [one.name for one in tmp_path.iterdir() if "cret" in one.read_text()]
    assert session.deny_reason(tmp_path, place) == "damaged, when it was last tried"
    assert session.silent(tmp_path, f"{SECRET}/other") == "silent"
