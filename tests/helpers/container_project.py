# SPDX-License-Identifier: GPL-2.0-or-later
"""A project whose program says on which machine it was built, and somebody's yes to it."""

from pathlib import Path

from helpers.project import EBUILD, Project

from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.dotgentoo import trust

WHERE = "src_compile() {\n\tcat /proc/sys/kernel/hostname > where || die\n"


def made(path: Path) -> Project:
    """It needs libgreet for building, and installs the name of the machine that it was built on."""
    project = Project(path)
    text = EBUILD.replace("src_compile() {\n", WHERE).replace("dobin greet", "dobin greet\n\tdodoc where")
    project.write(".gentoo/app-misc/greet/greet-99999.ebuild", f'{text}\nDEPEND="dev-demo/libgreet"\n')
    return project


def allow(project: Project, host: Host, on) -> None:
    """Say yes to the project's folder, as it is now."""
    identity = on("gentoomuch", "dotgentoo", "id", project.path).out.strip()
    state = host.eprefix / "var/lib/gentoomuch"
    trust.add_record(state, trust.TrustRecord(identity, "2026-01-01", str(project.path)))


def where(host: Host) -> str:
    """The name of the machine that it was built on."""
    return (host.eprefix / "usr/share/doc/greet-99999/where").read_text().strip()
