# SPDX-License-Identifier: GPL-2.0-or-later
"""One /etc/portage out of several: each rule of composition."""

import os
from pathlib import Path

import pytest

from gentoomuch_portage.configroot.layers import compose
from gentoomuch_portage.configroot.make_conf import join, join_defaults
from gentoomuch_portage.plan.plan import File, Line

AS_ROOT = pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")


@pytest.mark.parametrize("many", [3, 11, 101])
def test_pieces_of_a_directory_keep_the_order_of_their_layers(layers, many: int):
    names = [f"l{many - number}" for number in range(many)]
    for name in names:
        layers.write(f"{name}/package.use", f"a/{name} x\n")

    shown = layers.shown(Line("package.use", "a/last x"))

    assert [text.split()[0] for text in shown.values()] == [*(f"a/{name}" for name in names), "a/last"]


def test_a_file_in_one_layer_and_a_directory_in_another_are_both_read(layers):
    layers.write("one/package.use", "a/a x\n")
    layers.write("two/package.use/more", "a/b x\n")

    assert layers.shown() == {"package.use/0-one": "a/a x\n", "package.use/1-two/more": "a/b x\n"}


@pytest.mark.parametrize(
    "name", ["bashrc", "savedconfig/a/b", "env/a", "sets/mine", "patches/a/b/c.patch", "color.map"]
)
def test_a_file_keyed_by_its_name_is_that_of_the_later_layer(layers, name: str):
    before = layers.write(f"one/{name}", "one")
    now = layers.write(f"two/{name}", "two")

    assert layers.shown() == {name: "two"}
    assert layers.composed().hidden == [(before, now)]


def test_equal_files_hide_nothing(layers):
    layers.write("one/bashrc", "same")
    layers.write("two/bashrc", "same")

    assert layers.composed().hidden == []


def test_a_directory_of_a_later_layer_replaces_a_file(layers):
    before = layers.write("one/savedconfig/a/b", "one")
    now = layers.write("two/savedconfig/a/b/c", "two")

    assert layers.shown() == {"savedconfig/a/b/c": "two"}
    assert layers.composed().hidden == [(before, now)]


def test_a_file_of_a_later_layer_replaces_a_directory(layers):
    before = layers.write("one/savedconfig/a/b/c", "one")
    now = layers.write("two/savedconfig/a/b", "two")

    assert layers.shown() == {"savedconfig/a/b": "two"}
    assert layers.composed().hidden == [(before, now)]


@pytest.mark.parametrize(
    "name", ["repos.conf", "binrepos.conf", "sets.conf", "mirrors", "package.env", "profile/use.mask"]
)
def test_files_that_may_be_directories_are_stacked(layers, name: str):
    layers.write(f"one/{name}", "")
    layers.write(f"two/{name}", "")

    assert list(layers.shown()) == [f"{name}/0-one", f"{name}/1-two"]


@pytest.mark.parametrize("name", ["eapi", "packages", "virtuals", "profile.bashrc"])
def test_files_of_profile_that_cannot_be_directories_stay_files(layers, name: str):
    layers.write(f"one/profile/{name}", "one")
    layers.write(f"two/profile/{name}", "two")

    assert layers.shown() == {f"profile/{name}": "two"}


@pytest.mark.parametrize(
    "name", [".git/config", ".hidden", "backup~", "CVS/Root", "RCS/x", "SCCS/x", "a/.svn/x", "a/b~"]
)
def test_files_that_portage_ignores_are_not_copied(layers, name: str):
    layers.write(f"one/package.use/{name}", "no atom at all")
    layers.write(f"one/env/{name}", "X=1")

    assert layers.shown() == {}


def test_a_package_is_not_passed_over_for_its_name(layers):
    layers.write("one/package.use/gnupg", "app-crypt/gnupg x\n")
    layers.write("one/package.use/CVS", "dev-vcs/cvs x\n")
    layers.write("one/patches/app-crypt/gnupg/mend.patch", "+")
    layers.write("one/env/make.profile", "X=1")

    assert [name.partition("/")[2] for name in layers.shown()] == [
        "make.profile", "0-one/CVS", "0-one/gnupg", "app-crypt/gnupg/mend.patch",
    ]  # fmt: skip


def test_a_make_profile_and_a_keyring_of_a_layer_are_left_out(layers):
    layers.write("one/make.profile/parent", "..")
    layers.write("one/gnupg/pubring.kbx", "")

    assert layers.shown() == {}


def test_links_within_the_configuration_are_followed(layers):
    layers.write("one/package.use/a", "a/a x\n")
    layers.link("two/package.use", "../one/package.use")
    layers.link("two/bashrc", layers.write("one/bashrc", "true"))

    shown = layers.shown()

    assert shown["package.use/1-two/a"] == "a/a x\n"
    assert shown["bashrc"] == "true"


def test_links_of_the_host_are_its_owners_affair(layers, tmp_path: Path):
    host = tmp_path / "etc/portage"
    host.mkdir(parents=True)
    (tmp_path / "elsewhere").write_text("a/a x\n")
    (host / "package.use").symlink_to(tmp_path / "elsewhere")
    (host / "package.mask").symlink_to("nowhere")

    assert layers.shown(host=host) == {"package.use/0-host": "a/a x\n"}


