# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch build``: one package from named packages, in real containers."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import BIN, Ended, Run
from helpers.containers import digest, some
from helpers.processes import command_lines
from helpers.waiting import HANG, wait_for

from gentoomuch_portage import history
from gentoomuch_portage.demo_host import Host

_EBUILD = """EAPI=8
DESCRIPTION="A package of the tests of gentoomuch build"
LICENSE="GPL-2+"
SLOT="{slot}"
KEYWORDS="amd64 arm64 ppc64 riscv"
S="${{WORKDIR}}"
{more}
src_install() {{
	insinto /usr/share/${{PN}}
	newins - version <<<"${{PVR}}"
	{install}
}}
"""
Write = Callable[..., None]


@pytest.fixture
def write(host: Host) -> Write:
    """Write an ebuild: ``write("tool-1", slot="0/1", more="BDEPEND=...", install="die")``."""
    host.profile("router", 'cpu = "x86-64-v2"\n')

    def write(name: str, *, slot: str = "0", more: str = "", install: str = "") -> None:
        file = host.repository / "app-demo" / name.rpartition("-")[0] / f"{name}.ebuild"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_EBUILD.format(slot=slot, more=more, install=install))

    return write


@pytest.fixture
def package(host: Host, on: Run, tmp_path: Path) -> Callable[..., Path]:
    """Build a binary package in a PKGDIR of its own, and return its file: ``package("tool-1")``."""

    def build(name: str, **env: str) -> Path:
        folder = tmp_path / "packages" / name
        ended = on("emerge", "-B1q", "--nodeps", f"=app-demo/{name}", PKGDIR=str(folder), **env)
        assert ended.status == 0, ended.out + ended.err
        [file] = folder.rglob("*.gpkg.tar")
        return file

    return build


def _build(on: Run, *words: str | Path) -> Ended:
    return on("gentoomuch", "build", "--profile", "router", "--json", *words)


def _data(ended: Ended) -> Any:
    assert ended.status in {0, 1}, ended.out + ended.err
    return json.loads(ended.out)


def _error(ended: Ended) -> tuple[int, str]:
    return ended.status, json.loads(ended.out)["error"]


def _left(host: Host) -> list[Path]:
    return [*host.eprefix.glob("var/cache/gentoomuch/containers/run-*"), *host.eprefix.glob("var/tmp/gentoomuch-run-*")]


_NEEDS_TOOL = '[[ $(<"${ESYSROOT}"/usr/share/tool/version) == "${TOOL:-1}" ]] || die'


@pytest.mark.parametrize("cpv", ["app-demo/tool", ">=app-demo/tool-1", "app-demo/tool-1:0", "app-demo/tool-1*"])
def test_a_package_without_exactly_one_version_is_rejected(cpv: str, write: Write, on: Run) -> None:
    write("tool-1")
    assert _error(_build(on, cpv, "--pretend")) == (64, "not-one-package")


def test_a_version_without_an_ebuild_is_rejected(write: Write, on: Run) -> None:
    write("tool-1")
    assert _error(_build(on, "app-demo/tool-2", "--pretend")) == (70, "no-ebuild")


@pytest.mark.parametrize("atom", ["app-demo/tool", "app-demo/nothing"])
def test_a_missing_dependency_is_named_whether_or_not_an_ebuild_exists(atom: str, write: Write, on: Run) -> None:
    write("tool-1")
    write("needy-1", more=f'BDEPEND="{atom}"')
    ended = _build(on, "app-demo/needy-1", "--pretend")
    assert _error(ended) == (70, "missing-dependencies")
    assert atom in json.loads(ended.out)["message"]


def test_packages_that_need_each_other_to_be_built_are_missing(write: Write, on: Run) -> None:
    write("one-1", more='BDEPEND="app-demo/two"')
    write("two-1", more='BDEPEND="app-demo/one"')
    assert _error(_build(on, "app-demo/one-1", "--pretend")) == (70, "missing-dependencies")


