"""``gentoomuch binhost client``, where nobody is at a terminal to be asked."""

import json
from pathlib import Path

import pytest

from gentoomuch_portage.binhost.client import configure
from gentoomuch_portage.binhost.client.configure import Met
from gentoomuch_portage.binhost.errors import BinhostSilent
from gentoomuch_portage.cli.commands import enter
from gentoomuch_portage.errors import BadFile

KEY, URL = "A" * 40, "http://tower/x"


@pytest.fixture
def asked(monkeypatch, settings, capsys):
    """Run ``gentoomuch binhost client ...`` before a binhost that shows KEY; its status, and what it said."""
    for name in ("config", "state", "cache"):
        monkeypatch.setenv(f"GM_{name.upper()}", str(getattr(settings, name)))
    settings.host.mkdir(parents=True)
    monkeypatch.setenv("PORTAGE_CONFIGROOT", str(settings.host.parent.parent))
    monkeypatch.setattr(configure, "key_of", lambda _pools, _url, _fingerprint, _file: (KEY, b"key"))
    monkeypatch.setattr(configure, "met", lambda _pools, policy, key: Met(policy, key, 0, ""))

    def run(*words: str):
        return enter(["binhost", "client", *words]), capsys.readouterr().err

    return run


@pytest.mark.parametrize("url", ["tower/x", "http://", "file:///var/cache"])
def test_what_is_no_url_is_refused_before_anything_is_fetched(asked, url: str):
    status, said = asked(url, "--fingerprint", KEY)

    assert (status, "[usage]" in said, "http://tower/x ?" in said) == (64, True, url == "tower/x")


def test_a_key_that_is_pinned_is_not_asked_for_again(asked):
    assert asked(URL)[0] == 64
    assert asked(URL, "--fingerprint", KEY)[0] == 0
    assert asked(URL)[0] == 0


def test_what_is_told_of_a_new_binhost_is_written_down(asked, settings):
    assert asked(URL, "--fingerprint", KEY, "--priority", "7")[0] == 0

    assert "priority = 7\n" in (settings.config / "gentoomuch.toml").read_text()


def test_what_is_told_of_a_binhost_that_is_known_is_not_passed_over_in_silence(asked, settings):
    assert asked(URL, "--fingerprint", KEY, "--timeout", "3", "--plain-index")[0] == 0
    before = (settings.config / "gentoomuch.toml").read_text()

    status, said = asked(URL, "--priority", "7", "--no-fallback")

    assert (status, "stays as it is; what was asked for: priority = 7; fallback = false" in said) == (0, True)
    assert (settings.config / "gentoomuch.toml").read_text() == before
    assert before.endswith('timeout = 3\nindex = "plain"\n')


def test_a_file_of_a_key_that_is_not_there_is_one_error(tmp_path: Path):
    with configure.asked(1) as pools, pytest.raises(BadFile, match="no such file") as error:
        configure.key_of(pools, URL, "", tmp_path / "key.asc")

    assert "--export" in error.value.remedy


def test_whoever_gave_the_fingerprint_is_told_that_yes_is_missing(asked, settings):
    status, said = asked(URL, "--fingerprint", KEY, "--system")

    assert (status, "--yes" in said, "--fingerprint" in said) == (64, True, False)
    assert not list(settings.host.iterdir())


def test_the_way_out_of_silence_asks_for_the_file_that_is_missing():
    assert BinhostSilent(f"{URL}/key.asc", "it answers 404").remedy == f"curl -I {URL}/key.asc"


def test_a_binhost_is_listed_and_goes_with_all_that_was_written_for_it(asked, settings, write, capsys):
    mine = '# mine\nstrict = true\n\n[binhost."http://other"]\ncpu = "znver3"\n'
    toml = write("gentoomuch.toml", mine)
    assert asked(URL, "--fingerprint", KEY)[0] == 0
    (settings.host / "binrepos.conf").mkdir()
    (settings.host / "binrepos.conf/tower_x.conf").write_text("[tower_x]\n")

    assert enter(["binhost", "ls", "--json"]) == 0
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
def test_what_stands_behind_a_table_stays(asked, write, between: str):
    behind = f'{between}[binhost."http://other"]\ncpu = "znver3"\n'
    toml = write("gentoomuch.toml", f'[binhost."{URL}/"]\n# why\nkey = "{KEY}" # this\n{behind}')

    assert asked(URL, "--remove")[0] == 0

    assert toml.read_text() == behind


def test_a_key_that_another_binhost_shows_stays(asked, settings):
    for url in (URL, f"{URL}y"):
        assert asked(url, "--fingerprint", KEY)[0] == 0

    assert asked(URL, "--remove")[0] == 0

    assert [one.stem for one in (settings.config / "keys").iterdir()] == [KEY]


def test_a_table_that_is_written_otherwise_is_left_to_its_owner(asked, write):
    toml = write("gentoomuch.toml", text := f'[binhost]\n"{URL}" = {{ key = "{KEY}" }}\n')

    status, said = asked(URL, "--remove")

    assert (status, "gentoomuch.toml:2" in said) == (78, True)
    assert toml.read_text() == text
