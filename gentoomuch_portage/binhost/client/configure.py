# SPDX-License-Identifier: GPL-2.0-or-later
"""Add, change and remove binhosts of this machine: pin the key, verify the index, write the configuration.

For gm-emerge, a binhost is a table in ``gentoomuch.toml`` and a file in ``keys/``; for plain emerge, on request, a file
in binrepos.conf and Portage's own directory of keys.

Removing a binhost removes its table, its key and its file in binrepos.conf; what other binhosts need stays.
"""

import difflib
import hashlib
import re
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gentoomuch_portage import fs, gpg
from gentoomuch_portage.binhost import keys as binhost_keys
from gentoomuch_portage.binhost.client import fetch, index
from gentoomuch_portage.binhost.client.config import BinhostConfig, load_binhosts
from gentoomuch_portage.binhost.client.fetch import Job
from gentoomuch_portage.binhost.client.memory import BinhostRecords
from gentoomuch_portage.binhost.errors import (
    BinhostUnavailable,
    RecordDamaged,
    binhosts_collide,
    other_key_pinned,
    package_rejected,
)
from gentoomuch_portage.binpkg.http import Timeouts
from gentoomuch_portage.config import schema
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import BadFile, NoPrivilege, UsageError, bare, listed
from gentoomuch_portage.gpg import BadKey
from gentoomuch_portage.portage_adapter import signing

_HASHES = ("SHA512", "BLAKE2B", "SHA1", "MD5")


@dataclass(frozen=True, slots=True)
class VerifiedBinhost:
    """A binhost with a verified index."""

    config: BinhostConfig
    key: bytes
    """The public key as text."""
    packages: int
    """Number of packages in its index."""
    tested: str
    """The package that was verified; may be empty."""


def fetch_key(timeouts: Timeouts, url: str, fingerprint: str, file: Path | None) -> tuple[str, bytes]:
    """Return the fingerprint and the text of a binhost's key.

    Args:
        fingerprint: expected fingerprint; empty for any.
        file: file with the key, if the binhost does not offer it.

    Raises:
        BadKey: it is another key, or not a key.
        BadFile: the file does not exist.
        BinhostUnavailable: the binhost does not answer.
    """
    if file is not None:
        content = _read_key(file)
    else:
        response = index.fetch_small(timeouts, f"{url}/key.asc")
        if response.status != 200:
            raise BinhostUnavailable(f"{url}/key.asc", f"it answers {response.status}; pass --key FILE")
        content = response.body
    with tempfile.TemporaryDirectory(prefix="gm-key-") as temporary:
        return binhost_keys.check_key(url, content, fingerprint, Path(temporary)), content


def _read_key(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        why = (error.strerror or "cannot read it").lower()
        raise BadFile(file, 0, why, hint="run on the server: gentoomuch binhost key --export FILE") from error


def verify_binhost(timeouts: Timeouts, binhost: BinhostConfig, key: bytes, records: BinhostRecords) -> VerifiedBinhost:
    """Fetch the index and its smallest package, and verify both.

    Args:
        records: of accepted indexes; this one is added.

    Raises:
        IndexRejected, RunError[package-rejected]: they are not what the key signed.
        BinhostUnavailable: it does not answer.
    """
    with tempfile.TemporaryDirectory(prefix="gm-client-") as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)  # Portage verifies as user nobody
        (folder / "key.asc").write_bytes(key)
        gpg.import_trusted_keys(folder / "home", [folder / "key.asc"])
        index.update_index(binhost, folder / "home", folder / "Packages", timeouts, records)
        text = (folder / "Packages").read_text(encoding="utf-8", errors="replace")
        entries = [entry for part in text.split("\n\n")[1:] if (entry := _parse_fields(part)).get("PATH")]
        signed = [entry for entry in entries if entry["PATH"].endswith(".gpkg.tar") and entry.get("SIZE", "").isdigit()]
        if not signed:
            return VerifiedBinhost(binhost, key, len(entries), "")
        smallest = min(signed, key=lambda entry: (int(entry["SIZE"]), entry["PATH"]))
        _verify_package(timeouts, binhost, smallest, folder)
    return VerifiedBinhost(binhost, key, len(entries), smallest["PATH"])


