"""Man pages, in the words of man(7)."""

from collections.abc import Callable, Iterable, Iterator

from gentoomuch_portage import __version__
from gentoomuch_portage.cli.docs.command_tree import Option, Shape

_ABOUT_PROFILES = (
    "A profile is a machine: its CPU, its layers of /etc/portage, its root. gentoomuch keeps profiles and tells what "
    "is known about them; gm-emerge builds for one. Commands without a NAME are about the profile that is set. "
    "Those of plugins stand in gentoomuch --help."
)
_ABOUT_EMERGE = (
    "gm-emerge composes /etc/portage for a profile and runs emerge with it, in the same process. Without a profile, "
    "named or set, it is emerge. Called by a name NAME-emerge, NAME is the profile."
)
_READ_OVER = "2026-11-21"
"""The day on which somebody last read the pages as a whole."""
_OWN_STATUS = (("0", "done; of lint and doctor: nothing is wrong"), ("1", "lint or doctor found something"))
_FILES = (
    ("/etc/gentoomuch/gentoomuch.toml", "defaults for every profile"),
    ("/etc/gentoomuch/profiles/NAME.toml", "one machine"),
    ("/etc/gentoomuch/layers/LAYER/", "a piece of /etc/portage that profiles share"),
    ("/var/lib/gentoomuch/", "state: which profile is set, and a folder for each profile"),
    ("/var/cache/gentoomuch/", "what can be made again: composed configroots and others"),
)
_PATHS = (
    "A user without the right to write there has the same below XDG_CONFIG_HOME, XDG_STATE_HOME and XDG_CACHE_HOME; "
    "with an EPREFIX all of it lies below the prefix."
)
_STATUS = (
    ("64", "the command line is wrong"),
    ("69", "this machine lacks something"),
    ("70", "something that was started failed"),
    ("75", "another run holds what this one needs"),
    ("77", "this user may not do that"),
    ("78", "a file of the configuration is wrong"),
)
_ENVIRONMENT = (
    ("GM_CONFIG, GM_STATE, GM_CACHE", "folders instead of the three above"),
    ("NO_COLOR, FORCE_COLOR", "no colours, or colours though the output is no terminal"),
)


def gentoomuch(shape: Shape) -> str:
    """The page gentoomuch(1)."""
    general = [one for one in shape.options if one.general]
    lines = [
        *_head("gentoomuch", "keep the profiles of Gentoo machines"),
        ".SH SYNOPSIS",
        f".B gentoomuch\n[{_i('general option')} ...] {_i('command')} [{_i('option')} ...]",
        ".SH DESCRIPTION",
        _text(_ABOUT_PROFILES),
        ".SH COMMANDS",
        *(line for one in shape.every() if not one.below for line in _command(one)),
        ".SH GENERAL OPTIONS",
        _text("They may stand before the command or behind it."),
        *_options(general),
        *_tail((*_OWN_STATUS, *_STATUS), "gm\\-emerge"),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def gm_emerge(shape: Shape) -> str:
    """The page gm-emerge(1): our words; emerge's own are in emerge(1)."""
    ours = [one for one in shape.options if one.names[0].startswith("--gm-")]
    more = (
        ("GM_PROFILE", "the profile, as --gm-profile"),
        ("GM_DEFAULT_OPTS", "words put before the command line, as EMERGE_DEFAULT_OPTS for emerge"),
    )
    lines = [
        *_head("gm-emerge", "emerge for a profile of gentoomuch"),
        ".SH SYNOPSIS",
        f".B gm\\-emerge\n[{_b('--gm-')}{_i('word')}[={_i('value')}] ...] [{_i('any word of emerge')} ...]",
        ".br",
        f"{_i('NAME')}{_b('-emerge')} [{_i('any word of emerge')} ...]",
        ".SH DESCRIPTION",
        _text(_ABOUT_EMERGE),
        ".SH WORDS",
        _text("All words of ours begin with --gm- and take their value behind a =; all others are emerge's."),
        *_options(ours),
        *_tail((("below 64", "emerge's own"), *_STATUS), "gentoomuch", more, ".BR emerge (1),"),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _head(name: str, told: str) -> list[str]:
    return [
        '.\\" Made by python -m gentoomuch_portage.cli.docs.',
        f'.TH {_text(name.upper())} 1 "{_READ_OVER}" "gentoomuch\\-portage {__version__}" "gentoomuch"',
        ".SH NAME",
        f"{_text(name)} \\- {_text(told)}",
    ]


def _tail(
    status: Iterable[tuple[str, str]], other: str, variables: Iterable[tuple[str, str]] = (), first: str = ""
) -> Iterator[str]:
    yield ".SH FILES"
    yield from _listed(_FILES, _i)
    yield ".PP"
    yield _text(_PATHS)
    yield ".SH ENVIRONMENT"
    yield from _listed((*variables, *_ENVIRONMENT), _b)
    yield ".SH EXIT STATUS"
    yield from _listed(status, _b)
    yield ".SH SEE ALSO"
    if first:
        yield first
    yield f".BR {other} (1),"
    yield ".BR portage (5)"


def _command(shape: Shape) -> Iterator[str]:
    behind = [f"{_b('--')} {_i('COMMAND')}..."] if shape.becomes else []
    own = [one for one in shape.options if not one.general]
    words = [_b(" ".join(shape.path[1:])), *(f"[{_word(one)}]" for one in own), *shape.words(_i), *behind]
    yield ".TP"
    yield " ".join(words)
    yield f"{_text(shape.help[:1].upper() + shape.help[1:])}."
    if own:
        yield ".RS"
        yield from _options(own)
        yield ".RE"


def _options(options: Iterable[Option]) -> Iterator[str]:
    for one in options:
        yield ".TP"
        yield ", ".join(_word(one, name) for name in reversed(one.names))
        yield _text(one.help)


def _word(option: Option, name: str = "") -> str:
    name = name or option.names[0]
    if not option.value:
        return _b(name)
    value = f"{'=' if option.joined else ' '}{_i(option.value)}"
    return f"{_b(name)}[{value}]" if option.optional else _b(name) + value


def _listed(rows: Iterable[tuple[str, str]], font: Callable[[str], str]) -> Iterator[str]:
    for name, told in rows:
        yield from (".TP", font(name), _text(told))


def _text(text: str) -> str:
    """Text that man(7) takes for nothing else."""
    told = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{told}" if told[:1] in {".", "'"} else told


def _b(text: str) -> str:
    return f"\\fB{_text(text)}\\fR"


def _i(text: str) -> str:
    return f"\\fI{_text(text)}\\fR"
