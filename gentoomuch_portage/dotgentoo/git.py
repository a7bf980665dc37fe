"""git, asked about a stranger's work tree: it changes nothing there, fetches nothing, and runs no program for it.

It is the tree's owner who asks, not root, and git's own check stands that a repository belongs to who asks.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from gentoomuch_portage.dotgentoo.errors import BadTree
from gentoomuch_portage.run import Ran, home, owner, run, where

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
