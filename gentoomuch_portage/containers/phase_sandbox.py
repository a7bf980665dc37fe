"""Stands in for sys-apps/sandbox in a box: ``python -m gentoomuch_portage.containers.phase_sandbox COMMAND``.

Portage starts the phases that build through it. All that a phase may write is its own build directory and what is
for everybody; the rest of the box is read-only for it, kept so by the kernel.
"""

import errno
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from gentoomuch_portage.containers import linux
from gentoomuch_portage.containers.overlay import mounted

_FOR_ALL = ("/tmp", "/var/tmp", "/dev", "/dev/shm", "/dev/pts")


def main(command: str, environ: Mapping[str, str]) -> NoReturn:
    """Run a command of bash so; end as it ends."""
    _leave()
    linux.mount("", "/", "", linux.REC | linux.PRIVATE)
    writable = [path for path in (*_FOR_ALL, *_own(environ)) if Path(path).is_dir()]
    for path in writable:
        linux.mount(path, path, "", linux.BIND | linux.REC)
    for point in mounted():
        if str(point) not in writable:  # whatever is mounted below one of them was not meant
            _close(str(point))
    os.chdir(os.getcwd())  # or it would still be where it was before  # noqa: PTH109
    linux.drop_capabilities([name for name in linux.KEPT if name not in {"SYS_ADMIN", "NET_ADMIN"}])
    os.execve("/bin/bash", ["bash", "-c", command], dict(environ))


def _close(point: str) -> None:
    try:
        linux.restrict(point, linux.RDONLY, below=False)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOENT}:  # a later mount hides it, as the /proc of a pid-sandbox
            raise


def _own(environ: Mapping[str, str]) -> Iterator[str]:
    """The phase's build directory; where it is packed, no ebuild's code runs, and the package has its place as well."""
    if folder := environ.get("PORTAGE_BUILDDIR"):
        yield folder
    if environ.get("EBUILD_PHASE") == "package" and (package := environ.get("PORTAGE_BINPKG_TMPFILE")):
        yield str(Path(package).parent)


def _leave() -> None:
    """Leave for a mount namespace of our own; one who has dropped root's rights needs a user namespace for that."""
    try:
        linux.unshare(linux.NEWNS)
    except PermissionError:
        user, group = os.geteuid(), os.getegid()
        linux.unshare(linux.NEWUSER | linux.NEWNS)
        Path("/proc/self/setgroups").write_text("deny", encoding="utf-8")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="utf-8")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], os.environ)
