"""git, started as the owner of a work tree, with none of the habits that a user's or the sources' settings bring.

Sources are bytes: no line ending is turned, no keyword expanded, no file left out that their .gitignore names.
"""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

from gentoomuch_portage.run import Ran, home, owner, run

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
