"""An archive that somebody has tampered with is refused before anything is written."""

import gzip
import os
import tarfile
from pathlib import Path

import pytest
from freezing import added, members, rewritten, tree

from gentoomuch_portage import gpg, process
from gentoomuch_portage.binhost import keys
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.freeze import archive
from gentoomuch_portage.freeze import signature as freeze_signature
from gentoomuch_portage.freeze.archive import Member
from gentoomuch_portage.freeze.errors import BadArchive, SignerUnknown, Unsigned
from gentoomuch_portage.freeze.open import opened

pytestmark = pytest.mark.skipif(process.where("gpg") is None, reason="there is no gpg")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> keys.Key:
    """The key of the machine where it was frozen."""
    folder = tmp_path_factory.mktemp("there")
    return keys.key(Settings(config=folder, state=folder / "state", cache=folder, host=folder))


@pytest.fixture(scope="module")
def signed(key: keys.Key) -> bytes:
    """An archive as freeze writes it."""
    return archive.packed(freeze_signature.sealed("lab", members(Path("/mnt/lab")), key))


@pytest.fixture
def refused(settings: Settings, key: keys.Key, tmp_path: Path):
    """Opens an archive, and returns why it is refused; nothing may have been written."""

    def why(content: bytes) -> str:
        file = tmp_path / "lab.tar"
        file.write_bytes(content)
        with pytest.raises(BadArchive) as told:
            opened(settings, file, asked=key.fingerprint)
        assert tree(settings.config, settings.state, settings.cache) == {}
        return told.value.why

    return why


def flipped(content: bytes, inside: bytes, at: int = 0) -> bytes:
    """With one bit of a part changed."""
    place = content.index(inside) + at
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def part(content: bytes, path: str) -> bytes:
    return next(one.content for one in archive.unpacked(content, "it") if one.path == path)


def test_the_archive_that_nobody_touched_is_taken(settings, key, signed, tmp_path):
    (tmp_path / "lab.tar").write_bytes(signed)

    assert opened(settings, tmp_path / "lab.tar", asked=key.fingerprint).profile == "lab"


def test_equal_members_make_equal_bytes_signature_included(key, signed, tmp_path):
    assert archive.packed(freeze_signature.sealed("lab", members(Path("/mnt/lab")), key)) == signed
    (tmp_path / "sig").write_bytes(part(signed, archive.SIGNATURE))
    told = gpg.gpg(key.home, "--list-packets", tmp_path / "sig").out
    assert f"created {freeze_signature.born(key)}," in told


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
    assert "not written as" in refused(signed[:-1] + b"\1")


def test_a_file_that_was_taken_out(refused, signed):
    less = rewritten(signed, lambda found: [one for one in found if one.path != "world"])

    assert "'world' is missing" in refused(less)


def test_a_signature_that_was_taken_out(refused, signed):
    assert "members are not those" in refused(
        rewritten(signed, lambda found: [one for one in found if one.path != archive.SIGNATURE])
    )


def test_a_file_that_was_put_in(refused, signed):
    more = rewritten(signed, lambda found: [*found, Member("zzz", b"")])

    assert "'zzz' is not listed" in refused(more)


def test_a_file_that_comes_twice(refused, signed):
    assert "'world' twice" in refused(added(signed, "world", b"sys-apps/evil\n"))


@pytest.mark.parametrize("name", ["../../etc/passwd", "layers/../../x", "/etc/passwd", "layers//x", "./world", "a\nb"])
def test_a_name_that_leads_out(refused, signed, name):
    assert "by the name" in refused(added(signed, name, b"x"))


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
        (tarfile.DIRTYPE, "a folder"),
        (tarfile.GNUTYPE_SPARSE, "a sparse file"),
        (tarfile.XHDTYPE, "an extended header"),
    ],
)
def test_what_is_no_plain_file(refused, signed, kind, what):
    assert refused(added(signed, "layers/common/x", type=kind, linkname="/etc/passwd")) == f"it holds {what}"


def test_a_file_that_root_would_run_as_root(refused, signed):
    assert "permissions" in refused(added(signed, "zzz", b"x", mode=0o4755))


def test_a_file_that_says_it_has_a_tebibyte(refused, signed):
    header = tarfile.TarInfo("zzz")
    header.size = 1 << 40

    assert refused(signed.rstrip(b"\0") + b"\0" * 512 + header.tobuf(tarfile.GNU_FORMAT)) != ""
    assert refused(header.tobuf(tarfile.GNU_FORMAT)) == "it is cut off"


