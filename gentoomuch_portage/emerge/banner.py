"""Our lines behind emerge's own --version, --help and --info.

On the way of a plain ``gm-emerge --version``, so it imports what it needs where it needs it.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gentoomuch_portage import __version__, console
from gentoomuch_portage.portage_adapter import emerge

if TYPE_CHECKING:
    from gentoomuch_portage.plan.plan import Plan


def tell(words: Iterable[str], plan: "Plan | None" = None) -> None:
    """Say what belongs behind what emerge said to these words; nothing behind most."""
    words = tuple(words)
    if not any(emerge.tells(word) or (plan and word == "--info") for word in words):
        return
    match emerge.action(words):
        case "version":
            console.say(f"gentoomuch-portage {__version__}")
        case "help":
            from gentoomuch_portage.plan.request import WORDS

            console.say(console.our_words(WORDS))
        case "info" if plan is not None:
            from gentoomuch_portage.plan.plan import Layer

            layers = ", ".join(part.name for _, part in plan.parts if isinstance(part, Layer))
            console.say(f"gentoomuch: profile {plan.profile}, layers {layers or 'none'}, configroot {plan.configroot}")
