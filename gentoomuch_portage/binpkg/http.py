"""A file on a binhost, read by HTTP ranges: no more bytes than asked for, no longer than one has patience.

Source: RFC 9110, "Range Requests".

Connections to binhosts: which, for how long, through which proxy; and what their failures are called.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

from gentoomuch_portage.binpkg.source import Source
from gentoomuch_portage.errors import MachineError, bare

if TYPE_CHECKING:
    import urllib3


class Unread(MachineError):
    """A binary package that its binhost does not let us look into.

    Attributes:
        why: the fact alone: ``its binhost answers 403``.
        dead: whether other packages of that binhost would fare the same.
    """

    code = "binpkg-unread"

    def __init__(self, url: str, why: str, *, dead: bool = False) -> None:
        super().__init__(f"{bare(url)} cannot be looked into: {why}")
        self.why, self.dead = why, dead


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait, in seconds."""

    connect: float = 5.0
    """For a connection."""
    silence: float = 10.0
    """For the next bytes."""
    total: float = 15.0
    """For one package, all in all."""


class Pools:
    """Connections to binhosts; those of one process are shared by its threads."""

    def __init__(self, proxy: Callable[[str], str], patience: Patience | None = None) -> None:
        """Make no connection yet.

        Args:
            proxy: URL -> URL of its proxy; empty for none.
        """
        self.patience = patience or Patience()
        self._proxy = proxy
        self._made: dict[str, urllib3.PoolManager] = {}

    def ask(self, url: str, headers: dict[str, str]) -> "urllib3.BaseHTTPResponse":
        """The answer to a GET, its body not yet read; redirects are not followed."""
        import urllib3

        proxy = self._proxy(url)
        if proxy not in self._made:
            told: dict[str, Any] = {
                "retries": False,
                "timeout": urllib3.Timeout(connect=self.patience.connect, read=self.patience.silence),
                "maxsize": 4,
            }
            self._made[proxy] = urllib3.ProxyManager(proxy, **told) if proxy else urllib3.PoolManager(**told)
        pool = self._made[proxy]
        return pool.request("GET", url, headers=headers, redirect=False, preload_content=False, decode_content=False)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        for pool in self._made.values():
            pool.clear()


def origin(url: str) -> str:
    """Scheme, host and port of a URL: what is alive or dead as one."""
    parts = urlsplit(url)
    return f"{parts.scheme.lower()}://{parts.hostname}:{parts.port or ''}"


def in_words(error: Exception) -> str:
    """An error of the network in words, about a binhost."""
    from urllib3 import exceptions

    match error:
        case exceptions.NameResolutionError():
            return "the name of its binhost is not known"
        case exceptions.NewConnectionError():  # a kind of timeout to urllib3
            return "its binhost cannot be reached"
        case exceptions.TimeoutError():
            return "its binhost does not answer in time"
        case exceptions.SSLError():
            return "its binhost has no certificate that holds"
        case exceptions.ProxyError():
            return "the proxy does not answer"
    return f"its binhost breaks off ({type(error).__name__})"


def login(url: str) -> dict[str, str]:
    """The header that tells name and password of a URL; none where it has neither."""
    from urllib3.util import make_headers

    parts = urlsplit(url)
    if not parts.username:
        return {}
    return make_headers(basic_auth=f"{unquote(parts.username)}:{unquote(parts.password or '')}")


def proxy_of_environment(url: str) -> str:
    """The proxy that http_proxy, https_proxy and no_proxy name for a URL, as wget takes it; nothing else is asked."""
    from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

    parts = urlsplit(url)
    named: dict[str, str] = getproxies_environment()
    with suppress(ValueError):
        if proxy_bypass_environment(f"{parts.hostname}:{parts.port or ''}".rstrip(":"), named):
            return ""
    return named.get(parts.scheme, "")


MOST_WHOLE = 4 << 20
"""Bytes of a file that is read from its beginning where the server gives no parts."""
_REDIRECTS = 5
_CHUNK = 64 << 10
_BEYOND = re.compile(r"bytes \*/(\d+)")
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@contextmanager
def opened(pools: Pools, url: str, size: int) -> Iterator[Source]:
    """A file of a binhost, to read by parts as long as the block runs.

    Args:
        size: bytes, as the index tells; 0 where it does not.

    Raises:
        Unread: its size had to be asked for, and that failed.
    """
    file = _File(pools, url, size)
    try:
        yield Source(urlsplit(url).path, file.size or file.asked_size(), file.read_at, seconds=pools.patience.total)
    finally:
        file.close()


