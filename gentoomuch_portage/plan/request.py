"""What the user typed, ours parted from emerge's."""

import json
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from gentoomuch_portage.config import schema
from gentoomuch_portage.errors import UsageError, listed, nearest

WORDS: Mapping[str, str] = {
    "--gm-profile": "NAME",
    "--gm-config": "DIR",
    "--gm-state": "DIR",
    "--gm-cache": "DIR",
    "--gm-explain": "[json]",
    "--gm-plan": "FILE",
    "--gm-isolation": "KIND",
    "--gm-unmask": "KIND[,KIND...]|none",
    "--gm-locked": "",
    "--gm-trust": "ID[,ID...]",
    "--gm-no": "PLUGIN[,PLUGIN...]",
    "--gm-json": "FILE",
    "--gm-help": "",
    "--gm-version": "",
}
"""Our words on emerge's command line, each with the shape of its value: in brackets where it may be left out."""
_KINDS: Mapping[str, tuple[str, ...]] = {
    "--gm-explain": ("json", "text"),
    "--gm-isolation": schema.PROFILE["isolation"],
    "--gm-unmask": (*schema.PROFILE["unmask"], "none"),
}
"""What words that take kinds take."""


class UnknownWord(UsageError):
    """A ``--gm-`` word that nobody knows."""

    code = "unknown-word"

    def __init__(self, word: str, known: Iterable[str]) -> None:
        near = nearest(word.partition("=")[0], known)
        super().__init__(f"unknown word {word!r}", remedy=f"{near} ?" if near else "gm-emerge --gm-help")
        self.word = word


class UnknownKind(UsageError):
    """A ``--gm-`` word names a kind of something that there is not."""

    code = "unknown-kind"

    def __init__(self, word: str, kind: str, known: Iterable[str]) -> None:
        known = tuple(known)
        near = nearest(kind, known)
        remedy = f"{word}={near} ?" if near else "gm-emerge --gm-help"
        super().__init__(f"{word}= takes no {kind!r} {listed(known)}", remedy=remedy)
        self.word, self.kind = word, kind


class WordNeedsValue(UsageError):
    """A ``--gm-`` word without the ``=value`` that it needs."""

    code = "word-needs-value"

    def __init__(self, word: str, shape: str) -> None:
        super().__init__(f"{word} needs a value", remedy=f"write {word}={shape}")
        self.word = word


class WordNeedsProfile(UsageError):
    """A ``--gm-`` word that only a run for a profile can keep, and none is given or set."""

    code = "word-needs-profile"

    def __init__(self, word: str) -> None:
        remedy = "--gm-profile=NAME, or gentoomuch profile set NAME; without one this is plain emerge"
        super().__init__(f"--gm-{word} needs a profile, and none is given or set", remedy=remedy)
        self.word = word


class WordLeftOut(UsageError):
    """A ``--gm-`` word beside ``--gm-no`` for the plugin that would keep it."""

    code = "word-left-out"

    def __init__(self, word: str, plugin: str) -> None:
        told = f"nobody is there to keep --gm-{word}: the plugin {plugin!r} is left out"
        super().__init__(told, remedy=f"leave out --gm-{word}, or --gm-no={plugin}")
        self.word, self.plugin = word, plugin


class UnreadableWords(UsageError):
    """A variable that holds words has a quote that is not closed."""

    code = "unreadable-words"

    def __init__(self, variable: str, why: str) -> None:
        super().__init__(f"{variable} cannot be parted into words: {why}", remedy=f"unset {variable}, or quote it well")
        self.variable = variable


class UnreadablePlan(UsageError):
    """``--gm-plan=FILE`` does not hold a plan of this version."""

    code = "unreadable-plan"

    def __init__(self, path: Path, why: Exception | str) -> None:
        super().__init__(f"{path} holds no plan: {_told(why)}", remedy="gm-emerge --gm-explain=json ... > FILE")
        self.path = path


def _told(why: Exception | str) -> str:
    match why:
        case OSError(strerror=str(told)):
            return told
        case json.JSONDecodeError(lineno=line, msg=told):
            return f"line {line}: {told[:1].lower()}{told[1:]}"
        case KeyError():
            return f"there is no {why}"
    return str(why)


class Request(NamedTuple):
    """What the user typed, ours parted from emerge's."""

    words: tuple[str, ...]
    """Emerge's words, in order."""
    said: Mapping[str, str]
    """Our words without ``--gm-``; the last of a kind wins, but ``no`` adds up."""

    @classmethod
    def of(cls, argv: Iterable[str], environ: Mapping[str, str], *, called: str = "gm-emerge") -> Self:
        """Part a command line.

        Args:
            called: the name we were started by; ``router-emerge`` chooses the profile router.

        Raises:
            UnknownWord, UnknownKind, WordNeedsValue: a word of ours is wrong.
            UnreadableWords: GM_DEFAULT_OPTS has an open quote.
        """
        said: dict[str, str] = {}
        machine = called.removesuffix("-emerge")
        if machine not in {called, "gm"}:
            said["profile"] = machine
        ours: list[str] = []
        theirs: list[str] = []
        rest = iter([*_parted(environ, "GM_DEFAULT_OPTS"), *argv])
        for word in rest:
            if word == "--":
                theirs += [word, *rest]
            else:
                (ours if word.startswith("--gm-") else theirs).append(word)
        for word in ours:
            name, equals, value = word.partition("=")
            shape = WORDS.get(name)
            if shape is None:
                raise UnknownWord(word, WORDS)
            if shape and not shape.startswith("[") and not value:
                raise WordNeedsValue(name, shape)
            if equals and not shape:
                raise UnknownWord(word, WORDS)
            _check_kinds(name, value)
            key = name.removeprefix("--gm-")
            said[key] = f"{said[key]},{value}" if key == "no" and key in said else value
        if (default := environ.get("GM_PROFILE")) and "plan" not in said:  # a plan has its own
            said.setdefault("profile", default)
        return cls(words=tuple(theirs), said=said)

    @property
    def without(self) -> frozenset[str]:
        """The plugins that this run leaves out."""
        return frozenset(name for name in self.said.get("no", "").split(",") if name)


def _check_kinds(word: str, value: str) -> None:
    known = _KINDS.get(word, ())
    kinds = value.split(",") if "," in WORDS[word] else [value]
    for kind in kinds if known else ():
        if kind and kind not in known:
            raise UnknownKind(word, kind, known)


def _parted(environ: Mapping[str, str], variable: str) -> list[str]:
    try:
        return shlex.split(environ.get(variable, ""))
    except ValueError as error:
        raise UnreadableWords(variable, str(error).lower()) from error
