# SPDX-License-Identifier: GPL-2.0-or-later
"""``python benchmarks/startup [PAIRS]``: what gm-emerge adds to emerge, as a ratio of user+sys within one run.

Both are started by the same interpreter, in turn, so that what else the machine does falls on both alike; the ratio
is the median over the pairs. The exit status is 1 where a limit is broken.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from portage.const import PORTAGE_BIN_PATH

from gentoomuch_portage import demo_host

EMERGE = (sys.executable, str(Path(PORTAGE_BIN_PATH) / "emerge"))
GM_EMERGE = (sys.executable, str(Path(sys.executable).parent / "gm-emerge"))
PKG = "app-demo/gm-hello"
CASES = (
    ("no profile", "--version", 0.82),
    ("no profile", f"-p {PKG}", 0.83),
    ("no profile", "--info", 0.86),
    ("profile", "--version", 1.00),
    ("profile", f"-p {PKG}", 0.97),
    ("profile", "--info", 1.00),
)
"""Whether a profile is chosen, emerge's words, and the most that the ratio may be."""


def main(pairs: int) -> int:
    """Measure; the exit status."""
    broken = 0
    with tempfile.TemporaryDirectory(prefix="gm-startup-") as name:
        host = demo_host.make(Path(name) / "host")
        host.profile("router", 'cpu = "x86-64"\nlayers = ["common"]\n', {"common/package.use/demo": f"{PKG} -shout\n"})
        print(f"{'':12}{'words':24}{'emerge s':>10}{'gm-emerge s':>13}{'ratio':>8}{'limit':>8}")
        for who, words, limit in CASES:
            env = host.env(**({"GM_PROFILE": "router"} if who == "profile" else {}))
            plain, ours, ratio = measure(words.split(), env, pairs)
            broken += ratio > limit
            mark = "  over" if ratio > limit else ""
            print(f"{who:12}{words:24}{plain:10.3f}{ours:13.3f}{ratio:8.3f}{limit:8.2f}{mark}")
    return int(bool(broken))


def measure(words: Sequence[str], env: dict[str, str], pairs: int) -> tuple[float, float, float]:
    """Medians of user+sys seconds of both, and of the ratio pair by pair."""
    without = {name: value for name, value in env.items() if not name.startswith("GM_")}
    for _ in range(2):  # caches warm, the configroot made
        spent((*EMERGE, *words), without)
        spent((*GM_EMERGE, *words), env)
    runs = [(spent((*EMERGE, *words), without), spent((*GM_EMERGE, *words), env)) for _ in range(pairs)]
    plain, ours = zip(*runs, strict=True)
    return statistics.median(plain), statistics.median(ours), statistics.median(b / a for a, b in runs)


def spent(argv: Sequence[str], env: dict[str, str]) -> float:
    """User and system seconds of a program and all that it waited for."""
    started = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(started.pid, 0)
    started.returncode = os.waitstatus_to_exitcode(status)
    if started.returncode != 0:
        raise SystemExit(f"{' '.join(argv)} ended with {started.returncode}")
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 41))
