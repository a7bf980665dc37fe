# SPDX-License-Identifier: GPL-2.0-or-later
"""Find the trees of a root in what ``portage.create_trees`` returns, and complete their configuration."""

from collections.abc import Mapping
from typing import Any


def find_target(trees: Mapping[str, Any]) -> Any:
    """Return the trees of ROOT.

    The others are those of ``/`` and of SYSROOT, which comes last. Source: portage.create_trees.
    """
    return next((tree for tree in trees.values() if _root(tree) != "/"), None) or find_running(trees)


def find_running(trees: Mapping[str, Any]) -> Any:
    """Return the trees of ``/``."""
    return next(tree for tree in trees.values() if _root(tree) == "/")


def _root(tree: Any) -> str:
    return str(tree["vartree"].settings["ROOT"])


def ensure_arch(settings: Any) -> None:
    """Set an empty ARCH in a configuration without make_profile: then no keyword is accepted.

    Portage 3.0.83 ends with NameError if a variable that it looks up is missing.
    """
    if "ARCH" not in settings:
        settings.configdict["globals"]["ARCH"] = ""


def ensure_arch_of_all(trees: Mapping[str, Any]) -> None:
    """Do the same for the configuration of each root; to be called before the resolver copies them."""
    for tree in trees.values():
        ensure_arch(tree["vartree"].settings)
