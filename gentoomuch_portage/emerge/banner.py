# SPDX-License-Identifier: GPL-2.0-or-later
"""Print additions to emerge's --version, --help and --info.

A plain ``gm-emerge --version`` runs it, so it imports modules only when it needs them.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gentoomuch_portage import __version__, console
from gentoomuch_portage.portage_adapter import emerge, emerge_arguments
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    from gentoomuch_portage.plan import plan as plans
    from gentoomuch_portage.plan import request
    from gentoomuch_portage.plan.plan import Plan
else:
    plans = LazyModule("gentoomuch_portage.plan.plan")
    request = LazyModule("gentoomuch_portage.plan.request")


def print_addition(arguments: Iterable[str], plan: "Plan | None" = None) -> None:
    """Print the addition to the output of emerge for its arguments; for most there is none."""
    arguments = tuple(arguments)
    if not any(emerge.may_print_help(argument) or (plan and argument == "--info") for argument in arguments):
        return
    match emerge_arguments.find_action(arguments):
        case "version":
            console.print_result(f"gentoomuch-portage {__version__}")
        case "help":
            console.print_result(console.format_own_options(request.OPTIONS))
        case "info" if plan is not None:
            layers = ", ".join(part.name for _, part in plan.parts if isinstance(part, plans.Layer))
            console.print_result(
                f"gentoomuch: profile {plan.profile}, layers {layers or 'none'}, configroot {plan.configroot}"
            )
