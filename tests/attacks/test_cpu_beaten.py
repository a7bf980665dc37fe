# SPDX-License-Identifier: GPL-2.0-or-later
"""FC02: something more specific than the profile's ``cpu`` chooses a newer one for a package. It is not merged.

Seen failing on dfeccc0, but for the test of ``patch try``, which was not run on it:
the package was built for the newer CPU and merged with status 0, and the filter
then refused the very binary package for that profile.
"""

import json
import re
from pathlib import Path

import pytest
from helpers import cpus

from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.demo_host.host import write

pytestmark = pytest.mark.skipif(cpus.NOT_X86, reason="the CPUs that are named here are of x86")

_EBUILD = """EAPI=8
DESCRIPTION="A program that says nothing"
HOMEPAGE="https://example.invalid"
S="${{WORKDIR}}"
LICENSE="GPL-2+"
SLOT="0"
KEYWORDS="amd64 x86"
IUSE="cpu_flags_x86_avx2 cpu_flags_x86_sse2"
{more}
src_compile() {{
	{compile}
}}
src_install() {{
	dobin p
}}
"""
_COMPILES = """printf 'int main(void) { return 0; }' > p.c || die
	printf 'p: p.c\\n\\t$(CC) $(CFLAGS) -o p p.c\\n' > Makefile || die
	emake CC="${CHOST}-gcc" CFLAGS="${CFLAGS}"
"""
NEWER = "-march=x86-64-v3"
OLD = 'cpu = "x86-64"\nroot = "{root}"\nlayers = ["fast"]\n'
WAYS = {
    "an env file": {"env/fast": f'A="1"\nCFLAGS="-O2 {NEWER}"\n', "package.env": "app-demo/probe fast\n"},
    "an env file for all": {"env/fast": f'CFLAGS="-O2 {NEWER}"\n', "package.env/x": "*/* fast\n"},
    "an env file with a variable": {
        "make.conf": f'FAST="{NEWER}"\n',
        "env/fast": 'CFLAGS="-O2 ${FAST}"\n',
        "package.env": "app-demo/probe fast\n",
    },
    "a single feature": {"env/fast": 'CFLAGS="${CFLAGS} -mavx2"\n', "package.env": "app-demo/probe fast\n"},
    "words for make": {"env/fast": f'EXTRA_EMAKE="CFLAGS={NEWER}"\n', "package.env": "app-demo/probe fast\n"},
    "words for configure": {"env/fast": f"EXTRA_ECONF=\"CFLAGS='{NEWER}'\"\n", "package.env": "app-demo/probe fast\n"},
    "words for make in make.conf": {"make.conf": f'EXTRA_EMAKE="CFLAGS={NEWER}"\n'},
    "a script of the package": {"env/app-demo/probe": f'export CFLAGS="{NEWER}"\n'},
    "a bashrc": {"bashrc": f'# mine\n[[ ${{PN}} == probe ]] && export CFLAGS="{NEWER}"\n'},
    "a USE flag": {"package.use/x": "app-demo/probe cpu_flags_x86_avx2\n"},
    "a USE flag of USE_EXPAND": {"package.use/x": "app-demo/probe CPU_FLAGS_X86: avx2\n"},
}
"""What beats the CPU -> files of a layer."""
WHERE = {
    "an env file": "env/fast:2", "an env file for all": "env/fast:1", "an env file with a variable": "env/fast:1",
    "a single feature": "env/fast:1", "words for make": "env/fast:1", "words for configure": "env/fast:1",
    "words for make in make.conf": "make.conf:1", "a script of the package": "env/app-demo/probe:1",
    "a bashrc": "bashrc:2", "a USE flag": "package.use/x:1", "a USE flag of USE_EXPAND": "package.use/x:1",
}  # fmt: skip
"""What beats the CPU -> the line that does it."""


@pytest.fixture
def probe(host: Host) -> Host:
    """A host with a package that compiles one file with CFLAGS."""
    write_ebuild(host, "probe")
    return host


def write_ebuild(host: Host, name: str, *, compiled: str = _COMPILES, more: str = "") -> None:
    ebuild = host.repository / "app-demo" / name / f"{name}-1.ebuild"
    write(ebuild, _EBUILD.format(compile=compiled, more=more))


def lay(host: Host, root: Path, files: dict[str, str], *, more: str = "") -> None:
    """Write a profile of an old CPU with a layer of these files."""
    shown = {f"fast/{name}": text for name, text in files.items()}
    host.profile("old", OLD.format(root=root) + more, {"fast/make.conf": 'CFLAGS="-O2"\n', **shown})


