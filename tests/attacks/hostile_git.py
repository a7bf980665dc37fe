# SPDX-License-Identifier: GPL-2.0-or-later
"""Git repositories that try to run a program wherever git can be configured to run one."""

import hashlib
import os
import struct
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

ODD_NAMES = ("plain", "a=b", "a.b", "=", ".", "E-v", "a=b.clean=", "a\\b", "filter.a=b.clean")
"""Names of drivers, with every sign that a parser could stop at."""


def git(top: Path, *words: str | Path, **env: str) -> str:
    """Run git as the author of a repository does; what it prints."""
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always")
    argv = ["git", "-C", top, *who, *words]
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", **env}
    return subprocess.run(argv, check=True, capture_output=True, text=True, env=env).stdout


def configure(top: Path, *pairs: tuple[str, str]) -> None:
    """Add to .git/config, which takes any name."""
    for key, value in pairs:
        git(top, "config", "--add", key, value)


def start(top: Path) -> Path:
    """Make a repository with one commit, and a file that git can compare with the index only by its content."""
    (top / "src").mkdir(parents=True, exist_ok=True)
    (top / "src/a.c").write_text("a\n")
    git(top, "init", "-q", "--template=")
    git(top, "add", "-A", "-f")
    git(top, "commit", "-q", "-m", "one")
    return top


def make_racy(top: Path) -> None:
    """Change a file behind the index, which is as young as the file: git has to read it, through filters.

    An attacker who sends a work tree with its index can do the same. Source: git's "racy-git".
    """
    file, name = top / "src/a.c", b"src/a.c"
    index = (top / "dot=git" if (top / ".git").is_file() else top / ".git") / "index"
    file.write_text("b\n")
    seen = file.stat()
    content = bytearray(index.read_bytes()[:-20])
    at = content.index(name + b"\0") - 62
    times = (*divmod(seen.st_ctime_ns, 10**9), *divmod(seen.st_mtime_ns, 10**9))
    struct.pack_into(">6I", content, at, *times, seen.st_dev & 0xFFFFFFFF, seen.st_ino & 0xFFFFFFFF)
    struct.pack_into(">3I", content, at + 28, seen.st_uid, seen.st_gid, seen.st_size)
    index.write_bytes(content + hashlib.sha1(content).digest())
    os.utime(index, ns=(seen.st_mtime_ns, seen.st_mtime_ns))


def filters(top: Path, command: str, name: str = "a=b") -> None:
    """A filter of all files."""
    configure(top, *((f"filter.{name}.{key}", command) for key in ("clean", "smudge")))
    configure(top, (f"filter.{name}.process", f"{command} </dev/null"))
    (top / ".gitattributes").write_text(f"* filter={name}\n")


def drivers(top: Path, command: str) -> None:
    """External diffs, textconv and merge drivers."""
    for name in ODD_NAMES:
        configure(top, *((f"diff.{name}.{key}", command) for key in ("command", "textconv")))
        configure(top, (f"merge.{name}.driver", command))
    configure(top, ("diff.external", command), ("merge.default", "plain"), ("interactive.diffFilter", command))
    (top / ".gitattributes").write_text("* diff=a=b merge=a=b\n")


def monitors(top: Path, command: str) -> None:
    """A monitor of the file system, and hooks under all names."""
    hooks = top / "hooks=a.b"
    hooks.mkdir()
    script = f"#!/bin/sh\n{command}\n"
    names = (
        "post-index-change", "fsmonitor-watchman", "query-watchman", "reference-transaction", "post-checkout",
        "post-merge", "pre-auto-gc", "post-rewrite", "pre-commit", "post-commit", "sendemail-validate",
    )  # fmt: skip
    (top / ".git/hooks").mkdir(exist_ok=True)
    for folder in (hooks, top / ".git/hooks"):
        for name in names:
            (folder / name).write_text(script)
            (folder / name).chmod(0o755)
    configure(top, ("core.hooksPath", str(hooks)), ("core.fsmonitor", str(hooks / "fsmonitor-watchman")))
    configure(top, ("core.fsmonitorHookVersion", "2"), ("core.untrackedCache", "true"))


def helpers(top: Path, command: str) -> None:
    """Pagers, editors, askers, signers and aliases."""
    for key in (
        "core.pager", "core.editor", "core.askPass", "core.sshCommand", "core.gitProxy", "core.alternateRefsCommand",
        "sequence.editor", "credential.helper", "gpg.program", "gpg.ssh.program", "gpg.x509.program",
        "gpg.ssh.defaultKeyCommand", "uploadpack.packObjectsHook", "receive.procReceiveRefs", "diff.guitool",
        "ssh.variant", "browser.x.cmd", "man.x.cmd", "trailer.x.cmd", "trailer.x.command", "web.browser",
    ):  # fmt: skip
        value = f"!{command}" if key == "credential.helper" else command
        configure(top, (key, value))
    for name in ("ls-files", "describe", "diff-index", "config", "rev-parse", "status", "diff", "log", "write-tree"):
        configure(top, (f"pager.{name}", command), (f"alias.{name}", f"!{command}"))
    configure(top, ("log.showSignature", "true"), ("tag.gpgSign", "true"), ("commit.gpgSign", "true"))
    configure(top, ("pager.status", "true"), ("color.ui", "always"))


