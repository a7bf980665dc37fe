"""The pages: what is made out of the code is as the code is, links lead somewhere, and every page can be found."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

TOP = Path(__file__).parents[2]
DOCS = TOP / "docs"
PAGES = sorted([*TOP.glob("*.md"), *DOCS.rglob("*.md")])
_LINK = re.compile(r"\]\(<?([^)>\s]+)>?(?: \"[^\"]*\")?\)")


def prose(page: Path) -> str:
    """A page without what stands in code."""
    text = re.sub(r"^(```+).*?^\1$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", text)


def links(page: Path) -> list[str]:
    """Where a page links to."""
    return _LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """What headings are called in links, as GitHub and MyST make it."""
    text = re.sub(r"^(```+).*?^\1$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", text, re.M)
    }


def broken(page: Path) -> Iterator[str]:
    """Links within the project that lead nowhere."""
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if urlsplit(link).scheme:
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


def malformed(page: Path) -> Iterator[str]:
    """Links to elsewhere that cannot be right, whatever is there; the network is not asked."""
    for link in links(page):
        parts = urlsplit(link)
        if parts.scheme and (parts.scheme != "https" or "." not in parts.netloc or link[-1] in ".,;"):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_links_lead_somewhere(page: Path):
    assert [*broken(page), *malformed(page)] == []


def test_a_wrong_link_is_found(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("# One thing\n[a](#one-thing) [b](none.md) [c](#two) [d](http://x.org) `[e](f.md)`\n")

    assert (*broken(page), *malformed(page)) == ("none.md", "#two", "http://x.org")


def test_every_page_stands_in_the_index():
    listed = "\n".join(re.findall(r"```\{toctree\}\n(.*?)```", (DOCS / "index.md").read_text(), re.S))
    pages = {str(page.relative_to(DOCS).with_suffix("")) for page in DOCS.rglob("*.md")}

    assert {page for page in pages if not page.startswith("decisions/0")} - {"index"} == set(
        re.findall(r"^[\w/-]+$", listed, re.M)
    )


def test_a_code_means_one_error():
    codes = re.findall(r"^\| `([a-z0-9-]+)` \|", (DOCS / "errors.md").read_text(), re.M)

    assert len(codes) > 100
    assert sorted(code for code in set(codes) if codes.count(code) > 1) == []


def test_what_is_made_out_of_the_code_does_not_lag():
    ended = subprocess.run([sys.executable, TOP / "tools/make-docs", "--check"], capture_output=True, text=True)

    assert (ended.returncode, ended.stderr) == (0, "")
