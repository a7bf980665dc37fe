"""Where what stands in work trees is built: here, or in a container as all that gm-emerge builds for the profile."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from gentoomuch_portage import console, files
from gentoomuch_portage.containers import boxes, probes, tenants
from gentoomuch_portage.containers.mounts import Bind, Box
from gentoomuch_portage.containers.places import Places
from gentoomuch_portage.containers.view import view
from gentoomuch_portage.errors import MissingContainer
from gentoomuch_portage.plan import Plan
from gentoomuch_portage.profiles import size
from gentoomuch_portage.run import Ran, run
from gentoomuch_portage.settings import Settings


def kind(plan: Plan, settings: Settings) -> str:
    """The kind of container that a plan is carried out in; ``none`` for none.

    Raises:
        MissingContainer: it names one that there is not.
    """
    if plan.isolation == "vm":
        raise MissingContainer(plan.isolation, (*probes.KINDS, "auto"), word="--isolation")
    found = probes.chosen(plan.isolation, settings.cache)
    if found != plan.isolation and found == "none":
        console.warn("no kind of container works here; this is built on the host (gentoomuch doctor says why)")
    return found


def build(plan: Plan, settings: Settings, inside: str, argv: Sequence[str], env: Mapping[str, str]) -> Ran:
    """Run a program of Portage to its end.

    Args:
        inside: a kind of container, or ``none``.
        env: what it needs besides ours; PORTAGE_TMPDIR is all that it may write for good.

    Raises:
        Busy: the root is being removed or exported.
        MissingProgram: it, or what makes the container, is not on PATH.
    """
    if inside == "none":
        return run(argv, env={**os.environ, **env}, keep=True, accept=(), atom="sys-apps/portage")
    with tenants.at_work(Path(plan.root)), boxes.folder(settings.cache) as folder:
        return boxes.start(inside, _box(plan, settings, folder, argv, env), keep=True)


def _box(plan: Plan, settings: Settings, folder: Path, argv: Sequence[str], env: Mapping[str, str]) -> Box:
    """A view of this host without the network."""
    places = Places.of(plan, settings)
    for one in (places.pkgdir, places.distdir, places.tmpdir):
        files.ensure(one)
    made = view(places, folder, root=Path(plan.root))
    built = Bind(env["PORTAGE_TMPDIR"], env["PORTAGE_TMPDIR"], writable=True)
    mounts = sorted((*made.mounts, built), key=lambda one: Path(one.target).parts)
    made = made._replace(processes=int(plan.processes), disk=size(plan.disk))
    features = f"{env.get('FEATURES', '')} -pid-sandbox".strip()  # most kinds of boxes let it have no /proc
    return made._replace(mounts=tuple(mounts), argv=tuple(argv), env={**made.env, **env, "FEATURES": features})
