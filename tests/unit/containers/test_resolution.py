# SPDX-License-Identifier: GPL-2.0-or-later
"""S2: which packages come out of a container: those that its run resolved, as it resolved them, each once.

dfeccc0 took whatever agreed with its own name; tests/attacks/test_planted_packages.py was seen failing on it.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.packages import metadata, tar
from hypothesis import given
from hypothesis import strategies as st

from gentoomuch_portage.containers import artifacts, resolution
from gentoomuch_portage.containers.artifacts import Admitted
from gentoomuch_portage.containers.host_overlay import PACKAGES
from gentoomuch_portage.containers.resolution import Recorder
from gentoomuch_portage.plan.merge import Merge

FOO = Merge("app-misc/foo-1", "0", "/", "ebuild", "gentoo", "/foo-1.ebuild", 0, ("ssl", "test"), "")
BAR = FOO._replace(cpv="app-misc/bar-2-r1", use=())


class Container:
    """A container's own directory on the host, and the PKGDIR of its run."""

    def __init__(self, folder: Path) -> None:
        self.run, self.pkgdir = folder / "run", folder / "pkgdir"
        self.run.mkdir()
        self.pkgdir.mkdir()

    def resolve(self, *merges: Merge) -> None:
        """Report a list as the container that fetches does."""
        self._recorder(resolves=True).read_line(_resolved(*merges))

    def finish(self, *merges: Merge, status: int = 0) -> None:
        """Report packages as finished."""
        recorder = self._recorder(resolves=False)
        for merge in merges:
            recorder.read_line(_line("done", key=merge.key, status=status))

    def _recorder(self, *, resolves: bool) -> Recorder:
        return record(self, resolves=resolves, builds=not resolves)

    def build(self, name: str = "app-misc/foo/foo-1-1.gpkg.tar", **changes: str | None) -> Path:
        """Leave a package in the container's PKGDIR, foo-1 as it was resolved unless changed."""
        return write_package(self.run / PACKAGES / name, **changes)

    def take(self) -> tuple[list[Admitted], list[str]]:
        """Take over; what came out and what was reported of the rest."""
        lines: list[str] = []

        def taker() -> Callable[[Path, str, int], int]:
            return lambda _file, _cpv, build_id: build_id

        return artifacts.take_over(self.run, taker, lines.append), lines


def record(container: Container, *, resolves: bool, builds: bool) -> Recorder:
    """Begin to record what a container of the run reports."""
    return Recorder(container.run, profile="router", pkgdir=container.pkgdir, resolves=resolves, builds=builds)


def write_package(path: Path, **changes: str | None) -> Path:
    """Write a package as far as it is read."""
    fields = {
        "CATEGORY": "app-misc", "PF": "foo-1", "BUILD_ID": "1", "BUILD_TIME": str(int(time.time())), "SLOT": "0/3",
        "USE": "abi_x86_64 elibc_glibc ssl test", "IUSE": "+ssl -static test", "repository": "gentoo",
        "GM_PROFILE": "router",
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {name: text.encode() for name, text in (fields | changes).items() if text is not None}
    path.write_bytes(tar([(f"{path.stem}/gpkg-1", b""), (f"{path.stem}/metadata.tar", metadata(kept))]))
    return path


def _line(event: str, **fields: Any) -> bytes:
    return json.dumps({"event": event, **fields}).encode()


def _resolved(*merges: Merge) -> bytes:
    return _line("resolved", merges=[merge._asdict() for merge in merges], goal="merge", jobs=1, quiet=False)


@pytest.fixture
def container(tmp_path: Path) -> Container:
    """A run that resolved foo and bar."""
    container = Container(tmp_path)
    container.resolve(FOO, BAR)
    return container


def test_a_finished_package_of_the_list_is_admitted(container: Container) -> None:
    container.build()
    container.finish(FOO)
    assert container.take() == ([Admitted("app-misc/foo-1", 1, 1)], [])


@pytest.mark.parametrize(
    "changes",
    [
        {"SLOT": "1"},
        {"SLOT": None},
        {"repository": "evil"},
        {"USE": "ssl"},
        {"USE": "ssl test static"},
        {"GM_PROFILE": "other"},
        {"BUILD_TIME": "1700000000"},
        {"BUILD_TIME": "4102444800"},
        {"BUILD_TIME": None},
        {"BUILD_TIME": "9" * 16},
        {"BUILD_TIME": "-1"},
        {"BUILD_ID": None},
        {"BUILD_ID": "2"},
        {"BUILD_ID": "01"},
        {"BUILD_ID": "\u00b2"},
        {"PF": "bar-2-r1"},
        {"CATEGORY": "sys-libs"},
    ],
    ids=str,
)
def test_a_package_that_differs_from_its_resolution_is_rejected(container: Container, changes: dict[str, Any]) -> None:
    file = container.build(**changes)
    container.finish(FOO)
    taken, lines = container.take()
    assert (taken, len(lines)) == ([], 1)
    assert "app-misc/foo/foo-1-1.gpkg.tar" in lines[0]
    assert file.exists()


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("sys-libs/glibc/glibc-2.42-1.gpkg.tar", {"CATEGORY": "sys-libs", "PF": "glibc-2.42"}),
        ("app-misc/foo/foo-2-1.gpkg.tar", {"PF": "foo-2"}),
        ("app-misc/foo/foo-1-r1-1.gpkg.tar", {"PF": "foo-1-r1"}),
        ("app-misc/foo-1.tbz2", {}),
        ("app-misc/foo/foo-1-99.gpkg.tar", {"BUILD_ID": "99"}),
        ("app-misc/foo/foo-1-999999999999999.gpkg.tar", {"BUILD_ID": "999999999999999"}),
    ],
)
def test_a_planted_package_is_rejected_whatever_the_container_reports(
    container: Container, name: str, changes: dict[str, Any]
) -> None:
    container.build(name, **changes)
    time.sleep(0.02)  # what the kernel may count as the same time
    container.build()
    planted = FOO._replace(cpv=f"{changes.get('CATEGORY', 'app-misc')}/{changes.get('PF', 'foo-1')}")
    container.finish(FOO, planted)
    taken, lines = container.take()
    assert taken == [Admitted("app-misc/foo-1", 1, 1)]
    assert [name in line for line in lines] == [True]


