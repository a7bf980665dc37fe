# SPDX-License-Identifier: GPL-2.0-or-later
"""Names below /etc/portage: those that Portage reads, to detect mistyped and unused files, and those of plugins."""

PROFILE_BASHRC = "profile/profile.bashrc"
"""Portage sources it in every phase. Lines of plugins follow those of layers."""
MACHINE = "sets/machine"
"""What a layer adds to the packages of a machine; parts of plugins have the same name."""
PATCH_SUFFIXES = (".patch", ".diff")
"""Suffixes of patches. Source: eapply_user in phase-helpers.sh."""
_READ = frozenset(
    {
        "bashrc", "binrepos.conf", "categories", "color.map", "env", "license_groups", "make.conf", "make.profile",
        "mirrors", "modules", "patches", "postsync.d", "profile", "repo.postsync.d", "repos.conf", "savedconfig",
        "sets", "sets.conf",
        "package.accept_keywords", "package.accept_restrict", "package.env", "package.keywords", "package.license",
        "package.mask", "package.properties", "package.unmask", "package.use",
    }
)  # fmt: skip
"""Source: portage(5); USER_CONFIG_PATH and abs_user_config in Portage 3.0.83; savedconfig.eclass."""
_READ_IN_PROFILE = frozenset(
    {
        "arch.list", "bashrc", "categories", "eapi", "license_groups", "make.defaults", "packages",
        "profile.bashrc", "soname.provided", "use.force", "use.mask", "use.stable", "use.stable.force",
        "use.stable.mask", "virtuals",
        "package.accept_keywords", "package.bashrc", "package.keywords", "package.mask", "package.properties",
        "package.provided", "package.unmask", "package.use", "package.use.force", "package.use.mask",
        "package.use.stable", "package.use.stable.force", "package.use.stable.mask",
    }
)  # fmt: skip
"""Source: portage(5), of profiles; each reader of a profile in portage.package.ebuild._config. Not ``parent``."""
VCS_DIRS = frozenset({"CVS", "RCS", "SCCS"})
"""Directories that Portage ignores, besides those with a leading dot. Source: portage.const.VCS_DIRS."""


def known(name: str) -> bool:
    """Whether Portage reads a name below etc/portage: ``package.use``, ``profile/use.mask``."""
    first, _, below = name.partition("/")
    return first in _READ and (first != "profile" or not below or below in _READ_IN_PROFILE)


def siblings(name: str) -> frozenset[str]:
    """Return all valid names in the directory of a name: of etc/portage, or of its profile/."""
    if name.startswith("profile/"):
        return frozenset(f"profile/{below}" for below in _READ_IN_PROFILE)
    return _READ
