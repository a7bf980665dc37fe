# SPDX-License-Identifier: GPL-2.0-or-later
"""A1: an audit of machine code is right about programs that were linked with other C libraries than this machine's."""

import platform
import subprocess
from collections.abc import Callable, Iterator

import pytest
from helpers import realhost

from gentoomuch_portage.audit.report import Finding
from gentoomuch_portage.audit.scan_file import scan_bytes

pytest.importorskip("iced_x86", reason="the extra 'audit' is not installed")
pytest.importorskip("elftools", reason="the extra 'audit' is not installed")
pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="its compiler writes no x86 code")

HELLO = 'int puts(const char *); int main(void) { return puts("hello") < 0; }'
OWN = """
int printf(const char *, ...);
__attribute__((noipa)) int total(const int *values, int count)
{
	int sum = 0;
	for (int at = 0; at < count; at++)
		sum += values[at];
	return sum;
}
int main(int count, char **words) { return printf("%d", total((int *)words, count)) < 0; }
"""
ASKED = """
#define THRICE for (int at = 0; at < 64; at++) values[at] *= 3
__attribute__((target("avx2"), noipa)) static void wide(int *values) { THRICE; }
__attribute__((noipa)) static void narrow(int *values) { THRICE; }
int main(int count, char **words)
{
	__builtin_cpu_init();
	(__builtin_cpu_supports("avx2") ? wide : narrow)((int *)words);
	return count;
}
"""
LINKED = {"dynamic": [], "static": ["-static"], "static-pie": ["-static-pie"]}
Compile = Callable[..., tuple[Finding, ...]]


@pytest.fixture(scope="module", params=realhost.SUITES)
def convicted(request: pytest.FixtureRequest) -> Iterator[Compile]:
    """Compile C with the gcc and glibc of a Debian suite: ``convicted(OWN, "-static")`` gives what is used plainly."""
    try:
        root = realhost.compiler(request.param, realhost.kept(request.config))
    except realhost.NoHost as why:
        pytest.skip(str(why))

    def compile_c(source: str, *flags: str) -> tuple[Finding, ...]:
        made = root / "tmp/made"
        words = ["chroot", root, "gcc", "-O3", "-march=x86-64", *flags, "-x", "c", "-", "-o", "/tmp/made"]
        subprocess.run(words, input=source, text=True, check=True, env={"PATH": "/usr/bin:/usr/sbin:/bin:/sbin"})
        report = scan_bytes("made", made.read_bytes())
        assert report.size > 100
        return report.plain

    yield compile_c
    (root / "tmp/made").unlink(missing_ok=True)


@pytest.mark.parametrize("linked", LINKED)
@pytest.mark.parametrize("strip", [[], ["-s"]], ids=["symbols", "stripped"])
def test_the_c_library_convicts_no_hello_world(convicted: Compile, linked: str, strip: list[str]):
    """A1: on dfeccc0 a static stripped hello world is convicted with glibc 2.41 and 2.43."""
    assert convicted(HELLO, *LINKED[linked], *strip) == ()


@pytest.mark.parametrize("linked", LINKED)
@pytest.mark.parametrize("strip", [[], ["-s"]], ids=["symbols", "stripped"])
def test_own_avx2_code_is_convicted_whatever_library_is_linked_in(convicted: Compile, linked: str, strip: list[str]):
    """A1: on dfeccc0 a static program with symbols is acquitted with glibc 2.43."""
    findings = convicted(OWN, "-mavx2", *LINKED[linked], *strip)

    assert findings
    assert {feature for finding in findings for feature in finding.features} == {"AVX", "AVX2"}
    if not strip:
        assert "total" in {finding.where.partition(".")[0] for finding in findings}


@pytest.mark.parametrize("linked", LINKED)
def test_a_program_that_asks_the_cpu_itself_is_not_convicted(convicted: Compile, linked: str):
    """A1: what convicts more must not convict a guarded function."""
    assert convicted(ASKED, *LINKED[linked]) == ()
