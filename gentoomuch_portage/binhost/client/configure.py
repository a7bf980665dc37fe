"""Make this machine a client of a binhost: fetch its key and pin it, look into what it has, write it down.

For gm-emerge that is a table in ``gentoomuch.toml`` and a file in ``keys/``; for the machine itself, where that is
asked for, a file in binrepos.conf and Portage's own directory of keys.

Be a client of a binhost no more: its table, its key, and its file in binrepos.conf go; what others need stays.
"""

import difflib
import hashlib
import re
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gentoomuch_portage import fs, gpg
from gentoomuch_portage.binhost import keys as binhost_keys
from gentoomuch_portage.binhost.client import index
from gentoomuch_portage.binhost.client.config import Policy, policies
from gentoomuch_portage.binhost.errors import BinhostsCollide, BinhostSilent, KeyKnown, PackageRefused
from gentoomuch_portage.binpkg.http import Pools, proxy_of_environment
from gentoomuch_portage.config import schema
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import BadFile, UsageError, bare, listed
from gentoomuch_portage.gpg import BadKey
from gentoomuch_portage.portage_adapter import signing

_HASHES = ("SHA512", "BLAKE2B", "SHA1", "MD5")


@dataclass(frozen=True, slots=True)
class Met:
    """A binhost that was looked into."""

    policy: Policy
    key: bytes
    """The public key as text."""
    packages: int
    """How many its index tells of."""
    tested: str
    """The package that was verified; empty where there is none."""


@contextmanager
def asked(timeout: int) -> Iterator[Pools]:
    """Connections for as long as the block runs."""
    pools = Pools(proxy_of_environment, index.patience(timeout))
    try:
        yield pools
    finally:
        pools.close()


def key_of(pools: Pools, url: str, fingerprint: str, file: Path | None) -> tuple[str, bytes]:
    """The fingerprint and the text of a binhost's key.

    Args:
        fingerprint: that it must be; empty for any.
        file: the key, where the binhost does not give it out.

    Raises:
        BadKey: it is another one, or none.
        BadFile: there is no such file.
        BinhostSilent: the binhost does not answer.
    """
    if file is not None:
        content = _read(file)
    else:
        found = index.get(pools, f"{url}/key.asc", most=1 << 20)
        if found.status != 200:
            raise BinhostSilent(f"{url}/key.asc", f"it answers {found.status}; --key FILE names the key")
        content = found.body
    with tempfile.TemporaryDirectory(prefix="gm-key-") as made:
        return binhost_keys.checked(url, content, fingerprint, Path(made)), content


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        why = (error.strerror or "it cannot be read").lower()
        raise BadFile(file, 0, why, remedy="--key FILE: what binhost key --export FILE writes there") from error


def met(pools: Pools, policy: Policy, key: bytes) -> Met:
    """Fetch the index and its smallest package, and verify both.

    Raises:
        IndexRefused, PackageRefused: they are not what the key signed.
        BinhostSilent: it does not answer.
    """
    with tempfile.TemporaryDirectory(prefix="gm-client-") as made:
        folder = Path(made)
        folder.chmod(0o755)  # Portage verifies as nobody
        (folder / "key.asc").write_bytes(key)
        gpg.trusting(folder / "home", [folder / "key.asc"])
        index.brought(policy, folder / "home", folder / "Packages", pools)
        text = (folder / "Packages").read_text(encoding="utf-8", errors="replace")
        entries = [entry for part in text.split("\n\n")[1:] if (entry := _fields(part)).get("PATH")]
        signed = [one for one in entries if one["PATH"].endswith(".gpkg.tar") and one.get("SIZE", "").isdigit()]
        if not signed:
            return Met(policy, key, len(entries), "")
        smallest = min(signed, key=lambda one: (int(one["SIZE"]), one["PATH"]))
        _verify(pools, policy, smallest, folder)
    return Met(policy, key, len(entries), smallest["PATH"])


def _fields(entry: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in entry.splitlines() if ": " in line)


def _verify(pools: Pools, policy: Policy, entry: Mapping[str, str], folder: Path) -> None:
    url, size = f"{policy.url}/{entry['PATH']}", int(entry["SIZE"])
    found = index.get(pools, url, most=size + 1)
    if found.status != 200:
        raise PackageRefused(url, f"its binhost answers {found.status}")
    name = next((one for one in _HASHES if one in entry), "")
    if len(found.body) != size or not name or hashlib.new(name.lower(), found.body).hexdigest() != entry[name].lower():
        raise PackageRefused(url, "it is not the file that its index tells of")
    file = folder / "package.gpkg.tar"
    file.write_bytes(found.body)
    file.chmod(0o644)
    try:
        signing.verify(file, {"BINPKG_GPG_VERIFY_GPG_HOME": str(folder / "home")})
    except signing.Unfit as error:
        raise PackageRefused(url, str(error)) from error


