# SPDX-License-Identifier: GPL-2.0-or-later
"""Emerge and gm-emerge as twins: run alike, on the same host, and held against each other."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.emerge_pair import Scene, Seen, at_a_terminal, run, signalled, stage
from helpers.portage_sdist import Unobtainable, portage_sdist

from gentoomuch_portage import demo_host

Both = Callable[..., tuple[Seen, Seen]]


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A host with the packages of ``repository/`` beside those that ship with the project.

    Its state ``bare`` has nothing installed; ``lived-in`` has a few packages and two binary packages.
    """
    from portage.const import PORTAGE_BIN_PATH

    top = tmp_path_factory.mktemp("dropin")
    return stage(demo_host.make(top / "host"), top / "states", (sys.executable, f"{PORTAGE_BIN_PATH}/emerge"))


@pytest.fixture(scope="session")
def tree(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked sdist of the Portage that is installed; fetched once, and kept in pytest's cache."""
    try:
        return portage_sdist(request.config.cache.mkdir("portage-sdist"), tmp_path_factory.mktemp("portage"))
    except Unobtainable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def system_wide(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A host as ``scene``, where Portage is no wheel: PYTHONPATH names a tree that has bin/ beside lib/."""
    top = tmp_path_factory.mktemp("system")
    program = (sys.executable, f"{tree}/bin/emerge")
    return stage(demo_host.make(top / "host"), top / "states", program, PYTHONPATH=f"{tree}/lib")


@pytest.fixture
def both(scene: Scene) -> Both:
    """Run a line with emerge and with gm-emerge, each on the same state of the host.

    ``both("-p gm-hello", state="bare", USE="doc")`` returns what was seen of emerge, then of gm-emerge.
    """

    def pair(line: str, *, state: str = "lived-in", **env: str) -> tuple[Seen, Seen]:
        return run(scene, scene.emerge, line, env, state=state), run(scene, scene.gm_emerge, line, env, state=state)

    return pair


@pytest.fixture
def both_at_a_terminal(scene: Scene) -> Both:
    """As ``both``, at a terminal where something is typed when ``asked`` is shown."""

    def pair(line: str, *, asked: str, typed: str, **env: str) -> tuple[Seen, Seen]:
        told = {"state": "lived-in", "asked": asked, "typed": typed}
        return (
            at_a_terminal(scene, scene.emerge, line, env, **told),
            at_a_terminal(scene, scene.gm_emerge, line, env, **told),
        )

    return pair


@pytest.fixture
def both_signalled(scene: Scene) -> Both:
    """Send a signal to the program, or to all that it started too, while ``app-test/slow`` compiles."""

    def pair(line: str, number: signal.Signals, *, group: bool, **env: str) -> tuple[Seen, Seen]:
        return (
            signalled(scene, scene.emerge, line, env, number=number, group=group),
            signalled(scene, scene.gm_emerge, line, env, number=number, group=group),
        )

    return pair