def test_each_package_of_the_list_is_admitted_once(container: Container) -> None:
    container.resolve(FOO, FOO._replace(root="/srv/root"), BAR)  # for two roots: twice
    for number, root in zip("12", ("/", "/srv/root"), strict=True):
        container.build(f"app-misc/foo/foo-1-{number}.gpkg.tar", BUILD_ID=number)
        container.finish(FOO._replace(root=root))
    container.build("app-misc/foo/foo-1-3.gpkg.tar", BUILD_ID="3")
    container.finish(FOO, FOO._replace(root="/srv/root"))
    taken, lines = container.take()
    assert [package.inner_build_id for package in taken] == [1, 2]
    assert ["foo-1-3.gpkg.tar" in line for line in lines] == [True]


def test_unfinished_packages_are_rejected(container: Container) -> None:
    container.build()
    container.finish(FOO, status=1)
    container.finish(BAR)
    taken, lines = container.take()
    assert (taken, len(lines)) == ([], 1)


def test_a_package_changed_after_it_was_finished_is_rejected(container: Container) -> None:
    file = container.build()
    container.finish(FOO)
    time.sleep(0.02)  # what the kernel may count as the same time
    seen = file.stat()
    file.write_bytes(file.read_bytes())
    os.utime(file, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    taken, lines = container.take()
    assert (taken, len(lines)) == ([], 1)


@pytest.mark.parametrize("name", ["foo/foo-1-2.gpkg.tar", "foo/foo-1-01.gpkg.tar", "foo-1.gpkg.tar", "foo-1.tbz2"])
def test_a_package_installed_by_another_package_is_rejected(container: Container, name: str) -> None:
    container.build(f"app-misc/{name}", BUILD_ID=None if name.startswith("foo-1.") else "2")
    time.sleep(0.02)
    container.build()
    container.finish(FOO)
    taken, lines = container.take()
    assert taken == [Admitted(FOO.cpv, 1, 1)]
    assert [name in line for line in lines] == [True]


def test_a_second_report_does_not_finish_a_changed_package(container: Container) -> None:
    container.finish(FOO)  # as the container that fetches reports it, without a package
    file = container.build()
    container.finish(FOO)
    write_package(file.with_name(".other")).rename(file)
    container.finish(FOO)
    taken, lines = container.take()
    assert (taken, len(lines)) == ([], 1)


def test_a_fetched_package_is_not_finished(container: Container) -> None:
    container.build()
    record(container, resolves=True, builds=False).read_line(_line("done", key=FOO.key, status=0))
    assert resolution.load(container.run).finished == {}


def test_a_package_that_replaces_a_finished_one_is_rejected(container: Container) -> None:
    file = container.build()
    container.finish(FOO)
    other = write_package(file.with_name(".other"))
    other.rename(file)
    assert container.take()[0] == []


def test_no_package_is_admitted_without_a_list(tmp_path: Path) -> None:
    container = Container(tmp_path)
    container.build()
    container.finish(FOO)
    taken, lines = container.take()
    assert (taken, len(lines)) == ([], 1)


@pytest.mark.parametrize("event", [("phase-started", "setup"), ("phase-started", "nofetch"), ("phase-started", "odd")])
def test_a_list_after_code_of_an_ebuild_is_ignored(tmp_path: Path, event: tuple[str, str]) -> None:
    container = Container(tmp_path)
    recorder = record(container, resolves=True, builds=True)
    for line in (_resolved(BAR), _line("phase-started", key=BAR.key, phase="fetch"), _resolved(FOO)):
        recorder.read_line(line)  # emerge began anew, as where a binhost fails
    recorder.read_line(_line(event[0], key=FOO.key, phase=event[1]))
    recorder.read_line(_resolved(FOO, BAR))
    assert resolution.load(container.run).merges == (FOO,)


def test_the_list_of_the_building_container_is_ignored(container: Container) -> None:
    recorder = record(container, resolves=False, builds=True)
    recorder.read_line(_resolved(FOO._replace(cpv="sys-libs/glibc-2.42")))
    assert resolution.load(container.run).cpvs == {FOO.cpv, BAR.cpv}


def test_a_truncated_report_is_ignored(container: Container) -> None:
    container.build()
    container.finish(FOO)
    with (container.run / "finished").open("a") as finished:
        finished.write('{"key": ["/", "app-misc/b')
    assert [package.cpv for package in container.take()[0]] == [FOO.cpv]


def test_the_packages_of_a_killed_run_go_to_the_pkgdir_of_that_run(container: Container) -> None:
    assert resolution.load(container.run).pkgdir == str(container.pkgdir)


@given(
    st.binary(max_size=80)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps).map(str.encode)
)
def test_invalid_lines_are_ignored(tmp_path_factory: pytest.TempPathFactory, line: bytes) -> None:
    container = Container(tmp_path_factory.mktemp("run"))
    container.resolve(FOO)
    recorder = record(container, resolves=True, builds=True)
    for event in (line, b'{"event": "resolved", "merges": ' + line + b"}", b'{"event": "done", "key": ' + line + b"}"):
        recorder.read_line(event)
    assert resolution.load(container.run).cpvs <= {FOO.cpv}


