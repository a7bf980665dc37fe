# SPDX-License-Identifier: GPL-2.0-or-later
"""Reject binary packages that were built with other user patches than those of the profile.

Portage 3.0.83 compares a digest from the index of a binhost. An index of an older Portage lacks it although the
package has it, so the package itself is read.
"""

from collections.abc import Mapping
from pathlib import Path

from gentoomuch_portage.binpkg_filter import cpu
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.portage_adapter import atoms
from gentoomuch_portage.portage_adapter import binpkg as portage_binpkg
from gentoomuch_portage.portage_adapter.binpkg import Binpkg
from gentoomuch_portage.portage_adapter.patch_digest import Package, digest, find_applied, sums

_OPTION = "--binpkg-respect-user-patches"


def find_reject_reason(binpkg: Binpkg, plan: Plan, settings: Settings) -> str | None:
    """Return why the user patches of a binary package differ from those of the profile; None if they do not.

    ``--binpkg-respect-user-patches=n`` on the command line disables the check.
    """
    if is_disabled(plan.arguments):
        return None
    metadata = cpu.read_metadata(binpkg, settings)
    package_digest = metadata.get("USER_PATCHES", binpkg.patches).lower() if metadata is not None else binpkg.patches
    configroot = plan.build_configroot if plan.root != "/" and binpkg.root == "/" else plan.configroot
    category, name, version, revision = atoms.parted(binpkg.cpv)
    package = Package(category=category, name=name, version=version, revision=revision, slot=binpkg.slot)
    own_patches = find_applied(Path(configroot) / "etc/portage/patches", package)
    if package_digest == digest(own_patches):
        return None
    return reason(package_digest, _parse_names(metadata or {}), sums(own_patches), plan.profile)


def is_disabled(arguments: tuple[str, ...]) -> bool:
    """Check whether an option of emerge accepts binary packages with any patches."""
    pairs = zip(arguments, (*arguments[1:], ""), strict=False)
    return any(argument == f"{_OPTION}=n" or (argument == _OPTION and value == "n") for argument, value in pairs)


def _parse_names(metadata: Mapping[str, str]) -> dict[str, str]:
    """Parse SHA256 -> name of the patches that a package records."""
    rows = (line.partition(" ") for line in metadata.get(portage_binpkg.PATCHES, "").splitlines())
    return {digest: name for digest, _, name in rows if name}


def reason(package_digest: str, recorded: Mapping[str, str], own: Mapping[str, str], profile: str) -> str:
    """Describe the difference between two sets of patches.

    Args:
        package_digest: digest of the package's patches; empty if it has none.
        recorded: SHA256 -> name of the package's patches, as far as it records names.
        own: SHA256 -> name of the profile's patches.
    """
    listed = (
        ", ".join(recorded[sha256] for sha256 in recorded if sha256 not in own) or f"of digest {package_digest[:12]}"
    )
    missing = ", ".join(name for sha256, name in own.items() if sha256 not in recorded)
    if not package_digest:
        return f"was built without the user patches of profile {profile}: {missing}"
    if not own:
        return f"was built with user patches that profile {profile} does not have: {listed}"
    if recorded and not missing and all(sha256 in own for sha256 in recorded):
        return f"was built with the user patches of profile {profile} in another order"
    return f"was built with other user patches ({listed}) than those of profile {profile} ({missing or 'none'})"
