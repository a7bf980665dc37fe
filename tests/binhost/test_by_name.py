# SPDX-License-Identifier: GPL-2.0-or-later
"""Two binhosts that have the same packages and others: gm-emerge says the same by name as when it reads all."""

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.binhost import machine, open_folder, published, resign, said, serving

from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.pkgindex import sorted_index

PKG = "dev-demo/libgreet"
WORDS = (
    f"-pgK {PKG}",
    f"-pgvK ={PKG}-1.0-2",
    f"-pG {PKG}",
    f"-pgK <{PKG}-1",
    "-pgK libgreet",
    "-pg gm-hello",
    "-puDN @world --getbinpkg",
    "-pge --with-bdeps=y gm-hello",
    "-pgK libgret",
    "-pgK no-such/thing",
    f"-pg --getbinpkg-exclude={PKG} {PKG}",
    f"-pgk --binpkg-respect-use=y {PKG}",
    f"-pgO {PKG} app-demo/gm-hello",
    "-gK --search greet",
)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that all may enter."""
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def client(place: Path) -> Iterator[Host]:
    """A client of two binhosts that are there, as long as the tests run."""
    server, client = machine(place / "s"), machine(place / "c")
    said(server, "emerge", "-1q", "app-demo/gm-hello", FEATURES="buildpkg")
    key = published(server, place / "one")
    other = shutil.copytree(place / "one", place / "two")
    said(client, "emerge", "-1q", PKG)
    world = client.eprefix / "var/lib/portage/world"
    world.parent.mkdir(parents=True, exist_ok=True)
    world.write_text(f"{PKG}\n")
    with serving(server, place / "one", "--no-sign") as first, serving(server, other, "--no-sign") as second:
        said(client, *first, "--fingerprint", key, "--priority", "9")
        said(client, *second, "--fingerprint", key)
        for www, builds in ((place / "one", (1, 2, 7)), (other, (2, 3, 9))):
            _more(www / "Packages", builds)
            resign(server, www)
        yield client


def _more(index: Path, builds: tuple[int, ...]) -> None:
    """Each package in several builds, versions and with other flags; all are the same file."""
    header, _, body = index.read_text().partition("\n\n")
    entries = []
    for one in body.strip("\n").split("\n\n"):
        for build in builds:
            for version in ("0.9", "1.0", "1.0-r1"):
                text = re.sub(r"(?m)^BUILD_ID: .*\n", "", one).replace("-1.0\n", f"-{version}\n", 1)
                use = "USE: shout\n" if build % 2 else ""
                text = re.sub(r"(?m)^USE: .*\n", "", text)
                entries.append(
                    f"BUILD_ID: {build}\n{use}{re.sub('BUILD_TIME: .*', f'BUILD_TIME: 17{build}', text)}\n\n"
                )
    entries.sort(key=lambda one: one.partition("CPV: ")[2].partition("\n")[0])
    header = re.sub("PACKAGES: .*", f"PACKAGES: {len(entries)}", header)
    header = re.sub("TIMESTAMP: .*", f"TIMESTAMP: {int(time.time()) + 60}", header)
    index.write_text(f"{header}\n\n{''.join(entries)}")


@pytest.mark.parametrize("words", WORDS)
def test_lazy_and_full_index_give_the_same_output(client: Host, words: str):
    by_name = run(client, words)
    known = {one: sorted_index._read(one, whole=True) for one in client.folder.rglob("Packages.names")}
    for names, told in known.items():
        sorted_index._write(names, {**told, "odd": "so that Portage reads all", "names": []})

    whole = run(client, words)

    for names, told in known.items():
        sorted_index._write(names, told)
    assert [told["odd"] for told in known.values()] == ["", ""]
    assert by_name == whole


def run(client: Host, words: str) -> str:
    """What gm-emerge says, without how long it took."""
    ended = said(client, "gm-emerge", *words.split(), GM_PROFILE="box", ok=None)
    return re.sub(r"(?i)took [\d.]+ s|[\d.]+ s\b", "took some time", ended)
