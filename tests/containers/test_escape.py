# SPDX-License-Identifier: GPL-2.0-or-later
"""An ebuild that tries to get out in twenty ways: each fails inside, and outside nothing has changed."""

import ctypes
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import Run
from helpers.containers import digest

from gentoomuch_portage.demo_host import Host

_KEYCTL = 250
_ADD_KEY = 248


@contextmanager
def _listening() -> Iterator[tuple[int, str]]:
    """A TCP port on the host's loopback, and an abstract socket."""
    name = f"gentoomuch-test-{os.getpid()}"
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as abstract:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        abstract.bind(f"\0{name}")
        abstract.listen()
        yield tcp.getsockname()[1], name


def _key() -> int:
    """A key in the session's keyring; 0 where the kernel has none."""
    libc = ctypes.CDLL(None)
    return max(0, libc.syscall(_ADD_KEY, b"user", b"gentoomuch-test", b"secret", 6, -3))


_CONNECT = "import socket\nsocket.socket(socket.AF_UNIX).connect('\\0{abstract}')\n"
_PTRACE = "import ctypes, sys\nsys.exit(ctypes.CDLL(None).ptrace(16, {victim}, 0, 0) != 0)\n"
_READ = """import ctypes, sys
into = ctypes.create_string_buffer(9)
sys.exit(ctypes.CDLL(None).syscall({keyctl}, 11, {key}, into, 9) != 6)
"""
_FORK = """import os, sys, time
made, status = [], 0
try:
    for _ in range(700):
        made.append(os.fork())
        if not made[-1]:
            time.sleep(600)
            os._exit(0)
except OSError:
    status = 1
for number in made:
    os.kill(number, 9)
    os.waitpid(number, 0)
sys.exit(status)
"""


def _ways(host: Host, port: int) -> dict[str, str]:
    """Name -> a command of bash that ends with 0 where it got out."""
    other = host.eprefix / "var/tmp/portage/app-demo/other-1/work"
    return {
        "root": "echo x > /escaped",
        "etc": "echo x >> /etc/passwd",
        "home": "mkdir -p /home/escaped",
        "repository": f"echo x >> {host.repository}/profiles/repo_name",
        "distfile of another": f"echo x > {host.distdir}/libgreet-1.0.tar.gz",
        "another build": f"echo x > {other}/escaped",
        "device": "head -c 1 /dev/vda || head -c 1 /dev/sda || head -c 1 /dev/mem",
        "proc sys": "echo 1 > /proc/sys/vm/drop_caches",
        "setuid": "cp /bin/bash ${T}/s && chmod 4755 ${T}/s && "
        "setpriv --reuid 65534 --clear-groups ${T}/s -p -c 'echo x > /etc/escaped'",
        "ptrace": f"{sys.executable} ${{FILESDIR}}/ptrace.py",
        "tcp": f"exec 3<>/dev/tcp/127.0.0.1/{port}",
        "abstract socket": f"{sys.executable} ${{FILESDIR}}/connect.py",
        "keyring": f"{sys.executable} ${{FILESDIR}}/read.py",
        "link in pkgdir": f"ln -s /etc/passwd {host.pkgdir}/escaped.gpkg.tar",
        "hard link": f"ln {host.distdir}/gm-hello-1.0.tar.gz {host.pkgdir}/escaped",
        "mknod": "mknod ${T}/disk b 254 0",
        "mount": "mount -t tmpfs none /etc",
        "remount": "mount -o remount,rw,bind /proc/sys",
        "processes": f"{sys.executable} ${{FILESDIR}}/fork.py",
        "disk": "head -c 300M /dev/zero > ${T}/much; status=$?; rm ${T}/much; exit ${status}",
    }


def _ebuild(host: Host, ways: dict[str, str], scripts: dict[str, str]) -> None:
    """Each way in a shell of its own; what became of it is installed."""
    arches = " ".join((host.repository / "profiles/arch.list").read_text().split())
    lines = [f"( {way} ) </dev/null &>/dev/null; echo '{name}' $? >> \"${{T}}\"/results" for name, way in ways.items()]
    ebuild = host.repository / "app-demo/escape/escape-1.ebuild"
    (ebuild.parent / "files").mkdir(parents=True)
    for name, text in scripts.items():
        (ebuild.parent / "files" / f"{name}.py").write_text(text)
    ebuild.write_text(
        f'EAPI=8\nDESCRIPTION="tries"\nSLOT=0\nLICENSE="GPL-2+"\nKEYWORDS="{arches}"\nS="${{WORKDIR}}"\n'
        "src_compile() {\n" + "\n".join(lines) + "\n:\n}\n"
        'src_install() { insinto /usr/share/escape; doins "${T}"/results; }\n'
    )


def test_an_ebuild_does_not_get_out(kind: str, host: Host, on: Run) -> None:
    host.profile("router", 'cpu = "x86-64-v2"\n[container]\nprocesses = 400\ndisk = "200M"\n')
    assert on("gm-emerge", "-fq", "gm-hello").status == 0
    (host.eprefix / "var/tmp/portage/app-demo/other-1/work").mkdir(parents=True)
    host.pkgdir.mkdir(parents=True, exist_ok=True)
    with _listening() as (port, abstract), subprocess.Popen(["sleep", "infinity"]) as victim:
        try:
            ways = _ways(host, port)
            assert len(ways) == 20
            told = {"abstract": abstract, "victim": victim.pid, "keyctl": _KEYCTL, "key": _key()}
            scripts = {"connect": _CONNECT, "ptrace": _PTRACE, "read": _READ, "fork": _FORK}
            _ebuild(host, ways, {name: text.format(**told) for name, text in scripts.items()})
            own = (
                "gentoo/var/cache/gentoomuch",
                "gentoo/var/tmp",
                "gentoo/var/log",
                "gentoo/var/lib/gentoomuch",
                "gentoo/var/cache/edb",
            )
            before = digest(host.folder, without=(*own, "gentoo/var/cache/binpkgs"))
            system = digest(Path("/etc"))
            ended = on("gm-emerge", "--gm-profile=router", f"--gm-isolation={kind}", "-B", "escape")
            assert ended.status == 0, ended.err + ended.out
            assert digest(host.folder, without=(*own, "gentoo/var/cache/binpkgs")) == before
            assert digest(Path("/etc")) == system
            assert victim.poll() is None
        finally:
            victim.kill()
    assert on("gm-emerge", "--gm-profile=router", "-Kq", "escape").status == 0
    told = (host.eprefix / "usr/share/escape/results").read_text().splitlines()
    results = {line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in told}
    assert set(results) == set(ways)
    assert [name for name, status in results.items() if status == "0"] == []
    packages = [path.name for path in host.pkgdir.rglob("*") if path.is_file() or path.is_symlink()]
    assert sorted(packages) == ["Packages", "Packages.gz", "escape-1-1.gpkg.tar"]
    assert not Path("/escaped").exists()
