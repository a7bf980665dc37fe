"""A Gentoo host in a folder: real Portage under a prefix, for playing, for the demo and for tests.

No root and no Gentoo is needed; nothing outside of the folder is written.
"""

import grp
import os
import pwd
import re
import shutil
from pathlib import Path

from gentoomuch_portage import __version__, fs
from gentoomuch_portage.demo_host import host as demo_host_host
from gentoomuch_portage.demo_host import repository
from gentoomuch_portage.demo_host.errors import FolderTaken, HostMoved, NamelessUser, UnfitPath
from gentoomuch_portage.demo_host.host import ARCHES, Host, arch, write
from gentoomuch_portage.demo_host.repository import manifest, pack
from gentoomuch_portage.errors import NoPrivilege

__all__ = ["ARCHES", "Host", "make", "manifest", "pack"]

_LINKS = {"bin": "usr/bin", "sbin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "usr/sbin": "bin"}
"""Merged-usr, as the 23.0 profiles demand."""
_FOLDERS = (
    "usr/bin", "usr/lib", "usr/lib64", "tmp", "etc/portage/repos.conf", "var/tmp", "var/log", "var/lib/portage",
    "var/db/pkg", "var/cache/edb", "var/cache/distfiles", "var/cache/binpkgs",
)  # fmt: skip
_FEATURES = (
    "-sandbox -usersandbox -userpriv -userfetch -usersync -ipc-sandbox -network-sandbox -pid-sandbox "
    "-mount-sandbox -merge-sync -news -qa-unresolved-soname-deps"
)
"""What needs root, or a program that only Gentoo packages."""
_UNFIT = re.compile(r"""[^\w /.,+=@~-]""")
"""Signs that PATH, make.conf or a Makefile would take for something else. Spaces are fine."""


def make(folder: Path) -> Host:
    """Make a host, or find it made.

    A making that was killed is finished, and a host of another version brought up to date: what ships with us is
    laid anew; profiles, layers, packages and whatever else was added to it stay.

    Raises:
        MissingProgram: a compiler, make, bash, GNU tar, patch, bzip2 or find is missing.
        NoPrivilege: the folder cannot be written.
        UnknownArch, NamelessUser: this machine or this user cannot have one.
        UnfitPath, FolderTaken, HostMoved: that folder cannot be one.
    """
    host = Host(folder.resolve())
    stamp = _stamp(host)
    if _read(host.made) == stamp:
        return host
    _refuse(host)
    demo_host_host.check()
    host.folder.mkdir(parents=True, exist_ok=True)
    with fs.locked(host.made):
        if _read(host.made) != stamp:
            host.made.write_text("", encoding="utf-8")
            _lay(host)
            host.made.write_text(stamp, encoding="utf-8")
    return host


def _stamp(host: Host) -> str:
    """What stands in ``made``: the folder first, then what the host is made from."""
    from gentoomuch_portage.portage_adapter import private_api

    links = "".join(sorted(os.fspath(program) for _, program in demo_host_host.behind()))
    return f"{host.folder}\ngentoomuch {__version__} {repository.digest()}, Portage {private_api.version()}, {links}\n"


def _read(made: Path) -> str:
    try:
        return made.read_text(encoding="utf-8")
    except OSError:
        return ""


def _refuse(host: Host) -> None:
    """Raise where no host can or should be made."""
    arch()
    _names()
    folder = host.folder
    if unfit := _UNFIT.search(str(folder)):
        raise UnfitPath(folder, unfit[0])
    there = next(one for one in (folder, *folder.parents) if one.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise NoPrivilege(f"{there} is no folder that this user may write", remedy="name a folder of your own")
    if not folder.is_dir():
        return
    if any(folder.iterdir()) and not host.made.is_file():
        raise FolderTaken(folder)
    before = _read(host.made).partition("\n")[0]
    if before and before != str(folder):
        raise HostMoved(folder, before)


def _lay(host: Host) -> None:
    for name in _FOLDERS:
        (host.eprefix / name).mkdir(parents=True, exist_ok=True)
    for link, target in _LINKS.items():
        _link(host.eprefix / link, target)
    demo_host_host.lay(host)
    _global_config(host)
    repository.lay(host)
    _configuration(host)
    write(host.folder / "env.sh", host.enter())


def _link(link: Path, target: str) -> None:
    if not link.is_symlink():
        link.symlink_to(target)


def _global_config(host: Host) -> None:
    """Portage's make.globals and sets, without the repositories that they presume.

    A wheel looks for them in EPREFIX/share/portage/config.
    """
    from gentoomuch_portage.portage_adapter import config

    target = host.eprefix / "share/portage/config"
    shutil.copytree(config.global_config(), target, dirs_exist_ok=True)
    for name in ("repos.conf", "binrepos.conf"):
        write(target / name, "")


def _configuration(host: Host) -> None:
    """The host's etc/portage; a file that somebody has changed is kept beside the new one, as NAME~."""
    prefix, (user, group) = host.eprefix, _names()
    _renew(
        host.etc / "make.conf",
        f'CFLAGS="-O2 -pipe"\nCXXFLAGS="${{CFLAGS}}"\n'
        f'DISTDIR="{host.distdir}"\nPKGDIR="{host.pkgdir}"\nBINPKG_COMPRESS="{demo_host_host.compression()}"\n'
        f'PORTAGE_TMPDIR="{prefix}/var/tmp"\nPORTAGE_LOGDIR="{prefix}/var/log"\nFEATURES="{_FEATURES}"\nACCEPT_LICENSE="*"\n'
        f'CLEAN_DELAY=0\nEMERGE_WARNING_DELAY=0\nPORTAGE_USERNAME="{user}"\nPORTAGE_GRPNAME="{group}"\n',
    )
    _renew(
        host.etc / "repos.conf/gm-demo.conf",
        f"[DEFAULT]\nmain-repo = gm-demo\n\n[gm-demo]\nlocation = {host.repository}\nauto-sync = no\n",
    )
    _link(host.etc / "make.profile", str(host.repository / "profiles/machine"))


def _renew(path: Path, text: str) -> None:
    if path.is_file() and path.read_text(encoding="utf-8") != text:
        path.rename(path.with_name(f"{path.name}~"))  # Portage skips such names
    write(path, text)


def _names() -> tuple[str, str]:
    """The user and the group that we run as.

    Raises:
        NamelessUser: one of them has no name.
    """
    try:
        return pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
    except KeyError as error:
        raise NamelessUser(os.geteuid(), os.getegid()) from error
