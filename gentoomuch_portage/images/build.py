# SPDX-License-Identifier: GPL-2.0-or-later
"""Build an image in a temporary directory beside the built one, which is replaced only when all steps succeeded."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gentoomuch_portage import console, fs
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot import build_dir
from gentoomuch_portage.containers import build, lifecycle, resolution
from gentoomuch_portage.containers.host_paths import Places
from gentoomuch_portage.emerge.profile_view import View, load_view
from gentoomuch_portage.errors import RunError
from gentoomuch_portage.images import digest, outputs, scripts, tree
from gentoomuch_portage.images.digest import RECORD, BuiltLayer, ImagePackage, Record
from gentoomuch_portage.images.layers import LayerJob, write_layer
from gentoomuch_portage.images.outputs import Finished
from gentoomuch_portage.images.state import ImageState
from gentoomuch_portage.portage_adapter import paths, runtime_deps
from gentoomuch_portage.portage_adapter.config import arrangement
from gentoomuch_portage.roots import bootstrap, export, unpack
from gentoomuch_portage.roots.unpack.stream import Packed
from gentoomuch_portage.single_build import packages as named_packages
from gentoomuch_portage.single_build import run as single_build

if TYPE_CHECKING:
    from gentoomuch_portage.portage_adapter.runtime_deps import Package

_LAYER = "layer.tar.gz"
_VDB = "var/db/pkg"
_UNWANTED = ("var/cache/edb", "var/log/emerge.log", "var/log/emerge-fetch.log", f"{_VDB}/*/*/metadata")
"""Files of emerge with times of the build; the last one is a cache."""


def packages_not_installed(name: str, status: int) -> RunError:
    """The packages of an image cannot be installed in its root; emerge has printed the reason."""
    return RunError(
        f"cannot install the packages of image {name}: emerge ended with {status}",
        code="image-packages-not-installed",
        hint=f"gentoomuch image why {name}",
    )


def build_image(state: ImageState, parents: Sequence[ImageState], settings: Settings, *, isolation: str = "") -> Path:
    """Build an image, and return its directory.

    Args:
        parents: built and current, the lowest first.
        isolation: the container type; default: as in the profile, or the first that works.

    Raises:
        RunError[image-run-failed], RunError[image-test-failed]: a program failed.
        RunError[image-packages-not-installed]: emerge failed.
        GmError: a container cannot be created, or a program is missing. The built image is unchanged in each case.
    """
    link = digest.image_folder(settings, state.plan.name)
    fs.ensure(link.parent, cache=settings.cache)
    with fs.locked(link.parent / f".{link.name}"):
        old = digest.find_built(link)
        _remove_leftovers(link.parent, digest.folder_names(link.name), old)
        with (
            load_view(settings, state.plan.name) as loaded,
            fs.fresh_folder(link.parent, prefix=f".{link.name}-") as fresh,
        ):
            plan = replace(loaded.plan, isolation=isolation or loaded.plan.isolation)
            build_dir.make(plan)
            with _root_folder(Places.load(plan, settings).tmpdir, link.name) as root:
                _build(_Build(state, tuple(parents), settings, replace(loaded, plan=plan), root), fresh / "made")
            _replace(link, fresh)
        if old is not None:
            lifecycle.remove_trees([old])
    return link


def _replace(link: Path, fresh: Path) -> None:
    """Let the link of an image lead to its new directory, atomically."""
    target = Path(f"{fresh}.done")
    (fresh / "made").rename(target)
    (fresh / "link").symlink_to(target.name)
    if link.is_dir() and not link.is_symlink():
        fs.remove(link)
    (fresh / "link").replace(link)


@contextmanager
def _root_folder(tmpdir: Path, name: str) -> Iterator[Path]:
    """Create a root to build in; no other user can enter it, as it may have set-user-ID programs.

    It is not in the cache, where code of ebuilds may not write.
    """
    prefix = f"gentoomuch-image-{name}-"
    _remove_leftovers(tmpdir, re.compile(rf"{re.escape(prefix)}[a-z0-9_]{{8}}"), None)
    with fs.fresh_folder(tmpdir, prefix=prefix) as above:
        above.chmod(0o700)
        try:
            yield fs.ensure(above / "root")
        finally:
            lifecycle.remove_trees([above / "root"])


def _remove_leftovers(above: Path, names: re.Pattern[str], used: Path | None) -> None:
    """Remove the directories of builds that were killed."""
    for folder in above.iterdir():
        if folder == used or not names.fullmatch(folder.name) or not fs.is_own(folder):
            continue
        with fs.try_lock(folder) as is_locked:
            if is_locked:
                lifecycle.remove_trees([folder])


class _Build(NamedTuple):
    """The build of an image."""

    state: ImageState
    parents: tuple[ImageState, ...]
    """Built and current, the lowest first."""
    settings: Settings
    view: View
    root: Path


def _build(job: _Build, made: Path) -> None:
    """Write the files of an image into a new directory."""
    plan, root, eprefix = job.state.plan, job.root, paths.eprefix()
    configroot = Path(job.view.plan.configroot)
    lower = _find_layers(job)
    _fill(job, lower)
    export.check_records(root, Path(f"{root}{eprefix}"))
    installed, missing = runtime_deps.packages(configroot, root)
    for dependency in missing:
        console.warning(f"image {plan.name}: required but not installed: {dependency}")
    epoch = _find_epoch(job, lower)
    tree.normalize_times(root, f"{eprefix}/{_VDB}", epoch)
    tree.remove_paths(root, (*(f"{eprefix}/{name}" for name in _UNWANTED), *plan.remove))
    scripts.test_image(plan, job.settings, root)
    fs.ensure(made)
    with fs.disk_errors(made):  # the caller's name the directory of the root
        _write_files(job, made, lower, installed, epoch)


def _write_files(
    job: _Build, made: Path, lower: tuple[BuiltLayer, ...], installed: "Sequence[Package]", epoch: int
) -> None:
    """Write the layer of a finished root, the files of its formats, and the record of both."""
    plan, root = job.state.plan, job.root
    below = str(Path(f".{paths.eprefix()}"))
    written = write_layer(
        LayerJob(
            root=str(root),
            out=str(made / _LAYER),
            epoch=epoch,
            below=below,
            lower=tuple(layer.file for layer in lower),
        )
    )
    layer = BuiltLayer(file=_LAYER, digest=written.digest, inner=written.inner, size=written.size, epoch=epoch)
    finished = Finished(
        plan=plan,
        root=root,
        below=below,
        layers=(*lower, replace(layer, file=str(made / _LAYER))),
        authors=tuple(f"gentoomuch image build {each.plan.name}" for each in (*job.parents, job.state)),
        packages=tuple(installed),
        architecture=job.state.architecture,
        epoch=epoch,
    )
    files = outputs.write_all(finished, made)
    record = Record(inputs=job.state.inputs, digest=job.state.digest, layer=layer, files=files)
    (made / RECORD).write_text(digest.format_record(record), encoding="utf-8")


def _fill(job: _Build, lower: Sequence[BuiltLayer]) -> None:
    """Fill the root: layers of the parents, packages, files, then the programs of ``run``."""
    plan, root = job.state.plan, job.root
    for number, layer in enumerate(lower):
        unpack.unpack([_packed(layer)], root, quiet=True, layered=number > 0)
    if not lower:
        bootstrap.make_skeleton(Path(f"{root}{paths.eprefix()}"), arrangement(Path(job.view.plan.configroot)))
    _install(job)
    tree.copy_files(root, plan.files)
    scripts.run_programs(plan, job.settings, root)


def _find_layers(job: _Build) -> tuple[BuiltLayer, ...]:
    """Return the layers of the parents with absolute paths, the lowest first."""
    layers = []
    for parent in job.parents:
        folder = digest.find_built(digest.image_folder(job.settings, parent.plan.name))
        record = digest.load_record(job.settings, parent.plan.name)
        if record is None or folder is None:
            raise parent_missing(parent.plan.name)
        layers.append(replace(record.layer, file=str(folder / record.layer.file)))
    return tuple(layers)


def parent_missing(name: str) -> RunError:
    """The image that this image is based on (its parent) was removed during the build."""
    return RunError(f"image {name} was removed", code="parent-missing", hint=f"gentoomuch image build {name}")


def _packed(layer: BuiltLayer) -> Packed:
    return Packed(layer.file, 0, layer.size, f"sha256:{layer.digest}", f"sha256:{layer.inner}")


def _find_epoch(job: _Build, lower: Sequence[BuiltLayer]) -> int:
    """Return SOURCE_DATE_EPOCH, or when the newest package was built: equal inputs have equal times."""
    chosen = export.read_epoch()
    if chosen is not None:
        return chosen
    return max([0, *(layer.epoch for layer in lower), *(package.built for package in job.state.packages)])


def _install(job: _Build) -> None:
    """Install the packages that the parents do not have with emerge, in a container without other binary packages.

    Raises:
        RunError[image-packages-not-installed]: emerge fails, or installs other packages.
    """
    known = {package.sha256 for parent in job.parents for package in parent.packages}
    packages = [package for package in job.state.packages if package.sha256 not in known]
    wanted = [package for package in packages if package.target]
    if not wanted:
        return
    view, settings = job.view, job.settings
    kind = single_build.choose_kind(view.plan, settings)
    options = ("--ignore-default-opts", "--oneshot", "--usepkgonly", "--quiet", "--getbinpkg=n", "--jobs=1")
    with lifecycle.run_directory(settings.cache) as run, lifecycle.run_directory(settings.cache) as copies:
        _copy_packages(view, packages, copies)
        env = {**view.plan.env, "ROOT": str(job.root), "SYSROOT": "/", "PKGDIR": str(copies / "pkgdir")}
        atoms = tuple(f"={package.cpv}" for package in wanted)
        plan = replace(view.plan, root=str(job.root), env=env, arguments=(*options, *atoms))
        places = build.with_logdir(Places.load(plan, settings), plan.profile)
        with build.recording(plan, places, run, resolves=True, builds=False):
            status = build.run_container(plan, places, kind, run, build.CONFIRMED)
        merges = {merge.cpv for merge in resolution.load(run).merges}
    if status or not merges.issuperset(package.cpv for package in wanted):
        raise packages_not_installed(view.plan.profile, status)


def _copy_packages(view: View, packages: Sequence[ImagePackage], folder: Path) -> None:
    """Copy packages into ``folder/pkgdir``, and check that their files are those that were resolved."""
    digests = {package.cpv: package.sha256 for package in packages}
    for package in named_packages.copy_packages(view.plan, [Path(package.path) for package in packages], folder):
        if package.sha256 != digests[package.cpv]:
            raise named_packages.package_changed(package.path)
