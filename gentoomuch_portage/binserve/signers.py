"""By whom a package was signed that an unsigned index told of.

A signed index vouches for its packages by their digests. Of a plain one nothing tells whose packages they are: Portage
has one directory of keys for all binhosts, and takes a package of one that another has signed.
"""

from pathlib import Path

from gentoomuch_portage.binserve import refused, trust
from gentoomuch_portage.binserve.policy import Policy, policies
from gentoomuch_portage.portage_adapter import signing
from gentoomuch_portage.portage_adapter.binpkgs import Binpkg
from gentoomuch_portage.settings import Settings


def against(binpkg: Binpkg, file: Path, settings: Settings, folder: Path, run: int) -> str:
    """What stands against a package that has been fetched; empty where its binhost signed it, or its index.

    Args:
        folder: where it is remembered, so that the next source is taken.
        run: number of the process of the run; a package is judged in one of its children.
    """
    policy = _policy(binpkg.url, settings)
    if policy is None or policy.signed:
        return ""
    home = trust.home(settings, [trust.pinned(settings, policy.key)])
    try:
        signing.verify(file, {"BINPKG_GPG_VERIFY_GPG_HOME": str(home)})
    except signing.Unfit as error:
        why = f"it is not signed by the key of its binhost: {error}"
        if policy.fallback:
            refused.remember(folder, binpkg.place, binpkg.cpv, why, lasting=True, run=run)
        return why
    return ""


def _policy(url: str, settings: Settings) -> Policy | None:
    """Of the binhosts whose key is pinned the one that a URL lies below."""
    below = (one for one in policies(settings) if url.startswith(f"{one.url}/"))
    return max(below, key=lambda one: len(one.url), default=None)
