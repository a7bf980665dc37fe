# SPDX-License-Identifier: GPL-2.0-or-later
"""S1: ebuilds run as root on the host to prepare sources for patches, though their profile builds in containers.

Seen failing before sources were prepared in containers: pkg_setup of ``patch prep`` and ``patch check`` wrote to the
host as root, and that of ``patch try`` to the root of another machine.
"""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Ended, Run
from helpers.containers import need, some
from helpers.patches import package, put

from gentoomuch_portage.config import isolation_kinds
from gentoomuch_portage.demo_host import Host

APP = "dev-demo/spread"
HOSTILE = """
spread() {{
	mkdir -p {outside} && touch {outside}/${{1}}
	cp /bin/bash "${{PORTAGE_TMPDIR}}/rootsh"; chmod 4755 "${{PORTAGE_TMPDIR}}/rootsh"
	touch "${{PKGDIR}}/${{1}}" "${{PORTAGE_ACTUAL_DISTDIR}}/${{1}}" "${{ROOT%/}}/${{1}}"
}} 2>/dev/null
pkg_nofetch() {{ spread nofetch; }}
pkg_setup() {{ spread setup; echo "setup in $(< /proc/sys/kernel/hostname)" > "${{T}}/where"; }}
src_unpack() {{ spread unpack; default; }}
src_prepare() {{ spread prepare; cp "${{T}}/where" where.txt; default; }}
"""
PATCH = "--- a/main.c\n+++ b/main.c\n@@ -1 +1 @@\n-one\n+two\n"


@pytest.fixture(params=isolation_kinds.AUTOMATIC)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of container that works here."""
    need(request.param)
    return str(request.param)


@pytest.fixture
def hostile(host: Host) -> Host:
    """A host with an ebuild that writes wherever it can, in each of its phases."""
    more = HOSTILE.format(outside=host.folder / "outside")
    package(host, f"{APP}-1", {"main.c": "one\n"}, more=more)
    return host


def _spread(host: Host) -> list[str]:
    """What the ebuild has written outside of the sources."""
    names = {"nofetch", "setup", "unpack", "prepare", "rootsh"}
    return sorted(str(path) for path in host.folder.rglob("*") if path.name in names)


def _prep(on: Run, kind: str, host: Host) -> Ended:
    host.profile("router", f'isolation = "{kind}"\n')
    return on("gentoomuch", "patch", "prep", "mine", APP, "--profile=router")


def test_patch_prep_runs_ebuilds_in_the_container_that_the_profile_asks_for(kind: str, hostile: Host, on: Run) -> None:
    ended = _prep(on, kind, hostile)

    assert ended.status == 0, ended.out + ended.err
    tree = Path(ended.out.splitlines()[0])
    assert (tree / "main.c").read_text() == "one\n"
    assert (tree / "where.txt").read_text() == "setup in gentoomuch\n"
    assert _spread(hostile) == []


def test_patch_prep_uses_another_kind_for_a_profile_that_builds_in_a_virtual_machine(hostile: Host, on: Run) -> None:
    some()

    ended = _prep(on, "vm", hostile)

    assert ended.status == 0, ended.out + ended.err
    assert (Path(ended.out.splitlines()[0]) / "where.txt").read_text() == "setup in gentoomuch\n"
    assert _spread(hostile) == []


def test_patch_check_runs_ebuilds_in_the_container_that_the_profile_asks_for(kind: str, hostile: Host, on: Run) -> None:
    put(hostile, f"mine/{APP}/two.patch", PATCH)
    hostile.profile("router", f'isolation = "{kind}"\npatches = ["mine"]\n')

    ended = on("gentoomuch", "patch", "check", "--profile=router")

    assert (ended.status, ended.out) == (0, ""), ended.out + ended.err
    [where] = (hostile.eprefix / "var/cache/gentoomuch/sources").rglob("where.txt")
    assert where.read_text() == "setup in gentoomuch\n"
    assert _spread(hostile) == []


def test_patch_try_in_a_container_leaves_the_root_of_another_machine_as_it_is(
    kind: str, hostile: Host, on: Run
) -> None:
    root = hostile.folder / "machine"
    root.mkdir()
    hostile.profile("router", f'isolation = "{kind}"\nroot = "{root}"\n')
    prepared = on("gentoomuch", "patch", "prep", "mine", APP, "--profile=router")
    assert prepared.status == 0, prepared.out + prepared.err

    tried = on("gentoomuch", "patch", "try", "mine", "--profile=router")

    assert tried.status == 0, tried.out + tried.err
    assert list(root.iterdir()) == []
    kept = hostile.eprefix / "var/cache/gentoomuch/trying"
    assert [path for path in map(Path, _spread(hostile)) if not path.is_relative_to(kept)] == []


def test_ebuilds_that_patch_runs_read_no_hashes_of_the_root_of_another_machine(
    kind: str, hostile: Host, on: Run
) -> None:
    """RH0: hashes of a root in a container that only prepares sources."""
    shadow = hostile.folder / "machine/etc/shadow"
    shadow.parent.mkdir(parents=True)
    shadow.write_text("root:$6$planted$:19000:0:99999:7:::\n")
    hostile.profile("router", f'isolation = "{kind}"\nroot = "{shadow.parents[1]}"\n')
    ebuild = hostile.repository / APP / "spread-1.ebuild"
    ebuild.write_text(ebuild.read_text().replace('echo "setup in $(< /proc/sys/kernel/hostname)"', f"cat {shadow}"))

    ended = on("gentoomuch", "patch", "prep", "mine", APP, "--profile=router")

    assert ended.status == 0, ended.out + ended.err
    read = (Path(ended.out.splitlines()[0]) / "where.txt").read_text()
    assert read == "root:!:19000:0:99999:7:::\n"


@pytest.fixture
def served(hostile: Host) -> Iterator[Host]:
    """The distfile of the ebuild is on a server, and not in DISTDIR."""
    archive = hostile.distdir / "spread-1.tar.gz"
    away = hostile.folder / "mirror"
    away.mkdir()
    archive.rename(away / archive.name)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(away))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        ebuild = hostile.repository / APP / "spread-1.ebuild"
        uri = f"http://127.0.0.1:{server.server_port}/{archive.name}"
        ebuild.write_text(ebuild.read_text().replace(f'SRC_URI="{archive.name}"', f'SRC_URI="{uri}"'))
        yield hostile
        server.shutdown()


def test_distfiles_are_downloaded_in_a_container_and_nothing_else_is_exported(kind: str, served: Host, on: Run) -> None:
    ended = _prep(on, kind, served)

    assert ended.status == 0, ended.out + ended.err
    assert [path.name for path in served.distdir.iterdir() if "spread" in path.name] == ["spread-1.tar.gz"]
    assert _spread(served) == []


def test_pkg_nofetch_runs_in_a_container(kind: str, hostile: Host, on: Run) -> None:
    ebuild = hostile.repository / APP / "spread-1.ebuild"
    ebuild.write_text(f'{ebuild.read_text()}RESTRICT="fetch"\n')
    (hostile.distdir / "spread-1.tar.gz").unlink()

    ended = _prep(on, kind, hostile)

    assert (ended.status, "[unprepared]" in ended.err) == (70, True), ended.out + ended.err
    assert _spread(hostile) == []