def test_a_bomb_is_not_unpacked(refused):
    assert refused(gzip.compress(b"\0" * (archive.MOST_BYTES // 4))) == "it is no tar archive, or a damaged one"


def test_a_dash_is_the_archive_on_the_standard_input(signed: bytes, tmp_path: Path):
    (tmp_path / "lab.tar").write_bytes(signed)
    before, piped = os.dup(0), os.open(tmp_path / "lab.tar", os.O_RDONLY)
    os.dup2(piped, 0)

    found = archive.read(Path("-"))

    os.dup2(before, 0)
    os.close(before)
    os.close(piped)
    assert found == signed


def test_an_archive_larger_than_any_is_not_read(settings, tmp_path):
    with (tmp_path / "lab.tar").open("wb") as sparse:
        sparse.truncate(archive.MOST_BYTES + 1)

    with pytest.raises(BadArchive, match="larger than"):
        opened(settings, tmp_path / "lab.tar")


def test_a_pipe_is_not_waited_for(settings, tmp_path):
    os.mkfifo(tmp_path / "lab.tar")

    with pytest.raises(BadArchive, match="no plain file"):
        opened(settings, tmp_path / "lab.tar")


def test_an_archive_that_is_cut_off_anywhere(refused, signed):
    for length in (0, 100, 512, 513, 6000, len(signed) - 512, len(signed) - 1):
        assert refused(signed[:length])


def test_more_files_than_any_profile_has(refused):
    many = range(archive.MOST_MEMBERS + 1)

    assert "more than" in refused(b"".join(tarfile.TarInfo(f"{one}").tobuf(tarfile.USTAR_FORMAT) for one in many))


def test_an_archive_that_another_key_has_signed(settings, key, tmp_path):
    folder = tmp_path / "other"
    other = keys.key(Settings(config=folder, state=folder, cache=folder, host=folder))
    (tmp_path / "lab.tar").write_bytes(archive.packed(freeze_signature.sealed("lab", members(Path("/mnt/lab")), other)))

    with pytest.raises(SignerUnknown, match=f"{other.fingerprint}, and {key.fingerprint} was asked for"):
        opened(settings, tmp_path / "lab.tar", asked=key.fingerprint)
    with pytest.raises(SignerUnknown, match="not known here"):
        opened(settings, tmp_path / "lab.tar")


def test_a_manifest_that_names_a_key_which_did_not_sign_it(refused, key, signed):
    stranger = "0" * 40

    def renamed(found: list[Member]) -> list[Member]:
        rest = [one for one in found if one.path not in {archive.NAME, archive.SIGNATURE}]
        return [archive.made("lab", stranger, rest), found[1], *rest]

    assert "signature is not good" in refused(rewritten(signed, renamed))


def test_an_archive_that_this_machine_has_signed_before_its_key_was_rotated_is_its_own(settings, tmp_path_factory):
    settings = settings._replace(state=tmp_path_factory.mktemp("s"))  # short: the socket of gpg-agent
    file = settings.state / "lab.tar"
    file.write_bytes(archive.packed(freeze_signature.sealed("lab", members(Path("/mnt/lab")), keys.key(settings))))

    keys.rotated(settings)

    assert opened(settings, file).key != keys.key(settings).fingerprint


def test_an_unsigned_archive_needs_a_word(settings, tmp_path):
    (tmp_path / "lab.tar").write_bytes(archive.packed(freeze_signature.sealed("lab", members(Path("/mnt/lab")), None)))

    with pytest.raises(Unsigned):
        opened(settings, tmp_path / "lab.tar")
    assert opened(settings, tmp_path / "lab.tar", unsigned=True).key == ""


def test_an_unsigned_archive_is_none_that_a_key_has_signed(settings, key, tmp_path):
    (tmp_path / "lab.tar").write_bytes(archive.packed(freeze_signature.sealed("lab", members(Path("/mnt/lab")), None)))

    with pytest.raises(Unsigned):
        opened(settings, tmp_path / "lab.tar", asked=key.fingerprint, unsigned=True)


@pytest.mark.parametrize(
    "path", ["passwd", "layers/x", "layers/-x/y", "keys", "patches/fix", "layers/common/make.conf/x"]
)
def test_a_file_that_belongs_to_no_profile_though_it_is_listed(settings, tmp_path, path):
    more = [*members(Path("/mnt/lab")), Member(path, b"x")]
    (tmp_path / "lab.tar").write_bytes(archive.packed(freeze_signature.sealed("lab", more, None)))

    with pytest.raises(BadArchive):
        opened(settings, tmp_path / "lab.tar", unsigned=True)
