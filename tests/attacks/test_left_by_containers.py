# SPDX-License-Identifier: GPL-2.0-or-later
"""S1: a build in a container leaves programs for local users, who run them as root.

Each test was seen failing on dfeccc0, where PORTAGE_TMPDIR of a container was a directory of the host that the
container's root owned: ``chmod 0777`` in pkg_setup let everybody in to set-user-ID programs, also after the run.
"""

import os
import secrets
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import BIN, Ended
from helpers.containers import need, some
from helpers.patches import APP, MAIN, make_app, prepared
from helpers.waiting import HANG, wait_for

from gentoomuch_portage import demo_host
from gentoomuch_portage.config import isolation_kinds
from gentoomuch_portage.demo_host import Host

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a program of root's is only root's")
_NOBODY = 65534
_SEEN = Path("gentoo/etc/portage/make.conf")
"""A file of the host that everybody sees."""
_TOKEN = f"left-{secrets.token_hex(6)}"
"""What all files of the attack begin with: nobody else on this machine has such."""
_IN_CONTAINER = "gentoomuch"
"""The host name in a container: nothing is attacked elsewhere, whatever fails."""
_LEAVE = """
leave() {
	local at
	[[ $(< /proc/sys/kernel/hostname) == HOSTNAME ]] || return 0
	for at in "${PORTAGE_TMPDIR}" "${PORTAGE_TMPDIR}/portage" "${PORTAGE_BUILDDIR}" "${T}" \\
		"${DISTDIR}" "${PORTAGE_ACTUAL_DISTDIR}" "${PKGDIR}" "${PORTAGE_LOGDIR}" \\
		"${EPREFIX}"/var/{lib,cache}/gentoomuch "${EPREFIX}/var/tmp" /var/tmp /tmp /dev/shm /run /usr/bin; do
		mkdir -p "${at}"; chmod 0777 "${at}" "${at}"/..
		cp /bin/bash "${at}/TOKEN-rootsh"; chmod 4755 "${at}/TOKEN-rootsh"
		cp /bin/bash "${at}/TOKEN-groupsh"; chmod 2755 "${at}/TOKEN-groupsh"
		cp /bin/true "${at}/TOKEN-capable"; setcap cap_setuid+ep "${at}/TOKEN-capable"
		echo x > "${at}/TOKEN-everybodys"; chmod 0666 "${at}/TOKEN-everybodys"
		echo x > "${at}/TOKEN-anothers"; chown 1002:1002 "${at}/TOKEN-anothers"
		ln -s /etc/passwd "${at}/TOKEN-link"; mkfifo -m 0666 "${at}/TOKEN-fifo"; mknod "${at}/TOKEN-device" c 1 3
	done 2>/dev/null
	:
}
""".replace("TOKEN", _TOKEN).replace("HOSTNAME", _IN_CONTAINER)
_EBUILD = """EAPI=8
DESCRIPTION="leaves programs behind"
SLOT=0
LICENSE="GPL-2+"
KEYWORDS="{arches}"
S="${{WORKDIR}}"
{leave}
pkg_setup() {{ leave; }}
src_compile() {{ leave; echo building > "${{T}}/{token}-building"; case ${{PN}} in
	fails) die "as it shall" ;;
	waits) while sleep 1; do :; done ;;
esac; }}
src_install() {{ leave; insinto /usr/share/${{PN}}; doins "${{T}}/{token}-building"; }}
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A directory that everybody may enter, as they may not those of pytest."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="gentoomuch-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def host(open_folder: Path) -> Host:
    """A host that everybody may enter, with packages that leave what they can."""
    made = demo_host.make(open_folder / "host")
    arches = " ".join((made.repository / "profiles/arch.list").read_text().split())
    for name in ("works", "fails", "waits"):
        ebuild = made.repository / f"app-demo/{name}/{name}-1.ebuild"
        ebuild.parent.mkdir(parents=True)
        ebuild.write_text(_EBUILD.format(arches=arches, leave=_LEAVE, token=_TOKEN))
    made.profile("router", "")
    return made


@pytest.fixture(params=isolation_kinds.AUTOMATIC)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of container that works here."""
    need(request.param)
    return str(request.param)