def test_files_of_a_make_conf_directory_are_read_in_portages_order(layers):
    layers.write("one/make.conf/b", "A=b\n")
    layers.write("one/make.conf/a", "A=a\n")
    layers.write("one/make.conf/c~", "A=c\n")
    layers.write("one/make.conf/z/0", "A=z\n")

    (piece,) = layers.composed().pieces

    assert [path.name for path, _ in piece.files] == ["a", "b", "0"]
    assert piece.values == {"A": "z"}


def test_the_make_conf_of_a_layer_sees_variables_of_the_layers_below(layers):
    layers.write("one/make.conf", 'A="a"\n')
    layers.write("two/make.conf", 'A="${A} b"\n')

    assert layers.composed().pieces[1].values == {"A": "a b"}


def test_files_that_make_conf_sources_are_read(layers):
    deep = layers.write("one/deep", "B=1\n")
    layers.write("one/more", "source deep\n")
    layers.write("one/make.conf", 'WHERE="."\nsource ${WHERE}/more\n')

    composed = layers.composed()

    assert composed.pieces[0].values == {"WHERE": ".", "B": "1"}
    assert str(deep) in {os.path.normpath(path) for path in composed.inputs}


def test_the_old_place_of_a_hosts_make_conf_is_read_first(layers, tmp_path: Path):
    host = tmp_path / "etc/portage"
    host.mkdir(parents=True)
    (host.parent / "make.conf").write_text("A=old\nB=old\n")
    (host / "make.conf").write_text("A=new\n")

    assert [piece.values for piece in layers.composed(host=host).pieces] == [{"A": "old", "B": "old"}, {"A": "new"}]


def test_make_defaults_of_two_layers_add_up(layers):
    layers.write("one/profile/make.defaults", 'USE="a -b"\nARCH="x"\n')
    layers.write("two/profile/make.defaults", 'USE="b"\n')

    assert join_defaults(layers.composed().defaults, {"USE"}).splitlines()[-1] == 'USE="a b"'


def test_windows_line_ends_mean_nothing(layers):
    layers.write("one/make.conf", b'A="a"\r\nB="b"\r\n')

    (piece,) = layers.composed().pieces

    assert piece.values == {"A": "a", "B": "b"}
    assert "\r" not in join([piece], ())


def test_invalid_utf8_is_copied_in_files_and_marked_in_make_conf(layers):
    layers.write("one/env/a", b"X=\xff\n")
    layers.write("one/make.conf", b"A=\xff\n")

    composed = layers.composed()

    assert composed.files["env/a"][0] == b"X=\xff\n"
    assert composed.pieces[0].values == {"A": "\ufffd"}


def test_modes_of_files_are_copied(layers):
    layers.write("one/repo.postsync.d/x", "").chmod(0o750)

    assert layers.composed().files["repo.postsync.d/x"][1] == 0o750


def test_for_building_flags_and_make_profile_of_layers_are_ignored(layers):
    layers.write("one/make.conf", 'CFLAGS="-O1"\n')
    layers.write("one/profile/package.mask", "a/a\n")
    layers.write("one/bashrc", "")
    layers.write("one/package.use", "a/a x\n")
    layers.write("one/patches/a/a/x.patch", "")

    composed = layers.composed(
        Line("make.conf", 'CFLAGS="-O3"'), Line("package.mask", "a/b"), File("bashrc", "x"), building=True
    )

    assert composed.pieces == []
    assert sorted(composed.files) == ["package.mask/1-plugins", "package.use/0-one", "patches/a/a/x.patch"]


def test_for_building_all_settings_of_the_host_apply(layers, tmp_path: Path):
    host = tmp_path / "etc/portage"
    (host / "profile").mkdir(parents=True)
    (host / "make.conf").write_text("A=1\n")
    (host / "profile/package.mask").write_text("a/a\n")

    composed = layers.composed(host=host, building=True)

    assert composed.pieces[0].values == {"A": "1"}
    assert list(composed.files) == ["profile/package.mask/0-host"]


def test_lines_of_plugins_follow_all_layers_with_the_name_of_the_plugin(layers):
    layers.write("one/package.use", "a/a x\n")

    shown = layers.shown(Line("package.use", "a/a -x"), Line("env/x", "A=1"), Line("make.conf", 'A="1"'))

    assert shown == {"env/x": "A=1\n", "package.use/0-one": "a/a x\n", "package.use/1-plugins": "a/a -x  # plugin\n"}
    assert layers.composed(Line("make.conf", 'A="1"')).pieces[0].values == {"A": "1"}


def test_additions_of_plugins_do_not_depend_on_their_order(layers):
    parts = [
        ("b", Line("package.use", "a/b x")),
        ("a", Line("package.use", "a/a x")),
        ("c", File("package.use", "# c")),
    ]

    forward, backward = compose([], parts), compose([], parts[::-1])

    assert forward.files == backward.files
    assert forward.files["package.use/0-plugins"][0] == b"# c\na/a x  # a\na/b x  # b\n"


def test_all_directories_that_were_read_are_recorded(layers):
    file = layers.write("one/patches/a/b/c.patch", "")

    inputs = layers.composed().inputs

    assert {str(file), *(str(folder) for folder in file.parents[:4])} <= inputs.keys()
