# SPDX-License-Identifier: GPL-2.0-or-later
"""Run git in work trees of our own, as the owner of the tree, independent of the user's and the sources' settings.

Sources are bytes: no line ending is converted, no keyword expanded, and no file ignored because of .gitignore.

Repositories that others made are read by ``git_reader``.
"""

import os
import shlex
import stat
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

from gentoomuch_portage import fs, stored
from gentoomuch_portage.errors import BadFile, ProgramFailed, explain_failure
from gentoomuch_portage.process import Ran, home_directory, run, tree_owner

IDENTITY = ("gentoomuch", "gentoomuch@localhost")
"""Name and address for our commits, and for the user's if git has none configured."""
_OPTIONS = (
    "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.quotePath=false", "core.autocrlf=false",
    "core.safecrlf=false", "core.pager=cat", "commit.gpgSign=false", "gc.auto=0", "advice.detachedHead=false",
    "core.fileMode=true", "core.symlinks=true", "diff.renames=true", "diff.noprefix=false", "diff.mnemonicPrefix=false",
    "diff.relative=false", "diff.algorithm=myers", "diff.suppressBlankEmpty=false", "rebase.autoStash=false",
)  # fmt: skip
_LARGEST_INDEX = 1 << 30
"""Bytes; that of Linux has 9 MB."""
_SETTINGS = (
    ("core.autocrlf", "false"), ("core.safecrlf", "false"), ("core.fileMode", "true"), ("core.symlinks", "true"),
    ("core.excludesFile", "/dev/null"), ("core.attributesFile", "/dev/null"), ("commit.gpgSign", "false"),
)  # fmt: skip
_ATTRIBUTES = "* -text !eol !ident !filter !diff !merge !working-tree-encoding !export-subst !whitespace\n"
"""Overrides every .gitattributes of the sources. Source: gitattributes(5), "in-repository ... highest precedence"."""


def run_git(
    tree: Path, *arguments: str | Path, accept: Collection[int] = (0,), env: Mapping[str, str] = MappingProxyType({})
) -> Ran:
    """Run git in a work tree, and return its output.

    Args:
        env: further variables of its environment.

    Raises:
        MissingProgram: git is not on PATH.
        ProgramFailed: git ended with another status.
        MachineError[disk-full], ReadOnly: the file system of the work tree is full or read-only.
    """
    settings = [argument for option in _OPTIONS for argument in ("-c", option)]
    argv = ["git", *settings, "-C", str(tree), *map(str, arguments)]
    user = tree_owner(tree)
    try:
        return run(argv, env=_environment(user, env), keep=True, accept=accept, atom="dev-vcs/git", user=user)
    except ProgramFailed as error:
        raise explain_failure(error, tree, _hint(tree)) from error


def _hint(tree: Path) -> str:
    """Return the hint for a damaged work tree."""
    return f"restore the work tree from a backup, or remove it with its changes: rm -r {shlex.quote(str(tree))}"


def check_pipes(tree: Path) -> None:
    """Check that no file of a repository is a named pipe, which git would wait for without end.

    Raises:
        BadFile: one is.
    """
    for folder, _, names, number in os.fwalk(tree / ".git"):
        for name in names:
            if stat.S_ISFIFO(os.stat(name, dir_fd=number, follow_symlinks=False).st_mode):
                raise BadFile(Path(folder, name), 0, "a named pipe instead of a file of git", hint=_hint(tree))


def init_repository(tree: Path, message: str) -> None:
    """Create a repository in a directory, and commit all its files."""
    run_git(tree, "-c", "init.defaultBranch=work", "init", "-q", "--template=")
    for key, value in _SETTINGS:
        run_git(tree, "config", key, value)
    _write_in_git_dir(tree / ".git/info/attributes", _ATTRIBUTES.encode(), tree_owner(tree))
    commit(tree, message)


def commit(tree: Path, message: str, *, author: tuple[str, str, str] = ("", "", "")) -> None:
    """Commit all files of a work tree, also those that a .gitignore names.

    Args:
        author: name, address and date; empty for ours.
    """
    name, address, date = author
    who = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": address, "GIT_AUTHOR_DATE": date} if name else {}
    run_git(tree, "add", "-A", "-f", ".")
    run_git(tree, "commit", "-q", "--allow-empty", "--no-verify", "--cleanup=verbatim", "-m", message, env=who)


def write_tree(tree: Path) -> str:
    """Write all files of a work tree as a git tree object, and return its name; the index does not change.

    New files that a .gitignore names are skipped, unless they were added to the index.
    """
    index = tree / ".git/gentoomuch-index"
    index.unlink(missing_ok=True)
    _write_in_git_dir(index, _read_index(tree / ".git/index"), tree_owner(tree))
    env = {"GIT_INDEX_FILE": str(index)}
    run_git(tree, "add", "-A", ".", env=env)
    name = run_git(tree, "write-tree", env=env).out.strip()
    index.unlink()
    return name


def _read_index(file: Path) -> bytes:
    """Read the index of a work tree.

    Raises:
        BadFile: it is missing, or not a regular file.
    """
    try:
        return stored.read_bytes(file, most=_LARGEST_INDEX)
    except OSError as error:
        what = f"cannot read the index of a work tree: {(error.strerror or str(error)).lower()}"
        raise BadFile(file, 0, what, hint=_hint(file.parents[1])) from error


def list_ignored(tree: Path) -> list[str]:
    """List new files that ``write_tree`` skips because of a .gitignore of the sources; a directory is one name."""
    output = run_git(tree, "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory").out
    return [name for name in output.split("\0") if name]


def _write_in_git_dir(file: Path, content: bytes, user: int | None) -> None:
    """Write a file into a .git directory without following links that the owner of the tree may have made."""
    file.parent.mkdir(exist_ok=True)
    fs.write(file, content, durable=False)
    if user is not None:
        for path in (file, file.parent):
            os.chown(path, user, -1, follow_symlinks=False)


def _environment(user: int | None, env: Mapping[str, str]) -> dict[str, str]:
    dropped = ("GIT_", "LANGUAGE", "LC_ALL")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    inherited |= {"LC_ALL": "C.UTF-8", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
    for role in ("AUTHOR", "COMMITTER"):
        inherited |= {f"GIT_{role}_NAME": IDENTITY[0], f"GIT_{role}_EMAIL": IDENTITY[1]}
    if user is not None:
        inherited["HOME"] = home_directory(user)
    return {**inherited, **env}
