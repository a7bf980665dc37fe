# SPDX-License-Identifier: GPL-2.0-or-later
"""What a client remembers of a binhost: the newest index that it accepted, and keys that were revoked."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.errors import raises
from helpers.http_server import Server, serving

from gentoomuch_portage import gpg
from gentoomuch_portage.binhost import keys
from gentoomuch_portage.binhost.client import configure, index
from gentoomuch_portage.binhost.client.config import BinhostConfig, load_binhosts
from gentoomuch_portage.binhost.client.memory import DAY, BinhostRecords
from gentoomuch_portage.binhost.errors import (
    IndexRejected,
    KeyRevoked,
    format_utc,
)
from gentoomuch_portage.config.settings import Settings

if not shutil.which("gpg"):
    pytest.skip("gpg is not installed", allow_module_level=True)
NOW = int(time.time())


class Tower:
    """A binhost with a key, and a client with that key pinned."""

    def __init__(self, folder: Path) -> None:
        self.www, self.key_home, self.folder = folder / "www", folder / "g", folder
        self.www.mkdir()
        self.key = gpg.generate_key(self.key_home, "tower")
        self.memory = BinhostRecords((folder / "state",))
        self.cache = folder / "cache"
        self.policy = BinhostConfig("", self.key, 1, True, 10)
        self.server: Server | None = None
        self._trust(self.key)

    def _trust(self, key: str) -> None:
        (self.folder / "pinned.asc").write_text(gpg.export_key(self.key_home, key))
        shutil.rmtree(self.folder / "home", ignore_errors=True)
        gpg.import_trusted_keys(self.folder / "home", [self.folder / "pinned.asc"])

    def show(self, timestamp: int, cpv: str = "a/b-1", key: str = "") -> None:
        """Show an index, signed."""
        index_file = self.www / "Packages"
        index_file.write_text(f"PACKAGES: 1\nTIMESTAMP: {timestamp}\n\nCPV: {cpv}\nPATH: x.gpkg.tar\n\n")
        (self.www / "Packages.asc").unlink(missing_ok=True)
        gpg.sign_detached(self.key_home, key or self.key, index_file, self.www / "Packages.asc")
        (self.www / "key.asc").write_text(gpg.export_key(self.key_home, key or self.key))

    def fetch(
        self, policy: BinhostConfig | None = None, memory: BinhostRecords | None = None, profile: str = "one"
    ) -> bool:
        """Bring the index of the client up to date."""
        place = self.cache / profile / "Packages"
        chosen = policy or self.policy
        return index.update_index(chosen, self.folder / "home", place, index.timeouts_of(chosen), memory or self.memory)


@pytest.fixture
def tower(tmp_path: Path) -> Iterator[Tower]:
    one = Tower(tmp_path)
    with serving(one.www) as server:
        one.policy, one.server = one.policy._replace(url=server.url), server
        yield one


def test_an_older_index_is_rejected_even_with_an_empty_cache(tower: Tower):
    tower.show(NOW - 100)
    tower.fetch()
    shutil.rmtree(tower.cache)
    tower.show(NOW - 200, "a/b-0")

    with raises("index-rolled-back") as error:
        tower.fetch()

    assert error.value.code == "index-rolled-back"
    assert format_utc(NOW - 200) in error.value.message
    assert format_utc(NOW - 100) in error.value.message
    assert "--accept-older" in error.value.hint
    assert not (tower.cache / "one/Packages").exists()


def test_an_index_accepted_by_one_profile_is_recorded_for_all(tower: Tower):
    tower.show(NOW - 200)
    tower.fetch(profile="first")
    tower.show(NOW - 100)
    tower.fetch(profile="second")
    tower.show(NOW - 200)

    with raises("index-rolled-back"):
        tower.fetch(profile="first")


def test_an_index_of_the_same_time_and_a_newer_one_are_accepted(tower: Tower):
    tower.show(NOW - 100)
    tower.fetch()
    tower.show(NOW - 100, "a/b-2")
    tower.fetch()
    tower.show(NOW - 50)
    tower.fetch()

    assert tower.memory.newest(tower.policy) == NOW - 50


def test_an_index_that_is_not_signed_by_the_pinned_key_is_not_recorded(tower: Tower):
    tower.show(NOW - 100)
    (tower.www / "Packages").write_text("TIMESTAMP: 1\n\n")

    with pytest.raises(IndexRejected):
        tower.fetch()

    assert tower.memory.newest(tower.policy) == 0


def test_the_time_of_an_unsigned_index_is_not_recorded(tower: Tower):
    tower.show(NOW + 10 * DAY)
    tower.fetch(tower.policy._replace(signed=False))

    assert tower.memory.newest(tower.policy) == 0


def test_an_index_from_the_future_is_rejected_and_later_ones_are_accepted(tower: Tower):
    tower.show(NOW + 12 * 365 * DAY)
    with raises("index-from-future") as error:
        tower.fetch()
    tower.show(NOW)

    assert error.value.code == "index-from-future"
    assert tower.fetch()


def test_a_clock_that_is_a_little_ahead_does_no_harm(tower: Tower):
    tower.show(NOW + 3600)

    assert tower.fetch()


def not_modified(tower: Tower) -> None:
    """Let the server say from now on that what the client has is what it has."""
    mark = tower.cache / "one/Packages.gm"
    mark.write_text(json.dumps({**json.loads(mark.read_text()), "etag": '"x"'}))
    tower.server.mode = "not modified"


def test_max_age_rejects_a_withheld_index_also_after_304(tower: Tower):
    tower.show(NOW - 3 * DAY)
    tower.fetch()
    not_modified(tower)

    with raises("index-too-old") as error:
        tower.fetch(tower.policy._replace(max_age=2))

    assert error.value.code == "index-too-old"
    assert tower.fetch(tower.policy._replace(max_age=4)) is False


def test_304_does_not_keep_an_index_older_than_an_accepted_one(tower: Tower):
    tower.show(NOW - 200)
    tower.fetch()
    tower.show(NOW - 100)
    tower.fetch(profile="two")
    not_modified(tower)
    tower.show(NOW - 200)

    with raises("index-rolled-back"):
        tower.fetch()


@pytest.mark.parametrize("before", [{"key": "B" * 40}, {"signed": False}])
def test_304_does_not_keep_an_index_checked_against_another_key(tower: Tower, before: dict[str, object]):
    tower.show(NOW)
    tower.fetch(tower.policy._replace(signed=False))
    mark, place = tower.cache / "one/Packages.gm", tower.cache / "one/Packages"
    index.write_mark(mark, place, tower.policy._replace(**before), index.CachedIndex('"x"', NOW))
    tower.server.mode = "not modified"

    assert tower.fetch() is True


def test_a_rotated_key_is_reported_with_both_fingerprints_and_the_command_that_pins_it(tower: Tower):
    other = gpg.generate_key(tower.key_home, "tower again")
    tower.show(NOW, key=other)

    with raises("key-changed") as error:
        tower.fetch()

    assert error.value.code == "key-changed"
    assert other in error.value.message
    assert tower.key in error.value.message
    assert other in error.value.message
    assert f"binhost client {tower.policy.url} --new-key --fingerprint {other}" in error.value.hint


def test_a_revoked_key_is_rejected_from_then_on_though_an_old_index_is_replayed(tower: Tower):
    tower.show(NOW)
    old = {name: (tower.www / name).read_bytes() for name in ("Packages", "Packages.asc", "key.asc")}
    other = gpg.generate_key(tower.key_home, "tower again")
    gpg.revoke(tower.key_home, tower.key)
    (tower.www / "revoked.asc").write_text(gpg.export_key(tower.key_home, tower.key))
    tower.show(NOW, key=other)
    with pytest.raises(KeyRevoked) as error:
        tower.fetch()
    (tower.www / "revoked.asc").unlink()
    for name, content in old.items():
        (tower.www / name).write_bytes(content)

    with pytest.raises(KeyRevoked) as replayed:
        tower.fetch()

    assert (error.value.code, error.value.key, error.value.offered) == ("key-revoked", tower.key, other)
    assert replayed.value.code == "key-revoked"


def test_a_client_of_a_plain_index_learns_of_a_revocation(tower: Tower):
    tower.show(NOW)
    plain = tower.policy._replace(signed=False)
    tower.fetch(plain)
    gpg.revoke(tower.key_home, tower.key)
    (tower.www / "revoked.asc").write_text(gpg.export_key(tower.key_home, tower.key))

    with pytest.raises(KeyRevoked):
        tower.fetch(plain)


def test_a_revoked_key_is_not_trusted_because_the_host_trusts_it(tower: Tower, tmp_path: Path):
    settings = settings_of(tower)._replace(host=tmp_path / "etc/portage")
    gpg.import_trusted_keys(settings.host / "gnupg", [tower.folder / "pinned.asc"])
    before = keys.host_keys(settings)
    revoked = tmp_path / f"state/binhosts/revoked/{tower.key}.asc"
    revoked.parent.mkdir(parents=True)
    revoked.touch()

    assert [gpg.read_fingerprints(one) for one in before] == [[tower.key]]
    assert keys.host_keys(settings) == []


def test_a_key_cannot_be_revoked_by_another_one(tower: Tower):
    stranger = gpg.generate_key(tower.key_home, "stranger")
    gpg.revoke(tower.key_home, stranger)
    (tower.www / "revoked.asc").write_text(
        gpg.export_key(tower.key_home, tower.key) + gpg.export_key(tower.key_home, stranger)
    )
    tower.show(NOW, key=gpg.generate_key(tower.key_home, "third"))

    with raises("key-changed"):
        tower.fetch()

    assert not tower.memory.is_revoked(tower.key)
    assert not list((tower.folder / "state").rglob(f"{stranger}*"))


DAMAGED = ["", "[]", '{"timestamp": "x"}', "\0", "half", "other", "zero", "link", "loop", "directory"]


def damage(record: Path, how: str) -> None:
    """Replace a record by something else."""
    whole = record.read_text()
    record.unlink()
    match how:
        case "half":
            record.write_text(whole[: len(whole) // 2])
        case "other":
            record.write_text(json.dumps({**json.loads(whole), "url": "http://other"}))
        case "zero":
            record.write_text(json.dumps({**json.loads(whole), "timestamp": 0}))
        case "link":
            record.symlink_to("nowhere")
        case "loop":
            record.symlink_to(record.name)
        case "directory":
            record.mkdir()
        case _:
            record.write_text(how)


@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_record_makes_no_older_index_acceptable(tower: Tower, how: str):
    """S6, S11: the next index was accepted whatever its age, with a warning; a link to nowhere was no record at all."""
    tower.show(NOW - 100)
    tower.fetch()
    [record] = (tower.folder / "state/binhosts").glob("*.json")
    damage(record, how)
    shutil.rmtree(tower.cache)
    tower.show(NOW - 200, "a/b-0")

    with raises("index-record-damaged") as error:
        tower.fetch()

    assert str(record) in error.value.message
    assert f"gentoomuch binhost client {tower.policy.url} --accept-older" in error.value.hint
    assert not (tower.cache / "one/Packages").exists()


@pytest.mark.parametrize("how", DAMAGED)
def test_accept_older_replaces_a_damaged_record(tower: Tower, how: str):
    settings = settings_of(tower)
    tower.show(NOW - 100)
    tower.fetch()
    [record] = (tower.folder / "state/binhosts").glob("*.json")
    damage(record, how)
    with raises("not-accepted"):
        configure.accept_older(settings, tower.policy, lambda _time, _newest: False)
    asked: list[tuple[int, int | None]] = []

    configure.accept_older(settings, tower.policy, lambda *times: not asked.append(times))

    assert asked == [(NOW - 100, None)]
    assert tower.memory.newest(tower.policy) == NOW - 100
    tower.show(NOW - 200)
    with raises("index-rolled-back"):
        tower.fetch()


def test_a_damaged_record_does_not_keep_from_a_binhost_whose_index_is_not_signed(tower: Tower):
    tower.show(NOW - 100)
    tower.fetch()
    [record] = (tower.folder / "state/binhosts").glob("*.json")
    damage(record, "half")

    assert tower.fetch(tower.policy._replace(signed=False), profile="plain")


def test_a_user_rejects_an_index_older_than_the_systems(tower: Tower, tmp_path: Path):
    tower.show(NOW - 100)
    tower.fetch()
    tower.show(NOW - 200)

    with raises("index-rolled-back"):
        tower.fetch(memory=BinhostRecords((tmp_path / "own", tmp_path / "state")), profile="user")


def test_records_of_a_binhost_do_not_depend_on_its_password(tower: Tower):
    tower.show(NOW)
    tower.fetch()

    assert tower.memory.newest(tower.policy._replace(url=tower.policy.url.replace("//", "//joe:secret@"))) == NOW


def settings_of(tower: Tower, more: str = "") -> Settings:
    config = tower.folder / "config"
    (config / "keys").mkdir(parents=True)
    shutil.copy(tower.folder / "pinned.asc", config / f"keys/{tower.key}.asc")
    (config / "gentoomuch.toml").write_text(f'[binhost."{tower.policy.url}"]\nkey = "{tower.key}"\n{more}')
    return Settings.load({f"GM_{name}": str(tower.folder / name.lower()) for name in ("CONFIG", "STATE", "CACHE")})


def test_an_older_index_can_be_accepted_after_a_restore_and_nothing_older_than_that(tower: Tower):
    settings = settings_of(tower)
    tower.show(NOW - 100)
    tower.fetch()
    tower.show(NOW - 200)

    with raises("not-accepted"):
        configure.accept_older(settings, tower.policy, lambda _time, _newest: False)
    with raises("index-rolled-back"):
        tower.fetch()
    asked = []
    configure.accept_older(settings, tower.policy, lambda *times: not asked.append(times))

    assert asked == [(NOW - 200, NOW - 100)]
    assert tower.fetch()
    tower.show(NOW - 300)
    with raises("index-rolled-back"):
        tower.fetch()


@pytest.mark.parametrize("more", ["max_age = -1\n", 'max_age = 3\nindex = "plain"\n'])
def test_a_max_age_that_nothing_can_prove_is_named_with_its_line(tower: Tower, more: str):
    with raises("bad-setting", match=r"gentoomuch.toml:3: max_age"):
        load_binhosts(settings_of(tower, more))


def test_an_index_may_grow_to_four_times_the_last_one_and_always_to_64_mib(tmp_path: Path):
    mib, place = 1 << 20, tmp_path / "Packages"
    limits = {"missing": index._max_bytes(place)}
    for size in (0, 10, 100, 500):
        with place.open("wb") as file:
            file.truncate(size * mib)
        limits[size] = index._max_bytes(place)

    assert limits == {"missing": 1024 * mib, 0: 64 * mib, 10: 64 * mib, 100: 400 * mib, 500: 1024 * mib}


def test_min_rate_is_the_limit_of_downloads(tower: Tower):
    (binhost,) = load_binhosts(settings_of(tower, "min_rate = 7\ntimeout = 3\n"))
    timeouts = index.timeouts_of(binhost)

    assert (timeouts.silence, timeouts.rate) == (3, 7 * 1024)
