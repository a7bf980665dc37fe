"""Completion for bash, without the help of the package bash-completion."""

import shlex
from collections.abc import Iterator

from gentoomuch_portage.cli.pages.shape import Option, Shape

_OF_KIND = {
    "profile": "$(gentoomuch profile ls --names 2>/dev/null)",
}
_MADE_FOR = {"folder": "-d", "file": "-f"}


def script(shape: Shape) -> str:
    """The file for share/bash-completion/completions."""
    name = f"_{shape.name.replace('-', '_')}"
    every = list(shape.every())
    return "\n".join(
        [
            shape.header("bash"),
            f"{name}() {{",
            "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}",
            "    local path='' count=0 skip='' word='' given=''",
            *_parted(every),
            '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
            *_behind(every),
            "        if [[ -n $skip && $word != = ]]; then skip=''; continue; fi",
            '        case "$path $word" in',
            *_steps(every),
            *_skips(every),
            "            *' -'* | *' =') ;;",
            "            *) ((++count)) ;;",
            "        esac",
            "    done",
            *_values(every),
            '    case "$path" in',
            *(line for one in every for line in _given(one)),
            "    esac",
            '    mapfile -t COMPREPLY < <(compgen -W "$given" -- "$cur")',
            "    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null",
            "    return 0",
            "}",
            f"complete -F {name} {shape.name}",
            "",
        ]
    )


def _parted(every: list[Shape]) -> Iterator[str]:
    """bash parts words at =; whether one stands there matters where a value may be left out."""
    equals = " equals=1" if any(one.optional for shape in every for one in shape.options) else ""
    if equals:
        yield "    local equals=''"
    yield f"    if [[ $cur == = ]]; then cur=''{equals}"
    yield f"    elif [[ $prev == = ]]; then prev=${{COMP_WORDS[COMP_CWORD-2]}}{equals}; fi"


def _behind(every: list[Shape]) -> Iterator[str]:
    """Behind ``--`` any program may stand, where a command takes one."""
    if any(one.becomes for one in every):
        yield ('        if [[ $word == -- ]]; then mapfile -t COMPREPLY < <(compgen -c -f -- "$cur"); return 0; fi')


def _steps(every: list[Shape]) -> Iterator[str]:
    """The words that lead from a command to one below it."""
    steps = [
        shlex.quote(" ".join(("", *one.path[1:])) if len(one.path) == 2 else " ".join(one.path[1:]))
        for one in every[1:]
    ]
    if steps:
        yield f"            {' | '.join(steps)}) path=${{path:+$path }}$word count=0 ;;"


def _skips(every: list[Shape]) -> Iterator[str]:
    """The options whose value is the next word."""
    names = _names(one for shape in every for one in shape.options if one.value and not one.optional and not one.joined)
    if names:
        yield f"            {' | '.join(_pattern(name) for name in names)}) skip=1 ;;"


def _pattern(name: str) -> str:
    return f"*' {name}'"


def _values(every: list[Shape]) -> Iterator[str]:
    """What may stand as the value of the option before."""
    sorts: dict[str, list[str]] = {}
    for option in (one for shape in every for one in shape.options if one.value):
        if answer := _answer(option):
            sorts.setdefault(answer, []).extend(name for name in option.names if name not in sorts.get(answer, []))
    if sorts:
        yield '    case "$prev" in'
        for answer, names in sorts.items():
            yield f"        {' | '.join(names)}) {answer} ;;"
        yield "    esac"


def _answer(option: Option) -> str:
    if option.kind in _MADE_FOR:
        found = (
            f'compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen {_MADE_FOR[option.kind]} -- "$cur")'
        )
    elif words := _OF_KIND.get(option.kind) or " ".join(option.choices):
        found = f'mapfile -t COMPREPLY < <(compgen -W "{words}" -- "$cur")'
    else:
        return ""
    # Where the value may be left out, the next word is something else.
    return f"if [[ -n $equals ]]; then {found}; return 0; fi" if option.optional else f"{found}; return 0"


def _given(shape: Shape) -> Iterator[str]:
    """What may stand at a command: commands below it, its options, and values that are known."""
    path = " ".join(shape.path[1:])
    words = [one.name for one in shape.below] + [_typed(name, one) for one in shape.options for name in one.names]
    yield f"        {shlex.quote(path)})"
    yield f'            given="{" ".join(words)}"'
    known = [at for at, value in enumerate(shape.values) if value in {"NAME", "OTHER"}]
    for at in known:
        yield f'            [[ $count == {at} && $cur != -* ]] && given="{_OF_KIND["profile"]}"'
    if "DIR" in shape.values:
        yield "            [[ $cur != -* ]] && given='' && compopt -o dirnames 2>/dev/null"
    if "PACKAGE" in shape.values:
        yield "            [[ $cur != -* ]] && given='@world @system @selected @profile'"
        yield "            compopt -o default 2>/dev/null"
    if shape.becomes:
        yield '            given+=" --"'
    yield "            ;;"


def _typed(name: str, option: Option) -> str:
    """``--gm-profile=`` where the value must follow at once."""
    return f"{name}=" if option.joined and not option.optional else name


def _names(options: Iterator[Option]) -> list[str]:
    return sorted({name for one in options for name in one.names})
