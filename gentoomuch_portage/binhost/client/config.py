"""What ``gentoomuch.toml`` says of each binhost: ``[binhost."URL"]``."""

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from gentoomuch_portage import gpg
from gentoomuch_portage.config.schema import line_of
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import BadSetting

_TIMEOUT = 10


class Policy(NamedTuple):
    """One binhost that packages are taken from."""

    url: str
    """Without a slash at its end."""
    key: str
    """Fingerprint of the key that signs its packages and its index."""
    priority: int
    """Of several that have a package, the one with the highest is taken."""
    fallback: bool
    """Whether the next source or the ebuild is taken where this one is dead or a package of it is refused."""
    timeout: int
    """Seconds to wait for it."""
    signed: bool = True
    """Whether its index is signed, and has to be."""

    @property
    def name(self) -> str:
        """Its name in binrepos.conf: all of the URL counts, so that no two are one."""
        parts = urlsplit(self.url)
        plain = f"{parts.netloc.rpartition('@')[2]}{parts.path}".replace(":", "+").replace("/", "_")
        escaped = re.sub(r"[^A-Za-z0-9.+_-]", lambda sign: f"={ord(sign[0]):x}=", plain)
        return escaped if parts.scheme == "http" else f"{parts.scheme}+{escaped}"

    def section(self, *, fetch: bool = True) -> str:
        """Its section of binrepos.conf.

        ``location`` is told though it is Portage's default: with PORTAGE_BINHOST set, Portage would mix the packages
        of all binhosts into PKGDIR, and verify none of them by what is said here.
        """
        url = self.url.replace("%", "%%")  # what follows one alone would be a variable
        lines = [f"[{self.name}]", f"sync-uri = {url}", f"priority = {self.priority}", "verify-signature = true"]
        lines.append(f"location = %(EPREFIX)s/var/cache/binhost/{self.name}")
        if fetch and urlsplit(self.url).scheme in {"http", "https"}:
            words = f'wget -t 1 -T {self.timeout} --no-verbose -O "${{DISTDIR}}/${{FILE}}" "${{URI}}"'
            lines += [f"fetchcommand = {words}", f"resumecommand = {words.replace('wget', 'wget -c', 1)}"]
        return "\n".join(lines) + "\n"


def policies(settings: Settings) -> tuple[Policy, ...]:
    """The binhosts whose key is told, sorted by URL; of the others only the cpu is known.

    Raises:
        BadSetting: a key is no fingerprint.
    """
    found = []
    for url, told in sorted(settings.defaults.get("binhost", {}).items()):
        if "key" not in told:
            continue
        key = gpg.plain(told["key"])
        if not key:
            raise _bad(settings.config / "gentoomuch.toml", url, told["key"])
        found.append(
            Policy(
                url=url.rstrip("/"),
                key=key,
                priority=told.get("priority", 1),
                fallback=told.get("fallback", True),
                timeout=max(1, told.get("timeout", _TIMEOUT)),
                signed=told.get("index", "signed") == "signed",
            )
        )
    return tuple(found)


def _bad(path: Path, url: str, told: str) -> BadSetting:
    line = line_of(path.read_text(encoding="utf-8"), ("binhost", url), "key")
    return BadSetting(path, line, f"key = {told!r} is no fingerprint", remedy="40 hexadecimal digits: binhost key")
