# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys of the profile: layers, make_profile, packages, root, and options of emerge."""

import os
from collections.abc import Iterator

from gentoomuch_portage.config.portage_names import MACHINE
from gentoomuch_portage.config.profile import Profile, layer_folder
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.plan.plan import EmergeOption, Env, Layer, Line, MakeProfile, Part
from gentoomuch_portage.plan.request import Request
from gentoomuch_portage.plugins.hookspec import hookimpl


@hookimpl
def gm_parts(request: Request, settings: Settings, profile: Profile) -> Iterator[Part]:
    for name in profile.layers:
        yield Layer(name, layer_folder(settings, profile, name))
    if profile.make_profile:
        yield MakeProfile(profile.make_profile, profile.where("make_profile"))
    for entry in dict.fromkeys(profile.packages):
        yield Line(MACHINE, entry)
    if profile.foreign or "GM_HOST" in os.environ:  # ``profile env`` may have set the root of another profile
        yield Env("ROOT", str(profile.root))
        yield Env("SYSROOT", os.environ.get("SYSROOT", "/"))
    for word in profile.emerge:
        yield EmergeOption(word)