def installed(host: Host, root: Path) -> list[str]:
    """The packages of the demo that a root has."""
    return sorted(path.name for path in (host.eroot(root) / "var/db/pkg").glob("*-demo/*"))


def failed(ended, place: str = "") -> None:
    """The run failed for this reason, and named the line."""
    told = ended.out + ended.err
    assert ended.status == 1, told
    assert "[cpu-exceeded]" in told
    assert not place or f"{place}: " in told, told


@pytest.mark.parametrize("way", WAYS)
def test_a_package_above_the_cpu_is_neither_merged_nor_packaged(probe: Host, on, tmp_path: Path, way: str):
    root = tmp_path / "root"
    lay(probe, root, WAYS[way])

    ended = on("gm-emerge", "--gm-profile=old", "--usepkg=n", "-1q", "probe")
    lint = on("gentoomuch", "profile", "lint", "old", "--json")

    failed(ended, f"{probe.config}/layers/fast/{WHERE[way]}")
    assert installed(probe, root) == []
    assert list(probe.pkgdir.rglob("probe*.gpkg.tar")) == []
    places = {f"{one['file']}:{one['line']}" for found in json.loads(lint.out) for one in found["places"]}
    assert f"{probe.config}/layers/fast/{WHERE[way]}" in places


def test_the_host_below_a_profile_beats_its_cpu_no_more_than_a_layer(probe: Host, on, tmp_path: Path):
    lay(probe, tmp_path / "root", {})
    probe.write("env/fast", f'CFLAGS="{NEWER}"\n')
    probe.write("package.env", "app-demo/probe fast\n")

    failed(on("gm-emerge", "--gm-profile=old", "--usepkg=n", "-1q", "probe"), f"{probe.etc}/env/fast:1")


def test_only_the_package_above_the_cpu_fails_with_all_options(probe: Host, on, tmp_path: Path):
    root = tmp_path / "root"
    lay(probe, root, WAYS["an env file"])
    write_ebuild(probe, "other")

    failed(on("gm-emerge", "--gm-profile=old", "--usepkg=n", "-1q", "--buildpkgonly", "probe"))
    assert list(probe.pkgdir.rglob("probe*.gpkg.tar")) == []
    failed(on("gm-emerge", "--gm-profile=old", "--usepkg=n", "-1q", "probe", "other"))
    failed(on("gm-emerge", "--gm-profile=old", "--resume", "-q"))
    assert installed(probe, root) == []
    failed(on("gm-emerge", "--gm-profile=old", "--usepkg=n", "-1q", "--keep-going", "probe", "other"))
    assert installed(probe, root) == ["other-1"]
    failed(on("gm-emerge", "--gm-profile=old", "--usepkg=n", "-1q", "probe", FEATURES="keepwork"))


def test_a_package_above_the_cpu_fails_in_a_container_too(probe: Host, on, tmp_path: Path):
    root = tmp_path / "root"
    lay(probe, root, WAYS["an env file"], more='isolation = "auto"\n')
    ended = on("gm-emerge", "--gm-profile=old", "--usepkg=n", "-1q", "probe")
    if "no container type works here" in ended.err:
        pytest.skip("no container type works here")

    failed(ended, "env/fast:2")
    assert installed(probe, root) == []
    assert list(probe.pkgdir.rglob("probe*.gpkg.tar")) == []


def test_audit_finds_flags_of_a_makefile(probe: Host, on, tmp_path: Path):
    root = tmp_path / "root"
    code = "printf 'long f(int *a) { long s = 0; for (int i = 0; i < 64; i++) s += a[i] * 3; return s; }"
    code += " int main(int c, char **v) { int a[64] = {c}; (void)v; return (int)f(a); }' > p.c || die\n"
    write_ebuild(probe, "wide", compiled=code + '\t"${CHOST}-gcc" ${CFLAGS} -O3 -mavx2 -o p p.c || die\n')
    lay(probe, root, {}, more="[binpkg]\naudit = true\n")

    ended = on("gm-emerge", "--gm-profile=old", "--usepkg=n", "-1q", "wide")
    other = on("gm-emerge", "--gm-profile=old", "--usepkg=n", "-1q", "probe")

    failed(ended)
    assert re.search(r"machine code that needs .*avx2 in \S+/bin/p: ", ended.out + ended.err)
    assert other.status == 0, other.err
    assert installed(probe, root) == ["probe-1"]


