# SPDX-License-Identifier: GPL-2.0-or-later
"""Every command of README and docs is run, but for those that say why not; those are listed."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from helpers import snippets

RUN = [page for page in snippets.PAGES if any(not one.why_not for one in snippets.find(page))]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may read: as root, Portage verifies signatures as the user nobody."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(snippets.TOP)))
def test_commands_of_a_page_print_what_it_shows(page: Path, place: Path):
    assert "\n".join(snippets.faults(page, snippets.clone(place / "clone"))) == ""


def test_snippets_that_are_not_run_have_a_reason(capsys: pytest.CaptureFixture[str]):
    left_out = [(page, one) for page in snippets.PAGES for one in snippets.find(page) if one.why_not]

    with capsys.disabled():
        for page, one in left_out:
            print(f"\nnot run: {page.relative_to(snippets.TOP)}:{one.line}: {one.why_not}", end="")
    assert all(len(one.why_not) > 10 for _, one in left_out)


def test_the_svg_shows_the_output_of_the_demo():
    argv = [sys.executable, snippets.TOP / "tools/record", "--check"]
    ended = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stderr) == (0, "")