def left(folder: Path) -> list[str]:
    """What the attack has left below a directory of the host, but for what is in packages."""
    found = subprocess.run(
        ["find", str(folder), "-xdev", "-name", f"{_TOKEN}*"], capture_output=True, text=True, check=False
    )
    return found.stdout.splitlines()


def reached(folder: Path) -> list[str]:
    """What of it users of the host get to: nobody, and a member of root's group and of Portage's."""
    lines: set[str] = set()
    for groups in ([], [0, 250]):
        argv = ["find", str(folder), "-name", f"{_TOKEN}*", "-o", "-path", str(folder / _SEEN)]
        told = {"capture_output": True, "text": True, "check": False, "cwd": "/"}
        found = subprocess.run(argv, user=_NOBODY, group=_NOBODY, extra_groups=groups, **told)
        assert str(folder / _SEEN) in found.stdout.splitlines(), "they do look there"
        lines |= {*found.stdout.splitlines()} - {str(folder / _SEEN)}
    return sorted(lines)


def special(folder: Path, since: float) -> list[str]:
    """What is new below a directory and gives rights: set-user-ID, set-group-ID, devices, files of other users."""
    found = []
    for above, folders, names in os.walk(folder):
        for path in (Path(above, name) for name in (*folders, *names)):
            seen = path.lstat()
            odd = stat.S_ISREG(seen.st_mode) and seen.st_mode & 0o6000
            if seen.st_ctime >= since and (odd or stat.S_ISCHR(seen.st_mode) or seen.st_uid):
                found.append(f"{path} {seen.st_mode:o} {seen.st_uid}")
    return found


def run(host: Host, *words: str) -> Ended:
    """A command to its end."""
    argv = [str(BIN / words[0]), *words[1:]]
    ended = subprocess.run(argv, env=host.env(), capture_output=True, text=True, timeout=HANG, check=False)
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def build(host: Host, kind: str, name: str) -> list[str]:
    """The words of a build."""
    return ["gm-emerge", "--gm-profile=router", f"--gm-isolation={kind}", "-B", name]


