# SPDX-License-Identifier: GPL-2.0-or-later
"""The search of the site answers what users ask: the built site, in a browser."""

import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest
from helpers.waiting import wait_for

DOCS = Path(__file__).parents[2] / "docs"
FIRST_HITS = {
    "share binpkgs znver3 haswell": "questions",
    "SIGILL": "questions",
    "illegal instruction": "questions",
    "why was my binpkg refused": "questions",
    "how to roll back": "questions",
    "undo an update": "questions",
    "build in podman": "questions",
    "remove an unmask": "questions",
    "Gentoo's official binhost": "questions",
    "official binhost": "questions",
    "cross-compile for a Raspberry Pi": "questions",
    "strong machine builds for weak on demand": "questions",
    "three machines": "questions",
    "stage4": "questions",
    "disk image": "questions",
    "uninstall": "questions",
    "kubler": "coming-from",
    "catalyst": "coming-from",
    "patches": "patches",
}


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the built site."""
    folder = tmp_path_factory.mktemp("site")
    argv = (sys.executable, "-m", "sphinx", "-q", "-b", "html", "-d", folder / "doctrees", DOCS, folder / "html")
    subprocess.run(argv, check=True)
    return folder / "html"


@pytest.mark.parametrize("query", FIRST_HITS)
def test_the_first_hit_of_a_search_is_the_page_with_the_answer(query: str, site: Path, browser) -> None:
    browser.get(f"{(site / 'search.html').as_uri()}?q={urllib.parse.quote(query)}")
    summary = "return (document.querySelector('#search-results .search-summary') || {}).textContent || ''"
    wait_for(lambda: browser.execute_script(summary).startswith(("Search finished", "Your search did not")), "a result")

    hits = browser.execute_script("return [...document.querySelectorAll('ul.search > li > a')].map(a => a.href)")

    pages = [Path(urllib.parse.urlsplit(hit).path).stem for hit in hits]
    assert pages[:1] == [FIRST_HITS[query]]
