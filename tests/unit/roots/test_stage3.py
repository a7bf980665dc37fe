# SPDX-License-Identifier: GPL-2.0-or-later
"""What a stage3 has to prove before it is unpacked, held with a real gpg, and what is never unpacked."""

import hashlib
import lzma
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.errors import raises
from helpers.stages import DEVICE, FILE, FOLDER, HARD, LINK, PLAIN, Signer, packed, signer

from gentoomuch_portage.errors import GmError
from gentoomuch_portage.roots import install, stage3
from gentoomuch_portage.roots.errors import BadArchive

if not shutil.which("gpg"):
    pytest.skip("there is no gpg", allow_module_level=True)
LONG_AGO = ("--faked-system-time", "20200101T000000!")
Bootstrap = Callable[..., Path]


@pytest.fixture(scope="module")
def keys() -> Iterator[dict[str, Signer]]:
    """Gentoo's, one of somebody else's, and one that has expired; below a path that gpg's sockets fit in."""
    with tempfile.TemporaryDirectory(prefix="gm-") as folder:
        top = Path(folder)
        yield {
            "release": signer(top / "r"),
            "other": signer(top / "o"),
            "expired": signer(top / "e", when=LONG_AGO, lasts="1y"),
        }


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    """A stage3, not yet signed."""
    file = tmp_path / "stage3-amd64.tar.xz"
    file.write_bytes(lzma.compress(packed()))
    return file


@pytest.fixture
def bootstrap(tmp_path: Path, keys: dict[str, Signer]) -> Bootstrap:
    """Makes a root of a stage3: ``bootstrap(file, "release")`` trusts that key."""

    def make(file: Path, whom: str = "release", name: str = "router") -> Path:
        root = tmp_path / "roots" / name
        trusted = stage3.Trusted(keys[whom].public, frozenset({keys[whom].fingerprint}))
        with stage3.verified(file, trusted, tmp_path / "cache") as one:
            install.install((one.packed,), root, recheck=one.recheck, quiet=True)
        return root

    return make


def nothing_left(folder: Path) -> bool:
    """Whether no root was made, and nothing of one is left."""
    return not (folder / "roots").exists() or not any((folder / "roots").iterdir())


def test_a_signed_stage3_becomes_the_root_as_it_was_packed(bootstrap: Bootstrap, stage: Path, keys) -> None:
    keys["release"].sign(stage)

    root = bootstrap(stage)

    assert (root / "usr/bin/sh").read_bytes() == b"a shell"
    assert (root / "usr/bin/sh").stat().st_mode == stat.S_IFREG | 0o755
    assert (root / "usr/bin/sh").stat().st_mtime == (root / "usr/bin").stat().st_mtime == 1_000_000_000
    assert (root / "usr/bin/ash").samefile(root / "usr/bin/sh")
    assert (root / "bin").readlink() == Path("usr/bin")
    assert not (root / "dev").exists()
    assert [one.name for one in root.parent.iterdir()] == ["router"]


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".DIGESTS", "# SHA512 HASH\n{sha512}  {name}\n# BLAKE2B HASH\n{blake2b}  {name}\n"),
        (".sha256", "{sha256}  {name}\n"),
    ],
)
def test_digests_signed_in_the_clear_prove_a_stage3(bootstrap: Bootstrap, stage: Path, keys, suffix, text) -> None:
    found = {kind: hashlib.new(kind, stage.read_bytes()).hexdigest() for kind in ("sha512", "blake2b", "sha256")}
    keys["release"].sign_digests(stage, text.format(name=stage.name, **found), suffix)

    assert (bootstrap(stage) / "usr/bin/sh").exists()


