# SPDX-License-Identifier: GPL-2.0-or-later
"""Shell snippets of pages, as data; and a run of all those of a page, in order, in one shell.

A snippet is a fence of ``console``: ``$ command`` or ``# command`` (as root), ``> more of it``, and some of the lines
that it prints, in which ``...`` stands for anything. A comment above a fence says what is not to be seen:

    <!-- snippet: not run: REASON -->      it cannot be run here, and why
    <!-- snippet: exits 1 -->              how its last command ends
    <!-- snippet: file PATH -->            the fence is what stands in a file; written when it is reached
    <!-- snippet: hidden: COMMAND -->      run at this place, though no reader needs it
    <!-- snippets: on the demo host -->    on top of a page: its shell is on the demo's host from the beginning
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage import demo_host

TOP = Path(__file__).parents[2]
PAGES = tuple(sorted([TOP / "README.md", TOP / "CONTRIBUTING.md", *(TOP / "docs").rglob("*.md")]))
_PART = re.compile(
    r"^<!-- snippet: (?P<marker>.*?) -->\n|^(?P<fence>```+)(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=fence)$",
    re.M | re.S,
)
_DEMO = "<!-- snippets: on the demo host -->"


@dataclass(frozen=True, slots=True)
class Step:
    """A command, and lines that it prints."""

    command: str
    shown: tuple[str, ...] = ()
    status: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """A fence."""

    line: int
    """Where it begins, from 1."""
    steps: tuple[Step, ...]
    why_not: str = ""
    """Why it is not run; empty where it is."""


def find(page: Path) -> Iterator[Snippet]:
    """Find the snippets of a page, in order, with hidden commands and files."""
    text, markers = page.read_text(encoding="utf-8"), [""]
    for found in _PART.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        if marker := found["marker"]:
            kind, _, rest = marker.partition(" ")
            if kind == "hidden:":
                yield Snippet(line=line, steps=(Step(rest),))
            else:
                markers.append(marker)
            continue
        marker, markers = markers[-1], [""]
        if marker.startswith("file "):
            path = marker.partition(" ")[2]
            yield Snippet(
                line=line, steps=(Step(f"mkdir -p $(dirname {path}) && cat >{path} <<'END'\n{found['text']}END"),)
            )
        elif found["language"] == "console":
            yield _console(line, found["text"], marker)


def unmarked(page: Path) -> Iterator[int]:
    """Lines of commands that stand in a fence of another kind, where nobody would run them."""
    text = page.read_text(encoding="utf-8")
    for found in _PART.finditer(text):
        if not found["marker"] and found["language"] != "console":
            for typed in re.finditer(r"^(\$ |# ?(gm-emerge|gentoomuch) |gm-emerge |gentoomuch )", found["text"], re.M):
                if found["language"] != "text" or typed[1] == "$ ":
                    yield text.count("\n", 0, found.start("text") + typed.start()) + 1


def _console(line: int, text: str, marker: str) -> Snippet:
    steps: list[Step] = []
    for row in text.splitlines():
        if row.startswith(("$ ", "# ")):
            steps.append(Step(row[2:]))
        elif row.startswith("> "):
            steps[-1] = Step(f"{steps[-1].command}\n{row[2:]}")
        elif row.strip():
            steps[-1] = Step(steps[-1].command, (*steps[-1].shown, row))
    if ends := re.fullmatch(r"exits (\d+)", marker):
        steps[-1] = Step(steps[-1].command, steps[-1].shown, int(ends[1]))
    return Snippet(line=line, steps=tuple(steps), why_not=marker.partition("not run: ")[2])


def clone(folder: Path) -> Path:
    """A folder that is as a clone after its set-up: ``make demo`` works there."""
    (folder / "tools").mkdir(parents=True)
    (folder / "tools/setup").write_text("#!/bin/sh\n")
    (folder / "tools/setup").chmod(0o755)
    (folder / "Makefile").symlink_to(TOP / "Makefile")
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def faults(page: Path, folder: Path) -> list[str]:
    """Run the snippets of a page in a folder: how each command went wrong that did, by line; the first ends it."""
    env = {"PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(folder)}
    env |= {f"GIT_{who}_{what}": "reader@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    begin = f"cd {shlex.quote(str(folder))}\n"
    if _DEMO in page.read_text(encoding="utf-8"):
        _demo(folder)
        begin += f". {shlex.quote(str(folder))}/host/env.sh\n"
    return [*walked(page, begin, ["env", *(f"{name}={value}" for name, value in env.items())], folder / "log")]


def walked(page: Path, begin: str, within: Sequence[str], log: Path) -> Iterator[str]:
    """Run the snippets of a page; how each command went wrong that did, by line.

    Args:
        begin: what the shell does first.
        within: words before the shell, which say where it runs.
        log: what is printed is kept there.
    """
    steps = [(one.line, step) for one in find(page) if not one.why_not for step in one.steps]
    script = "\n".join(_script(number, step) for number, (_, step) in enumerate(steps))
    env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "dumb", "EDITOR": "true", "NO_COLOR": "1"}
    env |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    argv = [*within, "bash", "--norc", "-c", f"trap 'kill $(jobs -p) 2>/dev/null' EXIT\n{begin}{script}"]
    with log.open("w") as out:
        told = {"stdout": out, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
        subprocess.run(argv, **told, env=env, timeout=1800, check=False)
    return _compared(page, steps, log.read_text(errors="replace"))


def _script(number: int, step: Step) -> str:
    typed = shlex.quote(step.command)
    told = f"printf '\\n@@ {number} ended %d\\n' $gone; [ $gone = {step.status} ] || exit"
    return f"printf '\\n@@ %d\\n' {number}; eval {typed}; gone=$?; {told}"


def _compared(page: Path, steps: list[tuple[int, Step]], log: str) -> Iterator[str]:
    for number, (line, step) in enumerate(steps):
        place = f"{page.name}:{line}: {step.command}"
        found = re.search(rf"^@@ {number}\n(.*?)^@@ {number} ended (\d+)$", log, re.M | re.S)
        if not found or int(found[2]) != step.status:
            yield f"{place}\nended with {found[2] if found else 'nothing'}, not {step.status}\n{log[-3000:]}"
            return
        printed = [" ".join(row.split()) for row in found[1].splitlines()]
        for row in step.shown:
            pattern = re.escape(" ".join(row.split())).replace(r"\.\.\.", ".*")
            if not any(re.fullmatch(pattern, one) for one in printed):
                yield f"{place}\ndid not print: {row}\n{found[1][-3000:]}"


def _demo(folder: Path) -> None:
    """A host with the demo's profiles, before anything was built for them."""
    host = demo_host.make(folder / "host")
    for name, cpu in (("laptop", "x86-64-v3"), ("router", "x86-64")):
        text = f'cpu = "{cpu}"\nlayers = ["{name}"]\nroot = "{host.folder}/roots/{name}"\n'
        host.profile(name, text, {f"{name}/make.conf": 'CFLAGS="-O2 -pipe"\nCXXFLAGS="${CFLAGS}"\n'})
