"""Man pages and completion for both commands, made out of their parsers.

``python -m gentoomuch_portage.cli.pages share`` writes them as they are installed.
"""

from collections.abc import Mapping

from gentoomuch_portage.cli.pages import bash, fish, man, shape, zsh


def made() -> Mapping[str, str]:
    """Path below ``share`` -> text, for every page."""
    ours, emerge = shape.gentoomuch(), shape.gm_emerge()
    found = {
        "man/man1/gentoomuch.1": man.gentoomuch(ours),
        "man/man1/gm-emerge.1": man.gm_emerge(emerge),
    }
    for one in (ours, emerge):
        found[f"bash-completion/completions/{one.name}"] = bash.script(one)
        found[f"zsh/site-functions/_{one.name}"] = zsh.script(one)
        found[f"fish/vendor_completions.d/{one.name}.fish"] = fish.script(one)
    return found
