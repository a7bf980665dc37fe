# SPDX-License-Identifier: GPL-2.0-or-later
"""The loop: prep, edit, try, save, with real Portage at each end."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import damage
from helpers.containers import why_not
from helpers.patches import APP, BROKEN, INSTALL, MAIN, MAKE, make_app, package, prepared, put

from gentoomuch_portage import demo_host
from gentoomuch_portage.config import isolation_kinds
from gentoomuch_portage.demo_host import Host

BIN = Path(sys.executable).parent


@pytest.fixture
def app(host: Host) -> Host:
    return make_app(host)


@pytest.fixture
def some_kind() -> str:
    """The first kind of container that works here."""
    found = [one for one in isolation_kinds.AUTOMATIC if not why_not(one)]
    return found[0] if found else pytest.skip("; ".join(why_not(one) for one in isolation_kinds.AUTOMATIC))


def binpkg(ended) -> str:
    found = re.search(r"\[binary[^\]]*\] (\S+)", ended.out)
    return found[1].partition("::")[0] if found else ""


def prepared_before(ended) -> Path:
    """The work tree that is told though it is not done."""
    return Path(ended.out.strip())


def checked(on) -> list[dict]:
    return json.loads(on("gentoomuch", "patch", "check", "--json").out)


@pytest.mark.slow
def test_a_compile_error_is_mended_and_the_patch_stays_with_its_profiles(app: Host, on):
    assert on("gm-emerge", "--gm-profile=strict", "-q", APP).status == 1

    tree = prepared(on("gentoomuch", "patch", "prep", "mend", APP, "--profile=strict"))
    (tree / "main.c").write_text((tree / "main.c").read_text().replace("strict_puts(", "nonsense("))
    first = on("gentoomuch", "patch", "try", "mend", "--profile=strict")
    (tree / "main.c").write_text(MAIN.replace("plain", "mended"))
    second = on("gentoomuch", "patch", "try", "mend", "--profile=strict")
    saved = on("gentoomuch", "patch", "save", "mend", "-m", "Mend STRICT")

    assert first.status == 1
    assert "main.c:" in first.out
    assert "error" in first.out
    assert first.status != 0
    assert second.status == 0, second.out + second.err
    assert "builds incrementally" in second.err
    assert saved.out.strip() == str(app.config / "patches/mend" / APP / "app.patch")
    assert on("gentoomuch", "patch", "drop", "mend").status == 0
    assert not tree.exists()

    app.profile("strict", 'layers = ["strict"]\npatches = ["mend"]\n')
    app.profile("also", 'layers = ["strict"]\npatches = ["mend"]\n')
    assert on("gm-emerge", "--gm-profile=strict", "-q", APP).status == 0
    assert subprocess.check_output([app.eprefix / "usr/bin/app"], text=True) == "mended\n"
    assert on("gm-emerge", "--gm-profile=plain", "-q", APP).status == 0
    assert subprocess.check_output([app.eprefix / "usr/bin/app"], text=True) == "plain\n"

    strict, plain = (on("gm-emerge", f"--gm-profile={name}", "-p", APP) for name in ("strict", "plain"))
    assert (binpkg(strict), binpkg(plain)) == (f"{APP}-2.0-1", f"{APP}-2.0-2")
    assert binpkg(on("gm-emerge", "--gm-profile=also", "-p", APP)) == f"{APP}-2.0-1"
    why = {name: on("gentoomuch", "binpkg", "why", APP, f"--profile={name}").out for name in ("strict", "plain")}
    assert "patches: was built without the user patches of profile strict: 00-mend-app.patch" in why["strict"]
    assert "patches: was built with user patches that profile plain does not have: 00-mend-app.patch" in why["plain"]


PATCH = (
    f"From {'0' * 40} Mon Sep 17 00:00:00 2001\nFrom: Ada <ada@example.org>\nDate: Fri, 2 Jan 2026 03:04:05 +0000\n"
    "Subject: [PATCH] Say hello\n\n---\n--- a/main.c\n+++ b/main.c\n@@ -2,6 +2,6 @@\n"
    ' int other(void);\n int main(void)\n {\n-\tputs("plain");\n+\tputs("hello");\n \treturn other();\n }\n'
)


@pytest.mark.slow
def test_a_patch_is_brought_to_a_new_version_by_a_rebase(app: Host, on):
    put(app, f"hi/{APP}/hello.patch", PATCH)

    tree = prepared(on("gentoomuch", "patch", "prep", "hi", APP, "--from=1.0", "--profile=plain"))
    on("gentoomuch", "patch", "save", "hi")

    log = subprocess.check_output(["git", "-C", tree, "log", "--format=%an %s"], text=True)
    assert log.splitlines()[0] == "Ada Say hello"
    assert (tree / "main.c").read_text() == BROKEN.replace("plain", "hello")
    saved = (app.config / f"patches/hi/{APP}/hello.patch").read_text()
    assert "From: Ada <ada@example.org>\nDate: Fri, 2 Jan 2026 03:04:05 +0000\nSubject: [PATCH] Say hello\n" in saved
    assert "Made for: dev-demo/app-2.0::gm-demo\n" in saved


@pytest.mark.slow
def test_a_conflict_is_shown_as_git_shows_it_and_nothing_is_saved_before_it_is_solved(app: Host, on):
    put(app, f"hi/{APP}/hello.patch", PATCH)
    package(
        app, f"{APP}-3.0", {"main.c": MAIN.replace("plain", "other"), "Makefile": MAKE, "other.c": ""}, more=INSTALL
    )

    refused = on("gentoomuch", "patch", "prep", "hi", APP, "--profile=plain")
    ended = on("gentoomuch", "patch", "prep", "hi", APP, "--from=1.0", "--profile=plain")
    early = on("gentoomuch", "patch", "save", "hi")

    assert refused.status == 70
    assert "hello.patch does not apply to the sources of dev-demo/app-3.0: main.c: Hunk #1 FAILED" in refused.err
    assert ended.status == 1
    assert "CONFLICT (content): Merge conflict in main.c" in ended.err
    assert "a rebase is in progress in" in early.err
    assert early.status == 70

    tree = prepared_before(ended)
    assert "<<<<<<<" in (tree / "main.c").read_text()
    (tree / "main.c").write_text(MAIN.replace("plain", "hello, other"))
    goes_on = {"cwd": tree, "check": True, "capture_output": True, "env": {**os.environ, "GIT_EDITOR": "true"}}
    subprocess.run(["git", "add", "main.c"], **goes_on)
    subprocess.run(["git", "rebase", "--continue"], **goes_on)
    saved = on("gentoomuch", "patch", "save", "hi")

    assert saved.out.strip() == str(app.config / f"patches/hi/{APP}/hello.patch")
    assert "Subject: [PATCH] Say hello" in (app.config / f"patches/hi/{APP}/hello.patch").read_text()
    app.profile("plain", 'patches = ["hi"]\n')
    assert [one["package"] for one in checked(on)] == [f"{APP}-1.0", f"{APP}-2.0"]


@pytest.mark.slow
def test_saved_patches_reproduce_unusual_edits_in_portage(host: Host, on):
    files = {
        "one/with a space.c": b"one\r\ntwo\r\nthree\r\n",
        "one/gone.txt": "gone\n",
        "two/run.sh": "#!/bin/sh\n",
        "two/latin.txt": b"\xe4\xf6\n",
        ".gitattributes": "* text eol=lf\n",
    }
    more = 'S="${WORKDIR}"\nsrc_install() { insinto /usr/share/odd; doins -r odd-1.0 second; }\n'
    ebuild = package(host, "dev-demo/odd-1.0", files, more=more)
    second = host.folder / "sources/second"
    second.mkdir()
    (second / "b.c").write_text("second\n")
    demo_host.pack(second, host.distdir / "second.tar.gz")
    demo_host.manifest(ebuild.parent, [host.distdir / "second.tar.gz", host.distdir / "odd-1.0.tar.gz"])
    ebuild.write_text(ebuild.read_text().replace('SRC_URI="', 'SRC_URI="second.tar.gz '))
    host.profile("a", "")

    tree = prepared(on("gentoomuch", "patch", "prep", "odd", "=dev-demo/odd-1.0", "--profile=a"))
    (tree / "odd-1.0/one/with a space.c").write_bytes(b"one\r\n2\r\nthree\r\n")
    (tree / "odd-1.0/one/gone.txt").unlink()
    (tree / "odd-1.0/two/run.sh").rename(tree / "odd-1.0/two/moved it.sh")
    (tree / "odd-1.0/two/latin.txt").write_bytes(b"\xe4\xf6\xfc\n")
    (tree / "second/b.c").write_text("first\n")
    (tree / "second/new.sh").write_text("#!/bin/sh\n")
    (tree / "second/new.sh").chmod(0o755)
    assert on("gentoomuch", "patch", "save", "odd").status == 0
    host.profile("a", 'patches = ["odd"]\n')
    built = on("gm-emerge", "--gm-profile=a", "-q", "dev-demo/odd")

    assert built.status == 0, built.out
    assert (host.config / "patches/odd/dev-demo/odd-1.0/odd.patch").is_file()
    shutil.rmtree(tree / ".git")
    (tree / "odd-1.0/.gitattributes").unlink(missing_ok=True)
    installed = host.eprefix / "usr/share/odd"
    (installed / "odd-1.0/.gitattributes").unlink(missing_ok=True)
    assert contents(installed) == contents(tree)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file()}


def test_the_baseline_has_the_ebuilds_own_patches_and_nothing_that_it_does_later(host: Host, on):
    more = (
        'PATCHES=( "${FILESDIR}"/own.patch )\n'
        "src_prepare() { sed -i s/one/ONE/ a.txt || die; default; sed -i s/three/THREE/ a.txt || die; }\n"
    )
    ebuild = package(host, "dev-demo/steps-1.0", {"a.txt": "one\ntwo\nthree\n"}, more=more)
    (ebuild.parent / "files").mkdir()
    (ebuild.parent / "files/own.patch").write_text("--- a/a.txt\n+++ b/a.txt\n@@ -2,2 +2,2 @@\n-two\n+TWO\n three\n")
    host.profile("a", "")

    tree = prepared(on("gentoomuch", "patch", "prep", "s", "dev-demo/steps", "--profile=a"))

    assert (tree / "a.txt").read_text() == "ONE\nTWO\nthree\n"
    assert [one.name for one in sorted(tree.iterdir())] == [".git", "a.txt"]


def test_patch_try_never_builds_outside_of_a_requested_container(app: Host, on, tmp_path: Path):
    on("gentoomuch", "patch", "prep", "mend", APP, "--profile=plain")
    app.profile("plain", 'isolation = "vm"\n')
    programs = {"PATH": f"{app.bin}:{BIN}:{tmp_path}"}
    for name in ("env", "git", "python3"):
        (tmp_path / name).symlink_to(shutil.which(name))

    by_profile = on("gentoomuch", "patch", "try", "mend", "--profile=plain", **programs)
    app.profile("plain", "")
    by_word = on("gentoomuch", "patch", "try", "mend", "--profile=plain", "--isolation=vm", **programs)
    mistaken = on("gentoomuch", "patch", "try", "mend", "--profile=plain", "--isolation=mv")

    for ended in (by_profile, by_word):
        assert (ended.status, "[missing-container]" in ended.err) == (69, True), ended.err
    assert "--isolation=none" in by_profile.err
    assert "--isolation=auto" in by_word.err
    assert mistaken.status == 64
    assert not (app.eprefix / "var/cache/gentoomuch/trying").exists()


DAMAGED = [
    (".configured", "directory"),
    (".ipc/in", "directory"),
    (".unpacked", "dangling link"),
    ("temp/environment", "garbage"),
    ("work/app-2.0/main.c", "cut"),
    ("work/app-2.0/app", "empty"),
]


@pytest.mark.slow
def test_a_damaged_build_directory_is_made_again(app: Host, on):
    """S11: the build failed with its log until somebody removed the directory."""
    prepared(on("gentoomuch", "patch", "prep", "mend", APP, "--profile=plain"))
    words = ("gentoomuch", "patch", "try", "mend", "--profile=plain", "--isolation=none")
    first, again = on(*words), on(*words)
    [top] = (app.eprefix / "var/cache/gentoomuch/trying").glob("mend/host/plain/tmp/portage/*/app-2.0")

    for name, how in DAMAGED:
        (top / "work/app-2.0/main.c").touch()  # so that something has to be compiled
        damage.DAMAGES[how](top / name, random.Random(1))
        damaged = on(*words)
        assert (damaged.status, "incrementally" in damaged.err) == (0, False), (name, how, damaged.out + damaged.err)
    last = on(*words)

    assert [one.status for one in (first, again, last)] == [0, 0, 0]
    assert ["incrementally" in one.err for one in (first, again, last)] == [False, True, True]


@pytest.mark.slow
def test_a_build_in_a_container_has_no_network_and_is_built_on_again(app: Host, on, some_kind: str):
    tree = prepared(on("gentoomuch", "patch", "prep", "mend", APP, "--profile=plain"))
    makefile = (tree / "Makefile").read_text()
    (tree / "Makefile").write_text("$(shell cat /proc/net/dev > seen)\n" + makefile)
    by_default = {"sandboxed/make.conf": 'FEATURES="pid-sandbox"\n'}
    app.profile("plain", f'isolation = "{some_kind}"\nlayers = ["sandboxed"]\n', by_default)

    first = on("gentoomuch", "patch", "try", "mend", "--profile=plain")
    (tree / "main.c").write_text(MAIN.replace("plain", "broken").replace("puts", "nonsense("))
    second = on("gentoomuch", "patch", "try", "mend", "--profile=plain")

    assert first.status == 0, first.out + first.err
    [seen] = (app.eprefix / "var/cache/gentoomuch/trying").rglob("work/app-2.0/seen")
    assert [line.partition(":")[0].strip() for line in seen.read_text().splitlines()[2:]] == ["lo"]
    assert (second.status, "main.c:" in second.out) == (1, True), second.out + second.err
    assert "failed to build incrementally" in second.err


@pytest.mark.slow
def test_patch_try_exits_1_for_failed_builds_and_higher_for_other_errors(host: Host, on):
    package(host, "dev-demo/ends-1.0", {"a.txt": "a\n"}, more="src_compile() { exit 7; }\n")
    host.profile("a", "")
    on("gentoomuch", "patch", "prep", "s", "dev-demo/ends", "--profile=a")

    assert on("gentoomuch", "patch", "try", "s", "--profile=a").status == 1
    assert on("gentoomuch", "patch", "try", "other", "--profile=a").status == 64
