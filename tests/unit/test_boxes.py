"""Boxes as data: what stands in them, where their changes go, and what may come out."""

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gentoomuch_portage.config.profile import size
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.containers import artifacts, backends, host_paths, id_maps, init, lifecycle
from gentoomuch_portage.containers.host_overlay import PACKAGES
from gentoomuch_portage.containers.mounts import within
from gentoomuch_portage.containers.overlay import copied, covers, mounted, upper_of
from gentoomuch_portage.containers.spec import Bind, Box, Dev, Link, Overlay, Proc, Tmpfs

ROOT = Path(__file__).parents[2]
words = st.binary(max_size=9).filter(lambda one: b"\0" not in one).map(os.fsdecode)
"""What a program can be given: anything but NUL."""


def test_a_box_is_the_same_after_it_was_written_down(tmp_path: Path) -> None:
    mounts = (
        Overlay("/usr", "/usr", "/run/u"),
        Bind("/a", "/b", True),
        Tmpfs("/tmp", 0o1777),
        Dev(),
        Proc(),
        Link("x", "/y"),
    )
    box = Box(mounts=mounts, run=str(tmp_path), argv=("sh", "-c", "a b"), env={"A": "1\n2"}, door=("p",), network=True)
    assert Box.from_json(box.to_json()) == box


@given(
    st.lists(words, max_size=4),
    st.dictionaries(words.filter(lambda one: one and "=" not in one), words, max_size=4),
    words,
    st.integers(0, 2**63),
)
def test_a_box_hears_of_its_program_whatever_is_in_its_words(argv, env, cwd, disk) -> None:
    box = Box(mounts=(), run="/r", argv=tuple(argv), env=env, cwd=cwd, disk=disk, processes=7)
    told = init.unpacked(init.packed(box))
    assert (tuple(told.argv), told.env, told.cwd, told.disk, told.processes) == (box.argv, env, cwd, disk, 7)


def test_starting_a_box_imports_nothing_that_takes_long() -> None:
    names = "import sys, gentoomuch_portage.containers.init; print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-S", "-c", names], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"json", "pathlib", "re", "typing"}.isdisjoint(shown.stdout.split())


def test_a_step_into_a_box_that_fails_tells_where() -> None:
    fails = "import os; from gentoomuch_portage.containers import linux; linux.fork(lambda: 1 / 0); print(os.wait()[1])"
    shown = subprocess.run([sys.executable, "-c", fails], cwd=ROOT, capture_output=True, text=True, check=True)
    assert os.waitstatus_to_exitcode(int(shown.stdout)) == 70
    assert 'linux.py", line' in shown.stderr
    assert shown.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_nobody_else_gets_to_what_a_box_writes(tmp_path: Path) -> None:
    settings = Settings.of({"GM_STATE": str(tmp_path / "state")})
    with lifecycle.folder(tmp_path) as place:
        assert place.stat().st_mode & 0o077 == 0
    assert lifecycle.keep(settings, "router", "lab").parent.stat().st_mode & 0o077 == 0


def test_a_folder_without_obstacles_is_one_overlay(tmp_path: Path) -> None:
    folder = tmp_path / "usr"
    folder.mkdir()
    assert list(copied(folder, tmp_path / "up", ())) == [
        Overlay(str(folder), str(folder), str(tmp_path / "up" / str(folder).strip("/").replace("/", "%")))
    ]


def test_an_overlay_never_holds_its_own_upper_folder(tmp_path: Path) -> None:
    run = tmp_path / "var/cache/gm/run"
    run.mkdir(parents=True)
    (tmp_path / "var/lib").mkdir()
    (tmp_path / "var/note").write_text("x")
    (tmp_path / "var/link").symlink_to("lib")
    laid = list(copied(tmp_path / "var", run / "upper", (run,)))
    lowers = [Path(one.source) for one in laid if isinstance(one, Overlay)]
    assert lowers == [tmp_path / "var/lib"]
    assert Link("lib", str(tmp_path / "var/link")) in laid
    assert Bind(str(tmp_path / "var/note"), str(tmp_path / "var/note")) in laid
    assert not any(Path(one.target).is_relative_to(run) for one in laid)