def pinned(settings: Settings, found: Met, told: Mapping[str, object]) -> bool:
    """Write a binhost down for gm-emerge, as ``gentoomuch.toml`` stands now; False where it was already so.

    Args:
        told: what its table says besides the key.

    Raises:
        KeyKnown: it is there with another key.
        BadFile: its table is there without one.
    """
    toml = settings.config / "gentoomuch.toml"
    with fs.locked(settings.state / "binhost/client.lock"):
        now = schema.load(toml, schema.DEFAULTS, missing_ok=True)
        return _written(settings._replace(defaults=now), toml, found, told)


def _written(settings: Settings, file: Path, found: Met, told: Mapping[str, object]) -> bool:
    url, key = found.policy.url, found.policy.key
    for one in policies(settings):
        if one.url == url and one.key != key:
            raise KeyKnown(url, one.key, key)
        if one.url == url:
            return _keep(settings, found)
    if url in {one.rstrip("/") for one in settings.defaults.get("binhost", {})}:
        raise BadFile(file, 0, f'[binhost."{url}"] is there without a key', remedy=f'add to it: key = "{key}"')
    _keep(settings, found)
    lines = [f'[binhost."{url}"]', f'key = "{key}"', *(f"{name} = {as_toml(value)}" for name, value in told.items())]
    before = file.read_text(encoding="utf-8") if file.is_file() else ""
    gap = "\n" if before and not before.endswith("\n\n") else ""
    text = f"{before}{'' if not before or before.endswith(chr(10)) else chr(10)}{gap}" + "\n".join(lines) + "\n"
    written(file, text, url)
    return True


def _keep(settings: Settings, found: Met) -> bool:
    place = binhost_keys.pinned(settings, found.policy.key)
    if place.is_file() and place.read_bytes() == found.key:
        return False
    fs.write(place, found.key)
    return True


def as_toml(value: object) -> str:
    """A value as TOML has it."""
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int) else f'"{value}"'


def apart(url: str, others: Mapping[str, str]) -> None:
    """See to it that Portage keeps the index of a binhost apart from those of others.

    Args:
        others: name -> URL of the binhosts that it knows.

    Raises:
        BinhostsCollide: it would not. Source: pkgindex_file in binarytree._populate_remote_repo.
    """
    own = urlsplit(url)
    for other in others.values():
        one = urlsplit(other)
        if other.rstrip("/") != url and (one.hostname, one.path.strip("/")) == (own.hostname, own.path.strip("/")):
            raise BinhostsCollide(url, other)


def section(settings: Settings, policy: Policy) -> tuple[Path, str, str]:
    """The file that makes the machine itself a client, its text, and what that changes, as a diff."""
    place = settings.host / "binrepos.conf"
    if place.is_file():
        before = place.read_text(encoding="utf-8")
        kept, _, _ = before.partition(f"[{policy.name}]")
        if kept != before:
            raise BadFile(place, 0, f"[{policy.name}] is there already", remedy="change it by hand, or remove it")
        after = f"{before.rstrip(chr(10))}\n\n{policy.section(fetch=False)}"
    else:
        place = place / f"{policy.name}.conf"
        before = place.read_text(encoding="utf-8") if place.is_file() else ""
        after = policy.section(fetch=False)
    shown = difflib.unified_diff(
        before.splitlines(True), after.splitlines(True), str(place) if before else "/dev/null", str(place)
    )
    return place, after, "".join(shown)


def written(place: Path, text: str, url: str) -> None:
    """Write a file that tells a URL: a new one with a password is for its owner alone."""
    fs.write(place, text, mode=None if place.exists() or bare(url) == url else 0o600)


def trusted(home: Path, found: Met) -> None:
    """Let Portage's own directory of keys trust a binhost.

    Raises:
        BadKey: gpg does not take it.
    """
    with tempfile.TemporaryDirectory(prefix="gm-key-") as made:
        file = Path(made) / "key.asc"
        file.write_bytes(found.key)
        gpg.trusting(home, [file])
    if found.policy.key not in gpg.public(home):
        raise BadKey(found.policy.url, f"gpg did not take it into {home}")


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
    with fs.locked(settings.state / "binhost/client.lock"):
        known = schema.load(toml, schema.DEFAULTS, missing_ok=True).get("binhost", {})
        names = [name for name in known if name.rstrip("/") == url]
        if not names:
            raise UnknownBinhost(url, known)
        text = toml.read_text(encoding="utf-8")
        for name in names:
            text = _without(toml, text, name)
        fs.write(toml, text)
    told = [gpg.plain(known.pop(name).get("key", "")) for name in names]
    others = {gpg.plain(one.get("key", "")) for one in known.values()}
    keys = [binhost_keys.pinned(settings, key) for key in told if key and key not in others]
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
        place = schema.line_of(text, ("binhost",), name)
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
