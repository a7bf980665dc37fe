# SPDX-License-Identifier: GPL-2.0-or-later
"""``patches = ["musl", "router"]``: patch sets in the configroot, for Portage's own eapply_user."""

from collections.abc import Iterator

from gentoomuch_portage.config.portage_names import PROFILE_BASHRC
from gentoomuch_portage.config.profile import Profile, patch_folder
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.plan.plan import File, Line, Part, Patches, Plan
from gentoomuch_portage.plan.request import Request
from gentoomuch_portage.plugins.hookspec import hookimpl
from gentoomuch_portage.portage_adapter.binpkg import Binpkg

_SET = """[gm-patches-changed]
class = gentoomuch_portage.portage_adapter.user_patches.Changed
world-candidate = false
"""
_EXACTLY = """# A patch of a set applies without fuzz, or the build fails.
if [[ ${EBUILD_PHASE} == prepare ]]; then
	patch() {
		# In Portage's __eapply_patch, a variable of this name has the path of the file.
		if [[ ${FUNCNAME[1]-} == __eapply_patch && ${patch-} == */patches/*/+([0-9])-@(SETS)-* ]]; then
			set -- --fuzz=0 "$@"
		fi
		command patch "$@"
	}
elif [[ $(declare -f patch) == *@(SETS)* ]]; then
	unset -f patch
fi
"""
"""Bash that Portage sources in every phase. It is unset after src_prepare, so that no package records it."""


@hookimpl
def gm_parts(request: Request, settings: Settings, profile: Profile) -> Iterator[Part]:
    for name in dict.fromkeys(profile.patches):
        yield Patches(name, patch_folder(settings, profile, name))
    if profile.patches:
        yield Line(PROFILE_BASHRC, _EXACTLY.replace("SETS", "|".join(dict.fromkeys(profile.patches))))
    yield File("sets.conf", _SET)


@hookimpl(wrapper=True)
def gm_run_emerge(plan: Plan) -> Iterator[None]:
    if any(isinstance(part, Patches) for _, part in plan.parts):
        from gentoomuch_portage import console
        from gentoomuch_portage.patches import check, patch_set

        for overlap in check.find_overlaps(patch_set.list_sets(plan)):
            console.warning(overlap.text)
    from gentoomuch_portage.portage_adapter import binpkg_build, user_patches

    with user_patches.mended(), binpkg_build.patches_recorded():
        return (yield)


@hookimpl
def gm_reject_binpkg(binpkg: Binpkg, plan: Plan, settings: Settings) -> str | None:
    from gentoomuch_portage.binpkg_filter import (
        user_patches as binpkg_filter_user_patches,  # only if binary packages are available
    )

    return binpkg_filter_user_patches.find_reject_reason(binpkg, plan, settings)
