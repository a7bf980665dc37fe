# SPDX-License-Identifier: GPL-2.0-or-later
"""S9: packages of a binhost in runs that build in containers: the same checks, and no build can replace one.

Seen failing on b5890ae: a package was fetched to where no container reads, and then built from source.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers.binhost import installed, machine, open_folder, package, published, said
from helpers.containers import need, some
from helpers.hostile import Server, attacking
from helpers.http_server import serving

from gentoomuch_portage.config import isolation_kinds
from gentoomuch_portage.demo_host import Host

if not shutil.which("gpg"):
    pytest.skip("gpg is not installed", allow_module_level=True)
PKG = "dev-demo/libgreet"
_PHASES = "pkg_setup src_unpack src_compile src_install pkg_preinst pkg_postinst"


@pytest.fixture(params=isolation_kinds.AUTOMATIC)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of container that works here."""
    need(request.param)
    return str(request.param)


class Tree(NamedTuple):
    """A static binhost."""

    www: Path
    key: str


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory that all users may enter."""
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def tree(place: Path) -> Tree:
    """A signed package with its signed index."""
    server = machine(place / "s")
    said(server, "emerge", "-B1q", PKG)
    return Tree(place / "www", published(server, place / "www"))


@pytest.fixture
def client(place: Path) -> Iterator[Host]:
    """Another host."""
    host = machine(place / "c")
    yield host
    shutil.rmtree(host.folder)


def _build_time(tree: Tree) -> str:
    found = re.search(r"(?m)^BUILD_TIME: (\d+)$", (tree.www / "Packages").read_text())
    assert found
    return found[1]


def _is_of_binhost(host: Host, tree: Tree) -> bool:
    """Whether the installed package is the one of the binhost, and not another build of it."""
    return (host.vdb / f"{PKG}-1.0/BUILD_TIME").read_text().strip() == _build_time(tree)


def _emerge(host: Host, kind: str, *words: str, ok: bool = True) -> str:
    return said(host, "gm-emerge", f"--gm-isolation={kind}", "-g1", *words, ok=ok, GM_PROFILE="box")


def _write_planter(host: Host) -> None:
    """Write an ebuild that tries to replace, in each phase in a container, all packages that were fetched."""
    arches = " ".join((host.repository / "profiles/arch.list").read_text().split())
    ebuild = host.repository / "app-demo/planter/planter-1.ebuild"
    ebuild.parent.mkdir(parents=True)
    plant = """plant() {
	[[ $(< /proc/sys/kernel/hostname) == gentoomuch ]] || return 0
	local file
	for file in "${EPREFIX}"/var/cache/binhost/*/*/*/*.gpkg.tar; do
		[[ -s ${file} ]] || die "nothing was fetched"
		cp -a "${file}" "${T}"/copy || die
		( echo x >> "${file}" ) 2>/dev/null && die "${file} can be written"
		( : > "${file%/*}/planted" ) 2>/dev/null && die "${file%/*} can be written"
		mv "${T}"/copy "${file}" 2>/dev/null && die "${file} can be replaced"
	done
}
"""
    phases = "".join(f"{name}() {{ plant; }}\n" for name in _PHASES.split())
    ebuild.write_text(
        f'EAPI=8\nDESCRIPTION="plants"\nSLOT=0\nLICENSE="GPL-2+"\nKEYWORDS="{arches}"\nS="${{WORKDIR}}"\n{plant}{phases}'
    )


def test_a_fetched_package_is_merged_as_it_is_and_no_build_replaces_it(kind: str, tree: Tree, client: Host) -> None:
    _write_planter(client)
    with serving(tree.www) as server:
        said(client, "gentoomuch", "binhost", "client", server.url, "--fingerprint", tree.key)

        output = _emerge(client, kind, "app-demo/planter", PKG)

    assert installed(client) == {f"{PKG}-1.0", "app-demo/planter-1"}, output
    assert _is_of_binhost(client, tree), output
    assert package(client.eprefix / "var/cache/binhost").read_bytes() == package(tree.www).read_bytes()
    assert "nothing was fetched" not in output


def test_an_index_that_was_rolled_back_is_rejected_by_runs_in_containers(tree: Tree, client: Host) -> None:
    """TUF rollback: containers had no records of accepted indexes, so that any older index was accepted."""
    with serving(tree.www) as server:
        said(client, "gentoomuch", "binhost", "client", server.url, "--fingerprint", tree.key)
        [record] = (client.eprefix / "var/lib/gentoomuch/binhosts").glob("*.json")
        newest = re.sub(r'("timestamp": \d+)', r"\g<1>0", record.read_text())
        record.write_text(newest)

        output = _emerge(client, some(), PKG)

    assert "[index-rolled-back]" in output
    assert installed(client) == {f"{PKG}-1.0"}, output
    assert not _is_of_binhost(client, tree)
    assert record.read_text() == newest


@pytest.mark.parametrize(
    ("attack", "code"),
    [
        ("missing", "download-denied"),
        ("half", "download-broken"),
        pytest.param("flipped", "package-rejected", marks=pytest.mark.slow),
        pytest.param("trickle", "download-too-slow", marks=pytest.mark.slow),
        pytest.param("longer", "download-wrong-size", marks=pytest.mark.slow),
    ],
)
def test_after_a_failed_download_in_a_container_the_next_binhost_is_used(
    place: Path, tree: Tree, client: Host, attack: str, code: str
) -> None:
    """S4: the first failed download ended a run in containers, though the next binhost had the package."""
    bad = shutil.copytree(tree.www, place / "bad")
    with attacking(bad) as first, attacking(tree.www) as second:
        _follow(client, first, tree, "--priority", "9")
        _follow(client, second, tree)
        _begin(first, client, attack)

        output = _emerge(client, some(), PKG)
    shutil.rmtree(bad)

    assert re.search(
        rf"{PKG}-1.0 was rejected: .*\({re.escape(first.url)}.*\[{code}\]|{first.url} was.*\[{code}\]", output
    )
    assert any(path.endswith(".gpkg.tar") for path in second.asked)
    assert _is_of_binhost(client, tree), output


def test_packages_that_fail_on_two_binhosts_in_a_container_are_named_and_built(
    place: Path, tree: Tree, client: Host
) -> None:
    """S4: a run in containers ended after the first of them."""
    others = [shutil.copytree(tree.www, place / name) for name in ("one", "two")]
    with attacking(others[0]) as first, attacking(others[1]) as second:
        _follow(client, first, tree, "--priority", "9")
        _follow(client, second, tree)
        _begin(first, client, "half")
        _begin(second, client, "missing")

        output = _emerge(client, some(), PKG)
    for folder in others:
        shutil.rmtree(folder)

    assert [code in output for code in ("[download-broken]", "[download-denied]")] == [True, True], output
    assert installed(client) == {f"{PKG}-1.0"}
    assert not _is_of_binhost(client, tree)


def test_without_fallback_a_failed_download_in_a_container_ends_the_run(tree: Tree, client: Host) -> None:
    with attacking(tree.www) as server:
        _follow(client, server, tree, "--no-fallback")
        _begin(server, client, "half")

        output = _emerge(client, some(), PKG, ok=False)

    assert installed(client) == set(), output


def _follow(client: Host, server: Server, tree: Tree, *words: str) -> None:
    said(client, "gentoomuch", "binhost", "client", server.url, "--fingerprint", tree.key, "--timeout", "60", *words)


def _begin(server: Server, client: Host, attack: str) -> None:
    """Let a server fail for packages only; a client of a slow one has little patience."""
    server.attack, server.on = attack, ".gpkg.tar"
    if attack == "trickle":
        toml = client.config / "gentoomuch.toml"
        toml.write_text(toml.read_text().replace("timeout = 60", "timeout = 5"))