def test_two_folders_never_share_an_upper_one() -> None:
    names = {upper_of(copied(Path(name), Path("/up"), ()), Path(name)) for name in ("/usr", "/etc", "/var", "/opt")}
    assert len(names - {None}) == sum(
        Path(name).is_dir() and not Path(name).is_symlink() for name in ("/usr", "/etc", "/var", "/opt")
    )


def test_the_changes_below_a_path_are_found_under_the_innermost_overlay() -> None:
    mounts = (Overlay("/var", "/var", "/up/var"), Overlay("/p", "/var/db", "/up/db"), Tmpfs("/var/tmp"))
    assert upper_of(mounts, Path("/var/db/pkg")) == Path("/up/db/pkg")
    assert upper_of(mounts, Path("/var/lib")) == Path("/up/var/lib")
    assert upper_of(mounts, Path("/var/tmp/x")) is None


def test_what_an_inner_mount_hides_is_not_covered() -> None:
    mounts = (Bind("/home", "/home"), Tmpfs("/home/me"))
    assert covers(mounts, Path("/home/you"))
    assert not covers(mounts, Path("/home/me/x"))


def test_a_mount_point_with_a_space_or_no_text_is_read_right(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_bytes(b"22 1 0:21 / /a\\040b rw - tmpfs tmpfs rw\n23 1 0:22 / /c\\134d\xff rw - tmpfs tmpfs rw\n")
    assert mounted(str(table)) == (Path("/a b"), Path(os.fsdecode(b"/c\\d\xff")))


@pytest.mark.parametrize(
    ("link", "asked", "found"),
    [("/etc", "/a/b", "etc/b"), ("../../../etc", "/a/b", "etc/b"), ("x/../y", "/a/b", "y/b"), (".", "/a/b", "b")],
)
def test_a_link_in_a_root_leads_nowhere_but_into_it(tmp_path: Path, link: str, asked: str, found: str) -> None:
    (tmp_path / "a").symlink_to(link)
    assert within(tmp_path, asked) == tmp_path / found


def test_links_in_a_circle_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        within(tmp_path, "/a/c")


def test_a_session_and_its_secrets_stay_outside() -> None:
    told = {
        "USE": "x",
        "LANG": "C",
        "SSH_AUTH_SOCK": "/s",
        "GITHUB_TOKEN": "t",
        "MY_PASSWORD": "p",
        "HOME": "/h",
        "GM_PROFILE": "r",
        "BORG_PASSPHRASE": "x",
        "MYSQL_PWD": "x",
        "SSHPASS": "x",
        "CI_DEPLOY_KEY": "x",
        "NPM_CONFIG__AUTH": "x",
        "OPENAI_APIKEY": "x",
        "http_proxy": "http://u:p@h",
        "BINPKG_GPG_SIGNING_KEY": "0xNAME",
        "PWD": "/",
        "SYSROOT": "/s",
    }
    assert host_paths.environment(told) == {
        "USE": "x",
        "LANG": "C",
        "BINPKG_GPG_SIGNING_KEY": "0xNAME",
        "PWD": "/",
    }
    assert host_paths.proxies(told) == {"http_proxy": "http://u:p@h"}


@pytest.mark.parametrize(("text", "bytes_"), [("", 0), ("512", 512), ("3K", 3072), ("20G", 20 << 30)])
def test_a_size_means_bytes(text: str, bytes_: int) -> None:
    assert size(text) == bytes_


@pytest.mark.parametrize("kind", sorted(backends.ARGV))
def test_the_last_step_into_a_box_is_found_where_the_box_has_it(kind: str) -> None:
    words = backends.ARGV[kind](Box(mounts=(), run="/r", door=("python",), env={"PYTHONPATH": "/in", "PATH": "/bin"}))
    told = " ".join(words[: words.index("python")]).replace("PYTHONPATH=", "PYTHONPATH ")
    assert "PYTHONPATH /in" in told


@pytest.mark.parametrize("kind", sorted(backends.ARGV))
def test_no_kind_of_container_gets_the_network_unasked(kind: str) -> None:
    box = Box(mounts=(), run="/r", door=("python",))
    words = " ".join(backends.ARGV[kind](box))
    assert "--unshare-net" in words or "--private-network" in words or "--network none" in words


def _gpkg(path: Path, category: str, name: str, build_id: str) -> None:
    """A package as far as it is looked at: its metadata."""
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = io.BytesIO()
    with tarfile.open(fileobj=metadata, mode="w") as inner:
        for key, value in (("CATEGORY", category), ("PF", name), ("BUILD_ID", build_id)):
            entry = tarfile.TarInfo(f"metadata/{key}")
            entry.size = len(value)
            inner.addfile(entry, io.BytesIO(value.encode()))
    with tarfile.open(path, "w") as outer:
        for member, content in ((f"{name}/gpkg-1", b""), (f"{name}/metadata.tar", metadata.getvalue())):
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            outer.addfile(entry, io.BytesIO(content))


def _taken(run: Path) -> tuple[list[artifacts.Taken], list[str]]:
    told: list[str] = []

    def taker() -> Callable[[Path, str, int], int]:
        return lambda _file, _cpv, build_id: build_id

    return artifacts.take_over(run, taker, told.append), told


def test_a_finished_package_comes_out(tmp_path: Path) -> None:
    _gpkg(tmp_path / PACKAGES / "app-misc/a/a-1-2.gpkg.tar", "app-misc", "a-1", "2")
    assert _taken(tmp_path) == ([artifacts.Taken("app-misc/a-1", 2, 2)], [])


def test_a_package_that_says_it_is_another_one_stays_inside(tmp_path: Path) -> None:
    _gpkg(tmp_path / PACKAGES / "app-misc/a/a-1-2.gpkg.tar", "sys-libs", "glibc-2", "2")
    taken, told = _taken(tmp_path)
    assert not taken
    assert "sys-libs/glibc-2" in told[0]


def test_a_link_in_the_place_of_a_package_is_not_followed(tmp_path: Path) -> None:
    _gpkg(tmp_path / "secret/a-1-2.gpkg.tar", "app-misc", "a-1", "2")
    below = tmp_path / PACKAGES / "app-misc/a"
    below.mkdir(parents=True)
    (below / "a-1-2.gpkg.tar").symlink_to(tmp_path / "secret/a-1-2.gpkg.tar")
    (tmp_path / PACKAGES / "app-other").symlink_to(tmp_path / "secret")
    os.link(tmp_path / "secret/a-1-2.gpkg.tar", below / "a-1-3.gpkg.tar")
    assert _taken(tmp_path) == ([], [])


def test_an_unfinished_package_is_never_seen(tmp_path: Path) -> None:
    below = tmp_path / PACKAGES / "app-misc/a"
    below.mkdir(parents=True)
    (below / "a-1-1.gpkg.tar").touch()
    (below / "a-1-2.gpkg.tar.1234").write_bytes(b"half")
    assert _taken(tmp_path) == ([], [])


def test_what_is_no_package_is_told_and_left(tmp_path: Path) -> None:
    below = tmp_path / PACKAGES / "app-misc/a"
    below.mkdir(parents=True)
    (below / "a-1-1.gpkg.tar").write_bytes(b"junk" * 1000)
    taken, told = _taken(tmp_path)
    assert not taken
    assert "a-1-1.gpkg.tar" in told[0]


def test_where_a_container_has_one_user_that_one_builds() -> None:
    assert id_maps.builder(several=True) == {}
    assert id_maps.builder(several=False) == {"PORTAGE_USERNAME": "root", "PORTAGE_GRPNAME": "root"}
