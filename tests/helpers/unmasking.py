# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages that something masks, and emerge asked at a terminal, for the tests of unmasking."""

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from helpers.waiting import HANG

from gentoomuch_portage.demo_host import Host

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


def installed(host: Host, cpv: str, *, use: str = "") -> None:
    """Let /var/db/pkg and world say that a package of the host's repository is installed, without building it."""
    category, pf = cpv.split("/")
    name = pf.rsplit("-", 1)[0]
    folder = host.vdb / cpv
    folder.mkdir(parents=True)
    ebuild = (host.repository / category / name / f"{pf}.ebuild").read_text()
    told = dict(re.findall(r'^(EAPI|SLOT|KEYWORDS|LICENSE|IUSE)="?(.*?)"?$', ebuild, re.M))
    told |= {"CATEGORY": category, "PF": pf, "USE": use, "COUNTER": "1", "CONTENTS": "", "repository": "gm-demo"}
    for key, value in told.items():
        (folder / key).write_text(f"{value}\n" if value else "")
    (folder / f"{pf}.ebuild").write_text(ebuild)
    world = host.eprefix / "var/lib/portage/world"
    world.write_text(f"{world.read_text() if world.exists() else ''}{category}/{name}\n")


def unmasked(host: Host, profile: str, *entries: dict[str, str]) -> None:
    """Write the ledger of a profile."""
    file = host.eprefix / f"var/lib/gentoomuch/{profile}/unmask.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps([{"value": "", "required_by": [], "since": "2026-11-21", **one} for one in entries]))


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
    program.wait(timeout=HANG)
    os.close(mine)
    return shown.decode()


def ledger_of(host: Host, profile: str) -> list[dict]:
    return json.loads((host.eprefix / f"var/lib/gentoomuch/{profile}/unmask.json").read_text())
