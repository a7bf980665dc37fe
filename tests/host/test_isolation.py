# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds in containers: real ones, of each kind that works here."""

import json
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import BIN, Run
from helpers.containers import digest, need, why_not
from helpers.processes import command_lines, environment
from helpers.unmasking import package
from helpers.waiting import HANG, wait_for

from gentoomuch_portage import history
from gentoomuch_portage.config import isolation_kinds
from gentoomuch_portage.demo_host import Host

PROFILE = 'cpu = "x86-64-v2"\n'


@pytest.fixture(
    params=[
        isolation_kinds.AUTOMATIC[0],
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in isolation_kinds.AUTOMATIC[1:]),
    ]
)
def kind(request: pytest.FixtureRequest) -> str:
    named: str = request.param
    need(named)
    return named


@pytest.fixture
def some_kind() -> str:
    """The first that works here."""
    found = [one for one in isolation_kinds.AUTOMATIC if not why_not(one)]
    if not found:
        pytest.skip("; ".join(why_not(one) for one in isolation_kinds.AUTOMATIC))
    return found[0]


def _packages(host: Host) -> list[str]:
    return sorted(str(path.relative_to(host.pkgdir)) for path in host.pkgdir.rglob("*.gpkg.tar"))


@pytest.mark.slow
def test_a_package_built_in_a_container_is_merged_on_the_host(kind: str, host: Host, on: Run) -> None:
    host.profile("router", PROFILE)
    ended = on("gm-emerge", "--gm-profile=router", f"--gm-isolation={kind}", "gm-hello")
    assert ended.status == 0, ended.err + ended.out
    assert "-march=x86-64-v2" in on(host.eprefix / "usr/bin/gm-hello").out
    assert _packages(host) == ["app-demo/gm-hello/gm-hello-1.0-1.gpkg.tar", "dev-demo/libgreet/libgreet-1.0-1.gpkg.tar"]
    assert not list((host.eprefix / "var/cache/gentoomuch/containers").glob("run-*"))
    assert "app-demo/gm-hello" in (host.eprefix / "var/lib/portage/world").read_text()
    [run] = history.read_runs(host.eprefix / "var/lib/gentoomuch", "router")
    assert [(one["cpv"], one["source"]) for one in run.packages] == [
        ("dev-demo/libgreet-1.0", "container"),
        ("app-demo/gm-hello-1.0", "container"),
    ]
    assert all({"compile", "merge"} <= one["phases"].keys() for one in run.packages), "what was told from inside"
    assert all(Path(one["where"]).is_file() for one in run.packages)


_MINE = """
def argv(asked):
    assert asked.network in (False, True) and asked.hostname
    env = [word for name, value in asked.env.items() for word in ("--setenv", name, value)]
    alone = [] if asked.network else ["--unshare-net"]
    return ["bwrap", "--unshare-pid", "--unshare-ipc", "--unshare-uts", *alone, "--die-with-parent", "--cap-add", "ALL",
        "--bind", asked.root, "/", "--dev", "/dev", "--proc", "/proc", *env, "--chdir", "/", "--", *asked.program]
"""


def _distribution(folder: Path, source: str) -> str:
    """A distribution that makes the kind ``mine``; what PYTHONPATH is with it."""
    (folder / "mine-1.dist-info").mkdir(parents=True)
    (folder / "mine-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    (folder / "mine-1.dist-info/entry_points.txt").write_text(
        "[gentoomuch_portage.containers]\nmine = mine_container:argv\n"
    )
    (folder / "mine_container.py").write_text(source)
    return str(folder)


@pytest.mark.slow
def test_a_kind_of_another_distribution_is_a_kind_as_any(host: Host, on: Run, tmp_path: Path) -> None:
    need("bwrap")
    host.profile("router", f'{PROFILE}isolation = "mine"\n')
    env = {"PYTHONPATH": _distribution(tmp_path / "mine", _MINE)}
    ended = on("gm-emerge", "--gm-profile=router", "libgreet", **env)
    assert ended.status == 0, ended.err + ended.out
    [run] = history.read_runs(host.eprefix / "var/lib/gentoomuch", "router")
    assert [one["source"] for one in run.packages] == ["container"]
    told = {one["name"]: one["text"] for one in json.loads(on("gentoomuch", "doctor", "--json", **env).out)}
    assert told["container mine"] == "works"


