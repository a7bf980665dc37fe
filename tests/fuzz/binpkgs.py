# SPDX-License-Identifier: GPL-2.0-or-later
"""``python tests/fuzz/binpkgs.py [SECONDS] [SEED]``: broken binary packages, by the ten thousand, given to the readers.

Whatever they are given, the readers answer with metadata or with BadBinpkg, soon, and in little memory. What they
answer otherwise is printed with what caused it, and the exit status is 1.
"""

import base64
import bz2
import random
import re
import sys
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.packages import PACK, PLAIN, WANTED, gpkg, metadata, source, xpak

from gentoomuch_portage.binpkg import formats
from gentoomuch_portage.binpkg.environment import ENVIRONMENT
from gentoomuch_portage.binpkg.formats import BadBinpkg
from gentoomuch_portage.isa import requirement, variables

MOST_MEMORY = 300 << 10
"""KiB."""
MOST_TIME = 16.0
"""Seconds for one package: what the readers allow themselves, and one more."""
ASKED = WANTED | {"INHERITED", *variables.UNRECORDED}
NASTY = (
    b"\0", b"\xff", b"\x80", b"7777777777", b"-1", b"+1", b" 1", b"../", b"/", b"\x1b[", b"\xff" * 12,
    b"\x80" + b"\0" * 10,
    b"\0" * 512, b"x" * 512, b"XPAKSTOP", b"XPAKPACK", b"STOP", b"ustar  \0", b"ustar\0" + b"00", b"././@LongLink",
    b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0", b"\x50\x2a\x4d\x18", *b"LKxgSZ12345670",
)  # fmt: skip
Mutate = Callable[[random.Random, bytearray], None]


def main(seconds: float, seed: int) -> int:
    """Fuzz for some seconds; the exit status."""
    chance = random.Random(seed)
    counted: Counter[str] = Counter()
    ends = time.monotonic() + seconds
    print(f"seed {seed}, {seconds:.0f} s")
    while time.monotonic() < ends:
        name, content = broken(chance)
        begun = time.monotonic()
        try:
            counted[answer(name, content)] += 1
        except BaseException:
            return failed(name, content, traceback.format_exc())
        if time.monotonic() - begun > MOST_TIME:
            return failed(name, content, f"it took {time.monotonic() - begun:.1f} s")
        if sum(counted.values()) % 1000 == 0 and memory() > MOST_MEMORY:
            return failed(name, content, f"it took {memory()} KiB")
    for told, times in counted.most_common():
        print(f"{times:9} {told}")
    print(f"{sum(counted.values()):9} packages, at most {memory() >> 10} MiB, no traceback")
    return 0


def answer(name: str, content: bytes) -> str:
    """What the readers say, without names and numbers."""
    try:
        found = formats.read(source(content, name), ASKED | {ENVIRONMENT})
    except BadBinpkg as error:
        if not error.why.isprintable() or len(error.why) > 200:
            raise AssertionError(f"this is no line for a terminal: {error.why!r}") from error
        return "refused: " + re.sub(r"'.*'|\".*\"|\(.*\)|\d+", "...", error.why)
    assert found.keys() <= ASKED
    assert all(isinstance(requirement.parse_requirement(text).known, bool) for text in found.values())
    return "read"


def broken(chance: random.Random) -> tuple[str, bytes]:
    """A package with something wrong in one of its layers, or in several."""
    recorded = b'{"v": 1, "features": ["AVX2"], "abi": [], "told": "x", "known": true}'
    environment = bytearray(bz2.compress(b'declare -x RUSTFLAGS="-C target-cpu=haswell"\n' * chance.choice([1, 9])))
    if chance.random() < 0.5:
        mutate(chance, environment)
    lost = {"INHERITED": b"cargo", ENVIRONMENT: bytes(environment)}
    files = {**PLAIN, **(lost if chance.random() < 0.5 else {"GM_REQUIRES": recorded})}
    if chance.random() < 0.3:
        content = bytearray(xpak(files, image=chance.choice([0, 10, 20_000])))
        mutate(chance, content, begin=max(0, len(content) - 3600))
        return chance.choice(["p.xpak", "p.tbz2"]), bytes(content)
    kind = chance.choice(list(PACK))
    inner = bytearray(metadata(files))
    if chance.random() < 0.6:
        mutate(chance, inner)
        repair(chance, inner)
    packed = bytearray(PACK[kind](bytes(inner)))
    if chance.random() < 0.3:
        mutate(chance, packed)
    outer = bytearray(gpkg(kind=kind, inner=bytes(packed)))
    if chance.random() < 0.3:
        mutate(chance, outer)
        repair(chance, outer)
    return "p.gpkg.tar", bytes(outer)


def mutate(chance: random.Random, content: bytearray, *, begin: int = 0) -> None:
    """Change some bytes, where headers are rather than elsewhere."""
    for _ in range(chance.choice([1, 1, 2, 3, 8])):
        if len(content) <= begin:
            return
        at = chance.randrange(begin, len(content))
        if chance.random() < 0.7:
            at = (
                begin
                + (at - begin) // 512 * 512
                + chance.choice([0, 1, 50, 99, 124, 130, 135, 148, 156, 157, 257, 263, 345, 500])
            )
        chance.choice([overwrite, insert, remove, flip, double, cut])(chance, content, min(at, len(content) - 1))


def overwrite(chance: random.Random, content: bytearray, at: int) -> None:
    new = nasty(chance)
    content[at : at + len(new)] = new


def insert(chance: random.Random, content: bytearray, at: int) -> None:
    content[at:at] = nasty(chance)


def remove(chance: random.Random, content: bytearray, at: int) -> None:
    del content[at : at + chance.choice([1, 4, 512, 513])]


def flip(chance: random.Random, content: bytearray, at: int) -> None:
    content[at] ^= 1 << chance.randrange(8)


def double(chance: random.Random, content: bytearray, at: int) -> None:
    start = at // 512 * 512
    content[start:start] = content[start : start + 512 * chance.choice([1, 2, 8])] * chance.choice([1, 1, 50])


def cut(chance: random.Random, content: bytearray, at: int) -> None:
    if chance.random() < 0.2:
        del content[at:]


def nasty(chance: random.Random) -> bytes:
    """Bytes that mean something to somebody."""
    new = chance.choice(NASTY)
    return bytes([new]) if isinstance(new, int) else new


def repair(chance: random.Random, content: bytearray) -> None:
    """Make the checksums of headers right, so that what stands behind them is reached."""
    if chance.random() < 0.2:
        return
    for start in range(0, min(len(content), 512 * 40) - 511, 512):
        if content[start + 257 : start + 262] == b"ustar" or content[start + 148 : start + 154].strip(b" \0").isdigit():
            content[start + 148 : start + 156] = b" " * 8
            content[start + 148 : start + 156] = f"{sum(content[start : start + 512]):06o}\0 ".encode()


def memory() -> int:
    """The most memory that this process has had, in KiB."""
    told = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(told.partition("VmHWM:")[2].split()[0])


def failed(name: str, content: bytes, why: str) -> int:
    print(f"{name}: {why}\n{base64.b85encode(zlib.compress(content, 9)).decode()}  (zlib, base85)")
    return 1


if __name__ == "__main__":
    told = [float(word) for word in sys.argv[1:]]
    sys.exit(main(told[0] if told else 600, int(told[1]) if told[1:] else random.randrange(1 << 30)))
