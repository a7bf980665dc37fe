# SPDX-License-Identifier: GPL-2.0-or-later
"""A Gentoo-like host without a prefix: a root made from the Debian archive, with Portage installed system-wide.

Root only. Roots are made once and kept (``GM_TEST_HOSTS``, or pytest's cache); each host is a copy of one, in memory.
"""

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from helpers.portage_sdist import Unobtainable, portage_sdist
from helpers.waiting import HANG

from gentoomuch_portage.demo_host import Host, repository
from gentoomuch_portage.demo_host.host import find_arch

HERE = Path(__file__).parent
TOP = HERE.parents[1]
SUITES = ("bookworm", "trixie", "forky")
"""Debian 12, 13 and the one after: glibc 2.36, 2.41, 2.43; gcc 12, 14, 16; Python 3.11, 3.13, 3.14."""
PACKAGES = (
    "autoconf", "automake", "bison", "bubblewrap", "bzip2", "ca-certificates", "file", "flex", "g++", "gcc", "gettext",
    "git", "gnupg", "iproute2", "libtool", "make", "meson", "ninja-build", "openssh-client", "passwd", "patch",
    "pkgconf", "podman", "procps", "python3", "python3-dev", "python3-venv", "rsync", "runc", "squashfs-tools",
    "systemd-container", "uidmap", "wget", "xz-utils", "zstd",
)  # fmt: skip
EXTRAS = ("aiohttp", "iced-x86", "pyelftools")
SITE = "usr/lib/python3/dist-packages"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NETWORK = ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf", "/etc/xdg/pip", "/etc/ssl/certs")
"""What pip needs of the machine while a root is made."""


class NoHost(Exception):
    """No such host can be made here; the message is the reason."""


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    status: int
    out: str
    err: str


@dataclass
class RealHost:
    """A running host: ``run`` a program in it; its files are below ``root``, as long as it runs.

    Absolute links below ``root`` lead to files of the machine: follow them on the host alone.
    """

    root: Path
    holder: "subprocess.Popen[bytes]" = field(repr=False)
    pid: int

    @property
    def eprefix(self) -> Path:
        """The directory that has etc, usr and var, as ``demo_host.Host`` calls it."""
        return self.root

    @property
    def etc(self) -> Path:
        """The host's /etc/portage."""
        return self.root / "etc/portage"

    @property
    def config(self) -> Path:
        """Where gentoomuch is configured on it."""
        return self.root / "etc/gentoomuch"

    @property
    def vdb(self) -> Path:
        """What is installed."""
        return self.root / "var/db/pkg"

    @property
    def pkgdir(self) -> Path:
        """PKGDIR."""
        return self.root / "var/cache/binpkgs"

    def run(
        self, *argv: str, user: str = "", text: str | None = None, cwd: str = "/", timeout: float = 300, **env: str
    ) -> Ended:
        """Run a program to its end, as root or as another user."""
        process = self.start(*argv, user=user, cwd=cwd, stdin=subprocess.PIPE if text else subprocess.DEVNULL, **env)
        try:
            out, err = process.communicate(text.encode() if text else None, timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return Ended(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))

    def start(
        self, *argv: str, user: str = "", cwd: str = "/", stdin: int = subprocess.DEVNULL, **env: str
    ) -> "subprocess.Popen[bytes]":
        """Start a program; its output is in the pipes of the process. SIGINT and SIGTERM reach it by ``signal``."""
        who = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--"] if user else []
        words = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--uts", f"--wdns={cwd}", "--", *who, *argv]
        home = f"/home/{user}" if user else "/root"
        # ``nsenter`` waits for its child; a process group of their own lets a test signal both, as a terminal does.
        return subprocess.Popen(
            words, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            env={"PATH": _PATH, "HOME": home, "LANG": "C.UTF-8", "TERM": "dumb", "USER": user or "root", **env},
        )  # fmt: skip

    def write(self, path: str, text: str, mode: int = 0o644) -> Path:
        """Write a file of the host, named by its path on the host."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)
        return file

    def profile(self, name: str, text: str, layers: Mapping[str, str] | None = None) -> None:
        """Write a profile, and files of its layers by ``LAYER/FILE``."""
        self.write(f"/etc/gentoomuch/profiles/{name}.toml", text)
        for path, content in (layers or {}).items():
            self.write(f"/etc/gentoomuch/layers/{path}", content)

    def ebuild(self, cpv: str, text: str) -> Path:
        """Add an ebuild without SRC_URI to ::gentoo."""
        category, _, rest = cpv.partition("/")
        name = rest.rsplit("-", 1)[0]
        categories = self.root / "var/db/repos/gentoo/profiles/categories"
        if category not in categories.read_text().split():
            categories.write_text(f"{categories.read_text()}{category}\n")
        return self.write(f"/var/db/repos/gentoo/{category}/{name}/{rest}.ebuild", text)

    def user(self, name: str, *groups: str) -> None:
        """Add an ordinary user with subordinate ids."""
        words = [
            "useradd",
            "--create-home",
            "--shell",
            "/bin/bash",
            *(["--groups", ",".join(groups)] if groups else []),
        ]
        added = self.run(*words, name)
        assert added.status == 0, added.err

    def stop(self) -> None:
        """End all processes of the host."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.holder.wait(HANG)


