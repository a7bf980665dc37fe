# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of a binhost for browsers: its packages, a search, its key, and how to use it."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlencode

from gentoomuch_portage.binhost.server import files
from gentoomuch_portage.html_page import format_command, format_document, format_table, format_tiles
from gentoomuch_portage.isa.requirement import parse_requirement
from gentoomuch_portage.pkgindex import entry, shards
from gentoomuch_portage.pkgindex.stamp import FOLDER
from gentoomuch_portage.portage_adapter.binpkg import RECORDED

_ROWS = 100
"""Packages on one page: it stays below 60 KB."""
_GNUPG = "/etc/portage/gnupg"
_LONGEST = 100
"""Characters of a search; the rest is ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How clients use the binhost."""

    url: str
    """Without its name."""
    name: str
    fingerprint: str = ""
    """Of its key; empty without a key."""

    @property
    def command(self) -> str:
        """The command for a client with gentoomuch."""
        key = f" --fingerprint {self.fingerprint}" if self.fingerprint else ""
        return f"gentoomuch binhost client {self.url}/{self.name}{key}"

    @property
    def key_commands(self) -> Sequence[str]:
        """The commands that make plain emerge trust the key. Source: gemato's and getuto's use of a GnuPG home."""
        gpg = f"gpg --homedir {_GNUPG}"
        return (
            "getuto",
            f"wget -q -O - {self.url}/{self.name}/key.asc | {gpg} --import",
            f"echo {self.fingerprint}:6: | {gpg} --import-ownertrust",
            f"{gpg} --check-trustdb",
            f"chmod a+r {_GNUPG}/pubring.kbx {_GNUPG}/trustdb.gpg",
        )


class _Package(NamedTuple):
    cpv: str
    build_id: str
    cpu: str
    """What it was built for; empty if the index does not say."""
    size: int
    built: int
    """Seconds since the epoch; 0 if unknown."""
    path: str


