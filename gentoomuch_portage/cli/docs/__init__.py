"""Man pages and completion for both commands, made out of their parsers.

``python -m gentoomuch_portage.cli.docs share`` writes them as they are installed.
"""

from collections.abc import Mapping

from gentoomuch_portage.cli.docs import command_tree, completion, man


def made() -> Mapping[str, str]:
    """Path below ``share`` -> text, for every page."""
    ours, emerge = command_tree.gentoomuch(), command_tree.gm_emerge()
    found = {
        "man/man1/gentoomuch.1": man.gentoomuch(ours),
        "man/man1/gm-emerge.1": man.gm_emerge(emerge),
    }
    for one in (ours, emerge):
        found[f"bash-completion/completions/{one.name}"] = completion.bash_script(one)
        found[f"zsh/site-functions/_{one.name}"] = completion.zsh_script(one)
        found[f"fish/vendor_completions.d/{one.name}.fish"] = completion.fish_script(one)
    return found
