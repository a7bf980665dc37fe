"""What a run needs to see of its host, wherever it runs.

What boxes see of ebuild repositories: the snapshot of a sync where it is what they should see, or the folder.
"""

import hashlib
import importlib.util
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from gentoomuch_portage import process
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.containers.spec import Bind, Mount, Squashfs
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.portage_adapter import config, emerge

_OURS = ("gentoomuch_portage", "pluggy")
"""What a root with a Portage of its own needs besides, to run us."""
_SESSION = (
    "SSH_", "DBUS_", "XDG_", "GPG_", "WAYLAND_", "DISPLAY", "XAUTHORITY", "AWS_", "GITHUB_", "GITLAB_", "GOOGLE_",
    "AZURE_", "KUBE", "DOCKER_", "GM_", "OLDPWD", "HOME", "PYTHONPATH", "TMPDIR", "LS_COLORS", "MAIL",
)  # fmt: skip
"""Beginnings of variables that belong to the user's session."""
_TOLD = frozenset({"ROOT", "SYSROOT"})
"""What the plan says, and is in force as long as it is carried out."""
_SECRET = re.compile(r"TOKEN|SECRET|PASS|CREDENTIAL|PRIVATE|_PWD$|_AUTH$|(?<!SIGNING)_KEY$|APIKEY$")
"""Names of variables that hold one; BINPKG_GPG_SIGNING_KEY is a key's name."""
_PROXY = "_PROXY"
"""The end of a name: where the network is, and often a password for it."""


class Places(NamedTuple):
    """Folders by their use."""

    pkgdir: Path
    distdir: Path
    repositories: tuple[Path, ...]
    tmpdir: Path
    """PORTAGE_TMPDIR of boxes of this profile."""
    eprefix: Path
    """``/`` where there is none."""
    settings: Settings
    logdir: Path | None = None
    """PORTAGE_LOGDIR, where there is one: the log of a build that failed is what its user looks for."""

    @classmethod
    def of(cls, plan: Plan, settings: Settings) -> Self:
        """Ask Portage what the composed configroot of a plan says."""
        values = config.load(Path(plan.configroot)).values
        env = {**os.environ, **plan.env}
        logs = env.get("PORTAGE_LOGDIR", values["PORTAGE_LOGDIR"])
        return cls(
            pkgdir=Path(env.get("PKGDIR") or values["PKGDIR"]).resolve(),
            distdir=Path(env.get("DISTDIR") or values["DISTDIR"]).resolve(),
            repositories=tuple(path.resolve() for path in config.repositories(Path(plan.configroot)).values()),
            tmpdir=Path(f"{plan.env['PORTAGE_TMPDIR']}.box"),
            eprefix=Path(emerge.eprefix() or "/"),
            settings=settings,
            logdir=Path(logs).resolve() if logs and Path(logs).is_dir() else None,
        )


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a box without the network: emerge's variables, nothing of the user's session, no secrets."""
    return {
        name: value
        for name, value in environ.items()
        if name not in _TOLD
        and not name.startswith(_SESSION)
        and not _SECRET.search(name.upper())
        and not name.upper().endswith(_PROXY)
    }


def proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """What a box with the network gets besides."""
    return {name: value for name, value in environ.items() if name.upper().endswith(_PROXY)}


def interpreter(environ: Mapping[str, str]) -> Iterator[Path]:
    """Folders that this Python, what it imports, and the programs of PATH stand in."""
    yield from (Path(sys.prefix), Path(sys.base_prefix), Path(sys.base_exec_prefix), *modules().values())
    home = Path(environ.get("HOME", "/")).absolute()
    script = str(Path(sys.argv[0]).absolute().parent)  # Python's own way to what is not installed
    for word in (*(word for word in sys.path if word != script), *environ.get("PATH", "").split(":")):
        path = Path(word)
        if path.is_absolute() and os.access(path, os.R_OK | os.X_OK) and not home.is_relative_to(path):
            yield path


def resolving() -> Iterator[Bind]:
    """Where names are resolved, if that is a link to somewhere that a box does not see."""
    link = Path("/etc/resolv.conf")
    if link.exists():
        yield Bind(str(link.resolve()), str(link.resolve()))


def modules() -> dict[str, Path]:
    """Name -> file or folder of the modules that have to be brought along into another root."""
    found = {}
    for name in _OURS:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin:
            origin = Path(spec.origin)
            place = origin.parent if origin.name == "__init__.py" else origin
            found[place.name] = place
    return found


CURRENT, SYNCING = "current", "syncing"
"""Files of a repository's folder: which snapshot is the good one; there as long as a sync has not ended well."""

_LONG = 40
"""Signs of a revision, as many as a commit has."""


class Snapshot(NamedTuple):
    """A repository as it was after a sync."""

    location: str
    revision: str
    image: Path


def mounts(folders: Iterable[Path], cache: Path, box: Path) -> Iterator[Mount]:
    """Mounts of repositories, read-only.

    Args:
        box: the box's own folder.
    """
    known = {one.location: one for one in snapshots(cache)}
    for number, folder in enumerate(folders):
        one = known.get(str(folder))
        if one is not None and (unfinished(one) or revision(folder) == one.revision):
            yield Squashfs(str(one.image), str(folder), str(folder), str(box / "snapshots" / str(number)))
        else:  # nobody has synced it, or somebody has changed it since
            yield Bind(str(folder), str(folder))


def snapshots(cache: Path) -> Iterator[Snapshot]:
    """The good snapshot of each repository that has one."""
    for file in sorted((cache / "snapshots").glob(f"*/{CURRENT}")):
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
            one = Snapshot(str(told["location"]), str(told["revision"]), file.parent / str(told["image"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # written by another version: the next sync writes it anew
        if one.image.is_file():
            yield one


def unfinished(one: Snapshot) -> bool:
    """Whether the last sync of its repository did not end well, or is still at it."""
    return (one.image.parent / SYNCING).exists()


def revision(folder: Path) -> str:
    """What names the state of a repository: a commit where nothing was changed since, a digest otherwise.

    Of a repository that rsync brings, the digest is of its timestamps: what is changed there goes with the next sync.
    """
    if (folder / ".git").exists() and process.where("git"):
        return _commit(folder) or _state(folder)
    stamps = [folder / "metadata" / name for name in ("timestamp.commit", "timestamp.chk", "timestamp.x")]
    told = [stamp.read_bytes() for stamp in stamps if stamp.is_file()]
    return hashlib.sha256(b"\0".join(told)).hexdigest()[:_LONG] if told else _state(folder)


def _commit(folder: Path) -> str:
    """The commit of a work tree; empty where files were changed or added."""
    owner = folder.stat().st_uid
    user = owner if owner and not os.geteuid() else None  # its configuration may name programs that git starts
    git = ["git", "-C", str(folder)]
    head = process.run([*git, "rev-parse", "--verify", "HEAD"], keep=True, accept=(), user=user)
    status = process.run([*git, "status", "--porcelain"], keep=True, accept=(), user=user)
    return head.out.strip() if not head.status and not status.status and not status.out else ""


def _state(folder: Path) -> str:
    """A digest of the names, sizes and times of all files."""
    total = hashlib.sha256()
    for above, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if one != ".git")
        for name in sorted(names):
            path = Path(above, name)
            seen = path.lstat()
            total.update(os.fsencode(path.relative_to(folder)))
            total.update(f"\0{seen.st_size}\0{seen.st_mtime_ns}\0".encode())
    return total.hexdigest()[:_LONG]
