# SPDX-License-Identifier: GPL-2.0-or-later
"""The images that profiles declare in ``[image]``, and their order: an image is built after its parent."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage import ownership
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.profile import Profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import ConfigError, GmError, UsageError, listed, unknown_profile

FOLDER = "images"
"""The directory of the configuration with files and programs of images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSettings:
    """What a container of the image runs, as in the OCI image configuration."""

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    """``NAME=VALUE``."""
    user: str = ""
    ports: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    """``NAME=VALUE``."""
    healthcheck: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePlan:
    """The image of a profile, as its ``[image]`` declares it."""

    name: str
    """Of the profile."""
    formats: tuple[str, ...]
    """``tar``, ``oci``, ``oci-dir``, ``squashfs``."""
    parent: str = ""
    """The profile of its parent; may be empty."""
    packages: tuple[str, ...] = ()
    """Atoms and sets; empty for the default."""
    files: tuple[Path, ...] = ()
    """Directories whose content is copied into the image."""
    run: tuple[Path, ...] = ()
    """Programs that change the image."""
    remove: tuple[str, ...] = ()
    """Patterns of absolute paths."""
    test: tuple[Path, ...] = ()
    """Programs that must succeed in a copy of the image."""
    container: ContainerSettings = ContainerSettings()


def no_image(profile: str, known: Iterable[str]) -> UsageError:
    """The profile declares no image."""
    return UsageError(
        f"profile {profile!r} has no image {listed(known)}",
        code="no-image",
        hint=f'gentoomuch profile edit {profile}; in [image]: formats = ["oci"]',
    )


def no_parent(profile: Profile, parent: str, known: Iterable[str]) -> ConfigError:
    """The parent of an image has no image itself."""
    where = profile.where("parent", table="image")
    what = f"{where}: parent {parent!r} of image {profile.name!r} has no image {listed(known)}"
    return ConfigError(what, code="no-parent", hint=f'add to profile {parent}, in [image]: formats = ["oci"]')


def parent_loop(names: Iterable[str]) -> ConfigError:
    """An image is its own parent, directly or through others."""
    hint = "remove one of these parents in [image]"
    return ConfigError(f"images are their own parents: {' -> '.join(names)}", code="parent-loop", hint=hint)


def bad_image_path(where: str, reason: str, *, hint: str) -> ConfigError:
    """A file, directory or program of an image cannot be used."""
    return ConfigError(f"{where}: {reason}", code="bad-image-path", hint=hint)


@dataclass(frozen=True, slots=True)
class Images:
    """All images of the configuration, by profile."""

    plans: Mapping[str, ImagePlan]
    errors: Mapping[str, GmError]
    """Profiles that are not valid, which may declare an image."""
    profiles: tuple[str, ...]
    """The names of all profiles."""

    def order(self, names: Iterable[str]) -> tuple[ImagePlan, ...]:
        """Return images and all their parents, each after its parent.

        Raises:
            UsageError[unknown-profile], UsageError[no-image]: a profile does not exist, or has no image.
            GmError: of a profile that is not valid.
        """
        ordered: dict[str, ImagePlan] = {}
        for name in names:
            for plan in reversed(self.chain(name)):
                ordered.setdefault(plan.name, plan)
        return tuple(ordered.values())

    def chain(self, name: str) -> tuple[ImagePlan, ...]:
        """Return an image, its parent, the parent of that, and so on.

        Raises:
            GmError: as ``order``.
        """
        chain = [self._find(name)]
        while parent := chain[-1].parent:
            if parent in {plan.name for plan in chain}:
                raise parent_loop([*(plan.name for plan in chain), parent])
            chain.append(self._find(parent))
        return tuple(chain)

    def _find(self, name: str) -> ImagePlan:
        if name in self.errors:
            raise self.errors[name]
        if name not in self.profiles:
            raise unknown_profile(name, self.profiles)
        if name not in self.plans:
            raise no_image(name, self.plans)
        return self.plans[name]


def load_images(settings: Settings) -> Images:
    """Load the images of all profiles; an invalid profile does not concern the others."""
    plans: dict[str, ImagePlan] = {}
    errors: dict[str, GmError] = {}
    profiles: dict[str, Profile] = {}
    for name in config_profile.names(settings):
        try:
            profiles[name] = profile = config_profile.read(settings, name)
            if profile.image["formats"]:
                plans[name] = _load_plan(settings, profile)
        except GmError as error:
            errors[name] = error
    for name, plan in list(plans.items()):
        if plan.parent and plan.parent not in plans and plan.parent not in errors:
            del plans[name]
            missing = plan.parent not in profiles
            known = [other for other in plans if other != name]
            errors[name] = (
                unknown_profile(plan.parent, profiles) if missing else no_parent(profiles[name], plan.parent, known)
            )
    return Images(plans, errors, config_profile.names(settings))


def _load_plan(settings: Settings, profile: Profile) -> ImagePlan:
    table = profile.image
    lists = ("entrypoint", "cmd", "env", "ports", "labels", "tags")
    return ImagePlan(
        name=profile.name,
        formats=tuple(dict.fromkeys(table["formats"])),
        parent=str(table["parent"]),
        packages=tuple(table["packages"]),
        files=tuple(_find(settings, profile, "files", name) for name in table["files"]),
        run=tuple(_find(settings, profile, "run", name) for name in table["run"]),
        remove=tuple(table["remove"]),
        test=tuple(_find(settings, profile, "test", name) for name in table["test"]),
        container=ContainerSettings(
            user=str(table["user"]), healthcheck=str(table["healthcheck"]), **{key: tuple(table[key]) for key in lists}
        ),
    )


def _find(settings: Settings, profile: Profile, key: str, name: str) -> Path:
    """Return a directory of ``files``, or a program of ``run`` or ``test``.

    Raises:
        ConfigError[bad-image-path]: it does not exist, is outside of ``images/``, or cannot be executed.
        ConfigError[foreign-file]: another user than root can change it.
    """
    top = settings.config / FOLDER
    path = top / name
    reason, hint = "", f"look at it: ls -ld {path}"
    if not path.resolve().is_relative_to(top.resolve()) or path.resolve() == top.resolve():
        reason, hint = f"outside of {top}", f"use a path below {top}"
    elif not path.exists():
        reason, hint = f"missing: {path}", f"create {path}"
    elif key == "files" and not path.is_dir():
        reason = f"not a directory: {path}"
    elif key != "files" and not (path.is_file() and os.access(path, os.X_OK)):
        reason, hint = f"not an executable file: {path}", f"chmod +x {path}"
    if reason:
        raise bad_image_path(profile.where(key, name, table="image"), f"{key} {name!r} is {reason}", hint=hint)
    if settings.checked:
        ownership.check_path("this configuration", path)
    return path
