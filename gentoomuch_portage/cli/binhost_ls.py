"""``gentoomuch binhost ls``: the binhosts that packages are taken from."""

import argparse
from typing import Any

from gentoomuch_portage import console
from gentoomuch_portage.cli import Command
from gentoomuch_portage.cli.columns import columns
from gentoomuch_portage.cli.parser import listing
from gentoomuch_portage.portage_adapter.binpkgs import bare
from gentoomuch_portage.settings import Settings


def _ls(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.binserve.policy import policies
    from gentoomuch_portage.binserve.trust import pinned

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


COMMANDS = (Command("ls", "list the binhosts that packages are taken from", listing, _ls),)
