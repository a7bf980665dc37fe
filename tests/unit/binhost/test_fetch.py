# SPDX-License-Identifier: GPL-2.0-or-later
"""The program that downloads from binhosts: its limits, what it writes, whom it becomes, and what it reports."""

import gzip
import hashlib
import json
import os
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from helpers.errors import raises
from helpers.hostile import Server, attacking
from helpers.http_server import serving
from helpers.waiting import HANG

from gentoomuch_portage.binhost.client import fetch
from gentoomuch_portage.binhost.client.fetch import Job, Result
from gentoomuch_portage.binpkg.http import Timeouts

HASTY = Timeouts(silence=1.0, rate=1024)
CONTENT = bytes(range(256)) * 400
SIZE = len(CONTENT)
MIB = 1 << 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A binhost that attacks whoever asks for ``file``; ``plain`` is as it should be."""
    www = tmp_path / "www"
    www.mkdir()
    (www / "file").write_bytes(CONTENT)
    (www / "plain").write_bytes(CONTENT)
    with attacking(www, on="file") as one:
        yield one


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where files are written."""
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def download(server: Server, folder: Path, **more: object) -> Result:
    """The result of a package of ``SIZE`` bytes."""
    job = Job(f"{server.url}/file", "out", SIZE, exact=True)._replace(**more)
    (result,) = fetch.fetch([job], folder, HASTY)
    return result


def test_a_file_is_written_with_all_its_bytes(server: Server, folder: Path):
    result = download(server, folder)

    assert (result.code, result.status, result.size) == ("", 200, SIZE)
    assert (folder / "out").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("attack", "codes"),
    [
        ("endless", "download-too-long"),
        ("endless chunks", "download-too-long"),
        ("endless after the body", "download-too-long"),
        ("longer", "download-wrong-size"),
        ("shorter", "download-wrong-size"),
        ("trickle", "download-too-slow"),
        ("trickle after half", "download-too-slow"),
        ("headers", "download-unanswered"),
        ("continue", "download-unanswered download-broken"),
        ("trailers", "download-too-slow download-broken"),
        ("silent", "download-unanswered"),
        ("loop", "download-redirected"),
    ],
)
def test_a_hostile_server_ends_in_a_code_in_time_with_nothing_beyond_the_size(
    server: Server, folder: Path, attack: str, codes: str
):
    """S4: endless data and slow retrieval; dfeccc0 had no limit of its own for packages.

    Python 3.14 itself breaks off where interim answers or trailers do not end.
    """
    server.attack = attack
    begun = time.monotonic()

    result = download(server, folder)

    assert result.code in codes.split(), result
    assert time.monotonic() - begun < HANG
    assert (folder / "out").stat().st_size <= SIZE
    assert server.sent < 20 * MIB


def test_lasting_failures_and_dead_binhosts_are_distinguished(server: Server, folder: Path):
    facts = {}
    for attack in ("longer", "endless", "silent", "trickle", "loop", "denied"):
        server.attack = attack
        result = download(server, folder)
        facts[attack] = (result.lasting, result.dead)

    assert facts["longer"] == facts["endless"] == (True, False)
    assert facts["silent"] == facts["trickle"] == (False, True)
    assert facts["loop"] == facts["denied"] == (False, False)


def test_a_partial_download_is_resumed(server: Server, folder: Path):
    (folder / "out").write_bytes(CONTENT[:5000])

    result = download(server, folder, resume=True)

    assert (result.status, server.parts) == (206, ["bytes=5000-"])
    assert (folder / "out").read_bytes() == CONTENT


def test_without_ranges_a_partial_download_starts_again(server: Server, folder: Path):
    (folder / "out").write_bytes(b"x" * 5000)
    server.attack = "no ranges"

    result = download(server, folder, resume=True)

    assert result.status == 200
    assert (folder / "out").read_bytes() == CONTENT


def test_a_server_that_resumes_elsewhere_is_rejected(server: Server, folder: Path):
    (folder / "out").write_bytes(CONTENT[:5000])
    server.attack = "other part"

    assert download(server, folder, resume=True).code == "download-denied"
    assert (folder / "out").read_bytes() == CONTENT[:5000]


