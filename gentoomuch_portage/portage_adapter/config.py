"""Questions to Portage about configuration, answered in plain data.

A whole configroot, as Portage reads it.

What the host's own configuration says, in plain data: for who writes a profile that equals it.

How a make_profile wants a root to be laid out.

Which repositories Portage syncs, and from where.
"""

import contextlib
import io
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gentoomuch_portage.errors import BadFile
from gentoomuch_portage.portage_adapter import binhosts
from gentoomuch_portage.portage_adapter.config_errors import bad


def read_config(configroot: Path) -> tuple[Any, str]:
    """Portage's ``config`` of a configroot, with nothing of the environment, and what it complains of on stderr.

    Raises:
        BadFile: Portage cannot read it.
    """
    import portage
    from portage.exception import PortageException

    heard = io.StringIO()
    try:
        with contextlib.redirect_stderr(heard):
            found = portage.config(config_root=str(configroot), target_root="/", env={})
    except (PortageException, ValueError, OSError) as error:
        raise bad(configroot, f"{heard.getvalue()}{error}") from error
    return found, heard.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What Portage makes of a configroot."""

    values: Mapping[str, str]
    """PORTAGE_TMPDIR, PKGDIR, DISTDIR, CHOST, ACCEPT_CHOSTS, ELIBC, ARCH, CC, CFLAGS, USE_EXPAND, PORTAGE_LOGDIR."""
    read: tuple[Path, ...]
    """Files outside of the configroot that these values came from: make.globals, make.defaults, parent."""
    profile: Path | None
    """The directory that make.profile means; None where there is none."""
    complaints: str
    """What Portage said on stderr."""


def make_conf(path: Path, known: dict[str, str]) -> dict[str, str]:
    """Read a make.conf, a file or a directory, as Portage does.

    Args:
        known: values of what was read before; grows by what is read.

    Raises:
        BadFile: it has an error; with the line.
    """
    from portage.exception import ParseError, PermissionDenied
    from portage.util import getconfig

    heard = io.StringIO()
    try:
        with contextlib.redirect_stderr(heard):
            return dict(getconfig(str(path), allow_sourcing=True, expand=known, recursive=True) or {})
    except PermissionDenied as error:
        raise BadFile(path, 0, "it cannot be read by this user") from error
    except (ParseError, ValueError) as error:
        raise bad(path, str(error) if isinstance(error, ParseError) else heard.getvalue()) from error


def file_list(path: Path) -> list[Path]:
    """The files that Portage reads for a name that may be a file or a directory, in its order."""
    from portage.util import _recursive_file_list

    return [Path(name) for name in _recursive_file_list(str(path))]


def incrementals(*, of_profiles: bool = False) -> frozenset[str]:
    """The variables that add up.

    Args:
        of_profiles: only those that add up from one make.defaults to the next; ACCEPT_LICENSE and its like
            add up from all of these to make.conf, but the last make.defaults wins.

    Source: portage.const.INCREMENTALS, and config.regenerate for the three others.
    """
    from portage.const import INCREMENTALS

    others = () if of_profiles else ("ACCEPT_LICENSE", "ACCEPT_PROPERTIES", "ACCEPT_RESTRICT")
    return frozenset((*INCREMENTALS, *others))


def check_atoms(path: Path) -> None:
    """Hold a file of package.* to Portage's grammar, line by line.

    Raises:
        BadFile: a line is wrong.
    """
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if not is_atom(
            words[0].removeprefix("-") if path_kind(path) in {"package.mask", "package.unmask"} else words[0]
        ):
            raise BadFile(
                path,
                number,
                f"{words[0]!r} is no atom",
                remedy="write category/package, with =, ~ or >= before a version",
            )
        if path_kind(path) == "package.use":
            for flag in words[1:]:
                if not _FLAG.fullmatch(flag):
                    raise BadFile(
                        path, number, f"{flag!r} is no USE flag", remedy="write flag, -flag, or VARIABLE: value"
                    )


_FLAG = re.compile(r"-?(\*|[A-Za-z0-9][A-Za-z0-9+_@-]*(_\*)?)|[A-Za-z0-9_]+:|-?[A-Za-z0-9+_@.:-]+")


def path_kind(path: Path) -> str:
    """``package.use`` for a file of that name or below a directory of that name; empty for none."""
    return next((part for part in reversed(path.parts) if part.startswith("package.")), "")


def is_atom(text: str) -> bool:
    """Whether Portage takes a text as an atom in a user's configuration."""
    from portage.dep import Atom
    from portage.exception import InvalidAtom

    try:
        Atom(text, allow_wildcard=True, allow_repo=True, allow_build_id=True)
    except InvalidAtom:
        return False
    return True


