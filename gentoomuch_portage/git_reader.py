# SPDX-License-Identifier: GPL-2.0-or-later
"""Read git repositories that others made, without running what a repository configures and without writing to it.

git does not get the repository, but a GIT_DIR of our own: an empty one with our configuration, and with links to the
data of the repository: objects, refs, index, excluded files. Filters, textconv and merge drivers that .gitattributes
names therefore have no command, and there is no hook, monitor, pager, helper, remote or include.

git runs as the owner of the work tree, so it reads no more than the owner can.

A fetched repository is checked out with the same configuration of our own.
"""

import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.errors import MachineError
from gentoomuch_portage.process import Ran, find_program, home_directory, run, tree_owner

_ENVIRON = {
    "LC_ALL": "C",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}
"""Source: git(1), "Environment Variables"."""
_PROTOCOLS = "file:git:http:https:ssh"
"""Protocols for fetching; never ext::, which runs a command."""
_NETWORK = ("GIT_HTTP_", "GIT_PROXY_SSL_", "GIT_SSL_")
"""Prefixes of variables that configure a fetch. Other variables could name programs or another repository."""
_INHERITED = ("PATH", "HOME", "XDG_CONFIG_HOME")
"""The only variables of our environment that git gets."""
_SETTINGS = {
    "core.filemode": r"true|false",
    "core.symlinks": r"true|false",
    "core.ignorecase": r"true|false",
    "core.autocrlf": r"true|false|input",
    "core.eol": r"lf|crlf|native",
    "extensions.objectformat": r"sha1|sha256",
    "extensions.refstorage": r"files|reftable",
}
"""How a repository stores its data: the keys that are read from its configuration, with their allowed values."""
_SHARED_INDEX = re.compile(r"sharedindex\.[0-9a-f]{40,64}")
_HEAD = re.compile(r"ref: refs/[^\0-\x20\x7f]+|[0-9a-f]{40}|[0-9a-f]{64}")
_MAX_BYTES = 4096
"""Maximum bytes of a file with one line: HEAD, commondir, a .git that names its directory."""
_PATIENCE = 600.0
"""Seconds that git may run; a pipe among the files would block it forever."""


class BadTree(MachineError):
    """A work tree or its repository cannot be read."""

    code = "bad-tree"

    def __init__(self, path: Path, why: str, *, hint: str = "remove it, or add it to .gitignore") -> None:
        super().__init__(f"{path}: {why}", hint=hint)


@dataclass(frozen=True, slots=True)
class _Repository:
    """The directories of a repository."""

    top: Path
    """The work tree."""
    private: Path
    """The directory with HEAD and index: ``.git``, or ``.git/worktrees/NAME``."""
    common: Path
    """The directory with objects and refs."""
    head: str
    """Content of HEAD."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Queries one work tree with git."""

    tree: Path
    env: Mapping[str, str]
    user: int | None

    def query(self, *arguments: str) -> Ran:
        """Run a read-only git command, and return its result whatever its status.

        Raises:
            BadTree: git does not end in time.
        """
        return _run_git(self.tree, self.env, self.user, *arguments)


@contextmanager
def open_reader(tree: Path) -> Iterator[Reader | None]:
    """Yield a reader of the repository that a work tree belongs to, found as git finds it.

    Returns:
        None if git is not installed, or the tree is in no repository.

    Raises:
        BadTree: the repository is damaged, or belongs to another user than the tree.
    """
    tree, user = tree.resolve(), tree_owner(tree)
    repository = _find_repository(tree, os.geteuid() if user is None else user) if find_program("git") else None
    if repository is None:
        yield None
        return
    # The owner of the tree must be able to enter it, which root's TMPDIR may not allow.
    with tempfile.TemporaryDirectory(prefix="gentoomuch-git-", dir=None if user is None else "/tmp") as temporary:
        own = Path(temporary)
        env = {name: os.environ[name] for name in _INHERITED if name in os.environ and (user is None or name == "PATH")}
        env |= {} if user is None else {"HOME": home_directory(user)}
        env |= _ENVIRON | {"GIT_DIR": str(own), "GIT_WORK_TREE": str(repository.top)}
        env |= {"GIT_OBJECT_DIRECTORY": str(repository.common / "objects")}
        _fill(own, repository)
        _write_config(own, _read_settings(own, repository, env, user))
        yield Reader(tree, env | _find_excludes(own, env, user), user)


