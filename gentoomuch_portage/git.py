"""git, started as the owner of a work tree, with none of the habits that a user's or the sources' settings bring.

Sources are bytes: no line ending is turned, no keyword expanded, no file left out that their .gitignore names.

git, asked about a stranger's work tree: it changes nothing there, fetches nothing, and runs no program for it.

It is the tree's owner who asks, not root, and git's own check stands that a repository belongs to who asks.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from gentoomuch_portage.errors import MachineError
from gentoomuch_portage.process import Ran, home, owner, run, where

IDENTITY = ("gentoomuch", "gentoomuch@localhost")
"""Who commits what we commit, and where git knows nobody else."""
_OURS = (
    "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.quotePath=false", "core.autocrlf=false",
    "core.safecrlf=false", "core.pager=cat", "commit.gpgSign=false", "gc.auto=0", "advice.detachedHead=false",
    "core.fileMode=true", "core.symlinks=true", "diff.renames=true", "diff.noprefix=false", "diff.mnemonicPrefix=false",
    "diff.relative=false", "diff.algorithm=myers", "diff.suppressBlankEmpty=false", "rebase.autoStash=false",
)  # fmt: skip
_KEPT = (
    ("core.autocrlf", "false"), ("core.safecrlf", "false"), ("core.fileMode", "true"), ("core.symlinks", "true"),
    ("core.excludesFile", "/dev/null"), ("core.attributesFile", "/dev/null"), ("commit.gpgSign", "false"),
)  # fmt: skip
_ATTRIBUTES = "* -text !eol !ident !filter !diff !merge !working-tree-encoding !export-subst !whitespace\n"
"""Beats every .gitattributes of the sources. Source: gitattributes(5), "in-repository ... highest precedence"."""


def git(
    tree: Path, *words: str | Path, accept: Collection[int] = (0,), env: Mapping[str, str] = MappingProxyType({})
) -> Ran:
    """Run git in a work tree, and keep what it says.

    Args:
        env: more of its environment.

    Raises:
        MissingProgram: git is not on PATH.
        ProgramFailed: any other status.
    """
    settings = [word for one in _OURS for word in ("-c", one)]
    argv = ["git", *settings, "-C", str(tree), *map(str, words)]
    user = owner(tree)
    return run(argv, env=_environment(user, env), keep=True, accept=accept, atom="dev-vcs/git", user=user)


def begin(tree: Path, message: str) -> None:
    """Make a repository of a folder, and commit all that is in it."""
    git(tree, "-c", "init.defaultBranch=work", "init", "-q", "--template=")
    for key, value in _KEPT:
        git(tree, "config", key, value)
    _put(tree / ".git/info/attributes", _ATTRIBUTES.encode(), owner(tree))
    commit(tree, message)


def commit(tree: Path, message: str, *, author: tuple[str, str, str] = ("", "", "")) -> None:
    """Commit all that is in a work tree, though a .gitignore names it.

    Args:
        author: name, address and date; left out where empty.
    """
    name, address, date = author
    who = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": address, "GIT_AUTHOR_DATE": date} if name else {}
    git(tree, "add", "-A", "-f", ".")
    git(tree, "commit", "-q", "--allow-empty", "--no-verify", "--cleanup=verbatim", "-m", message, env=who)


def written(tree: Path) -> str:
    """The tree object of all that a work tree holds now; its own index is left alone.

    New files that a .gitignore names are left out, unless they were added.
    """
    index = tree / ".git/gentoomuch-index"
    index.unlink(missing_ok=True)
    _put(index, (tree / ".git/index").read_bytes(), owner(tree))
    told = {"GIT_INDEX_FILE": str(index)}
    git(tree, "add", "-A", ".", env=told)
    found = git(tree, "write-tree", env=told).out.strip()
    index.unlink()
    return found


def ignored(tree: Path) -> list[str]:
    """New files that ``written`` leaves out, because a .gitignore of the sources names them; whole folders as one."""
    told = git(tree, "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory").out
    return [name for name in told.split("\0") if name]


def _put(file: Path, content: bytes, user: int | None) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    if user is not None:
        for one in (file, file.parent):
            os.chown(one, user, -1)


def _environment(user: int | None, env: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    kept = {"LC_ALL": "C.UTF-8", **kept, "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
    for role in ("AUTHOR", "COMMITTER"):
        kept |= {f"GIT_{role}_NAME": IDENTITY[0], f"GIT_{role}_EMAIL": IDENTITY[1]}
    if user is not None:
        kept["HOME"] = home(user)
    return {**kept, **env}


_GIT = ("git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
"""What a repository's own configuration names is not run: no monitor, no hook."""
_ENVIRON = {
    "LC_ALL": "C",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
}
"""Nothing is written, and an object that is missing stays so: to fetch it, git would start what the repository names,
whatever the address is. Source: git(1), "Environment Variables"."""
_NONE = "not a git repository"


def listed(tree: Path) -> list[str] | None:
    """The files of a work tree that git does not ignore, by path below it; those of a repository in it as one name.

    Returns:
        None where there is no git, or the tree is in none of its repositories.

    Raises:
        BadTree: git cannot read it, or will not.
    """
    if not where("git"):
        return None
    told = _git(tree, "ls-files", "-zco", "--exclude-standard")
    if not told.status:
        return [name for name in told.out.split("\0") if name]
    if _NONE in told.err:
        return None
    why = next(iter(told.err.strip().splitlines()), "it fails").removeprefix("fatal: ")
    raise BadTree(tree, f"git cannot list it: {why}", remedy="make it readable for its owner, and his repository his")


def version(tree: Path) -> str:
    """As ``git describe --tags --always`` tells it, ``-dirty`` behind it where files are not as committed; or empty."""
    if not where("git"):
        return ""
    told = _git(tree, "describe", "--tags", "--always")
    if told.status:
        return ""
    # A file as old as the index is compared by its content, for which git would run the filters of the repository.
    without = [word for name in _filters(tree) for word in ("-c", f"{name}=")]
    changed = _git(tree, *without, "diff-index", "--name-only", "--ignore-submodules=all", "HEAD").out
    return told.out.strip() + ("-dirty" if changed.strip() else "")


def _filters(tree: Path) -> Iterator[str]:
    listed = _git(tree, "config", "--name-only", "-z", "--get-regexp", r"^filter\.").out
    yield from filter(None, listed.split("\0"))


def _git(tree: Path, *words: str) -> Ran:
    """Run git as the owner of a work tree, whatever repository the caller's environment names."""
    user = owner(tree)
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | _ENVIRON
    if user is not None:
        env["HOME"] = home(user)
    return run([*_GIT, "-C", str(tree), *words], env=env, keep=True, accept=(), user=user)


class BadTree(MachineError):
    """A work tree cannot be copied."""

    code = "bad-tree"

    def __init__(self, path: Path, why: str, *, remedy: str = "remove it, or let .gitignore name it") -> None:
        super().__init__(f"{path}: {why}", remedy=remedy)