WITHIN = {
    "flags that the CPU has": {"env/fast": 'CFLAGS="-O3 -msse2"\n', "package.env": "app-demo/probe fast\n"},
    "flags of another package": {"env/fast": f'CFLAGS="{NEWER}"\n', "package.env": "app-demo/other fast\n"},
    "a USE flag of every CPU": {"package.use": "app-demo/probe cpu_flags_x86_sse2 -cpu_flags_x86_avx2\n"},
    "words without a flag": {"env/fast": 'EXTRA_ECONF="--with-mavx2 --mandir=/m"\n', "package.env": "*/* fast\n"},
    "a compiler that is only tuned": {
        "env/fast": 'CFLAGS="-O2 -mtune=haswell"\n',
        "package.env": "app-demo/probe fast\n",
    },
}


@pytest.mark.parametrize("what", WITHIN)
def test_a_package_for_the_cpu_is_merged(probe: Host, on, tmp_path: Path, what: str):
    lay(probe, tmp_path / "root", WITHIN[what])

    ended = on("gm-emerge", "--gm-profile=old", "--usepkg=n", "-1q", "probe")

    assert ended.status == 0, ended.out + ended.err
    assert installed(probe, tmp_path / "root") == ["probe-1"]


def test_a_package_with_run_time_dispatch_is_merged(probe: Host, on, tmp_path: Path):
    wide = '__attribute__((target("avx2"))) int wide(int a) { return a * 3; }'
    main = 'int main(int c, char **v) { (void)v; return __builtin_cpu_supports("avx2") ? wide(c) : c; }'
    compiled = f"""printf '%s' '{wide} {main}' > p.c || die
	"${{CHOST}}-gcc" ${{CFLAGS}} -o p p.c || die"""
    write_ebuild(probe, "chosen", compiled=compiled)
    lay(probe, tmp_path / "root", {}, more="[binpkg]\naudit = true\n")

    ended = on("gm-emerge", "--gm-profile=old", "--usepkg=n", "-1q", "chosen")

    assert ended.status == 0, ended.out + ended.err


def test_without_cpu_this_machine_can_build_for_itself(probe: Host, on, tmp_path: Path):
    probe.profile("here", "layers = ['fast']\n", {"fast/env/fast": 'CFLAGS="-O2 -march=native"\n'})
    write(probe.config / "layers/fast/package.env", "app-demo/probe fast\n")

    ended = on("gm-emerge", "--gm-profile=here", "--usepkg=n", "-1q", "probe")
    again = on("gm-emerge", "--gm-profile=here", "-1qk", "probe")
    why = on("gentoomuch", "binpkg", "ls", "--json", GM_PROFILE="here")

    assert (ended.status, again.status) == (0, 0), ended.err + again.err
    assert on("gentoomuch", "profile", "lint", "here").status == 0
    assert json.loads(why.out)


def test_a_build_fails_exactly_if_the_filter_would_reject_its_package(probe: Host, on, tmp_path: Path):
    probe.profile("new", f'cpu = "x86-64-v3"\nroot = "{tmp_path / "new"}"\n')
    lay(probe, tmp_path / "root", WAYS["an env file"])
    assert on("gm-emerge", "--gm-profile=new", "--usepkg=n", "-1qB", "probe").status == 0

    filtered = on("gm-emerge", "--gm-profile=old", "-1qK", "probe")
    built = on("gm-emerge", "--gm-profile=old", "--usepkg=n", "-1q", "probe")

    missing = re.compile(r"needs (avx2\S*, [^(]*)\(")
    refused, rejected = (missing.search(one.out + one.err) for one in (filtered, built))
    assert refused is not None
    assert rejected is not None
    assert refused[1] == rejected[1]


def test_a_patch_is_not_tried_with_code_for_another_cpu(host: Host, on, tmp_path: Path):
    root = tmp_path / "root"
    lay(host, root, {"env/fast": f'CFLAGS="{NEWER}"\n', "package.env": "app-demo/gm-hello fast\n"})
    assert on("emerge", "-1q", "libgreet").status == 0
    tree = Path(on("gentoomuch", "patch", "prep", "mine", "gm-hello", "--profile", "old").out.strip())
    (tree / "hello.c").write_text((tree / "hello.c").read_text() + "\n/* mine */\n")

    ended = on("gentoomuch", "patch", "try", "mine", "--profile", "old")

    assert ended.status == 70, ended.out + ended.err
    assert "[cpu-exceeded]" in ended.err
    assert f"{host.config}/layers/fast/env/fast:1: " in ended.err
