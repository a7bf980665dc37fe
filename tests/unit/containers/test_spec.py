# SPDX-License-Identifier: GPL-2.0-or-later
"""Container specs: mounts, the directories of changes, environment, and command lines of the backends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gentoomuch_portage.config.profile import size
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.containers import backends, host_paths, id_maps, init, lifecycle
from gentoomuch_portage.containers.mounts import resolve_within
from gentoomuch_portage.containers.overlay import find_upper, is_visible, mount_copy_on_write, mount_points
from gentoomuch_portage.containers.spec import Bind, ContainerSpec, Dev, Link, Overlay, Proc, Tmpfs

ROOT = Path(__file__).parents[3]
words = st.binary(max_size=9).filter(lambda one: b"\0" not in one).map(os.fsdecode)
"""What a program can be given: anything but NUL."""


def test_a_container_spec_survives_json(tmp_path: Path) -> None:
    mounts = (
        Overlay("/usr", "/usr", "/run/u"),
        Bind("/a", "/b", True),
        Tmpfs("/tmp", 0o1777),
        Dev(),
        Proc(),
        Link("x", "/y"),
    )
    spec = ContainerSpec(
        mounts=mounts, run=str(tmp_path), argv=("sh", "-c", "a b"), env={"A": "1\n2"}, init=("p",), network=True
    )
    assert ContainerSpec.from_json(spec.to_json()) == spec


@given(
    st.lists(words, max_size=4),
    st.dictionaries(words.filter(lambda one: one and "=" not in one), words, max_size=4),
    words,
    st.integers(0, 2**63),
)
def test_pack_and_unpack_keep_any_argument_and_variable(argv, env, cwd, disk) -> None:
    spec = ContainerSpec(mounts=(), run="/r", argv=tuple(argv), env=env, cwd=cwd, disk=disk, processes=7)
    program = init.unpack(init.pack(spec))
    assert (tuple(program.argv), program.env, program.cwd, program.disk, program.processes) == (
        spec.argv,
        env,
        cwd,
        disk,
        7,
    )


def test_init_imports_no_slow_module() -> None:
    names = "import sys, gentoomuch_portage.containers.init; print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-S", "-c", names], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"json", "pathlib", "re", "typing"}.isdisjoint(shown.stdout.split())


def test_a_failure_before_exec_prints_a_traceback_and_status_70() -> None:
    fails = "import os; from gentoomuch_portage.containers import linux; linux.fork(lambda: 1 / 0); print(os.wait()[1])"
    shown = subprocess.run([sys.executable, "-c", fails], cwd=ROOT, capture_output=True, text=True, check=True)
    assert os.waitstatus_to_exitcode(int(shown.stdout)) == 70
    assert 'linux.py", line' in shown.stderr
    assert shown.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_directories_of_containers_are_closed_to_other_users(tmp_path: Path) -> None:
    settings = Settings.load({"GM_STATE": str(tmp_path / "state")})
    with lifecycle.run_directory(tmp_path) as place:
        assert place.stat().st_mode & 0o077 == 0
    assert lifecycle.make_kept_root(settings, "router", "lab").parent.stat().st_mode & 0o077 == 0


def test_a_directory_without_other_mounts_is_one_overlay(tmp_path: Path) -> None:
    folder = tmp_path / "usr"
    folder.mkdir()
    assert list(mount_copy_on_write(folder, tmp_path / "up", ())) == [
        Overlay(str(folder), str(folder), str(tmp_path / "up" / str(folder).strip("/").replace("/", "%")))
    ]


def test_an_overlay_never_contains_its_own_upper_layer(tmp_path: Path) -> None:
    run = tmp_path / "var/cache/gm/run"
    run.mkdir(parents=True)
    (tmp_path / "var/lib").mkdir()
    (tmp_path / "var/note").write_text("x")
    (tmp_path / "var/link").symlink_to("lib")
    laid = list(mount_copy_on_write(tmp_path / "var", run / "upper", (run,)))
    lowers = [Path(one.source) for one in laid if isinstance(one, Overlay)]
    assert lowers == [tmp_path / "var/lib"]
    assert Link("lib", str(tmp_path / "var/link")) in laid
    assert Bind(str(tmp_path / "var/note"), str(tmp_path / "var/note"), optional=True) in laid
    assert not any(Path(one.target).is_relative_to(run) for one in laid)


def test_directories_have_different_upper_layers() -> None:
    names = {
        find_upper(mount_copy_on_write(Path(name), Path("/up"), ()), Path(name))
        for name in ("/usr", "/etc", "/var", "/opt")
    }
    assert len(names - {None}) == sum(
        Path(name).is_dir() and not Path(name).is_symlink() for name in ("/usr", "/etc", "/var", "/opt")
    )


def test_find_upper_uses_the_innermost_overlay() -> None:
    mounts = (Overlay("/var", "/var", "/up/var"), Overlay("/p", "/var/db", "/up/db"), Tmpfs("/var/tmp"))
    assert find_upper(mounts, Path("/var/db/pkg")) == Path("/up/db/pkg")
    assert find_upper(mounts, Path("/var/lib")) == Path("/up/var/lib")
    assert find_upper(mounts, Path("/var/tmp/x")) is None


def test_a_path_below_an_inner_mount_is_not_visible() -> None:
    mounts = (Bind("/home", "/home"), Tmpfs("/home/me"))
    assert is_visible(mounts, Path("/home/you"))
    assert not is_visible(mounts, Path("/home/me/x"))


def test_mount_points_with_spaces_and_non_utf8_bytes_are_decoded(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_bytes(b"22 1 0:21 / /a\\040b rw - tmpfs tmpfs rw\n23 1 0:22 / /c\\134d\xff rw - tmpfs tmpfs rw\n")
    assert mount_points(str(table)) == (Path("/a b"), Path(os.fsdecode(b"/c\\d\xff")))


@pytest.mark.parametrize(
    ("link", "asked", "found"),
    [("/etc", "/a/b", "etc/b"), ("../../../etc", "/a/b", "etc/b"), ("x/../y", "/a/b", "y/b"), (".", "/a/b", "b")],
)
def test_links_are_resolved_within_the_root(tmp_path: Path, link: str, asked: str, found: str) -> None:
    (tmp_path / "a").symlink_to(link)
    assert resolve_within(tmp_path, asked) == tmp_path / found


def test_a_loop_of_links_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        resolve_within(tmp_path, "/a/c")


def test_environment_has_variables_of_emerge_and_no_secrets() -> None:
    """S8: seen failing on dfeccc0, where all variables passed whose names did not look like secrets."""
    passed = {
        "USE": "x", "LANG": "C", "LC_ALL": "C", "PWD": "/", "PYTHON_TARGETS": "python3_13", "FEATURES": "test",
        "BINPKG_GPG_SIGNING_KEY": "0xNAME", "MAKEOPTS": "-j2",
    }  # fmt: skip
    kept_out = {
        "GH_PAT": "t", "DATABASE_URL": "postgres://u:p@h", "SENTRY_DSN": "x", "BW_SESSION": "x", "KEY": "x",
        "SSH_AUTH_SOCK": "/s", "GITHUB_TOKEN": "t", "MY_PASSWORD": "p", "HOME": "/h", "GM_PROFILE": "r",
        "BORG_PASSPHRASE": "x", "MYSQL_PWD": "x", "SSHPASS": "x", "CI_DEPLOY_KEY": "x", "NPM_CONFIG__AUTH": "x",
        "OPENAI_APIKEY": "x", "http_proxy": "http://u:p@h", "SYSROOT": "/s", "PORTAGE_TOKEN": "x", "OF_A_USER": "x",
    }  # fmt: skip
    known = {"PYTHON_TARGETS", "FEATURES", "BINPKG_GPG_SIGNING_KEY", "HOME", "http_proxy"}
    assert host_paths.environment({**passed, **kept_out}, known) == passed
    assert host_paths.proxies(kept_out) == {"http_proxy": "http://u:p@h"}


@pytest.mark.parametrize(("text", "bytes_"), [("", 0), ("512", 512), ("3K", 3072), ("20G", 20 << 30)])
def test_a_size_means_bytes(text: str, bytes_: int) -> None:
    assert size(text) == bytes_


@pytest.mark.parametrize("kind", sorted(backends.ARGV))
def test_backends_pass_pythonpath_to_init(kind: str) -> None:
    words = backends.ARGV[kind](
        ContainerSpec(mounts=(), run="/r", init=("python",), env={"PYTHONPATH": "/in", "PATH": "/bin"})
    )
    program = " ".join(words[: words.index("python")]).replace("PYTHONPATH=", "PYTHONPATH ")
    assert "PYTHONPATH /in" in program


@pytest.mark.parametrize("kind", sorted(backends.ARGV))
def test_backends_disable_the_network_by_default(kind: str) -> None:
    spec = ContainerSpec(mounts=(), run="/r", init=("python",))
    words = " ".join(backends.ARGV[kind](spec))
    assert "--unshare-net" in words or "--private-network" in words or "--network none" in words


def test_root_builds_in_a_container_without_other_users() -> None:
    assert id_maps.build_user(several=True) == {}
    assert id_maps.build_user(several=False) == {"PORTAGE_USERNAME": "root", "PORTAGE_GRPNAME": "root"}
