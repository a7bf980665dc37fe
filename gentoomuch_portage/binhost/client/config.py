# SPDX-License-Identifier: GPL-2.0-or-later
"""Load the binhosts of ``gentoomuch.toml``: ``[binhost."URL"]``."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from gentoomuch_portage import gpg
from gentoomuch_portage.config.schema import BINHOST_DEFAULTS, line_of
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import BadFile, bare


class BinhostConfig(NamedTuple):
    """One configured binhost."""

    url: str
    """Without a trailing slash."""
    key: str
    """Fingerprint of the key that signs packages and index."""
    priority: int
    """Of several binhosts with a package, the one with the highest priority is used."""
    fallback: bool
    """Whether the next binhost or the ebuild is used if this one is dead, or a package of it is rejected."""
    timeout: int
    """Timeout in seconds."""
    signed: bool = True
    """Whether the index must be signed."""
    max_age: int = 0
    """Days after which a signed index is rejected; 0 for never."""
    rate: int = BINHOST_DEFAULTS["min_rate"]
    """KiB per second: a download that stays below it for the length of ``timeout`` is given up."""

    @property
    def name(self) -> str:
        """Its name in binrepos.conf, made from the whole URL, so that it is unique."""
        parts = urlsplit(self.url)
        plain = f"{parts.netloc.rpartition('@')[2]}{parts.path}".replace(":", "+").replace("/", "_")
        escaped = re.sub(r"[^A-Za-z0-9.+_-]", lambda sign: f"={ord(sign[0]):x}=", plain)
        return escaped if parts.scheme == "http" else f"{parts.scheme}+{escaped}"

    def section(self, *, login: bool) -> str:
        """Return its section of binrepos.conf.

        ``location`` is written although it is Portage's default: with PORTAGE_BINHOST set, Portage would mix the
        packages of all binhosts into PKGDIR, and verify none of them by this section.

        Args:
            login: include name and password, for plain emerge; gm-emerge does not need them here.
        """
        url = (self.url if login else bare(self.url)).replace("%", "%%")  # a single one would start a variable
        lines = [f"[{self.name}]", f"sync-uri = {url}", f"priority = {self.priority}", "verify-signature = true"]
        lines.append(f"location = %(EPREFIX)s/var/cache/binhost/{self.name}")
        return "\n".join(lines) + "\n"


def load_binhosts(settings: Settings) -> tuple[BinhostConfig, ...]:
    """Load the binhosts with a key, sorted by URL; for the others only the cpu is configured.

    Raises:
        BadFile[bad-setting]: a key is not a fingerprint.
    """
    binhosts = []
    for url, table in sorted(settings.defaults.get("binhost", {}).items()):
        if "key" not in table:
            continue
        values = {**BINHOST_DEFAULTS, **table}
        key = gpg.parse_fingerprint(values["key"])
        if not key:
            raise _bad_key(settings.config / "gentoomuch.toml", url, values["key"])
        binhosts.append(
            BinhostConfig(
                url=url.rstrip("/"),
                key=key,
                priority=values["priority"],
                fallback=values["fallback"],
                timeout=max(1, values["timeout"]),
                signed=values["index"] == "signed",
                max_age=_check_max_age(settings, url, values),
                rate=max(1, values["min_rate"]),
            )
        )
    return tuple(binhosts)


def _check_max_age(settings: Settings, url: str, table: Mapping[str, Any]) -> int:
    """Return max_age in days.

    Raises:
        BadFile[bad-setting]: the index has no signature that proves its age.
    """
    days = int(table["max_age"])
    if days and table["index"] == "plain":
        file = settings.config / "gentoomuch.toml"
        line = line_of(file.read_text(encoding="utf-8"), ("binhost", url), "max_age")
        why = 'requires index = "signed": the server of an unsigned index chooses its age'
        raise BadFile(
            file, line, f"max_age = {days} {why}", code="bad-setting", hint="remove max_age, or set a number of days"
        )
    return days


def _bad_key(path: Path, url: str, key: str) -> BadFile:
    line = line_of(path.read_text(encoding="utf-8"), ("binhost", url), "key")
    return BadFile(
        path,
        line,
        f"key = {key!r} is not a fingerprint (40 hexadecimal digits)",
        code="bad-setting",
        hint="run on the server: gentoomuch binhost key",
    )
