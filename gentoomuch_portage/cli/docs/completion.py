"""Completion for bash, without the help of the package bash-completion.

Completion for fish.

Completion for zsh.
"""

import shlex
from collections.abc import Iterator

from gentoomuch_portage.cli.docs.command_tree import Option, Shape

_BASH_OF_KIND = {
    "profile": "$(gentoomuch profile ls --names 2>/dev/null)",
}
_MADE_FOR = {"folder": "-d", "file": "-f"}


def bash_script(shape: Shape) -> str:
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
    elif words := _BASH_OF_KIND.get(option.kind) or " ".join(option.choices):
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
        yield f'            [[ $count == {at} && $cur != -* ]] && given="{_BASH_OF_KIND["profile"]}"'
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


_FISH_PROFILES = "(gentoomuch profile ls --names 2>/dev/null)"
_FISH_OF_KIND = {"profile": _FISH_PROFILES, "folder": "(__fish_complete_directories)", "file": "(__fish_complete_path)"}


def fish_script(shape: Shape) -> str:
    """The file for share/fish/vendor_completions.d."""
    every = list(shape.every())
    return "\n".join(
        [
            shape.header("fish"),
            *(_at(shape, every) if shape.below else ()),
            *(line for one in every for line in _lines(one, alone=not shape.below)),
            "",
        ]
    )


def _at(shape: Shape, every: list[Shape]) -> list[str]:
    """A function that says whether the commands typed so far are the given ones."""
    skipped = sorted({name for one in every for option in one.options if option.value for name in option.names})
    return [
        f"function __{shape.name}_at",
        "    set -l path",
        "    set -l skip 0",
        "    for word in (commandline -opc)[2..]",
        "        if test $skip = 1",
        "            set skip 0",
        f"        else if contains -- $word {' '.join(skipped)}",
        "            set skip 1",
        "        else if contains -- (string join ' ' $path $word) " + " ".join(_step(one) for one in every[1:]),
        "            set -a path $word",
        "        end",
        "    end",
        "    test (string join ' ' x $path) = (string join ' ' x $argv)",
        "end",
        f"complete -c {shape.name} -f",
    ]


def _step(shape: Shape) -> str:
    return _fish_quoted(" ".join(shape.path[1:]))


def _lines(shape: Shape, *, alone: bool) -> Iterator[str]:
    program, condition = (
        shape.path[0],
        "" if alone else f" -n {_fish_quoted(' '.join((f'__{shape.path[0]}_at', *shape.path[1:])))}",
    )
    start = f"complete -c {program}{condition}"
    for one in shape.below:
        yield f"{start} -a {one.name} -d {_fish_quoted(one.help)}"
    for option in shape.options:
        yield f"{start}{_option(option)}"
    for value in dict.fromkeys(shape.values):
        if value in {"NAME", "OTHER"}:
            yield f"{start} -a {_fish_quoted(_FISH_PROFILES)}"
        elif value == "DIR":
            yield f"{start} -a {_fish_quoted(_FISH_OF_KIND['folder'])}"
        elif value == "PACKAGE":
            yield f"{start} -a '@world @system @selected @profile'"
    if shape.becomes:
        yield f"{start} -a '(__fish_complete_subcommand)'"


def _option(option: Option) -> str:
    names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
    words = " ".join(option.choices) or _FISH_OF_KIND.get(option.kind, "")
    value = " -x" if option.value and not option.optional else ""
    told = f" -d {_fish_quoted(option.help)}" if option.help else ""
    return f" {names}{value}{f' -a {_fish_quoted(words)}' if words else ''}{told}"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_ZSH_PROFILES = "{compadd -- $(gentoomuch profile ls --names 2>/dev/null)}"
_ZSH_OF_KIND = {"profile": _ZSH_PROFILES, "folder": "_files -/", "file": "_files"}


def zsh_script(shape: Shape) -> str:
    """The file for share/zsh/site-functions."""
    functions = [line for one in reversed(list(shape.every())) for line in _function(one)]
    return "\n".join(
        [
            f"#compdef {shape.name}",
            shape.header("zsh"),
            *functions,
            f'{_named(shape)} "$@"',
            "",
        ]
    )


def _named(shape: Shape) -> str:
    return "_" + "_".join(shape.path).replace("-", "_")


def _function(shape: Shape) -> Iterator[str]:
    yield f"{_named(shape)}() {{"
    if shape.below:
        yield "    local curcontext=$curcontext state line"
    specs = [_spec(one) for one in shape.options]
    specs += ["'1: :->command'", "'*:: :->rest'"] if shape.below else _positional(shape)
    yield " \\\n        ".join([f"    _arguments -s {'-C ' if shape.below else ''}:", *specs])
    if shape.below:
        yield from _commands(shape)
    yield "}"


def _positional(shape: Shape) -> Iterator[str]:
    for number, value in enumerate(shape.values, 1):
        if value == "PACKAGE":
            yield "'*:package:{compadd -- @world @system @selected @profile; _files}'"
        else:
            action = {"NAME": _ZSH_PROFILES, "OTHER": _ZSH_PROFILES, "DIR": "_files -/"}.get(value, "")
            yield f"'{number}:{value.lower()}:{action}'"
    if shape.becomes:
        yield "'*:::command:_normal'"


def _commands(shape: Shape) -> Iterator[str]:
    yield "    case $state in"
    yield "        command)"
    yield "            local -a commands=("
    yield from (f"                {_zsh_quoted(f'{one.name}:{one.help}')}" for one in shape.below)
    yield "            )"
    yield "            _describe command commands"
    yield "            ;;"
    yield "        rest)"
    yield "            case $line[1] in"
    yield from (f"                {one.name}) {_named(one)} ;;" for one in shape.below)
    yield "            esac"
    yield "            ;;"
    yield "    esac"


def _spec(option: Option) -> str:
    """An optspec of ``_arguments``: which excludes which, names, meaning, value."""
    colon = "::" if option.optional else ":"
    after = ("=-" if option.joined else "=") if option.value else ""
    action = f"({' '.join(option.choices)})" if option.choices else _ZSH_OF_KIND.get(option.kind, " ")
    value = f"{colon}{option.value.lower()}:{action}" if option.value else ""
    told = "[" + option.help.replace("[", "(").replace("]", ")").replace(":", "\\:") + "]" if option.help else ""
    names = [name + (after if name.startswith("--") else "+" if option.value else "") for name in option.names]
    if len(names) == 1:
        return _zsh_quoted(names[0] + told + value)
    return f"{_zsh_quoted('(' + ' '.join(option.names) + ')')}{{{','.join(names)}}}{_zsh_quoted(told + value)}"


def _zsh_quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
