# SPDX-License-Identifier: GPL-2.0-or-later
"""A server and a client, each in a network of its own: one command each, then ten packages, by both emerges."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.binhost import BIN, installed, machine, open_folder
from helpers.waiting import HANG

from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.demo_host.host import write

TEN = [f"app-demo/ten-{number}" for number in range(10)]
EBUILD = """EAPI=8
DESCRIPTION="One of ten"
HOMEPAGE="https://github.com/gentoomuch/gentoomuch-portage"
S="${WORKDIR}"
LICENSE="GPL-2+"
SLOT="0"
KEYWORDS="amd64 arm64 ppc64 riscv x86"

src_install() {
	echo "${PN}" > one || die
	insinto /usr/share/ten
	newins one "${PN}"
}
"""


def ip(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def networks() -> Iterator[tuple[str, str]]:
    """Two network namespaces with a wire between them: the server has 10.213.7.1, the client 10.213.7.2."""
    if os.geteuid() or not shutil.which("ip"):
        pytest.skip("network namespaces need root and ip (iproute2)")
    names = tuple(f"gm-{os.getpid()}-{end}" for end in ("server", "client"))
    made = [ip("netns", "add", name) for name in names]
    if any(one.returncode for one in made):
        pytest.skip(f"no network namespaces here: {made[0].stderr or made[1].stderr}")
    try:
        wires = [f"gm{os.getpid()}{end}" for end in "sc"]
        assert not ip("link", "add", wires[0], "type", "veth", "peer", "name", wires[1]).stderr
        for name, wire, number in zip(names, wires, (1, 2), strict=True):
            ip("link", "set", wire, "netns", name)
            ip("-n", name, "addr", "add", f"10.213.7.{number}/24", "dev", wire)
            ip("-n", name, "link", "set", wire, "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield names
    finally:
        for name in names:
            ip("netns", "del", name)


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Host, Host]]:
    """Two machines that know the ten ebuilds; the first has built them."""
    with open_folder() as folder:
        both = machine(folder / "s"), machine(folder / "c")
        for host in both:
            for name in TEN:
                package = name.rpartition("/")[2].replace("-", "_")
                write(host.repository / f"app-demo/{package}/{package}-1.ebuild", EBUILD)
        yield both


def run(network: str, host: Host, *argv: str | Path, **env: str) -> str:
    """Run a program of a host in a network; all it said."""
    words = ["ip", "netns", "exec", network, str(BIN / argv[0]), *map(str, argv[1:])]
    told = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    ended = subprocess.run(words, env=host.env(**env), stdin=subprocess.DEVNULL, check=False, timeout=HANG, **told)
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def test_ten_packages_cross_the_wire_with_signatures_verified_by_both_emerges(
    networks: tuple[str, str], hosts: tuple[Host, Host]
):
    (net_server, net_client), (server, client) = networks, hosts
    wanted = [name.replace("ten-", "ten_") for name in TEN]
    run(net_server, server, "emerge", "-B1q", *wanted)
    argv = ["ip", "netns", "exec", net_server, BIN / "gentoomuch", "binhost", "serve", "--bind", "10.213.7.1:8811"]
    log = ["--log", server.folder / "log"]
    serving = subprocess.Popen(list(map(str, [*argv, *log])), env=server.env(), stdout=subprocess.PIPE, text=True)
    try:
        command = serving.stdout.readline().split()
        run(net_client, client, *command, "--system", "--yes")
        run(net_client, client, "gm-emerge", "-gKq1", *wanted, GM_PROFILE="box")
        by_us = installed(client)
        shutil.rmtree(client.vdb)
        shutil.rmtree(client.eprefix / "var/cache/binhost")
        run(net_client, client, "emerge", "-gKq1", *wanted)
        by_emerge = installed(client)
        untrusting(client)
        refused = subprocess.run(
            ["ip", "netns", "exec", net_client, BIN / "emerge", "-gK1", wanted[0]],
            env=client.env(), capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        serving.terminate()
        begun = time.monotonic()
        assert serving.wait(HANG) == 0
        serving.stdout.close()

    assert by_us == by_emerge == {f"{name}-1" for name in wanted}
    assert time.monotonic() - begun < HANG
    assert refused.returncode != 0
    asked = (server.folder / "log").read_text()
    assert "10.213.7.2 - - [" in asked


def untrusting(client: Host) -> None:
    """Take the keys away, and what was fetched."""
    shutil.rmtree(client.etc / "gnupg")
    (client.etc / "gnupg").mkdir()
    shutil.rmtree(client.eprefix / "var/cache/binhost")