def list_files(tree: Path) -> list[str] | None:
    """List the files of a work tree that git does not ignore, by path below it; a nested repository is one name.

    Returns:
        None if git is not installed, or the tree is in no repository.

    Raises:
        BadTree: git cannot read the repository.
    """
    with open_reader(tree) as reader:
        if reader is None:
            return None
        ended = reader.query("ls-files", "-zco", "--exclude-standard")
    if ended.status:
        why = next(iter(ended.err.strip().splitlines()), "no output").removeprefix("fatal: ")
        raise BadTree(
            tree, f"git cannot list its files: {why}", hint="make it readable for its owner, then run: git status"
        )
    return [name for name in ended.out.split("\0") if name]


def describe(tree: Path) -> str:
    """Return ``git describe --tags --always``, with ``-dirty`` for uncommitted changes; may be empty.

    Raises:
        BadTree: as ``open_reader``.
    """
    with open_reader(tree) as reader:
        if reader is None or (described := reader.query("describe", "--tags", "--always")).status:
            return ""
        changed = reader.query("diff-index", "--name-only", "--ignore-submodules=all", "HEAD").out
    return described.out.strip() + ("-dirty" if changed.strip() else "")


def fetch_files(uri: str, fresh: Path) -> Path:
    """Fetch the files of the newest commit of a repository.

    The user's proxies, keys and certificates are used for the fetch; the user's filters are not run on the files.

    Args:
        uri: of the repository; must be neither an option nor ``ext::``.
        fresh: an empty directory.

    Returns:
        A directory below ``fresh``, without any ``.git``.

    Raises:
        MissingProgram, ProgramFailed: git is not installed, or cannot fetch it.
    """
    bare, files = fresh / "git", fresh / "files"
    files.mkdir()
    env = {
        name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name.startswith(_NETWORK)
    }
    env |= {"GIT_ALLOW_PROTOCOL": _PROTOCOLS, "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}
    env |= {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}
    how = ("--bare", "--depth=1", "--no-local", "--no-tags", "--quiet", "--template=")
    run(["git", "clone", *how, "--", uri, str(bare)], env=env, keep=True, atom="dev-vcs/git")
    env = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    env |= _ENVIRON | {"GIT_DIR": str(bare), "GIT_WORK_TREE": str(files)}
    for words in (("read-tree", "HEAD"), ("checkout-index", "--all", "--quiet")):
        run(["git", "-C", str(files), *words], env=env, keep=True, atom="dev-vcs/git")
    return files


def _find_repository(tree: Path, uid: int) -> _Repository | None:
    """Find the ``.git`` of a work tree in it or in a directory above, on the same file system.

    Source: git(1), "GIT_DISCOVERY_ACROSS_FILESYSTEM"; gitrepository-layout(5).

    Raises:
        BadTree: as ``open_reader``.
    """
    device = tree.stat().st_dev
    for top in (tree, *tree.parents):
        if top.stat().st_dev != device:
            return None
        dot = top / ".git"
        if dot.is_dir() and all((dot / name).exists() for name in ("HEAD", "objects", "refs")):
            return _open_repository(top, dot, uid)
        if dot.is_file():
            with _open_directory(top, top, uid) as folder:
                line = _read_line(folder, ".git", dot)
            if not line.startswith("gitdir: "):
                raise BadTree(dot, "it names no git directory", hint=f"rm {dot}")
            return _open_repository(top, top / line.removeprefix("gitdir: "), uid)
    return None


def _open_repository(top: Path, private: Path, uid: int) -> _Repository:
    """Find the directories of a repository.

    Raises:
        BadTree: it is damaged, or belongs to another user.
    """
    with _open_directory(top, top, uid), _open_directory(private, top, uid) as folder:
        try:
            head = f"ref: {os.readlink('HEAD', dir_fd=folder)}"  # written by git until 2005
        except OSError:
            head = _read_line(folder, "HEAD", private / "HEAD")
        common = private
        with suppress(FileNotFoundError):
            common = private / _read_line(folder, "commondir", private / "commondir", missing_ok=True)
    if not _HEAD.fullmatch(head):
        raise BadTree(private / "HEAD", "it names no commit", hint=f"git -C {top} status")
    common = common.resolve()
    with _open_directory(common, top, uid):
        return _Repository(top, private.resolve(), common, head)


@contextmanager
def _open_directory(folder: Path, top: Path, uid: int) -> Iterator[int]:
    """Yield a descriptor of a directory that a user owns; like git, accept no repository of another user.

    Source: git-config(1), "safe.directory".

    Raises:
        BadTree: another user owns it, or it cannot be opened.
    """
    try:
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise BadTree(
            top, f"cannot read its repository: {folder}: {error.strerror}", hint=f"ls -ld {folder}"
        ) from error
    try:
        owning_user = os.fstat(number).st_uid
        if owning_user != uid and not (uid == 0 and str(owning_user) == os.environ.get("SUDO_UID")):
            why = f"its repository belongs to another user: {folder} is owned by user {owning_user}, not {uid}"
            raise BadTree(top, why, hint=f"chown -R {uid} {folder}")
        yield number
    finally:
        os.close(number)


def _read_line(folder: int, name: str, path: Path, *, missing_ok: bool = False) -> str:
    """Read a small file of one line below an open directory, following no link.

    Raises:
        BadTree: it is not such a file, or cannot be read.
        FileNotFoundError: it is missing, and ``missing_ok`` is set.
    """
    try:
        number = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        with os.fdopen(number, "rb") as file:
            content = file.read(_MAX_BYTES + 1) if stat.S_ISREG(os.fstat(number).st_mode) else b""
    except FileNotFoundError:
        if missing_ok:
            raise
        raise BadTree(
            path, "it is missing", hint=f"restore it, or remove the repository: rm -r {path.parent}"
        ) from None
    except OSError as error:
        raise BadTree(path, f"cannot read it: {error.strerror}", hint=f"ls -l {path}") from error
    if not content or len(content) > _MAX_BYTES or b"\0" in content:
        raise BadTree(path, "not a git file", hint=f"ls -l {path}")
    return os.fsdecode(content).removesuffix("\n")


def _fill(own: Path, repository: _Repository) -> None:
    """Write our own GIT_DIR: our configuration, and links to the data of the repository."""
    own.chmod(0o755)
    (own / "info").mkdir(mode=0o755)
    _write_text(own / "HEAD", f"{repository.head}\n")
    _write_config(own, {})
    links = {name: repository.common / name for name in ("refs", "packed-refs", "shallow", "info/exclude")}
    links["index"] = repository.private / "index"
    if repository.private == repository.common:
        links["reftable"] = repository.common / "reftable"
    with suppress(OSError):
        links |= {
            entry.name: Path(entry) for entry in os.scandir(repository.private) if _SHARED_INDEX.fullmatch(entry.name)
        }
    for name, target in links.items():
        if os.path.lexists(target):
            (own / name).symlink_to(target)


def _write_text(file: Path, text: str) -> None:
    file.write_bytes(os.fsencode(text))
    file.chmod(0o644)


def _write_config(own: Path, settings: Mapping[str, str]) -> None:
    """Write the configuration of our GIT_DIR."""
    extended = any(key.startswith("extensions.") for key in settings)
    values = {"core.repositoryformatversion": "1" if extended else "0", "core.bare": "false", **settings}
    _write_text(
        own / "config", "".join("[{}]\n\t{} = {}\n".format(*key.split("."), value) for key, value in values.items())
    )


def _read_settings(own: Path, repository: _Repository, env: Mapping[str, str], user: int | None) -> dict[str, str]:
    """Read how the repository stores its data; the rest of its configuration is not used."""
    file = repository.common / "config"
    listing = _run_git(own, env, user, "config", "--file", str(file), "--no-includes", "-z", "--list").out
    pairs = (entry.partition("\n") for entry in listing.split("\0"))
    return {key: value for key, _, value in pairs if key in _SETTINGS and re.fullmatch(_SETTINGS[key], value)}


def _find_excludes(own: Path, env: Mapping[str, str], user: int | None) -> dict[str, str]:
    """Return the variables that pass the configured core.excludesFile of the user or system to git, if any."""
    plain_env = {name: value for name, value in env.items() if not name.startswith("GIT_CONFIG_")}
    file = _run_git(own, plain_env, user, "config", "--includes", "--type=path", "-z", "--get", "core.excludesFile").out
    if not file:
        return {}
    return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.excludesFile", "GIT_CONFIG_VALUE_0": file.rstrip("\0")}


def _run_git(folder: Path, env: Mapping[str, str], user: int | None, *arguments: str) -> Ran:
    argv = ["git", "-C", str(folder), *arguments]
    try:
        return run(argv, env=env, keep=True, accept=(), user=user, limit=_PATIENCE)
    except TimeoutError as error:
        why = f"git {arguments[0]} did not end within {_PATIENCE:.0f} s"
        raise BadTree(Path(env["GIT_WORK_TREE"]), why, hint="find . -type p") from error
