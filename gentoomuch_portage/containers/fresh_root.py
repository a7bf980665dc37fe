"""A clean copy-on-write view of a profile's root, to work in: packages that are built there stay, all else vanishes."""

import os
import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from gentoomuch_portage import fs
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot import build_dir
from gentoomuch_portage.containers import artifacts, build, lifecycle, root_lock
from gentoomuch_portage.containers.build import Boxed, boxed, furnish
from gentoomuch_portage.containers.host_paths import Places, proxies, resolving
from gentoomuch_portage.containers.root_system import OURS
from gentoomuch_portage.containers.spec import Bind, Tmpfs
from gentoomuch_portage.errors import Busy
from gentoomuch_portage.plan.plan import Plan

_EMERGE = """#!/bin/sh
exec {emerge} "$@"
"""
_RC = """for rc in /etc/bash.bashrc /etc/bash/bashrc; do [ ! -r "$rc" ] || . "$rc"; done
PS1='(fresh {profile}) \\u:\\w\\$ '
"""


def enter(
    plan: Plan, settings: Settings, kind: str, argv: Sequence[str] = (), *, keep: str = "", network: bool = False
) -> tuple[int, int]:
    """Work in a fresh root.

    Args:
        argv: a command; a shell where it is empty.
        keep: a name under which the changes are kept, and found again.
        network: share the host's network.

    Returns:
        The command's exit status, and how many packages were kept.

    Raises:
        Busy: somebody works in the fresh root of that name; or the root is being removed or exported.
        GmError: a container cannot be made.
    """
    places = Places.of(plan, settings)
    build_dir.needed(plan)
    for folder in (places.pkgdir, places.distdir, places.tmpdir, settings.state / plan.profile, settings.cache):
        fs.ensure(folder)
    with ExitStack() as held:
        held.enter_context(root_lock.at_work(Path(plan.root)))
        place = held.enter_context(lifecycle.folder(settings.cache))
        uppers = place / "upper"
        if keep:
            uppers = lifecycle.keep(settings, plan.profile, keep)
            if not held.enter_context(fs.owned(uppers)):
                raise Busy(f"somebody works in the fresh root {keep!r} of {plan.profile}", remedy="take another name")
        found = boxed(plan, places, place, uppers=uppers)
        furnish(place, found)
        found = _furnished(found, place, argv, network=network, eprefix=places.eprefix)
        taken: list[artifacts.Taken] = []
        try:
            status = lifecycle.start(kind, found.box).status
        finally:
            taken += build.take_over(plan, place)
        return status, len(taken)


def _furnished(found: Boxed, place: Path, argv: Sequence[str], *, network: bool, eprefix: Path) -> Boxed:
    """Give a box an emerge for its profile, a prompt that says where one is, and a command."""
    box = found.box
    programs = fs.ensure(place / "bin")
    for name in ("emerge", "gm-emerge"):
        (programs / name).write_text(_EMERGE.format(emerge=shlex.join(box.argv)), encoding="utf-8")
        (programs / name).chmod(0o755)
    (place / "bashrc").write_text(_RC.format(profile=found.plan.profile), encoding="utf-8")
    mounts = (
        *box.mounts,
        Bind(str(programs), f"{OURS}/bin"),
        Bind(str(place / "bashrc"), f"{OURS}/bashrc"),
        *(resolving() if network else ()),
    )
    # A folder of the host's own is for builds that end; here it goes with the rest.
    mounts = tuple(Tmpfs(one.target) if _building(one, found.plan) else one for one in mounts)
    env = {
        **box.env,
        **(proxies(os.environ) if network else {}),
        "PATH": _path(box.env["PATH"], eprefix),
        "PORTAGE_CONFIGROOT": found.plan.configroot,
    }
    shell = ("/bin/bash", "--rcfile", f"{OURS}/bashrc", "-i")
    made = box._replace(mounts=mounts, env=env, argv=tuple(argv) or shell, network=network, hostname="fresh")
    return found._replace(box=made)


def _path(before: str, eprefix: Path) -> str:
    """PATH: our emerge first, then what was installed under a prefix."""
    return ":".join((f"{OURS}/bin", *([] if eprefix == Path("/") else [f"{eprefix}/usr/bin"]), before))


def _building(mount: object, plan: Plan) -> bool:
    return isinstance(mount, Bind) and mount.writable and mount.target == plan.env.get("PORTAGE_TMPDIR")