def test_links_and_empty_files_are_rejected(container: Container, tmp_path: Path) -> None:
    secret = write_package(tmp_path / "secret/foo-1-1.gpkg.tar")
    below = container.run / PACKAGES / "app-misc/foo"
    below.mkdir(parents=True)
    (below / "foo-1-1.gpkg.tar").symlink_to(secret)
    (below / "foo-1-2.gpkg.tar").hardlink_to(secret)
    (below / "foo-1-3.gpkg.tar").touch()
    (below / "foo-1-4.gpkg.tar").write_bytes(b"junk" * 1000)
    (container.run / PACKAGES / "app-other").symlink_to(tmp_path / "secret")
    (below / "foo-1-5.gpkg.tar.1234").write_bytes(b"half")
    container.finish(FOO)
    taken, lines = container.take()
    assert (taken, len(lines)) == ([], 4)


def test_a_name_with_control_characters_does_not_reach_the_terminal(container: Container) -> None:
    container.build("app-misc/foo/\x1b[2J.gpkg.tar")
    assert [line.isprintable() for line in container.take()[1]] == [True]


def test_the_number_of_warnings_is_limited(container: Container) -> None:
    for number in range(100):
        container.build(f"app-misc/foo/{number}.gpkg.tar")
    lines = container.take()[1]
    assert len(lines) == 21
    assert "80" in lines[-1]


def test_a_build_id_can_follow_those_of_concurrent_runs(container: Container) -> None:
    write_package(container.pkgdir / "app-misc/foo/foo-1-7.gpkg.tar", BUILD_ID="7")
    container.build("app-misc/foo/foo-1-8.gpkg.tar", BUILD_ID="8")
    container.finish(FOO)
    assert container.take()[0] == [Admitted(FOO.cpv, 8, 8)]


def _installed(vdb: Path, cpv: str, number: str) -> None:
    (vdb / cpv).mkdir(parents=True)
    (vdb / cpv / "PF").write_text(f"{cpv.partition('/')[2]}\n")
    (vdb / cpv / "BUILD_ID").write_text(f"{number}\n")


def test_only_resolved_packages_are_merged(container: Container, tmp_path: Path) -> None:
    fetched = FOO._replace(cpv="app-misc/fetched-1", source="binpkg", build_id=4)
    container.resolve(FOO, BAR, fetched)
    vdb, lines = tmp_path / "vdb", list[str]()
    write_package(container.pkgdir / "app-misc/bar/bar-2-r1-3.gpkg.tar", PF="bar-2-r1", BUILD_ID="3", USE="", IUSE="")
    for cpv, number in ((FOO.cpv, "1"), (BAR.cpv, "3"), (fetched.cpv, "4"), ("sys-libs/glibc-2.42", "1")):
        _installed(vdb, cpv, number)
    merged = artifacts.find_merges(
        vdb, resolution.load(container.run), [Admitted(FOO.cpv, 1, 5)], container.pkgdir, lines.append
    )
    assert (sorted(merged), lines) == ([(BAR.cpv, 3), (fetched.cpv, 4), (FOO.cpv, 5)], [])


def test_other_builds_of_resolved_packages_are_not_merged(container: Container, tmp_path: Path) -> None:
    lines: list[str] = []
    older = container.pkgdir / "app-misc/foo"
    write_package(older / "foo-1-3.gpkg.tar", BUILD_ID="3", USE="")
    (older / "foo-1-4.gpkg.tar").symlink_to("/etc/passwd")
    _installed(tmp_path / "vdb", FOO.cpv, "3")
    merged = artifacts.find_merges(tmp_path / "vdb", resolution.load(container.run), [], container.pkgdir, lines.append)
    assert (merged, len(lines)) == ([], 1)
