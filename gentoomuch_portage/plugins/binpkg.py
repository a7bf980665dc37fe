"""``[binpkg]``: whether binary packages are made, used and fetched."""

from collections.abc import Iterator

from gentoomuch_portage.hookspec import hookimpl
from gentoomuch_portage.plan import Line, Part, Request, Word
from gentoomuch_portage.profiles import Profile
from gentoomuch_portage.settings import Settings


@hookimpl
def gm_parts(request: Request, settings: Settings, profile: Profile) -> Iterator[Part]:
    if profile.binpkg["build"]:
        yield Line("make.conf", 'FEATURES="buildpkg binpkg-multi-instance"')
    if profile.binpkg["use"]:
        yield Word("--usepkg")
    if profile.binpkg["remote"]:
        yield Word("--getbinpkg")
