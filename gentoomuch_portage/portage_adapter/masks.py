"""Whether what was unmasked would still be masked without it.

What masks a package, by our kinds, and what the comments of package.mask say of it.

Masks that were lifted, and that tell of a vulnerability by now: they hold again.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, suppress
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

from gentoomuch_portage.portage_adapter.patching import looking, swapped
from gentoomuch_portage.unmask.ledger import Entry
from gentoomuch_portage.unmask.policy import security


class Masked(NamedTuple):
    """One thing that masks a package."""

    code: str
    """``keywords``, ``mask``, ``license``, or what else Portage holds against it, in lower case."""
    reason: str
    """In Portage's words."""
    kind: str
    """As ``[unmask]`` names it; empty where nothing lifts it."""
    told: str
    """What lifts it, a keyword or licences; for ``mask`` all the comments, as far as there are any."""


_CODES = {"KEYWORDS": "keywords", "package.mask": "mask", "LICENSE": "license", "CHOST": "abi", "EAPI": "eapi"}
"""Categories of Portage's reasons that we name otherwise."""


def masked(found: Iterable[Any], cpv: Any, repo: str, settings: Any) -> Iterator[Masked]:
    """What Portage's reasons, as _getmaskingstatus gives them, come to."""
    for one in found:
        code = _CODES.get(one.category, one.category.lower())
        kind, told = _lifting(one.unmask_hint, cpv, repo, settings)
        yield Masked(code, one.message, kind, told)


def _lifting(hint: Any, cpv: Any, repo: str, settings: Any) -> tuple[str, str]:
    match hint.key if hint else "":
        case "unstable keyword":
            return "live" if hint.value == "**" else "keywords", str(hint.value)
        case "p_mask":
            return "mask", text(cpv, repo, settings)
        case "license":
            return "license", " ".join(sorted(hint.value))
    return "", ""


def text(cpv: Any, repo: str, settings: Any) -> str:
    """The comments of all lines that mask a package.

    Portage shows that of the first, and the user's own come first; but lifted are all of them, and it may be the last
    that tells of a vulnerability.
    """
    from portage.util import grablines

    repositories, own = settings.repositories, settings["PORTAGE_CONFIGROOT"]
    places = [Path(own, "etc/portage"), *map(Path, reversed(settings.profiles))]
    if repo in repositories:
        of = repositories[repo]
        places += [Path(one.location, "profiles") for one in (of, *reversed(of.masters))]
    told: dict[str, None] = {}
    for place in places:
        pieces: dict[str, list[str]] = {}
        for line, file in grablines(str(place / "package.mask"), recursive=1, remember_source_file=True):
            pieces.setdefault(file, []).append(line.strip())
        for lines in pieces.values():
            told.update(dict.fromkeys(_comments(lines, cpv)))
    return " ".join(filter(None, told))


def _comments(lines: Iterable[str], cpv: Any) -> Iterator[str]:
    """What stands above each line that means a package; a comment is for all lines up to a blank one."""
    from portage.dep import Atom, match_from_list
    from portage.exception import InvalidAtom

    comment: list[str] = []
    for line in lines:
        if not line:
            comment = []
        elif line.startswith("#"):
            comment.append(line.strip("# "))
        elif cpv.cp in line or "*" in line:
            with suppress(InvalidAtom):
                if match_from_list(Atom(line.partition("#")[0].strip(), allow_repo=True, allow_wildcard=True), [cpv]):
                    yield " ".join(comment).strip()


def unsafe_since(entry: Entry, cpv: Any, repo: str, settings: Any) -> bool:
    """Whether a mask that an entry lifts tells of a vulnerability by now, and did not when it was lifted."""
    return entry.kind == "mask" and not security(entry.reason) and security(text(cpv, repo, settings))


def why_not(env: Mapping[str, str], entries: Iterable[Entry], *, installed_only: bool) -> list[str]:
    """For each entry why it is not needed; an empty text where it is.

    Args:
        env: PORTAGE_CONFIGROOT without the entries, and ROOT.
        installed_only: ask only whether their packages are installed.
    """
    import portage

    with looking(env) as env, redirect_stderr(StringIO()):
        trees = portage.create_trees(
            config_root=env["PORTAGE_CONFIGROOT"], target_root=env.get("ROOT"), env={**os.environ}
        )
        return [why_not_in(trees, entry, installed_only=installed_only) for entry in entries]


def why_not_in(trees: Any, entry: Entry, *, installed_only: bool = False) -> str:
    """The same of one entry; it serves a package that is installed in any of the roots of a run."""
    from portage.dep import Atom

    atom = Atom(entry.atom, allow_wildcard=True, allow_repo=True, allow_build_id=True)
    found = [cpv for root in trees.values() for cpv in installed(root["vartree"].dbapi, atom)]
    if not found:
        return "it is not installed"
    if installed_only:
        return ""
    tree = trees[trees._target_eroot]
    offered = _offered(tree["porttree"].dbapi, atom, found)
    if not offered:
        return "no repository has it any more"
    settings = tree["vartree"].settings
    if any(unsafe_since(entry, cpv, cpv.repo, settings) for cpv in offered):
        return "it is masked for security now"
    return _reason(entry, offered, tree["porttree"].dbapi, settings)


