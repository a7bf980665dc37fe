# SPDX-License-Identifier: GPL-2.0-or-later
"""Confine the phases of ebuilds in a container: they reach less than emerge, which hands packages and logs out.

Each phase runs in a mount namespace in which PKGDIR, DISTDIR, PORTAGE_LOGDIR and our own state are read-only and the
pipe to the host is hidden. A user namespace below emerge's makes this permanent: root in it may not change these
mounts, or reach emerge's mounts through /proc or ptrace. Without sys-apps/sandbox, phases that build can write only to
their build directory and to shared directories such as /tmp.

The functions run between fork and exec, in the process that becomes the phase.
"""

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage.containers import linux
from gentoomuch_portage.containers.overlay import mount_points

CLOSED = "GM_CLOSED"
"""The variable with the directories that no phase may write, one a line."""
_FOR_ALL = ("/tmp", "/var/tmp", "/dev", "/dev/shm", "/dev/pts")
_NO_CODE = frozenset({"clean", "cleanrm"})
"""Phases that source no ebuild, and remove build directories. Source: ebuild.sh of Portage."""
_KEPT = tuple(name for name in linux.KEPT_CAPABILITIES if name not in {"SYS_ADMIN", "NET_ADMIN"})


class Limits(NamedTuple):
    """Paths that no phase can write, or read."""

    closed: tuple[str, ...]
    """Directories that phases can read."""
    hidden: tuple[str, ...]
    """Files that appear empty, and discard what is written."""


def confine(limits: Limits, environ: Mapping[str, str], *, builds: bool) -> None:
    """Confine this process and all that it starts.

    Args:
        environ: the phase's environment.
        builds: whether it can write only to its build directory and to shared directories.

    Raises:
        OSError: the kernel refuses it; the phase must not run then.
    """
    if environ.get("EBUILD_PHASE") in _NO_CODE:
        return
    helper = _Helper()  # before /proc becomes read-only
    linux.unshare(linux.NEWNS)
    linux.mount("", "/", "", linux.REC | linux.PRIVATE)
    shared = _existing(_FOR_ALL if builds else ())
    own = _existing(_own(environ))
    closed = [path for path in _existing((*limits.closed, *_of_others(environ))) if path not in own]
    for path in (*shared, *closed, *own):  # in this order: closed paths are below shared ones, and own ones below those
        linux.mount(path, path, "", linux.BIND | linux.REC)
    for path in _existing(limits.hidden):
        linux.mount("/dev/null", path, "", linux.BIND)
    for point in map(str, mount_points()):
        if point not in (*shared, *own) and (builds or any(Path(point).is_relative_to(path) for path in closed)):
            _close(point)
    os.chdir(os.getcwd())  # enters the new mounts  # noqa: PTH109
    linux.unshare(linux.NEWUSER | linux.NEWNS)
    helper.write_maps()
    linux.drop_capabilities(_KEPT)


def _existing(paths: Iterable[str]) -> list[str]:
    return [os.path.realpath(path) for path in paths if Path(path).exists()]


def _own(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the paths that this phase has to write, even if they are closed for others."""
    if folder := environ.get("PORTAGE_BUILDDIR"):
        yield folder
    phase = environ.get("EBUILD_PHASE")
    if phase == "package" and (package := environ.get("PORTAGE_BINPKG_TMPFILE")):
        yield package
    if phase == "unpack" and "live" in environ.get("PORTAGE_PROPERTIES", "").split():
        yield from filter(None, [environ.get("PORTAGE_ACTUAL_DISTDIR")])


def _of_others(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the directory of all build directories. Source: doebuild_environment of Portage."""
    if folder := environ.get("PORTAGE_BUILDDIR"):
        yield str(Path(folder).parents[1])


def _close(point: str) -> None:
    try:
        linux.restrict(point, linux.RDONLY, below=False)
    except OSError as error:
        # A later mount may hide it, such as /proc of a pid-sandbox.
        if error.errno not in {errno.EINVAL, errno.ENOENT}:
            raise


class _Helper:
    """A process that stays in the user namespace, and writes the maps of the one that this process creates."""

    def __init__(self) -> None:
        users, groups = linux.every_id()
        phase = os.getpid()
        start, self._go = os.pipe()
        self._number = os.fork()
        if not self._number:
            status = 1
            try:
                os.close(self._go)
                if os.read(start, 1):
                    linux.write_maps(phase, users, groups)
                    status = 0
            finally:
                os._exit(status)
        os.close(start)

    def write_maps(self) -> None:
        """Map each user and group to itself.

        Raises:
            OSError: the kernel refuses it.
        """
        os.write(self._go, b"x")
        os.close(self._go)
        if os.waitpid(self._number, 0)[1]:
            raise OSError(errno.EPERM, "cannot write the maps of a user namespace")
