# SPDX-License-Identifier: GPL-2.0-or-later
"""A build in a virtual machine: its kernel is another, and what it finishes is taken over as from any container."""

import socket
import subprocess
from pathlib import Path

import pytest
from conftest import BIN, Run
from helpers.processes import command_lines
from helpers.waiting import wait_for

from gentoomuch_portage.config.isolation_kinds import VM
from gentoomuch_portage.containers.vm import initramfs, launch
from gentoomuch_portage.demo_host import Host

_WORDS = ("--gm-profile=router", "--gm-isolation=vm")


@pytest.fixture(autouse=True)
def _machine() -> None:
    """Skip where qemu, a compiler or a Linux to boot is missing."""
    if lacks := launch.find_missing():
        pytest.skip(f"vm: {lacks}")


def _looking(host: Host, port: int) -> None:
    """Write an ebuild that installs a program, and what it sees of the machine."""
    arches = " ".join((host.repository / "profiles/arch.list").read_text().split())
    ways = {
        "release": "uname -r",
        "tcp": f"( exec 3<>/dev/tcp/127.0.0.1/{port} ) 2>/dev/null && echo open || echo refused",
        "host": f"( exec 3<>/dev/tcp/10.0.2.2/{port} ) 2>/dev/null && echo open || echo refused",
        "interfaces": "tail -n +3 /proc/net/dev | cut -d: -f1 | xargs",
        "etc": "echo x >> /etc/passwd && echo open || echo refused",
        "unlinked": "exec 3<>${T}/gone; rm ${T}/gone; echo kept >&3; cat /proc/self/fd/3",
    }
    lines = [f"( echo {name} $( {way} ) ) >> ${{T}}/seen" for name, way in ways.items()]
    ebuild = host.repository / "app-demo/looking/looking-1.ebuild"
    ebuild.parent.mkdir(parents=True)
    ebuild.write_text(
        f'EAPI=8\nDESCRIPTION="looks"\nSLOT=0\nLICENSE="GPL-2+"\nKEYWORDS="{arches}"\nS="${{WORKDIR}}"\n'
        "src_compile() {\n" + "\n".join(lines) + "\n"
        "\techo 'int main(void) { return 7; }' > seven.c || die\n\t${CHOST}-gcc ${CFLAGS} -o seven seven.c || die\n}\n"
        'src_install() { insinto /usr/share/looking; doins "${T}"/seen; dobin seven; }\n'
    )


def test_packages_are_built_under_another_kernel_without_the_network(host: Host, on: Run) -> None:
    host.profile("router", 'cpu = "x86-64-v2"\n')
    passwd = Path("/etc/passwd").read_bytes()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        _looking(host, listening.getsockname()[1])

        words = [str(BIN / "gm-emerge"), *_WORDS, "looking"]
        # Without KVM a package takes a minute, and several on a busy machine.
        ended = subprocess.run(words, env=host.env(), capture_output=True, text=True, timeout=1500, check=False)

    assert ended.returncode == 0, ended.stderr + ended.stdout
    assert "1 finished package" in ended.stderr
    assert Path("/etc/passwd").read_bytes() == passwd
    assert list((host.eprefix / "var/cache/gentoomuch/containers").glob("run-*")) == []
    assert on(host.eprefix / "usr/bin/seven").status == 7
    seen = dict(line.split(None, 1) for line in (host.eprefix / "usr/share/looking/seen").read_text().splitlines())
    assert seen.pop("release") == initramfs.find_kernel().release
    assert seen == {"tcp": "refused", "host": "refused", "interfaces": "lo", "etc": "refused", "unlinked": "kept"}


def _machines(folder: Path) -> list[str]:
    """Return the command lines of virtual machines with runs below a directory."""
    lines = [" ".join(words) for words in command_lines().values() if words[0].startswith(VM.program)]
    return [line for line in lines if "-initrd" in line and str(folder) in line]


def test_a_killed_build_ends_its_machine_and_leaves_nothing(host: Host, on: Run) -> None:
    host.profile("router", "")
    folder = host.eprefix / "var/cache/gentoomuch/containers"
    words = [str(BIN / "gm-emerge"), *_WORDS, "-B", "libgreet"]
    with subprocess.Popen(words, env=host.env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        wait_for(lambda: _machines(folder) or run.poll() is not None, "the machine runs")
        assert run.poll() is None, "it ended by itself"

        run.kill()

    wait_for(lambda: not _machines(folder), "the machine ends")
    assert on("gentoomuch", "freshroot", "router", "--isolation=unshare", "--", "true").status == 0
    assert list(folder.glob("run-*")) == []
