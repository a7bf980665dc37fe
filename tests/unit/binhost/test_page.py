# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of a binhost: what it lists and finds, and that nothing of a package becomes a part of it."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from gentoomuch_portage import gpg
from gentoomuch_portage.binhost import keys
from gentoomuch_portage.binhost.server.page import Page, Recipe
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.isa.requirement import Requirement
from gentoomuch_portage.pkgindex import entry, shards
from gentoomuch_portage.pkgindex.stamp import FOLDER

RECIPE = Recipe(url="http://tower:8811", name="packages", fingerprint="A1" * 20)


def stanza(cpv: str, **fields: object) -> bytes:
    lines = {"BUILD_ID": 1, "BUILD_TIME": 1700000000, "CPV": cpv, "PATH": f"{cpv}-1.gpkg.tar", "SIZE": 2048, **fields}
    return "".join(f"{key}: {value}\n" for key, value in lines.items()).encode() + b"\n"


@pytest.fixture
def www(tmp_path: Path) -> Path:
    """A directory with an index of two packages."""
    write(tmp_path, stanza("dev-libs/one-1"), stanza("dev-libs/two-2", SIZE=5 << 20))
    return tmp_path


def write(folder: Path, *stanzas: bytes) -> None:
    (folder / "Packages.new").write_bytes(b"PACKAGES: 2\n\n" + b"".join(stanzas))
    (folder / "Packages.new").rename(folder / "Packages")


def rows(page: Page, query: str = "") -> list[str]:
    """The first cells of the table."""
    return re.findall(r'<th scope="row">([^<]*)</th>', page.format(query).decode())


def test_all_packages_are_listed_with_size_and_date(www: Path) -> None:
    text = Page(www, RECIPE).format("").decode()

    assert rows(Page(www, RECIPE)) == ["dev-libs/one-1", "dev-libs/two-2"]
    assert ("5 MiB</td><td>2023-11-14" in text, '"/packages/dev-libs/two-2-1.gpkg.tar"' in text) == (True, True)


def test_a_search_finds_packages_that_have_all_words_in_any_case(www: Path) -> None:
    page = Page(www, RECIPE)

    assert rows(page, "q=TWO+dev") == ["dev-libs/two-2"]
    assert rows(page, "q=two+one") == []
    assert b"No package has such a name" in page.format("q=two+one")


def test_the_page_follows_the_index(www: Path) -> None:
    page = Page(www, RECIPE)
    assert len(rows(page)) == 2

    write(www, stanza("dev-libs/three-3"))

    assert rows(page) == ["dev-libs/three-3"]


def test_the_index_by_name_also_says_what_a_package_was_built_for(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / "Packages").write_bytes(b"\n")
    shards.write_rows(tmp_path, [])
    known = {"abi": frozenset({"x86_64"}), "features": frozenset({"AVX2"})}
    needs = {
        "dev-libs/fast": Requirement(**known, description="-march=haswell"),
        "dev-libs/data": Requirement(abi=frozenset(), features=frozenset(), description="no machine code"),
    }
    for name, requirement in needs.items():
        ours = entry.format_metadata({"GM_REQUIRES": requirement.to_json()})
        shards.add(tmp_path, [shards.write(tmp_path, name, [entry.with_ours(stanza(f"{name}-1"), ours)])])

    text = Page(tmp_path, RECIPE).format("").decode()

    assert re.findall(r"-1</th><td[^>]*>1</td><td>([^<]*)", text) == ["any CPU", "haswell"]


def test_many_packages_are_on_several_pages_of_less_than_60_kilobytes(tmp_path: Path) -> None:
    write(tmp_path, *(stanza(f"category-of-a-long-name/package-of-a-long-name-{number}") for number in range(250)))
    page = Page(tmp_path, RECIPE)

    pages = [rows(page, f"q=long&page={number}") for number in (1, 2, 3)]

    assert [len(shown) for shown in pages] == [100, 100, 50]
    assert len({name for shown in pages for name in shown}) == 250
    assert len(page.format("")) < 60_000
    assert rows(page, "page=99") == rows(page, "page=3")
    assert 'href="?q=long&amp;page=3"' in page.format("q=long&page=2").decode()


_ODD = ["page=-1", "page=x", "page=²", "page=" + "9" * 5000, "q=%ff%00", "&&==", "q=" + "x" * 9**5]


@pytest.mark.parametrize("query", _ODD, ids=range(len(_ODD)))
def test_an_odd_query_gets_a_page(www: Path, query: str) -> None:
    assert b"</html>" in Page(www, RECIPE).format(query)


def test_nothing_of_a_package_or_a_search_becomes_html(tmp_path: Path) -> None:
    evil = "\"><script>alert(1)</script>'\x1b[31m"
    write(tmp_path, stanza(f"dev-libs/{evil}-1", BUILD_ID=evil, SIZE=evil, BUILD_TIME=evil))

    text = Page(tmp_path, RECIPE).format("q=%22%3E%3Cscript%3E").decode()

    assert "<script" not in text
    assert "&lt;script&gt;" in text


@pytest.mark.parametrize("damage", ["gone", "shard", "names"])
def test_a_damaged_index_is_reported_on_the_page(www: Path, damage: str) -> None:
    if damage == "gone":
        (www / "Packages").unlink()
    else:
        (www / FOLDER).mkdir()
        shards.write_rows(www, [])
        shards.add(www, [shards.write(www, "dev-libs/one", [stanza("dev-libs/one-1")])])
        (shards.file(www, "dev-libs/one") if damage == "shard" else www / FOLDER / "names").write_bytes(b"\xff\n")

    text = Page(www, RECIPE).format("").decode()

    assert rows(Page(www, RECIPE)) == []
    assert damage == "gone" or "cannot be shown" in text


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory with a short path, for the sockets of gpg-agent."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.skipif(not shutil.which("gpg"), reason="gpg is not installed")
def test_the_commands_for_plain_emerge_make_gpg_trust_the_key(tmp_path: Path, short: Path) -> None:
    """Without ``getuto``, which creates the directory of keys on Gentoo, and with a file in the place of the server."""
    made, trusted = short / "made", short / "trusted"
    made.mkdir()
    key = keys.ensure_key(Settings(config=made, state=made, cache=made, host=made))
    trusted.mkdir(mode=0o700)
    recipe = Recipe(url="http://tower", name="packages", fingerprint=key.fingerprint)

    shown = unescape(re.search(r'<pre tabindex="0">(getuto[^<]*)</pre>', Page(tmp_path, recipe).format("").decode())[1])
    commands = shown.replace("getuto", ":").replace("/etc/portage/gnupg", str(trusted))
    commands = commands.replace("wget -q -O - http://tower/packages/key.asc", f"cat {key.public}")
    subprocess.run(["sh", "-ec", commands], check=True, capture_output=True)

    listed = gpg.run_gpg(trusted, "--with-colons", "--list-keys").out.splitlines()
    subprocess.run(["gpgconf", "--homedir", str(trusted), "--kill", "all"], check=True, capture_output=True)
    assert next(line.split(":")[1] for line in listed if line.startswith("pub:")) == "u"
