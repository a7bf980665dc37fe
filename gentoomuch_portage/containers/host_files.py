# SPDX-License-Identifier: GPL-2.0-or-later
"""The directories and files of the host that a container sees: a list of what builds need.

Source: a search of the ebuilds and eclasses of ::gentoo for paths outside of /usr, and traces of the files that
packages open while they are built. docs/isolation.md has the list with its reasons.
"""

import stat
from collections.abc import Iterator
from pathlib import Path

from gentoomuch_portage.config import portage_names
from gentoomuch_portage.config.settings import REJECTED
from gentoomuch_portage.containers import owned_files
from gentoomuch_portage.containers.composed import KEYS, accounts, picks
from gentoomuch_portage.containers.host_paths import Places
from gentoomuch_portage.containers.overlay import is_below, is_open, mount_copy_on_write, upper_path
from gentoomuch_portage.containers.spec import Bind, Composed, Mount, Pick


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_ETC = _words(
    """
    login.defs default/useradd skel shells pam.d security/limits.conf security/limits.d security/pam_env.conf
    nsswitch.conf host.conf gai.conf hosts protocols services networks netconfig ethertypes rpc
    ld.so.conf ld.so.conf.d ld.so.cache env.d environment.d profile profile.d profile.env csh.env
    bash bash.bashrc inputrc DIR_COLORS terminfo
    localtime timezone locale.gen locale.conf locale.alias
    ssl/openssl.cnf ssl/openssl.cnf.d ssl/certs ssl/cert.pem ssl/misc ca-certificates ca-certificates.conf pki gnutls
    crypto-policies os-release gentoo-release lsb-release debian_version
    java-config-2 clang llvm OpenCL vulkan eselect python-exec fonts gtk-2.0 gtk-3.0 pango asciidoc perl alternatives
    emacs ghc xml sgml texmf kernel/config.d
    sandbox.conf sandbox.d revdep-rebuild dispatch-conf.conf etc-update.conf binutils-config
    magic mime.types xattr.conf mke2fs.conf ccache.conf distcc/hosts
    """
)
_ETC_FETCHING = _words(
    "resolv.conf wgetrc gitconfig subversion ssh/ssh_config ssh/ssh_config.d ssh/ssh_known_hosts pip.conf"
)
_PORTAGE_STATE = ("world", "world_sets", "config", "preserved_libs_registry")
"""Portage requires these, with any mode. Source: portage.const, files below PRIVATE_PATH."""
_VAR_COPIED = ("lib/texmf", "cache/fonts", "cache/fontconfig")
"""Copied separately, as they are large and seldom change."""
_METADATA = "cache/edb/dep"
"""Portage's cache of ebuilds whose repository has no cache: too large to copy."""
_VAR_LINKS = ("run", "lock", "mail")
_SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
_NOT_OF_PREFIX = frozenset({"etc", "var", "opt", "tmp", "run", "home", "root", "dev", "proc", "sys"})
_CACHED = ("isa", "requirements", "audit", "binhosts/{profile}", REJECTED)
"""Parts of our own cache that containers use, below ``settings.cache``."""
_CONFIGURATION = ("layers", "patches", "profiles", "keys", "gentoomuch.toml")
_RECORDS = frozenset({"roots", "history", "history.jsonl"})
"""Parts of a profile's state that no build reads."""


