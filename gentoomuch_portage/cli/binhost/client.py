"""``gentoomuch binhost client``: the side that takes the packages.

``gentoomuch binhost ls``: the binhosts that packages are taken from.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import BadUsage
from gentoomuch_portage.cli.output import columns
from gentoomuch_portage.cli.parser import Parser, listing
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import UsageError, bare

if TYPE_CHECKING:
    from gentoomuch_portage.binhost.client.configure import Met


class NotWritten(UsageError):
    """Something of the machine itself is to be written, and nobody said yes."""

    code = "not-written"

    def __init__(self, place: Path) -> None:
        super().__init__(f"{place} is not written: nobody agreed", remedy="--yes")
        self.place = place


def _add(parser: Parser) -> None:
    listing(parser)
    parser.add_argument("url", metavar="URL", help="of the binhost, as binhost serve and binhost publish print it")
    parser.add_argument(
        "--fingerprint", metavar="F", default="", help="of its key; asked for at a terminal if left out"
    )
    parser.add_argument("--key", metavar="FILE", type=Path, help="its key, where the binhost does not give it out")
    parser.add_argument("--priority", metavar="N", type=int, help="of several that have a package the highest is taken")
    parser.add_argument("--timeout", metavar="SECONDS", type=int, help="to wait for it; 10 where left out")
    parser.add_argument(
        "--no-fallback", action="store_true", help="fail where it is dead or a package of it is refused"
    )
    parser.add_argument("--plain-index", action="store_true", help="its index is not signed; its packages are")
    parser.add_argument("--system", action="store_true", help="for emerge itself as well: etc/portage, after a diff")
    parser.add_argument("--yes", action="store_true", help="with --system: write without asking")
    told = "take no more packages from it: its table, its key, and what --system wrote in binrepos.conf go"
    parser.add_argument("--remove", action="store_true", help=told)


def _client(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage import gpg
    from gentoomuch_portage.binhost.client import configure
    from gentoomuch_portage.binhost.client.config import Policy, policies
    from gentoomuch_portage.binhost.errors import NotConfirmed

    url, fingerprint = args.url.rstrip("/"), gpg.plain(args.fingerprint)
    if args.fingerprint and not fingerprint:
        raise BadUsage("gentoomuch binhost client", f"{args.fingerprint!r} is no fingerprint: 40 hexadecimal digits")
    _check(url)
    if args.remove:
        return _remove(settings, args, url)
    pinned = {one.url: one.key for one in policies(settings)}
    with configure.asked(args.timeout or 10) as pools:
        key, text = configure.key_of(pools, url, fingerprint, args.key)
        question = f"the key of {bare(url)} is\n    {gpg.spaced(key)}\nIs that what binhost key says there?"
        if not fingerprint and pinned.get(url) != key and not console.agreed(question):
            raise NotConfirmed(url, key)
        policy = Policy(
            url, key, args.priority or 1, not args.no_fallback, args.timeout or 10, signed=not args.plain_index
        )
        found = configure.met(pools, policy, text)
    told: dict[str, object] = {
        name: value for name, value in (("priority", args.priority), ("timeout", args.timeout)) if value is not None
    }
    told |= {"fallback": False} if args.no_fallback else {}
    told |= {"index": "plain"} if args.plain_index else {}
    fresh = configure.pinned(settings, found, told)
    toml = settings.config / "gentoomuch.toml"
    if url in pinned and told:
        lines = "; ".join(f"{name} = {configure.as_toml(value)}" for name, value in told.items())
        console.warn(f"{toml} has a table of it, which stays as it is; what was asked for: {lines}")
    if bare(url) != url and toml.stat().st_mode & 0o004:
        console.warn(f"{toml} tells a password, and everybody can read it; try: chmod go= {toml}")
    if args.system:
        _system(settings, found, agreed=args.yes)
    _tell(args, found, fresh=fresh)
    return 0


def _remove(settings: Settings, args: argparse.Namespace, url: str) -> int:
    from gentoomuch_portage.binhost.client import configure

    changed = configure.left(settings, url)
    if args.json:
        console.say_json({"url": bare(url), "files": [str(one) for one in changed]})
    elif not args.quiet:
        console.say_each(f"{'changed' if one.exists() else 'removed'} {one}" for one in changed)
    return 0


def _check(url: str) -> None:
    """See to it that a word may be the URL of a binhost.

    Raises:
        BadUsage: it cannot.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        near = "" if "//" in url or parts.scheme in {"http", "https"} else f"http://{bare(url)} ?"
        told = f"{bare(url)!r} is no http:// or https:// URL of a binhost"
        raise BadUsage("gentoomuch binhost client", told, remedy=near)


def _system(settings: Settings, found: "Met", *, agreed: bool) -> None:
    """Make the machine itself a client."""
    from gentoomuch_portage.binhost.client import configure
    from gentoomuch_portage.portage_adapter import binhosts

    known, url = binhosts.known(settings.host), found.policy.url
    configure.apart(url, {name: url for name, url in known.urls.items() if name != found.policy.name})
    place, text, shown = configure.section(settings, found.policy)
    if shown:
        console.say(shown.rstrip("\n"))
    console.tell(f"the key {found.policy.key} goes into {known.home}")
    if not agreed and not console.agreed("Write that?"):
        raise NotWritten(place)
    configure.trusted(known.home, found)
    if shown:
        configure.written(place, text, url)


def _tell(args: argparse.Namespace, found: "Met", *, fresh: bool) -> None:
    if args.json:
        policy = found.policy
        told = {
            "url": bare(policy.url),
            "key": policy.key,
            "packages": found.packages,
            "verified": found.tested,
            "new": fresh,
        }
        console.say_json(told)
    elif not args.quiet:
        tested = f"{found.tested} was fetched and verified" if found.tested else "none of them could be verified"
        console.tell(f"{bare(found.policy.url)} has {found.packages} packages, signed by {found.policy.key}; {tested}")
        console.tell("try: gm-emerge -pg PACKAGE, or remote = true below [binpkg] in a profile")


COMMANDS = (Command("client", "take packages from a binhost: pin its key, and test it", _add, _client),)
"""Commands of the group ``binhost``."""


def _ls(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.binhost.client.config import policies
    from gentoomuch_portage.binhost.keys import pinned

    by_url = {one.url: one for one in policies(settings)}
    rows: list[dict[str, Any]] = []
    for url, told in sorted(settings.defaults.get("binhost", {}).items()):
        row: dict[str, Any] = {"url": bare(url), "cpu": told.get("cpu", ""), "key": "", "pinned": False}
        if policy := by_url.get(url.rstrip("/")):
            asked = {name: getattr(policy, name) for name in ("key", "priority", "fallback", "timeout", "signed")}
            row |= asked | {"pinned": pinned(settings, policy.key).is_file()}
        rows.append(row)
    if args.json:
        console.say_json(rows)
    elif rows:
        console.say(columns(("binhost", "priority", "cpu", "key"), [_cells(row) for row in rows]))
    elif not args.quiet:
        console.tell("no binhost is known; one more: gentoomuch binhost client URL")
    return 0


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    missing = console.bad("  its file is missing") if row["key"] and not row["pinned"] else ""
    return row["url"], str(row.get("priority", "-")), row["cpu"] or "-", f"{row['key'] or '-'}{missing}"


LS_COMMANDS = (Command("ls", "list the binhosts that packages are taken from", listing, _ls),)
