"""Where things are kept, and who has the last word."""

import os
from pathlib import Path

import pytest

from gentoomuch_portage.config import settings
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import BadFile, BadSetting


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """An empty configuration directory."""
    (tmp_path / "config").mkdir()
    return tmp_path / "config"


@pytest.fixture
def as_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """As seen by an ordinary user."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """As seen by root."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.mark.usefixtures("as_root")
def test_root_has_the_systems_places(tmp_path: Path):
    found = Settings.of({"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}, eprefix=str(tmp_path / "p"))

    assert found.config == tmp_path / "p/etc/gentoomuch"
    assert found.state == tmp_path / "p/var/lib/gentoomuch"
    assert found.cache == tmp_path / "p/var/cache/gentoomuch"
    assert found.host == tmp_path / "p/etc/portage"


@pytest.mark.usefixtures("as_user")
def test_a_user_who_may_write_the_prefix_has_the_prefixs_places(tmp_path: Path):
    found = Settings.of({"HOME": str(tmp_path)}, eprefix=str(tmp_path / "p"))

    assert found.state == tmp_path / "p/var/lib/gentoomuch"


@pytest.mark.usefixtures("as_user")
def test_a_user_who_may_not_write_there_has_places_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "access", lambda _path, _how: False)

    found = Settings.of({"HOME": str(tmp_path)}, eprefix=str(tmp_path / "p"))

    assert found.state == tmp_path / ".local/state/gentoomuch"
    assert found.cache == tmp_path / ".cache/gentoomuch"


@pytest.mark.usefixtures("as_user")
def test_xdg_moves_the_places_at_home_unless_it_is_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "access", lambda _path, _how: False)
    environ = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "s"), "XDG_CACHE_HOME": "relative"}

    found = Settings.of(environ, eprefix=str(tmp_path / "p"))

    assert found.state == tmp_path / "s/gentoomuch"
    assert found.cache == tmp_path / ".cache/gentoomuch"


@pytest.mark.usefixtures("as_user")
def test_a_users_own_configuration_comes_first_only_where_there_is_one(tmp_path: Path):
    environ = {"HOME": str(tmp_path)}
    assert Settings.of(environ, eprefix=str(tmp_path / "p")).config == tmp_path / "p/etc/gentoomuch"

    (tmp_path / ".config/gentoomuch").mkdir(parents=True)

    assert Settings.of(environ, eprefix=str(tmp_path / "p")).config == tmp_path / ".config/gentoomuch"


@pytest.mark.parametrize("name", ["state", "cache"])
def test_the_line_beats_the_environment_beats_the_file_beats_the_default(config: Path, name: str):
    def place(environ: dict[str, str], said: dict[str, str]) -> Path:
        return getattr(Settings.of({"GM_CONFIG": str(config), **environ}, eprefix="/p", said=said), name)

    plain = place({}, {})
    (config / "gentoomuch.toml").write_text(f"[paths]\n{name} = '/from-file'\n")

    assert plain != Path("/from-file")
    assert place({}, {}) == Path("/from-file")
    assert place({f"GM_{name.upper()}": "/from-env"}, {}) == Path("/from-env")
    assert place({f"GM_{name.upper()}": "/from-env"}, {name: "/from-line"}) == Path("/from-line")


def test_the_line_beats_the_environment_in_where_the_configuration_is(config: Path, tmp_path: Path):
    found = Settings.of({"GM_CONFIG": str(tmp_path / "other")}, said={"config": str(config)})

    assert found.config == config


def test_a_path_in_the_file_starts_where_the_file_lies(config: Path):
    (config / "gentoomuch.toml").write_text("[paths]\nstate = 'here'\n")

    assert Settings.of({"GM_CONFIG": str(config)}).state == config / "here"


def test_a_path_on_the_line_starts_where_the_user_is(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    found = Settings.of({"GM_CONFIG": str(config), "GM_CACHE": "c"}, said={"state": "s"})

    assert (found.state, found.cache) == (tmp_path / "s", tmp_path / "c")


def test_portages_own_configroot_is_where_the_host_is_configured(tmp_path: Path):
    found = Settings.of({"PORTAGE_CONFIGROOT": str(tmp_path)}, eprefix="/p")

    assert found.host == tmp_path / "etc/portage"


@pytest.mark.usefixtures("as_user")
def test_what_root_set_holds_for_users_who_set_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "access", lambda path, how: how == os.R_OK and Path(path).exists())
    system, own = tmp_path / "p/var/lib/gentoomuch", tmp_path / ".local/state/gentoomuch"
    for name, text in (("profile", "router\n"), ("router/unmask.json", "[]")):
        (system / name).parent.mkdir(parents=True, exist_ok=True)
        (system / name).write_text(text)
    found = Settings.of({"HOME": str(tmp_path)}, eprefix=str(tmp_path / "p"))
    named = Settings.of({"GM_STATE": str(own)}, eprefix=str(tmp_path / "p"))

    assert (found.state, found.states, found.chosen) == (own, (own, system), "router")
    assert found.having("router/unmask.json") == system
    assert (named.states, named.chosen) == ((own,), "")

    own.mkdir(parents=True)
    (own / "profile").write_text("laptop\n")
    assert found.chosen == "laptop"
    assert found.having("router/other") == own


def test_in_a_shell_of_a_profile_the_host_is_still_the_host():
    found = Settings.of({"GM_HOST": "/", "PORTAGE_CONFIGROOT": "/var/cache/gentoomuch/configroots/x"}, eprefix="/p")

    assert found.host == Path("/etc/portage")


@pytest.mark.parametrize(("told", "strict"), [("", False), ("0", False), ("1", True), ("yes", True)])
def test_strict_by_environment(config: Path, told: str, strict: bool):
    assert Settings.of({"GM_CONFIG": str(config), "GM_STRICT": told}).strict is strict


def test_strict_by_file(config: Path):
    (config / "gentoomuch.toml").write_text("strict = true\n")

    assert Settings.of({"GM_CONFIG": str(config), "GM_STRICT": "0"}).strict


@pytest.mark.parametrize(
    ("text", "line"),
    [("strict = 1\n", 1), ("\n[paths]\nstat = '/x'\n", 3), ("[binhost.a]\ncpus = 'x'\n", 2), ("cpu = []\n", 1)],
)
def test_a_wrong_file_of_settings_is_refused_with_its_line(config: Path, text: str, line: int):
    (config / "gentoomuch.toml").write_text(text)

    with pytest.raises(BadSetting, match=r"gentoomuch\.toml") as caught:
        Settings.of({"GM_CONFIG": str(config)})

    assert caught.value.line == line


def test_the_chosen_profile_is_read_without_its_line_end(config: Path, tmp_path: Path):
    found = Settings.of({"GM_CONFIG": str(config), "GM_STATE": str(tmp_path)})
    assert found.chosen == ""

    (tmp_path / "profile").write_text("router\n")

    assert found.chosen == "router"


def test_bytes_that_are_no_text_are_no_name_of_a_profile(config: Path, tmp_path: Path):
    (tmp_path / "profile").write_bytes(b"\xff\n")

    with pytest.raises(BadFile, match=str(tmp_path / "profile")):
        _ = Settings.of({"GM_CONFIG": str(config), "GM_STATE": str(tmp_path)}).chosen


def test_broken_settings_count_as_a_profile_that_is_set(config: Path):
    (config / "gentoomuch.toml").write_text("[")

    assert settings.chosen({"GM_CONFIG": str(config)}, "")
