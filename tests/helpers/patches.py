# SPDX-License-Identifier: GPL-2.0-or-later
"""Patches and packages for the tests of patch sets."""

from pathlib import Path

from gentoomuch_portage import demo_host
from gentoomuch_portage.demo_host import Host

EBUILD = """EAPI={eapi}
DESCRIPTION="{name}"
HOMEPAGE="https://example.org"
SRC_URI="{uris}"
LICENSE="GPL-2+"
SLOT="{slot}"
KEYWORDS="amd64 arm64 ppc64 riscv"
{more}
"""

APP = "dev-demo/app"
MAKE = (
    "app: main.c other.o\n\t$(CC) $(CFLAGS) -o $@ main.c other.o\n"
    "other.o: other.c\n\t$(CC) $(CFLAGS) -c -o $@ other.c\n"
)
MAIN = """#include <stdio.h>
int other(void);
int main(void)
{
	puts("plain");
	return other();
}
"""
BROKEN = MAIN.replace("int main", "#ifdef STRICT\n#define puts strict_puts(\n#endif\nint main")
INSTALL = 'src_compile() { emake CC="${CHOST}-gcc"; }\nsrc_install() { dobin app; }\n'


def put(host: Host, name: str, text: str | bytes) -> Path:
    """Write ``SET/CAT/PACKAGE/FILE`` of a patch set."""
    file = host.config / "patches" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def greeting(was: str, now: str, *, before: str = "a/", after: str = "b/", line: int = 8) -> str:
    """A patch of libgreet: what it says."""
    return (
        f"--- {before}greet.c\n+++ {after}greet.c\n@@ -{line},3 +{line},3 @@\n"
        f' #else\n-\treturn "{was}";\n+\treturn "{now}";\n #endif\n'
    )


def package(
    host: Host, cpv: str, files: dict[str, str | bytes], *, slot: str = "0", eapi: str = "8", more: str = ""
) -> Path:
    """Write an ebuild, with sources of its own: path within ``P/`` -> content; an executable ends in ``.sh``."""
    category, pf = cpv.split("/")
    p = pf.rsplit("-r", 1)[0] if "-r" in pf else pf
    name = p.rsplit("-", 1)[0]
    sources = host.folder / "sources" / p
    for path, content in files.items():
        file = sources / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        file.chmod(0o755 if path.endswith(".sh") else 0o644)
    folder = host.repository / category / name
    folder.mkdir(parents=True, exist_ok=True)
    if files:
        demo_host.pack(sources, host.distdir / f"{p}.tar.gz")
    archives = [
        host.distdir / f"{one}.tar.gz" for one in {p, *_packed(folder)} if (host.distdir / f"{one}.tar.gz").is_file()
    ]
    demo_host.manifest(folder, archives)
    ebuild = folder / f"{pf}.ebuild"
    ebuild.write_text(EBUILD.format(name=name, slot=slot, eapi=eapi, more=more, uris=f"{p}.tar.gz" if files else ""))
    return ebuild


def _packed(folder: Path) -> set[str]:
    manifest = folder / "Manifest"
    lines = manifest.read_text().splitlines() if manifest.is_file() else []
    return {line.split()[1].removesuffix(".tar.gz") for line in lines}


def make_app(host: Host) -> Host:
    """Version 2.0 does not compile where STRICT is defined, as it is for the profiles ``strict`` and ``also``."""
    package(
        host,
        f"{APP}-1.0",
        {"main.c": MAIN, "other.c": "int other(void) { return 0; }\n", "Makefile": MAKE},
        more=INSTALL,
    )
    package(
        host,
        f"{APP}-2.0",
        {"main.c": BROKEN, "other.c": "int other(void) { return 0; }\n", "Makefile": MAKE},
        more=INSTALL,
    )
    host.profile("strict", 'layers = ["strict"]\n', {"strict/make.conf": 'CFLAGS="${CFLAGS} -DSTRICT"\n'})
    host.profile("plain", "")
    return host


def prepared(ended) -> Path:
    assert ended.status == 0, ended.err
    return Path(ended.out.strip())
