# SPDX-License-Identifier: GPL-2.0-or-later
"""Where things are kept, and who has the last word."""

import os
from pathlib import Path

import pytest
from helpers.errors import raises

from gentoomuch_portage.config import settings
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import BadFile


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
    found = Settings.load({"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}, eprefix=str(tmp_path / "p"))

    assert found.config == tmp_path / "p/etc/gentoomuch"
    assert found.state == tmp_path / "p/var/lib/gentoomuch"
    assert found.cache == tmp_path / "p/var/cache/gentoomuch"
    assert found.host == tmp_path / "p/etc/portage"


@pytest.mark.usefixtures("as_user")
def test_a_user_who_can_write_the_prefix_uses_its_directories(tmp_path: Path):
    found = Settings.load({"HOME": str(tmp_path)}, eprefix=str(tmp_path / "p"))

    assert found.state == tmp_path / "p/var/lib/gentoomuch"


@pytest.mark.usefixtures("as_user")
def test_another_user_uses_directories_in_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "access", lambda _path, _how: False)

    found = Settings.load({"HOME": str(tmp_path)}, eprefix=str(tmp_path / "p"))

    assert found.state == tmp_path / ".local/state/gentoomuch"
    assert found.cache == tmp_path / ".cache/gentoomuch"


@pytest.mark.usefixtures("as_user")
def test_xdg_moves_the_places_at_home_unless_it_is_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "access", lambda _path, _how: False)
    environ = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "s"), "XDG_CACHE_HOME": "relative"}

    found = Settings.load(environ, eprefix=str(tmp_path / "p"))

    assert found.state == tmp_path / "s/gentoomuch"
    assert found.cache == tmp_path / ".cache/gentoomuch"


@pytest.mark.usefixtures("as_user")
def test_a_users_own_configuration_is_used_only_if_it_exists(tmp_path: Path):
    environ = {"HOME": str(tmp_path)}
    assert Settings.load(environ, eprefix=str(tmp_path / "p")).config == tmp_path / "p/etc/gentoomuch"

    (tmp_path / ".config/gentoomuch").mkdir(parents=True)

    assert Settings.load(environ, eprefix=str(tmp_path / "p")).config == tmp_path / ".config/gentoomuch"


@pytest.mark.parametrize("name", ["state", "cache"])
def test_the_line_beats_the_environment_beats_the_file_beats_the_default(config: Path, name: str):
    def place(environ: dict[str, str], said: dict[str, str]) -> Path:
        return getattr(Settings.load({"GM_CONFIG": str(config), **environ}, eprefix="/p", options=said), name)

    plain = place({}, {})
    (config / "gentoomuch.toml").write_text(f"[paths]\n{name} = '/from-file'\n")

    assert plain != Path("/from-file")
    assert place({}, {}) == Path("/from-file")
    assert place({f"GM_{name.upper()}": "/from-env"}, {}) == Path("/from-env")
    assert place({f"GM_{name.upper()}": "/from-env"}, {name: "/from-line"}) == Path("/from-line")


def test_the_option_config_overrides_gm_config(config: Path, tmp_path: Path):
    found = Settings.load({"GM_CONFIG": str(tmp_path / "other")}, options={"config": str(config)})

    assert found.config == config


def test_a_relative_path_in_the_file_starts_at_its_directory(config: Path):
    (config / "gentoomuch.toml").write_text("[paths]\nstate = 'here'\n")

    assert Settings.load({"GM_CONFIG": str(config)}).state == config / "here"


def test_a_relative_path_on_the_command_line_starts_at_the_working_directory(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)

    found = Settings.load({"GM_CONFIG": str(config), "GM_CACHE": "c"}, options={"state": "s"})

    assert (found.state, found.cache) == (tmp_path / "s", tmp_path / "c")


def test_portage_configroot_is_the_configuration_of_the_host(tmp_path: Path):
    found = Settings.load({"PORTAGE_CONFIGROOT": str(tmp_path)}, eprefix="/p")

    assert found.host == tmp_path / "etc/portage"


