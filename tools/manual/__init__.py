# SPDX-License-Identifier: GPL-2.0-or-later
"""Man pages and completion for both commands, generated from their parsers; tools/make-docs writes them to share/."""

from collections.abc import Mapping

from manual import command_tree, completion, man


def made() -> Mapping[str, str]:
    """Generate all files of ``share``: path -> text."""
    ours, emerge = command_tree.gentoomuch(), command_tree.gm_emerge()
    pages = {
        "man/man1/gentoomuch.1": man.gentoomuch(ours),
        "man/man1/gm-emerge.1": man.gm_emerge(emerge),
    }
    for shape in (ours, emerge):
        pages[f"bash-completion/completions/{shape.name}"] = completion.bash_script(shape)
        pages[f"zsh/site-functions/_{shape.name}"] = completion.zsh_script(shape)
        pages[f"fish/vendor_completions.d/{shape.name}.fish"] = completion.fish_script(shape)
    return pages
