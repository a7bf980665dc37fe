# SPDX-License-Identifier: GPL-2.0-or-later
"""Worlds for tests on a host: packages whose machine code is looked at, and instances of one by the dozen."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.instances import PKG, TEN
from helpers.repack import Changes, instance

from gentoomuch_portage import demo_host
from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.demo_host.host import write

_EBUILD = """EAPI=8

DESCRIPTION="A loop for compilers to make vectors of"
HOMEPAGE="https://github.com/gentoomuch/gentoomuch-portage"
S="${{WORKDIR}}"

LICENSE="GPL-2+"
SLOT="0"
KEYWORDS="amd64 arm64 ppc64 riscv x86"
{more}

src_compile() {{
	cp "${{FILESDIR}}"/* . || die
	emake CC="${{CHOST}}-gcc" AR="${{CHOST}}-ar"
}}

src_install() {{
	emake DESTDIR="${{D}}" PREFIX="${{EPREFIX}}/usr" install
}}
"""
_MAKEFILE = """loops: loops.c
	$(CC) $(CFLAGS) -O3 {flags} $(LDFLAGS) -o $@ loops.c

install: loops
	install -D loops $(DESTDIR)$(PREFIX)/bin/loops
"""
_LOOPS = """#include <stdio.h>

__attribute__((noipa)) static long total(const int *values, int count)
{
	long sum = 0;
	for (int at = 0; at < count; at++)
		sum += values[at] * 3;
	return sum;
}

int main(int argc, char **argv)
{
	int values[256];
	(void)argv;
	for (int at = 0; at < 256; at++)
		values[at] = at * argc;
	printf("%ld\\n", total(values, 256));
	return 0;
}
"""
"""Prints 97920; with -O3 both functions are vectorised."""
_CHOSEN = """#include <stdio.h>

__attribute__((noinline, target("avx2"))) static void thrice(int *values, int count)
{
	for (int at = 0; at < count; at++)
		values[at] *= 3;
}

__attribute__((target("avx2"))) static void wide(int *values, int count)
{
	for (int at = 0; at < count; at++)
		values[at] += at;
	thrice(values, count);
}

static void narrow(int *values, int count)
{
	for (int at = 0; at < count; at++)
		values[at] = (values[at] + at) * 3;
}

static void (*choose(void))(int *, int)
{
	__builtin_cpu_init();
	return __builtin_cpu_supports("avx2") ? wide : narrow;
}

void change(int *values, int count) __attribute__((ifunc("choose")));

__attribute__((target_clones("avx2", "arch=haswell", "default"))) long total(const int *values, int count)
{
	long sum = 0;
	for (int at = 0; at < count; at++)
		sum += values[at] * 5;
	return sum;
}

int main(int argc, char **argv)
{
	int values[256];
	(void)argv;
	for (int at = 0; at < 256; at++)
		values[at] = argc;
	change(values, 256);
	printf("%ld\\n", total(values, 256));
	return 0;
}
"""
"""An ifunc pair, what one of them calls, and target_clones."""


Loops = Callable[..., None]


@pytest.fixture
def loops(host: Host) -> Loops:
    """Write a package of one program, ``app-demo/NAME-1.0``: ``loops("name", flags="-mavx2")``.

    ``flags`` are what its own Makefile adds to CFLAGS, ``more`` are lines of its ebuild, ``chosen`` makes it one whose
    wide code is chosen by the loader.
    """

    def lay(name: str, *, chosen: bool = False, flags: str = "", more: str = "") -> None:
        package = host.repository / "app-demo" / name
        write(package / f"{name}-1.0.ebuild", _EBUILD.format(more=more))
        write(package / "files/loops.c", _CHOSEN if chosen else _LOOPS)
        write(package / "files/Makefile", _MAKEFILE.format(flags=flags))

    return lay


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One real package of each format."""
    host = demo_host.make(tmp_path_factory.mktemp("built") / "host")
    found = {}
    for form, suffix in (("xpak", ".xpak"), ("gpkg", ".gpkg.tar")):
        argv = [Path(sys.executable).parent / "emerge", "-B1q", PKG]
        subprocess.run(argv, env=host.env(BINPKG_FORMAT=form, BINPKG_COMPRESS="zstd"), check=True, capture_output=True)
        (found[form],) = (host.pkgdir / PKG).glob(f"*{suffix}")
    return found


@pytest.fixture(params=["gpkg", "xpak"])
def form(request: pytest.FixtureRequest) -> str:
    """Each format."""
    return request.param


@pytest.fixture
def fill(host: Host, on, built, form) -> Callable[..., Path]:
    """Makes a PKGDIR of instances, the newest first."""

    def make(folder: Path, all_of: tuple[Changes, ...] = TEN, *, first: int = 1) -> Path:
        for number, changes in enumerate(reversed(all_of)):
            instance(built[form], folder, first + number, changes)
        ended = on("emaint", "binhost", "--fix", PKGDIR=str(folder))
        assert ended.status == 0, ended.err
        return folder

    return make


@pytest.fixture
def emerge(host: Host, on) -> Callable[..., tuple[int, str]]:
    """Runs gm-emerge for a machine of x86-64: its status, and all that it says."""
    host.profile("old", 'cpu = "x86-64"\nlayers = ["old"]\n', {"old/make.conf": 'CFLAGS="-O2"\n'})
    host.profile("plain", 'cpu = "x86-64"\n[binpkg]\nuse = false\n')

    def run(*words: str, profile: str = "old", **env: str) -> tuple[int, str]:
        ended = on("gm-emerge", f"--gm-profile={profile}", *words, **env)
        return ended.status, ended.out + ended.err

    return run
