"""``[binhost."URL"]`` and ``[binpkg] sign``: binhosts whose key is pinned, and packages signed with our own.

An index is fetched by us, and held to the key that is pinned; where it is not signed, each of its packages is, when it
has been fetched. What a binhost does not give out, or gives out wrong, is
remembered, and emerge is run again without it: the next source is taken, or the ebuild.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from gentoomuch_portage import console
from gentoomuch_portage.config.profile import Profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import bare
from gentoomuch_portage.plan.plan import File, Line, Part, Plan
from gentoomuch_portage.plan.request import Request
from gentoomuch_portage.plugins.hookspec import hookimpl
from gentoomuch_portage.portage_adapter.binpkg import Binpkg


@hookimpl
def gm_parts(request: Request, settings: Settings, profile: Profile) -> Iterator[Part]:
    pinned = any("key" in told for told in settings.defaults.get("binhost", {}).values())
    signs = (settings.state / "binhost/key").is_file()
    if not (pinned or signs or profile.binpkg["sign"]):
        return
    from gentoomuch_portage.binhost import keys, sign
    from gentoomuch_portage.binhost.client import config

    found = config.policies(settings)
    trusted = [keys.pinned(settings, one.key) for one in found]
    if signs or profile.binpkg["sign"]:
        key = keys.known(settings) or keys.key(settings)
        trusted.append(key.every)
    if profile.binpkg["sign"]:
        key = keys.key(settings)
        for name, value in sign.variables(key).items():
            yield Line("make.conf", f'{name}="{value}"')
    if profile.base == "host":
        trusted += keys.of_host(settings)
    if not (settings.host / "gnupg").is_dir():
        yield Line("make.conf", 'PORTAGE_TRUST_HELPER=""')  # it would look after keys that nobody asks
    yield Line("make.conf", f'BINPKG_GPG_VERIFY_GPG_HOME="{keys.home(settings, trusted)}"')
    if found:
        yield File("binrepos.conf", "\n".join(one.section() for one in found))


@hookimpl(wrapper=True)
def gm_run_emerge(plan: Plan, settings: Settings) -> Iterator[None]:
    pinned = any("key" in told for told in settings.defaults.get("binhost", {}).values())
    if not pinned and not any("g" in word.lower() or word.startswith("--resume") for word in plan.words):
        return (yield)  # no word that could mean --getbinpkg; make.conf may say so all the same, so keys always count
    from gentoomuch_portage.binhost.client import session
    from gentoomuch_portage.portage_adapter import binhosts

    one = session.Asking(settings, plan.profile)
    with binhosts.asked(one.cache, one.bring, one.failed, one.dead, one.refused):
        return (yield)


@hookimpl(tryfirst=True)
def gm_reject_binpkg(binpkg: Binpkg, plan: Plan, settings: Settings) -> str | None:
    if not binpkg.url:
        return None
    folder = _refused(settings, plan)
    if binpkg.path is not None and _any_plain(settings):
        from gentoomuch_portage.binhost.client import session

        if why := session.signature_reject_reason(binpkg, binpkg.path, settings, folder, os.getppid()):
            return why
    if not folder.is_dir():
        return None
    from gentoomuch_portage.binhost.client import session

    return session.deny_reason(folder, binpkg.place) or None


def _any_plain(settings: Settings) -> bool:
    """Whether there is a binhost whose index is not signed."""
    return any(told.get("index") == "plain" for told in settings.defaults.get("binhost", {}).values())


@hookimpl
def gm_again(plan: Plan, settings: Settings, status: int) -> bool | None:
    folder = _refused(settings, plan)
    if not folder.is_dir():
        return None
    from gentoomuch_portage.binhost.client import session

    found = session.fresh(folder)
    for one in found:
        url = bare(one["url"])
        console.warn(f"{one['cpv'] or url} is not taken: {one['why']} ({url})")
    if found:
        console.tell("gentoomuch:     emerge is run again without it: the next source is taken, or the ebuild")
    return bool(found) or None


def _refused(settings: Settings, plan: Plan) -> Path:
    return settings.cache / "refused" / plan.profile
