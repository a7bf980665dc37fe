# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run for a profile does without capabilities of Portage that it has lost.

A binary package is used only if it can be checked: otherwise the run gets it from nowhere, and builds it. What has no
replacement is refused with ``portage-api-changed``. See docs/decisions/0008-private-names.md.
"""

import os
import shlex
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from gentoomuch_portage import console
from gentoomuch_portage.config.portage_names import PROFILE_BASHRC
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot.cache import build_configroots
from gentoomuch_portage.emerge.prepare import Prepared
from gentoomuch_portage.plan.plan import Line, Locked, Part, Plan
from gentoomuch_portage.plugins.manager import Dispatcher
from gentoomuch_portage.portage_adapter import atoms, emerge_arguments, local_binpkgs, private_api
from gentoomuch_portage.portage_adapter.private_api import Capability, Lost
from gentoomuch_portage.unmask import ledger

_WITHOUT_REMOTE = frozenset({private_api.FILTER, private_api.FETCHED, private_api.BINHOST})
"""Without one of these, packages of binhosts are not used."""
_WITHOUT_RESUME = frozenset({private_api.RESUME, private_api.FILTER, private_api.REASONS})
_WITHOUT_CONTAINERS = frozenset({private_api.CONTAINERS, private_api.FILTER})
_OF_BINHOSTS = ("--getbinpkg=n", "--getbinpkgonly=n")
_NO_LOCAL = ("--usepkg=n", "--usepkgonly=n")
_CODE = "portage-api-changed"
_GIVER = "fallbacks"
_RECORDER = """if [[ ${EBUILD_PHASE} == install ]]; then
	post_src_install() {
		unset -f post_src_install
		GM_CACHE="${T}/gentoomuch" PROGRAM --quiet hooks record "${PORTAGE_BUILDDIR}" PROFILE ||
			ewarn "gentoomuch could not record the CPU features of this package"
	}
fi
"""
"""Bash that Portage sources in every phase, and that does the same as the hook ``bashrc`` for plain emerge."""
_PROGRAM = "import sys; from gentoomuch_portage.cli.main import main; sys.exit(main())"


def use(prepared: Prepared, lost: Collection[Lost]) -> Prepared:
    """Replace what a run has lost; warn once for each capability.

    Returns:
        The changed run, with the locks of its new configroots only.

    Raises:
        MachineError[portage-api-changed]: the run asks for something that has no replacement.
    """
    options = _parse_options(prepared.plan)
    _refuse(prepared.plan, options, lost)
    for each in lost:
        console.warning(f"{each.text}  [{_CODE}]")
    gone = {each.capability for each in lost}
    prepared = _change_parts(prepared, gone)
    return prepared._replace(plan=_add_options(prepared, options, lost, gone))


def _parse_options(plan: Plan) -> dict[str, Any]:
    """Return the options of emerge, with those that it adds itself."""
    return emerge_arguments.parse_with_defaults(plan.arguments, plan.default_options).options


def _refuse(plan: Plan, options: Mapping[str, Any], lost: Collection[Lost]) -> None:
    """Refuse a run that asks for nothing else than what it has lost."""
    if "--resume" in options:
        _refuse_any(lost, _WITHOUT_RESUME)
    if options.get("--getbinpkgonly") is True:
        _refuse_any(lost, _WITHOUT_REMOTE)
    if plan.isolation != "none":
        _refuse_any(lost, _WITHOUT_CONTAINERS)


def _refuse_any(lost: Collection[Lost], needed: Collection[Capability]) -> None:
    if names := [name for each in lost if each.capability in needed for name in each.names]:
        raise private_api.portage_api_changed(names)


def _change_parts(prepared: Prepared, gone: Collection[Capability]) -> Prepared:
    """Change the parts of a plan, and write its configroots again if that changes them."""
    plan = prepared.plan
    parts = tuple(item for item in plan.parts if private_api.REMASK not in gone or not _lifts_mask(*item))
    if private_api.RECORD in gone:
        parts = (*parts, (_GIVER, Line(PROFILE_BASHRC, _format_recorder(plan.profile))))
    if parts == plan.parts:
        return prepared._replace(locks=())
    changed, locks = build_configroots(replace(plan, parts=parts), prepared.settings)
    return prepared._replace(plan=changed, locks=tuple(locks))


def _lifts_mask(giver: str, part: Part) -> bool:
    """Whether a part is an entry of the ledger that lifts a mask of package.mask."""
    return giver == "unmask" and isinstance(part, Line) and part.file == ledger.FILES["mask"]


def _format_recorder(profile: str) -> str:
    program = shlex.join([sys.executable, "-I", "-c", _PROGRAM])
    return _RECORDER.replace("PROGRAM", program).replace("PROFILE", shlex.quote(profile))


def _add_options(
    prepared: Prepared, options: Mapping[str, Any], lost: Collection[Lost], gone: Collection[Capability]
) -> Plan:
    plan, more = prepared.plan, list[str]()
    if _WITHOUT_REMOTE & set(gone):
        more += _OF_BINHOSTS
        features = plan.env.get("FEATURES") or os.environ.get("FEATURES", "")
        # Portage 3.0.77 ignores --getbinpkg=n if make.conf has FEATURES="getbinpkg".
        plan = replace(plan, env={**plan.env, "FEATURES": f"{features} -getbinpkg".strip()})
    if private_api.FILTER in gone:
        more += ["--quickpkg-direct=n", *_exclude_local(prepared, options, lost)]
    if private_api.UNMASK in gone and any(isinstance(part, Locked) for _, part in plan.parts):
        more.append("--autounmask=n")
    return replace(plan, arguments=_insert(plan.arguments, more))


def _insert(arguments: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    """Add options after those of the user, as the last one counts; words after ``--`` are no options."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return (*arguments[:end], *more, *arguments[end:])


def _exclude_local(prepared: Prepared, options: Mapping[str, Any], lost: Collection[Lost]) -> Iterator[str]:
    """Yield the options by which emerge uses no local package of a name that has a rejected one."""
    if options.get("--usepkg") is not True and options.get("--usepkgonly") is not True:
        return
    if "--nobindeps" in options or "--usepkg-include" in options:  # they would override the exclusion
        if options.get("--usepkgonly") is True:
            _refuse_any(lost, {private_api.FILTER})
        yield from _NO_LOCAL
        return
    yield from (f"--usepkg-exclude={name}" for name in sorted(_find_rejected(prepared.plan, prepared)))


def _find_rejected(plan: Plan, prepared: Prepared) -> set[str]:
    """Return the names, ``cat/pkg``, of which a local package is rejected."""
    settings: Settings = prepared.settings
    reject = Dispatcher(prepared.plugins, plan, settings).make_reject()
    listed = local_binpkgs.list_local(plan.env, plan.configroot, plan.build_configroot, plan.root)
    return {atoms.package_of(binpkg.cpv) for binpkg in listed if reject(binpkg)}
