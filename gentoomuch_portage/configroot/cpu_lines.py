# SPDX-License-Identifier: GPL-2.0-or-later
"""Find lines of a configuration that select a CPU and override the ``cpu`` of the profile.

They are files of package.env, a bashrc, USE flags of one package, and variables that pass flags to a build. CFLAGS and
similar variables of make.conf are not included, because the flags of ``cpu`` follow them.
Source: portage(5); ebuild.sh of Portage 3.0.83, __source_env_files.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage.configroot.layers import Composed
from gentoomuch_portage.configroot.make_conf import Piece
from gentoomuch_portage.configroot.statements import Place
from gentoomuch_portage.errors import GmError
from gentoomuch_portage.isa import languages
from gentoomuch_portage.isa.variables import GO_VARIABLES, PASSED_ON
from gentoomuch_portage.portage_adapter import atoms, config_files

_C = ("CC", "CFLAGS", "CXXFLAGS", "FCFLAGS", "FFLAGS", *PASSED_ON)
_BEHIND_CPU = frozenset({"CC", *PASSED_ON})
"""Variables of make.conf to which ``cpu`` adds nothing."""
_ASSIGNS = re.compile(r"^[ \t]*(?:export[ \t]+)?([A-Za-z_]\w*)(\+?=)(.*)$")
_GO = re.compile(rf"\b({'|'.join(GO_VARIABLES)})=[\"']?([\w.,]+)")
_USE = re.compile(r"(?<![\w-])cpu_flags_\w+")
_TUNE = re.compile(r"(?<![\w-])-mtune=([\w.+-]+)")


class CpuLine(NamedTuple):
    """A line that selects a CPU."""

    place: Place
    text: str
    """The relevant part of it: ``CFLAGS: -march=haswell``."""
    atom: str
    """The packages that it applies to; ``*/*`` for all."""
    flags: tuple[str, ...] = ()
    """The equivalent machine flags of a C compiler."""
    use: frozenset[str] = frozenset()
    """``cpu_flags_*`` that it enables."""
    tune: str = ""
    """The CPU of -mtune; code runs on others as well."""
    via: Place | None = None
    """The line of package.env that names its file."""


def find(composed: Composed, arch: str) -> Iterator[CpuLine]:
    """Generate all such lines, in the order of their files.

    Args:
        arch: of the profile, as ``isa.flags.arch_of`` names it.
    """
    known = _values(composed)
    for piece in composed.pieces:
        yield from _of_make_conf(piece, arch)
    for name, (content, _, _) in composed.files.items():
        kind, _, below = name.partition("/")
        path, text = composed.origins.get(name, Path(name)), content.decode(errors="replace")
        if not path.is_absolute():
            continue  # written by a plugin
        if kind == "package.env":
            yield from _of_package_env(composed, path, text, known, arch)
        elif kind == "package.use" or name.startswith("profile/package.use"):
            yield from _of_package_use(path, text)
        elif kind == "bashrc" or name.startswith(("profile/profile.bashrc", "profile/bashrc")):
            yield from _of_bash(path, text, "*/*", arch)
        elif kind == "env" and "/" in below:
            yield from _of_bash(path, text, _atom_of(below), arch)


def _values(composed: Composed) -> dict[str, str]:
    known: dict[str, str] = {}
    for piece in composed.pieces:
        known |= piece.values
    return known


def _of_make_conf(piece: Piece, arch: str) -> Iterator[CpuLine]:
    for name in sorted(piece.values.keys() & _BEHIND_CPU):
        for path, number in list(piece.places(name))[-1:]:
            if path.is_absolute():
                yield from _of_value(name, piece.values[name], Place(path, number), "*/*", arch)


def _of_package_env(
    composed: Composed, path: Path, text: str, known: Mapping[str, str], arch: str
) -> Iterator[CpuLine]:
    for number, line in enumerate(text.splitlines(), 1):
        atom, *names = line.partition("#")[0].split() or [""]
        for name in names:
            file = composed.origins.get(f"env/{name}")
            if file is not None:
                for cpu_line in _of_env(file, atom, known, arch):
                    yield cpu_line._replace(via=Place(path, number))


def _of_env(file: Path, atom: str, known: Mapping[str, str], arch: str) -> Iterator[CpuLine]:
    """Generate the lines of a file of env/, its variables expanded as in Portage."""
    try:
        values = config_files.make_conf(file, dict(known))
        text = file.read_text(encoding="utf-8", errors="replace")
    except (GmError, OSError):
        return  # Portage reports it when it uses the file
    numbers = {match[1]: number for number, line in enumerate(text.splitlines(), 1) if (match := _ASSIGNS.match(line))}
    for name, value in values.items():
        yield from _of_value(name, value, Place(file, numbers.get(name, 1)), atom, arch)


def _of_value(name: str, value: str, place: Place, atom: str, arch: str) -> Iterator[CpuLine]:
    """Generate the CPU lines of one variable."""
    if name in _C:
        yield from _of_c(name, value, place, atom)
    elif name == "RUSTFLAGS" and (rust := languages.translate_rust(value, arch)):
        yield CpuLine(place, f"{name}: {value.strip()}", atom, flags=rust)
    elif name in GO_VARIABLES and (go := languages.translate_go({name: value}, arch)):
        yield CpuLine(place, f"{name}: {value.strip()}", atom, flags=go)


def _of_c(name: str, value: str, place: Place, atom: str) -> Iterator[CpuLine]:
    words = languages.find_machine_flags(value).split()
    if flags := tuple(word for word in words if not word.startswith("-mtune=")):
        yield CpuLine(place, f"{name}: {' '.join(flags)}", atom, flags=flags)
    if tuned := _TUNE.findall(value):
        yield CpuLine(place, f"{name}: -mtune={tuned[-1]}", atom, tune=tuned[-1])


def _of_bash(path: Path, text: str, atom: str, arch: str) -> Iterator[CpuLine]:
    """Generate the CPU lines of a bash script, without regard to functions and conditions."""
    for number, line in enumerate(text.splitlines(), 1):
        plain, place = re.sub(r"(^|\s)#.*", "", line), Place(path, number)
        yield from _of_c("bash", plain, place, atom)
        if "target-" in plain and (rust := languages.translate_rust(plain.replace('"', " ").replace("'", " "), arch)):
            yield CpuLine(place, f"bash: {plain.strip()}", atom, flags=rust)
        for name, value in _GO.findall(plain):
            yield from _of_value(name, value, place, atom, arch)


def _of_package_use(path: Path, text: str) -> Iterator[CpuLine]:
    for number, line in enumerate(text.splitlines(), 1):
        atom, *words = line.partition("#")[0].split() or [""]
        prefix, flags = "", []
        for word in words:
            if word.endswith(":"):
                prefix = f"{word[:-1].lower()}_"
            else:
                flags.append(word if word.startswith("-") else prefix + word)
        if use := frozenset(_USE.findall(" ".join(flags))):
            yield CpuLine(Place(path, number), f"USE: {' '.join(sorted(use))}", atom, use=use)


def _atom_of(below: str) -> str:
    """Return ``cat/pkg`` or ``=cat/pkg-1.0`` for the name of a bash file below env/."""
    category, _, name = below.partition("/")
    versioned = f"={category}/{name.partition(':')[0]}"
    return versioned if atoms.is_atom(versioned) else f"{category}/{name}"
