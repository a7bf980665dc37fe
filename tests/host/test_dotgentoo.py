# SPDX-License-Identifier: GPL-2.0-or-later
"""gm-emerge PATH: a project is installed from its work tree, by the real Portage."""

import json
from pathlib import Path

import pytest
from helpers.project import Project, built, git, says, tree

from gentoomuch_portage.demo_host import Host


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


@pytest.fixture
def identity(project: Project, on):
    """The ID of the project's folder as it is now."""
    return lambda: on("gentoomuch", "dotgentoo", "id", project.path).out.strip()


def test_the_dirty_tree_is_installed_then_its_edit_then_nothing(project: Project, host: Host, on, identity):
    project.commit()
    project.edit("two")
    project.write("greet", "#!/bin/sh\necho ignored\n")
    before, trust = tree(host.etc), f"--gm-trust={identity()}"

    first = on("gm-emerge", trust, ".", cwd=project.path)
    one = says(host, on)
    project.edit("three")
    second = on("gm-emerge", trust, ".", cwd=project.path)
    two = says(host, on)
    third = on("gm-emerge", trust, ".", cwd=project.path)

    assert [first.status, second.status, third.status] == [0, 0, 0], first.err + second.err + third.err
    assert (one, two, says(host, on)) == ("hello two", "hello three", "hello three")
    assert [built(ended.out) for ended in (first, second, third)] == [1, 1, 0]
    assert "app-misc/greet-99999 is already installed from" in third.err
    assert tree(host.etc) == before
    assert not (project.path / "greet.o").exists()


@pytest.mark.parametrize("word", ["{}", "{}/", "{}/.gentoo", "./project", "project/.gentoo"])
def test_a_path_is_a_path_however_it_is_written(word: str, project: Project, host: Host, on, identity):
    ended = on("gm-emerge", f"--gm-trust={identity()}", "-p", word.format(project.path), cwd=project.path.parent)

    assert ended.status == 0, ended.err
    assert "app-misc/greet-99999::dotgentoo-app_misc_greet" in ended.out or "app-misc/greet-99999" in ended.out


def test_an_atom_is_a_project_only_if_that_directory_has_dotgentoo(project: Project, host: Host, on):
    (project.path.parent / "app-demo/gm-hello").mkdir(parents=True)

    ended = on("gm-emerge", "-p", "app-demo/gm-hello", cwd=project.path.parent)

    assert ended.status == 0, ended.err
    assert "app-demo/gm-hello-1.0" in ended.out


def test_package_files_of_dotgentoo_apply_to_one_run_only(project: Project, host: Host, on, identity):
    project.write(".gentoo/package.use", "app-misc/greet loud\n")
    project.write(".gentoo/package.env", "app-misc/greet small.conf\n")
    project.write(".gentoo/env/small.conf", 'CFLAGS="-Os -DSMALL"\n')
    project.write(".gentoo/package.mask", "app-demo/gm-hello\n")
    trust = f"--gm-trust={identity()}"

    ended = on("gm-emerge", trust, ".", cwd=project.path)
    masked = on("gm-emerge", trust, "-p", ".", "app-demo/gm-hello", cwd=project.path)

    assert ended.status == 0, ended.err
    assert says(host, on) == "HELLO one"
    assert "-Os -DSMALL" in ended.out
    assert (masked.status, "have been masked" in masked.out + masked.err) == (1, True)
    assert on("gm-emerge", "-p", "app-demo/gm-hello").status == 0


def test_a_profile_governs_the_project_too(project: Project, host: Host, on, identity):
    host.profile("small", 'layers = ["small"]\n', {"small/make.conf": 'CFLAGS="-Os -DLAYER"\n'})

    ended = on("gm-emerge", "--gm-profile=small", f"--gm-trust={identity()}", ".", cwd=project.path)

    assert ended.status == 0, ended.err
    assert "-Os -DLAYER" in ended.out
    assert says(host, on) == "hello one"


def test_a_binary_package_of_another_work_tree_state_is_rejected(project: Project, host: Host, on, identity):
    host.profile("any", "")
    words = ["gm-emerge", "--gm-profile=any", f"--gm-trust={identity()}", "--buildpkgonly", "."]
    assert on(*words, cwd=project.path).status == 0
    project.edit("two")

    old = on("gm-emerge", "--gm-profile=any", f"--gm-trust={identity()}", "--usepkgonly", ".", cwd=project.path)
    project.edit("one")
    new = on("gm-emerge", "--gm-profile=any", f"--gm-trust={identity()}", "--usepkgonly", ".", cwd=project.path)

    assert old.status == 1
    assert "was built from another state of the work tree" in old.out + old.err
    assert new.status == 0, new.err
    assert says(host, on) == "hello one"
    assert built(new.out) == 0


@pytest.mark.slow
def test_an_unchanged_tree_is_packaged_once(project: Project, host: Host, on, identity):
    host.profile("any", "")
    words = ["gm-emerge", "--gm-profile=any", f"--gm-trust={identity()}", "--buildpkgonly", "."]

    ended = [on(*words, cwd=project.path) for _ in range(2)]
    project.edit("two")
    edited = on(*words, cwd=project.path)

    assert [one.status for one in (*ended, edited)] == [0, 0, 0], edited.err
    assert [built(one.out) for one in (*ended, edited)] == [1, 0, 1]