def _parse_fields(entry: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in entry.splitlines() if ": " in line)


def _verify_package(timeouts: Timeouts, binhost: BinhostConfig, entry: Mapping[str, str], folder: Path) -> None:
    url, size = f"{binhost.url}/{entry['PATH']}", int(entry["SIZE"])
    file = folder / "package.gpkg.tar"
    (result,) = fetch.fetch([Job(url, file.name, size, exact=True)], folder, timeouts)
    if result.code:
        raise package_rejected(url, result.why)
    name = next((algorithm for algorithm in _HASHES if algorithm in entry), "")
    with file.open("rb") as content:
        if not name or hashlib.file_digest(content, name.lower()).hexdigest() != entry[name].lower():
            raise package_rejected(url, "it differs from its index")
    file.chmod(0o644)
    try:
        signing.verify(file, {"BINPKG_GPG_VERIFY_GPG_HOME": str(folder / "home")})
    except signing.Unfit as error:
        raise package_rejected(url, str(error)) from error


def pin(settings: Settings, verified: VerifiedBinhost, options: Mapping[str, object]) -> bool:
    """Add a binhost to ``gentoomuch.toml``; return False if it is already there.

    Args:
        options: keys of its table besides ``key``.

    Raises:
        ConfigError[other-key-pinned]: it is configured with another key.
        BadFile: its table exists without a key.
    """
    toml = settings.config / "gentoomuch.toml"
    with fs.locked(settings.state / "binhost/client.lock"):
        defaults = schema.load(toml, schema.GENTOOMUCH, missing_ok=True)
        return _add_table(settings._replace(defaults=defaults), toml, verified, options)


def replace_key(settings: Settings, verified: VerifiedBinhost, old: str) -> None:
    """Pin another key for a configured binhost; the rest of its table stays.

    Raises:
        BadFile: the line of the key is not found.
    """
    toml = settings.config / "gentoomuch.toml"
    url, key = verified.config.url, verified.config.key
    with fs.locked(settings.state / "binhost/client.lock"):
        before = schema.load(toml, schema.GENTOOMUCH)
        text = toml.read_text(encoding="utf-8")
        [name] = [configured for configured in before["binhost"] if configured.rstrip("/") == url]
        lines = text.split("\n")
        line = schema.line_of(text, ("binhost", name), "key") - 1
        old_key = before["binhost"][name]["key"]
        lines[line] = lines[line].replace(old_key, key)
        after = "\n".join(lines)
        table = {**_parse_toml(text)["binhost"][name], "key": key}
        if line < 0 or _parse_toml(after) != {
            **_parse_toml(text),
            "binhost": {**_parse_toml(text)["binhost"], name: table},
        }:
            raise BadFile(toml, line + 1, f"cannot replace the key {old_key}", hint=f'key = "{key}"')
        _store_key(settings, verified)
        write_config(toml, after, url)
    if old not in {gpg.parse_fingerprint(row.get("key", "")) for row in _parse_toml(after)["binhost"].values()}:
        binhost_keys.pinned_path(settings, old).unlink(missing_ok=True)


def accept_older(settings: Settings, binhost: BinhostConfig, agreed: Callable[[int, int | None], bool]) -> int:
    """Accept the current index of a binhost although a newer one was, or may have been, accepted.

    Args:
        agreed: asks whether the first TIMESTAMP may replace the second one; that is None if its record is damaged.

    Raises:
        IndexRejected, BinhostUnavailable: it is not signed by this key, or the binhost does not answer.
        UsageError[not-accepted]: not confirmed.
        NoPrivilege: the newest one is recorded by another user.
    """
    records = BinhostRecords.of(settings)
    records.check_key(binhost)
    with tempfile.TemporaryDirectory(prefix="gm-older-") as temporary:
        home = binhost_keys.trusting_home(settings, [binhost_keys.pinned_path(settings, binhost.key)])
        empty = BinhostRecords((Path(temporary) / "state",))
        index.update_index(
            binhost._replace(max_age=0), home, Path(temporary) / "Packages", index.timeouts_of(binhost), empty
        )
        timestamp = empty.newest(binhost)
    newest = _newest(records, binhost)
    if newest is None or timestamp < newest:
        if not agreed(timestamp, newest):
            raise not_accepted(binhost.url)
        records.record(binhost, timestamp, older=True)
        if _newest(records, binhost) != timestamp:
            what = f"cannot accept an older index of {bare(binhost.url)}: the system has recorded the newer one"
            raise NoPrivilege(what, hint="run it as root")
    return timestamp


