# SPDX-License-Identifier: GPL-2.0-or-later
"""gm-emerge PATH: what is asked before a project runs its code, and which repositories it may bring."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.project import EBUILD, Project, git

from gentoomuch_portage.demo_host import Host

BIN = Path(sys.executable).parent


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


@pytest.fixture
def identity(project: Project, on):
    """The ID of the project's folder as it is now."""
    return lambda: on("gentoomuch", "dotgentoo", "id", project.path).out.strip()


def test_an_untrusted_project_runs_no_code(project: Project, host: Host, on, tmp_path: Path):
    mark = tmp_path / "ran"
    project.commit()
    git(project.path, "config", "core.fsmonitor", f"touch {mark}; false")
    project.write(".gentoo/app-misc/greet/greet-99999.ebuild", f"{EBUILD}\ntouch {mark}\n")

    ended = on("gm-emerge", ".", cwd=project.path)
    shown = on("gm-emerge", "--gm-explain", ".", cwd=project.path)

    assert ended.status == 77
    assert "[untrusted]" in ended.err
    assert "--gm-trust=" in ended.err
    assert (shown.status, "is not trusted" in shown.out) == (0, True), shown.err
    assert not mark.exists()
    assert not (host.eprefix / "var/cache/gentoomuch/trees").exists()


def test_git_hooks_of_a_trusted_project_are_not_run(project: Project, on, identity, tmp_path):
    mark = tmp_path / "ran"
    project.commit()
    git(project.path, "config", "core.fsmonitor", f"touch {mark}; false")

    ended = on("gm-emerge", "-p", f"--gm-trust={identity()}", ".", cwd=project.path)

    assert ended.status == 0, ended.err
    assert not mark.exists()


def typed(host: Host, cwd: Path, answer: str, *words: str) -> tuple[int, str]:
    """Run gm-emerge on a terminal, and type answers; its status and what it showed."""
    above, below = pty.openpty()
    argv = [BIN / "gm-emerge", *words]
    ends = {"stdin": below, "stdout": below, "stderr": below}
    with subprocess.Popen(argv, env=host.env(), cwd=cwd, close_fds=True, start_new_session=True, **ends) as run:
        os.close(below)
        os.write(above, answer.encode())
        shown = b""
        while True:
            try:
                more = os.read(above, 65536)
            except OSError:
                break
            if not more:
                break
            shown += more
    os.close(above)
    return run.returncode, shown.decode("utf-8", "replace")


def test_confirming_at_the_terminal_stores_the_id(project: Project, host: Host, on, identity):
    project.write(".gentoo/overlays/o", "[sci]\nsync-type = git\nsync-uri = https://sci.example.org/x.git\n")
    refused = typed(host, project.path, "n\n", "-p", ".")
    (project.path / ".gentoo/overlays/o").unlink()
    yes = typed(host, project.path, "y\n", "-p", ".")
    again = on("gm-emerge", "-p", ".", cwd=project.path)
    kept = json.loads((host.eprefix / "var/lib/gentoomuch/trusted").read_text())
    project.write(".gentoo/package.use", "app-misc/greet loud\n")
    changed = on("gm-emerge", "-p", ".", cwd=project.path)

    assert refused[0] == 77
    assert "https://sci.example.org/x.git" in refused[1]
    assert (yes[0], again.status, changed.status) == (0, 0, 77), yes[1] + again.err
    assert kept["path"] == str(project.path / ".gentoo")
    assert len(kept["id"]) == 128