@pytest.mark.slow
def test_a_root_of_its_own_has_its_own_state(project: Project, host: Host, on, identity, tmp_path: Path):
    host.profile("box", f'root = "{tmp_path / "box"}"\n')
    trust = f"--gm-trust={identity()}"
    assert on("gm-emerge", trust, ".", cwd=project.path).status == 0

    there = [on("gm-emerge", "--gm-profile=box", trust, ".", cwd=project.path) for _ in range(2)]

    assert [one.status for one in there] == [0, 0], there[0].err
    assert [built(one.out) for one in there] == [1, 0]
    assert (host.eroot(tmp_path / "box") / "usr/bin/greet").is_file()


@pytest.mark.slow
def test_the_installed_package_has_the_record_of_its_build(project: Project, host: Host, on, identity):
    assert on("gm-emerge", f"--gm-trust={identity()}", ".", "app-demo/gm-hello", cwd=project.path).status == 0

    told = (host.vdb / "app-misc/greet-99999/GM_DOTGENTOO").read_text().split()

    assert told[0] == identity()
    assert (host.eprefix / "var/cache/gentoomuch/trees" / told[1] / "greet.c").is_file()
    assert not (host.vdb / "app-demo/gm-hello-1.0/GM_DOTGENTOO").exists()


def test_dotgentoo_version_is_that_of_the_work_tree(project: Project, host: Host, on, identity):
    project.commit()
    git(project.path, "tag", "v1.5")
    project.edit("two")

    ended = on("gm-emerge", f"--gm-trust={identity()}", ".", cwd=project.path)

    assert ended.status == 0, ended.err
    assert (host.eprefix / "usr/share/doc/greet-99999/version").read_text() == "v1.5-dirty\n"


@pytest.mark.slow
def test_other_options_of_emerge_work_with_a_project(project: Project, host: Host, on, identity):
    trust = f"--gm-trust={identity()}"
    shown = on("gm-emerge", trust, "-pv", ".", "app-demo/gm-hello", cwd=project.path)
    needed = on("gm-emerge", trust, "--onlydeps", ".", cwd=project.path)
    installed = on("gm-emerge", trust, "--oneshot", ".", cwd=project.path)
    gone = on("gm-emerge", "--unmerge", ".", cwd=project.path)

    assert [one.status for one in (shown, needed, installed, gone)] == [0, 0, 0, 0]
    assert "app-misc/greet-99999" in shown.out
    assert "app-demo/gm-hello-1.0" in shown.out
    assert not (host.eprefix / "usr/bin/greet").exists()


@pytest.mark.slow
def test_an_unchanged_project_does_not_stop_other_targets(project: Project, host: Host, on, identity):
    trust = f"--gm-trust={identity()}"
    assert on("gm-emerge", trust, ".", cwd=project.path).status == 0

    ended = on("gm-emerge", trust, ".", "dev-demo/libgreet", cwd=project.path)
    forced = on("gm-emerge", trust, ".", "--selective=n", cwd=project.path)

    assert (ended.status, built(ended.out)) == (0, 1), ended.err
    assert (forced.status, built(forced.out)) == (0, 1), forced.err


@pytest.mark.slow
def test_the_plan_of_a_project_can_be_printed_and_run(project: Project, host: Host, on, identity, tmp_path: Path):
    shown = on("gm-emerge", "--gm-explain=json", f"--gm-trust={identity()}", ".", cwd=project.path)
    (tmp_path / "plan.json").write_text(shown.out)

    ended = on("gm-emerge", f"--gm-plan={tmp_path / 'plan.json'}")

    assert {"replacement", "work_tree"} <= {one["kind"] for one in json.loads(shown.out)["parts"]}
    assert ended.status == 0, ended.err
    assert says(host, on) == "hello one"


def test_dotgentoo_init_of_a_make_project_installs_it(host: Host, on, tmp_path: Path):
    project = tmp_path / "fresh"
    project.mkdir()
    (project / "greet.c").write_text('#include <stdio.h>\nint main(void) { puts("fresh"); return 0; }\n')
    rule = "install: greet\n\tinstall -D greet $(DESTDIR)$(PREFIX)/bin/greet\n"
    (project / "Makefile").write_text(f"greet: greet.c\n\t$(CC) $(CFLAGS) -o $@ $<\n{rule}")
    assert on("gentoomuch", "dotgentoo", "init", "app-misc/greet", project).status == 0
    found = on("gentoomuch", "dotgentoo", "id", project).out.strip()

    ended = on("gm-emerge", f"--gm-trust={found}", project)

    assert ended.status == 0, ended.err
    assert says(host, on) == "fresh"


def test_without_git_the_copy_excludes_only_vcs_directories(project: Project, host: Host, on, identity):
    (project.path / ".git").mkdir()
    project.write(".git/config", "no repository\n")
    project.write("greet.o", "")

    ended = on("gm-emerge", f"--gm-trust={identity()}", ".", cwd=project.path)

    assert ended.status == 0, ended.err
    [copy] = (host.eprefix / "var/cache/gentoomuch/trees").iterdir()
    assert sorted(one.name for one in copy.iterdir()) == [".gentoo", ".gitignore", "Makefile", "greet.c", "greet.o"]
