# SPDX-License-Identifier: GPL-2.0-or-later
"""An archive that somebody has tampered with is refused before anything is written."""

import gzip
import os
import tarfile
from pathlib import Path

import pytest
from helpers.errors import raises
from helpers.freeze import added, members, rewritten, tree

from gentoomuch_portage import gpg, process
from gentoomuch_portage.binhost import keys
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.freeze import archive
from gentoomuch_portage.freeze import signature as freeze_signature
from gentoomuch_portage.freeze.archive import Member
from gentoomuch_portage.freeze.errors import BadArchive
from gentoomuch_portage.freeze.signature import open_archive

pytestmark = pytest.mark.skipif(process.find_program("gpg") is None, reason="there is no gpg")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> keys.Key:
    """The key of the machine where it was frozen."""
    folder = tmp_path_factory.mktemp("there")
    return keys.ensure_key(Settings(config=folder, state=folder / "state", cache=folder, host=folder))


@pytest.fixture(scope="module")
def signed(key: keys.Key) -> bytes:
    """An archive as freeze writes it."""
    return archive.pack_members(freeze_signature.add_manifest("lab", members(Path("/mnt/lab")), key))


@pytest.fixture
def refused(settings: Settings, key: keys.Key, tmp_path: Path):
    """Opens an archive, and returns why it is refused; nothing may have been written."""

    def why(content: bytes) -> str:
        file = tmp_path / "lab.tar"
        file.write_bytes(content)
        with pytest.raises(BadArchive) as told:
            open_archive(settings, file, expected=key.fingerprint)
        assert tree(settings.config, settings.state, settings.cache) == {}
        return told.value.why

    return why


def flipped(content: bytes, inside: bytes, at: int = 0) -> bytes:
    """With one bit of a part changed."""
    place = content.index(inside) + at
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def part(content: bytes, path: str) -> bytes:
    return next(one.content for one in archive.unpack_members(content, "it") if one.path == path)


def test_an_unchanged_archive_is_accepted(settings, key, signed, tmp_path):
    (tmp_path / "lab.tar").write_bytes(signed)

    assert open_archive(settings, tmp_path / "lab.tar", expected=key.fingerprint).profile == "lab"


def test_equal_members_make_equal_bytes_signature_included(key, signed, tmp_path):
    assert archive.pack_members(freeze_signature.add_manifest("lab", members(Path("/mnt/lab")), key)) == signed
    (tmp_path / "sig").write_bytes(part(signed, archive.SIGNATURE))
    told = gpg.run_gpg(key.home, "--list-packets", tmp_path / "sig").out
    assert f"created {freeze_signature.key_time(key)}," in told


def test_a_changed_byte_in_a_file(refused, signed):
    assert "'layers/common/make.conf' was altered" in refused(flipped(signed, b'USE="nls"'))


def test_a_changed_byte_in_the_manifest(refused, signed):
    assert "signature is not good" in refused(flipped(signed, b'"profile": "lab"', 12))


@pytest.mark.parametrize("at", [0, 1, 2, 20, 42, 49, 60, -1])
def test_a_changed_byte_in_the_signature_though_gpg_would_not_mind(refused, signed, at):
    signature = part(signed, archive.SIGNATURE)

    assert "signature is not good" in refused(flipped(signed, signature, at % len(signature)))


def test_a_changed_byte_in_the_key(refused, signed):
    assert "'key.asc' was altered" in refused(flipped(signed, part(signed, archive.KEY), 200))


def test_a_byte_of_a_header_that_tar_would_not_mind(refused, signed):
    assert "not written by" in refused(signed[:-1] + b"\1")


def test_a_removed_file_is_rejected(refused, signed):
    less = rewritten(signed, lambda found: [one for one in found if one.path != "world"])

    assert "'world' is missing" in refused(less)


def test_a_removed_signature_is_rejected(refused, signed):
    assert "members differ" in refused(
        rewritten(signed, lambda found: [one for one in found if one.path != archive.SIGNATURE])
    )


def test_a_file_that_was_put_in(refused, signed):
    more = rewritten(signed, lambda found: [*found, Member("zzz", b"")])

    assert "'zzz' is not listed" in refused(more)


def test_a_repeated_member_is_rejected(refused, signed):
    assert "'world' twice" in refused(added(signed, "world", b"sys-apps/evil\n"))


@pytest.mark.parametrize("name", ["../../etc/passwd", "layers/../../x", "/etc/passwd", "layers//x", "./world", "a\nb"])
def test_a_member_name_that_leads_out_is_rejected(refused, signed, name):
    assert "named" in refused(added(signed, name, b"x"))


def test_a_hidden_file(refused, signed):
    assert "hidden file" in refused(added(signed, "layers/common/.git/hooks/post-checkout", b"x"))


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a pipe"),
        (tarfile.DIRTYPE, "a directory"),
        (tarfile.GNUTYPE_SPARSE, "a sparse file"),
        (tarfile.XHDTYPE, "an extended header"),
    ],
)
def test_members_of_an_archive_must_be_regular_files(refused, signed, kind, what):
    assert refused(added(signed, "layers/common/x", type=kind, linkname="/etc/passwd")) == f"it contains {what}"


