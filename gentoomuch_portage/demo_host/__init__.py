# SPDX-License-Identifier: GPL-2.0-or-later
"""A Gentoo host in a directory: real Portage in a prefix, for experiments, for the demo and for tests.

It needs neither root nor Gentoo, and writes nothing outside of the directory.
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
from gentoomuch_portage.demo_host.errors import folder_taken, host_moved, nameless_user, unfit_path
from gentoomuch_portage.demo_host.host import ARCHES, Host, find_arch, write
from gentoomuch_portage.demo_host.repository import manifest, pack
from gentoomuch_portage.errors import NoPrivilege
from gentoomuch_portage.portage_adapter import paths, private_api

__all__ = ["ARCHES", "Host", "make", "manifest", "pack"]

_LINKS = {"bin": "usr/bin", "sbin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "usr/sbin": "bin"}
"""Merged /usr, as the 23.0 profiles require."""
_FOLDERS = (
    "usr/bin", "usr/lib", "usr/lib64", "tmp", "etc/portage/repos.conf", "var/tmp", "var/log", "var/lib/portage",
    "var/db/pkg", "var/cache/edb", "var/cache/distfiles", "var/cache/binpkgs",
)  # fmt: skip
_FEATURES = (
    "-sandbox -usersandbox -userpriv -userfetch -usersync -ipc-sandbox -network-sandbox -pid-sandbox "
    "-mount-sandbox -merge-sync -news -qa-unresolved-soname-deps"
)
"""Features that need root, or a program that only Gentoo packages."""
_UNFIT = re.compile(r"""[^\w /.,+=@~-]""")
"""Characters that have a meaning in PATH, make.conf or a Makefile. Spaces are accepted."""


def make(folder: Path) -> Host:
    """Create a host, or update an existing one.

    A host whose creation was killed is finished. A host of another version gets the files of this one; its profiles,
    layers, packages and other files are kept.

    Raises:
        MissingProgram: a compiler, make, bash, GNU tar, patch, bzip2 or find is missing.
        NoPrivilege: the directory cannot be written.
        MachineError[unknown-arch], MachineError[nameless-user]: this machine or this user is not supported.
        RunError[unfit-path], RunError[folder-taken], RunError[host-moved]: the directory cannot be used.
    """
    host = Host(folder.resolve())
    stamp = _stamp(host)
    if _read(host.made) == stamp:
        return host
    _check(host)
    demo_host_host.check()
    fs.ensure(host.folder)
    with fs.locked(host.made), fs.disk_errors(host.folder):
        if _read(host.made) != stamp:
            host.made.write_text("", encoding="utf-8")
            _write(host)
            host.made.write_text(stamp, encoding="utf-8")
    return host


def _stamp(host: Host) -> str:
    """Return the content of ``made``: the directory, then the versions that the host was created from."""
    links = "".join(sorted(os.fspath(program) for _, program in demo_host_host.find_programs()))
    return f"{host.folder}\ngentoomuch {__version__} {repository.digest()}, Portage {private_api.version()}, {links}\n"


def _read(made: Path) -> str:
    try:
        return made.read_text(encoding="utf-8")
    except OSError:
        return ""


def _check(host: Host) -> None:
    """Raise an error if the host cannot or should not be created."""
    find_arch()
    _names()
    folder = host.folder
    if match := _UNFIT.search(str(folder)):
        raise unfit_path(folder, match[0])
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise NoPrivilege(f"cannot write to {existing}", hint="use a directory of your own")
    if not folder.is_dir():
        return
    if any(folder.iterdir()) and not host.made.is_file():
        raise folder_taken(folder)
    before = _read(host.made).partition("\n")[0]
    if before and before != str(folder):
        raise host_moved(folder, before)


def _write(host: Host) -> None:
    for name in _FOLDERS:
        (host.eprefix / name).mkdir(parents=True, exist_ok=True)
    for link, target in _LINKS.items():
        _link(host.eprefix / link, target)
    demo_host_host.write_programs(host)
    _global_config(host)
    repository.write_repository(host)
    _configuration(host)
    write(host.folder / "env.sh", host.enter())


def _link(link: Path, target: str) -> None:
    if not link.is_symlink():
        link.symlink_to(target)


def _global_config(host: Host) -> None:
    """Copy Portage's make.globals and sets, without their repositories.

    Portage installed from a wheel reads them from EPREFIX/share/portage/config.
    """
    target = host.eprefix / "share/portage/config"
    shutil.copytree(paths.global_config(), target, dirs_exist_ok=True)
    for name in ("repos.conf", "binrepos.conf"):
        write(target / name, "")


def _configuration(host: Host) -> None:
    """Write the host's etc/portage; a file that was changed is renamed to NAME~."""
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
    """Return the names of the current user and group.

    Raises:
        MachineError[nameless-user]: one of them has no name.
    """
    try:
        return pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
    except KeyError as error:
        raise nameless_user(os.geteuid(), os.getegid()) from error
