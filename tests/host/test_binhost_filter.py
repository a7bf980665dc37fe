# SPDX-License-Identifier: GPL-2.0-or-later
"""Ten instances of one package, of which the CPU runs only the fourth: by every way in which emerge takes packages."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from helpers.http_server import Server, serving
from helpers.instances import FITS, NATIVE, PKG, REASONS, SILENT, TEN, V4, chosen, refused
from helpers.nginx import nginx
from helpers.repack import instance

from gentoomuch_portage.demo_host import Host

SHIPPED = Path(__file__).parents[2] / "etc/portage/sets.conf/gentoomuch.conf"


@pytest.fixture(params=["range", "no range", "nginx"])
def binhost(request: pytest.FixtureRequest, tmp_path: Path, fill) -> Iterator[str]:
    """The URL of ten instances on a server: one that does ranges, one that does not, and nginx."""
    fill(tmp_path / "www/packages")
    with ExitStack() as stack:
        if request.param == "nginx":
            yield stack.enter_context(nginx(tmp_path / "www")) + "/packages"
        else:
            mode = "" if request.param == "range" else request.param
            yield stack.enter_context(serving(tmp_path / "www", mode)).url + "/packages"


@pytest.mark.parametrize("word", ["-pk", "-pK"])
def test_the_fourth_of_ten_local_instances_is_used(host: Host, fill, emerge, word):
    fill(host.pkgdir)

    status, said = emerge(word, PKG)

    assert status == 0, said
    assert chosen(said) == ["binary 7"]
    assert set(refused(said)) == {8, 9, 10}


@pytest.mark.parametrize("word", ["-pg", "-pG"])
def test_the_fourth_of_ten_remote_instances_is_used(binhost: str, emerge, word):
    status, said = emerge(word, PKG, PORTAGE_BINHOST=binhost)

    assert status == 0, said
    assert chosen(said) == ["binary 7"]
    assert set(refused(said)) == {8, 9, 10}


def test_the_fourth_is_fetched_merged_and_nothing_else(host: Host, binhost: str, emerge):
    status, said = emerge("-G", PKG, PORTAGE_BINHOST=binhost)

    assert status == 0, said
    assert (host.vdb / PKG).with_name("libgreet-1.0").joinpath("BUILD_ID").read_text().strip() == "7"


@pytest.mark.slow
@pytest.mark.parametrize("form", ["gpkg"])
def test_a_binhost_that_shows_another_package_than_it_gives_out_is_found_out(host: Host, tmp_path: Path, fill, emerge):
    www = fill(tmp_path / "www", (V4,))
    (package,) = (one for one in www.rglob("*/*") if one.is_file())
    (shown,) = (one for one in fill(tmp_path / "other", (FITS,)).rglob("*/*") if one.is_file())
    shown.replace(package.with_name("shown"))
    with serving(www, "shows another") as server:
        before, _ = emerge("-pG", PKG, PORTAGE_BINHOST=server.url)
        status, said = emerge("-G", PKG, PORTAGE_BINHOST=server.url)
        again = emerge("-pg", PKG, PORTAGE_BINHOST=server.url)

    assert (before, status) == (0, 1), said
    assert re.search(rf"={PKG}-1.0-1 is not merged: needs .*avx512f", said)
    assert not (host.vdb / "dev-demo").exists()
    assert chosen(again[1]) == ["ebuild"]


def test_a_binhost_that_a_layer_names_is_looked_into_too(host: Host, tmp_path: Path, fill, emerge):
    fill(tmp_path / "www")
    with serving(tmp_path / "www") as server:
        host.profile(
            "old", 'cpu = "x86-64"\nlayers = ["hosts"]\n', {"hosts/binrepos.conf/one.conf": repo("one", server, host)}
        )

        status, said = emerge("-pG", PKG)

    assert status == 0, said
    assert chosen(said) == ["binary 7"]


def repo(name: str, server: Server, host: Host, path: str = "", priority: int = 1) -> str:
    """A section of binrepos.conf."""
    return (
        f"[{name}]\nsync-uri = {server.url}{path}\npriority = {priority}\nverify-signature = false\n"
        f"location = {host.folder}/fetched-{name}\n"
    )


@pytest.mark.parametrize("word", ["-pK", "-pG"])
def test_without_a_usable_instance_usepkgonly_fails_with_all_reasons(host: Host, tmp_path: Path, fill, emerge, word):
    bad = tuple(one for one in TEN if one is not FITS)
    fill(tmp_path / "www", (*bad[:3], V4, *bad[3:]))
    fill(host.pkgdir, (*bad[:3], V4, *bad[3:])) if word == "-pK" else None
    with serving(tmp_path / "www") as server:
        status, said = emerge(word, PKG, **({"PORTAGE_BINHOST": server.url} if word == "-pG" else {}))

    assert status == 1
    assert chosen(said) == []
    for why in REASONS.values():
        assert re.search(why, said), f"{why} is not told:\n{said}"


@pytest.mark.parametrize("word", ["-pk", "-pg"])
def test_without_a_usable_instance_the_ebuild_is_used(host: Host, tmp_path: Path, fill, emerge, word):
    fill(tmp_path / "www", (V4, NATIVE))
    fill(host.pkgdir, (V4, NATIVE)) if word == "-pk" else None
    with serving(tmp_path / "www") as server:
        status, said = emerge(word, PKG, **({"PORTAGE_BINHOST": server.url} if word == "-pg" else {}))

    assert status == 0, said
    assert chosen(said) == ["ebuild"]


def test_without_a_usable_instance_the_next_binhost_is_used(host: Host, tmp_path: Path, fill, emerge):
    fill(tmp_path / "one/a", (V4, V4, NATIVE), first=20)
    fill(tmp_path / "two/b", (V4, FITS), first=1)
    with serving(tmp_path / "one") as first, serving(tmp_path / "two") as second:
        hosts = repo("one", first, host, "/a", 2) + repo("two", second, host, "/b", 1)
        host.profile("old", 'cpu = "x86-64"\nlayers = ["hosts"]\n', {"hosts/binrepos.conf": hosts})

        status, said = emerge("-pG", PKG)

    assert status == 0, said
    assert chosen(said) == ["binary 1"]
    assert set(refused(said)) == {2, 20, 21, 22}


def test_a_binhost_that_is_dead_leaves_its_packages_unknown(tmp_path: Path, fill, emerge):
    fill(tmp_path / "www", (FITS, FITS))
    with serving(tmp_path / "www", "503") as server:
        status, said = emerge("-pg", PKG, PORTAGE_BINHOST=server.url)

    assert status == 0, said
    assert chosen(said) == ["ebuild"]
    assert refused(said) == {2: "its binhost answers 503", 1: "its binhost answers 503"}


@pytest.mark.parametrize(
    "line", ['EMERGE_DEFAULT_OPTS="--getbinpkgonly"', 'FEATURES="getbinpkg"\nEMERGE_DEFAULT_OPTS="--usepkgonly"']
)
def test_a_binhost_that_make_conf_enables_has_our_limits_as_well(host: Host, tmp_path: Path, fill, emerge, line):
    fill(tmp_path / "www", (FITS,))
    host.write("make.conf", f"{(host.etc / 'make.conf').read_text()}\n{line}\n")
    with serving(tmp_path / "www", "breaks off", rest=100) as server:
        status, output = emerge("-1", PKG, PORTAGE_BINHOST=server.url)

    assert status == 1
    assert "[download-broken]" in output


def test_a_cached_run_reads_no_package(tmp_path: Path, fill, emerge):
    fill(tmp_path / "www")
    with serving(tmp_path / "www") as server:
        emerge("-pG", PKG, PORTAGE_BINHOST=server.url)
        cold = len(server.files())
        server.asked.clear()
        _, said = emerge("-pG", PKG, PORTAGE_BINHOST=server.url)

    assert chosen(said) == ["binary 7"]
    assert cold == 5  # the first alone, then four at once
    assert server.files() == []
    assert all(size <= 64 << 10 for size in server.sent.values())


def test_a_binhost_of_a_declared_level_is_not_looked_into(host: Host, tmp_path: Path, fill, emerge):
    fill(tmp_path / "www", (SILENT, SILENT))
    with serving(tmp_path / "www") as server:
        toml = host.config / "gentoomuch.toml"
        toml.write_text(f'[binhost."{server.url}"]\ncpu = "x86-64"\n')
        _, fits = emerge("-pG", PKG, PORTAGE_BINHOST=server.url)
        toml.write_text(f'[binhost."{server.url}"]\ncpu = "x86-64-v3"\n')
        status, told = emerge("-pG", PKG, PORTAGE_BINHOST=server.url)

        assert server.files() == []
        assert chosen(fits) == ["binary 2"]
        assert status == 1
        assert re.search(rf"needs .*avx2.* \(x86-64-v3, declared for {server.url}\)", told)


def test_a_declared_level_counts_for_why_and_for_plain_emerge_too(host: Host, tmp_path: Path, fill, emerge, on):
    fill(tmp_path / "www", (SILENT,))
    host.write("sets.conf/gentoomuch.conf", f"{SHIPPED.read_text()}\ncpu = x86-64\n")
    with serving(tmp_path / "www") as server:
        toml = host.config / "gentoomuch.toml"
        toml.write_text(f'[binhost."{server.url}"]\ncpu = "x86-64-v3"\n')
        words = ("binpkg", "why", PKG, "--remote", "--profile", "old", "--json")
        (why,) = json.loads(on("gentoomuch", *words, PORTAGE_BINHOST=server.url).out)
        plain = on("emerge", "-pG", PKG, PORTAGE_BINHOST=server.url)

        assert server.files() == []
    declared = f"x86-64-v3, declared for {server.url}"
    assert (why["flags"], why["code"]) == (declared, "cpu")
    assert plain.status == 1
    assert f"({declared})" in plain.err


def test_unknown_packages_are_used_with_unknown_accept(host: Host, fill, emerge):
    fill(host.pkgdir, (V4, SILENT))
    host.profile("old", 'cpu = "x86-64"\n[binpkg]\nunknown = "accept"\n')

    _, said = emerge("-pK", PKG)

    assert chosen(said) == ["binary 1"]


def test_a_cpu_flag_that_a_package_was_built_with_counts(host: Host, built, form, on, emerge):
    ebuild = host.repository / PKG / "libgreet-1.0.ebuild"
    ebuild.write_text(ebuild.read_text().replace('IUSE="', 'IUSE="cpu_flags_x86_avx2 '))
    flags = {"IUSE": "cpu_flags_x86_avx2 shout", **FITS}
    instance(built[form], host.pkgdir, 2, {"USE": "amd64 cpu_flags_x86_avx2", **flags})
    instance(built[form], host.pkgdir, 1, {"USE": "amd64", **flags})
    on("emaint", "binhost", "--fix")

    _, said = emerge("-pK", "--binpkg-respect-use=n", PKG)

    assert chosen(said) == ["binary 1"]
    assert re.search(r"-2 needs avx2 \(-march=x86-64 USE=cpu_flags", said)


def test_autounmask_brings_nothing_back_that_the_cpu_cannot_run(host: Host, fill, emerge):
    ebuild = host.repository / PKG / "libgreet-1.0.ebuild"
    ebuild.write_text(re.sub('KEYWORDS=".*"', 'KEYWORDS="~amd64"', ebuild.read_text()))
    fill(host.pkgdir, tuple({**one, "KEYWORDS": "~amd64"} for one in TEN))

    _, said = emerge("-pK", "--autounmask=y", "--autounmask-backtrack=y", PKG)

    assert chosen(said) == ["binary 7"]
    assert "=dev-demo/libgreet-1.0" in said
