# SPDX-License-Identifier: GPL-2.0-or-later
"""What has to be whole after a run that was shared or killed."""

import gzip
import hashlib
import io
import json
import os
import random
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from gentoomuch_portage.configroot import build
from gentoomuch_portage.demo_host import Host

TELLER = """EAPI=8
DESCRIPTION="Says what it was built with"
HOMEPAGE="https://example.org"
S="${WORKDIR}"
LICENSE="GPL-2+"
SLOT="0"
KEYWORDS="amd64 arm64 ppc64 riscv"
IUSE="shout"

src_compile() {
	printf '#include <stdio.h>\\nint main(void) { return puts("%s | %s") < 0; }\\n' \\
		"${CFLAGS}" "$(usex shout loud quiet)" > teller.c || die
	${CHOST}-gcc ${CFLAGS} -o teller teller.c || die
}

src_install() {
	mkdir -p "${ED}/usr/bin" || die
	cp teller "${ED}/usr/bin" || die
}
"""


@dataclass(frozen=True)
class Package:
    """A binary package, as it lies in PKGDIR."""

    flags: str
    use: frozenset[str]
    program: bytes

    @classmethod
    def read(cls, path: Path) -> "Package":
        """Source: GLEP 78; the inner archives are packed by gzip (BINPKG_COMPRESS)."""
        inner: dict[str, bytes] = {}
        with tarfile.open(path) as outer:
            for member in outer:
                kind = member.name.rpartition("/")[2].partition(".")[0]
                if kind in {"metadata", "image"}:
                    inner[kind] = gzip.decompress(outer.extractfile(member).read())
        with tarfile.open(fileobj=io.BytesIO(inner["metadata"])) as metadata:
            told = {one.name.rpartition("/")[2]: metadata.extractfile(one).read() for one in metadata if one.isfile()}
        with tarfile.open(fileobj=io.BytesIO(inner["image"])) as image:
            program = next(image.extractfile(one).read() for one in image if one.name.endswith("usr/bin/teller"))
        return cls(told["CFLAGS"].decode().strip(), frozenset(told["USE"].decode().split()), program)


@pytest.fixture
def teller(host: Host) -> Host:
    """A host with a package that compiles in no time and says what it was built with."""
    file = host.repository / "app-demo/teller/teller-1.ebuild"
    file.parent.mkdir(parents=True)
    file.write_text(TELLER)
    conf = host.etc / "make.conf"
    conf.write_text(conf.read_text() + 'BINPKG_COMPRESS="gzip"\n')
    return host


@pytest.fixture
def chance() -> random.Random:
    """Chance that can be had again: the seed is printed, and taken from GM_TEST_SEED."""
    seed = int(os.environ.get("GM_TEST_SEED") or random.SystemRandom().randrange(10**9))
    print(f"\nGM_TEST_SEED={seed}")
    return random.Random(seed)


def index(host: Host) -> list[dict[str, str]]:
    """The entries of PKGDIR/Packages."""
    text = (host.pkgdir / "Packages").read_text()
    entries = [dict(line.split(": ", 1) for line in part.splitlines() if ": " in line) for part in text.split("\n\n")]
    return [entry for entry in entries if "CPV" in entry]


def index_faults(host: Host) -> list[str]:
    """What PKGDIR/Packages says that is not so."""
    if not (host.pkgdir / "Packages").exists():
        return []
    faults = []
    for entry in index(host):
        path = host.pkgdir / entry["PATH"]
        if not path.is_file():
            faults.append(f"{entry['PATH']} is in the index and not there")
        elif entry["SIZE"] != str(path.stat().st_size) or entry["MD5"] != hashlib.md5(path.read_bytes()).hexdigest():
            faults.append(f"{entry['PATH']} is not what the index says")
    return faults


def tree(folder: Path) -> dict[str, bytes]:
    """Each file below a folder with what it holds."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def vdb_faults(vdb: Path, *, only: str = "*/[!-]*") -> list[str]:
    """Packages that are not installed as they are said to be. A folder ``-MERGING-*`` is a merge that did not end."""
    faults = []
    for package in sorted(vdb.glob(only)) or [vdb / only]:
        for line in (package / "CONTENTS").read_text().splitlines() if (package / "CONTENTS").exists() else ["none"]:
            match line.split(" "):
                case ["dir", *name]:
                    good = Path(" ".join(name)).is_dir()
                case ["obj", *name, digest, _]:
                    file = Path(" ".join(name))
                    good = file.is_file() and hashlib.md5(file.read_bytes()).hexdigest() == digest
                case _:
                    good = False
            if not good:
                faults.append(f"{package.relative_to(vdb)}: {line}")
    return faults


def configroot_faults(cache: Path) -> list[str]:
    """Configroots that do not hold what their name says."""
    named = [path for path in (cache / "configroots").glob("[!.]*") if path.is_dir()]
    return [path.name for path in named if build._digest(path / "etc/portage") != path.name.partition("-")[0]]


def state_faults(state: Path) -> list[str]:
    """Files of state that cannot be read."""
    faults = []
    for file in (*state.rglob("*.jsonl"), *state.rglob("mtimedb")):
        for line in file.read_text().splitlines() if file.suffix == ".jsonl" else [file.read_text()]:
            try:
                json.loads(line)
            except ValueError:
                faults.append(f"{file.relative_to(state)}: {line!r}")
    return faults


@pytest.fixture
def stress() -> object:
    """The functions of this file."""
    import sys

    return sys.modules[__name__]
