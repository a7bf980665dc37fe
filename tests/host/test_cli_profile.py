"""``gentoomuch profile`` on a host with real Portage."""

import json
import signal
import subprocess
import sys
import time

import pytest

from gentoomuch_portage.embedded import Host

BOTH = {
    "common/make.conf": 'USE="nls"\nCFLAGS="-O2"\n',
    "small/make.conf": 'USE="-nls"\nCFLAGS="-Os"\n',
}
HELD = (
    "import fcntl, os; number = os.open(os.environ['PORTAGE_CONFIGROOT'], os.O_RDONLY); "
    "fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)"
)


@pytest.fixture
def router(host: Host) -> Host:
    """A profile ``router`` of two layers that contradict each other, and ``desktop`` of the first alone."""
    host.profile("router", 'cpu = "x86-64"\nlayers = ["common", "small"]\n', BOTH)
    host.profile("desktop", 'layers = ["common"]\nroot = "/mnt/desktop"\nisolation = "none"\n')
    return host


def test_ls_lists_exactly_what_the_reference_promises(router, on):
    on("gentoomuch", "profile", "set", "router")

    ended = on("gentoomuch", "profile", "ls", "--json")

    plain = {"make_profile": "", "isolation": "none"}
    assert json.loads(ended.out) == [
        {"name": "desktop", "cpu": "", "root": "/mnt/desktop", "set": False, **plain},
        {"name": "router", "cpu": "x86-64", "root": "/", "set": True, **plain},
    ]


def test_ls_shows_a_broken_profile_with_its_error_and_the_others(router, on):
    router.profile("broken", "cpu = \n")

    ended = on("gentoomuch", "profile", "ls")

    assert ended.status == 0
    assert "broken.toml:1: this is no TOML" in ended.out
    assert "desktop" in ended.out
    assert [one.get("error", "")[:1] for one in json.loads(on("gentoomuch", "profile", "ls", "--json").out)] == [
        "/",
        "",
        "",
    ]


def test_ls_marks_the_profile_that_is_set(router, on):
    on("gentoomuch", "profile", "set", "desktop")

    marked = [line for line in on("gentoomuch", "profile", "ls").out.splitlines() if line.startswith("*")]

    assert [line.split()[1] for line in marked] == ["desktop"]


def test_ls_gentoo_lists_the_make_profiles_of_the_repositories(host, on):
    ended = on("gentoomuch", "profile", "ls", "--gentoo", "--json")

    (found,) = json.loads(ended.out)
    assert (found["repository"], found["path"], found["status"]) == ("gm-demo", "machine", "stable")


def test_ls_gentoo_says_the_same_by_pkgcore_and_by_portage(host, on):
    (host.repository / "profiles/machine/deprecated").write_text("gm-demo:other\n")
    by_portage = on(
        "gentoomuch", "profile", "ls", "--gentoo", "--json", PATH=f"{_bash(host, '5.2')}:{host.env()['PATH']}"
    )
    by_pkgcore = on(
        "gentoomuch", "profile", "ls", "--gentoo", "--json", PATH=f"{_bash(host, '5.3')}:{host.env()['PATH']}"
    )

    assert json.loads(by_portage.out)[0]["deprecated"] is True
    assert by_pkgcore.out == by_portage.out


@pytest.mark.parametrize(("version", "reader"), [("5.2", "Portage"), ("5.3", "pkgcore")])
def test_doctor_tells_who_reads_the_make_profiles(host, on, version, reader):
    ended = on("gentoomuch", "doctor", PATH=f"{_bash(host, version)}:{host.env()['PATH']}")

    assert f"profile ls --gentoo reads by {reader}" in ended.out


def _bash(host: Host, version: str) -> str:
    """A folder with a bash that claims to be of a version."""
    folder = host.folder / f"bash-{version}"
    folder.mkdir()
    (folder / "bash").write_text(
        f'#!/bin/sh\ncase "$*" in *BASH_VERSINFO*) printf {version} ;; *) exec /bin/bash "$@" ;; esac\n'
    )
    (folder / "bash").chmod(0o755)
    return str(folder)