def kept(config: pytest.Config) -> Path:
    """Name the directory in which roots of hosts are kept."""
    named = os.environ.get("GM_TEST_HOSTS")
    return Path(named) if named else config.cache.mkdir("hosts")


@contextlib.contextmanager
def host(suite: str, kept: Path, folder: Path) -> Iterator[RealHost]:
    """Run a host: a copy of the root of a suite, with the project installed, in an empty folder.

    Args:
        kept: where roots stay for the next time.

    Raises:
        NoHost: none can be made here.
    """
    ready = with_project(base(suite, kept), kept)
    running = _hold(folder, ready)
    try:
        yield running
    finally:
        running.stop()


def _hold(root: Path, ready: Path) -> RealHost:
    # A first process that ignores SIGCHLD leaves no zombies behind.
    words: list[str | Path] = [
        *("setpriv", "--pdeathsig", "KILL"),  # no host outlives tests that were killed
        HERE / "realhost-enter",
        root,
        "/bin/bash",
        "-c",
        "touch /run/held; exec env --ignore-signal=CHLD sleep infinity",
    ]
    holder = subprocess.Popen(words, stdin=subprocess.DEVNULL, env={"PATH": _PATH, "COPY": str(ready)})
    for _ in range(12_000):
        with contextlib.suppress(OSError, IndexError):
            # unshare --fork stays outside; its only child is the first process of the host.
            pid = int(Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()[0])
            inside = Path(f"/proc/{pid}/root")
            if (inside / "run/held").exists():
                return RealHost(inside, holder, pid)
        if holder.poll() is not None:
            break
        time.sleep(0.05)
    holder.kill()
    raise NoHost("no host can be started here: mount or process namespaces are refused")


def base(suite: str, kept: Path) -> Path:
    """Find or make the root of a suite with Portage, and the libraries that the project needs.

    Raises:
        NoHost: it is not root, mmdebstrap is missing, or a registry is out of reach.
    """
    _check()
    with _locked(kept / f"{suite}.lock"):
        root, stamp = kept / suite, kept / f"{suite}.stamp"
        wanted = _digest(HERE / "realhost-portage", TOP / "requirements/run.txt", also=(*PACKAGES, *EXTRAS))
        if not (stamp.is_file() and stamp.read_text() == wanted):
            stamp.unlink(missing_ok=True)
            shutil.rmtree(root, ignore_errors=True)
            _make(suite, root, kept)
            stamp.write_text(wanted)
        return root


def _check() -> None:
    if os.geteuid():
        raise NoHost("a host without a prefix needs root")
    if not shutil.which("mmdebstrap"):
        raise NoHost("mmdebstrap is missing")


def _bootstrap(suite: str, root: Path, variant: str, packages: tuple[str, ...]) -> None:
    words = ["mmdebstrap", "--quiet", f"--variant={variant}", f"--include={','.join(packages)}"]
    words += ["--aptopt=Acquire::Retries 3", "--aptopt=Acquire::Check-Valid-Until false"]
    _do("mmdebstrap", [*words, suite, str(root), f"deb {_mirror()} {suite} main"])


def _make(suite: str, root: Path, kept: Path) -> None:
    _bootstrap(suite, root, "minbase", PACKAGES)
    try:
        sources = portage_sdist(kept, root / "usr/src")
    except Unobtainable as why:
        raise NoHost(str(why)) from None
    shutil.copy(HERE / "realhost-portage", root / "tmp")
    _inside(root, "/tmp/realhost-portage", f"/usr/src/{sources.name}")
    (root / "tmp/requirements").mkdir()
    pins = [line for line in (TOP / "requirements/run.txt").read_text().splitlines() if not line.startswith("portage=")]
    (root / "tmp/requirements/run.txt").write_text("\n".join([*pins, *EXTRAS, "wheel", ""]))
    shutil.copy(TOP / "requirements/test.txt", root / "tmp/requirements/")
    _inside(root, "python3", "-m", "venv", "/opt/pip")
    words = ["/opt/pip/bin/pip", "--no-cache-dir", "install", "--quiet", "--target", f"/{SITE}"]
    _inside(root, *words, "-r", "/tmp/requirements/run.txt", "-c", "/tmp/requirements/test.txt")


