# SPDX-License-Identifier: GPL-2.0-or-later
"""The house rules of CONTRIBUTING.md, held by tests, linters among them: one runner, one summary."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

TOP = Path(__file__).parents[2]
PACKAGE = TOP / "gentoomuch_portage"
BIN = Path(sys.executable).parent
PYTHON = "python"
SHELL = "sh|bash|dash"


def tracked() -> list[Path]:
    """The files of the project: what git knows, or would know; of an unpacked sdist, all."""
    words = ["git", "-C", str(TOP), "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(words, capture_output=True, text=True, check=False) if shutil.which("git") else None
    if listed and listed.returncode == 0:
        return [path for name in listed.stdout.splitlines() if (path := TOP / name).is_file()]
    return [path for path in TOP.rglob("*") if path.is_file() and not path.relative_to(TOP).parts[0].startswith(".")]


def written_in(language: str) -> list[Path]:
    """The files in a language, by their first line or their suffix."""
    suffix = ".py" if language == PYTHON else ".sh"
    begins = re.compile(rf"#!.*\b({language})\d*\s*$")
    return [path for path in tracked() if path.suffix == suffix or begins.match(_first_line(path))]


def _first_line(path: Path) -> str:
    with path.open("rb") as file:
        return file.readline(200).decode("utf-8", "replace").rstrip("\n")


def breaches(breaks: Callable[[ast.AST], bool], allowed: Callable[[Path], bool]) -> Iterator[str]:
    """``FILE:LINE`` of each node that breaks a law, in the rooms that must keep it."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if not allowed(path.relative_to(PACKAGE)):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if breaks(node):
                    yield f"{path.relative_to(TOP)}:{getattr(node, 'lineno', 0)}"


