# SPDX-License-Identifier: GPL-2.0-or-later
"""Completion for bash (without the package bash-completion), fish and zsh."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from manual.command_tree import CommandShape, Option

_PACKAGES = "".join(
    f"{line}\n"
    for line in Path(__file__).with_name("packages.sh").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
)
"""A script for sh, which all shells run: it prints the sets, packages and flags that complete its argument."""
_BASH_OF_KIND = {
    "profile": "$(gentoomuch profile ls --names 2>/dev/null)",
}
_MADE_FOR = {"folder": "-d", "file": "-f"}


def bash_script(shape: CommandShape) -> str:
    """Generate the file for share/bash-completion/completions."""
    name = f"_{shape.name.replace('-', '_')}"
    every = list(shape.walk())
    return "\n".join(
        [
            shape.header("bash"),
            f"{name}() {{",
            "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}",
            "    local path='' count=0 skip='' word='' given=''",
            *_bash_equals(every),
            '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
            *_bash_double_dash(every),
            "        if [[ -n $skip && $word != = ]]; then skip=''; continue; fi",
            '        case "$path $word" in',
            *_bash_subcommands(every),
            *_bash_value_options(every),
            "            *' -'* | *' =') ;;",
            "            *) ((++count)) ;;",
            "        esac",
            "    done",
            *_bash_values(every),
            '    case "$path" in',
            *(line for command in every for line in _bash_words(command)),
            "    esac",
            '    mapfile -t COMPREPLY < <(compgen -W "$given" -- "$cur")',
            "    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null",
            "    return 0",
            "}",
            f"complete -F {name} {shape.name}",
            "",
        ]
    )


def _bash_equals(every: list[CommandShape]) -> Iterator[str]:
    """Generate code that handles ``=``: bash splits words there, and optional values need to know it."""
    equals = " equals=1" if any(option.optional for shape in every for option in shape.options) else ""
    if equals:
        yield "    local equals=''"
    yield f"    if [[ $cur == = ]]; then cur=''{equals}"
    yield f"    elif [[ $prev == = ]]; then prev=${{COMP_WORDS[COMP_CWORD-2]}}{equals}; fi"


def _bash_double_dash(every: list[CommandShape]) -> Iterator[str]:
    """Generate code that completes a program after ``--``."""
    if any(command.becomes for command in every):
        yield ('        if [[ $word == -- ]]; then mapfile -t COMPREPLY < <(compgen -c -f -- "$cur"); return 0; fi')


def _bash_subcommands(every: list[CommandShape]) -> Iterator[str]:
    """Generate the cases that select a subcommand."""
    steps = [
        shlex.quote(" ".join(("", *command.path[1:])) if len(command.path) == 2 else " ".join(command.path[1:]))
        for command in every[1:]
    ]
    if steps:
        yield f"            {' | '.join(steps)}) path=${{path:+$path }}$word count=0 ;;"


def _bash_value_options(every: list[CommandShape]) -> Iterator[str]:
    """Generate the case of options whose value is the next word."""
    names = _names(
        option
        for shape in every
        for option in shape.options
        if option.value and not option.optional and not option.joined
    )
    if names:
        yield f"            {' | '.join(_pattern(name) for name in names)}) skip=1 ;;"


def _pattern(name: str) -> str:
    return f"*' {name}'"


def _bash_values(every: list[CommandShape]) -> Iterator[str]:
    """Generate the cases that complete values of options."""
    sorts: dict[str, list[str]] = {}
    for option in (option for shape in every for option in shape.options if option.value):
        if answer := _bash_completions(option):
            sorts.setdefault(answer, []).extend(name for name in option.names if name not in sorts.get(answer, []))
    if sorts:
        yield '    case "$prev" in'
        for answer, names in sorts.items():
            yield f"        {' | '.join(names)}) {answer} ;;"
        yield "    esac"


def _bash_completions(option: Option) -> str:
    if option.kind in _MADE_FOR:
        completions = (
            f'compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen {_MADE_FOR[option.kind]} -- "$cur")'
        )
    elif words := _BASH_OF_KIND.get(option.kind) or " ".join(option.choices):
        completions = f'mapfile -t COMPREPLY < <(compgen -W "{words}" -- "$cur")'
    else:
        return ""
    # The next word is not the value of an option whose value is optional.
    return f"if [[ -n $equals ]]; then {completions}; return 0; fi" if option.optional else f"{completions}; return 0"


def _bash_words(shape: CommandShape) -> Iterator[str]:
    """Generate the case that completes subcommands, options and known values of a command."""
    path = " ".join(shape.path[1:])
    words = [command.name for command in shape.below] + [
        _with_equals(name, option) for option in shape.options for name in option.names
    ]
    yield f"        {shlex.quote(path)})"
    yield f'            given="{" ".join(words)}"'
    known = [at for at, value in enumerate(shape.values) if value in {"NAME", "OTHER"}]
    for at in known:
        yield f'            [[ $count == {at} && $cur != -* ]] && given="{_BASH_OF_KIND["profile"]}"'
    if "DIR" in shape.values:
        yield "            [[ $cur != -* ]] && given='' && compopt -o dirnames 2>/dev/null"
    if "PACKAGE" in shape.values:
        yield "            if [[ $cur != -* ]]; then"
        yield "                compopt -o default 2>/dev/null"
        yield f'                mapfile -t COMPREPLY < <(sh -c {shlex.quote(_PACKAGES)} sh "$cur")'
        yield "                [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == */ ]] && compopt -o nospace 2>/dev/null"
        yield "                return 0"
        yield "            fi"
    if shape.becomes:
        yield '            given+=" --"'
    yield "            ;;"


def _with_equals(name: str, option: Option) -> str:
    """Return an option as completed: with ``=`` if its value must follow."""
    return f"{name}=" if option.joined and not option.optional else name


def _names(options: Iterator[Option]) -> list[str]:
    return sorted({name for option in options for name in option.names})


_FISH_PROFILES = "(gentoomuch profile ls --names 2>/dev/null)"
_FISH_OF_KIND = {"profile": _FISH_PROFILES, "folder": "(__fish_complete_directories)", "file": "(__fish_complete_path)"}


def fish_script(shape: CommandShape) -> str:
    """Generate the file for share/fish/vendor_completions.d."""
    every = list(shape.walk())
    return "\n".join(
        [
            shape.header("fish"),
            *(_fish_at(shape, every) if shape.below else ()),
            *(line for command in every for line in _fish_lines(command, alone=not shape.below)),
            "",
        ]
    )


def _fish_at(shape: CommandShape, every: list[CommandShape]) -> list[str]:
    """Generate a function that compares the typed commands with its arguments."""
    skipped = sorted({name for command in every for option in command.options if option.value for name in option.names})
    return [
        f"function __{shape.name}_at",
        "    set -l path",
        "    set -l skip 0",
        "    for word in (commandline -opc)[2..]",
        "        if test $skip = 1",
        "            set skip 0",
        f"        else if contains -- $word {' '.join(skipped)}",
        "            set skip 1",
        "        else if contains -- (string join ' ' $path $word) "
        + " ".join(_fish_path(command) for command in every[1:]),
        "            set -a path $word",
        "        end",
        "    end",
        "    test (string join ' ' x $path) = (string join ' ' x $argv)",
        "end",
        f"complete -c {shape.name} -f",
    ]


def _fish_path(shape: CommandShape) -> str:
    return _fish_quoted(" ".join(shape.path[1:]))


def _fish_lines(shape: CommandShape, *, alone: bool) -> Iterator[str]:
    program, condition = (
        shape.path[0],
        "" if alone else f" -n {_fish_quoted(' '.join((f'__{shape.path[0]}_at', *shape.path[1:])))}",
    )
    start = f"complete -c {program}{condition}"
    for command in shape.below:
        yield f"{start} -a {command.name} -d {_fish_quoted(command.help)}"
    for option in shape.options:
        yield f"{start}{_fish_option(option)}"
    for value in dict.fromkeys(shape.values):
        if value in {"NAME", "OTHER"}:
            yield f"{start} -a {_fish_quoted(_FISH_PROFILES)}"
        elif value == "DIR":
            yield f"{start} -a {_fish_quoted(_FISH_OF_KIND['folder'])}"
        elif value == "PACKAGE":
            yield f"{start} -a {_fish_quoted(f'(sh -c {_fish_quoted(_PACKAGES)} sh (commandline -ct))')}"
    if shape.becomes:
        yield f"{start} -a '(__fish_complete_subcommand)'"


def _fish_option(option: Option) -> str:
    names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
    words = " ".join(option.choices) or _FISH_OF_KIND.get(option.kind, "")
    value = " -x" if option.value and not option.optional else ""
    description = f" -d {_fish_quoted(option.help)}" if option.help else ""
    return f" {names}{value}{f' -a {_fish_quoted(words)}' if words else ''}{description}"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_ZSH_PROFILES = "{compadd -- $(gentoomuch profile ls --names 2>/dev/null)}"
_ZSH_OF_KIND = {"profile": _ZSH_PROFILES, "folder": "_files -/", "file": "_files"}


def zsh_script(shape: CommandShape) -> str:
    """Generate the file for share/zsh/site-functions."""
    functions = [line for command in reversed(list(shape.walk())) for line in _zsh_function(command)]
    return "\n".join(
        [
            f"#compdef {shape.name}",
            shape.header("zsh"),
            *functions,
            f'{_zsh_name(shape)} "$@"',
            "",
        ]
    )


def _zsh_name(shape: CommandShape) -> str:
    return "_" + "_".join(shape.path).replace("-", "_")


def _zsh_function(shape: CommandShape) -> Iterator[str]:
    if "PACKAGE" in shape.values:
        yield f"{_zsh_name(shape)}_packages() {{"
        yield f'    local -a words=("${{(@f)$(sh -c {_zsh_quoted(_PACKAGES)} sh "$PREFIX")}}")'
        yield "    local missing=1"
        yield "    compadd -- ${words:#*/} && missing=0"
        yield "    compadd -S '' -- ${(M)words:#*/} && missing=0"
        yield "    (( missing )) || return 0"
        yield "    _files"
        yield "}"
    yield f"{_zsh_name(shape)}() {{"
    if shape.below:
        yield "    local curcontext=$curcontext state line"
    specs = [_zsh_option(option) for option in shape.options]
    specs += ["'1: :->command'", "'*:: :->rest'"] if shape.below else _zsh_arguments(shape)
    yield " \\\n        ".join([f"    _arguments -s {'-C ' if shape.below else ''}:", *specs])
    if shape.below:
        yield from _zsh_commands(shape)
    yield "}"


def _zsh_arguments(shape: CommandShape) -> Iterator[str]:
    for number, value in enumerate(shape.values, 1):
        if value == "PACKAGE":
            yield f"'*:package:{_zsh_name(shape)}_packages'"
        else:
            action = {"NAME": _ZSH_PROFILES, "OTHER": _ZSH_PROFILES, "DIR": "_files -/"}.get(value, "")
            yield f"'{number}:{value.lower()}:{action}'"
    if shape.becomes:
        yield "'*:::command:_normal'"


def _zsh_commands(shape: CommandShape) -> Iterator[str]:
    yield "    case $state in"
    yield "        command)"
    yield "            local -a commands=("
    yield from (f"                {_zsh_quoted(f'{command.name}:{command.help}')}" for command in shape.below)
    yield "            )"
    yield "            _describe command commands"
    yield "            ;;"
    yield "        rest)"
    yield "            case $line[1] in"
    yield from (f"                {command.name}) {_zsh_name(command)} ;;" for command in shape.below)
    yield "            esac"
    yield "            ;;"
    yield "    esac"


def _zsh_option(option: Option) -> str:
    """Return an optspec of ``_arguments``: exclusions, names, description and value."""
    colon = "::" if option.optional else ":"
    after = ("=-" if option.joined else "=") if option.value else ""
    action = f"({' '.join(option.choices)})" if option.choices else _ZSH_OF_KIND.get(option.kind, " ")
    value = f"{colon}{option.value.lower()}:{action}" if option.value else ""
    description = "[" + option.help.replace("[", "(").replace("]", ")").replace(":", "\\:") + "]" if option.help else ""
    names = [name + (after if name.startswith("--") else "+" if option.value else "") for name in option.names]
    if len(names) == 1:
        return _zsh_quoted(names[0] + description + value)
    return f"{_zsh_quoted('(' + ' '.join(option.names) + ')')}{{{','.join(names)}}}{_zsh_quoted(description + value)}"


def _zsh_quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
