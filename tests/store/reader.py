# SPDX-License-Identifier: GPL-2.0-or-later
"""``python reader.py URL NUMBER OF STOP``: a client that knows HTTP and the format of the index, and nothing of ours.

Reads the index, then packages that it tells of, whole or in ranges, and holds all bytes against it, until the file STOP
is there; then once each package whose place in the index is NUMBER modulo OF. Prints what it saw as JSON.
"""

import gzip
import hashlib
import http.client
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

_HANG = 300
"""Seconds; it runs without the helpers of the tests."""
BROKEN = (OSError, http.client.HTTPException)
"""Nobody listens, or the answer is cut off: a client sees that, and asks again."""


class Wrong(Exception):
    """What must not be."""


class Client:
    """Asks one binhost."""

    def __init__(self, url: str, seed: int) -> None:
        self._host, self._path = urlsplit(url).netloc, urlsplit(url).path
        self._dice = random.Random(seed)
        self._line: http.client.HTTPConnection | None = None
        self.seen: Counter[str] = Counter()

    def turn(self) -> None:
        """One index, and some packages of it, the newest most of all."""
        entries = self.index()
        for entry in (*entries[-2:], *self._dice.sample(entries, min(3, len(entries)))):
            self.package(entry)

    def index(self) -> list[dict[str, str]]:
        """The entries, in the order in which they came in."""
        name = self._dice.choice(("Packages", "Packages.gz"))
        answer, body = self._get(name, {"Accept-Encoding": self._dice.choice(("identity", "gzip"))})
        if answer.status != 200:
            raise Wrong(f"{name}: {answer.status}")
        for _ in range((name == "Packages.gz") + (answer.headers.get("Content-Encoding") == "gzip")):
            body = gzip.decompress(body)
        header, *entries = (
            dict(line.split(": ", 1) for line in one.splitlines() if ": " in line)
            for one in body.decode().split("\n\n")
            if one.strip()
        )
        if int(header["PACKAGES"]) != len(entries):
            raise Wrong(f"{name} tells of {header['PACKAGES']} and has {len(entries)}")
        self.seen["indexes"] += 1
        return sorted(entries, key=lambda one: int(one["BUILD_TIME"]))

    def package(self, entry: dict[str, str]) -> None:
        """One package, held against its entry."""
        size, path = int(entry["SIZE"]), entry["PATH"]
        cut = self._dice.randrange(1, size) if self._dice.random() < 0.5 else 0
        content = self._part(path, 0, cut, "") if cut else (b"", "")
        content = content[0] + self._part(path, cut, size, content[1])[0]
        found = {"MD5": hashlib.md5(content).hexdigest(), "SHA1": hashlib.sha1(content).hexdigest()}
        if len(content) != size or any(entry[key] != told for key, told in found.items()):
            raise Wrong(f"{path}: {len(content)} bytes, {found}; the index tells of {entry}")
        self.seen["packages"] += 1
        self.seen["ranges"] += bool(cut)

    def _part(self, path: str, start: int, end: int, etag: str) -> tuple[bytes, str]:
        """Bytes of a package, and the ETag of what they are of."""
        asked = {"Range": f"bytes={start}-{end - 1}"} if start or etag or self._dice.random() < 0.5 else {}
        answer, body = self._get(path, {**asked, **({"If-Range": etag} if etag else {})})
        if answer.status == 200:
            body = body[start:end]
        elif answer.status != 206:
            raise Wrong(f"{path}: {answer.status}")
        return body, answer.headers["ETag"]

    def _get(self, name: str, headers: dict[str, str]) -> tuple[http.client.HTTPResponse, bytes]:
        self._line = self._line or http.client.HTTPConnection(self._host, timeout=_HANG)
        try:
            self._line.request("GET", f"{self._path}/{name}", headers=headers)
            answer = self._line.getresponse()
            return answer, answer.read()
        except BROKEN:
            self._line.close()
            self._line = None
            raise


def main(url: str, number: int, of: int, stop: Path) -> int:
    client, wrong = Client(url, number), []
    while not stop.exists():
        try:
            client.turn()
        except BROKEN as error:
            client.seen[f"broken: {type(error).__name__}"] += 1
            time.sleep(0.2)
        except Wrong as error:
            wrong.append(str(error))
        time.sleep(0.4)
    for entry in client.index()[number::of]:
        client.package(entry)
        client.seen["at the end"] += 1
    print(json.dumps({"seen": client.seen, "wrong": wrong}))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])))