def load(configroot: Path) -> Loaded:
    """Let Portage read a whole configroot.

    Raises:
        BadFile: Portage cannot read it.
    """
    found, heard = read_config(configroot)
    names = (
        "PORTAGE_TMPDIR", "PKGDIR", "DISTDIR", "CHOST", "ACCEPT_CHOSTS", "ELIBC", "ARCH", "CC", "CFLAGS", "USE_EXPAND",
        "PORTAGE_LOGDIR",
    )  # fmt: skip
    read = [Path(found.global_config_path) / "make.globals"]
    nodes = [Path(node) for node in found.profiles if not node.startswith(str(configroot))]
    read += [node / name for node in nodes for name in ("make.defaults", "parent")]
    profile = found.profile_path
    return Loaded(
        values={name: found.get(name, "") for name in names},
        read=tuple(read),
        profile=Path(profile).resolve() if profile and found.profiles else None,
        complaints=heard,
    )


def repositories(configroot: Path) -> dict[str, Path]:
    """The repositories of a configroot, the main one first.

    Raises:
        BadFile: Portage cannot read its repos.conf.
    """
    import portage
    from portage.exception import PortageException
    from portage.repository.config import load_repository_config

    heard = io.StringIO()
    prefix = portage.const.EPREFIX
    told = {
        "PORTAGE_CONFIGROOT": f"{configroot}/",
        "EPREFIX": prefix,
        "EROOT": f"{prefix}/",
        "ROOT": "/",
        "PORTDIR": "",
        "PORTDIR_OVERLAY": "",
    }
    try:
        with contextlib.redirect_stderr(heard):
            found = load_repository_config(_Told(told))
    except (PortageException, OSError, ValueError) as error:
        raise bad(configroot, f"{heard.getvalue()}{error}") from error
    main = found.mainRepo()
    every = {one.name: Path(one.location) for one in found if one.name}
    first = {main.name: every[main.name]} if main is not None and main.name in every else {}
    return first | every


class _Told(dict[str, str]):
    """A mapping with the attributes that Portage's repository loader asks of a config."""

    _tolerant = True
    local_config = True

    @property
    def global_config_path(self) -> str:
        """Where repos.conf of the distribution lies. Source: LocationsManager.set_root_override."""
        from portage.const import GLOBAL_CONFIG_PATH

        return str(Path(self["EPREFIX"] or "/") / str(GLOBAL_CONFIG_PATH).lstrip("/"))


def make_profiles(repository: Path) -> Iterator[tuple[str, str, str]]:
    """Arch, path and stability of each make_profile on offer in a repository.

    Source: profiles/profiles.desc (PMS, "The profiles.desc file").
    """
    try:
        text = (repository / "profiles/profiles.desc").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        match line.partition("#")[0].split():
            case [arch, path, status, *_]:
                yield arch, path, status


def python() -> str:
    """The interpreter, for programs of Portage that are started beside us."""
    return sys.executable


def global_config() -> Path:
    """The directory of make.globals and the default sets of this Portage.

    A wheel keeps them beside the interpreter, whatever EPREFIX says.
    """
    from portage.const import GLOBAL_CONFIG_PATH

    told = Path(GLOBAL_CONFIG_PATH)
    beside = Path(sys.prefix) / "share/portage/config"
    return beside if beside.is_dir() else told


