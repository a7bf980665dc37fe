"""Connections to binhosts: which, for how long, through which proxy; and what their failures are called."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from gentoomuch_portage.errors import MachineError
from gentoomuch_portage.portage_adapter.binpkgs import bare

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
