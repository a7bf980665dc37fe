"""Which box a plan needs, and the plan as it is carried out in there."""

import os
import shlex
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage.containers import foreign, maps
from gentoomuch_portage.containers.hearing import PIPE, pipe
from gentoomuch_portage.containers.mounts import Bind, Box, Mount, Overlay
from gentoomuch_portage.containers.places import Places
from gentoomuch_portage.containers.programs import words as words_of
from gentoomuch_portage.containers.standing import OURS, PYTHON, standing, stands
from gentoomuch_portage.containers.view import view
from gentoomuch_portage.plan import Plan, Tree
from gentoomuch_portage.portage_adapter import query
from gentoomuch_portage.profiles import size

SHUT = f"{OURS}/sandbox"
"""What stands in for sys-apps/sandbox."""
PLAN = f"{OURS}/plan.json"
"""Where a box finds the plan that it carries out."""
_HOSTS = frozenset({"ROOT", "SYSROOT"})


class Boxed(NamedTuple):
    """A box, and what is done in it."""

    box: Box
    plan: Plan


def boxed(
    plan: Plan,
    places: Places,
    run: Path,
    *,
    words: Iterable[str] = (),
    fetching: bool = False,
    uppers: Path | None = None,
) -> Boxed:
    """The box of a plan: the root itself where it stands on its own, otherwise a view of this host.

    Args:
        run: the box's own folder.
        words: behind those of the plan.
        fetching: with the network, and with DISTDIR and PKGDIR written for good.
        uppers: where what is written is kept instead of in the root; a view never writes to ``/``.
    """
    root = Path(plan.root)
    # What is built has to become a package, as only packages leave the box; keys for signing never get in.
    features = f"{os.environ.get('FEATURES', '')} buildpkg binpkg-multi-instance -binpkg-signing -news".strip()
    env = {**plan.env, "FEATURES": features}
    inner = replace(plan, words=(*plan.words, *_trees(plan), *words), isolation="none", env=env)
    if stands(root):
        foreign.check(root, PYTHON)
        configroot = Path(plan.configroot)
        trees = [Bind(str(part.folder), str(part.folder)) for _, part in plan.parts if isinstance(part, Tree)]
        box = standing(places, run, root, profile=plan.profile, configroot=configroot, fetching=fetching, uppers=uppers)
        box = box._replace(mounts=(*box.mounts, *trees))
        env = {name: value for name, value in env.items() if name not in _HOSTS} | {"PORTAGE_TMPDIR": "/var/tmp"}
        inner = replace(inner, env=env, root="/", configroot=f"{OURS}/configroot", build_configroot="")
        argv = (*words_of("errand", PYTHON, alone=False), PLAN)
    else:
        box = view(places, run, root=root, fetching=fetching, uppers=uppers)
        inner = replace(inner, env={**env, "PORTAGE_TMPDIR": str(places.tmpdir)})
        argv = (*words_of("errand", alone=False), PLAN)
    ours = _ours(run) if fetching else (*_ours(run), Bind(str(run / PIPE), f"{OURS}/{PIPE}", writable=True))
    mounts = tuple(_limited(one, plan, run) for one in (*box.mounts, *ours))
    env = {**box.env, "GM_SHUT": SHUT, **maps.builder(several=maps.several())}
    made = box._replace(env=env, mounts=mounts, argv=argv, processes=int(plan.processes), disk=size(plan.disk))
    made = made._replace(kernel=plan.kernel, scratch=inner.env["PORTAGE_TMPDIR"])
    return Boxed(made, inner)


def furnish(run: Path, found: Boxed) -> None:
    """Write down what a box finds below ``OURS``."""
    (run / "plan.json").write_text(found.plan.to_json(), encoding="utf-8")
    lib, python = found.box.env["PYTHONPATH"], found.box.argv[0]
    command = shlex.join(words_of("containers.shut", python))
    script = f'#!/bin/sh\nPYTHONPATH={shlex.quote(lib)} exec {command} "$@"\n'
    (run / "sandbox").write_text(script, encoding="utf-8")
    (run / "sandbox").chmod(0o755)
    pipe(run)


def _trees(plan: Plan) -> tuple[str, ...]:
    """A work tree that was built in a box is taken from its package again; what it needs is as the plan says."""
    found = sorted({query.package_of(part.cpv) for _, part in plan.parts if isinstance(part, Tree)})
    if not found or "--usepkg" in plan.words:
        return ()
    return ("--usepkg", f"--usepkg-include={' '.join(found)}")


def _ours(run: Path) -> tuple[Bind, ...]:
    return Bind(str(run / "plan.json"), PLAN), Bind(str(run / "sandbox"), SHUT)


def _limited(mount: Mount, plan: Plan, run: Path) -> Mount:
    """With a limit on what is written, nothing of the disk is written but finished packages."""
    if plan.disk and isinstance(mount, Bind) and mount.target.endswith(".box"):
        return Overlay(mount.source, mount.target, str(run / "upper/tmpdir"))
    return mount
