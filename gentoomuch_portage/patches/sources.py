# SPDX-License-Identifier: GPL-2.0-or-later
"""Prepare sources before user patches, on the host or in a container, as the profile builds."""

import functools
import os
from collections.abc import Mapping
from pathlib import Path

from gentoomuch_portage import fs
from gentoomuch_portage.config.isolation_kinds import VM
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.containers import detect
from gentoomuch_portage.patches import build
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.portage_adapter.ebuilds import Ebuild, Prepare
from gentoomuch_portage.process import Ran


def choose_prepare(plan: Plan, settings: Settings) -> Prepare:
    """Return the function that runs ebuilds of a profile up to src_prepare.

    Code of ebuilds runs as root, so with isolation it runs in containers only. One container downloads distfiles, a
    second one has no network; a live ebuild gets one container with the network. For profiles with a virtual machine,
    another kind of container is used.
    """

    @functools.cache
    def kind() -> str:
        if plan.isolation != VM.name:
            return build.choose_container(plan, settings)
        available = detect.resolve("auto", settings.cache)
        if available == "none":
            raise detect.no_container()
        return available

    def prepare(ebuild: Ebuild, env: Mapping[str, str], place: Path) -> Ran:
        env = {**env, **_writable_distdir(ebuild.distdir, settings.cache)}
        words = ["ebuild", str(ebuild.path)]
        prepare_words = [*words, "clean", "prepare"]
        if kind() == "none":
            return build.run_build(plan, settings, "none", place, prepare_words, env)
        visible = [place / "configroot", *map(Path, env.get("PORTAGE_RO_DISTDIRS", "").split())]
        if not ebuild.live:
            fetched = build.run_build(
                plan, settings, kind(), place, [*words, "fetch"], env, visible=visible, fetching=True
            )
            if fetched.status:
                return fetched
        return build.run_build(plan, settings, kind(), place, prepare_words, env, visible=visible, fetching=ebuild.live)

    return prepare


def _writable_distdir(distdir: Path, cache: Path) -> dict[str, str]:
    """Return variables with another DISTDIR, if this user cannot write to that of the profile."""
    if os.access(distdir, os.W_OK):
        return {}
    own = fs.ensure(cache / "distfiles", cache=cache)
    return {"DISTDIR": str(own), "PORTAGE_RO_DISTDIRS": str(distdir)}
