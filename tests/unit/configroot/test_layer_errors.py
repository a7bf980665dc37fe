# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong in a layer, told with its place."""

import os
from pathlib import Path

import pytest

from gentoomuch_portage.errors import BadFile, BadLayer

AS_ROOT = pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")


@pytest.mark.parametrize("name", ["package.use", "env/x", "make.conf", "profile/package.mask", "profile/make.defaults"])
def test_a_link_out_of_the_configuration_is_rejected(layers, tmp_path: Path, name: str):
    (tmp_path / "secret").write_text("A=1\n")
    link = layers.link(f"one/{name}", tmp_path / "secret")

    with pytest.raises(BadLayer, match="outside of") as caught:
        layers.composed()

    assert caught.value.message.startswith(f"{link}: ")


def test_a_linked_profile_directory_out_of_the_configuration_is_rejected(layers, tmp_path: Path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/package.mask").write_text("a/a\n")
    layers.link("one/profile", tmp_path / "secret")

    with pytest.raises(BadLayer, match="outside of"):
        layers.composed()


def test_a_broken_link_is_rejected_with_its_target(layers):
    link = layers.link("one/package.use", "nowhere")

    with pytest.raises(BadLayer, match=r"broken link to nowhere") as caught:
        layers.composed()

    assert caught.value.message.startswith(f"{link}: ")
    assert caught.value.hint == f"rm {link}"


@pytest.mark.parametrize(
    ("target", "said"), [(".", "own parent directory"), ("..", "own parent directory"), ("loop", "broken link to loop")]
)
def test_a_loop_of_links_is_rejected(layers, target: str, said: str):
    layers.write("one/env/a/b", "")
    layers.link("one/env/a/loop", target)

    with pytest.raises(BadLayer, match=rf"env/a/loop: .*{said}"):
        layers.composed()


@AS_ROOT
@pytest.mark.parametrize("name", ["bashrc", "make.conf", "package.use", "profile/make.defaults"])
def test_a_file_that_this_user_cannot_read_is_named(layers, name: str):
    file = layers.write(f"one/{name}", "")
    file.chmod(0)

    with pytest.raises(BadFile, match=str(file)):
        layers.composed()


@AS_ROOT
@pytest.mark.parametrize("name", ["env", "make.conf", "package.use", "profile", "profile/package.mask"])
def test_an_unreadable_directory_is_reported_with_its_path(layers, name: str):
    folder = layers.write(f"one/{name}/x", "").parent
    folder.chmod(0)
    try:
        with pytest.raises(BadFile, match=str(folder)):
            layers.composed()
    finally:
        folder.chmod(0o755)


@pytest.mark.parametrize(
    ("name", "text", "line", "said"),
    [
        ("package.use", "a/a x\na x\n", 2, "'a' is not a valid atom"),
        ("package.use/more", "\n# a\n=a/a x\n", 3, "'=a/a' is not a valid atom"),
        ("package.use", "a/a x,y\n", 1, "'x,y' is not a valid USE flag"),
        ("package.mask", ">=a/a-1\n-=a/a-2\n=a/b\n", 3, "'=a/b' is not a valid atom"),
        ("package.accept_keywords", "a/a ~amd64\na/b: **\n", 2, "'a/b:' is not a valid atom"),
        ("profile/package.mask", "a\n", 1, "'a' is not a valid atom"),
        ("profile/package.provided", "a/a-1\na/b\n", 2, "'a/b' is not a package with its version"),
        ("profile/package.provided", "=a/a-1\n", 1, "'=a/a-1' is not a package with its version"),
        ("profile/package.provided/x", "a-1\n", 1, "'a-1' is not a package with its version"),
    ],
)
def test_an_error_in_a_list_of_atoms_names_its_line(layers, name: str, text: str, line: int, said: str):
    file = layers.write(f"one/{name}", text)

    with pytest.raises(BadFile, match=said) as caught:
        layers.composed()

    assert (caught.value.path, caught.value.line) == (str(file), line)


def test_all_invalid_lines_of_all_layers_are_in_one_error(layers):
    """FC12: old configurations have dozens of lines that Portage reports and ignores."""
    first = layers.write("one/package.accept_keywords/qt", "a/a-5.3*:5\na/c ~amd64\na/b-5.3*:5\n")
    second = layers.write("two/package.use", "a/a x,y z,\nnone x\n")

    with pytest.raises(BadFile) as caught:
        layers.composed()

    places = [(error.path, error.line) for error in (caught.value, *caught.value.others)]
    assert places == [(str(first), 1), (str(first), 3), (str(second), 1), (str(second), 2)]


def test_all_atoms_and_flags_of_portage_are_accepted(layers):
    use = "*/* -x y\n>=a/b-1.2-r3:2/3::repo VIDEO_CARDS: -* intel L10N: de-AT\na/b -* x86_*  # c\n<a/b-2[x] z\n"
    layers.write("one/package.use", "\n".join(line for line in use.splitlines() if "[x]" not in line))
    layers.write("one/package.mask", "-a/b\n*/*::repo\n=a/b-1-2\n~a/b-1\n=a/b-1*\n")
    layers.write("one/package.license", "a/b @EULA -GPL-2\n")
    layers.write("one/profile/package.provided", "# here\na/b-1.2\n-a/b-c-3_rc1-r2  # not here\n")

    assert len(layers.shown()) == 4
