# SPDX-License-Identifier: GPL-2.0-or-later
"""``[binhost."URL"]`` and ``[binpkg] sign``: binhosts with a pinned key, and signed packages.

gentoomuch fetches an index and verifies it with the pinned key. If the index is unsigned, each fetched package is
verified. If a binhost does not respond, or a package is rejected, emerge is run again without it, and uses the next
binhost or the ebuild.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from gentoomuch_portage import console
from gentoomuch_portage.config.profile import Profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import BadFile, GmError, bare
from gentoomuch_portage.plan.plan import File, Line, Part, Plan
from gentoomuch_portage.plan.request import Request
from gentoomuch_portage.plugins.hookspec import hookimpl
from gentoomuch_portage.portage_adapter.binpkg import Binpkg


@hookimpl
def gm_parts(request: Request, settings: Settings, profile: Profile) -> Iterator[Part]:
    pinned = _has_pinned_key(settings)
    signs = os.path.lexists(settings.state / "binhost/key")
    if not (pinned or signs or profile.binpkg["sign"]):
        return
    from gentoomuch_portage.binhost import keys, sign
    from gentoomuch_portage.binhost.client import config, memory

    policies = config.load_binhosts(settings)
    trusted = memory.BinhostRecords.of(settings).valid(keys.pinned_path(settings, policy.key) for policy in policies)
    fetches = _fetches(request, profile)
    if profile.binpkg["sign"]:
        key = keys.ensure_key(settings)
        trusted.append(key.all_public)
        for name, value in sign.signing_variables(key).items():
            yield Line("make.conf", f'{name}="{value}"')
    elif signs and (own := _own_key(settings)):
        trusted.append(own)
    if profile.base == "host":
        trusted += keys.host_keys(settings)
    if not (settings.host / "gnupg").is_dir():
        yield Line("make.conf", 'PORTAGE_TRUST_HELPER=""')  # it would refresh keys that are not used
    place, broken = _home(settings, trusted, needed=fetches)
    yield Line("make.conf", f'BINPKG_GPG_VERIFY_GPG_HOME="{place}"')
    if sections := [
        policy.section(login=False) for policy in policies if keys.pinned_path(settings, policy.key) not in broken
    ]:
        yield File("binrepos.conf", "\n".join(sections))


def _fetches(request: Request, profile: Profile) -> bool:
    """Whether a run may take packages from binhosts, so that it needs their keys."""
    from gentoomuch_portage.portage_adapter import emerge_arguments

    words = (*profile.emerge, *request.arguments)
    return bool(profile.binpkg["remote"]) or emerge_arguments.may_use_binhosts(words, "")


def _own_key(settings: Settings) -> Path | None:
    """Return the public keys of this machine; None, with a warning, if they are damaged."""
    from gentoomuch_portage.binhost import keys

    try:
        key = keys.find_key(settings)
    except GmError as error:
        _warn_skipped(error)
        return None
    return key.all_public if key else None


def _home(settings: Settings, trusted: Iterable[Path], *, needed: bool) -> tuple[Path, set[Path]]:
    """Return the GnuPG home with these keys, and the keys that are skipped as damaged and not needed.

    Raises:
        BadFile, BadKey: a key is damaged, and needed.
    """
    from gentoomuch_portage.binhost import keys
    from gentoomuch_portage.gpg import BadKey

    left, broken = set(trusted), set[Path]()
    while True:
        try:
            return keys.trusting_home(settings, left), broken
        except (BadFile, BadKey) as error:
            named = Path(error.path if isinstance(error, BadFile) else error.where)
            if needed or named not in left:
                raise
            _warn_skipped(error)
            left.remove(named)
            broken.add(named)


def _warn_skipped(error: GmError) -> None:
    console.warning(f"{error.message}; ignored, because this run does not use this key")
    console.info(f"gentoomuch:     hint: {error.hint}")


@hookimpl(wrapper=True)
def gm_run_emerge(plan: Plan, settings: Settings) -> Iterator[None]:
    from gentoomuch_portage.portage_adapter import emerge_arguments

    if not emerge_arguments.may_use_binhosts(plan.arguments, plan.default_options) and not _has_pinned_key(settings):
        return (yield)
    from gentoomuch_portage.binhost.client import session
    from gentoomuch_portage.portage_adapter import binhosts

    asking = session.BinhostSession(settings, plan.profile)
    with binhosts.use_own_downloads(asking.cache, asking.update_index, asking.downloads()):
        return (yield)


@hookimpl(tryfirst=True)
def gm_reject_binpkg(binpkg: Binpkg, plan: Plan, settings: Settings) -> str | None:
    if not binpkg.url:
        return None
    folder = settings.rejected(plan.profile)
    if binpkg.path is not None and _has_unsigned_index(settings):
        from gentoomuch_portage.binhost.client import session

        if why := session.signature_reject_reason(binpkg, binpkg.path, settings, folder, os.getppid()):
            return why
    if not folder.is_dir():
        return None
    from gentoomuch_portage.binhost.client import session

    return session.find_reject_reason(folder, binpkg.place) or None


def _has_pinned_key(settings: Settings) -> bool:
    """Whether the key of a binhost is pinned."""
    return any("key" in table for table in settings.defaults.get("binhost", {}).values())


def _has_unsigned_index(settings: Settings) -> bool:
    """Whether the index of a binhost is unsigned."""
    return any(table.get("index") == "plain" for table in settings.defaults.get("binhost", {}).values())


@hookimpl
def gm_again(plan: Plan, settings: Settings, status: int) -> bool | None:
    folder = settings.rejected(plan.profile)
    if not folder.is_dir():
        return None
    from gentoomuch_portage.binhost.client import session

    rejected = session.take_new_failures(folder)
    for record in rejected:
        url = bare(record["url"])
        console.warning(
            f"{record['cpv'] or url} was rejected: {record['why']} ({url})  [{record.get('code', 'package-rejected')}]"
        )
    if rejected:
        console.info("gentoomuch:     retrying without it (next binhost, or build from source)")
    return bool(rejected) or None
