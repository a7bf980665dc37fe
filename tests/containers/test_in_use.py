# SPDX-License-Identifier: GPL-2.0-or-later
"""A root is neither removed nor exported while somebody works in it, wherever that is."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from conftest import BIN, Run
from helpers.containers import some
from helpers.snapshots import describe

from gentoomuch_portage.containers import root_lock
from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.demo_host.host import write

_LOOKS = """EAPI=8
DESCRIPTION="Looks whether anybody could remove its root"
SLOT="0"
LICENSE="GPL-2+"
KEYWORDS="amd64 arm64 ppc64 riscv"
S="${WORKDIR}"
pkg_preinst() {
	! flock --nonblock "${ROOT}" true || die "anybody could remove ${ROOT} now"
}
"""


@pytest.fixture
def root(host: Host, tmp_path: Path) -> Path:
    """The root of the profile ``router``, not made yet."""
    host.profile("router", f'root = "{tmp_path / "roots/router"}"\n')
    return tmp_path / "roots/router"


@pytest.mark.skipif(not shutil.which("flock"), reason="util-linux is not here")
@pytest.mark.parametrize("contained", [False, True])
def test_emerge_holds_the_root_that_it_works_in(host: Host, on: Run, root: Path, *, contained: bool) -> None:
    write(host.repository / "app-demo/looks/looks-1.ebuild", _LOOKS)
    kind = some() if contained else "none"

    ended = on("gm-emerge", "--gm-profile=router", f"--gm-isolation={kind}", "-1q", "looks")

    assert ended.status == 0, ended.err + ended.out
    assert (host.eroot(root) / "var/db/pkg/app-demo/looks-1").is_dir()


def test_a_root_stays_as_long_as_somebody_is_in_a_fresh_one_of_it(host: Host, on: Run, root: Path) -> None:
    write(host.eroot(root) / "etc/motd", "hello")
    (host.eroot(root) / "var/db/pkg").mkdir(parents=True)
    words = ["freshroot", "router", "--isolation", some(), "--keep", "lab", "--", "sh", "-c", "echo there; read line"]
    removing = [("root", "rm", "router", "--yes"), ("root", "rm", "router", "--fresh", "lab", "--yes")]
    export = ("root", "export", "router", "-o", root.parent / "router.tar")

    with subprocess.Popen([BIN / "gentoomuch", *words], env=host.env(), stdin=-1, stdout=-1, text=True) as fresh:
        assert fresh.stdout is not None
        assert fresh.stdout.readline() == "there\n"
        refused = [on("gentoomuch", *words) for words in (export, *removing)]
        fresh.communicate("\n")
    done = [on("gentoomuch", *words).status for words in (export, *reversed(removing))]

    assert [one.status for one in refused] == [75, 75, 75], [one.err for one in refused]
    assert f"by gentoomuch ({fresh.pid})" in refused[0].err
    assert done == [0, 0, 0]
    assert not root.exists()


@pytest.mark.parametrize("words", [("gm-emerge", "--gm-profile=router", "-1q"), ("gentoomuch", "freshroot", "router")])
def test_a_root_cannot_be_used_during_its_export(on: Run, root: Path, words: tuple[str, ...]) -> None:
    (root / "etc").mkdir(parents=True)  # one that was never made is told first
    with root_lock.exclusive(root):
        begun = on(*words, *(["libgreet"] if "gm-emerge" in words else ["--", "true"]))
        looked = on("gm-emerge", "--gm-profile=router", "-pq", "libgreet")

    assert "[busy]" in begun.err
    assert begun.status == 75
    assert looked.status == 0


def test_what_enter_changes_in_a_root_stays_and_is_recorded(host: Host, on: Run, root: Path) -> None:
    (host.eroot(root) / "var/db/pkg").mkdir(parents=True)
    script = f"echo there > {root}/note; touch /usr/bin/gm-elsewhere"

    ended = on("gentoomuch", "root", "enter", "router", "--isolation", some(), "--", "sh", "-c", f"{script}; exit 7")
    recorded = json.loads(on("gentoomuch", "history", "--json").out)

    assert ended.status == 7, ended.err
    assert (root / "note").read_text() == "there\n"
    assert not Path("/usr/bin/gm-elsewhere").exists()
    assert [(run["goal"], run["arguments"][:3], run["status"]) for run in recorded] == [
        ("enter", ["root", "enter", "router"], 7)
    ]


def test_a_root_is_entered_by_one_alone(host: Host, on: Run, root: Path) -> None:
    (host.eroot(root) / "var/db/pkg").mkdir(parents=True)
    kind = some()
    words = ["root", "enter", "router", "--isolation", kind, "--", "sh", "-c", "echo there; read line"]
    others = [
        ("gentoomuch", "root", "enter", "router", "--isolation", kind, "--", "true"),
        ("gentoomuch", "freshroot", "router", "--isolation", kind, "--", "true"),
        ("gm-emerge", "--gm-profile=router", "-1q", "libgreet"),
    ]

    with subprocess.Popen([BIN / "gentoomuch", *words], env=host.env(), stdin=-1, stdout=-1, text=True) as inside:
        assert inside.stdout is not None
        assert inside.stdout.readline() == "there\n"
        refused = [on(*command) for command in others]
        inside.communicate("\n")

    assert [(ended.status, "[busy]" in ended.err) for ended in refused] == [(75, True)] * 3
    assert on(*others[0]).status == 0


def test_a_root_that_a_container_uses_is_neither_saved_nor_rolled_back(host: Host, on: Run, root: Path) -> None:
    (host.eroot(root) / "var/db/pkg").mkdir(parents=True)
    assert on("gentoomuch", "root", "snapshot", "router").status == 0
    saved = describe(root)
    script = f"echo changed > {root}/note; echo there; read line; echo again >> {root}/note"
    words = ["root", "enter", "router", "--isolation", some(), "--", "sh", "-c", script]

    with subprocess.Popen([BIN / "gentoomuch", *words], env=host.env(), stdin=-1, stdout=-1, text=True) as inside:
        assert inside.stdout is not None
        assert inside.stdout.readline() == "there\n"
        refused = [on("gentoomuch", "root", verb, "router") for verb in ("snapshot", "rollback")]
        inside.communicate("\n")
    written = (root / "note").read_text()
    ended = on("gentoomuch", "root", "rollback", "router")

    assert [(one.status, "[busy]" in one.err) for one in refused] == [(75, True)] * 2
    assert written == "changed\nagain\n"
    assert ended.status == 0, ended.err
    assert describe(root) == saved


def test_a_root_that_others_can_reach_is_not_entered(host: Host, on: Run) -> None:
    with tempfile.TemporaryDirectory(prefix="gm-") as folder:
        Path(folder).chmod(0o755)
        if any(not above.stat().st_mode & 0o001 for above in Path(folder).parents):
            pytest.skip("nobody else can reach the temporary directory")
        root = Path(folder, "router")
        (host.eroot(root) / "var/db/pkg").mkdir(parents=True)
        host.profile("router", f'root = "{root}"\n')

        ended = on("gentoomuch", "root", "enter", "router", "--isolation", some(), "--", "true")

    assert (ended.status, "[open-root]" in ended.err) == (69, True), ended.err


def test_a_root_without_its_own_portage_is_entered_as_root_only(host: Host, on: Run, root: Path) -> None:
    (host.eroot(root) / "var/db/pkg").mkdir(parents=True)

    ended = on("gentoomuch", "root", "enter", "router", "--user", "nobody", "--", "true")

    assert (ended.status, "[partial-root]" in ended.err) == (70, True), ended.err
