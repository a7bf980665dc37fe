# SPDX-License-Identifier: GPL-2.0-or-later
"""S10, S12, S18: what root does is decided by root: no plan, file, variable or umask of another user has a say.

Seen failing on dfeccc0: sitecustomize and modules of PYTHONPATH and PYTHONHOME ran as root, GM_*, configuration,
plugins and plans of another user were used, BASH_ENV of a plan was taken, and under umask 000 files were written that
all users can write. (Homes held there too, but only as virtual environments look for no modules in a home.)
"""

import json
import os
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import BIN, Ended, Run
from helpers.waiting import HANG

from gentoomuch_portage.demo_host import Host

OTHER = 4321
"""A number of a user without a name."""
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")


def give(*paths: Path) -> None:
    for path in paths:
        os.chown(path, OTHER, OTHER, follow_symlinks=False)


def run(host: Host, *argv: str | Path, cwd: Path | None = None, **env: str) -> Ended:
    """Run a program as the kernel does, by its first line."""
    words = [str(word) for word in argv]
    ended = subprocess.run(
        words, env=host.env(**env), cwd=cwd, capture_output=True, text=True, timeout=HANG, check=False
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def by_path(evil: Path, mark: str) -> dict[str, str]:
    (evil / "sitecustomize.py").write_text(mark)
    return {"PYTHONPATH": str(evil)}


def by_module(evil: Path, mark: str) -> dict[str, str]:
    for name in ("gentoomuch_portage", "pluggy", "portage"):
        (evil / name).mkdir()
        (evil / name / "__init__.py").write_text(mark)
    return {"PYTHONPATH": str(evil)}


def by_home(evil: Path, mark: str) -> dict[str, str]:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    site = evil / f".local/lib/python{version}/site-packages"
    site.mkdir(parents=True)
    (site / "usercustomize.py").write_text(mark)
    (site / "x.pth").write_text(f"import sys; exec({mark!r})\n")
    return {"HOME": str(evil)}


def by_userbase(evil: Path, mark: str) -> dict[str, str]:
    return {"PYTHONUSERBASE": f"{by_home(evil, mark)['HOME']}/.local"}


def by_place(evil: Path, mark: str) -> dict[str, str]:
    for name in ("sitecustomize", "os", "gc", "gentoomuch_portage"):
        (evil / f"{name}.py").write_text(mark)
    return {}


def by_library(evil: Path, mark: str) -> dict[str, str]:
    library = evil / "lib" / Path(sysconfig.get_path("stdlib")).name
    library.parent.mkdir()
    library.symlink_to(sysconfig.get_path("stdlib"))
    (evil / "sitecustomize.py").write_text(mark)
    return {"PYTHONHOME": str(evil), "PYTHONPATH": str(evil)}


WAYS: tuple[Callable[[Path, str], dict[str, str]], ...] = (
    by_path, by_module, by_home, by_userbase, by_place, by_library,
)  # fmt: skip


@pytest.mark.parametrize("name", ["gm-emerge", "gentoomuch", "router-emerge"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_root_runs_no_python_code_that_the_caller_names(way, name: str, host: Host, tmp_path: Path):
    """S18: sudo -E and doas with keepenv hand the environment over."""
    evil = tmp_path / "evil"
    evil.mkdir()
    env = way(evil, f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    program = BIN / name
    if name == "router-emerge":
        program = tmp_path / name
        program.symlink_to(BIN / "gm-emerge")
        host.profile("router", "")

    ended = run(host, program, "--gm-version" if "emerge" in name else "--version", cwd=evil, **env)

    assert ended.status == 0, ended.err
    assert not (tmp_path / "ran").exists()


def test_the_program_is_isolated_and_hands_no_variable_of_python_on(tmp_path: Path):
    """S18: what root starts afterwards would obey the variables that root itself passed over."""
    code = "import os; from gentoomuch_portage import startup; startup.prepare(); print(sorted(os.environ))"
    code = f"{code}; print(startup.python('x'))"
    env = {"PYTHONHOME": "/nowhere", "PYTHONPATH": "/nowhere", "PYTHONUNBUFFERED": "1", "PYTHON_TARGETS": "a"}

    ended = subprocess.run([sys.executable, "-I", "-c", code], env=env, capture_output=True, text=True, check=True)

    names, words = ended.stdout.splitlines()
    assert {name for name in env if name in names} == {"PYTHONUNBUFFERED", "PYTHON_TARGETS"}
    assert "'-I'" in words


@pytest.mark.parametrize("how", ["owner", "writable", "above", "link", "file"])
@pytest.mark.parametrize("name", ["GM_CONFIG", "GM_STATE", "GM_CACHE", "GM_HOST"])
def test_a_place_of_another_user_is_rejected_for_root(name: str, how: str, host: Host, on: Run, tmp_path: Path):
    """S18: each variable that names a directory, by each way in which another user has it in their hands."""
    top = tmp_path / "theirs"
    place = top / "place"
    (place / "etc/portage").mkdir(parents=True)
    named = place
    match how:
        case "owner":
            give(place)
        case "writable":
            place.chmod(0o777)
        case "above":
            top.chmod(0o757)
        case "link":
            named = tmp_path / "link"
            named.symlink_to(place)
            give(named)
        case "file":
            if name != "GM_CONFIG":
                pytest.skip("these are directories alone")
            (place / "gentoomuch.toml").write_text("strict = true\n")
            give(place / "gentoomuch.toml")

    for program, words in (("gm-emerge", ("-p", "libgreet")), ("gentoomuch", ("profile", "ls"))):
        ended = on(program, *words, **{name: str(named)})
        assert (ended.status, "[foreign-file]" in ended.err) == (78, True), ended.err


@pytest.mark.parametrize("file", ["profiles/a.toml", "layers/l/make.conf", "patches/s/dev-demo/libgreet/x.patch"])
@pytest.mark.parametrize("how", ["owner", "writable"])
def test_a_file_of_the_configuration_that_another_user_can_change_is_rejected(file: str, how: str, host: Host, on: Run):
    """S18: a file that was copied with its owner."""
    host.profile("a", 'layers = ["l"]\npatches = ["s"]\n', {"l/make.conf": 'USE="x"\n'})
    patch = host.config / "patches/s/dev-demo/libgreet/x.patch"
    patch.parent.mkdir(parents=True)
    patch.write_text("--- a/x\n+++ b/x\n@@ -0,0 +1 @@\n+x\n")
    assert on("gm-emerge", "--gm-profile=a", "--gm-explain", "libgreet").status == 0
    if how == "owner":
        give(host.config / file)
    else:
        (host.config / file).chmod(0o666)

    ended = on("gm-emerge", "--gm-profile=a", "-p", "libgreet")

    assert (ended.status, "[foreign-file]" in ended.err) == (78, True), ended.err


def test_a_directory_that_root_gave_to_a_group_is_used_and_files_in_it_are_checked(host: Host, on: Run, tmp_path: Path):
    """S18, the other side: what stays possible in docs/threat-model.md."""
    place = tmp_path / "config"
    (place / "profiles").mkdir(parents=True)
    profile = place / "profiles/a.toml"
    profile.write_text("")
    os.chown(place / "profiles", 0, OTHER)
    (place / "profiles").chmod(0o775)

    accepted = on("gm-emerge", "--gm-profile=a", "-p", "libgreet", GM_CONFIG=str(place))
    os.chown(profile, 0, OTHER)
    profile.chmod(0o664)
    rejected = on("gm-emerge", "--gm-profile=a", "-p", "libgreet", GM_CONFIG=str(place))

    assert accepted.status == 0, accepted.err
    assert (rejected.status, "[foreign-file]" in rejected.err) == (78, True), rejected.err


def test_a_configuration_of_the_caller_of_sudo_is_used(host: Host, on: Run, tmp_path: Path):
    """S18, the other side: sudo gm-emerge with one's own configuration works."""
    place = tmp_path / "config"
    (place / "profiles").mkdir(parents=True)
    (place / "profiles/a.toml").write_text("")
    for path in (place, *place.rglob("*")):
        os.chown(path, 1, 1)

    assert on("gentoomuch", "profile", "ls", GM_CONFIG=str(place), SUDO_USER="daemon").status == 0
    assert on("gentoomuch", "profile", "ls", GM_CONFIG=str(place), SUDO_USER="bin").status == 78


def test_a_plugin_of_another_user_is_rejected_before_any_of_it_runs(host: Host, on: Run, tmp_path: Path):
    """S18: an entry point in a directory that another user can write."""
    site = tmp_path / "site"
    about = site / "evil-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[gentoomuch_portage]\nevil = evil\n")
    (site / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    give(site / "evil.py")
    host.profile("a", "")

    ended = on("gm-emerge", "--gm-profile=a", "-p", "libgreet", PYTHONPATH=str(site))

    assert (ended.status, "[foreign-file]" in ended.err) == (78, True), ended.err
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def plan(host: Host, on: Run, tmp_path: Path) -> Path:
    """A printed plan."""
    host.profile("a", "")
    file = tmp_path / "plans/plan.json"
    file.parent.mkdir()
    file.write_text(on("gm-emerge", "--gm-profile=a", "--gm-explain=json", "libgreet").out)
    return file


@pytest.mark.parametrize("how", ["owner", "all", "group", "above", "link"])
def test_a_plan_that_another_user_can_change_is_rejected_for_root(how: str, plan: Path, on: Run, tmp_path: Path):
    """S10: a plan says which files emerge reads, so who writes one is root."""
    assert on("gm-emerge", f"--gm-plan={plan}", "-p").status == 0
    match how:
        case "owner":
            give(plan)
        case "all":
            plan.chmod(0o646)
        case "group":
            os.chown(plan, 0, OTHER)
            plan.chmod(0o664)
        case "above":
            plan.parent.chmod(0o777)
        case "link":
            link = tmp_path / "link"
            link.symlink_to(plan)
            give(link)
            plan = link

    ended = on("gm-emerge", f"--gm-plan={plan}", "-p")

    assert (ended.status, "[foreign-file]" in ended.err) == (78, True), ended.err


@pytest.mark.parametrize("name", ["BASH_ENV", "LD_PRELOAD", "PORTAGE_BASHRC", "FEATURES", "GM_CONFIG", "PATH"])
@pytest.mark.parametrize("given", ["file", "stdin"])
def test_a_plan_sets_no_variable_that_plans_do_not_have(name: str, given: str, plan: Path, on: Run, tmp_path: Path):
    """S10: BASH_ENV of a plan ran as root in each phase."""
    script = tmp_path / "script"
    script.write_text(f"touch {tmp_path}/ran\n")
    said = json.loads(plan.read_text())
    said["env"][name] = str(script)
    plan.write_text(json.dumps(said))

    text = plan.read_text() if given == "stdin" else None
    ended = on("gm-emerge", "--gm-plan=-" if text else f"--gm-plan={plan}", "-p", text=text)

    assert (ended.status, "[plan-variable]" in ended.err) == (64, True), ended.err
    assert not (tmp_path / "ran").exists()


def test_plans_set_only_allowed_variables(plan: Path, host: Host, on: Run, tmp_path: Path):
    """S10: the list is what plans have, also with a root of another machine."""
    host.profile("far", f'root = "{tmp_path / "far"}"\n')
    far = json.loads(on("gm-emerge", "--gm-profile=far", "--gm-explain=json", "libgreet").out)["env"]

    assert {*json.loads(plan.read_text())["env"], *far} == {"ROOT", "SYSROOT", "PORTAGE_TMPDIR"}


def writable(*folders: Path) -> list[str]:
    """What others than its owner can write, of all that is below these directories."""
    found = []
    for folder in folders:
        for path in (folder, *folder.rglob("*")):
            seen = path.lstat()
            if not stat.S_ISLNK(seen.st_mode) and seen.st_mode & 0o022 and not seen.st_mode & stat.S_ISVTX:
                found.append(f"{path} {stat.filemode(seen.st_mode)}")
    return found


def test_nothing_that_we_write_under_umask_000_is_writable_by_others(host: Host, tmp_path: Path):
    """S12: configuration of root that all users can write makes each of them root."""
    project = tmp_path / "project"
    project.mkdir(mode=0o755)
    (project / "Makefile").write_text("all:\ninstall:\n")
    commands = [
        ("gentoomuch", "init", "this"), ("gentoomuch", "profile", "add", "that", "--here"),
        ("gentoomuch", "profile", "set", "this"), ("gentoomuch", "binhost", "key"),
        ("gentoomuch", "hooks", "enable", "filter", "record", "bashrc"),
        ("gentoomuch", "dotgentoo", "init", "app-misc/greet", str(project)),
        ("gm-emerge", "-p", "app-demo/gm-hello"), ("gm-emerge", "-1q", "dev-demo/libgreet"),
        ("gm-emerge", "-B", "app-demo/gm-hello"), ("gentoomuch", "patch", "prep", "set", "dev-demo/libgreet"),
        ("gentoomuch", "patch", "save", "set"), ("gentoomuch", "freeze", "this", "--unsigned", str(tmp_path / "f")),
        ("gentoomuch", "unmask", "ls"), ("gentoomuch", "history"), ("gentoomuch", "doctor"),
        ("gentoomuch", "binpkg", "ls"), ("gentoomuch", "fleet"), ("gentoomuch", "profile", "lint", "this"),
    ]  # fmt: skip
    told: dict[str, int] = {}
    for words in commands:
        argv = ["sh", "-c", 'umask 000; exec "$@"', "sh", str(BIN / words[0]), *words[1:]]
        ended = subprocess.run(
            argv, env=host.env(), cwd=project, capture_output=True, text=True, timeout=HANG, check=False
        )
        told[" ".join(words[:3])] = ended.returncode

    places = [host.eprefix / name for name in ("etc", "var/lib/gentoomuch", "var/cache/gentoomuch")]
    assert writable(*places, project) == []
    done = {name for name, status in told.items() if status == 0}
    assert {
        "gentoomuch profile add",
        "gentoomuch init this",
        "gentoomuch binhost key",
        "gm-emerge -B app-demo/gm-hello",
    } <= done, told
