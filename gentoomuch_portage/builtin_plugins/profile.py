"""The chosen profile's own words: layers, make_profile, root, and the words it puts before the user's."""

import os
from collections.abc import Iterator

from gentoomuch_portage.config.profile import Profile, layer_folder
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.plan.plan import Env, Layer, MakeProfile, Part, Word
from gentoomuch_portage.plan.request import Request
from gentoomuch_portage.plugins.hookspec import hookimpl


@hookimpl
def gm_parts(request: Request, settings: Settings, profile: Profile) -> Iterator[Part]:
    for name in profile.layers:
        yield Layer(name, layer_folder(settings, profile, name))
    if profile.make_profile:
        yield MakeProfile(profile.make_profile, profile.where("make_profile"))
    if profile.foreign or "GM_HOST" in os.environ:  # a shell of ``profile env`` may have the root of another profile
        yield Env("ROOT", str(profile.root))
        yield Env("SYSROOT", os.environ.get("SYSROOT", "/"))
    for word in profile.emerge:
        yield Word(word)
