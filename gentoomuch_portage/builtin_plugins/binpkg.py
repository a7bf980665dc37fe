# SPDX-License-Identifier: GPL-2.0-or-later
"""``[binpkg]``: build, use and fetch binary packages, and reject those that the profile's CPU cannot run."""

from collections.abc import Iterator

from gentoomuch_portage.config.profile import Profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.plan.plan import EmergeOption, Line, Part, Plan
from gentoomuch_portage.plan.request import Request
from gentoomuch_portage.plugins.hookspec import hookimpl
from gentoomuch_portage.portage_adapter.binpkg import Binpkg


@hookimpl
def gm_parts(request: Request, settings: Settings, profile: Profile) -> Iterator[Part]:
    features = ["buildpkg", "binpkg-multi-instance"] if profile.binpkg["build"] else []
    features += ["binpkg-signing"] if profile.binpkg["sign"] else []  # the plugin binhost sets the key
    if features:
        yield Line("make.conf", f'FEATURES="{" ".join(features)}"')
    if profile.binpkg["use"]:
        yield EmergeOption("--usepkg")
    if profile.binpkg["remote"]:
        yield EmergeOption("--getbinpkg")


@hookimpl
def gm_reject_binpkg(binpkg: Binpkg, plan: Plan, settings: Settings) -> str | None:
    from gentoomuch_portage.binpkg_filter import cpu  # only if binary packages are available

    if plan.audit == "yes":
        from gentoomuch_portage.binpkg_filter import machine_code

        return machine_code.check_binpkg(binpkg, plan, settings).reason or None
    return cpu.check_binpkg(binpkg, plan, settings).reason or None