def test_a_kind_of_another_distribution_that_fails_is_named(host: Host, on: Run, tmp_path: Path) -> None:
    host.profile("router", PROFILE)
    env = {"PYTHONPATH": _distribution(tmp_path / "mine", "def argv(asked): return 1 / 0")}
    ended = on("gm-emerge", "--gm-profile=router", "--gm-isolation=mine", "libgreet", **env)
    assert ended.status == 70
    assert "[maker-failed]" in ended.err
    assert all(text in ended.err for text in ("mine_container:argv", "ZeroDivisionError"))
    assert "Traceback" not in ended.err
    without = on("gm-emerge", "--gm-profile=router", "--gm-isolation=mine", "libgreet")
    assert without.status == 64
    assert "'mine'" in without.err


@pytest.mark.slow
def test_a_build_that_fails_changes_nothing_on_the_host(some_kind: str, host: Host, on: Run) -> None:
    host.profile("router", PROFILE)
    _breaking(host)
    usual = ("var/cache", "var/tmp", "var/log", "var/lib/gentoomuch")
    before = digest(host.eprefix, without=usual)
    ended = on("gm-emerge", "--gm-profile=router", f"--gm-isolation={some_kind}", "breaking")
    assert ended.status == 1
    assert digest(host.eprefix, without=usual) == before
    assert _packages(host) == ["dev-demo/libgreet/libgreet-1.0-1.gpkg.tar"], "what was finished is kept"
    [run] = history.read_runs(host.eprefix / "var/lib/gentoomuch", "router")
    assert [(one["cpv"], one["status"]) for one in run.packages] == [("app-demo/breaking-1", 1)]
    [log] = (host.eprefix / "var/log").glob("app-demo:breaking-1:*.log")
    assert "broken" in log.read_text()


def _breaking(host: Host) -> None:
    """A package that needs libgreet and does not compile."""
    ebuild = host.repository / "app-demo/breaking/breaking-1.ebuild"
    ebuild.parent.mkdir()
    arches = " ".join((host.repository / "profiles/arch.list").read_text().split())
    ebuild.write_text(
        f'EAPI=8\nDESCRIPTION="breaks"\nSLOT=0\nLICENSE="GPL-2+"\nKEYWORDS="{arches}"\n'
        'DEPEND="dev-demo/libgreet"\nS="${WORKDIR}"\n'
        'src_compile() { die "broken"; }\n'
    )


_CATCHES = """
import os, signal, sys, time
def catch(number, _frame):
    os.write(1, b"caught\\n")
    time.sleep(1)
    sys.exit(7)
signal.signal(signal.SIGINT, catch)
os.write(1, b"ready\\n")
time.sleep(300)
"""


