# SPDX-License-Identifier: GPL-2.0-or-later
"""Paths and variables of the host that a container needs, its ebuild repositories among them."""

import hashlib
import importlib.util
import json
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from gentoomuch_portage import git_reader, stored
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.containers import configuration
from gentoomuch_portage.containers.spec import Bind, Mount, Squashfs
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.portage_adapter import paths as portage_paths

_OURS = ("gentoomuch_portage", "pluggy")
"""Modules that a root with its own Portage needs to run this program."""
_PASSED = """
    PATH PWD TERM COLORTERM COLUMNS LINES NOCOLOR NO_COLOR LANG LANGUAGE TZ SHELL USER LOGNAME VIRTUAL_ENV
    PYTHONHASHSEED SOURCE_DATE_EPOCH USE LINGUAS L10N
    CFLAGS CXXFLAGS CPPFLAGS FFLAGS FCFLAGS LDFLAGS ASFLAGS ARFLAGS RUSTFLAGS GOFLAGS GOAMD64 GOARM GOARM64 GO386
    CC CXX CPP LD AR AS NM RANLIB STRIP OBJCOPY OBJDUMP READELF PKG_CONFIG PKG_CONFIG_PATH
    MAKE MAKEFLAGS MAKEOPTS GNUMAKEFLAGS NINJA NINJAOPTS EXTRA_ECONF EXTRA_EMAKE EPYTEST_FLAGS EPYTEST_XDIST
    KERNEL_DIR KBUILD_OUTPUT KV_OUT_DIR UNSUPPORTED_CPU
"""
"""Names of variables that programs and eclasses read besides those of Portage."""
_PASSED_FAMILIES = ("LC_", "PORTAGE_", "EMERGE_", "BUILD_C", "CMAKE_", "CCACHE_", "DISTCC_")
_SET_BY_PLAN = frozenset({"ROOT", "SYSROOT"})
_SECRET = re.compile(r"TOKEN|SECRET|PASS|CREDENTIAL|PRIVATE|_PWD$|_AUTH$|(?<!SIGNING)_KEY$|APIKEY$|SSH")
"""Names of variables with secrets, even if Portage knows them; BINPKG_GPG_SIGNING_KEY is the name of a key."""
_SESSION = frozenset({"HOME", "TMPDIR", "PYTHONPATH", "OLDPWD"})
"""Portage passes these on; a container has its own values."""
_PROXY = "_PROXY"
"""Suffix of variables of proxies, whose URLs may contain a password."""


class Places(NamedTuple):
    """Directories of a run, by use."""

    pkgdir: Path
    distdir: Path
    repositories: tuple[Path, ...]
    tmpdir: Path
    """The host's PORTAGE_TMPDIR. Containers use the same path, so that no other path appears in binaries."""
    eprefix: Path
    """``/`` without a prefix."""
    settings: Settings
    profile: str
    show: tuple[Path, ...] = ()
    """More paths of the host: ``[container] show``."""
    configroots: tuple[Path, ...] = ()
    variables: frozenset[str] = frozenset()
    """The names of all variables that Portage's configuration sets, or reads from its environment."""
    logdir: Path | None = None
    """PORTAGE_LOGDIR, if it is set and exists."""

    @property
    def binhost_cache(self) -> Path:
        """The directory of packages that were fetched from servers in binrepos.conf; it may be missing.

        Source: ``location`` in portage.binrepo.config, and binarytree._ensure_dir, which allows no other directory.
        """
        return self.eprefix / "var/cache/binhost"

    @classmethod
    def load(cls, plan: Plan, settings: Settings) -> Self:
        """Load the directories of a plan from Portage's configuration."""
        loaded = configuration.load(Path(plan.configroot), plan.profile, settings.cache / "containers")
        values = loaded.values
        env = {**os.environ, **plan.env}
        logs = env.get("PORTAGE_LOGDIR", values["PORTAGE_LOGDIR"])
        return cls(
            pkgdir=Path(env.get("PKGDIR") or values["PKGDIR"]).resolve(),
            distdir=Path(env.get("DISTDIR") or values["DISTDIR"]).resolve(),
            repositories=tuple(Path(path).resolve() for path in loaded.repositories),
            tmpdir=Path(os.environ.get("PORTAGE_TMPDIR") or values["PORTAGE_TMPDIR"]),
            eprefix=Path(portage_paths.eprefix() or "/"),
            settings=settings,
            profile=plan.profile,
            show=tuple(Path(line) for line in plan.show.splitlines()),
            configroots=tuple(Path(path) for path in (plan.configroot, plan.build_configroot) if path),
            variables=loaded.names,
            logdir=Path(logs).resolve() if logs and Path(logs).is_dir() else None,
        )


def failure_logs(places: Places, profile: str) -> Path:
    """Return the directory for logs of failed builds without a PORTAGE_LOGDIR; build directories are removed."""
    return places.settings.cache / "logs" / profile


def environment(environ: Mapping[str, str], variables: Collection[str]) -> dict[str, str]:
    """Return the environment of a container without the network: variables that emerge and builds need, by name.

    Args:
        variables: the names in Portage's configuration.
    """
    passed = {*_PASSED.split(), *variables}
    return {
        name: value
        for name, value in environ.items()
        if (name in passed or name.startswith(_PASSED_FAMILIES))
        and name not in _SET_BY_PLAN
        and name not in _SESSION
        and not _SECRET.search(name.upper())
        and not name.upper().endswith(_PROXY)
    }


def proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the additional variables of a container with the network."""
    return {name: value for name, value in environ.items() if name.upper().endswith(_PROXY)}


def interpreter_paths(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield the files and directories of this Python, and of all that it imports."""
    if sys.prefix != sys.base_prefix:
        yield Path(sys.prefix)  # a virtual environment
    yield from _python_installation()
    yield from module_paths().values()
    home = Path(environ.get("HOME", "/")).absolute()
    script = str(Path(sys.argv[0]).absolute().parent)  # added by Python for modules that are not installed
    for path in (Path(word) for word in sys.path if word != script):
        if path.is_absolute() and os.access(path, os.R_OK) and not home.is_relative_to(path):
            yield path


def _python_installation() -> Iterator[Path]:
    """Yield the interpreter that runs us, its library and its headers, but not all of a prefix such as /usr/local."""
    program = Path(getattr(sys, "_base_executable", sys.executable))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    yield from (path for name in sorted({program.name, "python3", version}) if (path := program.parent / name).exists())
    for prefix in {Path(sys.base_prefix), Path(sys.base_exec_prefix)}:
        if (headers := prefix / "include" / version).is_dir():
            yield headers
        yield from (prefix / sys.platlibdir).glob("libpython3*")


def resolver_mounts() -> Iterator[Bind]:
    """Yield the target of /etc/resolv.conf, which a container may not see otherwise."""
    link = Path("/etc/resolv.conf")
    if link.exists():
        yield Bind(str(link.resolve()), str(link.resolve()))


def module_paths() -> dict[str, Path]:
    """Return the files or directories of the modules that a root with its own Portage needs, by name."""
    paths = {}
    for name in _OURS:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin:
            origin = Path(spec.origin)
            path = origin.parent if origin.name == "__init__.py" else origin
            paths[path.name] = path
    return paths


CURRENT, SYNCING = "current", "syncing"
"""Files in the directory of a repository's snapshots: the name of the current one; present during a sync, and after it
if it failed."""

_LENGTH = 40
"""Characters of a revision, as of a commit."""


class Snapshot(NamedTuple):
    """A repository as it was after a sync."""

    location: str
    revision: str
    image: Path


def repository_mounts(folders: Iterable[Path], cache: Path, run: Path) -> Iterator[Mount]:
    """Yield read-only mounts of repositories: the snapshot of the last sync if it is current, or the directory.

    Args:
        run: the directory of the run.
    """
    known = {snapshot.location: snapshot for snapshot in snapshots(cache)}
    for number, folder in enumerate(folders):
        snapshot = known.get(str(folder))
        if snapshot is not None and (is_unfinished(snapshot) or revision(folder) == snapshot.revision):
            yield Squashfs(str(snapshot.image), str(folder), str(folder), str(run / "snapshots" / str(number)))
        else:  # it was never synced, or was changed after the sync
            yield Bind(str(folder), str(folder))


def snapshots(cache: Path) -> Iterator[Snapshot]:
    """Yield the current snapshot of each repository that has one."""
    for file in sorted((cache / "snapshots").glob(f"*/{CURRENT}")):
        snapshot = stored.recall(file, _parse_snapshot)  # None: of another version; the next sync writes it anew
        if snapshot is not None and (file.parent / snapshot.image).is_file():
            yield snapshot._replace(image=file.parent / snapshot.image)


def _parse_snapshot(text: str) -> Snapshot:
    fields = json.loads(text)
    return Snapshot(str(fields["location"]), str(fields["revision"]), Path(Path(fields["image"]).name))


def is_unfinished(snapshot: Snapshot) -> bool:
    """Return whether the last sync of its repository failed, or is still running."""
    return (snapshot.image.parent / SYNCING).exists()


def revision(folder: Path) -> str:
    """Return the name of a repository's state: its commit if no file was changed, otherwise a digest.

    The digest of a repository that rsync syncs covers its timestamps: the next sync overwrites changes there.
    """
    if (folder / ".git").exists():
        return _commit(folder) or _digest(folder)
    stamps = [folder / "metadata" / name for name in ("timestamp.commit", "timestamp.chk", "timestamp.x")]
    contents = [stamp.read_bytes() for stamp in stamps if stamp.is_file()]
    return hashlib.sha256(b"\0".join(contents)).hexdigest()[:_LENGTH] if contents else _digest(folder)


def _commit(folder: Path) -> str:
    """Return the commit of a work tree; empty if files were changed or added, or git cannot read it."""
    try:
        with git_reader.open_reader(folder) as reader:
            if reader is None:
                return ""
            head = reader.query("rev-parse", "--verify", "HEAD")
            # git would start itself in a submodule, with the configuration of that one
            status = reader.query("status", "--porcelain", "--ignore-submodules=dirty")
    except git_reader.BadTree:
        return ""
    return head.out.strip() if not head.status and not status.status and not status.out else ""


def _digest(folder: Path) -> str:
    """Return a digest of the names, sizes and times of all files."""
    total = hashlib.sha256()
    for above, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != ".git")
        for name in sorted(names):
            path = Path(above, name)
            status = path.lstat()
            total.update(os.fsencode(path.relative_to(folder)))
            total.update(f"\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return total.hexdigest()[:_LENGTH]
