# SPDX-License-Identifier: GPL-2.0-or-later
"""Connect to binhosts through proxies, with timeouts, logins and redirects."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

from gentoomuch_portage.errors import MachineError, bare
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    import ssl
    import urllib.request as urllib_request

    import urllib3
else:
    urllib3 = LazyModule("urllib3")  # packages of this machine need no connection
    urllib_request = LazyModule("urllib.request")

_REDIRECTS = 5


class BinpkgUnreadable(MachineError):
    """The metadata of a binary package cannot be read.

    Attributes:
        why: the reason alone: ``its binhost answers 403``.
        dead: whether other packages of that binhost would fail as well.
    """

    code = "binpkg-unreadable"

    def __init__(self, url: str, why: str, *, dead: bool = False) -> None:
        super().__init__(f"cannot read package metadata from {bare(url)}: {why}")
        self.why, self.dead = why, dead


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Timeouts in seconds."""

    connect: float = 5.0
    """For a connection."""
    silence: float = 10.0
    """For the next bytes."""
    total: float = 15.0
    """For the metadata of one package."""
    rate: int = 1024
    """Bytes per second: a download that is slower for the length of ``silence`` is aborted."""


class BadRedirect(Exception):
    """A redirect that is not followed; its text is the reason."""


class Pools:
    """Connections to binhosts, shared by the threads of a process."""

    def __init__(
        self,
        proxy: Callable[[str], str],
        timeouts: Timeouts | None = None,
        *,
        binhosts: Iterable[str] = (),
        tls: "ssl.SSLContext | None" = None,
    ) -> None:
        """Configure connections; none is made yet.

        Args:
            proxy: URL -> URL of its proxy; empty for none.
            binhosts: URLs with name and password, used for files below them.
            tls: loaded certificates (default: load those of the system when needed).
        """
        self.timeouts = timeouts or Timeouts()
        self._proxy = proxy
        self._binhosts = tuple(binhosts)
        self._tls = tls
        self._made: dict[str, urllib3.PoolManager] = {}

    def get(self, url: str, headers: dict[str, str]) -> "urllib3.BaseHTTPResponse":
        """Send a GET request, and return the answer with its body unread; redirects are not followed."""
        proxy = self._proxy(url)
        if proxy not in self._made:
            options: dict[str, Any] = {
                "retries": False,
                "timeout": urllib3.Timeout(connect=self.timeouts.connect, read=self.timeouts.silence),
                "maxsize": 4,
                **({"ssl_context": self._tls} if self._tls else {}),
            }
            self._made[proxy] = _make_proxy_manager(proxy, options) if proxy else urllib3.PoolManager(**options)
        pool = self._made[proxy]
        return pool.request("GET", url, headers=headers, redirect=False, preload_content=False, decode_content=False)

    def follow(self, url: str, headers: Mapping[str, str], start: str = "") -> tuple[str, "urllib3.BaseHTTPResponse"]:
        """Follow redirects to the first other answer; only the origin of ``url`` gets name and password.

        Args:
            start: the URL that ``url`` redirected to before (default: ``url``).

        Returns:
            The URL that answered, and the answer with its body unread.

        Raises:
            BadRedirect: there are too many, or one leads from https to http or to another scheme.
        """
        login, current = login_header(login_url(url, self._binhosts)), start or url
        for _ in range(_REDIRECTS + 1):
            own = login if origin(current) == origin(url) else {}
            answer = self.get(bare(current), {**headers, **own, "User-Agent": "gentoomuch-portage"})
            if answer.status not in {301, 302, 303, 307, 308}:
                return current, answer
            answer.close()
            current = next_url(current, answer.headers.get("Location", ""))
        raise BadRedirect("its binhost redirects too often")

    def close(self) -> None:
        """Close idle connections."""
        for pool in self._made.values():
            pool.clear()


def _make_proxy_manager(proxy: str, options: Mapping[str, Any]) -> "urllib3.ProxyManager":
    """Connect through a proxy, with the name and password of its URL."""
    parts = urlsplit(proxy)
    user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    headers = urllib3.make_headers(proxy_basic_auth=user) if parts.username else None
    return urllib3.ProxyManager(bare(proxy), proxy_headers=headers, **options)


def next_url(url: str, location: str) -> str:
    """Return the URL that a redirect leads to.

    Raises:
        BadRedirect: it leads from https to http, or to another scheme.
    """
    target = urljoin(url, location)
    allowed = {"https"} if urlsplit(url).scheme == "https" else {"http", "https"}
    if urlsplit(target).scheme not in allowed:
        raise BadRedirect(f"its binhost redirects to {origin(target)[:80]}")
    return target


def login_url(url: str, binhosts: Iterable[str]) -> str:
    """Add the name and password of the binhost that a URL is below.

    Args:
        binhosts: URLs with name and password; the longest matching one is used.
    """
    parts = urlsplit(url)
    if parts.username or ".." in parts.path.split("/"):
        return url
    above = (binhost for binhost in binhosts if url.startswith(f"{bare(binhost).rstrip('/')}/"))
    nearest = max(above, key=lambda binhost: len(bare(binhost)), default="")
    user, at, _ = urlsplit(nearest).netloc.rpartition("@")
    return parts._replace(netloc=f"{user}@{parts.netloc}").geturl() if at else url


def origin(url: str) -> str:
    """Return scheme, host and port of a URL: the part that is alive or dead as a whole."""
    parts = urlsplit(url)
    return f"{parts.scheme.lower()}://{parts.hostname}:{parts.port or ''}"


def describe_error(error: Exception) -> str:
    """Describe a network error of a binhost."""
    match error:
        case urllib3.exceptions.NameResolutionError():
            return "cannot resolve the name of its binhost"
        case urllib3.exceptions.NewConnectionError():  # urllib3 derives it from its timeouts
            return "cannot connect to its binhost"
        case urllib3.exceptions.TimeoutError():
            return "its binhost did not answer in time"
        case urllib3.exceptions.SSLError():
            return "its binhost has no valid certificate"
        case urllib3.exceptions.ProxyError():
            return "the proxy does not answer"
    return f"the connection to its binhost broke ({type(error).__name__})"


def is_unanswered(error: Exception) -> bool:
    """Check whether a network error means that other files of that binhost would fail as well."""
    unanswered = (
        urllib3.exceptions.TimeoutError,
        urllib3.exceptions.NewConnectionError,
        urllib3.exceptions.SSLError,
        urllib3.exceptions.ProxyError,
    )
    return isinstance(error, unanswered)


def login_header(url: str) -> dict[str, str]:
    """Return the Authorization header for the name and password of a URL; empty if it has none."""
    parts = urlsplit(url)
    if not parts.username:
        return {}
    return urllib3.make_headers(basic_auth=f"{unquote(parts.username)}:{unquote(parts.password or '')}")


def proxy_of_environment(url: str) -> str:
    """Return the proxy that http_proxy, https_proxy and no_proxy name for a URL, as wget does."""
    parts = urlsplit(url)
    proxies: dict[str, str] = urllib_request.getproxies_environment()
    with suppress(ValueError):
        if urllib_request.proxy_bypass_environment(f"{parts.hostname}:{parts.port or ''}".rstrip(":"), proxies):  # type: ignore[attr-defined]
            return ""
    return proxies.get(parts.scheme, "")
