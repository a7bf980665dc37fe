"""A Gentoo host in a folder: real Portage under a prefix, for playing, for the demo and for tests.

No root and no Gentoo is needed; nothing outside of the folder is written.
"""

import gzip
import hashlib
import io
import os
import platform
import shutil
import sys
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from gentoomuch_portage.errors import MissingProgram, RunError

ARCHES: Mapping[str, tuple[str, str, str]] = {
    "x86_64": ("amd64", "x86_64-pc-linux-gnu", "lib64"),
    "aarch64": ("arm64", "aarch64-unknown-linux-gnu", "lib64"),
    "ppc64le": ("ppc64", "powerpc64le-unknown-linux-gnu", "lib64"),
    "riscv64": ("riscv", "riscv64-unknown-linux-gnu", "lib64"),
}
"""uname's machine -> Gentoo's ARCH, CHOST and library directory."""

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


@dataclass(frozen=True, slots=True)
class Host:
    """A Gentoo host in a folder."""

    folder: Path

    @property
    def eprefix(self) -> Path:
        """The prefix; Portage's EPREFIX."""
        return self.folder / "gentoo"

    @property
    def etc(self) -> Path:
        """The host's etc/portage."""
        return self.eprefix / "etc/portage"

    @property
    def config(self) -> Path:
        """Where gentoomuch is configured on it."""
        return self.eprefix / "etc/gentoomuch"

    @property
    def repository(self) -> Path:
        """Its one ebuild repository."""
        return self.folder / "repository"

    @property
    def pkgdir(self) -> Path:
        """PKGDIR."""
        return self.eprefix / "var/cache/binpkgs"

    @property
    def vdb(self) -> Path:
        """What is installed."""
        return self.eprefix / "var/db/pkg"

    def env(self, **more: str) -> dict[str, str]:
        """All of the environment for a program that is to run on this host.

        HOME, TERM and LANG are handed on, GM_* and Portage's own variables are not.
        """
        kept = {
            name: os.environ[name]
            for name in ("HOME", "TERM", "LANG", "USER", "LOGNAME", "NO_COLOR")
            if name in os.environ
        }
        path = [
            str(self.folder / "bin"),
            str(Path(sys.executable).parent),
            "/usr/local/bin",
            "/usr/bin",
            "/bin",
            "/usr/sbin",
            "/sbin",
        ]
        return {
            **kept,
            "LANG": kept.get("LANG", "C.UTF-8") if "UTF-8" in kept.get("LANG", "") else "C.UTF-8",
            "PATH": ":".join(path),
            "PORTAGE_OVERRIDE_EPREFIX": str(self.eprefix),
            "PORTAGE_CONFIGROOT": str(self.eprefix),
            "PORTAGE_RUN_PATH": str(self.folder / "run"),
            **more,
        }

    def write(self, name: str, text: str) -> Path:
        """Write a file below etc/portage."""
        return _write(self.etc / name, text)

    def profile(self, name: str, text: str, layers: Mapping[str, str] | None = None) -> None:
        """Write a profile, and files of its layers by ``LAYER/FILE``."""
        _write(self.config / "profiles" / f"{name}.toml", text)
        for path, content in (layers or {}).items():
            _write(self.config / "layers" / path, content)

    def eroot(self, root: Path) -> Path:
        """Where packages of a ROOT lie: Portage puts the prefix below it."""
        return Path(f"{str(root).rstrip('/')}{self.eprefix}")


def make(folder: Path) -> Host:
    """Make a host, or find it made.

    Raises:
        MissingProgram: tar, gcc, make, bash or patch is missing.
        RunError: this machine's architecture is not known, or the folder holds something else.
    """
    folder = folder.absolute()
    host = Host(folder)
    if (folder / "made").is_file():
        return host
    if folder.exists() and any(folder.iterdir()):
        raise RunError(f"{folder} holds something else", remedy="name an empty folder, or one that is not there")
    _check()
    for name in _FOLDERS:
        (host.eprefix / name).mkdir(parents=True, exist_ok=True)
    for link, target in _LINKS.items():
        if not (host.eprefix / link).exists():
            (host.eprefix / link).symlink_to(target)
    _programs(host)
    _global_config(host)
    _repository(host)
    _configuration(host)
    (folder / "made").write_text("a Gentoo host in a folder; remove it whenever you like\n", encoding="utf-8")
    return host


