"""What is wrong in a layer, told with its place."""

import os
from pathlib import Path

import pytest

from gentoomuch_portage.errors import BadFile, BadLayer

AS_ROOT = pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")


@pytest.mark.parametrize("name", ["package.use", "env/x", "make.conf", "profile/package.mask", "profile/make.defaults"])
def test_a_link_out_of_the_configuration_is_refused(layers, tmp_path: Path, name: str):
    (tmp_path / "secret").write_text("A=1\n")
    link = layers.link(f"one/{name}", tmp_path / "secret")

    with pytest.raises(BadLayer, match="leads out of") as caught:
        layers.composed()

    assert caught.value.message.startswith(f"{link}: ")


def test_a_linked_profile_folder_out_of_the_configuration_is_refused(layers, tmp_path: Path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/package.mask").write_text("a/a\n")
    layers.link("one/profile", tmp_path / "secret")

    with pytest.raises(BadLayer, match="leads out of"):
        layers.composed()


def test_a_broken_link_is_refused_with_its_target(layers):
    link = layers.link("one/package.use", "nowhere")

    with pytest.raises(BadLayer, match=r"broken link to nowhere") as caught:
        layers.composed()

    assert caught.value.message.startswith(f"{link}: ")
    assert caught.value.remedy == f"rm {link}"


@pytest.mark.parametrize(
    ("target", "said"), [(".", "leads back to"), ("..", "leads back to"), ("loop", "broken link to loop")]
)
def test_a_loop_of_links_is_refused(layers, target: str, said: str):
    layers.write("one/env/a/b", "")
    layers.link("one/env/a/loop", target)

    with pytest.raises(BadLayer, match=rf"env/a/loop: this .*{said}"):
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
def test_a_folder_that_this_user_cannot_read_is_named(layers, name: str):
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
        ("package.use", "a/a x\na x\n", 2, "'a' is no atom"),
        ("package.use/more", "\n# a\n=a/a x\n", 3, "'=a/a' is no atom"),
        ("package.use", "a/a x,y\n", 1, "'x,y' is no USE flag"),
        ("package.mask", ">=a/a-1\n-=a/a-2\n=a/b\n", 3, "'=a/b' is no atom"),
        ("package.accept_keywords", "a/a ~amd64\na/b: **\n", 2, "'a/b:' is no atom"),
        ("profile/package.mask", "a\n", 1, "'a' is no atom"),
    ],
)
def test_an_error_in_a_list_of_atoms_names_its_line(layers, name: str, text: str, line: int, said: str):
    file = layers.write(f"one/{name}", text)

    with pytest.raises(BadFile, match=said) as caught:
        layers.composed()

    assert (caught.value.path, caught.value.line) == (str(file), line)


def test_everything_that_portage_takes_for_atoms_and_flags_is_taken(layers):
    use = "*/* -x y\n>=a/b-1.2-r3:2/3::repo VIDEO_CARDS: -* intel L10N: de-AT\na/b -* x86_*  # c\n<a/b-2[x] z\n"
    layers.write("one/package.use", "\n".join(line for line in use.splitlines() if "[x]" not in line))
    layers.write("one/package.mask", "-a/b\n*/*::repo\n=a/b-1-2\n~a/b-1\n=a/b-1*\n")
    layers.write("one/package.license", "a/b @EULA -GPL-2\n")

    assert len(layers.shown()) == 3
