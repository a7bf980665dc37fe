# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch binhost index`` and the index by name, with real Portage."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.http_server import serving
from helpers.repack import instance

from gentoomuch_portage import demo_host
from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.pkgindex import entry, shards, stamp

ROUNDS = os.environ.get("GM_TEST_ROUNDS", "30")
WORDS = (
    "-pK thing",
    "-pvk =dev-demo/libgreet-1.0-2",
    "-pk dev-demo/libgreet",
    "-pkuD gm-hello",
    "-pkuDN @world",
    "-pk libgret",
    "-pk no-such/thing",
    "-pKO >=dev-demo/libgreet-1",
    "-pK <dev-demo/libgreet-1",
    "-pk --ignore-soname-deps=n gm-hello",
    "-pke --with-bdeps=y gm-hello",
    "-k --search thing",
    "-Kq1 aa-demo/thing",
)
BIN = Path(sys.executable).parent
VIEWS = Path(__file__).parents[1] / "store/views.py"
PKG = "dev-demo/libgreet"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A package for an old machine, as gpkg and as xpak; built once."""
    host = demo_host.make(tmp_path_factory.mktemp("built") / "host")
    host.profile("old", 'cpu = "x86-64"\n')
    found = []
    for form in ("gpkg", "xpak"):
        env = host.env(PKGDIR=str(host.folder / form), BINPKG_FORMAT=form)
        subprocess.run([BIN / "gm-emerge", "--gm-profile=old", "-B1q", PKG], env=env, check=True, capture_output=True)
        found += (host.folder / form / PKG).iterdir()
    return found


@pytest.fixture
def stocked(host: Host, built: list[Path]) -> Host:
    """Five instances of that package, one of them the xpak, and three of another name; no index."""
    host.profile("old", 'cpu = "x86-64"\n')
    gpkg, xpak = built
    for number in range(1, 5):
        instance(gpkg, host.pkgdir, number, {})
    instance(xpak, host.pkgdir, 5, {})
    other = host.folder / "other/aa-demo/thing/thing-2.0-1.gpkg.tar"
    other.parent.mkdir(parents=True)
    shutil.copy(gpkg, other)
    for number in range(1, 4):
        instance(other, host.pkgdir, number, {"CATEGORY": "aa-demo", "PF": "thing-2.0"})
    return host


def text(folder: Path) -> tuple[list[str], list[str]]:
    """Header and entries; Portage puts instances of one cpv in the order in which the file system lists them."""
    header, _, body = (folder / "Packages").read_text().partition("\n\n")
    return [line for line in header.split("\n") if not line.startswith("TIMESTAMP")], sorted(body.split("\n\n"))


def timeless(out: str) -> str:
    return re.sub(r"took [\d.]+ s", "took some time", out)


def test_binhost_index_writes_the_same_as_emaint(stocked: Host, on):
    theirs = stocked.folder / "theirs"
    shutil.copytree(stocked.pkgdir, theirs)
    assert on("emaint", "binhost", "--fix", PKGDIR=str(theirs)).status == 0

    done = json.loads(on("gentoomuch", "binhost", "index", "--json").out)

    assert (done["packages"], done["new"]) == (8, 8)
    assert text(stocked.pkgdir) == text(theirs)
    assert on("emaint", "binhost", "--check").status == 0


def test_added_changed_and_removed_packages_give_the_index_of_emaint(stocked: Host, on):
    on("gentoomuch", "binhost", "index")
    (stocked.pkgdir / PKG / "libgreet-1.0-1.gpkg.tar").unlink()
    source = stocked.pkgdir / PKG / "libgreet-1.0-3.gpkg.tar"
    instance(source, stocked.pkgdir, 3, {"LICENSE": "MIT"})
    instance(source, stocked.pkgdir, 9, {})

    done = json.loads(on("gentoomuch", "binhost", "index", "--json").out)

    assert (done["packages"], done["new"], done["gone"]) == (8, 2, 1)
    ours = text(stocked.pkgdir)
    shutil.rmtree(stocked.pkgdir / "gm-index")
    (stocked.pkgdir / "Packages").unlink()
    on("emaint", "binhost", "--fix")
    assert ours == text(stocked.pkgdir)


def test_one_package_is_brought_in_by_its_name(stocked: Host, on):
    on("gentoomuch", "binhost", "index")
    new = instance(stocked.pkgdir / PKG / "libgreet-1.0-3.gpkg.tar", stocked.pkgdir, 9, {})

    assert json.loads(on("gentoomuch", "binhost", "index", "--json", "--package", new).out)["packages"] == 9
    new.unlink()
    assert json.loads(on("gentoomuch", "binhost", "index", "--json", "--package", new).out)["packages"] == 8

    before = text(stocked.pkgdir)
    assert json.loads(on("gentoomuch", "binhost", "index", "--json").out)["new"] == 0
    assert text(stocked.pkgdir) == before


def test_files_that_are_not_packages_are_reported_and_skipped(stocked: Host, on):
    (stocked.pkgdir / PKG / "libgreet-1.0-7.gpkg.tar").write_bytes(b"nothing of the kind")
    (stocked.pkgdir / PKG / "libgreet-1.0-8.gpkg.tar").touch()

    done = json.loads(on("gentoomuch", "binhost", "index", "--json").out)

    assert done["packages"] == 8
    assert "libgreet-1.0-7" in done["complaints"]
    assert "libgreet-1.0-8" not in done["complaints"]


def test_shards_record_the_cpu_of_packages(stocked: Host, on):
    assert on("gm-emerge", "--gm-profile=old", "-B1q", "--usepkg=n", PKG).status == 0
    on("gentoomuch", "binhost", "index")

    told = [entry.parse_metadata(one) for one in shards.entries(stocked.pkgdir, PKG)]

    assert {one["CFLAGS"] for one in told} == {"-O2 -pipe -march=x86-64"}
    assert [json.loads(one["GM_REQUIRES"])["description"] for one in told if "GM_REQUIRES" in one] == ["-march=x86-64"]
    assert [one["GM_PROFILE"] for one in told] == ["old"] * 6


def test_both_indexes_give_the_same_results_for_all_queries(stocked: Host, on):
    on("gentoomuch", "binhost", "index")

    ended = on(sys.executable, VIEWS, stocked.pkgdir, "1", ROUNDS)

    assert f"{ROUNDS} rounds, 2 names: equal" in ended.out, ended.out + ended.err


@pytest.mark.slow
def test_both_indexes_give_the_same_results_with_three_binhosts(stocked: Host, on):
    on("gentoomuch", "binhost", "index")
    conf = ""
    for number in range(3):
        conf += f"[b{number}]\nsync-uri = http://127.0.0.1:9/b{number}\npriority = {number}\n"
        place = cached(stocked.folder / "cache", f"http://127.0.0.1:9/b{number}")
        place.parent.mkdir(parents=True)
        place.write_text(an_index(number))
    (stocked.etc / "binrepos.conf").write_text(conf)

    ended = on(sys.executable, VIEWS, stocked.pkgdir, "1", ROUNDS, stocked.folder / "cache")

    assert f"{ROUNDS} rounds, 8 names: equal" in ended.out, ended.out + ended.err


def cached(cache: Path, url: str) -> Path:
    """Where the index of a binhost lies."""
    return (
        cache
        / hashlib.sha256(url.encode()).hexdigest()[:16]
        / "binhost"
        / url.partition("//")[2].replace(":9", "")
        / "Packages"
    )


def an_index(number: int) -> str:
    """An index with packages that others have as well, with names that begin alike, and with some of its own."""
    names = (
        PKG,
        "dev-demo/libgreet-more",
        "dev-demo/libgreet-1xx",
        "dev-demo/libgreet+",
        "aa-demo/thing",
        f"z/own{number}",
    )
    cpvs = [f"{name}-{version}" for name in names for version in ("0.9", "1.0", "2.0_p1-r3")]
    entries = [
        f"BUILD_ID: {build}\nBUILD_TIME: 16{build}\nCPV: {cpv}\nEAPI: 8\nIUSE: a b\n{long(cpv)}"
        f"MD5: {number:032x}\nPATH: {cpv}-{build}.gpkg.tar\nSIZE: {50 + build}\nSLOT: {build % 2}\n"
        f"USE: {'a b'[number % 2 :]}\nMTIME: 1600000000\nREPO: gm-demo\n\n"
        for cpv in sorted(cpvs)
        for build in (number, 7)
    ]
    return f"CHOST: x\nPACKAGES: {len(entries)}\nTIMESTAMP: 17000000{number}0\nVERSION: 0\n\n{''.join(entries)}"


def long(cpv: str) -> str:
    """A line that goes on and on, of some packages."""
    return f"LICENSE: {'x ' * 9000}\n" if "more" in cpv else ""


@pytest.mark.parametrize("words", WORDS if "GM_TEST_ROUNDS" in os.environ else WORDS[:2])
def test_emerge_prints_the_same_with_the_index_by_name(stocked: Host, on, words):
    on("gentoomuch", "binhost", "index")
    by_name = on("gm-emerge", "--gm-profile=old", *words.split())
    shutil.rmtree(stocked.pkgdir / "gm-index")

    whole = on("gm-emerge", "--gm-profile=old", *words.split())

    assert (by_name.status, timeless(by_name.out), by_name.err) == (whole.status, timeless(whole.out), whole.err)


def loaded(host: Host, *words: str, **env: str) -> tuple[str, set[str]]:
    """Output of gm-emerge, and the modules of the index by name that the run imported."""
    argv = [sys.executable, "-I", "-v", BIN / "gm-emerge", "--gm-profile=old", *words]
    ended = subprocess.run(argv, env=host.env(**env), capture_output=True, text=True, check=True)
    modules = re.findall(r"^import '([\w.]+)' #", ended.stderr, re.M)  # importtime omits importlib.import_module
    own = (name.removeprefix("gentoomuch_portage.") for name in modules)
    return ended.stdout, {name for name in own if name.startswith(("pkgindex", "portage_adapter.lazy_index."))}


def test_with_the_switch_off_a_run_loads_nothing_of_the_index_by_name(stocked: Host, on):
    """Of an index of PKGDIR with shards, and of a binhost."""
    on("gentoomuch", "binhost", "index")
    www = shutil.copytree(stocked.pkgdir, stocked.folder / "www")
    with serving(www) as server:
        whole, nothing = loaded(stocked, "-pgk", PKG, PORTAGE_BINHOST=server.url, GM_INDEX_BY_NAME="0")
        by_name, modules = loaded(stocked, "-pgk", PKG, PORTAGE_BINHOST=server.url)

    assert timeless(whole) == timeless(by_name)
    assert nothing == set()
    assert {"portage_adapter.lazy_index.local", "portage_adapter.lazy_index.remote", "pkgindex.shards"} <= modules


def test_a_package_built_for_a_profile_is_added_to_all_parts_of_the_index(stocked: Host, on):
    on("gentoomuch", "binhost", "index")

    assert on("gm-emerge", "--gm-profile=old", "-B1q", "--usepkg=n", PKG).status == 0

    assert stamp.fresh(stocked.pkgdir)
    assert [entry.path(one)[-10:] for one in shards.entries(stocked.pkgdir, PKG)][-1] == "6.gpkg.tar"
    assert json.loads(on("gentoomuch", "binhost", "index", "--json").out)["new"] == 0
    assert on("emaint", "binhost", "--check").status == 0


@pytest.mark.slow
def test_a_package_of_plain_emerge_makes_the_shards_stale_and_is_found(stocked: Host, on):
    on("gentoomuch", "binhost", "index")

    assert on("emerge", "-B1q", "=dev-demo/libgreet-1.0").status == 0

    assert stamp.fresh(stocked.pkgdir) is None
    assert "libgreet-1.0-6" in on("gm-emerge", "--gm-profile=old", "-pK", "=dev-demo/libgreet-1.0-6").out
    assert on("gm-emerge", "--gm-profile=old", "-B1q", "--usepkg=n", PKG).status == 0
    assert stamp.fresh(stocked.pkgdir)


@pytest.mark.slow
def test_a_damaged_shard_costs_time_and_nothing_else(stocked: Host, on):
    on("gentoomuch", "binhost", "index")
    whole = timeless(on("gm-emerge", "--gm-profile=old", "-pK", PKG).out)
    shards.file(stocked.pkgdir, PKG).write_bytes(b"gentoomuch-shard 1 00000000\nCPV: dev-demo/libgreet-9\n\n")

    assert timeless(on("gm-emerge", "--gm-profile=old", "-pK", PKG).out) == whole
    assert on("gm-emerge", "--gm-profile=old", "-B1q", "--usepkg=n", PKG).status == 0

    assert stamp.fresh(stocked.pkgdir)
    assert len(shards.entries(stocked.pkgdir, PKG)) == 6


def test_check_finds_problems_and_fix_repairs_them(stocked: Host, on):
    source = stocked.pkgdir / PKG / "libgreet-1.0-4.gpkg.tar"
    gap = {"RDEPEND": "dev-demo/libgreet:0/1= || ( dev-demo/absent dev-demo/gone ) !dev-demo/old shout? ( a/b )"}
    instance(source, stocked.pkgdir, 6, gap)
    instance(source, stocked.pkgdir, 7, {"RDEPEND": "|| ( dev-demo/absent aa-demo/thing )"})
    on("gentoomuch", "binhost", "index")
    assert [(one["code"], one["path"][-11:]) for one in checked(on)] == [("gap", "-6.gpkg.tar")]

    (stocked.pkgdir / PKG / "libgreet-1.0-1.gpkg.tar").unlink()
    shutil.copy(source, stocked.pkgdir / PKG / "libgreet-1.0-9.gpkg.tar")
    altered = stocked.pkgdir / PKG / "libgreet-1.0-2.gpkg.tar"
    before = altered.stat()
    altered.write_bytes(altered.read_bytes()[:-1] + b"!")
    os.utime(altered, ns=(before.st_atime_ns, before.st_mtime_ns))

    codes = [(one["code"], one["path"][-11:]) for one in checked(on, "--signed")]
    fixed = {one["path"][-11:]: one["fixed"] for one in checked(on, "--fix")}

    assert [one for one in codes if one[0] != "unsigned"] == [
        ("altered", "-2.gpkg.tar"),
        ("gap", "-6.gpkg.tar"),
        ("missing", "-1.gpkg.tar"),
        ("orphaned", "-9.gpkg.tar"),
    ]
    assert sum(code == "unsigned" for code, _ in codes) == 9
    assert fixed == {"-2.gpkg.tar": True, "-6.gpkg.tar": False, "-1.gpkg.tar": True, "-9.gpkg.tar": True}
    assert [one["code"] for one in checked(on)] == ["duplicated", "gap"]  # build 9 says of itself that it is build 4


def checked(on, *words: str) -> list[dict[str, str]]:
    return json.loads(on("gentoomuch", "binhost", "check", "--json", *words).out)


def test_a_client_sees_published_and_rolled_back_generations(stocked: Host, on, tmp_path):
    www, client = tmp_path / "www", {"PKGDIR": str(tmp_path / "client")}
    told = []
    with serving(www / "current") as server:
        for step in ("publish", "unlink", "publish", "rollback"):
            if step == "unlink":
                (stocked.pkgdir / PKG / "libgreet-1.0-5.xpak").unlink()
                continue
            done = on("gentoomuch", "binhost", step, www)
            assert done.status == 0, done.err
            told.append(on("emerge", "-pGq", PKG, PORTAGE_BINHOST=server.url, **client))

    assert [re.findall(r"libgreet-1\.0-(\d+)", one.out) for one in told] == [["5"], ["4"], ["5"]], told
    assert "root" in on("gentoomuch", "binhost", "publish", "--nginx", www).out
    rows = json.loads(on("gentoomuch", "binhost", "diff", www, "1", "2", "--json").out)
    assert [one["change"] for one in rows] == ["gone"]