def test_a_runtime_dependency_is_not_needed_to_build(write: Write, on: Run) -> None:
    write("needy-1", more='RDEPEND="app-demo/nothing"')
    data = _data(_build(on, "app-demo/needy-1", "--pretend"))
    assert data["packages"] == []
    assert data["graph"][0]["edges"] == [{"kind": "RDEPEND", "atom": "app-demo/nothing", "packages": []}]


def test_a_file_that_is_not_a_package_is_rejected(write: Write, on: Run, tmp_path: Path) -> None:
    write("tool-1")
    (tmp_path / "tool-1.gpkg.tar").write_text("nothing")
    ended = _build(on, "app-demo/tool-1", "--pretend", "--with", tmp_path / "tool-1.gpkg.tar")
    assert _error(ended) == (64, "unreadable-package")


@pytest.mark.slow
def test_a_package_that_the_cpu_of_the_profile_cannot_run_is_rejected(write: Write, package, on: Run) -> None:
    compile_ = 'echo "int main(void) { return 0; }" > tool.c; ${CHOST}-gcc ${CFLAGS} -o tool tool.c || die'
    write("tool-1", more=f"src_compile() {{\n{compile_}\n}}", install="dobin tool")
    write("needy-1", more='BDEPEND="app-demo/tool"')
    file = package("tool-1", CFLAGS="-O2 -march=x86-64-v4")
    ended = _build(on, "app-demo/needy-1", "--pretend", "--with", file)
    assert _error(ended) == (70, "unusable-package")
    assert str(file) in json.loads(ended.out)["message"]


@pytest.mark.slow
def test_the_graph_has_kinds_slots_use_and_digests(host: Host, write: Write, package, on: Run) -> None:
    (host.repository / "eclass").mkdir(exist_ok=True)
    (host.repository / "eclass/shared.eclass").write_text("# nothing\n")
    write("lib-1", slot="2/3")
    write("tool-1", more='RDEPEND="app-demo/lib"')
    more = (
        'inherit shared\nIUSE="+good bad"\nBDEPEND="app-demo/tool good? ( app-demo/lib:2= )"\nDEPEND="app-demo/lib:2"'
    )
    write("needy-1", more=more)
    data = _data(_build(on, "app-demo/needy-1", "--pretend", "--with", package("lib-1"), package("tool-1")))
    target, lib, tool = data["graph"]
    assert [(edge["kind"], edge["atom"], edge["packages"]) for edge in target["edges"]] == [
        ("DEPEND", "app-demo/lib:2", ["app-demo/lib-1-1"]),
        ("BDEPEND", "app-demo/tool", ["app-demo/tool-1-1"]),
        ("BDEPEND", "app-demo/lib:2=", ["app-demo/lib-1-1"]),
    ]
    assert (target["source"], target["use"], [*target["eclasses"]]) == ("ebuild", ["good"], ["shared"])
    assert (lib["source"], lib["slot"], lib["subslot"]) == ("binpkg", "2", "3")
    assert [edge["kind"] for edge in tool["edges"]] == ["RDEPEND"]
    assert len({target["sha256"], lib["sha256"], tool["sha256"], target["eclasses"]["shared"]}) == 4
    assert {lib["sha256"], tool["sha256"]} == {named["sha256"] for named in data["packages"]}


@pytest.mark.slow
def test_exactly_the_named_packages_are_installed_and_exactly_one_comes_out(
    host: Host, write: Write, package, on: Run
) -> None:
    some()
    write("other-1")
    write("tool-1")
    write("needy-1", more='BDEPEND="app-demo/tool"', install=f"{_NEEDS_TOOL}; dodoc -r . || die")
    tool = package("tool-1")
    assert on("emerge", "-B1q", "app-demo/other").status == 0
    others = {path: path.read_bytes() for path in host.pkgdir.rglob("*.gpkg.tar")}
    installed = digest(host.vdb)
    first = _data(_build(on, "app-demo/needy-1", "--with", tool))
    second = _data(_build(on, "app-demo/needy-1", "--with", tool))
    assert [(data["name"], data["warm_root"]) for data in (first, second)] == [
        ("app-demo/needy-1-1", False),
        ("app-demo/needy-1-2", True),
    ]
    made = {Path(data["path"]) for data in (first, second)}
    assert {path: path.read_bytes() for path in host.pkgdir.rglob("*.gpkg.tar") if path not in made} == others
    assert len([*host.pkgdir.rglob("*.gpkg.tar")]) == len(others) + 2
    assert digest(host.vdb) == installed
    assert not (host.eprefix / "usr/share/tool").exists()
    assert _left(host) == []
    runs = history.read_runs(host.eprefix / "var/lib/gentoomuch", "router")
    assert [[built["cpv"] for built in run.packages] for run in runs] == [["app-demo/needy-1"]] * 2