def test_a_file_that_root_would_run_as_root(refused, signed):
    assert "permissions" in refused(added(signed, "zzz", b"x", mode=0o4755))


def test_a_member_with_a_size_of_a_tebibyte_is_rejected(refused, signed):
    header = tarfile.TarInfo("zzz")
    header.size = 1 << 40

    assert refused(signed.rstrip(b"\0") + b"\0" * 512 + header.tobuf(tarfile.GNU_FORMAT)) != ""
    assert refused(header.tobuf(tarfile.GNU_FORMAT)) == "it is truncated"


def test_a_bomb_is_not_unpacked(refused):
    assert refused(gzip.compress(b"\0" * (archive.MAX_BYTES // 4))) == "not a tar archive, or a damaged one"


def test_a_dash_is_the_archive_on_the_standard_input(signed: bytes, tmp_path: Path):
    (tmp_path / "lab.tar").write_bytes(signed)
    before, piped = os.dup(0), os.open(tmp_path / "lab.tar", os.O_RDONLY)
    os.dup2(piped, 0)

    found = archive.read_archive(Path("-"))

    os.dup2(before, 0)
    os.close(before)
    os.close(piped)
    assert found == signed


def test_an_archive_larger_than_any_is_not_read(settings, tmp_path):
    with (tmp_path / "lab.tar").open("wb") as sparse:
        sparse.truncate(archive.MAX_BYTES + 1)

    with pytest.raises(BadArchive, match="larger than"):
        open_archive(settings, tmp_path / "lab.tar")


def test_a_pipe_is_not_waited_for(settings, tmp_path):
    os.mkfifo(tmp_path / "lab.tar")

    with pytest.raises(BadArchive, match="not a regular file"):
        open_archive(settings, tmp_path / "lab.tar")


def test_an_archive_that_is_cut_off_anywhere(refused, signed):
    for length in (0, 100, 512, 513, 6000, len(signed) - 512, len(signed) - 1):
        assert refused(signed[:length])


def test_more_files_than_any_profile_has(refused):
    many = range(archive.MAX_MEMBERS + 1)

    assert "more than" in refused(b"".join(tarfile.TarInfo(f"{one}").tobuf(tarfile.USTAR_FORMAT) for one in many))


def test_an_archive_that_another_key_has_signed(settings, key, tmp_path):
    folder = tmp_path / "other"
    other = keys.ensure_key(Settings(config=folder, state=folder, cache=folder, host=folder))
    (tmp_path / "lab.tar").write_bytes(
        archive.pack_members(freeze_signature.add_manifest("lab", members(Path("/mnt/lab")), other))
    )

    with raises("signer-unknown", match=f"{other.fingerprint}, not by {key.fingerprint}"):
        open_archive(settings, tmp_path / "lab.tar", expected=key.fingerprint)
    with raises("signer-unknown", match="unknown here"):
        open_archive(settings, tmp_path / "lab.tar")


def test_a_manifest_that_names_a_key_which_did_not_sign_it(refused, key, signed):
    stranger = "0" * 40

    def renamed(found: list[Member]) -> list[Member]:
        rest = [one for one in found if one.path not in {archive.NAME, archive.SIGNATURE}]
        return [archive.make_manifest("lab", stranger, rest), found[1], *rest]

    assert "signature is not good" in refused(rewritten(signed, renamed))


def test_an_archive_that_this_machine_has_signed_before_its_key_was_rotated_is_its_own(settings, tmp_path_factory):
    settings = settings._replace(state=tmp_path_factory.mktemp("s"))  # short: the socket of gpg-agent
    file = settings.state / "lab.tar"
    file.write_bytes(
        archive.pack_members(freeze_signature.add_manifest("lab", members(Path("/mnt/lab")), keys.ensure_key(settings)))
    )

    keys.rotate(settings)

    assert open_archive(settings, file).key != keys.ensure_key(settings).fingerprint


def test_an_unsigned_archive_requires_the_option_unsigned(settings, tmp_path):
    (tmp_path / "lab.tar").write_bytes(
        archive.pack_members(freeze_signature.add_manifest("lab", members(Path("/mnt/lab")), None))
    )

    with raises("unsigned-archive"):
        open_archive(settings, tmp_path / "lab.tar")
    assert open_archive(settings, tmp_path / "lab.tar", unsigned=True).key == ""


def test_an_unsigned_archive_is_rejected_if_a_key_is_required(settings, key, tmp_path):
    (tmp_path / "lab.tar").write_bytes(
        archive.pack_members(freeze_signature.add_manifest("lab", members(Path("/mnt/lab")), None))
    )

    with raises("unsigned-archive"):
        open_archive(settings, tmp_path / "lab.tar", expected=key.fingerprint, unsigned=True)


@pytest.mark.parametrize(
    "path", ["passwd", "layers/x", "layers/-x/y", "keys", "patches/fix", "layers/common/make.conf/x"]
)
def test_a_file_that_belongs_to_no_profile_though_it_is_listed(settings, tmp_path, path):
    more = [*members(Path("/mnt/lab")), Member(path, b"x")]
    (tmp_path / "lab.tar").write_bytes(archive.pack_members(freeze_signature.add_manifest("lab", more, None)))

    with pytest.raises(BadArchive):
        open_archive(settings, tmp_path / "lab.tar", unsigned=True)