def _newest(records: BinhostRecords, binhost: BinhostConfig) -> int | None:
    try:
        return records.newest(binhost)
    except RecordDamaged:
        return None


def not_accepted(url: str) -> UsageError:
    """A binhost offers an index that is older than the last one, and the user did not confirm it."""
    return UsageError(
        f"older index of {bare(url)} not accepted: not confirmed",
        code="not-accepted",
        hint="the same command with --yes",
    )


def _add_table(settings: Settings, file: Path, verified: VerifiedBinhost, options: Mapping[str, object]) -> bool:
    url, key = verified.config.url, verified.config.key
    for binhost in load_binhosts(settings):
        if binhost.url == url and binhost.key != key:
            raise other_key_pinned(url, binhost.key, key)
        if binhost.url == url:
            return _store_key(settings, verified)
    if url in {configured.rstrip("/") for configured in settings.defaults.get("binhost", {})}:
        raise BadFile(file, 0, f'[binhost."{url}"] has no key', hint=f'add to it: key = "{key}"')
    _store_key(settings, verified)
    lines = [
        f'[binhost."{url}"]',
        f'key = "{key}"',
        *(f"{name} = {format_toml(value)}" for name, value in options.items()),
    ]
    before = file.read_text(encoding="utf-8") if file.is_file() else ""
    gap = "\n" if before and not before.endswith("\n\n") else ""
    text = f"{before}{'' if not before or before.endswith(chr(10)) else chr(10)}{gap}" + "\n".join(lines) + "\n"
    write_config(file, text, url)
    return True


def _store_key(settings: Settings, verified: VerifiedBinhost) -> bool:
    place = binhost_keys.pinned_path(settings, verified.config.key)
    if place.is_file() and place.read_bytes() == verified.key:
        return False
    fs.write(place, verified.key)
    return True


def format_toml(value: object) -> str:
    """Format a value as TOML."""
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int) else f'"{value}"'


def check_distinct_cache(url: str, others: Mapping[str, str]) -> None:
    """Check that Portage stores the index of a binhost in a file of its own.

    Args:
        others: name -> URL of configured binhosts.

    Raises:
        ConfigError[binhosts-collide]: it does not. Source: pkgindex_file in binarytree._populate_remote_repo.
    """
    own = urlsplit(url)
    for other in others.values():
        parts = urlsplit(other)
        if other.rstrip("/") != url and (parts.hostname, parts.path.strip("/")) == (own.hostname, own.path.strip("/")):
            raise binhosts_collide(url, other)


def make_section(settings: Settings, binhost: BinhostConfig) -> tuple[Path, str, str]:
    """Return the file that configures plain emerge, its new text, and the change as a diff without passwords."""
    place = settings.host / "binrepos.conf"
    if place.is_file():
        before = place.read_text(encoding="utf-8")
        preceding, _, _ = before.partition(f"[{binhost.name}]")
        if preceding != before:
            raise BadFile(place, 0, f"[{binhost.name}] exists already", hint="edit or remove it")
        after = f"{before.rstrip(chr(10))}\n\n{binhost.section(login=True)}"
    else:
        place = place / f"{binhost.name}.conf"
        before = place.read_text(encoding="utf-8") if place.is_file() else ""
        after = binhost.section(login=True)
    diff = difflib.unified_diff(
        before.splitlines(True), after.splitlines(True), str(place) if before else "/dev/null", str(place)
    )
    return place, after, "".join(diff).replace(binhost.url.replace("%", "%%"), bare(binhost.url))


def write_config(place: Path, text: str, url: str) -> None:
    """Write a file that contains a URL; a new one with a password is readable by its owner only."""
    fs.write(place, text, mode=None if place.exists() or bare(url) == url else 0o600)


