"""``[binpkg]``: binary packages are made, used and fetched; none that the profile's CPU cannot run."""

from collections.abc import Iterator

from gentoomuch_portage.config.profile import Profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.plan.plan import Line, Part, Plan, Word
from gentoomuch_portage.plan.request import Request
from gentoomuch_portage.plugins.hookspec import hookimpl
from gentoomuch_portage.portage_adapter.binpkg import Binpkg


@hookimpl
def gm_parts(request: Request, settings: Settings, profile: Profile) -> Iterator[Part]:
    features = ["buildpkg", "binpkg-multi-instance"] if profile.binpkg["build"] else []
    features += ["binpkg-signing"] if profile.binpkg["sign"] else []  # with which key says the plugin binhost
    if features:
        yield Line("make.conf", f'FEATURES="{" ".join(features)}"')
    if profile.binpkg["use"]:
        yield Word("--usepkg")
    if profile.binpkg["remote"]:
        yield Word("--getbinpkg")


@hookimpl
def gm_reject_binpkg(binpkg: Binpkg, plan: Plan, settings: Settings) -> str | None:
    from gentoomuch_portage.binpkg_filter import cpu  # only where there are binary packages on offer

    return cpu.verdict(binpkg, plan, settings).reason or None
