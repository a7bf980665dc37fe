# SPDX-License-Identifier: GPL-2.0-or-later
"""The ebuild repository of the demo host, and the sources of its packages."""

import gzip
import hashlib
import io
import shutil
import tarfile
from collections.abc import Iterable
from importlib.resources import as_file, files
from pathlib import Path

from gentoomuch_portage.demo_host.host import ARCHES, Host, find_arch, write


def digest() -> str:
    """Return the digest of all files that a host is created from, including the code of this package."""
    total = hashlib.sha256()
    with as_file(files("gentoomuch_portage.demo_host")) as shipped:
        for path in sorted(shipped.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                total.update(f"{path.relative_to(shipped)}\0".encode() + path.read_bytes())
    return total.hexdigest()[:24]


def write_repository(host: Host) -> None:
    """Copy the repository to a host, archive its sources, and write files that depend on the machine.

    Packages that were added to the repository are kept.
    """
    with as_file(files("gentoomuch_portage.demo_host")) as shipped:
        shutil.copytree(shipped / "repository", host.repository, dirs_exist_ok=True)
        # emerge --search needs it, and neither git nor a wheel contains an empty directory.
        (host.repository / "eclass").mkdir(exist_ok=True)
        for sources in sorted((shipped / "sources").iterdir()):
            archive = host.distdir / f"{sources.name}.tar.gz"
            pack(sources, archive)
            for package in host.repository.glob(f"*/{sources.name.rpartition('-')[0]}"):
                manifest(package, [archive])
    _make_profile(host.repository / "profiles")


def pack(sources: Path, archive: Path) -> None:
    """Archive a directory as .tar.gz; equal content gives equal bytes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(sources.rglob("*")):
            entry = tar.gettarinfo(path, f"{sources.name}/{path.relative_to(sources)}")
            entry.uid = entry.gid = entry.mtime = 0
            entry.uname = entry.gname = ""
            # independent of the umask of the clone or installation
            entry.mode = 0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644
            if path.is_file():
                with path.open("rb") as content:
                    tar.addfile(entry, content)
            else:
                tar.addfile(entry)
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.write_bytes(gzip.compress(packed.getvalue(), mtime=0))


def manifest(package: Path, archives: Iterable[Path]) -> None:
    """Write the thin Manifest of a package. Source: GLEP 74."""
    lines = []
    for archive in sorted(archives):
        content = archive.read_bytes()
        blake, sha = hashlib.blake2b(content).hexdigest(), hashlib.sha512(content).hexdigest()
        lines.append(f"DIST {archive.name} {len(content)} BLAKE2B {blake} SHA512 {sha}\n")
    write(package / "Manifest", "".join(lines))


def _make_profile(profiles: Path) -> None:
    """Write the only Gentoo profile of the repository, for this machine's architecture."""
    name, chost, libdir = find_arch()
    write(profiles / "arch.list", "".join(f"{known}\n" for known, _, _ in sorted(ARCHES.values())))
    write(profiles / "profiles.desc", f"{name} machine stable\n")
    write(
        profiles / "machine/make.defaults",
        f'ARCH="{name}"\nACCEPT_KEYWORDS="{name}"\nCHOST="{chost}"\nKERNEL="linux"\nELIBC="glibc"\n'
        f'LIBDIR_{name}="{libdir}"\nDEFAULT_ABI="{name}"\nABI="{name}"\n'
        'USE_EXPAND="CPU_FLAGS_X86 CPU_FLAGS_ARM CPU_FLAGS_PPC VIDEO_CARDS"\n'
        'IUSE_IMPLICIT="prefix prefix-guest"\nUSE_EXPAND_IMPLICIT="ARCH ELIBC KERNEL"\n'
        f'USE_EXPAND_VALUES_ARCH="{name}"\nUSE_EXPAND_VALUES_ELIBC="glibc"\nUSE_EXPAND_VALUES_KERNEL="linux"\n',
    )
    write(profiles / "machine/packages", "")
