"""``patches = ["musl", "router"]``: patch sets in the configroot, where Portage's own eapply_user finds them."""

from collections.abc import Iterator

from gentoomuch_portage.config.profile import Profile, patch_folder
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot.layers import BASH
from gentoomuch_portage.plan.plan import File, Line, Part, Patches, Plan
from gentoomuch_portage.plan.request import Request
from gentoomuch_portage.plugins.hookspec import hookimpl
from gentoomuch_portage.portage_adapter import user_patches as portage_user_patches
from gentoomuch_portage.portage_adapter.binpkg import Binpkg

_SET = """[gm-patches-changed]
class = gentoomuch_portage.portage_adapter.package_sets.Changed
world-candidate = false
"""
_EXACTLY = """# A patch of a set fits without fuzz, or the build stops.
if [[ ${EBUILD_PHASE} == prepare ]]; then
	patch() {
		# Portage's __eapply_patch has the name of the file in a variable of this name.
		if [[ ${FUNCNAME[1]-} == __eapply_patch && ${patch-} == */patches/*/+([0-9])-@(SETS)-* ]]; then
			set -- --fuzz=0 "$@"
		fi
		command patch "$@"
	}
elif [[ $(declare -f patch) == *@(SETS)* ]]; then
	unset -f patch
fi
"""
"""Bash that Portage reads in every phase. Gone again after src_prepare, so that no package keeps it."""


@hookimpl
def gm_parts(request: Request, settings: Settings, profile: Profile) -> Iterator[Part]:
    for name in dict.fromkeys(profile.patches):
        yield Patches(name, patch_folder(settings, profile, name))
    if profile.patches:
        yield Line(BASH, _EXACTLY.replace("SETS", "|".join(dict.fromkeys(profile.patches))))
    yield File("sets.conf", _SET)


@hookimpl(wrapper=True)
def gm_run_emerge(plan: Plan) -> Iterator[None]:
    if any(isinstance(part, Patches) for _, part in plan.parts):
        from gentoomuch_portage import console
        from gentoomuch_portage.patches import check, patch_set

        for one in check.found(patch_set.of_plan(plan)):
            console.warn(one.text)
    with portage_user_patches.mended(), portage_user_patches.named():
        return (yield)


@hookimpl
def gm_reject_binpkg(binpkg: Binpkg, plan: Plan, settings: Settings) -> str | None:
    from gentoomuch_portage.binpkg_filter import (
        user_patches as binpkg_filter_user_patches,  # only where there are binary packages on offer
    )

    return binpkg_filter_user_patches.against(binpkg, plan, settings)
