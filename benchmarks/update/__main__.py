# SPDX-License-Identifier: GPL-2.0-or-later
"""``python benchmarks/update [PAIRS]``: ``gentoomuch update --all --pretend`` for four profiles, as a ratio of user+sys
to four separate runs of gm-emerge.

Both are started by the same interpreter, in turn, so that other work of the machine affects both. The ratio is the
median over the pairs. The exit status is 1 if it is above the limit.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from gentoomuch_portage import demo_host
from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.demo_host.host import write

BIN = Path(sys.executable).parent
PROFILES = {"one": "x86-64", "two": "x86-64-v2", "three": "x86-64-v3", "four": "x86-64"}
LIMIT = 0.7
EBUILD = """EAPI=8
DESCRIPTION="A package without files"
S="${{WORKDIR}}"
LICENSE="GPL-2+"
SLOT="0"
KEYWORDS="amd64 arm64 ppc64 riscv x86"
RDEPEND="{depends}"
"""


def main(pairs: int, packages: int) -> int:
    """Measure, and return the exit status."""
    with tempfile.TemporaryDirectory(prefix="gm-update-") as name:
        host = demo_host.make(Path(name) / "host")
        add_packages(host, packages)
        for profile, cpu in PROFILES.items():
            wanted = f'["app-demo/generated{packages}", "app-demo/gm-hello"]'
            host.profile(profile, f'cpu = "{cpu}"\nroot = "{name}/roots/{profile}"\npackages = {wanted}\n')
        runs = [[BIN / "gm-emerge", f"--gm-profile={name}", "-puDN", "@world", "@machine"] for name in PROFILES]
        update = [[BIN / "gentoomuch", "update", "--all", "--pretend"]]
        spend(host, [*runs, *update])  # Portage generates the metadata of ebuilds
        seconds = [(spend(host, runs), spend(host, update)) for _ in range(pairs)]
    apart, together = (statistics.median(column) for column in zip(*seconds, strict=True))
    ratio = statistics.median(second / first for first, second in seconds)
    print(f"{'packages':>8}{'4 gm-emerge s':>15}{'update s':>10}{'ratio':>8}{'limit':>8}")
    print(f"{packages + 2:8}{apart:15.3f}{together:10.3f}{ratio:8.3f}{LIMIT:8.2f}{'  over' if ratio > LIMIT else ''}")
    return int(ratio > LIMIT)


def add_packages(host: Host, count: int) -> None:
    """Add packages to the repository of a host; each depends on the one before it."""
    for number in range(1, count + 1):
        depends = f"app-demo/generated{number - 1}" if number > 1 else "dev-demo/libgreet"
        folder = host.repository / f"app-demo/generated{number}"
        write(folder / f"generated{number}-1.0.ebuild", EBUILD.format(depends=depends))


def spend(host: Host, commands: Iterable[Sequence[str | Path]]) -> float:
    """Return user and system seconds of commands, with those of all processes that they waited for."""
    seconds = 0.0
    for command in commands:
        started = subprocess.Popen(
            [sys.executable, *command], env=host.env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _, status, used = os.wait4(started.pid, 0)
        started.returncode = os.waitstatus_to_exitcode(status)
        if started.returncode != 0:
            raise SystemExit(f"{' '.join(map(str, command))} ended with {started.returncode}")
        seconds += used.ru_utime + used.ru_stime
    return seconds


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 11, int(sys.argv[2]) if len(sys.argv) > 2 else 20))