def test_ctrl_c_reaches_the_program_in_a_container_once_and_its_status_is_returned(kind: str, host: Host) -> None:
    host.profile("router", PROFILE)
    words = [BIN / "gentoomuch", "--quiet", "freshroot", "router", "--isolation", kind, "--", "python3", "-c", _CATCHES]
    with subprocess.Popen(words, env=host.env(), stdout=subprocess.PIPE, start_new_session=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"ready\n"
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does
        out, _ = run.communicate(timeout=HANG)

    assert (out, run.returncode) == (b"caught\n", 7)


@pytest.mark.slow
def test_finished_packages_are_saved_if_the_next_build_is_interrupted(kind: str, host: Host, on: Run) -> None:
    host.profile("router", PROFILE)
    _waiting(host)
    argv = [BIN / "gm-emerge", "--gm-profile=router", f"--gm-isolation={kind}", "waiting"]
    with subprocess.Popen(
        argv, env=host.env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as run:
        wait_for(lambda: _sleeping(host) or run.poll() is not None, "the package compiles")
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does
        run.wait(HANG)
    assert run.returncode == -signal.SIGINT
    assert _packages(host) == ["dev-demo/libgreet/libgreet-1.0-1.gpkg.tar"]
    assert not list(host.eprefix.glob("var/tmp*/**/waiting-1")), "no later run continues it"


@pytest.mark.slow
def test_locks_of_an_emerge_on_the_host_do_not_stop_a_build(some_kind: str, host: Host, on: Run) -> None:
    host.profile("router", PROFILE)
    host.vdb.mkdir(parents=True, exist_ok=True)
    host.pkgdir.mkdir(parents=True, exist_ok=True)
    for left in (host.vdb.with_name(".pkg.portage_lockfile"), host.pkgdir / ".Packages.portage_lockfile"):
        left.touch()
    ended = on("gm-emerge", "--gm-profile=router", f"--gm-isolation={some_kind}", "-B", "libgreet")
    assert ended.status == 0, ended.err


@pytest.mark.slow
def test_buildpkgonly_in_a_container_leaves_only_the_package(some_kind: str, host: Host, on: Run) -> None:
    host.profile("router", PROFILE)
    ended = on("gm-emerge", "--gm-profile=router", f"--gm-isolation={some_kind}", "-B", "libgreet")
    assert ended.status == 0, ended.err
    assert _packages(host) == ["dev-demo/libgreet/libgreet-1.0-1.gpkg.tar"]
    assert not list(host.vdb.glob("*/*"))


@pytest.mark.slow
def test_a_root_of_another_machine_is_filled_from_a_container(
    some_kind: str, host: Host, on: Run, tmp_path: Path
) -> None:
    root = tmp_path / "machine"
    root.mkdir()
    host.profile("router", f'{PROFILE}root = "{root}"\n')
    ended = on("gm-emerge", "--gm-profile=router", f"--gm-isolation={some_kind}", "gm-hello")
    assert ended.status == 0, ended.err + ended.out
    assert (host.eroot(root) / "usr/bin/gm-hello").exists()
    assert not list(host.vdb.glob("*/*")), "what was needed for building went with the container"


@pytest.mark.slow
def test_packages_built_in_parallel_are_all_saved(some_kind: str, host: Host, on: Run) -> None:
    host.profile("router", PROFILE)
    ebuild = package(host, "app-demo/chance-1")  # of two equal packages, which a second can make, one is saved
    ebuild.write_text(ebuild.read_text().replace('"chance"; }', '"$(</proc/sys/kernel/random/uuid)"; }'))
    words = ("gm-emerge", "--gm-profile=router", f"--gm-isolation={some_kind}", "--usepkg=n", "-B", "chance")
    with ThreadPoolExecutor(2) as both:
        ended = list(both.map(lambda _: on(*words), range(2)))
    assert [run.status for run in ended] == [0, 0], ended
    assert _packages(host) == [f"app-demo/chance/chance-1-{number}.gpkg.tar" for number in (1, 2)]
    index = (host.pkgdir / "Packages").read_text()
    assert "BUILD_ID: 1\n" in index
    assert "BUILD_ID: 2\n" in index
    assert on("gm-emerge", "--gm-profile=router", "-pK", "chance").status == 0


@pytest.mark.slow
def test_a_killed_run_loses_no_finished_package_and_leaves_nothing(some_kind: str, host: Host, on: Run) -> None:
    host.profile("router", PROFILE)
    _waiting(host)
    words = [str(BIN / "gm-emerge"), "--gm-profile=router", f"--gm-isolation={some_kind}", "waiting"]
    place = host.eprefix / "var/cache/gentoomuch/containers"
    with subprocess.Popen(words, env=host.env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as ran:
        built = "run-*/packages/dev-demo/libgreet/*.gpkg.tar"
        wait_for(
            lambda: (list(place.glob(built)) and _sleeping(host)) or ran.poll() is not None,
            "libgreet is built",
        )
        assert ran.poll() is None, "it ended by itself"
        ran.send_signal(signal.SIGKILL)
    wait_for(lambda: not _sleeping(host), "the build ends without its gm-emerge")
    ended = on("gm-emerge", "--gm-profile=router", f"--gm-isolation={some_kind}", "-B", "--nodeps", "gm-hello")
    assert list(place.glob("run-*")) == [], ended.err
    assert "dev-demo/libgreet/libgreet-1.0-1.gpkg.tar" in _packages(host)


MARK = "31557600"


def _waiting(host: Host) -> None:
    _breaking(host)
    (host.repository / "app-demo/breaking").rename(host.repository / "app-demo/waiting")
    ebuild = host.repository / "app-demo/waiting/breaking-1.ebuild"
    text = ebuild.read_text().replace('die "broken"', f"sleep {MARK}")
    ebuild.unlink()
    ebuild.with_name("waiting-1.ebuild").write_text(text)


def _sleeping(host: Host) -> bool:
    return any(MARK in words and str(host.folder) in environment(number) for number, words in command_lines().items())


def test_a_fresh_root_keeps_packages_and_forgets_the_rest(some_kind: str, host: Host, on: Run) -> None:
    host.profile("router", PROFILE)
    command = "emerge --quiet gm-hello && gm-hello && touch /etc/of-a-fresh-root"
    ended = on("gentoomuch", "freshroot", "router", "--isolation", some_kind, "--", "sh", "-c", command)
    assert ended.status == 0, ended.err + ended.out
    assert "-march=x86-64-v2" in ended.out
    assert not Path("/etc/of-a-fresh-root").exists()
    assert not list(host.vdb.glob("*/*"))
    assert len(_packages(host)) == 2


def test_private_files_of_the_host_are_not_readable_in_a_container(some_kind: str, host: Host, on: Run) -> None:
    host.profile("router", PROFILE)
    key = host.eprefix / "var/lib/gentoomuch/binhost/gnupg/private-keys-v1.d/a.key"
    for secret in (key, host.eprefix / "etc/ssh/host_key", host.eprefix / "var/lib/database/table"):
        secret.parent.mkdir(parents=True)
        secret.write_text("of the host")
        secret.chmod(0o600)
        secret.parent.chmod(0o700)
    shown = f"find {host.eprefix}/etc {host.eprefix}/var/lib -type f -exec cat {{}} +; cat /etc/shadow"
    ended = on("gentoomuch", "freshroot", "router", "--isolation", some_kind, "--", "sh", "-c", shown)
    assert "of the host" not in ended.out
    assert "GENTOO_MIRRORS" in ended.out or "CFLAGS" in ended.out, "what everybody may read is read"
    assert not [line for line in ended.out.splitlines() if line.startswith("root:$")], "a password of the host"
    assert key.read_text() == "of the host"


@pytest.mark.slow
def test_a_fresh_root_with_a_name_is_found_again(some_kind: str, host: Host, on: Run) -> None:
    host.profile("router", PROFILE)
    fresh = ("gentoomuch", "freshroot", "router", "--isolation", some_kind)
    assert on(*fresh, "--keep", "lab", "--", "touch", "/etc/of-a-fresh-root").status == 0
    assert on(*fresh, "--keep", "lab", "--", "test", "-f", "/etc/of-a-fresh-root").status == 0
    assert on(*fresh, "--", "test", "-f", "/etc/of-a-fresh-root").status == 1


def test_explain_prints_the_mounts(host: Host, on: Run) -> None:
    host.profile("router", PROFILE + 'isolation = "bwrap"\n')
    ended = on("gm-emerge", "--gm-profile=router", "--gm-explain=json", "gm-hello")
    parts = [part for part in json.loads(ended.out)["parts"] if part["kind"] == "mounted"]
    laid = {part["data"]["target"]: part["data"]["kind"] for part in parts}
    assert laid["/usr"] == "overlay"
    assert laid["/proc"] == "proc"
    assert laid[str(host.repository)] == "bind"
    assert not any(target.startswith("/home") for target in laid)


def test_an_unknown_container_type_is_rejected_with_the_available_ones(host: Host, on: Run) -> None:
    host.profile("router", PROFILE)
    ended = on("gm-emerge", "--gm-profile=router", "--gm-isolation=jail", "gm-hello")
    assert ended.status == 64
    assert "bwrap" in ended.err


def test_doctor_tests_each_container_type(host: Host, on: Run) -> None:
    host.profile("router", PROFILE)
    told = json.loads(on("gentoomuch", "doctor", "--json").out)
    names = [one["name"] for one in told if one["name"].startswith("container ")]
    assert names == [f"container {kind}" for kind in isolation_kinds.BUILT_IN]
