# SPDX-License-Identifier: GPL-2.0-or-later
"""Resolve the packages of images, and compare them with what is built: which images are current, and why others are
not.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.emerge.profile_view import View, load_view
from gentoomuch_portage.errors import GmError, RunError
from gentoomuch_portage.images import digest
from gentoomuch_portage.images.digest import ImagePackage, Record
from gentoomuch_portage.images.plan import ImagePlan, Images
from gentoomuch_portage.isa.abi import Abi
from gentoomuch_portage.plugins.manager import Dispatcher
from gentoomuch_portage.portage_adapter import closure, isolation
from gentoomuch_portage.portage_adapter.closure import BinaryClosure, Unresolved
from gentoomuch_portage.roots import oci

CURRENT, OUTDATED, MISSING, INVALID = "current", "outdated", "missing", "invalid"
_NOWHERE = "/nonexistent/gentoomuch-image"
"""The ROOT of an empty machine; queries replace it by an empty directory."""


def missing_packages(name: str, targets: Iterable[str], reason: str) -> RunError:
    """The packages of an image cannot be installed from binary packages that the profile may use."""
    return RunError(
        f"cannot resolve the packages of image {name}: {reason}",
        code="missing-image-packages",
        hint=f"gm-emerge --gm-profile={name} --oneshot {' '.join(targets)}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageState:
    """An image, with its inputs now and when it was built."""

    plan: ImagePlan
    packages: tuple[ImagePackage, ...] = ()
    """In the order of the installation; those of its parent are included if it needs them."""
    missing: tuple[str, ...] = ()
    """Libraries that no package has."""
    architecture: str = ""
    """As in container images."""
    inputs: Mapping[str, str]
    digest: str
    record: Record | None
    reasons: tuple[str, ...]
    """Why it is not current."""

    @property
    def state(self) -> str:
        """``current``, ``outdated`` or ``missing``."""
        return MISSING if self.record is None else OUTDATED if self.reasons else CURRENT


def load_states(settings: Settings, plans: Iterable[ImagePlan]) -> Iterator[ImageState | tuple[str, GmError]]:
    """Load images one after the other; an invalid one, or one with an invalid parent, has its error.

    Args:
        plans: each after its parent.
    """
    states: dict[str, ImageState] = {}
    errors: dict[str, GmError] = {}
    for plan in plans:
        try:
            if plan.parent in errors:
                raise errors[plan.parent]
            states[plan.name] = state = load_state(settings, plan, states.get(plan.parent))
            yield state
        except GmError as error:
            errors[plan.name] = error
            yield plan.name, error


def load_all(settings: Settings, images: Images) -> dict[str, ImageState | GmError]:
    """Load all images of the configuration, sorted by name."""
    loaded: dict[str, ImageState | GmError] = dict(images.errors)
    plans: dict[str, ImagePlan] = {}
    for name in images.plans:
        try:
            plans |= {plan.name: plan for plan in images.order([name])}
        except GmError as error:
            loaded[name] = error
    for state in load_states(settings, plans.values()):
        if isinstance(state, ImageState):
            loaded[state.plan.name] = state
        else:
            loaded[state[0]] = state[1]
    return dict(sorted(loaded.items()))


def load_state(settings: Settings, plan: ImagePlan, parent: ImageState | None) -> ImageState:
    """Resolve the packages of an image, and compare its inputs with those of the built image.

    Raises:
        RunError[missing-image-packages]: binary packages are missing.
        GmError: its profile is not valid.
    """
    with load_view(settings, plan.name) as view:
        resolved = _resolve(view, settings, plan)
        architecture = oci.architecture(Abi.parse(view.plan.abi).chost)
    packages = digest.hash_packages(resolved.packages)
    inputs = digest.find_inputs(
        plan, packages, parent=parent.digest if parent else "", architecture=architecture, masks=resolved.masks
    )
    record = digest.load_record(settings, plan.name)
    reasons = ["it was never built, or its files were removed"]
    if record is not None:
        reasons = list(digest.find_changes(record.inputs, inputs))
        if parent is not None and parent.reasons and not reasons:
            reasons = [f"parent {parent.plan.name}: {parent.state}"]
    return ImageState(
        plan=plan,
        packages=packages,
        missing=resolved.missing,
        architecture=architecture,
        inputs=inputs,
        digest=digest.combine(inputs),
        record=record,
        reasons=tuple(reasons),
    )


def _resolve(view: View, settings: Settings, plan: ImagePlan) -> BinaryClosure:
    targets = plan.packages or (
        *(() if plan.parent else ("@system",)),
        *(("@machine",) if view.composed.machine else ()),
    )
    if not targets:
        return BinaryClosure((), (), ())
    merged = view.plan
    env = {"PORTAGE_CONFIGROOT": merged.configroot, "PORTAGE_FORK_DEP_CALC": "0", **merged.env}
    env |= {"ROOT": _NOWHERE, "SYSROOT": "/"}
    reject = Dispatcher(view.plugins, merged, settings).make_reject()
    profile = merged.profile
    with isolation.apart(
        state=settings.state / profile,
        cache=settings.cache / "binhosts" / profile,
        build_configroot=lambda: merged.build_configroot,
    ):
        try:
            return closure.binary_closure(env, targets, reject)
        except Unresolved as error:
            raise missing_packages(plan.name, targets, str(error)) from error


def as_data(name: str, state: ImageState | GmError) -> dict[str, Any]:
    """Return an image as ``--json`` prints it."""
    if isinstance(state, GmError):
        return {"name": name, "state": INVALID, "error": state.message, "code": state.code}
    files = state.record.files if state.record else {}
    return {
        "name": name,
        "parent": state.plan.parent,
        "formats": list(state.plan.formats),
        "state": state.state,
        "reasons": list(state.reasons),
        "digest": state.digest,
        "packages": [package.name for package in state.packages if package.target],
        "missing": list(state.missing),
        "files": dict(files),
    }