class Page:
    """The page; the packages are read again when the index changes."""

    def __init__(self, root: Path, recipe: Recipe) -> None:
        """Read nothing yet.

        Args:
            root: the directory of the binhost; may be a link that changes.
            recipe: how clients use it.
        """
        self._root, self._recipe = root, recipe
        self._identity, self._packages, self._problem = "", list[_Package](), ""
        self._lock = threading.Lock()

    def format(self, query: str) -> bytes:
        """Format the page for the query of a URL: ``q=TEXT`` and ``page=N``."""
        self._refresh()
        fields = parse_qs(query[: 4 * _LONGEST], errors="replace")
        text, number = fields.get("q", [""])[0][:_LONGEST].strip(), fields.get("page", ["1"])[0]
        words = text.lower().split()
        found = [package for package in self._packages if all(word in package.cpv.lower() for word in words)]
        last = max(1, -(-len(found) // _ROWS))
        current = min(last, max(1, int(number))) if number.isascii() and number.isdigit() and len(number) < 7 else 1
        body = (*self._head(), *self._use(), *self._list(text, found, current, last))
        return format_document(f"Binhost {self._recipe.name}", "\n".join(body)).encode("utf-8", "replace")

    def _refresh(self) -> None:
        with self._lock:
            self._read_index()

    def _read_index(self) -> None:
        identity = files.find_identity(self._root, "Packages")
        if identity == self._identity:
            return
        try:
            self._packages, self._problem = sorted(_read(self._root)), ""
        except (OSError, entry.BadIndex) as error:
            self._packages, self._problem = [], str(error) if isinstance(error, entry.BadIndex) else "cannot read it"
        self._identity = identity

    def _head(self) -> Iterator[str]:
        size = sum(package.size for package in self._packages)
        names = {package.cpv for package in self._packages}
        built = max((package.built for package in self._packages), default=0)
        yield "<h1>Gentoo binhost</h1>"
        yield f'<p class="when">{escape(self._recipe.url)}/{escape(self._recipe.name)}</p>'
        yield format_tiles((
            (str(len(self._packages)), "binary packages"),
            (str(len(names)), "versions"),
            (_format_size(size), "in all"),
            (_format_date(built), "newest build"),
        ))  # fmt: skip
        if self._problem:
            yield f'<p class="bad">The index cannot be shown: {escape(self._problem)}</p>'

    def _use(self) -> Iterator[str]:
        recipe, base = self._recipe, f"{self._recipe.url}/{self._recipe.name}"
        yield "<h2>Use it with gm-emerge</h2>"
        yield "<p>Run once on each client:</p>"
        yield format_command(recipe.command)
        yield "<h2>Use it with plain emerge</h2>"
        if recipe.fingerprint:
            yield f"<p>Its <a href='/{escape(recipe.name)}/key.asc'>key</a> has this fingerprint:</p>"
            yield format_command(recipe.fingerprint)
            yield "<p>Import the key:</p>"
            yield format_command("\n".join(recipe.key_commands))
        yield "<p>Write this to a file in <code>/etc/portage/binrepos.conf</code>:</p>"
        verified = "verify-signature = true\n" if recipe.fingerprint else ""
        yield format_command(f"[{recipe.name}]\nsync-uri = {base}\npriority = 1\n{verified}")

    def _list(self, text: str, found: Sequence[_Package], current: int, last: int) -> Iterator[str]:
        yield "<h2>Packages</h2>"
        yield '<form method="get" action="" role="search"><label for="q">Search for names</label>'
        yield f'<input id="q" name="q" type="search" maxlength="{_LONGEST}" value="{escape(text)}">'
        yield "<button>Search</button></form>"
        shown = found[(current - 1) * _ROWS : current * _ROWS]
        if not shown:
            yield "<p>No package has such a name.</p>" if text else "<p>There are no packages.</p>"
            return
        heads = ("package", "build id", "built for", "size", "built", "file")
        rows = (self._row(package) for package in shown)
        yield format_table("packages", heads, rows, numbers=("build id", "size"))
        if last > 1:
            yield '<nav aria-label="pages">'
            yield from (
                f'<a href="?{escape(urlencode({"q": text, "page": number}))}">{label}</a>'
                for number, label in ((current - 1, "previous"), (current + 1, "next"))
                if 1 <= number <= last
            )
            yield f"<span>page {current} of {last}, {len(found)} packages</span></nav>"

    def _row(self, package: _Package) -> str:
        link = escape(f"/{self._recipe.name}/{package.path}")
        file = escape(package.path.rpartition("/")[2])
        return (
            f'<tr><th scope="row">{escape(package.cpv)}</th><td class="n">{escape(package.build_id)}</td>'
            f"<td>{escape(package.cpu)}</td>"
            f'<td class="n">{_format_size(package.size)}</td><td>{_format_date(package.built)}</td>'
            f'<td><a href="{link}">{file}</a></td></tr>\n'
        )


def _read(root: Path) -> Iterator[_Package]:
    """Yield the packages of a directory: by its index by name, which has the CPUs, or by ``Packages``.

    Raises:
        BadIndex: a shard is damaged.
        OSError: the index cannot be read.
    """
    if (root / FOLDER / "names").is_file():
        for name in shards.read(root):
            yield from map(_parse, shards.entries(root, name))
    else:
        _, _, body = (root / "Packages").read_bytes().partition(b"\n\n")
        yield from map(_parse, entry.each(body))


def _parse(stanza: bytes) -> _Package:
    fields = entry.fields(entry.plain(stanza))
    recorded = entry.parse_metadata(stanza).get(RECORDED, "")
    return _Package(
        cpv=fields.get("CPV", ""),
        build_id=fields.get("BUILD_ID", ""),
        cpu=_describe_cpu(recorded) if recorded else "",
        size=entry.number(fields, "SIZE"),
        built=entry.number(fields, "BUILD_TIME"),
        path=entry.path(stanza),
    )


def _describe_cpu(recorded: str) -> str:
    needed = parse_requirement(recorded)
    return "any CPU" if needed.runs_everywhere else needed.description.removeprefix("-march=")


def _format_size(size: int) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            break
        size = -(-size // 1024)
    return f"{size} {unit}"


def _format_date(seconds: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds)) if seconds else "-"