def compiler(suite: str, kept: Path) -> Path:
    """Find or make a root that holds the C compiler and the C library of a suite; run it with chroot.

    Raises:
        NoHost: it is not root, mmdebstrap is missing, or the archive is out of reach.
    """
    _check()
    with _locked(kept / f"{suite}-gcc.lock"):
        root, stamp = kept / f"{suite}-gcc", kept / f"{suite}-gcc.stamp"
        if not stamp.is_file():
            shutil.rmtree(root, ignore_errors=True)
            _bootstrap(suite, root, "extract", ("gcc", "libc6-dev"))
            for name in ("bin", "sbin", "lib", "lib64"):  # what base-files' scripts do, which do not run here
                if not (root / name).exists():
                    (root / name).symlink_to(f"usr/{name}")
            stamp.touch()
        return root


def with_project(root: Path, kept: Path) -> Path:
    """Find or make a copy of a root in which the project, as it is in the work tree, is installed."""
    files = sorted(path for path in (TOP / "gentoomuch_portage").rglob("*") if path.is_file() and path.suffix != ".pyc")
    wanted = _digest(
        *files, *sorted((TOP / "bin").iterdir()), TOP / "setup.py", Path(__file__), root.with_suffix(".stamp")
    )
    ready, stamp = kept / f"{root.name}-ready", kept / f"{root.name}-ready.stamp"
    with _locked(kept / f"{root.name}-ready.lock"):
        if not (stamp.is_file() and stamp.read_text() == wanted):
            stamp.unlink(missing_ok=True)
            shutil.rmtree(ready, ignore_errors=True)
            subprocess.run(["cp", "-a", "--reflink=auto", root, ready], check=True)
            _install_project(ready)
            _repository(ready)
            stamp.write_text(wanted)
    return ready


def _install_project(root: Path) -> None:
    sources = root / "tmp/project"
    for name in ("gentoomuch_portage", "setup.py", "pyproject.toml", "README.md", "LICENSE", "bin", "share"):
        copy = shutil.copytree if (TOP / name).is_dir() else shutil.copy
        sources.mkdir(exist_ok=True)
        copy(TOP / name, sources / name)
    words = ["/opt/pip/bin/pip", "--python", "/usr/bin/python3", "install", "--quiet", "--no-index", "--no-deps"]
    words += ["--no-build-isolation", "--break-system-packages", "/tmp/project"]
    _inside(root, *words, DEB_PYTHON_INSTALL_LAYOUT="deb")
    shutil.rmtree(sources)


def _repository(root: Path) -> None:
    """Copy the demo's repository to ::gentoo, with its one make_profile and the archives of its packages."""
    with tempfile.TemporaryDirectory() as folder:
        demo = Host(Path(folder))
        repository.write_repository(demo)
        shutil.copytree(demo.repository, root / "var/db/repos/gentoo", dirs_exist_ok=True)
        shutil.copytree(demo.distdir, root / "var/cache/distfiles", dirs_exist_ok=True)
    (root / "var/db/repos/gentoo/profiles/repo_name").write_text("gentoo\n")
    (root / "etc/portage/make.profile").symlink_to("../../var/db/repos/gentoo/profiles/machine")
    for name in ("gcc", "g++", "cpp", "ar", "nm", "ranlib", "strip", "objcopy", "pkg-config"):
        (root / f"usr/bin/{find_arch()[1]}-{name}").symlink_to(name)


def _inside(root: Path, *argv: str, **env: str) -> None:
    handed_on = {
        name: value for name, value in os.environ.items() if name.startswith("PIP_") or "proxy" in name.lower()
    }
    bind = " ".join(path for path in _NETWORK if Path(path).exists())
    env = {**handed_on, "PATH": _PATH, "HOME": "/root", "LANG": "C.UTF-8", "BIND": bind, **env}
    _do(argv[0], [str(HERE / "realhost-enter"), str(root), *argv], env)


def _do(name: str, words: list[str], env: Mapping[str, str] | None = None) -> None:
    ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=900, env=env)
    if ended.returncode:
        raise NoHost(f"{name} failed: {(ended.stdout + ended.stderr).strip()[-600:]}")


def _mirror() -> str:
    """The archive that this machine itself uses."""
    words = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    listed = subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()
    archives = [uri for uri in listed if uri.rstrip("/").endswith("/debian")]
    if not archives:
        raise NoHost("apt on this machine names no Debian archive")
    return archives[0]


def _digest(*files: Path, also: tuple[str, ...] = ()) -> str:
    total = hashlib.sha256(repr((platform.machine(), also)).encode())
    for file in sorted(files):
        total.update(f"{file.name}\0".encode() + file.read_bytes())
    return total.hexdigest()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