class View:
    """The directories of a host as one container sees them.

    Args:
        apart: paths that no overlay may contain.
    """

    def __init__(self, places: Places, uppers: Path, apart: frozenset[Path], *, fetching: bool) -> None:
        self._places = places
        self._uppers = uppers
        self._apart = apart
        self._fetching = fetching
        self._cache = places.settings.cache / "containers"
        self._edit = "" if fetching else "logins"

    def mounts(self) -> Iterator[Mount]:
        """Yield all mounts of the host's system; of two with one target the later counts."""
        tops = tuple(dict.fromkeys((Path("/"), self._places.eprefix)))
        for top in tops:
            yield from self._of_prefix(top)
        for path in self._places.show:
            if not any(is_below(path, top / "etc") for top in tops):
                yield from self._shown(path)
        yield from self._own()

    def _of_prefix(self, top: Path) -> Iterator[Mount]:
        owners = str(top / "var/db/pkg")
        owned = owned_files.load(top, self._cache)
        for name in _SYSTEM if top == Path("/") else _prefix_entries(top):
            yield from self._live(top / name, owners)
        if (top / "usr/local").is_dir():
            yield self._composed(top / "usr/local")
        yield self._composed(top / "etc", *self._etc(top, owned))
        yield self._composed(top / "opt")
        for name in owned.opt:
            yield from self._live(top / "opt" / name)
        yield from self._var(top, owners)

    def _etc(self, top: Path, owned: owned_files.Owned) -> Iterator[Pick]:
        for path in self._places.show:  # first: generated files replace them
            if is_below(path, top / "etc"):
                yield from _pick_shown(path, top / "etc")
        yield from accounts()
        yield from picks(_ETC)
        if self._fetching:
            yield from picks(_ETC_FETCHING)
        yield from self._of_portage(top, "etc/")
        listed = {*_ETC, *_ETC_FETCHING, "portage", *(pick.name for pick in accounts())}
        for name, md5 in owned.etc:
            if listed.isdisjoint(_itself_and_above(name)) and md5:
                yield Pick(name, md5=md5)

    def _var(self, top: Path, owners: str) -> Iterator[Mount]:
        var = top / "var"
        links = (Pick(name) for name in _VAR_LINKS if (var / name).is_symlink())
        state = picks((f"lib/portage/{name}" for name in _PORTAGE_STATE), "portage")
        others = (Pick(name) for name in (*_entries(var, "lib/portage", _PORTAGE_STATE), "lib/gentoo"))
        metadata = (Pick(name) for name in _entries(var, "cache/edb", ("dep",)))
        yield self._composed(var, *links, *state, *others, *metadata)
        for name in _VAR_COPIED:
            if (var / name).is_dir():
                yield self._composed(var / name, Pick("."))
        if (var / _METADATA).is_dir():
            yield from self._live(var / _METADATA)
        if (var / "db/pkg").is_dir():
            yield from self._live(var / "db/pkg", owners)

    def _own(self) -> Iterator[Mount]:
        """Yield our own directories: configuration, state of this profile, its configroots, and caches."""
        settings, profile = self._places.settings, self._places.profile
        configuration = picks(_CONFIGURATION, "portage", self._edit)
        yield Composed(str(settings.config.resolve()), str(settings.config), "", tuple(configuration))
        state = settings.state / profile
        yield self._composed(state, *picks(_entries(state, "", _RECORDS), "portage"))
        if (settings.state / "trust").is_dir():
            yield self._composed(settings.state / "trust", Pick(".", "named"))
        yield self._composed(settings.cache, Pick("plugins.json"))
        for name in _CACHED:
            folder = settings.cache / name.format(profile=profile)
            if folder.is_dir():
                yield from mount_copy_on_write(folder, self._uppers, self._apart)
        for folder in self._places.configroots:
            yield Composed(str(folder), str(folder), "", tuple(self._of_portage(folder)))

    def _of_portage(self, root: Path, above: str = "") -> Iterator[Pick]:
        """Yield the entries of etc/portage: all that Portage reads; of the rest what other users may read.

        Args:
            above: removed from the beginning of names.
        """
        for name in _entries(root, "etc/portage", ()):
            plain = name.removeprefix("etc/portage/")
            if portage_names.known(plain):
                yield Pick(name.removeprefix(above), "portage", self._edit)
            elif not plain.endswith(KEYS):
                yield Pick(name.removeprefix(above), edit=self._edit)

    def _composed(self, folder: Path, *picked: Pick) -> Composed:
        return Composed(str(folder), str(folder), upper_path(self._uppers, folder), picked)

    def _live(self, folder: Path, owners: str = "") -> Iterator[Mount]:
        """Yield a directory copy on write, without private files, and with other file systems mounted in it."""
        yield from mount_copy_on_write(folder, self._uppers, self._apart, search=True, owners=owners)
        for point in self._apart:
            if point != folder and is_below(point, folder) and self._is_shown(point, folder):
                inner = self._apart - {point}
                yield from mount_copy_on_write(point, self._uppers, inner, search=True, owners=owners)

    def _shown(self, path: Path) -> Iterator[Mount]:
        """Yield a path of ``show``: a directory without private files, or a file with any mode."""
        if path.is_file():
            yield Bind(str(path.resolve()), str(path), optional=True)
        elif path.is_symlink():
            yield from mount_copy_on_write(path.resolve(), self._uppers, self._apart, path, search=True)
        else:
            yield from self._live(path)

    def _is_shown(self, point: Path, folder: Path) -> bool:
        """Return whether the container sees a mount point in a directory, and not another container."""
        local = folder / "local"
        return point not in {self._cache, self._uppers} and not is_below(point, local) and is_open(point, folder)


def _prefix_entries(top: Path) -> list[str]:
    """Return EPREFIX's own directories, except for those that are composed."""
    return sorted(
        path.name for path in top.iterdir() if path.name not in _NOT_OF_PREFIX and (path.is_dir() or path.is_symlink())
    )


def _entries(folder: Path, below: str, without: frozenset[str] | tuple[str, ...]) -> list[str]:
    """Return the entries of ``folder/below``, relative to ``folder``."""
    try:
        paths = sorted((folder / below).iterdir())
    except OSError:
        return []
    return [str(path.relative_to(folder)) for path in paths if path.name not in without]


def _pick_shown(path: Path, etc: Path) -> Iterator[Pick]:
    """Yield a path of ``show`` in /etc: a directory with what other users may read, or a file with any mode."""
    try:
        status = path.lstat()
    except OSError:
        return
    name = str(path.relative_to(etc))
    yield Pick(name, "public" if stat.S_ISDIR(status.st_mode) else "named")


def _itself_and_above(name: str) -> set[str]:
    parts = name.split("/")
    return {"/".join(parts[:count]) for count in range(1, len(parts) + 1)}