def trust_key(home: Path, verified: VerifiedBinhost) -> None:
    """Trust the key of a binhost in Portage's own directory of keys.

    Raises:
        BadKey: gpg rejects it.
    """
    with tempfile.TemporaryDirectory(prefix="gm-key-") as temporary:
        file = Path(temporary) / "key.asc"
        file.write_bytes(verified.key)
        gpg.import_trusted_keys(home, [file])
    if verified.config.key not in gpg.list_public_keys(home):
        raise BadKey(verified.config.url, f"gpg did not import it into {home}")


def unknown_binhost(url: str, configured: Iterable[str]) -> UsageError:
    """gentoomuch.toml has no binhost with this name or URL."""
    message = f"binhost {bare(url)} not found {listed(map(bare, configured))}"
    return UsageError(message, code="unknown-binhost", hint="gentoomuch binhost ls")


def remove(settings: Settings, url: str) -> tuple[Path, ...]:
    """Remove a binhost, and return the files that were changed or removed.

    Args:
        url: without a trailing slash.

    Raises:
        UsageError[unknown-binhost]: it is not configured.
        BadFile: its table cannot be separated from others.
        NoPrivilege, MachineError[disk-full], ReadOnly: a file cannot be changed or removed; all stay unchanged.
    """
    toml = settings.config / "gentoomuch.toml"
    with fs.locked(settings.state / "binhost/client.lock"):
        known = schema.load(toml, schema.GENTOOMUCH, missing_ok=True).get("binhost", {})
        names = [name for name in known if name.rstrip("/") == url]
        if not names:
            raise unknown_binhost(url, known)
        text = toml.read_text(encoding="utf-8")
        for name in names:
            text = _remove_table(toml, text, name)
        removed_keys = [gpg.parse_fingerprint(known.pop(name).get("key", "")) for name in names]
        others = {gpg.parse_fingerprint(table.get("key", "")) for table in known.values()}
        keys = [binhost_keys.pinned_path(settings, key) for key in removed_keys if key and key not in others]
        files = [file for file in (*keys, _repository_file(settings, url)) if file.is_file()]
        for file in files:
            fs.check_writable(file.parent)
        fs.write(toml, text)
        for file in files:
            fs.unlink(file)
    return toml, *files


def _repository_file(settings: Settings, url: str) -> Path:
    """Return the file that ``client --system`` wrote."""
    return settings.host / "binrepos.conf" / f"{BinhostConfig(url, '', 1, True, 10).name}.conf"


def _remove_table(toml: Path, text: str, name: str) -> str:
    """Remove the table of a binhost from a text, and verify the result.

    Raises:
        BadFile: it is not written as a table with a header of its own.
    """
    lines = text.splitlines(keepends=True)
    header = re.compile(rf"""[ \t]*\[[ \t]*binhost[ \t]*\.[ \t]*["']{re.escape(name)}["'][ \t]*\]""")
    start = next((number for number, line in enumerate(lines) if header.match(line)), len(lines))
    end = last = min(start + 1, len(lines))
    while end < len(lines) and (line := lines[end].strip()) and not line.startswith("["):
        end += 1
        last = last if line.startswith("#") else end  # a comment above the next table belongs to it
    before = (
        start - 1 if start and not lines[start - 1].strip() and not "".join(lines[last : last + 1]).strip() else start
    )
    after = "".join([*lines[:before], *lines[last:]])
    if _parse_toml(after) != _drop_name(_parse_toml(text), name):
        place = schema.line_of(text, ("binhost",), name)
        raise BadFile(toml, place, f'[binhost."{bare(name)}"] cannot be removed automatically', hint="edit the file")
    return after


def _parse_toml(text: str) -> dict[str, Any]:
    """Parse a text; empty if it is not TOML."""
    try:
        return {"binhost": {}, **tomllib.loads(text)}
    except tomllib.TOMLDecodeError:
        return {}


def _drop_name(values: dict[str, Any], name: str) -> dict[str, Any]:
    return {**values, "binhost": {url: table for url, table in values["binhost"].items() if url != name}}
