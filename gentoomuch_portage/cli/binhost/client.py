# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch binhost client`` and ``ls``: configure, test and list the binhosts of this machine."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import bad_usage
from gentoomuch_portage.cli.output import format_table
from gentoomuch_portage.cli.parser import Parser, add_json_option
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import UsageError, bare

if TYPE_CHECKING:
    from gentoomuch_portage.binhost.client.configure import VerifiedBinhost


def not_written(place: Path) -> UsageError:
    """A file in /etc/portage was not written, because the user did not confirm it."""
    error = UsageError(f"{place} not written: not confirmed", code="not-written", hint="the same command with --yes")
    return error.with_correction("", "--yes")


def _add(parser: Parser) -> None:
    add_json_option(parser)
    parser.add_argument("url", metavar="URL", help="URL of the binhost, as binhost serve and binhost publish print it")
    parser.add_argument(
        "--fingerprint", metavar="F", default="", help="fingerprint of its key (default: ask on the terminal)"
    )
    parser.add_argument("--key", metavar="FILE", type=Path, help="public key, if the binhost does not publish it")
    parser.add_argument(
        "--priority", metavar="N", type=int, help="priority; the binhost with the highest is asked first"
    )
    parser.add_argument("--timeout", metavar="SECONDS", type=int, help="time to wait for an answer (default: 10)")
    parser.add_argument(
        "--no-fallback", action="store_true", help="fail if it does not respond or a package is rejected"
    )
    parser.add_argument("--plain-index", action="store_true", help="accept an unsigned index; packages must be signed")
    parser.add_argument(
        "--system", action="store_true", help="also configure plain emerge in /etc/portage, after showing a diff"
    )
    parser.add_argument("--yes", action="store_true", help="with --system or --accept-older: do not ask")
    parser.add_argument("--new-key", action="store_true", help="pin its current key instead of the old one")
    accept = "accept an older index, for a server that was restored from a backup"
    parser.add_argument("--accept-older", action="store_true", help=accept)
    text = "remove its cached index and the record of failed packages; the next run downloads it again"
    parser.add_argument("--fresh", action="store_true", help=text)
    text = "stop using it: remove its table, its key, and the section in binrepos.conf"
    parser.add_argument("--remove", action="store_true", help=text)