@pytest.mark.slow
def test_a_named_package_replaces_the_version_that_the_host_has_installed(
    host: Host, write: Write, package, on: Run, tmp_path: Path
) -> None:
    some()
    write("tool-1")
    write("tool-2")
    write("needy-1", more='BDEPEND="app-demo/tool"', install=f"TOOL=1; {_NEEDS_TOOL}")
    assert on("emerge", "-1q", "=app-demo/tool-2").status == 0
    out = tmp_path / "out"
    data = _data(_build(on, "app-demo/needy-1", "--out", out, "--with", package("tool-1")))
    assert [Path(data["path"])] == [*out.rglob("*.gpkg.tar")]
    assert not [*host.pkgdir.rglob("needy*")]
    assert (host.eprefix / "usr/share/tool/version").read_text() == "2\n"


@pytest.mark.slow
def test_a_second_build_finds_the_file_with_the_date(host: Host, write: Write, on: Run) -> None:
    some()
    write("dated-1", install='newins - date <<<"$(date +%N)"')
    data = _data(ended := _build(on, "app-demo/dated-1", "--again"))
    assert ended.status == 1
    [difference] = data["differences"]
    assert difference["name"].endswith("/usr/share/dated/date")
    assert difference["kinds"] == ["content"]
    assert [path.name for path in host.pkgdir.rglob("*.gpkg.tar")] == ["dated-1-1.gpkg.tar"]


@pytest.mark.slow
def test_a_profile_that_signs_is_built_in_a_container_that_has_no_key(host: Host, write: Write, on: Run) -> None:
    some()
    write("tool-1")
    host.profile("router", "[binpkg]\nsign = true\n")
    data = _data(_build(on, "app-demo/tool-1"))
    assert [path.name for path in host.pkgdir.rglob("*.gpkg.tar")] == [Path(data["path"]).name] == ["tool-1-1.gpkg.tar"]


@pytest.mark.slow
def test_a_build_that_fails_leaves_no_package(host: Host, write: Write, on: Run) -> None:
    some()
    write("broken-1", install="die")
    assert _error(_build(on, "app-demo/broken-1")) == (70, "build-failed")
    assert not [*host.pkgdir.rglob("*.gpkg.tar")]
    assert _left(host) == []


def _sleeping(mark: str) -> bool:
    return any(mark in " ".join(words) for words in command_lines().values())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_build_that_a_signal_ends_leaves_nothing(number: signal.Signals, host: Host, write: Write, on: Run) -> None:
    some()
    mark = f"31557601.{os.getpid()}{number:d}"  # seconds that no other process sleeps
    write("waiting-1", install=f"sleep {mark}")
    words = [str(BIN / "gentoomuch"), "build", "app-demo/waiting-1", "--profile", "router"]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(words, env=host.env(), start_new_session=True, **silent) as ran:
        wait_for(lambda: _sleeping(mark) or ran.poll() is not None, "it is installed")
        assert ran.poll() is None, "it ended by itself"
        if number == signal.SIGKILL:
            ran.kill()
        else:
            os.killpg(ran.pid, number)  # as a terminal does
        ran.wait(timeout=HANG)
    wait_for(lambda: not _sleeping(mark), "the build ends")
    assert _data(_build(on, "app-demo/waiting-1", "--pretend"))["packages"] == []
    assert _left(host) == []
    assert not [*host.pkgdir.rglob("*.gpkg.tar")]
