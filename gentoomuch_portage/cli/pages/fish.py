"""Completion for fish."""

from collections.abc import Iterator

from gentoomuch_portage.cli.pages.shape import Option, Shape

_PROFILES = "(gentoomuch profile ls --names 2>/dev/null)"
_OF_KIND = {"profile": _PROFILES, "folder": "(__fish_complete_directories)", "file": "(__fish_complete_path)"}


def script(shape: Shape) -> str:
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
    return _quoted(" ".join(shape.path[1:]))


def _lines(shape: Shape, *, alone: bool) -> Iterator[str]:
    program, condition = (
        shape.path[0],
        "" if alone else f" -n {_quoted(' '.join((f'__{shape.path[0]}_at', *shape.path[1:])))}",
    )
    start = f"complete -c {program}{condition}"
    for one in shape.below:
        yield f"{start} -a {one.name} -d {_quoted(one.help)}"
    for option in shape.options:
        yield f"{start}{_option(option)}"
    for value in dict.fromkeys(shape.values):
        if value in {"NAME", "OTHER"}:
            yield f"{start} -a {_quoted(_PROFILES)}"
        elif value == "DIR":
            yield f"{start} -a {_quoted(_OF_KIND['folder'])}"
        elif value == "PACKAGE":
            yield f"{start} -a '@world @system @selected @profile'"
    if shape.becomes:
        yield f"{start} -a '(__fish_complete_subcommand)'"


def _option(option: Option) -> str:
    names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
    words = " ".join(option.choices) or _OF_KIND.get(option.kind, "")
    value = " -x" if option.value and not option.optional else ""
    told = f" -d {_quoted(option.help)}" if option.help else ""
    return f" {names}{value}{f' -a {_quoted(words)}' if words else ''}{told}"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