def test_a_stage3_with_a_changed_byte_is_rejected(bootstrap: Bootstrap, stage: Path, keys, tmp_path: Path) -> None:
    keys["release"].sign(stage)
    content = bytearray(stage.read_bytes())
    content[len(content) // 2] ^= 1
    stage.write_bytes(content)

    with raises("bad-signature", match="was changed"):
        bootstrap(stage)
    assert nothing_left(tmp_path)


def test_digests_of_another_file_are_rejected(bootstrap: Bootstrap, stage: Path, keys, tmp_path: Path) -> None:
    digest = hashlib.sha256(stage.read_bytes()).hexdigest()
    keys["release"].sign_digests(stage, f"{digest}  another.tar.xz\n", ".sha256")

    with raises("bad-signature", match=r"no digest of stage3-amd64\.tar\.xz"):
        bootstrap(stage)


def test_digests_outside_of_the_signed_text_are_ignored(bootstrap: Bootstrap, stage: Path, keys) -> None:
    keys["release"].sign_digests(stage, "nothing\n", ".sha256")
    signed = stage.with_name(f"{stage.name}.sha256")
    signed.write_text(f"{hashlib.sha256(stage.read_bytes()).hexdigest()}  {stage.name}\n{signed.read_text()}")

    with raises("bad-signature", match="no digest of"):
        bootstrap(stage)


def test_a_signed_digest_of_another_content_is_rejected(bootstrap: Bootstrap, stage: Path, keys) -> None:
    keys["release"].sign_digests(stage, f"{hashlib.sha256(b'').hexdigest()}  {stage.name}\n", ".sha256")

    with pytest.raises(BadArchive, match="its sha256 differs"):
        bootstrap(stage)


def test_a_good_signature_does_not_make_up_for_a_bad_one(bootstrap: Bootstrap, stage: Path, keys) -> None:
    keys["release"].sign(stage)
    keys["other"].sign_digests(stage, "x\n", ".sha256")

    with raises("bad-signature"):
        bootstrap(stage)


def test_a_key_of_the_key_file_that_is_not_trusted_is_rejected(stage: Path, keys, tmp_path: Path) -> None:
    keys["other"].sign(stage)
    both = tmp_path / "both.asc"
    both.write_bytes(keys["release"].public.read_bytes() + keys["other"].public.read_bytes())
    trusted = stage3.Trusted(both, frozenset({keys["release"].fingerprint}))

    with (
        raises("bad-signature", match="not a key for stage3s"),
        stage3.verified(stage, trusted, tmp_path / "cache"),
    ):
        pass


def test_an_unknown_key_is_rejected(bootstrap: Bootstrap, stage: Path, keys) -> None:
    keys["other"].sign(stage)

    with raises("bad-signature", match="not among the public keys"):
        bootstrap(stage)


def test_an_expired_key_is_rejected(bootstrap: Bootstrap, stage: Path, keys, tmp_path: Path) -> None:
    keys["expired"].sign(stage)

    with raises("bad-signature", match="has expired"):
        bootstrap(stage, "expired")
    assert nothing_left(tmp_path)


def test_an_unsigned_stage3_is_rejected(bootstrap: Bootstrap, stage: Path) -> None:
    with raises("unsigned-stage3"):
        bootstrap(stage)


def test_a_file_that_is_not_a_signature_is_rejected(bootstrap: Bootstrap, stage: Path) -> None:
    stage.with_name(f"{stage.name}.asc").write_text("trust me\n")

    with raises("bad-signature", match="not a signature"):
        bootstrap(stage)


def test_without_public_keys_no_stage3_is_accepted(stage: Path, tmp_path: Path) -> None:
    empty = tmp_path / "keys.asc"
    empty.write_text("")
    with raises("no-keys"), stage3.verified(stage, stage3.Trusted(empty, stage3.RELEASE_KEYS), tmp_path / "c"):
        pass


def test_a_stage3_changed_while_it_is_read_is_rejected(stage: Path, keys, tmp_path: Path) -> None:
    keys["release"].sign(stage)
    trusted = stage3.Trusted(keys["release"].public, frozenset({keys["release"].fingerprint}))
    with stage3.verified(stage, trusted, tmp_path / "cache") as one:
        os.utime(stage)
        with pytest.raises(BadArchive, match="was changed"):
            install.install((one.packed,), tmp_path / "roots/router", recheck=one.recheck, quiet=True)
    assert nothing_left(tmp_path)


@pytest.mark.parametrize(
    "entries",
    [
        [("../out", FILE, b"x")],
        [("usr/../../out", FILE, b"x")],
        [("/etc/out", FILE, b"x")],
        [("etc", LINK, "/etc"), ("etc/out", FILE, b"x")],
        [("a", LINK, "b"), ("b", FOLDER, None), ("a/out", FILE, b"x")],
        [("up", LINK, "../../out")],
        [("usr", FOLDER, None), ("usr/up", LINK, "x/../../../out")],
        [("hard", HARD, "../out")],
        [("hard", HARD, "/etc/passwd")],
        [("etc", LINK, "/etc"), ("hard", HARD, "etc/passwd")],
        [("link", LINK, "/etc/passwd"), ("hard", HARD, "link")],
        [("dev/sda", DEVICE, (8, 0))],
        [("dev/null", DEVICE, (1, 1))],
        [("usr/null", DEVICE, (1, 3))],
        [("dev/tty1", DEVICE, (8, 1))],
        [("./", LINK, "usr")],
    ],
)
def test_devices_and_names_that_leave_the_root_are_rejected_before_unpacking(
    bootstrap: Bootstrap, keys, tmp_path: Path, entries
) -> None:
    file = tmp_path / "stage3.tar"
    file.write_bytes(packed([*PLAIN[:3], *entries]))
    keys["release"].sign(file)

    with pytest.raises(BadArchive):
        bootstrap(file)
    assert nothing_left(tmp_path)


WHOLE = packed([("a", FILE, b"x" * 900), ("b", FILE, b"y" * 600)])
"""A header, two blocks, a header, two blocks, and two empty ones that say that this is the end."""


@pytest.mark.parametrize(
    "content",
    [
        *(WHOLE[:left] for left in (512, 1000, 1536, 2000, 2048, 2500, 3072)),
        *(lzma.compress(WHOLE[:left]) for left in (1536, 2500, 3072)),
        *(lzma.compress(WHOLE)[:left] for left in (60, -1, -20)),
    ],
)
def test_a_truncated_archive_is_rejected(bootstrap: Bootstrap, keys, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "stage3.tar"
    file.write_bytes(content)
    keys["release"].sign(file)

    with pytest.raises(BadArchive):
        bootstrap(file)
    assert nothing_left(tmp_path)


def test_garbage_between_tar_entries_is_rejected(bootstrap: Bootstrap, keys, tmp_path: Path) -> None:
    file = tmp_path / "stage3.tar"
    whole = packed([("a", FILE, b"x")])
    file.write_bytes(whole[:1024] + b"\x17" * 512 + whole[1024:])
    keys["release"].sign(file)

    with pytest.raises(BadArchive, match="damaged"):
        bootstrap(file)


def test_a_root_with_files_is_not_changed(bootstrap: Bootstrap, stage: Path, keys, tmp_path: Path) -> None:
    keys["release"].sign(stage)
    (tmp_path / "roots/router").mkdir(parents=True)
    (tmp_path / "roots/router/mine").write_text("mine")

    with raises("root-taken"):
        bootstrap(stage)
    assert (tmp_path / "roots/router/mine").read_text() == "mine"
    assert [one.name for one in (tmp_path / "roots").iterdir()] == ["router"]


def test_leftovers_of_a_killed_unpack_are_removed_by_the_next_one(
    bootstrap: Bootstrap, stage: Path, keys, tmp_path: Path
):
    keys["release"].sign(stage)
    (tmp_path / "roots/.gentoomuch-[r]-abc/usr").mkdir(parents=True)
    (tmp_path / "cache/.gnupg-abc").mkdir(parents=True)

    root = bootstrap(stage, name="[r]")

    assert [one.name for one in root.parent.iterdir()] == ["[r]"]
    assert not any((tmp_path / "cache").iterdir())


def test_every_error_of_a_stage3_has_a_hint(bootstrap: Bootstrap, stage: Path) -> None:
    with pytest.raises(GmError) as refused:
        bootstrap(stage)
    assert refused.value.hint