def includes(top: Path, command: str) -> None:
    """The same by files that the configuration includes."""
    text = f'[filter "a=b"]\n\tclean = "{command}"\n[core]\n\tfsmonitor = "{command}"\n\tpager = "{command}"\n'
    for number, key in enumerate(
        ("include.path", "includeIf.gitdir:**.path", "includeIf.gitdir/i:**.path", "includeIf.onbranch:**.path")
    ):
        file = top / f".git/more=a.b-{number}"
        file.write_text(text)
        configure(top, (key, str(file)))
    (top / ".gitattributes").write_text("* filter=a=b\n")


def worktree_config(top: Path, command: str) -> None:
    """The same by the configuration of one work tree."""
    configure(top, ("core.repositoryFormatVersion", "1"), ("extensions.worktreeConfig", "true"))
    (top / ".git/config.worktree").write_text(
        f'[filter "a=b"]\n\tclean = "{command}"\n[core]\n\tfsmonitor = "{command}"\n\thooksPath = "{top}/hooks"\n'
    )
    (top / ".gitattributes").write_text("* filter=a=b\n")


def attributes(top: Path, command: str) -> None:
    """Attributes by every other file that may hold them, and macros."""
    (top / ".git/info").mkdir(exist_ok=True)
    (top / ".git/info/attributes").write_text("[attr]evil filter=a=b diff=a=b\n* evil\n")
    (top / "more=.attributes").write_text("* filter=a=b\n")
    configure(top, ("core.attributesFile", str(top / "more=.attributes")), ("filter.a=b.clean", command))
    configure(top, ("diff.a=b.textconv", command))


def missing_objects(top: Path, command: str) -> None:
    """Objects that are missing, and a remote that says how they are to be fetched."""
    for key, value in (
        ("core.repositoryFormatVersion", "1"), ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"), ("remote.origin.url", "ext::sh -c " + command.replace(" ", "% ")),
        ("remote.origin.uploadpack", command), ("remote.origin.vcs", "ext"), ("core.sshCommand", command),
        ("protocol.allow", "always"), ("protocol.ext.allow", "always"), ("protocol.file.allow", "always"),
    ):  # fmt: skip
        configure(top, (key, value))
    for ref in (top / ".git/refs/heads").iterdir():
        ref.write_text("1" * 40 + "\n")


def submodule(top: Path, command: str) -> None:
    """A submodule with a configuration of its own, which a command is to update."""
    inner = start(top / "inner=a.b")
    for way in (filters, monitors, helpers):
        way(inner, command)
    git(top, "add", "-A", "-f", "inner=a.b")
    (top / ".gitmodules").write_text('[submodule "a=b"]\n\tpath = inner=a.b\n\turl = ./inner=a.b\n\tignore = none\n')
    configure(top, ("submodule.a=b.update", f"!{command}"), ("submodule.a=b.active", "true"))
    (inner / "src/a.c").write_text("c\n")


def elsewhere(top: Path, command: str) -> None:
    """A .git that is a file and names a directory, and a common directory beside that."""
    filters(top, command)
    monitors(top, command)
    moved = top / "dot=git"
    (top / ".git").rename(moved)
    (top / ".git").write_text(f"gitdir: {moved.name}\n")


def remotes(top: Path, command: str) -> None:
    """A remote and addresses that git is to rewrite."""
    configure(top, ("url.ext::sh -c touch.insteadOf", "/"), ("protocol.ext.allow", "always"))
    configure(top, ("remote.origin.url", "/"), ("remote.origin.proxy", command), ("http.proxy", command))


def everything(top: Path, command: str) -> None:
    """Many of these at once."""
    for way in (filters, monitors, helpers, includes, remotes, worktree_config):
        way(top, command)


WAYS: dict[str, Callable[[Path, str], None]] = {
    "filters": filters, "drivers": drivers, "monitors": monitors, "helpers": helpers, "includes": includes,
    "worktree-config": worktree_config, "attributes": attributes, "missing-objects": missing_objects,
    "submodule": submodule, "elsewhere": elsewhere, "remotes": remotes, "all": everything,
    **{f"filter {name}": partial(filters, name=name) for name in ODD_NAMES},
}  # fmt: skip
"""How a repository is prepared, by name: a function of the work tree and of the command that is to run."""
