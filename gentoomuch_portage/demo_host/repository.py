"""What ships with the project for its embedded host: an ebuild repository, and the sources of its packages."""

import gzip
import hashlib
import io
import shutil
import tarfile
from collections.abc import Iterable
from importlib.resources import as_file, files
from pathlib import Path

from gentoomuch_portage.demo_host.host import ARCHES, Host, arch, write


def digest() -> str:
    """The digest of all that a host is made from, this package's code included."""
    total = hashlib.sha256()
    with as_file(files("gentoomuch_portage.demo_host")) as shipped:
        for path in sorted(shipped.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                total.update(f"{path.relative_to(shipped)}\0".encode() + path.read_bytes())
    return total.hexdigest()[:24]


def lay(host: Host) -> None:
    """Put the repository into a host, pack its sources, and write what depends on the machine.

    Packages that somebody has added to the repository stay.
    """
    with as_file(files("gentoomuch_portage.demo_host")) as shipped:
        shutil.copytree(shipped / "repository", host.repository, dirs_exist_ok=True)
        # emerge --search finds nothing in a repository without one, and neither git nor a wheel keeps an empty folder.
        (host.repository / "eclass").mkdir(exist_ok=True)
        for sources in sorted((shipped / "sources").iterdir()):
            archive = host.distdir / f"{sources.name}.tar.gz"
            pack(sources, archive)
            for package in host.repository.glob(f"*/{sources.name.rpartition('-')[0]}"):
                manifest(package, [archive])
    _make_profile(host.repository / "profiles")


def pack(sources: Path, archive: Path) -> None:
    """Pack a folder into a .tar.gz, the same bytes for the same content."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(sources.rglob("*")):
            entry = tar.gettarinfo(path, f"{sources.name}/{path.relative_to(sources)}")
            entry.uid = entry.gid = entry.mtime = 0
            entry.uname = entry.gname = ""
            # What the umask of whoever cloned or installed us made of it has no say.
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
    """The one make_profile of the repository, for this machine's architecture."""
    name, chost, libdir = arch()
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
