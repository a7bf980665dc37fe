# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch binhost client``, where nobody is at a terminal to be asked."""

import json
from pathlib import Path

import pytest

from gentoomuch_portage.binhost.client import configure
from gentoomuch_portage.binhost.client.configure import VerifiedBinhost
from gentoomuch_portage.binhost.errors import BinhostUnavailable
from gentoomuch_portage.binpkg.http import Timeouts
from gentoomuch_portage.cli.commands import run_command_line
from gentoomuch_portage.errors import BadFile

KEY, URL = "A" * 40, "http://tower/x"


@pytest.fixture
def asked(monkeypatch, settings, capsys):
    """Run ``gentoomuch binhost client ...`` before a binhost that shows KEY; its status, and what it said."""
    for name in ("config", "state", "cache"):
        monkeypatch.setenv(f"GM_{name.upper()}", str(getattr(settings, name)))
    settings.host.mkdir(parents=True)
    monkeypatch.setenv("PORTAGE_CONFIGROOT", str(settings.host.parent.parent))
    monkeypatch.setattr(configure, "fetch_key", lambda _patience, _url, _fingerprint, _file: (KEY, b"key"))
    monkeypatch.setattr(
        configure, "verify_binhost", lambda _patience, policy, key, _memory: VerifiedBinhost(policy, key, 0, "")
    )

    def run(*words: str):
        return run_command_line(["binhost", "client", *words]), capsys.readouterr().err

    return run


@pytest.mark.parametrize("url", ["tower/x", "http://", "file:///var/cache"])
def test_an_invalid_url_is_rejected_before_fetching(asked, url: str):
    status, said = asked(url, "--fingerprint", KEY)

    assert (status, "[usage]" in said, "client http://tower/x" in said) == (64, True, url == "tower/x")


def test_a_pinned_key_needs_no_confirmation(asked):
    assert asked(URL)[0] == 64
    assert asked(URL, "--fingerprint", KEY)[0] == 0
    assert asked(URL)[0] == 0


def test_options_of_a_new_binhost_are_written(asked, settings):
    assert asked(URL, "--fingerprint", KEY, "--priority", "7")[0] == 0

    assert "priority = 7\n" in (settings.config / "gentoomuch.toml").read_text()


def test_ignored_options_of_a_known_binhost_are_reported(asked, settings):
    assert asked(URL, "--fingerprint", KEY, "--timeout", "3", "--plain-index")[0] == 0
    before = (settings.config / "gentoomuch.toml").read_text()

    status, said = asked(URL, "--priority", "7", "--no-fallback")

    assert (status, "priority = 7; fallback = false" in said) == (0, True)
    assert (settings.config / "gentoomuch.toml").read_text() == before
    assert before.endswith('timeout = 3\nindex = "plain"\n')


def test_a_missing_key_file_is_one_error(tmp_path: Path):
    with pytest.raises(BadFile, match="no such file") as error:
        configure.fetch_key(Timeouts(), URL, "", tmp_path / "key.asc")

    assert "--export" in error.value.hint


def test_with_a_fingerprint_only_yes_is_missing(asked, settings):
    status, said = asked(URL, "--fingerprint", KEY, "--system")

    assert (status, "--yes" in said, "--fingerprint" in said.partition("hint")[0]) == (64, True, False)
    assert not list(settings.host.iterdir())


def test_the_hint_of_an_unavailable_binhost_fetches_the_missing_file():
    assert BinhostUnavailable(f"{URL}/key.asc", "it answers 404").hint == f"curl -I {URL}/key.asc"


def test_removing_a_binhost_removes_all_its_files(asked, settings, write, capsys):
    mine = '# mine\nstrict = true\n\n[binhost."http://other"]\ncpu = "znver3"\n'
    toml = write("gentoomuch.toml", mine)
    assert asked(URL, "--fingerprint", KEY)[0] == 0
    (settings.host / "binrepos.conf").mkdir()
    (settings.host / "binrepos.conf/tower_x.conf").write_text("[tower_x]\n")

    assert run_command_line(["binhost", "ls", "--json"]) == 0
    assert [(one["url"], one["pinned"]) for one in json.loads(capsys.readouterr().out)] == [
        ("http://other", False),
        (URL, True),
    ]
    assert asked(URL, "--remove")[0] == 0

    assert toml.read_text() == mine
    assert not list((settings.config / "keys").iterdir())
    assert not list((settings.host / "binrepos.conf").iterdir())
    assert asked(URL, "--remove")[0] == 64


