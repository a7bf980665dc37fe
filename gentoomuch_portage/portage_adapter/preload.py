# SPDX-License-Identifier: GPL-2.0-or-later
"""Import the modules that Portage imports only when emerge resolves packages; its forks share them."""

from contextlib import suppress
from importlib import import_module

_MODULES = (
    "_emerge.help",
    "_emerge.post_emerge",
    "_emerge.stdout_spinner",
    "multiprocessing.connection",
    "multiprocessing.popen_fork",
    "portage._sets.ProfilePackageSet",
    "portage._sets.dbapi",
    "portage._sets.files",
    "portage._sets.libs",
    "portage._sets.profiles",
    "portage._sets.security",
    "portage.cache.flat_hash",
    "portage.dep._dnf",
    "portage.dep.dep_check",
    "portage.dep.soname.multilib_category",
    "portage.emaint.modules.logs.logs",
    "portage.env.validators",
    "portage.getbinpkg",
    "portage.glsa",
    "portage.news",
    "portage.package.ebuild.deprecated_profile_check",
    "portage.util._dyn_libs.LinkageMapELF",
    "portage.util._dyn_libs.PreservedLibsRegistry",
    "portage.util._dyn_libs.display_preserved_libs",
    "portage.util._info_files",
    "portage.util.listdir",
    "portage.util.locale",
)


def import_modules() -> None:
    """Import all of them that this version of Portage has."""
    for name in _MODULES:
        with suppress(ImportError):
            import_module(name)