def test_a_security_mask_needs_a_yes_of_its_own(project: Project, host: Host, on, identity):
    masks = "# Somebody (2026-01-01)\n# Remote code execution, CVE-2026-1.\napp-demo/gm-hello\n\n"
    masks += "# Removal.\ndev-demo/libgreet\n"
    (host.repository / "profiles/package.mask").write_text(masks)
    project.write(".gentoo/package.unmask", "=app-demo/gm-hello-1.0\ndev-demo/libgreet\n")
    trust = f"--gm-trust={identity()}"

    plain = on("gm-emerge", "-p", trust, ".", cwd=project.path)
    more = on("gm-emerge", "-p", f"{trust}:security", ".", "app-demo/gm-hello", cwd=project.path)
    half = typed(host, project.path, "y\nn\n", "-p", ".")
    whole = typed(host, project.path, "y\ny\n", "-p", ".")

    assert (plain.status, more.status, half[0], whole[0]) == (77, 0, 77, 0), plain.err + more.err + half[1] + whole[1]
    assert "lift security masks of =app-demo/gm-hello-1.0" in plain.err
    assert "libgreet" not in plain.err.splitlines()[-2]


def overlay(path: Path, name: str) -> Path:
    """A repository in git with one package, dev-more/extra."""
    files = {
        "profiles/repo_name": f"{name}\n",
        "profiles/categories": "dev-more\n",
        "metadata/layout.conf": "masters = gm-demo\nthin-manifests = true\nuse-manifests = false\n",
        "dev-more/extra/extra-1.ebuild": 'EAPI=8\nDESCRIPTION="extra"\nSLOT="0"\nLICENSE="GPL-2+"\nS="${WORKDIR}"\n'
        'KEYWORDS="amd64 arm64 ppc64 riscv"\n',
    }
    for file, text in files.items():
        (path / file).parent.mkdir(parents=True, exist_ok=True)
        (path / file).write_text(text)
    git(path, "init", "-q")
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", "one")
    return path


def test_an_overlay_is_cloned_and_used(project: Project, host: Host, on, identity, tmp_path: Path):
    uri = overlay(tmp_path / "more", "more").as_uri()
    project.write(".gentoo/overlays/more.conf", f"[more]\nlocation = /nowhere\nsync-type = git\nsync-uri = {uri}\n")
    ebuild = EBUILD.replace('IUSE="loud"', 'IUSE="loud"\nRDEPEND="dev-more/extra"')
    project.write(".gentoo/app-misc/greet/greet-99999.ebuild", ebuild)

    ended = on("gm-emerge", f"--gm-trust={identity()}", ".", cwd=project.path)

    assert ended.status == 0, ended.err
    assert (host.vdb / "dev-more/extra-1").is_dir()
    assert not Path("/nowhere").exists()
    assert on("gm-emerge", "-p", "dev-more/extra").status == 1


@pytest.mark.parametrize(
    ("uri", "status", "told"),
    [
        ("file:///nowhere/at/all.git", 69, "[overlay-unreachable]"),
        ("ext::sh -c touch% /tmp/x", 78, "[bad-dotgentoo]"),
        ("ext::sh -c id", 78, "cannot be fetched"),
        ("--upload-pack=id", 78, "cannot be fetched"),
    ],
)
def test_an_overlay_that_cannot_be_had_leaves_nothing(uri: str, status: int, told: str, project: Project, host, on):
    project.write(".gentoo/overlays/o", f"[more]\nsync-type = git\nsync-uri = {uri}\n")
    found = on("gentoomuch", "dotgentoo", "id", project.path).out.strip()

    ended = on("gm-emerge", f"--gm-trust={found or 'x'}", ".", cwd=project.path)

    assert (ended.status, told in ended.err) == (status, True), ended.err
    stand = host.eprefix / "var/cache/gentoomuch/overlays"
    assert not stand.is_dir() or not list(stand.iterdir())
    assert not (host.vdb / "app-misc").exists()


def test_an_overlay_with_another_name_is_rejected(project: Project, on, identity, tmp_path: Path):
    uri = overlay(tmp_path / "more", "other").as_uri()
    project.write(".gentoo/overlays/o", f"[more]\nsync-type = git\nsync-uri = {uri}\n")

    ended = on("gm-emerge", f"--gm-trust={identity()}", "-p", ".", cwd=project.path)

    assert (ended.status, "[bad-dotgentoo]" in ended.err) == (78, True), ended.err