@pytest.mark.parametrize("between", ["", "# about the next\n", "\n# about the next\n\n"])
def test_text_after_a_removed_table_stays(asked, write, between: str):
    behind = f'{between}[binhost."http://other"]\ncpu = "znver3"\n'
    toml = write("gentoomuch.toml", f'[binhost."{URL}/"]\n# why\nkey = "{KEY}" # this\n{behind}')

    assert asked(URL, "--remove")[0] == 0

    assert toml.read_text() == behind


def test_a_key_that_another_binhost_shows_stays(asked, settings):
    for url in (URL, f"{URL}y"):
        assert asked(url, "--fingerprint", KEY)[0] == 0

    assert asked(URL, "--remove")[0] == 0

    assert [one.stem for one in (settings.config / "keys").iterdir()] == [KEY]


def test_a_table_in_another_form_is_not_removed(asked, write):
    toml = write("gentoomuch.toml", text := f'[binhost]\n"{URL}" = {{ key = "{KEY}" }}\n')

    status, said = asked(URL, "--remove")

    assert (status, "gentoomuch.toml:2" in said) == (78, True)
    assert toml.read_text() == text


OTHER = "B" * 40


@pytest.fixture
def rotated(asked, monkeypatch):
    """A binhost that is pinned with KEY, and shows OTHER now."""
    assert asked(URL, "--fingerprint", KEY, "--priority", "7")[0] == 0
    monkeypatch.setattr(configure, "fetch_key", lambda _pools, _url, _fingerprint, _file: (OTHER, b"other"))
    return asked


def test_a_pinned_key_is_replaced_only_with_new_key(rotated, settings):
    toml = settings.config / "gentoomuch.toml"
    before = toml.read_text()

    status, said = rotated(URL, "--fingerprint", OTHER)

    assert (status, "[other-key-pinned]" in said, f"--new-key --fingerprint {OTHER}" in said) == (78, True, True)
    assert toml.read_text() == before


def test_a_new_key_needs_somebody_who_confirms_it(rotated):
    status, said = rotated(URL, "--new-key")

    assert (status, "[key-not-confirmed]" in said) == (64, True)


def test_a_new_key_leaves_the_rest_of_the_table_as_it_is(rotated, settings):
    toml = settings.config / "gentoomuch.toml"
    toml.write_text(f'# of the office\n{toml.read_text()}max_age = 3 # days\n[binhost."http://b"]\nkey = "{OTHER}"\n')
    before = toml.read_text()

    status, _ = rotated(URL, "--fingerprint", OTHER, "--new-key")

    assert status == 0
    assert toml.read_text() == before.replace(KEY, OTHER)
    assert sorted(one.name for one in (settings.config / "keys").iterdir()) == [f"{OTHER}.asc"]


def test_an_old_key_of_another_binhost_is_not_removed(rotated, settings):
    with (settings.config / "gentoomuch.toml").open("a") as toml:
        toml.write(f'[binhost."http://b"]\nkey = "{KEY}"\n')

    rotated(URL, "--fingerprint", OTHER, "--new-key")

    assert sorted(one.name for one in (settings.config / "keys").iterdir()) == [f"{KEY}.asc", f"{OTHER}.asc"]


def test_a_binhost_is_known_by_its_url_without_the_password_as_messages_print_it(asked, settings):
    assert asked("http://joe:secret@tower/x", "--fingerprint", KEY)[0] == 0

    assert asked(URL, "--remove")[0] == 0
    assert "tower" not in (settings.config / "gentoomuch.toml").read_text()


def test_an_older_index_of_an_unknown_binhost_cannot_be_accepted(asked):
    status, said = asked(URL, "--accept-older", "--yes")

    assert (status, "[unknown-binhost]" in said) == (64, True)


def test_fresh_removes_what_is_cached_of_one_binhost_and_no_other(asked, settings):
    assert asked(URL, "--fingerprint", KEY)[0] == 0
    own = settings.cache / "binhosts/router/binhost/tower/x/Packages"
    other = settings.cache / "binhosts/router/binhost/tower/xy/Packages"
    failed, kept = settings.cache / "rejected/router/1.json", settings.cache / "rejected/router/2.json"
    for file in (own, own.with_name("Packages.gm"), other):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    failed.parent.mkdir(parents=True)
    failed.write_text(json.dumps({"cpv": "a/b-1", "url": f"{URL}/a/b-1.gpkg.tar", "why": "digest"}))
    kept.write_text(json.dumps({"cpv": "a/b-1", "url": f"{URL}y/a/b-1.gpkg.tar", "why": "digest"}))

    status, _ = asked(URL, "--fresh")

    assert status == 0
    assert not own.exists()
    assert not own.with_name("Packages.gm").exists()
    assert not failed.exists()
    assert other.exists()
    assert kept.exists()
