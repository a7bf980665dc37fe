# SPDX-License-Identifier: GPL-2.0-or-later
"""Write the files of a finished image: tar, OCI archive and layout, squashfs, and the lists of its packages."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gentoomuch_portage.images.digest import BuiltLayer
from gentoomuch_portage.images.plan import ContainerSettings, ImagePlan
from gentoomuch_portage.roots import export, oci, pack, sbom
from gentoomuch_portage.roots.oci import DEFAULT_PATH, ImageConfig, Layer
from gentoomuch_portage.roots.pack import Job

if TYPE_CHECKING:
    from gentoomuch_portage.portage_adapter.runtime_deps import Package


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """An image whose root is complete."""

    plan: ImagePlan
    root: Path
    below: str
    """The prefix in the root, or ``.``."""
    layers: tuple[BuiltLayer, ...]
    """With absolute paths, the lowest first."""
    authors: tuple[str, ...]
    """The command that created each layer."""
    packages: "tuple[Package, ...]"
    architecture: str
    epoch: int


def write_all(image: Finished, folder: Path) -> Mapping[str, str]:
    """Write all formats of an image, and the lists of its packages.

    Returns:
        Format -> name of the file or directory; ``packages`` and ``sbom`` are the lists.

    Raises:
        MissingProgram: mksquashfs is not installed.
        OSError, ProgramFailed: the root cannot be read.
    """
    names = {form: f"{image.plan.name}{_SUFFIXES[form]}" for form in image.plan.formats}
    for form, name in names.items():
        _WRITERS[form](image, folder / name)
    content = image.layers[-1].inner
    lists = sbom.write(folder, image.packages, name=image.plan.name, content=content, epoch=image.epoch)
    for suffix, file in lists.items():
        file.rename(folder / f"{image.plan.name}{suffix}")
    return {**names, "packages": f"{image.plan.name}.packages", "sbom": f"{image.plan.name}.cdx.json"}


def _write_tar(image: Finished, out: Path) -> None:
    pack.pack(_job(image, out, kind="zst"))


def _write_squashfs(image: Finished, out: Path) -> None:
    archive = Path(f"{out}.tar")
    written = pack.pack(_job(image, archive))
    try:
        export.squash(archive, out, written.newest)
    finally:
        archive.unlink()


def _job(image: Finished, out: Path, *, kind: str = "") -> Job:
    return Job(root=str(image.root), out=str(out), kind=kind, epoch=image.epoch, below=image.below)


def _write_oci(image: Finished, out: Path) -> None:
    oci.write(out, _layers(image), _config(image), epoch=image.epoch)


def _write_oci_folder(image: Finished, out: Path) -> None:
    out.mkdir()
    oci.write(out, _layers(image), _config(image), epoch=image.epoch, directory=True)


_WRITERS: Mapping[str, Callable[[Finished, Path], None]] = {
    "tar": _write_tar, "oci": _write_oci, "oci-dir": _write_oci_folder, "squashfs": _write_squashfs,
}  # fmt: skip
_SUFFIXES = {"tar": ".tar.zst", "oci": ".oci.tar", "oci-dir": ".oci", "squashfs": ".squashfs"}


def _layers(image: Finished) -> list[Layer]:
    pairs = zip(image.layers, image.authors, strict=True)
    return [Layer(Path(layer.file), layer.digest, layer.inner, layer.size, author) for layer, author in pairs]


def _config(image: Finished) -> ImageConfig:
    tags = image.plan.container.tags or (oci.default_tag(image.plan.name),)
    named = tuple(tag if ":" in tag.rpartition("/")[2] else f"{tag}:latest" for tag in tags)
    return ImageConfig(named, image.architecture, format_config(image.plan.container))


def format_config(container: ContainerSettings) -> dict[str, Any]:
    """Return the execution parameters of a container.

    Source: the OCI image specification, config.md; ``Healthcheck`` is an extension of docker.
    """
    path = () if any(text.startswith("PATH=") for text in container.env) else (DEFAULT_PATH,)
    ports = (port if "/" in port else f"{port}/tcp" for port in container.ports)
    config = {
        "Entrypoint": list(container.entrypoint),
        "Cmd": list(container.cmd),
        "User": container.user,
        "ExposedPorts": {port: {} for port in sorted(ports)},
        "Labels": dict(text.split("=", 1) for text in container.labels),
        "Healthcheck": {"Test": ["CMD-SHELL", container.healthcheck]} if container.healthcheck else {},
    }
    return {"Env": [*path, *container.env], **{key: value for key, value in config.items() if value}}
