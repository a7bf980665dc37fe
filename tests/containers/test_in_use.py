"""A root is neither removed nor exported while somebody works in it, wherever that is."""

import shutil
import subprocess
from pathlib import Path

import pytest
from boxing import some
from conftest import BIN, Run

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
def test_nobody_begins_to_work_in_a_root_that_is_being_exported(on: Run, root: Path, words: tuple[str, ...]) -> None:
    (root / "etc").mkdir(parents=True)  # one that was never made is told first
    with root_lock.alone(root):
        begun = on(*words, *(["libgreet"] if "gm-emerge" in words else ["--", "true"]))
        looked = on("gm-emerge", "--gm-profile=router", "-pq", "libgreet")

    assert "[busy]" in begun.err
    assert begun.status == 75
    assert looked.status == 0
