# SPDX-License-Identifier: GPL-2.0-or-later
"""A project with a .gentoo folder, for the hosts of tests: a small program in C, built by make."""

import re
import subprocess
from pathlib import Path

from gentoomuch_portage.demo_host import Host

EBUILD = """EAPI=8

inherit dotgentoo

DESCRIPTION="A program that greets"
HOMEPAGE="https://example.org"
LICENSE="GPL-2+"
SLOT="0"
IUSE="loud"

src_compile() {
	emake CC="${CHOST}-gcc" GREETING="$(usex loud HELLO hello)"
}

src_install() {
	dobin greet
	newdoc - version <<<"${DOTGENTOO_VERSION}"
}
"""
MAKEFILE = "greet: greet.c\n\t$(CC) $(CFLAGS) -DGREETING='\"$(GREETING)\"' -o $@ $<\n"
SOURCE = '#include <stdio.h>\nint main(void) { puts(GREETING " one"); return 0; }\n'


class Project:
    """A small program in C with a .gentoo folder, in git."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write(".gentoo/app-misc/greet/greet-99999.ebuild", EBUILD)
        self.write("Makefile", MAKEFILE)
        self.write("greet.c", SOURCE)
        self.write(".gitignore", "*.o\n/greet\n")

    def write(self, name: str, text: str) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def edit(self, text: str) -> None:
        self.write("greet.c", SOURCE.replace("one", text))

    def commit(self) -> None:
        git(self.path, "init", "-q")
        git(self.path, "add", "-A")
        git(self.path, "commit", "-q", "-m", "one")


def git(path: Path, *words: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", "-C", path, *who, *words], check=True, capture_output=True)


def says(host: Host, on) -> str:
    """What the installed program says."""
    return on(host.eprefix / "usr/bin/greet").out.strip()


def built(shown: str) -> int:
    """How many packages were compiled."""
    return len(re.findall(r"^>>> Compiling source", shown, re.M))


def tree(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}