def means(atom: str, cpv: str, slot: str, repository: str, build_id: int = 0) -> bool:
    """Whether an atom means a package; an atom that is none means nothing.

    Args:
        build_id: of a binary package; 0 where it has none.
    """
    from portage.dep import Atom, match_from_list
    from portage.exception import InvalidAtom
    from portage.versions import _pkg_str

    try:
        asked = Atom(atom, allow_wildcard=True, allow_repo=True, allow_build_id=True)
    except InvalidAtom:
        return False
    return bool(match_from_list(asked, [_pkg_str(cpv, slot=slot, repo=repository, build_id=build_id or None)]))


def package_of(cpv: str) -> str:
    """``cat/pkg`` of ``cat/pkg-1.0-r1``; the text itself where it has no version."""
    from portage.versions import cpv_getkey

    return str(cpv_getkey(cpv) or cpv)


def atom_key(text: str) -> str:
    """``cat/pkg`` that an atom is about, ``*/*`` and the like as they are; empty where it is none."""
    from portage.dep import Atom
    from portage.exception import InvalidAtom

    try:
        return str(Atom(text, allow_wildcard=True, allow_repo=True, allow_build_id=True).cp)
    except InvalidAtom:
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConfig:
    """A configroot, read by Portage."""

    cflags: str
    chost: str
    keywords: str
    """ACCEPT_KEYWORDS, the make_profile's included."""
    pkgdir: str
    features: frozenset[str]
    options: frozenset[str]
    """Of EMERGE_DEFAULT_OPTS, by their long names."""
    make_profile: Path | None
    """The directory that make.profile means; None where there is none."""
    binhosts: tuple[tuple[str, str], ...]
    """Name and URL."""


def read_host_config(configroot: Path) -> HostConfig:
    """Let Portage read a configroot, with nothing of the environment.

    Raises:
        BadFile: Portage cannot read it.
    """
    found, _ = read_config(configroot)
    return HostConfig(
        cflags=found.get("CFLAGS", ""),
        chost=found.get("CHOST", ""),
        keywords=found.get("ACCEPT_KEYWORDS", ""),
        pkgdir=found.get("PKGDIR", ""),
        features=frozenset(found.features),
        options=_options(found.get("EMERGE_DEFAULT_OPTS", "")),
        make_profile=Path(found.profile_path).resolve() if found.profile_path and found.profiles else None,
        binhosts=tuple(sorted(binhosts.known(configroot / "etc/portage").urls.items())),
    )


def _options(words: str) -> frozenset[str]:
    from _emerge.main import parse_opts

    try:
        return frozenset(parse_opts(shlex.split(words), silent=True)[1])
    except (SystemExit, ValueError):
        return frozenset()  # emerge itself will say what is wrong with them


class Arrangement(NamedTuple):
    """What of the layout a make_profile decides."""

    merged: bool
    """Whether /bin, /sbin and /lib* are links into /usr."""
    libraries: tuple[str, ...]
    """Folders of libraries by their names in /usr, ``lib`` first."""


def arrangement(configroot: Path) -> Arrangement:
    """Ask Portage what a composed configroot says.

    Source: USE=split-usr, which the make_profiles below ``split-usr`` force; LIBDIR_* of multilib.eclass.
    """
    import portage

    with contextlib.redirect_stderr(io.StringIO()):
        found = portage.config(config_root=str(configroot), target_root="/", env={})
    abis = (found.get("MULTILIB_ABIS") or found.get("DEFAULT_ABI") or "").split()
    named = sorted(found.get(f"LIBDIR_{abi}", "") or "lib" for abi in abis)
    return Arrangement(
        merged="split-usr" not in found.get("USE", "").split(), libraries=tuple(dict.fromkeys(("lib", *named)))
    )


class Synced(NamedTuple):
    """A repository as repos.conf has it."""

    name: str
    location: Path
    kind: str
    """rsync, git and so on; empty where it is never synced."""
    uri: str
    auto: bool
    """Whether ``emerge --sync`` without names syncs it."""


def synced_repositories(configroot: Path) -> list[Synced]:
    """All repositories of a configroot that have a name, by name."""
    import portage

    found = portage.config(config_root=str(configroot), target_root="/", env={}).repositories
    return sorted(
        Synced(one.name, Path(one.location), one.sync_type or "", one.sync_uri or "", one.auto_sync in {"yes", "true"})
        for one in found
        if one.name
    )