def ended_by(host: Host, kind: str, number: int) -> int:
    """Start a build, end it by a signal while it builds; its status."""
    words = build(host, kind, "waits")
    with subprocess.Popen(
        [str(BIN / words[0]), *words[1:]], env=host.env(), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as started:  # fmt: skip
        try:
            wait_for(
                lambda: any(one.endswith("-building") for one in left(host.eprefix)),
                "the package is built",
            )
            assert reached(host.folder) == [], "while it builds"
            if number == signal.SIGKILL:
                started.kill()
            else:
                os.killpg(started.pid, number)
            return started.wait(timeout=HANG)
        finally:
            started.kill()  # whatever failed: no test waits for a build without an end


def test_nothing_that_a_build_made_stays_on_the_host_however_the_build_ends(kind: str, host: Host) -> None:
    """A walk over the host: after success, failure, Ctrl-C, and kill -9 with the next run behind it."""
    begun = time.time()
    assert run(host, *build(host, kind, "works")).status == 0
    assert (left(host.folder), reached(host.folder)) == ([], []), "after success"
    assert [one.name for one in host.pkgdir.rglob("*.gpkg.tar")] == ["works-1-1.gpkg.tar"]

    assert run(host, *build(host, kind, "fails")).status == 1
    assert (left(host.folder), reached(host.folder)) == ([], []), "after a failure"

    assert ended_by(host, kind, signal.SIGINT) != 0
    assert (left(host.folder), reached(host.folder)) == ([], []), "after Ctrl-C"

    assert ended_by(host, kind, signal.SIGKILL) == -signal.SIGKILL
    assert reached(host.folder) == [], "after kill -9"
    assert run(host, "gentoomuch", "--quiet", "freshroot", "router", "--isolation", kind, "--", "true").status == 0
    assert left(host.folder) == [], "after kill -9 and the next run"

    assert special(host.folder, begun) == []
    assert list((host.eprefix / "var/tmp").glob("gentoomuch-run-*")) == []


def test_a_container_leaves_nothing_in_the_shared_memory_of_the_host(kind: str, host: Host) -> None:
    """S1: seen failing before podman had a /dev/shm of its own.

    All podman commands of the machine shared one file of 2,048 locks, in which each killed run kept its own.
    """
    script = 'mount -t tmpfs none /dev/shm; "$@"; ls -A /dev/shm'
    words = [BIN / "gentoomuch", "--quiet", "freshroot", "router", "--isolation", kind, "--", "true"]
    argv = ["unshare", "--mount", "--propagation=private", "sh", "-ec", script, "sh", *words]

    ended = subprocess.run(argv, env=host.env(), capture_output=True, text=True, timeout=HANG, check=False)

    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr


def test_files_of_a_fresh_root_remain_only_with_keep_and_closed(host: Host) -> None:
    kind = some()
    script = (
        '[ "$(cat /proc/sys/kernel/hostname)" = fresh ] || exit 9\n'
        "for at in ${PORTAGE_TMPDIR:-/var/tmp} /tmp /usr/bin /var/tmp; do\n"
        f"cp /bin/bash $at/{_TOKEN}-rootsh && chmod 4755 $at/{_TOKEN}-rootsh || exit 1; done; chmod 0777 / /usr"
    )
    words = ("gentoomuch", "--quiet", "freshroot", "router", "--isolation", kind)
    assert run(host, *words, "--", "sh", "-c", script).status == 0
    assert left(host.folder) == []

    assert run(host, *words, "--keep", "mine", "--", "sh", "-c", script).status == 0
    assert left(host.folder) != [], "it is kept"
    assert reached(host.folder) == []
    assert [one for one in left(host.folder) if "/roots/mine/" not in one] == []


def test_files_saved_by_patch_try_have_no_privileges(open_folder: Path) -> None:
    """It goes on in the same directory: its notes and its log are written by the host, and no link of a build's there.

    On dfeccc0 the log was in that directory, and was written through a link that pkg_setup had made: as root, with
    what the build printed.
    """
    kind = some()
    app = make_app(demo_host.make(open_folder / "host"))
    victim = open_folder / "victim"
    victim.write_text("as it was\n")
    log = "${PORTAGE_TMPDIR}/${PF}.log"
    links = f"ln -sfn {victim} {log}; ln -sfn {victim} {log.replace('/', '/../')}; :"
    tree = prepared(run(app, "gentoomuch", "patch", "prep", "mend", APP, "--profile=plain"))
    for ebuild in (app.repository / APP).glob("*.ebuild"):
        ebuild.write_text(f"{ebuild.read_text()}\n{_LEAVE}\npkg_setup() {{ leave; {links}; }}\n")
    app.profile("plain", f'isolation = "{kind}"\n')

    for text in ("one", "two"):
        (tree / "main.c").write_text(MAIN.replace("plain", text))
        ended = run(app, "gentoomuch", "patch", "try", "mend", "--profile=plain")
        assert ended.status == 0, ended.out + ended.err

    assert victim.read_text() == "as it was\n"
    assert reached(app.folder) == []
    names = {Path(one).name for one in left(app.folder)}
    assert f"{_TOKEN}-rootsh" in names, "the build directory is kept"
    assert not names & {f"{_TOKEN}-fifo", f"{_TOKEN}-device"}
    assert [one for one in left(app.folder) if Path(one).lstat().st_mode & 0o6000 and not Path(one).is_symlink()] == []
    assert "not build incrementally" not in ended.err


def test_a_root_that_others_can_enter_is_not_written_to_by_a_container(host: Host) -> None:
    """The mode of the root itself is no gate, as the container's root owns it."""
    kind = some()
    root = host.folder / "machines/one"
    root.mkdir(parents=True)
    host.profile("one", f'root = "{root}"\n')
    words = ("gm-emerge", "--gm-profile=one", f"--gm-isolation={kind}", "works")

    refused = run(host, *words)

    assert (refused.status, "[open-root]" in refused.err) == (69, True), refused.err
    assert left(host.folder) == []
    hint = refused.err.partition("hint: ")[2].splitlines()[0]
    assert hint == f"chmod 0700 {root.parent}"
    subprocess.run(hint.split(), check=True)
    taken = run(host, *words)
    assert taken.status == 0, taken.out + taken.err
    assert reached(host.folder) == []


def test_a_root_that_a_container_fills_first_is_closed(host: Host) -> None:
    kind = some()
    root = host.folder / "machines/one"
    host.profile("one", f'root = "{root}"\n')
    ended = run(host, "gm-emerge", "--gm-profile=one", f"--gm-isolation={kind}", "works")
    assert ended.status == 0, ended.out + ended.err
    assert stat.S_IMODE(root.parent.stat().st_mode) == 0o700
    assert reached(host.folder) == []


def test_a_squatted_name_in_a_shared_directory_does_not_block_builds(host: Host) -> None:
    """S17. On dfeccc0 each run with a profile ended with "is not a folder of ours"."""
    name = host.eprefix / "var/tmp/gentoomuch-0"
    name.mkdir()
    os.chown(name, _NOBODY, _NOBODY)

    contained = run(host, *build(host, some(), "works"))
    plain = run(host, "gm-emerge", "--gm-profile=router", "-1", "libgreet")

    assert contained.status == 0, contained.err
    assert plain.status == 0, plain.err
    assert list(name.iterdir()) == []


_CACHES = """EAPI=8
DESCRIPTION="writes caches that other builds read, or looks for what is written there"
SLOT=0
LICENSE="GPL-2+"
KEYWORDS="{arches}"
S="${{WORKDIR}}"
pkg_setup() {{
	[[ $(< /proc/sys/kernel/hostname) == {hostname} ]] || die "not in a container"
	local cache caches=( "${{CCACHE_DIR}}" "${{PORTAGE_TMPDIR}}/ccache" "${{SCCACHE_DIR}}" /var/tmp/ccache
		"${{DISTDIR}}/git3-src" "${{PORTAGE_ACTUAL_DISTDIR}}/git3-src" "${{PORTAGE_ACTUAL_DISTDIR}}/svn-src" )
	for cache in "${{caches[@]}}"; do
		if [[ ${{PN}} == looks ]]; then
			[[ ! -e ${{cache}}/{token} ]] || die "${{cache}} has what another build has written"
		elif [[ -n ${{cache}} ]] && mkdir -p "${{cache}}"; then
			echo x > "${{cache}}/{token}"
		fi
	done 2>/dev/null
	:
}}
src_install() {{ insinto /usr/share/${{PN}}; newins - file <<< text; }}
"""


def test_caches_written_by_a_build_are_not_read_by_others(host: Host) -> None:
    """S1: ccache and the like, below PORTAGE_TMPDIR as by default and where the host has them, and git checkouts."""
    kind = some()
    arches = " ".join((host.repository / "profiles/arch.list").read_text().split())
    for name in ("poisons", "looks"):
        ebuild = host.repository / f"app-demo/{name}/{name}-1.ebuild"
        ebuild.parent.mkdir(parents=True)
        ebuild.write_text(_CACHES.format(arches=arches, token=_TOKEN, hostname=_IN_CONTAINER))
    caches = {f"{name}_DIR": host.eprefix / f"var/cache/{name.lower()}" for name in ("CCACHE", "SCCACHE")}
    for cache in caches.values():
        cache.mkdir()
    layer = "".join(f'{name}="{cache}"\n' for name, cache in caches.items())
    host.profile("router", 'layers = ["caches"]\n', {"caches/make.conf": layer})

    for name in ("poisons", "looks"):
        ended = run(host, *build(host, kind, name))
        assert ended.status == 0, ended.out + ended.err
        assert left(host.folder) == []


def test_nothing_is_left_anywhere_on_the_machine() -> None:
    """A walk over the file system of the machine, after all of the above."""
    assert left(Path("/")) == []