@pytest.mark.usefixtures("as_user")
def test_the_active_profile_of_root_is_used_by_users_without_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "access", lambda path, how: how == os.R_OK and Path(path).exists())
    system, own = tmp_path / "p/var/lib/gentoomuch", tmp_path / ".local/state/gentoomuch"
    for name, text in (("profile", "router\n"), ("router/unmask.json", "[]")):
        (system / name).parent.mkdir(parents=True, exist_ok=True)
        (system / name).write_text(text)
    found = Settings.load({"HOME": str(tmp_path)}, eprefix=str(tmp_path / "p"))
    named = Settings.load({"GM_STATE": str(own)}, eprefix=str(tmp_path / "p"))

    assert (found.state, found.states, found.chosen) == (own, (own, system), "router")
    assert found.having("router/unmask.json") == system
    assert (named.states, named.chosen) == ((own,), "")

    own.mkdir(parents=True)
    (own / "profile").write_text("laptop\n")
    assert found.chosen == "laptop"
    assert found.having("router/other") == own


def test_in_a_shell_of_a_profile_the_host_is_still_the_host():
    found = Settings.load({"GM_HOST": "/", "PORTAGE_CONFIGROOT": "/var/cache/gentoomuch/configroots/x"}, eprefix="/p")

    assert found.host == Path("/etc/portage")


@pytest.mark.parametrize(("told", "strict"), [("", False), ("0", False), ("1", True), ("yes", True)])
def test_strict_by_environment(config: Path, told: str, strict: bool):
    assert Settings.load({"GM_CONFIG": str(config), "GM_STRICT": told}).strict is strict


def test_strict_by_file(config: Path):
    (config / "gentoomuch.toml").write_text("strict = true\n")

    assert Settings.load({"GM_CONFIG": str(config), "GM_STRICT": "0"}).strict


@pytest.mark.parametrize(
    ("text", "line"),
    [("strict = 1\n", 1), ("\n[paths]\nstat = '/x'\n", 3), ("[binhost.a]\ncpus = 'x'\n", 2), ("cpu = []\n", 1)],
)
def test_an_invalid_gentoomuch_toml_is_rejected_with_its_line(config: Path, text: str, line: int):
    (config / "gentoomuch.toml").write_text(text)

    with raises("bad-setting", match=r"gentoomuch\.toml") as caught:
        Settings.load({"GM_CONFIG": str(config)})

    assert caught.value.line == line


def test_the_chosen_profile_is_read_without_its_line_end(config: Path, tmp_path: Path):
    found = Settings.load({"GM_CONFIG": str(config), "GM_STATE": str(tmp_path)})
    assert found.chosen == ""

    (tmp_path / "profile").write_text("router\n")

    assert found.chosen == "router"


def test_bytes_that_are_no_text_are_no_name_of_a_profile(config: Path, tmp_path: Path):
    (tmp_path / "profile").write_bytes(b"\xff\n")

    with pytest.raises(BadFile, match=str(tmp_path / "profile")):
        _ = Settings.load({"GM_CONFIG": str(config), "GM_STATE": str(tmp_path)}).chosen


def test_broken_settings_count_as_a_profile_that_is_set(config: Path):
    (config / "gentoomuch.toml").write_text("[")

    assert settings.chosen({"GM_CONFIG": str(config)}, "")


def test_profile_set_reports_the_state_directory_of_an_ordinary_user(tmp_path: Path, capsys):
    """F16: it was written to another directory without a word."""
    from argparse import Namespace

    from gentoomuch_portage.cli import profile

    settings = Settings(
        config=tmp_path / "config",
        state=tmp_path / "own",
        cache=tmp_path / "cache",
        host=tmp_path / "host",
        shared=tmp_path / "system",
    )
    (settings.config / "profiles").mkdir(parents=True)
    (settings.config / "profiles/lab.toml").write_text("")
    asked = Namespace(unset=False, name="lab", quiet=False)

    profile._set(settings, asked)
    own = capsys.readouterr().err
    profile._set(settings._replace(shared=None), asked)
    system = capsys.readouterr().err

    assert str(settings.state) in own
    assert str(settings.shared) in own
    assert str(settings.state) not in system
