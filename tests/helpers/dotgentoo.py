# SPDX-License-Identifier: GPL-2.0-or-later
"""Folders of the .gentoo kind, written for tests; the same meaning in many forms."""

import os
import random
from dataclasses import dataclass
from pathlib import Path

EBUILD = 'EAPI=8\nDESCRIPTION="hello"\nSLOT="0"\n'
AT = "app-misc/hello/hello-99999.ebuild"


def written(top: Path, files: dict[str, str | bytes] | None = None, *, ebuild: bool = True) -> Path:
    """Write a folder below ``top``; by default with the ebuild of app-misc/hello."""
    for name, content in {**({AT: EBUILD} if ebuild else {}), **(files or {})}.items():
        path = top / ".gentoo" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return top / ".gentoo"


@dataclass(frozen=True)
class Meaning:
    """What a folder means, in a form of which equal ones mean the same."""

    ebuild: str
    overlays: dict[str, dict[str, str]]
    keywords: dict[str, frozenset[str]]
    mask: frozenset[str]
    unmask: frozenset[str]
    use: dict[str, tuple[bool, frozenset[str]]]
    """Atom -> whether ``-*`` stands first, and flags, those of USE_EXPAND spelt out."""
    license: dict[str, tuple[str, ...]]


def rendered(meaning: Meaning, top: Path, chance: random.Random) -> Path:
    """Write a meaning in one of its forms."""
    ebuild = meaning.ebuild
    written(top, {AT: ebuild.removesuffix("\n") if chance.random() < 0.3 else ebuild})
    sections = [_section(name, options, chance) for name, options in meaning.overlays.items()]
    _spread(top, "overlays", sections, chance, signs="#;", plain=False)
    keywords = [line for atom, values in meaning.keywords.items() for line in _lines(atom, sorted(values), chance)]
    names = ["package.keywords", "package.accept_keywords"]
    for name, lines in zip(names, _parted(keywords, chance), strict=True):
        _spread(top, name, lines, chance)
    _spread(top, "package.mask", list(meaning.mask), chance)
    _spread(top, "package.unmask", list(meaning.unmask), chance)
    _spread(
        top, "package.use", [line for atom in meaning.use for line in _use(atom, meaning.use[atom], chance)], chance
    )
    _spread(top, "package.license", [" ".join((atom, *told)) for atom, told in meaning.license.items()], chance)
    return top / ".gentoo"


def _parted(lines: list[str], chance: random.Random) -> tuple[list[str], list[str]]:
    where = [chance.random() < 0.5 for _ in lines]
    first = [line for line, here in zip(lines, where, strict=True) if here]
    return first, [line for line, here in zip(lines, where, strict=True) if not here]


def _section(name: str, options: dict[str, str], chance: random.Random) -> str:
    keys = sorted(options)
    chance.shuffle(keys)
    said = [f"[{name}]{_blank(chance)}"]
    for key in keys:
        said += [""] * chance.randrange(2) + ["# c = d", "  ; c"][: chance.randrange(3)]
        shown = key.upper() if chance.random() < 0.3 else key
        said.append(f"{shown}{_blank(chance)}{chance.choice('=:')}{_blank(chance)}{options[key]}{_blank(chance)}")
    return "\n".join(said)


def _blank(chance: random.Random) -> str:
    return chance.choice(["", " ", "\t", "  \t "])


def _lines(atom: str, values: list[str], chance: random.Random) -> list[str]:
    """An atom with its values, on one line or on two that overlap."""
    chance.shuffle(values)
    if len(values) < 2 or chance.random() < 0.6:
        return [" ".join((atom, *values, *values[: chance.randrange(2)]))]
    at = chance.randrange(1, len(values))
    return [" ".join((atom, *values[:at])), " ".join((atom, *values[at - 1 :]))]


def _use(atom: str, told: tuple[bool, frozenset[str]], chance: random.Random) -> list[str]:
    """Flags as they are, or the video cards among them as a block; behind ``-*`` on one line."""
    first, flags = told
    cards = sorted(flag for flag in flags if "video_cards_" in flag)
    others = sorted(flags - {*cards})
    if first or (cards and chance.random() < 0.5):
        chance.shuffle(cards)
        chance.shuffle(others)
        block = ["VIDEO_CARDS:", *(card.replace("video_cards_", "") for card in cards)] if cards else []
        lost = ["zlib", "VIDEO_CARDS: gone"][: chance.randrange(3)] if first and not block else []
        head = [*lost, "-*"] if first and not any(":" in one for one in lost) else ["-*"] if first else []
        return [" ".join((atom, *head, *others, *block))]
    return _lines(atom, sorted(flags), chance)


def _spread(
    top: Path, name: str, said: list[str], chance: random.Random, *, signs: str = "#", plain: bool = True
) -> None:
    """Write what is said in any order into one file, or into several of any names, perhaps in directories."""
    said = list(said)
    chance.shuffle(said)
    many = chance.random() < 0.7
    count = chance.randrange(1, 4) if many else 1
    names = chance.sample(["a", "zz", "10-x", "deep/er/one", "ö"], count) if many else [""]
    for number, file in enumerate(names):
        path = top / ".gentoo" / name / file if file else top / ".gentoo" / name
        text = _dressed(said[number::count], chance, signs, plain=plain)
        if text or chance.random() < 0.5:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())


def _dressed(said: list[str], chance: random.Random, signs: str, *, plain: bool) -> str:
    """Lines with comments, blanks and ends of all kinds."""
    lines = []
    for one in said:
        lines += [f"{_blank(chance)}{chance.choice(signs)} {chance.choice(['app-misc/no', 'x = y', 'ö'])}"][
            : chance.randrange(2)
        ]
        if plain:
            words = one.split(" ")
            one = _blank(chance) + words[0] + "".join(chance.choice([" ", "\t", "   "]) + word for word in words[1:])
            one += chance.choice(["", "  ", "\t# said", " #said"])
        lines += [one, *[""] * chance.randrange(2)]
    text = "\n".join(lines) + ("\n" if lines and chance.random() < 0.8 else "")
    return text.replace("\n", "\r\n") if chance.random() < 0.2 else text


def room(top: Path, number: int) -> Path:
    """A fresh place below ``top``."""
    place = top / f"{os.getpid()}-{number}"
    place.mkdir(parents=True)
    return place