def installed(vardb: Any, atom: Any) -> list[Any]:
    """What an atom means of what is installed; one like ``*/*::guru``, too, which Portage's own match does not take."""
    from portage.dep import match_from_list

    if not atom.extended_syntax:
        return list(vardb.match(atom))
    return list(match_from_list(atom, [vardb._pkg_str(cpv, None) for cpv in vardb.cpv_all()]))


def _offered(portdb: Any, atom: Any, installed: Iterable[Any]) -> list[Any]:
    """What an atom means in the repositories; of one that means many packages, those that are installed."""
    from portage.dep import match_from_list

    if not atom.extended_syntax:
        return list(portdb.xmatch("match-all", atom))
    every = [one for cp in sorted({cpv.cp for cpv in installed}) for one in portdb.xmatch("match-all", cp)]
    return list(match_from_list(atom, every))


def _reason(entry: Entry, found: Iterable[Any], portdb: Any, settings: Any) -> str:
    masked = list(_still(entry, found, portdb, settings))
    told = {"keywords": "it is stable now", "mask": "it is not masked any more"}
    plain = {"use": "the configuration says so anyway", "license": "the licence is accepted anyway"}
    return "" if any(masked) else (told | plain)[entry.kind]


def _still(entry: Entry, found: Iterable[Any], portdb: Any, settings: Any) -> Iterator[bool]:
    keys = ("SLOT", "KEYWORDS", "LICENSE", "IUSE", "EAPI", "repository", "PROPERTIES", "RESTRICT")
    for cpv in found:
        metadata = {**dict(zip(keys, portdb.aux_get(cpv, list(keys)), strict=True)), "USE": ""}
        match entry.kind:
            case "keywords":
                yield bool(settings._getMissingKeywords(cpv, metadata))
            case "mask":
                yield settings._getMaskAtom(cpv, metadata) is not None
            case "license":
                yield bool(settings._getMissingLicenses(cpv, metadata))
            case "use":
                yield not _flags_on(entry, cpv, portdb, settings)


def _flags_on(entry: Entry, cpv: Any, portdb: Any, settings: Any) -> bool:
    import portage

    own = portage.config(clone=settings)
    own.setcpv(cpv, mydb=portdb)
    on = set((own.get("PORTAGE_USE") or "").split())
    return all((flag.removeprefix("-") in on) != flag.startswith("-") for flag in entry.value.split())


Lifted = Callable[[], Iterable[Entry]]
"""The entries that were granted before this run; what it grants itself is not looked at again."""


@contextmanager
def relapsed(lifted: Lifted, tell: Callable[[Entry], object]) -> Iterator[None]:
    """As long as the block runs, emerge resolves as if such an entry were not there.

    Args:
        tell: called once for each.
    """
    from _emerge import actions

    told: set[Entry] = set()

    def looked(config: Any) -> None:
        for entry in _unlifted(config, lifted()):
            if entry not in told:
                tell(entry)
            told.add(entry)

    def resolving(plain: Any) -> Any:
        def resolve(emerge_config: Any, *rest: Any) -> Any:
            looked(emerge_config)
            return plain(emerge_config, *rest)

        return resolve

    def reloading(plain: Any) -> Any:
        def reload(emerge_config: Any, *rest: Any) -> Any:
            done = plain(emerge_config, *rest)
            looked(emerge_config)
            return done

        return reload

    with ExitStack() as held:
        for name, wrap in (("_resolve_in_process", resolving), ("_reload_config", reloading)):
            held.enter_context(swapped(actions, name, wrap(getattr(actions, name))))
        yield


def _unlifted(config: Any, entries: Iterable[Entry]) -> list[Entry]:
    """Take the lines of such entries out of what Portage has read; the entries."""
    found = []
    for entry in entries:
        if entry.kind != "mask" or "*" in entry.atom:  # many packages at once are the user's own word
            continue
        unsafe = [trees["vartree"].settings for trees in config.trees.values() if _unsafe(entry, trees)]
        for settings in unsafe:
            _drop(settings, entry.atom)
        found += [entry] if unsafe else []
    return found


def _unsafe(entry: Entry, trees: Any) -> bool:
    settings = trees["vartree"].settings
    offered = trees["porttree"].dbapi.xmatch("match-all", entry.atom)
    return any(unsafe_since(entry, cpv, cpv.repo, settings) for cpv in offered)


def _drop(settings: Any, atom: str) -> None:
    """Take a line of package.unmask away; Portage's clones of a configuration share this table."""
    from portage.dep import Atom

    lifted, cp = settings._mask_manager._punmaskdict, Atom(atom, allow_repo=True).cp
    lifted[cp] = tuple(one for one in lifted.get(cp, ()) if one != atom)