def pack(sources: Path, archive: Path) -> None:
    """Pack a folder into a .tar.gz, the same bytes for the same content."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(sources.rglob("*")):
            entry = tar.gettarinfo(path, f"{sources.name}/{path.relative_to(sources)}")
            entry.uid = entry.gid = entry.mtime = 0
            entry.uname = entry.gname = ""
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
    _write(package / "Manifest", "".join(lines))


def _check() -> None:
    for program, atom in (
        ("gcc", "sys-devel/gcc"), ("make", "dev-build/make"), ("bash", "app-shells/bash"), ("tar", "app-arch/tar"),
        ("patch", "sys-devel/patch"),
    ):  # fmt: skip
        if not shutil.which(program):
            raise MissingProgram(program, atom)
    if platform.machine() not in ARCHES:
        raise RunError(f"the embedded host knows no {platform.machine()} (there are: {', '.join(sorted(ARCHES))})")


def _programs(host: Host) -> None:
    """The names under which Portage calls programs of the host."""
    chost = ARCHES[platform.machine()][1]
    links = {"gtar": "tar", "python": sys.executable, f"{chost}-gcc": "gcc", f"{chost}-g++": "g++", f"{chost}-ar": "ar"}
    (host.folder / "bin").mkdir()
    for name, program in links.items():
        if found := shutil.which(program):
            (host.folder / "bin" / name).symlink_to(found)


def _global_config(host: Host) -> None:
    """Portage's make.globals and sets, without the repositories that they presume.

    A wheel looks for them in EPREFIX/share/portage/config.
    """
    from gentoomuch_portage.portage_adapter import query

    target = host.eprefix / "share/portage/config"
    shutil.copytree(query.global_config(), target)
    for name in ("repos.conf", "binrepos.conf"):
        _write(target / name, "")


def _repository(host: Host) -> None:
    with as_file(files(__name__)) as shipped:
        shutil.copytree(shipped / "repository", host.repository)
        for sources in sorted((shipped / "sources").iterdir()):
            archive = host.eprefix / "var/cache/distfiles" / f"{sources.name}.tar.gz"
            pack(sources, archive)
            name = sources.name.rpartition("-")[0]
            for package in host.repository.glob(f"*/{name}"):
                manifest(package, [archive])
    arch, chost, libdir = ARCHES[platform.machine()]
    profile = host.repository / "profiles"
    _write(profile / "arch.list", f"{arch}\n")
    _write(profile / "profiles.desc", f"{arch} machine stable\n")
    _write(
        profile / "machine/make.defaults",
        f'ARCH="{arch}"\nACCEPT_KEYWORDS="{arch}"\nCHOST="{chost}"\nKERNEL="linux"\nELIBC="glibc"\n'
        f'LIBDIR_{arch}="{libdir}"\nDEFAULT_ABI="{arch}"\nABI="{arch}"\n'
        'USE_EXPAND="CPU_FLAGS_X86 CPU_FLAGS_ARM CPU_FLAGS_PPC VIDEO_CARDS"\n'
        'IUSE_IMPLICIT="prefix prefix-guest"\nUSE_EXPAND_IMPLICIT="ARCH ELIBC KERNEL"\n'
        f'USE_EXPAND_VALUES_ARCH="{arch}"\nUSE_EXPAND_VALUES_ELIBC="glibc"\nUSE_EXPAND_VALUES_KERNEL="linux"\n',
    )
    _write(profile / "machine/packages", "")


def _configuration(host: Host) -> None:
    import getpass
    import grp

    user, group = getpass.getuser(), grp.getgrgid(os.getegid()).gr_name
    prefix = host.eprefix
    host.write(
        "make.conf",
        f'CFLAGS="-O2 -pipe"\nCXXFLAGS="${{CFLAGS}}"\n'
        f'DISTDIR="{prefix}/var/cache/distfiles"\nPKGDIR="{prefix}/var/cache/binpkgs"\n'
        f'PORTAGE_TMPDIR="{prefix}/var/tmp"\nPORTAGE_LOGDIR="{prefix}/var/log"\nFEATURES="{_FEATURES}"\nACCEPT_LICENSE="*"\n'
        f'CLEAN_DELAY=0\nEMERGE_WARNING_DELAY=0\nPORTAGE_USERNAME="{user}"\nPORTAGE_GRPNAME="{group}"\n',
    )
    host.write(
        "repos.conf/gm-demo.conf",
        f"[DEFAULT]\nmain-repo = gm-demo\n\n[gm-demo]\nlocation = {host.repository}\nauto-sync = no\n",
    )
    (host.etc / "make.profile").symlink_to(host.repository / "profiles/machine")


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