def _client(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage import gpg
    from gentoomuch_portage.binhost.client import configure, index
    from gentoomuch_portage.binhost.client.config import BinhostConfig, load_binhosts
    from gentoomuch_portage.binhost.client.memory import BinhostRecords
    from gentoomuch_portage.config.schema import BINHOST_DEFAULTS

    url, fingerprint = args.url.rstrip("/"), gpg.parse_fingerprint(args.fingerprint)
    if args.fingerprint and not fingerprint:
        message = f"invalid fingerprint {args.fingerprint!r}: 40 hexadecimal digits are required"
        error = bad_usage("gentoomuch binhost client", message)
        raise error.with_correction("--fingerprint", length=2)  # it asks for confirmation then
    _check(url)
    if args.remove or args.accept_older or args.new_key or args.fresh:
        url = _known_url(settings, url)
    for is_wanted, work in ((args.fresh, _forget), (args.remove, _remove), (args.accept_older, _accept_older)):
        if is_wanted:
            return work(settings, args, url)
    memory = BinhostRecords.of(settings)
    pinned = {known.url: known.key for known in load_binhosts(settings)}
    signed, timeout = not args.plain_index, args.timeout or BINHOST_DEFAULTS["timeout"]
    policy = BinhostConfig(url, "", args.priority or 1, not args.no_fallback, timeout, signed=signed)
    patience = index.timeouts_of(policy)
    key, text = configure.fetch_key(patience, url, fingerprint, args.key)
    if pinned.get(url) != key:
        _confirm(url, key, pinned.get(url, ""), args)
    binhost = configure.verify_binhost(patience, policy._replace(key=key), text, memory)
    settings_given: dict[str, object] = {
        name: value for name, value in (("priority", args.priority), ("timeout", args.timeout)) if value is not None
    }
    settings_given |= {"fallback": False} if args.no_fallback else {}
    settings_given |= {"index": "plain"} if args.plain_index else {}
    if pinned.get(url, key) != key:
        configure.replace_key(settings, binhost, pinned[url])
        fresh = True
    else:
        fresh = configure.pin(settings, binhost, settings_given)
    toml = settings.config / "gentoomuch.toml"
    if url in pinned and settings_given:
        lines = "; ".join(f"{name} = {configure.format_toml(value)}" for name, value in settings_given.items())
        console.warning(
            f"{toml} already has a table of this binhost, and was not changed; the new table would be: {lines}"
        )
    if bare(url) != url and toml.stat().st_mode & 0o004:
        console.warning(f"{toml} contains a password and is world-readable; hint: chmod go= {toml}")
    if args.system:
        _system(settings, binhost, agreed=args.yes)
    _print_summary(args, binhost, fresh=fresh)
    return 0


def _forget(settings: Settings, args: argparse.Namespace, url: str) -> int:
    from gentoomuch_portage.binhost.client import session
    from gentoomuch_portage.portage_adapter import paths

    removed = session.forget(settings.cache, Path(f"{paths.eprefix()}/var/cache/edb/binhost"), url)
    if args.json:
        console.print_json({"url": bare(url), "files": [str(path) for path in removed]})
    elif not args.quiet:
        console.print_results(f"removed {path}" for path in removed)
        console.info("the next run downloads the index" if removed else "nothing is cached")
    return 0


def _remove(settings: Settings, args: argparse.Namespace, url: str) -> int:
    from gentoomuch_portage.binhost.client import configure

    changed = configure.remove(settings, url)
    if args.json:
        console.print_json({"url": bare(url), "files": [str(path) for path in changed]})
    elif not args.quiet:
        console.print_results(f"{'changed' if path.exists() else 'removed'} {path}" for path in changed)
    return 0


def _confirm(url: str, key: str, pinned: str, args: argparse.Namespace) -> None:
    """Check that the user confirms a key.

    Raises:
        UsageError[key-not-confirmed]: the key was not confirmed.
        ConfigError[key-known]: another key is pinned, and ``--new-key`` is missing.
    """
    from gentoomuch_portage import gpg
    from gentoomuch_portage.binhost.errors import not_confirmed, other_key_pinned

    question = f"the key of {bare(url)} is\n    {gpg.format_fingerprint(key)}\nDoes `binhost key` print that there?"
    if not args.fingerprint and not console.confirm(question):
        raise not_confirmed(url, key)
    if pinned and not args.new_key:
        raise other_key_pinned(url, pinned, key)


def _known_url(settings: Settings, url: str) -> str:
    """Return the URL as in gentoomuch.toml, with its password; messages print it without."""
    known = [address.rstrip("/") for address in settings.defaults.get("binhost", {})]
    return next((address for address in known if bare(address) == url and url not in known), url)


def _accept_older(settings: Settings, args: argparse.Namespace, url: str) -> int:
    from gentoomuch_portage.binhost.client import configure
    from gentoomuch_portage.binhost.client.config import load_binhosts
    from gentoomuch_portage.binhost.errors import format_utc

    policy = next((candidate for candidate in load_binhosts(settings) if candidate.url == url), None)
    if policy is None:
        raise configure.unknown_binhost(url, [known.url for known in load_binhosts(settings)])

    def agreed(timestamp: int, newest: int | None) -> bool:
        before = (
            "which one was accepted before is not known"
            if newest is None
            else f"{format_utc(newest)} was accepted before"
        )
        question = f"The index of {bare(url)} is from {format_utc(timestamp)}; {before}."
        return bool(args.yes) or console.confirm(f"{question}\nAccept it?")

    timestamp = configure.accept_older(settings, policy, agreed)
    if args.json:
        console.print_json({"url": bare(url), "timestamp": timestamp})
    elif not args.quiet:
        console.info(f"the newest accepted index of {bare(url)} is the one from {format_utc(timestamp)}")
    return 0


def _check(url: str) -> None:
    """Check that an argument is the URL of a binhost.

    Raises:
        UsageError[usage]: it is not.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        message = f"invalid URL {bare(url)!r}: it must begin with http:// or https://"
        error = bad_usage("gentoomuch binhost client", message)
        if parts.scheme not in {"http", "https"} and (address := url.rpartition("//")[2]) and url == bare(url):
            error.with_correction(url, f"http://{address}")
        raise error


def _system(settings: Settings, binhost: "VerifiedBinhost", *, agreed: bool) -> None:
    """Configure plain emerge as a client."""
    from gentoomuch_portage.binhost.client import configure
    from gentoomuch_portage.portage_adapter import config

    known, url = config.load_binhosts(settings.host), binhost.config.url
    configure.check_distinct_cache(url, {name: url for name, url in known.urls.items() if name != binhost.config.name})
    place, text, shown = configure.make_section(settings, binhost.config)
    if shown:
        console.print_result(shown.rstrip("\n"))
    console.info(f"the key {binhost.config.key} will be imported into {known.home}")
    if not agreed and not console.confirm("Write this?"):
        raise not_written(place)
    configure.trust_key(known.home, binhost)
    if shown:
        configure.write_config(place, text, url)


def _print_summary(args: argparse.Namespace, binhost: "VerifiedBinhost", *, fresh: bool) -> None:
    if args.json:
        config = binhost.config
        summary = {
            "url": bare(config.url),
            "key": config.key,
            "packages": binhost.packages,
            "verified": binhost.tested,
            "new": fresh,
        }
        console.print_json(summary)
    elif not args.quiet:
        tested = f"{binhost.tested} was fetched and verified" if binhost.tested else "no package could be verified"
        console.info(
            f"{bare(binhost.config.url)} has {binhost.packages} packages, signed by {binhost.config.key}; {tested}"
        )
        console.info("hint: gm-emerge -pg PACKAGE, or remote = true below [binpkg] in a profile")


COMMANDS = (Command("client", "use a binhost: pin its key, and test it", _add, _client),)
"""Commands of the group ``binhost``."""


def _ls(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.binhost.client.config import load_binhosts
    from gentoomuch_portage.binhost.keys import is_revoked, pinned_path

    by_url = {entry.url: entry for entry in load_binhosts(settings)}
    rows: list[dict[str, Any]] = []
    for url, table in sorted(settings.defaults.get("binhost", {}).items()):
        row: dict[str, Any] = {"url": bare(url), "cpu": table.get("cpu", ""), "key": "", "pinned": False}
        if policy := by_url.get(url.rstrip("/")):
            summary = {name: getattr(policy, name) for name in ("key", "priority", "fallback", "timeout", "signed")}
            row |= summary | {"pinned": pinned_path(settings, policy.key).is_file(), "max_age": policy.max_age}
            row["revoked"] = is_revoked(settings.states, policy.key)
        rows.append(row)
    if args.json:
        console.print_json(rows)
    elif rows:
        console.print_result(format_table(("binhost", "priority", "cpu", "key"), [_cells(row) for row in rows]))
    elif not args.quiet:
        console.info("no binhosts; add one: gentoomuch binhost client URL")
    return 0


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    missing = console.bad("  key file is missing") if row["key"] and not row["pinned"] else ""
    missing += console.bad("  revoked") if row.get("revoked") else ""
    return row["url"], str(row.get("priority", "-")), row["cpu"] or "-", f"{row['key'] or '-'}{missing}"


LS_COMMANDS = (Command("ls", "list the binhosts of this machine", add_json_option, _ls),)
