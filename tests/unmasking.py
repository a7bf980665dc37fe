"""Packages that something masks, and emerge asked at a terminal, for the tests of unmasking."""

import contextlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

from gentoomuch_portage.embedded import Host

BIN = Path(sys.executable).parent
EBUILD = """EAPI=8
DESCRIPTION="{name}"
HOMEPAGE="https://example.org"
S="${{WORKDIR}}"
LICENSE="{license}"
SLOT="0"
KEYWORDS="{keywords}"
IUSE="{iuse}"
RDEPEND="{rdepend}"
src_install() {{ insinto /usr/share/{name}; newins - it <<<"{name}"; }}
"""


def package(
    host: Host,
    cpv: str,
    *,
    keywords: str = "amd64 arm64 ppc64 riscv",
    iuse: str = "",
    rdepend: str = "",
    license: str = "GPL-2+",
) -> Path:
    """Write an ebuild into the host's repository."""
    category, pf = cpv.split("/")
    name = pf.rsplit("-", 1)[0]
    ebuild = host.repository / category / name / f"{pf}.ebuild"
    ebuild.parent.mkdir(parents=True, exist_ok=True)
    ebuild.write_text(EBUILD.format(name=name, keywords=keywords, iuse=iuse, rdepend=rdepend, license=license))
    return ebuild


def unstable() -> str:
    return "~amd64 ~arm64 ~ppc64 ~riscv"


def answered(host: Host, answer: str, *argv: str) -> str:
    """What a program shows on a terminal where somebody types an answer."""
    mine, its = pty.openpty()
    program = subprocess.Popen([str(BIN / argv[0]), *argv[1:]], env=host.env(), stdin=its, stdout=its, stderr=its)
    os.close(its)
    os.write(mine, answer.encode())
    shown = b""
    with contextlib.suppress(OSError):  # the terminal is gone when the program is
        while read := os.read(mine, 4096):
            shown += read
    program.wait(timeout=60)
    os.close(mine)
    return shown.decode()


def ledger_of(host: Host, profile: str) -> list[dict]:
    return json.loads((host.eprefix / f"var/lib/gentoomuch/{profile}/unmask.json").read_text())