def test_a_make_profile_of_a_repository_is_found_by_its_name(host, on):
    host.profile("lab", 'base = "host"\nmake_profile = "gm-demo:machine"\n')

    ended = on("gentoomuch", "profile", "run", "lab", "--", "portageq", "envvar", "ARCH")

    assert ended.status == 0, ended.err
    assert ended.out.strip()


def test_show_tells_each_value_with_its_place(router, on):
    (router.config / "gentoomuch.toml").write_text('\nisolation = "auto"\n')

    ended = on("gentoomuch", "profile", "show", "router", "--json")

    values = json.loads(ended.out)["values"]
    assert values["cpu"] == {"value": "x86-64", "where": f"{router.config}/profiles/router.toml:1"}
    assert values["isolation"] == {"value": "auto", "where": f"{router.config}/gentoomuch.toml:2"}
    assert values["binpkg.unknown"] == {"value": "reject", "where": "default"}


def test_show_tells_layers_and_contradictions_of_the_profile_that_is_set(router, on):
    on("gentoomuch", "profile", "set", "router")

    ended = on("gentoomuch", "profile", "show")

    assert ended.status == 0, ended.err
    assert f"{router.config}/layers/small" in ended.out
    assert (
        f"USE: nls is on in layer 'common' and off in 'small'  [flag]\n    {router.config}/layers/common/make.conf:1"
        in ended.out
    )


def test_show_without_a_profile_says_how_to_get_one(router, on):
    ended = on("gentoomuch", "profile", "show")

    assert ended.status == 64
    assert "no profile is named, and none is set (there are: desktop, router)" in ended.err


def test_a_profile_that_is_set_is_what_gm_emerge_builds_for(router, on):
    on("gentoomuch", "profile", "set", "router")

    assert "profile router" in on("gm-emerge", "--info").out

    on("gentoomuch", "profile", "set", "--unset")
    assert "profile router" not in on("gm-emerge", "--info").out


def test_a_profile_that_is_not_there_cannot_be_set(router, on):
    ended = on("gentoomuch", "profile", "set", "ruter")

    assert ended.status == 64
    assert "gentoomuch profile show router" in ended.err
    assert not (router.eprefix / "var/lib/gentoomuch/profile").exists()


def test_add_makes_a_profile_that_can_be_used_at_once(host, on):
    made = on("gentoomuch", "profile", "add", "box")

    assert made.status == 0, made.err
    assert (host.config / "layers").is_dir()
    assert on("gentoomuch", "profile", "run", "box", "--", "true").status == 0


def test_add_never_overwrites(router, on):
    before = (router.config / "profiles/router.toml").read_text()

    ended = on("gentoomuch", "profile", "add", "router", "--from", "desktop")

    assert ended.status == 64
    assert (router.config / "profiles/router.toml").read_text() == before


def test_add_from_another_copies_it(router, on):
    on("gentoomuch", "profile", "add", "twin", "--from", "router")

    assert on("gentoomuch", "profile", "diff", "router", "twin").out == ""


@pytest.mark.parametrize("name", ["../x", ".x", "a/b", ""])
def test_add_refuses_a_name_that_leaves_its_folder(host, on, name):
    ended = on("gentoomuch", "profile", "add", name)

    assert ended.status == 78
    assert not (host.config / "x.toml").exists()


def test_diff_shows_what_the_layers_make_of_make_conf(router, on):
    ended = on("gentoomuch", "profile", "diff", "desktop", "router")

    assert ended.status == 0, ended.err
    assert "+layer small" in ended.out
    assert '+CFLAGS="-Os"' in ended.out
    assert "-root /mnt/desktop" in ended.out


def test_lint_ends_with_1_where_it_finds_something_and_with_0_otherwise(router, on):
    assert on("gentoomuch", "profile", "lint", "router").status == 1
    assert on("gentoomuch", "profile", "lint", "desktop").status == 0


