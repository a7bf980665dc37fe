"""Binary packages on offer, held against the user patches of a profile.

Portage 3.0.83 compares a digest that the index of a binhost tells. An index that an older Portage wrote tells
none, although the package has one: so the package itself is asked.
"""

from collections.abc import Mapping
from pathlib import Path

from gentoomuch_portage.binpkg_filter import cpu
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.patches.digest import Package, applied, digest, sums
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.portage_adapter import user_patches
from gentoomuch_portage.portage_adapter.binpkg import Binpkg

_WORD = "--binpkg-respect-user-patches"


def against(binpkg: Binpkg, plan: Plan, settings: Settings) -> str | None:
    """Why a binary package has not the user patches that the profile would give it, or None.

    A user who says ``--binpkg-respect-user-patches=n`` on the command line gets what he asks for.
    """
    if lifted(plan.words):
        return None
    found = cpu.told(binpkg, settings)
    theirs = found.get("USER_PATCHES", binpkg.patches).lower() if found is not None else binpkg.patches
    configroot = plan.build_configroot if plan.root != "/" and binpkg.root == "/" else plan.configroot
    category, name, version, revision = user_patches.parted(binpkg.cpv)
    package = Package(category=category, name=name, version=version, revision=revision, slot=binpkg.slot)
    ours = applied(Path(configroot) / "etc/portage/patches", package)
    if theirs == digest(ours):
        return None
    return reason(theirs, _names(found or {}), sums(ours), plan.profile)


def lifted(words: tuple[str, ...]) -> bool:
    """Whether emerge is told to take binary packages whatever their patches."""
    pairs = zip(words, (*words[1:], ""), strict=False)  # of no words at all there is one value too many
    return any(word == f"{_WORD}=n" or (word == _WORD and value == "n") for word, value in pairs)


def _names(found: Mapping[str, str]) -> dict[str, str]:
    """SHA256 -> name of the patches that a package tells of."""
    parted = (line.partition(" ") for line in found.get(user_patches.NAMED, "").splitlines())
    return {digest: name for digest, _, name in parted if name}


def reason(theirs: str, told: Mapping[str, str], ours: Mapping[str, str], profile: str) -> str:
    """What is different, in words.

    Args:
        theirs: the digest over the patches of the package; empty where it has none.
        told: SHA256 -> name of those, where it tells names.
        ours: the same of the profile's.
    """
    listed = ", ".join(told[one] for one in told if one not in ours) or f"of digest {theirs[:12]}"
    missing = ", ".join(name for one, name in ours.items() if one not in told)
    if not theirs:
        return f"was built without the user patches of profile {profile}: {missing}"
    if not ours:
        return f"was built with user patches that profile {profile} has not: {listed}"
    if told and not missing and all(one in ours for one in told):
        return f"was built with the user patches of profile {profile} in another order"
    return f"was built with other user patches ({listed}) than those of profile {profile} ({missing or 'none'})"
