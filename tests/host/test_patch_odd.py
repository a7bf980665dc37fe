# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever is done in a work tree: prep, edit, save, and Portage's own eapply_user makes the same tree of the sources.

Portage runs twice for each example, so ``make test`` looks at few; ``tox -e patches`` at as many as GM_TEST_EXAMPLES.
"""

import gzip
import io
import itertools
import os
import shutil
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.patches import EBUILD
from helpers.trees import File, read, write
from hypothesis import HealthCheck, Phase, example, given, note, settings
from hypothesis import strategies as st

from gentoomuch_portage import demo_host
from gentoomuch_portage.demo_host import Host

EXAMPLES = int(os.environ.get("GM_TEST_EXAMPLES", "2"))
"""Besides the two that stand here. Shrinking waits for Portage at every step: only where somebody asked for more."""
PHASES = (Phase.explicit, Phase.generate) + ((Phase.shrink,) if "GM_TEST_EXAMPLES" in os.environ else ())
NAMES = (
    "a.c", "src/b.c", "src/deep/c d.txt", "e f/g h.c", "src/ä.txt", "-odd", "it's \"q\".c", "$HOME [x]*.txt", "run.sh",
    ".gitattributes", "e f/.hidden",
)  # fmt: skip
LINES = (
    b"one", b"two\r", b"", b"-- three", b"++ four", b"\xff\xe4 not UTF-8", b"@@ -1 +1 @@", b"diff --git a/x b/x",
    b"five ", b"\tsix", b"* text=auto eol=crlf", b"*.c -diff",
)  # fmt: skip
BINARY = b"\x7fELF\0\1\2\n"
SHAPES: Mapping[str, tuple[str, ...]] = {
    "${WORKDIR}/${P}": ("{p}/",),
    "${WORKDIR}/top of it": ("top of it/",),
    "${WORKDIR}": ("",),
    "${WORKDIR}/.": ("{p}/", "second/"),
}  # fmt: skip
"""S -> what stands before the names in each archive: a folder, one with spaces, none, and two sources in one ebuild."""


@dataclass(frozen=True)
class Edited:
    """Sources, what becomes of them, and how they are packed."""

    shape: str
    before: dict[str, File]
    after: dict[str, File]

    @property
    def binaries(self) -> set[str]:
        """The binary files that were changed."""
        return {
            name
            for name in {*self.before, *self.after}
            if self.before.get(name) != self.after.get(name)
            if b"\0" in self.before.get(name, (b"", False))[0] + self.after.get(name, (b"", False))[0]
        }


contents = st.one_of(
    st.tuples(st.lists(st.sampled_from(LINES), max_size=12), st.sampled_from([b"\n", b"", b"\r\n"])).map(
        lambda one: b"\n".join(one[0]) + one[1]
    ),
    st.just(BINARY),
)
files = st.tuples(contents, st.booleans())
edits = st.lists(
    st.tuples(st.sampled_from(["write", "rename", "chmod", "append", "delete"]), st.sampled_from(NAMES), files),
    min_size=1,
    max_size=6,
)


@st.composite
def edited(draw: st.DrawFn) -> Edited:
    before = draw(st.dictionaries(st.sampled_from(NAMES), files, min_size=2, max_size=6))
    after = dict(before)
    for kind, name, file in draw(edits):
        known = draw(st.sampled_from(sorted(after))) if after else ""
        if kind == "write" or not known:
            after[name] = file
        elif kind == "rename":
            after[name] = after.pop(known)
        elif kind == "chmod":
            after[known] = (after[known][0], not after[known][1])
        elif kind == "append":
            after[known] = (after[known][0] + b"more\r\n", after[known][1])
        else:
            del after[known]
    return Edited(draw(st.sampled_from(sorted(SHAPES))), before, after)


@pytest.fixture(scope="module")
def numbers():
    return itertools.count()


LONG = b"".join(b"%d\r\n" % number for number in range(20))


@pytest.mark.slow
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=PHASES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(one=edited())
@example(
    one=Edited(
        "${WORKDIR}/.",
        {"a.c": (LONG, False), "e f/g h.c": (b"", True), "-odd": (b"x", False), "run.sh": (b"#!/bin/sh\n", False)},
        {"src/deep/c d.txt": (LONG + b"z", True), "src/ä.txt": (b"\xe4\n", False), "run.sh": (b"#!/bin/sh\n", True)},
    )
)
@example(one=Edited("${WORKDIR}", {"a.c": (BINARY, False), "-odd": (b"x", False)}, {"a.c": (BINARY * 2, False)}))
def test_portage_makes_the_tree_that_was_saved(host: Host, on, numbers, one: Edited):
    number = next(numbers)
    package, name = f"dev-demo/odd{number}", f"odd{number}-1.0"
    ebuild = lay(host, package, one)
    if not number:
        host.profile("a", "")
        (host.config / "patches").mkdir()
        (host.etc / "patches").symlink_to(host.config / "patches/odd")

    prepared = on("gentoomuch", "patch", "prep", "odd", package, "--profile=a")
    assert prepared.status == 0, prepared.err
    tree = Path(prepared.out.strip())
    parts = [part.format(p=name) if one.shape.endswith("/.") else "" for part in SHAPES[one.shape]]
    assert read(tree) == tree_of(one.before, parts)
    write(tree, tree_of(one.after, parts))
    saved = on("gentoomuch", "patch", "save", "odd")

    note(saved.err)
    if one.binaries:
        assert (saved.status, "[unsayable-patch]" in saved.err) == (70, True)
        assert all(Path(binary).name in saved.err for binary in one.binaries)
        assert not (host.config / "patches/odd" / package).exists()
    else:
        assert saved.status == 0
        assert built(on, host, ebuild) == tree_of(one.after, parts)
    shutil.rmtree(tree)


def lay(host: Host, package: str, one: Edited) -> Path:
    """Write an ebuild and its archives."""
    name = package.partition("/")[2]
    p = f"{name}-1.0"
    archives = []
    for number, prefix in enumerate(SHAPES[one.shape]):
        archives.append(host.distdir / f"{p}-{number}.tar.gz")
        archives[-1].write_bytes(packed(one.before, prefix.format(p=p)))
    folder = host.repository / package
    folder.mkdir()
    ebuild = folder / f"{p}.ebuild"
    uris = " ".join(archive.name for archive in archives)
    ebuild.write_text(EBUILD.format(name=name, eapi="8", slot="0", uris=uris, more=f'S="{one.shape}"'))
    demo_host.manifest(folder, archives)
    return ebuild


def packed(files: Mapping[str, File], prefix: str) -> bytes:
    """Files in an archive, each below a prefix."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, (content, run) in files.items():
            entry = tarfile.TarInfo(prefix + name)
            entry.size, entry.mode = len(content), 0o755 if run else 0o644
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(out.getvalue())


def built(on: Callable, host: Host, ebuild: Path) -> dict[str, File]:
    """What Portage makes of the sources, with the patches in /etc/portage/patches."""
    ended = on("ebuild", ebuild, "clean", "prepare", FEATURES="-fail-clean")
    note(ended.out + ended.err)
    assert ended.status == 0
    work = host.eprefix / "var/tmp/portage/dev-demo" / ebuild.stem / "work"
    top = next((one for one in (work / ebuild.stem, work / "top of it") if one.is_dir()), work)
    return read(work if (work / "second").exists() else top)


def tree_of(files: Mapping[str, File], parts: list[str]) -> dict[str, File]:
    """The same files in each part of a tree."""
    return {part + name: file for part in parts for name, file in files.items()}
