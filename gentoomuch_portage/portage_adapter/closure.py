"""All that a machine would have to build for some packages, as Portage resolves it from ebuilds alone."""

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any, NamedTuple

from gentoomuch_portage.portage_adapter.swap import looking


class Wanted(NamedTuple):
    """One package of the answer."""

    cpv: str
    name: str
    """``cat/pkg``."""
    root: str
    """The ROOT that it is for: what is needed for building is for another one than the machine's own."""


class Unresolved(LookupError):
    """Portage finds no answer; the text is what it says."""


def closure(env: Mapping[str, str], targets: Sequence[str]) -> list[Wanted]:
    """The packages that would be built on an empty machine, in their order.

    Args:
        env: PORTAGE_CONFIGROOT and ROOT of the profile.
        targets: atoms and sets, as on emerge's command line.

    Raises:
        Unresolved: there is no answer.
    """
    said = StringIO()
    with ExitStack() as around:
        around.enter_context(looking(env))
        around.enter_context(redirect_stdout(said))
        around.enter_context(redirect_stderr(said))
        done, graph = _resolved(targets)
        if not done:
            graph.display_problems()
    if not done:
        raise Unresolved(_first(said.getvalue()) or "it does not say why")
    tasks = (one for one in graph.altlist() if getattr(one, "operation", "") == "merge")
    return [Wanted(str(one.cpv), str(one.cpv.cp), one.root_config.settings["ROOT"]) for one in tasks]


def _resolved(targets: Sequence[str]) -> tuple[bool, Any]:
    from _emerge.actions import load_emerge_config
    from _emerge.create_depgraph_params import create_depgraph_params
    from _emerge.depgraph import backtrack_depgraph
    from _emerge.stdout_spinner import stdout_spinner
    from portage._sets import SetConfigError
    from portage.exception import PackageSetNotFound, PortageException

    words: dict[str, Any] = {"--pretend": True, "--quiet": True, "--emptytree": True, "--usepkg": False}
    loaded = load_emerge_config(action=None, args=list(targets), opts=words)
    config = loaded.target_config
    parameters = create_depgraph_params(words, None)
    try:
        done, graph, _ = backtrack_depgraph(
            config.settings, loaded.trees, words, parameters, None, list(targets), stdout_spinner()
        )
    except PackageSetNotFound as error:
        raise Unresolved(f"there is no set {error.value!r}") from error
    except (SetConfigError, PortageException) as error:
        raise Unresolved(str(error)) from error
    return bool(done), graph


def _first(said: str) -> str:
    """The first thing that Portage says, on one line."""
    lines = (line.strip() for line in re.sub(r"\033\[[0-9;]*m", "", said).split("\n"))
    return next((line.removeprefix("emerge: ").rstrip(".") for line in lines if line), "")
