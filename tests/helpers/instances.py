# SPDX-License-Identifier: GPL-2.0-or-later
"""Ten instances of one package, of which a CPU of x86-64 runs only the fourth, and what emerge says of them."""

import re

from helpers.repack import Changes

PKG = "dev-demo/libgreet"
V4: Changes = {"CFLAGS": "-O2 -march=x86-64-v4", "CXXFLAGS": "-O2 -march=x86-64-v4"}
NATIVE: Changes = {"CFLAGS": "-O2 -march=native", "CXXFLAGS": "-O2"}
SILENT: Changes = {"CFLAGS": None, "CXXFLAGS": None}
HOSTILE: Changes = {"CFLAGS": "-O2\0"}
ABI: Changes = {"CFLAGS": "-O2 -m32", "CXXFLAGS": "-O2"}
FITS: Changes = {"CFLAGS": "-O2 -march=x86-64", "CXXFLAGS": "-O2 -march=x86-64"}
TEN = (V4, NATIVE, SILENT, FITS, V4, ABI, HOSTILE, FITS, V4, V4)
"""The newest first; of the two that fit the fourth is the one to take."""
REASONS = {
    10: r"needs avx512f, .* \(-march=x86-64-v4\)",
    9: r"built with -march=native, without a record of the CPU",
    8: r"build flags unknown",
    6: r"needs avx512f",
    5: r"is of another ABI",
    4: r"its CFLAGS contains control characters",
}
"""BUILD_ID -> why it is refused."""


def chosen(said: str) -> list[str]:
    """What would be merged: ``binary 7``, ``ebuild``."""
    found = re.findall(rf"^\[(\w+) .*?\] {PKG}-1\.0(?:-(\d+))?", said, re.M)
    return [f"{kind} {build_id}".strip() for kind, build_id in found]


def refused(said: str) -> dict[int, str]:
    """BUILD_ID -> reason, as Portage's block tells."""
    return {int(number): why for number, why in re.findall(rf"^    ={PKG}-1\.0-(\d+) (.*)$", said, re.M)}