def test_a_broken_connection_leaves_the_received_bytes(server: Server, folder: Path):
    server.attack = "half"

    assert download(server, folder).code == "download-broken"
    assert (folder / "out").read_bytes() == CONTENT[: SIZE // 2]


@pytest.mark.parametrize("kind", ["link", "pipe", "hard link", "directory"])
def test_nothing_but_a_regular_file_of_one_name_is_written(server: Server, folder: Path, kind: str):
    other = folder / "other"
    other.write_bytes(b"mine")
    match kind:
        case "link":
            (folder / "out").symlink_to("other")
        case "pipe":
            os.mkfifo(folder / "out")
        case "hard link":
            (folder / "out").hardlink_to(other)
        case "directory":
            (folder / "out").mkdir()

    assert download(server, folder).code == "download-unwritten"
    assert other.read_bytes() == b"mine"
    assert server.asked == []


def test_an_unwritable_file_is_reported_with_its_reason(server: Server, tmp_path: Path):
    result = download(server, tmp_path / "missing")

    assert (result.code, result.why) == ("download-unwritten", "no such file or directory")


@pytest.mark.parametrize("times", [1, 16], ids=["one member", "many members"])
def test_a_bomb_is_not_decompressed_beyond_the_ratio(server: Server, folder: Path, times: int):
    """S7: dfeccc0 decompressed 1 GiB in memory, five times."""
    (server.folder / "plain").write_bytes(gzip.compress(bytes(64 * MIB // times)) * times)

    (result,) = fetch.fetch([unpacking(server)], folder, HASTY)

    assert result.code == "download-bomb"
    assert (folder / "text").stat().st_size <= 8 * MIB


@pytest.mark.parametrize("damage", ["cut off", "flipped", "no gzip", "more behind it", "empty"])
def test_a_damaged_gzip_is_rejected(server: Server, folder: Path, damage: str):
    packed = gzip.compress(os.urandom(5000))
    flipped = bytes([*packed[:-6], packed[-6] ^ 1, *packed[-5:]])
    kinds = {"cut off": packed[:-1], "flipped": flipped, "no gzip": b"x" * 500, "more behind it": packed + b"x" * 20}
    (server.folder / "plain").write_bytes(kinds.get(damage, b""))

    (result,) = fetch.fetch([unpacking(server)], folder, HASTY)

    assert result.code == "download-bomb"


def test_an_index_of_several_members_is_decompressed_to_the_end(server: Server, folder: Path):
    pieces = [os.urandom(300_000), b"", b"a" * 2_000_000, b"end"]
    (server.folder / "plain").write_bytes(b"".join(map(gzip.compress, pieces)))

    (result,) = fetch.fetch([unpacking(server)], folder, HASTY)

    assert result.code == ""
    assert (folder / "text").read_bytes() == b"".join(pieces)


def unpacking(server: Server) -> Job:
    return Job(f"{server.url}/plain", "packed", 64 * MIB, unpack="text", unpack_most=1 << 30)


def test_a_file_with_a_known_etag_is_not_sent_again(server: Server, folder: Path):
    job = Job(f"{server.url}/plain", "out", SIZE)
    (first,) = fetch.fetch([job], folder, HASTY)

    results = fetch.fetch([job._replace(etag=first.etag), job], folder, HASTY)

    assert [one.status for one in results] == [304]


def test_no_command_line_and_no_environment_has_the_request(server: Server, folder: Path):
    """S5: dfeccc0 put the URL with its password into the arguments of wget."""
    server.attack, server.pause = "slow", 0.1
    url = server.url.replace("://", "://joe:s3cret@")
    text = fetch.make_request([Job(f"{url}/file", "out", SIZE, exact=True)], folder, HASTY, user=None)
    with subprocess.Popen(
        fetch.fetch_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as program:
        program.stdin.write(text)
        program.stdin.close()
        seen = {"cmdline": b"", "environ": b""}
        while program.poll() is None:
            for name in seen:
                with suppress(ProcessLookupError, PermissionError):  # it has ended; of a zombie, root alone may ask
                    seen[name] += Path(f"/proc/{program.pid}/{name}").read_bytes()
            time.sleep(0.02)
        out = program.stdout.read()

    assert json.loads(out)[0]["status"] == 200
    assert b"fetch_helper.py" in seen["cmdline"]
    assert b"PATH=" in seen["environ"]
    assert not [name for name, text in seen.items() if b"s3cret" in text]
    assert server.authorized[0] == "Basic am9lOnMzY3JldA=="


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_is_given_up_before_anything_is_sent(server: Server, folder: Path):
    folder.chmod(0o700)
    server.attack, server.pause = "slow", 0.1
    text = fetch.make_request([Job(f"{server.url}/file", "out", SIZE)], folder, HASTY, user=(65534, 65534, ()))
    with subprocess.Popen(
        fetch.fetch_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as program:
        program.stdin.write(text)
        program.stdin.close()
        while not server.asked and program.poll() is None:
            time.sleep(0.02)
        status = Path(f"/proc/{program.pid}/status").read_text()
        out = program.stdout.read()

    assert json.loads(out)[0].get("code", "") == "", out
    assert "Uid:\t65534\t65534\t65534\t65534" in status
    assert "Gid:\t65534\t65534\t65534\t65534" in status
    assert "Groups:\t \n" in status
    assert hashlib.sha256((folder / "out").read_bytes()).digest() == hashlib.sha256(CONTENT).digest()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_certificates_that_only_root_can_read_are_used(
    server: Server, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    cert, key = tmp_path / "cert", tmp_path / "key"
    words = ["-keyout", key, "-out", cert, "-subj", "/CN=x", "-days", "2", "-addext", "subjectAltName=IP:127.0.0.1"]
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *map(str, words)]
    subprocess.run(argv, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with serving(server.folder, context=context) as secure:
        job = Job(f"{secure.url.replace('http://', 'https://')}/file", "out", SIZE, exact=True)
        text = fetch.make_request([job], folder, HASTY, user=(65534, 65534, ()))
        codes = []
        for file in ("/dev/null", str(cert)):
            monkeypatch.setenv("SSL_CERT_FILE", file)
            ended = subprocess.run(
                fetch.fetch_command(), input=text, capture_output=True, encoding="utf-8", check=False
            )
            codes.append(json.loads(ended.stdout)[0].get("code", ""))

    assert codes == ["download-unanswered", ""]
    assert (folder / "out").read_bytes() == CONTENT


def test_a_proxy_gets_only_its_own_name_and_password(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("http_proxy", server.url.replace("://", "://me:proxy@"))

    (result,) = fetch.fetch([Job("http://joe:s3cret@far.example/plain", "out", SIZE)], folder, HASTY)

    assert result.code == "", result
    assert server.asked == ["http://far.example/plain"]
    assert server.proxied == ["Basic bWU6cHJveHk="]


def test_output_contains_no_password_and_no_control_characters(server: Server, folder: Path):
    url = server.url.replace("://", "://joe:s3cret@")
    job = Job(f"{url}/\x1b]0;x\x07missing", "out", SIZE, exact=True)
    text = fetch.make_request([job], folder, HASTY, user=None, result=2, show=True)

    ended = subprocess.run(fetch.fetch_command(), input=text, capture_output=True, encoding="utf-8", check=False)

    assert ended.returncode == 1
    assert ended.stdout.isascii()
    assert "\x1b" not in ended.stdout
    assert "[download-denied]" in ended.stdout
    assert "s3cret" not in ended.stdout + ended.stderr
    assert json.loads(ended.stderr)[0]["code"] == "download-denied"


def test_environment_variables_do_not_change_imports_of_the_download_program(
    server: Server, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "sitecustomize.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    assert download(server, folder).code == ""
    assert not (tmp_path / "ran").exists()


def test_a_program_that_ends_without_a_result_is_one_error(monkeypatch: pytest.MonkeyPatch, folder: Path):
    monkeypatch.setattr(fetch, "fetch_command", lambda: ("false",))

    with raises("fetch-helper-failed"):
        fetch.fetch([Job("http://127.0.0.1:1/x", "out", 1)], folder, HASTY)
