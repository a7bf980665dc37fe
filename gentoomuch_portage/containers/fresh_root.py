# SPDX-License-Identifier: GPL-2.0-or-later
"""A shell in the root of a profile: in a copy-on-write view, of which only finished packages are kept, or for good."""

import os
import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from gentoomuch_portage import fs
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot import build_dir
from gentoomuch_portage.containers import artifacts, build, lifecycle, root_lock
from gentoomuch_portage.containers.build import PreparedContainer, prepare_container, write_inputs
from gentoomuch_portage.containers.host_paths import Places, proxies, resolver_mounts
from gentoomuch_portage.containers.root_system import OURS
from gentoomuch_portage.containers.spec import Bind
from gentoomuch_portage.errors import Busy
from gentoomuch_portage.plan.plan import Plan

_EMERGE = """#!/bin/sh
exec {emerge} "$@"
"""
_RC = """for rc in /etc/bash.bashrc /etc/bash/bashrc; do [ ! -r "$rc" ] || . "$rc"; done
PS1='({prompt}) \\u:\\w\\$ '
"""
_HOSTNAME = 64
"""Characters of a host name. Source: uname(2)."""


def enter(
    plan: Plan,
    settings: Settings,
    kind: str,
    argv: Sequence[str] = (),
    *,
    keep: str = "",
    network: bool = False,
    changes_root: bool = False,
) -> tuple[int, int]:
    """Run a command in a fresh root, or in the root itself.

    Args:
        argv: the command; a shell if empty.
        keep: a name under which the changes are stored and found again.
        network: share the host's network.
        changes_root: write changes to the root itself; meanwhile, no other run may use it.

    Returns:
        The command's exit status, and the number of packages that were kept.

    Raises:
        Busy: another run works in the fresh root of that name; or the root is being removed or exported; or, if the
            root is to be changed, another run uses it.
        MachineError[open-root]: the root is to be changed, and other users can enter it.
        GmError: the container cannot be created.
    """
    if changes_root:
        root_lock.check_closed(Path(plan.root))
    places = build.with_logdir(Places.load(plan, settings), plan.profile)
    build_dir.check_exists(places.tmpdir)
    for folder in (places.pkgdir, places.distdir, settings.state / plan.profile, settings.cache):
        fs.ensure(folder)
    with ExitStack() as stack:
        lock = root_lock.exclusive if changes_root else root_lock.shared
        stack.enter_context(lock(Path(plan.root)))
        run = stack.enter_context(lifecycle.run_directory(settings.cache))
        uppers = None if changes_root else run / "upper"
        if keep:
            uppers = lifecycle.make_kept_root(settings, plan.profile, keep)
            if not stack.enter_context(fs.try_lock(uppers)):
                raise Busy(f"fresh root {keep!r} of {plan.profile} is in use", hint="use another name")
        prepared = prepare_container(plan, places, run, uppers=uppers)
        write_inputs(run, prepared)
        name = plan.profile if changes_root else f"fresh {plan.profile}"
        prepared = _add_shell(prepared, run, argv, name=name, network=network, eprefix=places.eprefix)
        admitted: list[artifacts.Admitted] = []
        try:
            with build.recording(plan, places, run, resolves=True, builds=True):
                status = lifecycle.start(kind, prepared.spec).status
        finally:
            admitted += build.take_over(plan, run)
        return status, len(admitted)


def _add_shell(
    prepared: PreparedContainer, run: Path, argv: Sequence[str], *, name: str, network: bool, eprefix: Path
) -> PreparedContainer:
    """Add an emerge for the profile, a prompt that names the root, and the command."""
    spec = prepared.spec
    programs = fs.ensure(run / "bin")
    for program in ("emerge", "gm-emerge"):
        (programs / program).write_text(_EMERGE.format(emerge=shlex.join(spec.argv)), encoding="utf-8")
        (programs / program).chmod(0o755)
    (run / "bashrc").write_text(_RC.format(prompt=name), encoding="utf-8")
    mounts = (
        *spec.mounts,
        Bind(str(programs), f"{OURS}/bin"),
        Bind(str(run / "bashrc"), f"{OURS}/bashrc"),
        *(resolver_mounts() if network else ()),
    )
    env = {
        **spec.env,
        **(proxies(os.environ) if network else {}),
        "PATH": _add_programs(spec.env["PATH"], eprefix),
        "PORTAGE_CONFIGROOT": prepared.plan.configroot,
    }
    shell = ("/bin/bash", "--rcfile", f"{OURS}/bashrc", "-i")
    spec = spec._replace(mounts=mounts, env=env, argv=tuple(argv) or shell, network=network)
    spec = spec._replace(hostname=name.split()[0][:_HOSTNAME])
    return prepared._replace(spec=spec)


def _add_programs(path: str, eprefix: Path) -> str:
    """Put our emerge first in PATH, then what is installed in EPREFIX."""
    return ":".join((f"{OURS}/bin", *([] if eprefix == Path("/") else [f"{eprefix}/usr/bin"]), path))
