# SPDX-License-Identifier: GPL-2.0-or-later
"""A host without a prefix for attacks: its own copy for each file of tests; and a table of all attacks at the end.

A test names its attack at the beginning of its docstring, or of its file's: ``S4: ...``, ``TUF rollback: ...``.
"""

import os
import re
from collections.abc import Iterator

import pytest
from helpers import realhost
from helpers.realhost import RealHost

SUITE = os.environ.get("GM_TEST_SUITE", "trixie")


@pytest.fixture(scope="module")
def real_host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHost]:
    """A running Gentoo-like host without a prefix; the tests of a file share it."""
    try:
        with realhost.host(SUITE, realhost.kept(request.config), tmp_path_factory.mktemp("host")) as running:
            yield running
    except realhost.NoHost as why:
        pytest.skip(str(why))


ATTACK = re.compile(
    r"(?:in )?((?:S|F|A|FC|RH)\d+[a-z]?(?:(?:, | and )(?:S|F|A|FC|RH)\d+[a-z]?)*|TUF [\w -]+|CPU|umask)(?=[:.,])", re.I
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Note in the report which attack the test makes."""
    report = yield
    function = getattr(item, "function", None)
    for text in (getattr(function, "__doc__", None), getattr(item.getparent(pytest.Module).obj, "__doc__", None)):
        if text and (named := ATTACK.match(text)):
            report.user_properties.append(("attack", named[1]))
            break
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a row for each attack: how many tests make it, and whether one succeeds."""
    counts: dict[str, dict[str, int]] = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, ()):
            attack = dict(getattr(report, "user_properties", ())).get("attack")
            if attack and (report.when == "call" or outcome != "passed"):
                row = counts.setdefault(attack, dict.fromkeys(("passed", "failed", "error", "skipped"), 0))
                row[outcome] += 1
    if not counts:
        return
    terminalreporter.section("attacks")
    terminalreporter.write_line(f"{'attack':28} {'repelled':>8} {'succeed':>8} {'skipped':>8}")
    for attack, row in sorted(counts.items(), key=lambda item: _numbers(item[0])):
        succeed = row["failed"] + row["error"]
        terminalreporter.write_line(f"{attack:28} {row['passed']:8} {succeed:8} {row['skipped']:8}")
    terminalreporter.write_line(f"{sum(row['failed'] + row['error'] for row in counts.values())} succeed")


def _numbers(attack: str) -> tuple[str, int]:
    word = re.match(r"[A-Za-z]+", attack)
    number = re.search(r"\d+", attack)
    return (word[0] if word else "", int(number[0]) if number else 0)
