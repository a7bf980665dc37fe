"""The folders, links and files without which nothing can be merged into an empty root.

Source: Gentoo's sys-apps/baselayout, ``layout`` and ``layout-usrmerge`` of its Makefile, share.Linux/passwd and group.
"""

from collections.abc import Iterator
from pathlib import Path

from gentoomuch_portage import files
from gentoomuch_portage.containers.laid import within
from gentoomuch_portage.portage_adapter.arrangement import Arrangement

_FOLDERS = (
    ("boot", 0o755), ("dev", 0o755), ("etc", 0o755), ("home", 0o755), ("mnt", 0o755), ("opt", 0o755),
    ("proc", 0o555), ("root", 0o700), ("run", 0o755), ("sys", 0o555), ("tmp", 0o1777), ("usr", 0o755),
    ("usr/bin", 0o755), ("var", 0o755), ("var/cache", 0o755), ("var/db/pkg", 0o755), ("var/lib/portage", 0o755),
    ("var/log", 0o755), ("var/spool", 0o755), ("var/tmp", 0o1777),
)  # fmt: skip
_MERGED = (("bin", "usr/bin"), ("sbin", "usr/bin"), ("usr/sbin", "bin"))
_LINKS = (("var/run", "../run"), ("var/lock", "../run/lock"))
_PASSWD = """root:x:0:0:root:/root:/bin/bash
bin:x:1:1:bin:/bin:/bin/false
daemon:x:2:2:daemon:/sbin:/bin/false
portage:x:250:250:portage:/var/tmp/portage:/bin/false
nobody:x:65534:65534:nobody:/var/empty:/bin/false
"""
_GROUP = """root:x:0:root
bin:x:1:root,bin,daemon
daemon:x:2:root,bin,daemon
sys:x:3:root,bin
adm:x:4:root,daemon
tty:x:5:
disk:x:6:root
lp:x:7:
kmem:x:9:
wheel:x:10:root
mail:x:12:
console:x:17:
audio:x:18:
cdrom:x:19:
video:x:27:
users:x:100:
portage:x:250:portage
nogroup:x:65533:
nobody:x:65534:
"""
FILES = (("etc/passwd", _PASSWD), ("etc/group", _GROUP))


def lay(top: Path, arrangement: Arrangement) -> None:
    """Make what is missing in a root; what is there stays, and a link in it leads nowhere but into the root.

    Args:
        top: the root, with the prefix where there is one.

    Raises:
        OSError: something else stands in its way.
    """
    with files.for_all():
        top.mkdir(parents=True, exist_ok=True)
        _lay(top, arrangement)


def _lay(top: Path, arrangement: Arrangement) -> None:
    for name, mode in _FOLDERS:
        folder = within(top, name)
        if not folder.exists():
            folder.mkdir(parents=True)
            folder.chmod(mode)  # whatever the umask is
    for name, target in (*links(arrangement), *_LINKS):
        link = within(top, str(Path(name).parent)) / Path(name).name
        if target.startswith("usr/"):
            within(top, target).mkdir(parents=True, exist_ok=True)
        if not link.exists() and not link.is_symlink():
            link.symlink_to(target)
    for name in () if arrangement.merged else ("bin", "sbin", "usr/sbin", *arrangement.libraries):
        within(top, name).mkdir(parents=True, exist_ok=True)
    for name, text in FILES:
        file = within(top, name)
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")


def names(arrangement: Arrangement) -> Iterator[str]:
    """The folders and links of a root that belong to no package."""
    yield from (name for name, _ in (*_FOLDERS, *_LINKS))
    yield from (name for name, _ in links(arrangement))
    yield from () if arrangement.merged else ("bin", "sbin", "usr/sbin", *arrangement.libraries)


def links(arrangement: Arrangement) -> Iterator[tuple[str, str]]:
    """The links of a merged /usr, as the 23.0 make_profiles want it; none where it is split."""
    if arrangement.merged:
        yield from _MERGED
        for name in arrangement.libraries:
            yield name, f"usr/{name}"
