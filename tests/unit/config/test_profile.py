# SPDX-License-Identifier: GPL-2.0-or-later
"""Profiles on disk: names, defaults, layers."""

import re
from pathlib import Path

import pytest
from helpers.errors import raises

from gentoomuch_portage.builtin_plugins import profile as builtin_plugins_profile
from gentoomuch_portage.builtin_plugins import unmask
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.profile import Profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import BadLayer
from gentoomuch_portage.plan.plan import Env
from gentoomuch_portage.plan.request import Request


class Written:
    """A configuration directory."""

    def __init__(self, config: Path) -> None:
        self.config = config
        (config / "profiles").mkdir(parents=True)
        (config / "layers/common").mkdir(parents=True)

    def write(self, name: str, text: str) -> Path:
        (self.config / name).write_text(text)
        return self.config / name

    @property
    def settings(self) -> Settings:
        return Settings.load({"GM_CONFIG": str(self.config)})

    def read(self, text: str = "", name: str = "a") -> Profile:
        self.write(f"profiles/{name}.toml", text)
        return config_profile.read(self.settings, name)

    def folder(self, text: str, layer: str) -> Path:
        return config_profile.layer_folder(self.settings, self.read(text), layer)


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """A configuration directory with one layer ``common`` and no profile."""
    return Written(tmp_path / "config")


@pytest.mark.parametrize("name", ["../x", "/x", ".x", "-x", "", "a/b", "a b", "a\nb", "ä", "+x"])
def test_a_name_with_a_path_separator_or_leading_dot_is_invalid(written: Written, name: str):
    with raises("bad-name") as caught:
        config_profile.read(written.settings, name)

    assert caught.value.status == 78


def test_in_a_shell_of_another_profile_the_root_is_that_of_this_one(monkeypatch: pytest.MonkeyPatch, written: Written):
    monkeypatch.setenv("GM_HOST", "/")
    monkeypatch.setenv("ROOT", "/roots/server")

    parts = list(builtin_plugins_profile.gm_parts(Request((), {}), written.settings, written.read()))

    assert parts == [Env("ROOT", "/"), Env("SYSROOT", "/")]


def _of_state() -> set[str]:
    """What our code calls its files directly below the folder of state."""
    code = "".join(file.read_text() for file in Path(config_profile.__file__).parents[1].rglob("*.py"))
    return {*re.findall(r'settings\.state / "([\w.]+)', code), *re.findall(r'\bstate / "(trusted)"', code)}


def test_names_of_state_files_are_reserved(written: Written):
    assert {"profile", "binhost", "trusted", "hooks"} <= _of_state()
    for name in _of_state():
        with raises("taken-name", "bad-name", match=name):  # no profile can be named like ``.farm``
            written.read(name=name)


@pytest.mark.parametrize(
    ("text", "told", "line"),
    [
        ('cpu = ""\n[container]\ndisk = "20X"\n', "disk = '20X' is not a size", 3),
        ("[container]\nprocesses = -1\n", "processes = -1 is less than 0", 2),
        ('emerge = [\n"-q",\n"--gm-profile=x"]\n', "emerge = '--gm-profile=x' is not an option of emerge", 3),
    ],
)
def test_an_invalid_value_is_reported_with_its_line(written: Written, text: str, told: str, line: int):
    with raises("bad-setting", match=told) as caught:
        written.read(text)

    assert caught.value.line == line


def test_keys_of_unmask_accept_only_atoms(written: Written):
    profile = written.read('[unmask]\nkeywords = ["dev-libs/*", "=a/b-1::gentoo", "foo bar"]\n')

    with raises("bad-setting", match=r"a.toml:2: keywords: 'foo bar' is not an atom"):
        list(unmask.gm_parts(Request((), {}), written.settings, profile))


@pytest.mark.parametrize("name", ["a", "router-2", "x86_64.musl", "c++", "9"])
def test_names_as_gentoo_has_them_are_names(written: Written, name: str):
    assert written.read(name=name).name == name


def test_an_unknown_profile_names_those_that_there_are_and_the_nearest(written: Written):
    written.read(name="laptop")

    with raises("unknown-profile", match=r"'laptpo' not found \(available: laptop\)") as caught:
        config_profile.read(written.settings, "laptpo")

    assert caught.value.hint == "gentoomuch profile show laptop"


def test_only_files_that_can_be_profiles_are_listed(written: Written):
    for name in ("b.toml", "a.toml", ".hidden.toml", "notes.txt", "c.toml~"):
        written.write(f"profiles/{name}", "")

    (written.settings.config / "profiles/folder.toml").mkdir()

    assert config_profile.names(written.settings) == ("a", "b")


