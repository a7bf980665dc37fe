"""Be a client of a binhost no more: its table, its key, and its file in binrepos.conf go; what others need stays."""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gentoomuch_portage import files, tables
from gentoomuch_portage.binserve import gpg, trust
from gentoomuch_portage.binserve.policy import Policy
from gentoomuch_portage.errors import BadFile, UsageError, listed
from gentoomuch_portage.portage_adapter.binpkgs import bare
from gentoomuch_portage.settings import Settings


class UnknownBinhost(UsageError):
    """A binhost was named that gentoomuch.toml does not have."""

    code = "unknown-binhost"

    def __init__(self, url: str, known: Iterable[str]) -> None:
        told = f"{bare(url)} is no binhost of gentoomuch.toml {listed(map(bare, known))}"
        super().__init__(told, remedy="gentoomuch binhost ls")


def left(settings: Settings, url: str) -> tuple[Path, ...]:
    """Forget a binhost, as ``gentoomuch.toml`` stands now; the files that were changed or removed.

    Args:
        url: without a slash at its end.

    Raises:
        UnknownBinhost: there is none.
        BadFile: its table cannot be told from others.
    """
    toml = settings.config / "gentoomuch.toml"
    with files.locked(settings.state / "binhost/client.lock"):
        known = tables.load(toml, tables.DEFAULTS, missing_ok=True).get("binhost", {})
        names = [name for name in known if name.rstrip("/") == url]
        if not names:
            raise UnknownBinhost(url, known)
        text = toml.read_text(encoding="utf-8")
        for name in names:
            text = _without(toml, text, name)
        files.write(toml, text)
    told = [gpg.plain(known.pop(name).get("key", "")) for name in names]
    others = {gpg.plain(one.get("key", "")) for one in known.values()}
    keys = [trust.pinned(settings, key) for key in told if key and key not in others]
    gone = [one for one in (*keys, _repository(settings, url)) if one.is_file()]
    for one in gone:
        one.unlink()
    return toml, *gone


def _repository(settings: Settings, url: str) -> Path:
    """The file that ``client --system`` wrote."""
    return settings.host / "binrepos.conf" / f"{Policy(url, '', 1, True, 10).name}.conf"


def _without(toml: Path, text: str, name: str) -> str:
    """The text without the table of a binhost, held against what it said before.

    Raises:
        BadFile: the table is written otherwise than by its header.
    """
    lines = text.splitlines(keepends=True)
    header = re.compile(rf"""[ \t]*\[[ \t]*binhost[ \t]*\.[ \t]*["']{re.escape(name)}["'][ \t]*\]""")
    at = next((number for number, line in enumerate(lines) if header.match(line)), len(lines))
    end = last = min(at + 1, len(lines))
    while end < len(lines) and (line := lines[end].strip()) and not line.startswith("["):
        end += 1
        last = last if line.startswith("#") else end  # a comment above the next table is that one's
    before = at - 1 if at and not lines[at - 1].strip() and not "".join(lines[last : last + 1]).strip() else at
    after = "".join([*lines[:before], *lines[last:]])
    if _said(after) != _without_name(_said(text), name):
        place = tables.line_of(text, ("binhost",), name)
        raise BadFile(toml, place, f'[binhost."{bare(name)}"] is not written as a table of its own', remedy="remove it")
    return after


def _said(text: str) -> dict[str, Any]:
    """What a text says; nothing where it is no TOML."""
    try:
        return {"binhost": {}, **tomllib.loads(text)}
    except tomllib.TOMLDecodeError:
        return {}


def _without_name(said: dict[str, Any], name: str) -> dict[str, Any]:
    return {**said, "binhost": {one: told for one, told in said["binhost"].items() if one != name}}
