# SPDX-License-Identifier: GPL-2.0-or-later
"""F1: a profile for a CPU that this machine lacks, whose root is this machine's own system. Nothing of it is merged.

Each test that expects a rejection was seen failing on dfeccc0:
what was built for another CPU was merged into ``/``, and lint had nothing to say.
"""

import json
import os
from pathlib import Path

import pytest
from helpers import cpus

from gentoomuch_portage.demo_host import Host

pytestmark = pytest.mark.skipif(cpus.NOT_X86, reason="the CPUs that are named here are of x86")


@pytest.fixture(scope="module")
def beyond(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A CPU that this machine has less than."""
    return cpus.beyond_here(tmp_path_factory.mktemp("isa"))


def merged(host: Host, root: Path = Path("/")) -> bool:
    """Whether anything is installed in a root; a merge that Portage gave up leaves a directory of another name."""
    recorded = any((host.eroot(root) / "var/db/pkg").glob("*-demo/[!-]*"))
    return recorded or any(host.eroot(root).glob("usr/*/*greet*"))


def rejected(ended, host: Host) -> None:
    """The run was rejected before anything was built."""
    assert ended.status == 78, ended.out + ended.err
    assert "[cpu-not-here]" in ended.err
    assert ">>> Emerging" not in ended.out
    assert not merged(host)


def test_a_profile_of_a_newer_cpu_is_not_merged_into_this_machine(host: Host, on, beyond: str):
    host.profile("server", f'cpu = "{beyond}"\n')

    rejected(on("gm-emerge", "--gm-profile=server", "--usepkg=n", "gm-hello"), host)


def test_a_cached_answer_about_this_machine_opens_no_way_around(host: Host, on, beyond: str):
    """F1: the second run finds the answer in the cache; a damaged or empty one is computed again."""
    host.profile("server", f'cpu = "{beyond}"\n')
    argv = ("gm-emerge", "--gm-profile=server", "--usepkg=n", "gm-hello")
    rejected(on(*argv), host)
    answers = sorted((host.eprefix / "var/cache/gentoomuch/isa").iterdir())
    assert answers

    rejected(on(*argv), host)
    for file in answers:
        file.write_text("")
    rejected(on(*argv), host)


def test_lint_and_doctor_report_a_profile_that_cannot_be_merged_here(host: Host, on, beyond: str):
    host.profile("server", f'cpu = "{beyond}"\n')

    lint = on("gentoomuch", "profile", "lint", "server", "--json")
    doctor = on("gentoomuch", "doctor", "--json")

    assert lint.status == 1
    assert [(one["kind"], one["places"][0]["line"]) for one in json.loads(lint.out)] == [("cpu-not-here", 1)]
    facts = [one for one in json.loads(doctor.out) if one["name"] == "profile"]
    assert any(one["state"] == "bad" and beyond in one["text"] and "server" in one["text"] for one in facts)


@pytest.mark.parametrize("words", [("--buildpkgonly",), ("--pretend",), ("--fetchonly",), ("-pv",), ("-B",)])
def test_runs_without_a_merge_are_allowed(host: Host, on, beyond: str, words: tuple[str, ...]):
    host.profile("server", f'cpu = "{beyond}"\n')

    ended = on("gm-emerge", "--gm-profile=server", "--quiet", *words, "libgreet")

    assert ended.status == 0, ended.out + ended.err
    assert not merged(host)


def test_a_flag_of_a_layer_is_rejected_as_the_key_is(host: Host, on, beyond: str):
    host.profile("server", 'layers = ["fast"]\n', {"fast/make.conf": f'CFLAGS="-O2 -march={beyond}"\n'})

    rejected(on("gm-emerge", "--gm-profile=server", "--usepkg=n", "gm-hello"), host)


def test_a_profile_of_another_architecture_is_rejected_as_well(host: Host, on):
    host.profile("board", 'layers = ["board"]\n', {"board/make.conf": 'CHOST="aarch64-unknown-linux-gnu"\n'})

    rejected(on("gm-emerge", "--gm-profile=board", "--usepkg=n", "gm-hello"), host)


@pytest.mark.parametrize("spelling", ["/.", "//", "/usr/..", "a link", "a link to a part"])
def test_this_machine_is_recognised_however_its_root_is_spelled(host: Host, on, beyond, tmp_path, spelling: str):
    root = tmp_path / "self"
    if spelling == "a link":
        root.symlink_to("/")
    elif spelling == "a link to a part":
        host.eroot(root).parent.mkdir(parents=True)
        host.eroot(root).symlink_to(host.eprefix)
    host.profile("server", f'root = "{root if root.is_symlink() or root.exists() else spelling}"\ncpu = "{beyond}"\n')

    rejected(on("gm-emerge", "--gm-profile=server", "--usepkg=n", "gm-hello"), host)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_bind_mount_of_this_machine_is_this_machine(host: Host, on, beyond: str, tmp_path: Path):
    root = tmp_path / "self"
    root.mkdir()
    host.profile("server", f'root = "{root}"\ncpu = "{beyond}"\n')
    command = f"mount --bind / {root} && exec gm-emerge --gm-profile=server --usepkg=n gm-hello"

    rejected(on("unshare", "--mount", "sh", "-c", command), host)


def test_root_in_the_environment_opens_no_way_around(host: Host, on, beyond: str, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    host.profile("server", f'cpu = "{beyond}"\n')
    host.profile("apart", f'cpu = "{beyond}"\nroot = "{elsewhere}"\n')

    rejected(on("gm-emerge", "--gm-profile=server", "--usepkg=n", "gm-hello", ROOT="/"), host)
    on("gm-emerge", "--gm-profile=apart", "--usepkg=n", "gm-hello", ROOT="/")

    assert not (host.eprefix / "var/db/pkg/app-demo").exists()


@pytest.mark.parametrize("root", ["/", "a link"])
def test_the_root_option_of_emerge_opens_no_way_around(host: Host, on, beyond: str, tmp_path: Path, root: str):
    host.profile("apart", f'cpu = "{beyond}"\nroot = "{tmp_path / "elsewhere"}"\n')
    (tmp_path / "a link").symlink_to("/")

    rejected(on("gm-emerge", "--gm-profile=apart", f"--root={tmp_path / root}", "--usepkg=n", "gm-hello"), host)


def test_a_printed_plan_and_a_container_are_no_way_around(host: Host, on, beyond: str, tmp_path: Path):
    host.profile("server", f'cpu = "{beyond}"\n')
    printed = on("gm-emerge", "--gm-profile=server", "--gm-explain=json", "--usepkg=n", "gm-hello")
    (tmp_path / "plan.json").write_text(printed.out)

    rejected(on("gm-emerge", f"--gm-plan={tmp_path / 'plan.json'}"), host)
    rejected(on("gm-emerge", "--gm-profile=server", "--gm-isolation=auto", "--usepkg=n", "gm-hello"), host)


def test_the_cpu_of_this_machine_and_a_root_of_its_own_are_merged(host: Host, on, beyond: str, tmp_path: Path):
    root = tmp_path / "root"
    host.profile("here", 'cpu = "native"\n')
    host.profile("server", f'cpu = "{beyond}"\nroot = "{root}"\n')

    for profile in ("here", "server"):
        ended = on("gm-emerge", f"--gm-profile={profile}", "--usepkg=n", "--quiet", "gm-hello")
        assert ended.status == 0, ended.out + ended.err

    assert merged(host)
    assert merged(host, root)


RUN = "gentoomuch profile run server -- "
THROUGH = {
    "run": f"{RUN}emerge -1q --usepkg=n gm-hello",
    "run by a path": f'{RUN}"$(command -v emerge)" -1q --usepkg=n gm-hello',
    "run by a shell": f"{RUN}sh -c 'exec emerge -1q --usepkg=n gm-hello'",
    "run of ebuild": f"{RUN}ebuild EBUILD clean merge",
    "env": 'eval "$(gentoomuch profile env server)" && emerge -1q --usepkg=n gm-hello',
    "a package built before": f"{RUN}emerge -B1q libgreet && {RUN}sh -c 'emerge -K1q libgreet'",
}
"""How plain emerge gets the configroot of a profile -> a command that merges with it."""


@pytest.mark.parametrize("how", THROUGH)
def test_plain_emerge_with_the_environment_of_a_profile_merges_nothing_for_a_newer_cpu(
    host: Host, on, beyond: str, how: str
):
    """F1: ``profile run`` and ``profile env`` compared no CPUs; seen merged before they did."""
    host.profile("server", f'cpu = "{beyond}"\n')
    ebuild = next(host.repository.glob("dev-demo/libgreet/*.ebuild"))

    ended = on("sh", "-c", THROUGH[how].replace("EBUILD", str(ebuild)))

    assert ended.status != 0, ended.out + ended.err
    assert "[cpu-not-here]" in ended.out + ended.err
    assert not merged(host)


def test_plain_emerge_in_the_environment_of_a_profile_merges_only_into_its_root(
    host: Host, on, beyond: str, tmp_path: Path
):
    """F1: libraries that are needed for building are built and merged with this machine's own configuration."""
    root = tmp_path / "root"
    host.profile("server", f'cpu = "{beyond}"\nroot = "{root}"\n')

    there = on("sh", "-c", f"{RUN}emerge -1q --usepkg=n gm-hello")
    here = on("sh", "-c", f"{RUN}emerge -1q --usepkg=n --root=/ gm-hello")
    by_shell = on("sh", "-c", f"{RUN}sh -c 'ROOT=/ exec emerge -1q --usepkg=n gm-hello'")

    assert there.status == 0, there.out + there.err
    assert merged(host, root)
    assert "[cpu-not-here]" in here.err
    assert "[cpu-not-here]" in by_shell.out + by_shell.err
    assert not list((host.eprefix / "var/db/pkg/app-demo").glob("[!-]*"))


def test_programs_that_merge_nothing_still_run_in_the_environment_of_a_profile(host: Host, on, beyond: str):
    host.profile("server", f'cpu = "{beyond}"\n')

    shown = on("sh", "-c", f"{RUN}portageq envvar CFLAGS")
    built = on("sh", "-c", f"{RUN}emerge -B1q libgreet")

    assert (shown.status, built.status) == (0, 0), shown.err + built.out + built.err
    assert f"-march={beyond}" in shown.out
    assert not merged(host)