def imports(*packages: str) -> Callable[[ast.AST], bool]:
    """Whether a node imports one of these packages or a part of one."""

    def breaks(node: ast.AST) -> bool:
        match node:
            case ast.Import(names):
                return any(alias.name.partition(".")[0] in packages for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                return module.partition(".")[0] in packages
        return False

    return breaks


def prints(node: ast.AST) -> bool:
    """Whether a node prints, or writes to a standard stream."""
    match node:
        case ast.Call(func=ast.Name("print")):
            return True
        case ast.Call(func=ast.Attribute(ast.Attribute(ast.Name("sys"), "stdout" | "stderr"), "write" | "writelines")):
            return True
    return False


def starts(*programs: str) -> Callable[[ast.AST], bool]:
    """Whether a node is a command line of one of these programs, or looks one up or starts it by its name."""

    def breaks(node: ast.AST) -> bool:
        match node:
            case ast.List([ast.Constant(str(first)), *_]) | ast.Tuple([ast.Constant(str(first)), *_]):
                return first.rpartition("/")[2] in programs
            case ast.Call(args=[ast.Constant(str(first)), *_], func=ast.Name(called) | ast.Attribute(attr=called)):
                return called in {"where", "which", "run", "start", "Popen"} and first in programs
        return False

    return breaks


def none(found: Iterable[object]) -> None:
    """Nothing was found; otherwise all of it is the failure."""
    told = [str(one.relative_to(TOP)) if isinstance(one, Path) else str(one) for one in found]
    assert not told, "\n".join(told)


def linted(*words: str | Path) -> None:
    """Run a linter over the project; what it says is the failure."""
    argv = [str(BIN / words[0]), *map(str, words[1:])]
    ended = subprocess.run(argv, cwd=TOP, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_no_python_file_is_longer_than_600_lines():
    none(path for path in written_in(PYTHON) if len(path.read_bytes().splitlines()) > 600)


def test_no_test_fails_because_a_machine_is_slow():
    """What is waited for has one limit, HANG, or a longer one: a shorter one fails where a machine is busy."""
    short = re.compile(
        r"""
        \b(timeout|seconds)=(?:[12]?\d?\d|300)(?:\.\d+)?\s*[,)]
        | \b(?:process|run|program|server|serving)\.wait\(\d
        | time\.monotonic\(\)\s(?:\+\s\d|-\sbegun\s<\s\d)
    """,
        re.VERBOSE,
    )
    tests = [path for path in written_in(PYTHON) if path.is_relative_to(TOP / "tests") and path != Path(__file__)]
    alone = {TOP / "tests/attacks/plant.py"}  # it runs on a host without our helpers
    none(
        f"{path.relative_to(TOP)}:{number}"
        for path in tests
        if path not in alone and "fuzz" not in path.parts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if short.search(line)
    )


def test_every_module_has_a_docstring():
    none(path for path in written_in(PYTHON) if not ast.get_docstring(ast.parse(path.read_bytes())))


def test_only_the_adapter_imports_portage():
    none(breaches(imports("portage", "_emerge"), lambda path: path.parts[0] == "portage_adapter"))


def test_only_run_starts_programs():
    none(breaches(imports("subprocess", "pty"), lambda path: path.parts == ("process.py",)))


def test_only_gpg_py_starts_gnupg():
    programs = ("gpg", "gpg2", "gpgv", "gpgsm", "gpgconf", "gpg-agent", "gpg-connect-agent")
    assert [*breaches(starts(*programs), lambda path: path.parts != ("gpg.py",))]

    none(breaches(starts(*programs), lambda path: path.parts == ("gpg.py",)))


def test_only_git_py_and_git_reader_py_start_git():
    own = {("git.py",), ("git_reader.py",)}
    assert len({line.partition(":")[0] for line in breaches(starts("git"), lambda path: path.parts not in own)}) == 2

    none(breaches(starts("git"), lambda path: path.parts in own))


def test_only_the_console_prints():
    own_words_of_emerge = {("portage_adapter", "emerge.py"), ("startup.py",)}
    none(breaches(prints, lambda path: path.parts in {("console.py",), *own_words_of_emerge}))


def test_every_package_that_is_needed_is_pinned():
    setup = (TOP / "setup.py").read_text(encoding="utf-8")
    [listed] = re.findall(r"install_requires=\[(.*?)\]", setup, re.S)
    needed = {_plain(name) for name in re.findall(r'"([\w.-]+)[^"]*"', listed)}
    pinned = {_plain(line.partition("==")[0]) for line in (TOP / "requirements/run.txt").read_text().splitlines()}

    assert "portage" in needed
    none(sorted(needed - pinned))


def _plain(name: str) -> str:
    """A distribution's name as package indexes compare it. Source: packaging.python.org, "Names and normalization"."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_ruff_finds_nothing():
    linted("ruff", "check", ".")


def test_ruff_would_format_nothing():
    linted("ruff", "format", "--check", ".")


def test_types_are_right():
    linted("mypy")


def test_no_room_imports_from_a_higher_floor():
    linted("lint-imports", "--no-cache")


def test_shell_scripts_pass_shellcheck():
    scripts = written_in(SHELL)

    assert TOP / "tools/setup" in scripts
    linted("shellcheck", *scripts)


def test_no_file_names_a_package_index():
    index = re.compile(r"pythonhosted|index[-_]url|https?://[^/\s]*pypi")
    others = [path for path in tracked() if path.name != Path(__file__).name]

    none(path for path in others if index.search(path.read_text(encoding="utf-8", errors="replace")))


def test_files_of_code_name_their_license():
    missing = [
        path
        for path in (*written_in(PYTHON), *written_in(SHELL))
        if path.stat().st_size
        and path.parent.name != "files"
        and "SPDX-License-Identifier: GPL-2.0-or-later" not in path.read_text()[:400]
    ]

    assert missing == []


def lazy_modules(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Name and module of each ``NAME = LazyModule("MODULE")``."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign([ast.Name(name)], ast.Call(ast.Name("LazyModule"), [ast.Constant(str(module))])):
                yield name, module


def typed_modules(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Name and module of each import under ``if TYPE_CHECKING``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for line in node.body:
                if isinstance(line, ast.ImportFrom):
                    yield from ((alias.asname or alias.name, f"{line.module}.{alias.name}") for alias in line.names)
                elif isinstance(line, ast.Import):
                    yield from ((alias.asname or alias.name, alias.name) for alias in line.names)


def test_a_module_that_is_imported_lazily_is_the_one_that_type_checkers_see():
    trees = {path: ast.parse(path.read_bytes()) for path in sorted(PACKAGE.rglob("*.py"))}
    assert any(list(lazy_modules(tree)) for tree in trees.values())

    none(
        f"{path.relative_to(TOP)}: {name} is {module}"
        for path, tree in trees.items()
        for name, module in set(lazy_modules(tree)) - set(typed_modules(tree))
    )
