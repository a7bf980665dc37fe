# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages: what is made out of the code is as the code is, links lead somewhere, and every page can be found."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

TOP = Path(__file__).parents[2]
DOCS = TOP / "docs"
PAGES = sorted([*TOP.glob("*.md"), *DOCS.rglob("*.md")])
READ = [page for page in PAGES if page.name != "CHANGELOG.md"]
"""Pages whose text is edited as a whole; the lines of the other one are edited at each release."""
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


def unwrapped(page: Path) -> list[str]:
    """Return the lines of a page over 100 columns, outside of tables, comments and code."""
    text = re.sub(r"^ *(```+).*?^ *\1$|<!--.*?-->", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return [line for line in text.splitlines() if len(line) > 100 and not line.startswith("|")]


def long_sentences(page: Path) -> list[str]:
    """Return the sentences of a page over 25 words, outside of tables and code. A code span is one word."""
    text = re.sub(
        r"^ *(```+).*?^ *\1$|^ *\|[^\n]*$|<!--.*?-->", "", page.read_text(encoding="utf-8"), flags=re.M | re.S
    )
    text = re.sub(r"``[^`]*``|`[^`]*`", "code", text)
    sentences = re.split(r"(?<=[.:;!?])\s+|\n\n|\n *(?:[*-]|\d+\.) ", text)
    return [sentence for sentence in sentences if len(sentence.split()) > 25]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_targets_of_links_exist(page: Path):
    assert [*broken(page), *malformed(page)] == []


def named_paths(page: Path) -> set[str]:
    """Return the files and directories of the project that a page names in code spans."""
    spans = re.findall(r"`([\w./-]+)`", page.read_text(encoding="utf-8"))
    inside = re.compile(r"(?!lib/)[\w./-]+/[\w-]+\.py|test_\w+\.py|(?:tests|tools|benchmarks|examples)/[\w./-]+")
    return {span for span in spans if inside.fullmatch(span)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_pages_name_files_that_exist(page: Path):
    tests = {path.name for path in (TOP / "tests").rglob("test_*.py")}
    tops = (TOP, TOP / "gentoomuch_portage")

    missing = [name for name in named_paths(page) if not any((top / name).exists() for top in tops)]
    assert sorted({*missing} - tests) == []


def test_the_threat_model_names_tests_that_exist():
    text = (DOCS / "threat-model.md").read_text(encoding="utf-8")
    functions = {
        name
        for path in (TOP / "tests/attacks").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.M)
    }
    beginnings = re.findall(r"`(test_\w+_)`", text)

    assert len(beginnings) > 10
    assert [name for name in beginnings if not any(function.startswith(name) for function in functions)] == []


def quoted_errors(text: str) -> list[tuple[str, str]]:
    """Return message and hint of each error that a page quotes, as it is printed."""
    return re.findall(r"^gentoomuch: (.+)  \[[a-z-]+\]\ngentoomuch:     hint: (.+)$", text, re.M)


def message_patterns() -> set[str]:
    """Return the strings of the code as regular expressions, in which an expression stands for any text."""
    patterns = set()
    for file in (TOP / "gentoomuch_portage").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.JoinedStr):
                texts = [str(part.value) if isinstance(part, ast.Constant) else None for part in node.values]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts = [node.value]
            else:
                continue
            if sum(len(text) for text in texts if text) > 8:
                patterns.add("".join(".+" if text is None else re.escape(text) for text in texts))
    return patterns


def test_pages_quote_errors_as_the_code_has_them():
    patterns = message_patterns()
    quoted = [text for page in PAGES for error in quoted_errors(page.read_text(encoding="utf-8")) for text in error]

    assert len(quoted) >= 8
    assert [text for text in quoted if not any(re.fullmatch(pattern, text) for pattern in patterns)] == []


@pytest.mark.parametrize("page", READ, ids=lambda page: str(page.relative_to(TOP)))
def test_pages_have_short_lines_and_sentences(page: Path):
    assert unwrapped(page) == []
    assert long_sentences(page) == []


def test_a_long_line_and_a_long_sentence_are_found(tmp_path: Path):
    page = tmp_path / "page.md"
    words = "word " * 25
    page.write_text(f"{words}word.\n\n| {words * 2} |\n\n```text\n{words * 2}\n```\n\n`{words * 2}`\n")

    assert [len(line) for line in unwrapped(page)] == [130, 252]
    assert long_sentences(page) == [f"{words}word."]


def test_each_decision_has_its_own_number_and_states_it():
    files = sorted((DOCS / "decisions").glob("0*.md"))
    numbers = [file.name[:4] for file in files]

    assert len(files) > 20
    assert sorted(set(numbers)) == numbers
    assert [file.read_text(encoding="utf-8")[:7] for file in files] == [f"# {number} " for number in numbers]


def test_a_wrong_link_is_found(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("# One thing\n[a](#one-thing) [b](none.md) [c](#two) [d](http://x.org) `[e](f.md)`\n")

    assert (*broken(page), *malformed(page)) == ("none.md", "#two", "http://x.org")


def test_the_index_links_every_page():
    listed = "\n".join(re.findall(r"```\{toctree\}\n(.*?)```", (DOCS / "index.md").read_text(), re.S))
    pages = {str(page.relative_to(DOCS).with_suffix("")) for page in DOCS.rglob("*.md")}

    assert {page for page in pages if not page.startswith("decisions/0")} - {"index"} == set(
        re.findall(r"^[\w/-]+$", listed, re.M)
    )


def test_a_code_means_one_error():
    codes = re.findall(r"^\| `([a-z0-9-]+)` \|", (DOCS / "errors.md").read_text(), re.M)

    assert len(codes) > 100
    assert sorted(code for code in set(codes) if codes.count(code) > 1) == []


def make_docs(top: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the tools/make-docs of a work tree."""
    return subprocess.run(
        [sys.executable, top / "tools/make-docs", *words], capture_output=True, text=True, check=False
    )


def test_generated_files_are_as_the_code_makes_them():
    ended = make_docs(TOP, "--check")

    assert (ended.returncode, [line for line in ended.stderr.splitlines() if ": not compared: " not in line]) == (0, [])


def test_make_docs_finds_and_restores_every_generated_file(tmp_path: Path):
    """--check compared docs/ alone, and make-docs did not write share/."""
    for name in ("docs", "share", "tools"):
        shutil.copytree(TOP / name, tmp_path / name)
    changed = ["docs/keys.md", "share/man/man1/gentoomuch.1", "share/fish/vendor_completions.d/gentoomuch.fish"]
    for name in changed:
        with (tmp_path / name).open("a") as file:
            file.write("changed by hand\n")
    missing, stray = "share/zsh/site-functions/_gentoomuch", "share/man/man1/of-an-older-version.1"
    (tmp_path / missing).unlink()
    (tmp_path / stray).touch()

    found = make_docs(tmp_path, "--check")
    written = make_docs(tmp_path)
    again = make_docs(tmp_path, "--check")

    wrong = {line.split()[0] for line in found.stderr.splitlines() if ": not compared: " not in line}
    assert (found.returncode, wrong) == (1, {*changed, missing, stray})
    assert (written.returncode, again.returncode) == (0, 0), again.stderr
    assert not (tmp_path / stray).exists()
