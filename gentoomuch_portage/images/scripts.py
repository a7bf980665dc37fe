# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the programs of an image in a container whose root is the image: without network, as all builds."""

from collections.abc import Sequence
from pathlib import Path

from gentoomuch_portage import console
from gentoomuch_portage.config.isolation_kinds import UNSHARE
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.containers import lifecycle
from gentoomuch_portage.containers.root_system import OURS
from gentoomuch_portage.containers.spec import Bind, ContainerSpec, Dev, Mount, Overlay, Proc, Tmpfs
from gentoomuch_portage.errors import RunError
from gentoomuch_portage.images.plan import ImagePlan
from gentoomuch_portage.roots.oci import DEFAULT_PATH

_PROGRAM = f"{OURS}/program"
_NAME, _, _PATH = DEFAULT_PATH.partition("=")


def program_failed(plan: ImagePlan, kind: str, program: Path, status: int) -> RunError:
    """A program of ``run`` or ``test`` failed; the image that was built before is unchanged."""
    reasons = {126: "cannot be executed", 127: "its interpreter is not in the image"}
    return RunError(
        f"cannot build image {plan.name}: {kind} program {program} "
        f"{reasons.get(status, f'ended with {status}')}; the previous image is unchanged",
        code=f"image-{kind}-failed",
        hint=f"fix {program}, then: gentoomuch image build {plan.name}",
    )


def run_programs(plan: ImagePlan, settings: Settings, root: Path) -> None:
    """Run the programs of ``run``, which change the image.

    Raises:
        RunError[image-run-failed]: one failed.
    """
    _run_all(plan, settings, "run", plan.run, root)


def test_image(plan: ImagePlan, settings: Settings, root: Path) -> None:
    """Run the programs of ``test``, each in a copy of the image.

    Raises:
        RunError[image-test-failed]: one failed.
    """
    _run_all(plan, settings, "test", plan.test, root)


def _run_all(plan: ImagePlan, settings: Settings, kind: str, programs: Sequence[Path], root: Path) -> None:
    for program in programs:
        with lifecycle.run_directory(settings.cache) as run:
            spec = _describe(plan, kind, program, root, run)
            ran = lifecycle.start(UNSHARE.name, spec, keep=True)
        for line in (ran.out + ran.err).splitlines():
            console.info(f"{program.name}: {console.escape_unprintable(line)}")
        if ran.status:
            raise program_failed(plan, kind, program, ran.status)


def _describe(plan: ImagePlan, kind: str, program: Path, root: Path, run: Path) -> ContainerSpec:
    """Return the container: of all types only unshare needs no Python in the root."""
    top: Mount = Bind(str(root), "/", writable=True)
    if kind == "test":
        top = Overlay(str(root), "/", str(run / "upper/root"))
    variables = dict(text.split("=", 1) for text in plan.container.env)
    return ContainerSpec(
        mounts=(top, Tmpfs("/tmp", 0o1777), Tmpfs("/run"), Dev(), Proc(), Bind(str(program), _PROGRAM)),
        run=str(run),
        argv=(_PROGRAM,),
        env={"HOME": "/root", _NAME: _PATH, **variables, "GM_IMAGE": plan.name},
        hostname="image",
    )
