"""The index of a binhost, fetched by us: in one piece, signed by the key that is pinned, and no older by mistake.

Portage keeps the index it has unless the new one's TIMESTAMP is later, asks for it by time alone, and never knows who
wrote it. Here the server's ETag decides, so one that was rolled back, or written twice within a second, is noticed.
"""

import gzip
import json
import re
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import fs, gpg
from gentoomuch_portage.binhost.client.config import Policy
from gentoomuch_portage.binhost.errors import BinhostSilent, IndexRefused
from gentoomuch_portage.binpkg.http import Patience, Pools, in_words, login
from gentoomuch_portage.errors import bare

_MOST = 1 << 30
"""Bytes of an index; one of a million packages has 700 MiB."""
_TRIES = 5
"""Index and signature are two files, and may change in between."""


class Got(NamedTuple):
    """An answer."""

    status: int
    body: bytes
    etag: str


def get(pools: Pools, url: str, *, etag: str = "", most: int = _MOST) -> Got:
    """Fetch a small file whole, with the name and the password that stand in its URL.

    Raises:
        BinhostSilent: the binhost does not answer, or not to the end.
    """
    import urllib3

    headers = {"User-Agent": "gentoomuch-portage", "Accept-Encoding": "identity", **login(url)}
    if etag:
        headers["If-None-Match"] = etag
    ends = time.monotonic() + max(60.0, 6 * pools.patience.total)
    try:
        answer = pools.ask(bare(url), headers)
        body = bytearray()
        while more := answer.read1(1 << 18):
            body += more
            if len(body) > most or time.monotonic() > ends:
                answer.close()
                raise BinhostSilent(url, f"it sends more than {most} bytes, or takes too long")
        answer.release_conn()
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise BinhostSilent(url, in_words(error)) from error
    return Got(answer.status, bytes(body), answer.headers.get("ETag", ""))


def brought(policy: Policy, home: Path, place: Path, pools: Pools) -> bool:
    """Bring ``place`` up to date with the index of a binhost; whether it changed.

    Args:
        policy: names the key that must have signed it.
        home: where that key is trusted.
        place: the file where Portage looks for what it has of this binhost.

    Raises:
        BinhostSilent: it does not answer.
        IndexRefused: its index is unsigned, or signed by another key, or altered.
    """
    url, mark = policy.url, place.with_name("Packages.gm")
    known = _known(mark, place)
    for left in reversed(range(_TRIES)):
        found = get(pools, f"{url}/Packages.gz", etag=known)
        packed = found.status != 404
        if not packed:
            found = get(pools, f"{url}/Packages", etag=known)
        if found.status == 304:
            return False
        if found.status != 200:
            raise BinhostSilent(f"{url}/Packages", f"it answers {found.status}")
        text = _unpacked(url, found.body) if packed else found.body
        why = _against(url, text, policy.key, home, pools) if policy.signed else ""
        if not why:
            break
        if not left:
            raise IndexRefused(url, why)
        time.sleep(0.1)
    fs.write(place, _dated(url, text))
    seen = place.stat()
    fs.write(mark, json.dumps({"etag": found.etag, "mtime": seen.st_mtime_ns, "size": seen.st_size}))
    return True


def _known(mark: Path, place: Path) -> str:
    """The ETag of what we have, if it is as we left it."""
    try:
        told = json.loads(mark.read_text(encoding="utf-8"))
        seen = place.stat()
    except (OSError, ValueError):
        return ""
    return str(told["etag"]) if (seen.st_mtime_ns, seen.st_size) == (told["mtime"], told["size"]) else ""


def _unpacked(url: str, packed: bytes) -> bytes:
    """The index out of its gzip; of a bomb no more than an index can have."""
    import io
    import zlib

    try:
        with gzip.open(io.BytesIO(packed)) as tape:
            text = tape.read(_MOST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise IndexRefused(url, f"it cannot be unpacked: {error}") from error
    if len(text) > _MOST:
        raise IndexRefused(url, f"it has more than {_MOST} bytes")
    return text


def _against(url: str, text: bytes, key: str, home: Path, pools: Pools) -> str:
    """What stands against an index; empty for nothing."""
    found = get(pools, f"{url}/Packages.asc", most=1 << 16)
    if found.status != 200:
        return "it is not signed (there is no Packages.asc)"
    with tempfile.TemporaryDirectory(prefix="gm-index-") as made:
        file, signature = Path(made) / "Packages", Path(made) / "Packages.asc"
        file.write_bytes(text)
        signature.write_bytes(found.body)
        by = gpg.signer(home, file, signature)
    if by == key:
        return ""
    return f"it is signed by {by}, not by {key}" if by else "it is not what its key signed"


def _dated(url: str, text: bytes) -> bytes:
    """The index as Portage keeps it. Source: DOWNLOAD_TIMESTAMP in binarytree._populate_remote_repo."""
    header, gap, body = text.partition(b"\n\n")
    told = re.findall(rb"^TIMESTAMP:(.*)$", header, re.M)  # the last one counts; without one Portage asks by itself
    if not gap or not told or not told[-1].strip().isdigit() or b"\r" in header:
        raise IndexRefused(url, "it has no header with a TIMESTAMP")
    return header + b"\nDOWNLOAD_TIMESTAMP: %d\n\n" % time.time() + body


def patience(seconds: int) -> Patience:
    """How long a binhost may take."""
    return Patience(connect=float(seconds), silence=float(seconds), total=3.0 * seconds)
