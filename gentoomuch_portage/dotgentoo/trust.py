"""Which .gentoo folders may run their code here: asked once for each ID, kept in ``state/trusted``.

A folder whose meaning changes has another ID, and is asked for again.
"""

import datetime
import fnmatch
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from gentoomuch_portage import console, fs
from gentoomuch_portage.dotgentoo.errors import Untrusted
from gentoomuch_portage.dotgentoo.load import Folder
from gentoomuch_portage.dotgentoo.safe_read import visible
from gentoomuch_portage.errors import BadFile
from gentoomuch_portage.portage_adapter import config
from gentoomuch_portage.unmask import policy


@dataclass(frozen=True, slots=True)
class Trusted:
    """A folder that was allowed."""

    id: str
    date: str
    path: str
    security: tuple[str, ...] = ()
    """Atoms whose masks it may lift though they are there for security."""
    contained: bool = True
    """Whether it is built in a container where one works."""


def kept(state: Path) -> tuple[Trusted, ...]:
    """What was allowed.

    Raises:
        BadFile: somebody wrote something else there.
    """
    file = state / "trusted"
    found = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines() if file.is_file() else (), 1):
        try:
            said = json.loads(line)
            found.append(Trusted(**{**said, "security": tuple(said["security"])}))
        except (ValueError, TypeError, KeyError) as error:
            raise BadFile(file, number, "this allows no folder", remedy=f"remove the line: {file}") from error
    return tuple(found)


def allows(state: Path, identity: str, security: Iterable[str], said: str = "") -> bool:
    """Whether a folder is allowed, and may lift these security masks.

    Args:
        said: ``--gm-trust=``: IDs for this run, parted by commas; ``ID:security`` lets it lift security masks as well.
    """
    asked = set(security)
    words = set(said.split(","))
    if f"{identity}:security" in words or (identity in words and not asked):
        return True
    return any(one.id == identity and asked <= set(one.security) for one in kept(state))


def fully(state: Path, identity: str, said: str = "") -> bool:
    """Whether a folder is trusted so far that it is built wherever the profile says; otherwise it is in a container."""
    named = {word.partition(":")[0] for word in said.split(",")}
    return identity in named or any(one.id == identity and not one.contained for one in kept(state))


def keep(state: Path, entry: Trusted) -> None:
    """Remember that a folder was allowed.

    Raises:
        NoPrivilege: the state cannot be written.
    """
    fs.append(fs.ensure(state) / "trusted", json.dumps(asdict(entry), sort_keys=True))


def ask(folder: Folder, identity: str, security: tuple[str, ...], state: Path) -> None:
    """Ask for a folder on the terminal, and keep a yes.

    Raises:
        Untrusted: there is no terminal, or the answer is no.
    """
    for line in summary(folder, identity):
        console.tell(line)
    if not console.agreed("May its ebuild and what is in its work tree run here, and install it?"):
        raise Untrusted(folder.path, identity, security)
    for atom in security:
        if not console.agreed(f"{atom} is masked for security. May this folder lift that mask?"):
            raise Untrusted(folder.path, identity, security)
    entry = Trusted(identity, datetime.date.today().isoformat(), str(folder.path), security)
    keep(state, entry)


def summary(folder: Folder, identity: str) -> list[str]:
    """What a folder wants, a line a thing; the URLs of its overlays among them."""
    lines = [f"{folder.path} has not been allowed yet.", f"  ID       {identity}", f"  installs {folder.cpv}"]
    lines += [f"  overlay  {one.name} from {one.get('sync-uri') or 'this host'}" for one in folder.overlays]
    lines += [f"  {kind:<8} {entry.text}" for kind, found in folder.entries.items() for entry in found]
    lines += [f"  env file {name}: {line}" for name, text in folder.env for line in text.splitlines() if line]
    return [visible(line) for line in lines]


def lifted(folder: Folder, places: Iterable[Path]) -> tuple[str, ...]:
    """The atoms by which a folder would lift a mask that is there for security.

    They stand in its package.unmask, or with a ``-`` in its package.mask, where Portage lets a user remove masks of
    repositories and profiles, too. Source: portage's MaskManager.

    Args:
        places: package.mask files of repositories, of the host and of layers.
    """
    masked = {key for place in places for key in _for_security(place)}
    said = [entry.atom for entry in folder.entries["unmask"]]
    said += [entry.atom[1:] for entry in folder.entries["mask"] if entry.atom.startswith("-")]
    return tuple(atom for atom in dict.fromkeys(said) if any(_meets(key, config.atom_key(atom)) for key in masked))


def _meets(one: str, other: str) -> bool:
    """Whether two names, or patterns of names, are about the same packages."""
    return fnmatch.fnmatchcase(one, other) or fnmatch.fnmatchcase(other, one)


def _for_security(file: Path) -> set[str]:
    """``category/package`` of what a package.mask masks with a comment that tells of a vulnerability."""
    found: set[str] = set()
    comment, listed = "", False
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else ():
        text = line.strip()
        if text.startswith("#"):
            comment, listed = ("" if listed else comment) + text, False
        elif text:
            listed = True
            if policy.security(comment) and (key := config.atom_key(text.split()[0])):
                found.add(key)
        else:
            comment, listed = "", False
    return found