def test_lint_of_all_profiles_finds_the_broken_one_too(router, on):
    router.profile("broken", 'layers = ["gone"]\n')

    ended = on("gentoomuch", "profile", "lint", "--json")

    assert ended.status == 1
    assert [(one["profile"], one["kind"]) for one in json.loads(ended.out)] == [
        ("broken", "bad-layer"),
        ("router", "flag"),
        ("router", "variable"),
    ]


def test_use_expand_variables_that_add_up_are_no_contradiction(host, on):
    layers = {"a/make.conf": 'VIDEO_CARDS="intel"\n', "b/make.conf": 'VIDEO_CARDS="radeonsi"\n'}
    host.profile("lab", 'layers = ["a", "b"]\n', layers)

    assert on("gentoomuch", "profile", "lint", "lab").out == ""


def test_the_environment_of_a_profile_is_what_portage_works_with(router, on):
    script = 'eval "$(gentoomuch profile env router)"; portageq envvar CFLAGS; test -d "$PORTAGE_TMPDIR"'

    ended = on("sh", "-c", script)

    assert (ended.status, ended.out) == (0, "-Os -march=x86-64\n")


def test_the_environment_is_quoted_for_a_shell(host, on):
    host.profile("lab", 'root = "/mnt/it\'s $HOME"\n')

    ended = on("sh", "-c", 'eval "$(gentoomuch profile env lab)"; printf %s "$ROOT"')

    assert ended.out == "/mnt/it's $HOME"


def test_a_root_that_was_exported_before_does_not_leak_into_another_profile(router, on):
    ended = on("sh", "-c", 'eval "$(gentoomuch profile env router)"; echo "$ROOT"', ROOT="/mnt/elsewhere")

    assert ended.out == "/\n"


def test_run_becomes_the_command_and_ends_as_it_does(router, on):
    ended = on("gentoomuch", "profile", "run", "router", "--", "sh", "-c", 'echo "$0 $*"; exit 7', "--json", "--")

    assert (ended.status, ended.out) == (7, "--json --\n")


def test_run_holds_the_configroot_as_long_as_the_command_lives(router, on):
    ended = on("gentoomuch", "profile", "run", "router", "--", sys.executable, "-c", HELD)

    assert "BlockingIOError" in ended.err


def test_nobody_holds_the_configroot_afterwards(router, on):
    ended = on("sh", "-c", f'eval "$(gentoomuch profile env router)"; "{sys.executable}" -c "$0"', HELD)

    assert ended.status == 0, ended.err


def test_a_command_that_is_not_there_is_one_clear_error(router, on):
    ended = on("gentoomuch", "profile", "run", "router", "--", "no-such-program")

    assert ended.status == 69
    assert "no-such-program is not on PATH" in ended.err


def test_a_command_that_cannot_be_run_is_one_clear_error(router, on):
    ended = on("gentoomuch", "profile", "run", "router", "--", str(router.etc))

    assert ended.status == 69
    assert "Traceback" not in ended.err
    assert "Permission denied" in ended.err


def test_a_reader_that_goes_away_is_no_error(router, on):
    ended = on("bash", "-c", "gentoomuch profile show router | true; exit ${PIPESTATUS[0]}")

    assert ended.status in {0, 128 + signal.SIGPIPE}
    assert ended.err == ""


def test_ctrl_c_ends_quietly_with_130(host):
    env = host.env(PATH=f"{_slow(host)}:{host.env()['PATH']}")
    main = "from gentoomuch_portage.cli import main; raise SystemExit(main())"
    program = subprocess.Popen(
        [sys.executable, "-c", main, "doctor"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for _ in range(200):
        if (host.folder / "asked").exists():
            break
        time.sleep(0.05)

    program.send_signal(signal.SIGINT)
    _, err = program.communicate(timeout=20)

    assert (program.returncode, err) == (130, "")


def _slow(host: Host) -> str:
    """A folder with a compiler that says that it was asked, and never answers."""
    folder = host.folder / "slow"
    folder.mkdir()
    (folder / "gcc").write_text(f"#!/bin/sh\ntouch {host.folder}/asked\nexec sleep 30\n")
    (folder / "gcc").chmod(0o755)
    return str(folder)