def test_an_empty_profile_is_the_host(written: Written):
    found = written.read()

    assert (found.base, found.root, found.layers, found.foreign) == ("host", Path("/"), (), False)
    assert found.unmask == {"keywords": True, "live": False, "use": True, "license": False, "mask": False}
    assert found.binpkg["unknown"] == "reject"


def test_the_profile_overrides_the_defaults(written: Written):
    written.write("gentoomuch.toml", "cpu = 'x86-64'\nlayers = ['common']\n[unmask]\nlive = true\nuse = false\n")

    found = written.read("cpu = 'native'\n[unmask]\nuse = ['a/b']\n")

    assert (found.cpu, found.layers) == ("native", ("common",))
    assert found.unmask == {"keywords": True, "live": True, "use": ["a/b"], "license": False, "mask": False}


def test_keys_of_a_binhost_are_invalid_in_a_profile(written: Written):
    written.write("gentoomuch.toml", "[binhost.a]\ncpu = 'x86-64'\n")

    assert written.read().name == "a"


@pytest.mark.parametrize("text", ["root = 'x'\n", "root = ''\n", "root = './x'\n"])
def test_a_relative_root_is_rejected(written: Written, text: str):
    with raises("bad-setting", match="not an absolute path") as caught:
        written.read(f"\n{text}")

    assert caught.value.line == 2


@pytest.mark.parametrize("root", ["/", "//", "/.", "/x/.."])
def test_every_way_to_write_this_machines_root_means_it(written: Written, root: str):
    assert not written.read(f"root = '{root}'").foreign


def test_an_error_in_the_defaults_is_reported_with_their_file(written: Written):
    defaults = written.write("gentoomuch.toml", "# ours\nroot = 'x'\nlayers = ['common', 'comon']\ncpu = 'i1'\n")

    with raises("bad-setting") as caught:
        written.read()

    assert (caught.value.path, caught.value.line) == (str(defaults), 2)
    defaults.write_text(defaults.read_text().replace("'x'", "'/x'"))
    assert written.read().where("cpu") == f"{defaults}:4"
    with pytest.raises(BadLayer, match=rf"{defaults}:3: layer 'comon' not found"):
        written.folder("", "comon")


def test_a_place_is_the_line_of_the_key(written: Written):
    found = written.read("# cpu\n\ncpu = 'x'\nlayers = [\n'a',\n'b']\n")

    assert found.where("cpu") == f"{found.file}:3"
    assert found.where("layers", "b") == f"{found.file}:6"
    assert found.where("root") == str(found.file)


def test_a_missing_layer_is_reported_with_its_line_and_the_most_similar_one(written: Written):
    with pytest.raises(BadLayer, match=r"a\.toml:2: layer 'comon' not found \(available: common\)") as caught:
        written.folder("layers = ['common',\n'comon']\n", "comon")

    assert (caught.value.status, caught.value.hint) == (78, 'did you mean "common"?')


def test_a_layer_that_is_a_broken_link_is_reported_with_its_target(written: Written):
    (written.config / "layers/b").symlink_to("nowhere")

    with pytest.raises(BadLayer, match=r"a\.toml:1: layer 'b' is a broken link: .*/layers/b -> nowhere"):
        written.folder("layers = ['b']\n", "b")


def test_a_layer_that_is_a_loop_of_links_is_an_error(written: Written):
    (written.config / "layers/b").symlink_to("b")

    with pytest.raises(BadLayer, match="broken link"):
        written.folder("layers = ['b']\n", "b")


def test_a_layer_that_links_out_of_the_configuration_is_an_error(written: Written, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (written.config / "layers/b").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(BadLayer, match=r"a\.toml:1: layer 'b' is outside of"):
        written.folder("layers = ['b']\n", "b")


def test_a_layer_that_is_a_link_within_the_configuration_is_one(written: Written):
    (written.config / "layers/b").symlink_to("common")

    assert written.folder("layers = ['b']\n", "b") == written.config / "layers/b"


def test_a_linked_configuration_directory_is_valid(written: Written, tmp_path: Path):
    (tmp_path / "linked").symlink_to(written.config)
    through = Written.__new__(Written)
    through.config = tmp_path / "linked"

    assert through.folder("layers = ['common']\n", "common") == tmp_path / "linked/layers/common"


def test_a_layer_that_is_a_file_is_none(written: Written):
    written.write("layers/b", "")

    with pytest.raises(BadLayer, match="layer 'b' not found"):
        written.folder("layers = ['b']\n", "b")


def test_the_name_of_a_layer_cannot_leave_its_directory(written: Written):
    with raises("bad-name", match=r"a\.toml:2: invalid layer name '\.\./x'"):
        written.folder("layers = [\n'../x']\n", "../x")