class _File:
    """One file of a binhost."""

    def __init__(self, pools: Pools, url: str, size: int) -> None:
        self.size = size
        self._pools, self._url, self._told = pools, url, url
        self._ends = time.monotonic() + pools.patience.total
        self._whole: urllib3.BaseHTTPResponse | None = None
        self._seen = b""

    def asked_size(self) -> int:
        """The size that the server tells.

        Raises:
            Unread: it tells none.
        """
        self.read_at(0, 1)
        if not self.size:
            raise self._unread("neither its index nor its binhost tells its size")
        return self.size

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes there; fewer only where the server has no more.

        Raises:
            Unread: the server does not give them.
        """
        with self._failing():
            if self._whole is None:
                answer = self._answer(offset, length)
                if answer.status == 206:
                    self._check(answer, offset, length)
                    return self._part(answer, length)
                self._whole = answer
                self.size = self.size or int(answer.headers.get("Content-Length") or 0)
            if offset + length > MOST_WHOLE:
                raise self._unread("its binhost gives no parts of files, and it is too long to be read whole")
            while len(self._seen) < offset + length and (more := self._next_of(self._whole)):
                self._seen += more
            return self._seen[offset : offset + length]

    def _answer(self, offset: int, length: int) -> "urllib3.BaseHTTPResponse":
        """The first answer that is no redirect."""
        asked = {"Range": f"bytes={offset}-{offset + length - 1}", "Accept-Encoding": "identity"}
        url = self._url
        for _ in range(_REDIRECTS + 1):
            answer = self._pools.ask(bare(url), asked | self._login(url) | {"User-Agent": "gentoomuch-portage"})
            if answer.status not in {301, 302, 303, 307, 308}:
                self._url = url
                return self._decent(answer)
            answer.close()
            url = self._next(url, answer.headers.get("Location", ""))
        raise self._unread("its binhost redirects without end")

    def _next(self, url: str, location: str) -> str:
        target = urljoin(url, location)
        allowed = {"https"} if urlsplit(url).scheme == "https" else {"http", "https"}
        if urlsplit(target).scheme not in allowed:
            raise self._unread(f"its binhost redirects to {origin(target)[:80]}")
        return target

    def _login(self, url: str) -> dict[str, str]:
        """Name and password that stand in the URL; only a redirect within one origin keeps them."""
        return login(self._told) if origin(url) == origin(self._told) else {}

    def close(self) -> None:
        """Let go of an answer that was not read to its end."""
        if self._whole is not None:
            self._whole.close()

    def _decent(self, answer: "urllib3.BaseHTTPResponse") -> "urllib3.BaseHTTPResponse":
        if answer.status == 416 and (told := _BEYOND.fullmatch(answer.headers.get("Content-Range", ""))):
            answer.close()
            raise self._unread(f"it has {told[1]} bytes, and its index says {self.size}")
        if answer.status not in {200, 206}:
            answer.close()
            raise self._unread(f"its binhost answers {answer.status}")
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            answer.close()
            raise self._unread("its binhost compresses what it sends though it was told not to")
        return answer

    def _check(self, answer: "urllib3.BaseHTTPResponse", offset: int, length: int) -> None:
        """Hold what a server says that it sends against what was asked for."""
        part = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if not part or int(part[1]) != offset or int(part[2]) >= offset + length:
            answer.close()
            raise self._unread("its binhost sends another part than the one it was asked for")
        if part[3] != "*" and int(part[3]) != self.size:
            if self.size:
                answer.close()
                raise self._unread(f"it has {part[3]} bytes, and its index says {self.size}")
            self.size = int(part[3])

    def _part(self, answer: "urllib3.BaseHTTPResponse", length: int) -> bytes:
        found = b""
        while len(found) < length and (more := self._next_of(answer)):
            found += more
        if len(found) == length:
            answer.release_conn()
        else:
            answer.close()
        return found[:length]

    def _next_of(self, answer: "urllib3.BaseHTTPResponse") -> bytes:
        """What has arrived; empty at the end."""
        if time.monotonic() > self._ends:
            answer.close()
            raise self._unread("its binhost is too slow", dead=True)
        return answer.read1(_CHUNK)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Give every failure of the network one name."""
        from urllib3 import exceptions

        lost = (exceptions.TimeoutError, exceptions.NewConnectionError, exceptions.SSLError, exceptions.ProxyError)
        try:
            yield
        except (exceptions.HTTPError, OSError, ValueError) as error:
            raise self._unread(in_words(error), dead=isinstance(error, lost)) from error

    def _unread(self, why: str, *, dead: bool = False) -> Unread:
        return Unread(self._told, why, dead=dead)
