"""Completion for zsh."""

from collections.abc import Iterator

from gentoomuch_portage.cli.pages.shape import Option, Shape

_PROFILES = "{compadd -- $(gentoomuch profile ls --names 2>/dev/null)}"
_OF_KIND = {"profile": _PROFILES, "folder": "_files -/", "file": "_files"}


def script(shape: Shape) -> str:
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
            action = {"NAME": _PROFILES, "OTHER": _PROFILES, "DIR": "_files -/"}.get(value, "")
            yield f"'{number}:{value.lower()}:{action}'"
    if shape.becomes:
        yield "'*:::command:_normal'"


def _commands(shape: Shape) -> Iterator[str]:
    yield "    case $state in"
    yield "        command)"
    yield "            local -a commands=("
    yield from (f"                {_quoted(f'{one.name}:{one.help}')}" for one in shape.below)
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
    action = f"({' '.join(option.choices)})" if option.choices else _OF_KIND.get(option.kind, " ")
    value = f"{colon}{option.value.lower()}:{action}" if option.value else ""
    told = "[" + option.help.replace("[", "(").replace("]", ")").replace(":", "\\:") + "]" if option.help else ""
    names = [name + (after if name.startswith("--") else "+" if option.value else "") for name in option.names]
    if len(names) == 1:
        return _quoted(names[0] + told + value)
    return f"{_quoted('(' + ' '.join(option.names) + ')')}{{{','.join(names)}}}{_quoted(told + value)}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
