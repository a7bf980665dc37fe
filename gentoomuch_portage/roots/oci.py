# SPDX-License-Identifier: GPL-2.0-or-later
"""Read and write archives of container images.

Archives may contain an OCI image layout, or the format of ``docker save`` and ``podman save``. An archive that is
written contains both, so that podman and docker load it.
"""

import hashlib
import io
import json
import platform
import re
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from gentoomuch_portage.roots.errors import BadArchive
from gentoomuch_portage.roots.unpack.entries import BROKEN, Strict
from gentoomuch_portage.roots.unpack.stream import Packed

_MOST_JSON = 16 << 20
_INDEXES = (
    "application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json",
)  # fmt: skip
_LAYERS = (
    "application/vnd.oci.image.layer.v1.tar", "application/vnd.docker.image.rootfs.diff.tar",
)  # fmt: skip
_ARCHES = {
    "x86_64": "amd64", "aarch64": "arm64", "powerpc64": "ppc64", "powerpc64le": "ppc64le", "loongarch64": "loong64",
    "i386": "386", "i486": "386", "i586": "386", "i686": "386",
}  # fmt: skip
"""The machine of uname or of a CHOST -> name in images; riscv64, ppc64le and s390x are the same.
Source: Go's GOARCH, which the OCI image specification takes."""


def architecture(chost: str = "") -> str:
    """Return the name of a machine in images.

    Args:
        chost: such as ``aarch64-unknown-linux-gnu``; empty: this machine.
    """
    machine = chost.partition("-")[0] or platform.machine()
    return "arm" if machine.startswith("armv") else _ARCHES.get(machine, machine)


class _Members(NamedTuple):
    """The plain files of an uncompressed archive."""

    file: Path
    places: Mapping[str, tuple[int, int]]
    """Name -> offset and size."""

    def packed(self, name: str, digest: str, inner: str) -> Packed:
        offset, size = self._place(name)
        return Packed(str(self.file), offset, size, digest, inner, f"{self.file}, {name}")

    def json(self, name: str, digest: str = "") -> Any:
        """Return a JSON document, after a check of its digest if one is given."""
        offset, size = self._place(name)
        if size > _MOST_JSON:
            raise BadArchive(self.file, f"{name} has {size} bytes")
        with self.file.open("rb") as content:
            content.seek(offset)
            text = content.read(size)
        if digest and hashlib.new(_kind(self.file, digest), text).hexdigest() != digest.partition(":")[2]:
            raise BadArchive(self.file, f"{name} does not match its digest")
        return json.loads(text)

    def _place(self, name: str) -> tuple[int, int]:
        if name not in self.places:
            raise BadArchive(self.file, f"{name} is missing")
        return self.places[name]


def layers(file: Path, chost: str = "") -> tuple[Packed, ...]:
    """Return the layers of the image for a machine, the lowest first.

    Args:
        chost: as for ``architecture``.

    Raises:
        BadArchive: it is not an image, contains several, or a part of it does not match its digest.
    """
    members, wanted = _members(file), architecture(chost)
    try:
        packed = _read_layout(members, wanted) if "oci-layout" in members.places else _read_docker(members)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise BadArchive(file, f"it is not an image: {type(error).__name__}: {error}") from error
    if not packed:
        raise BadArchive(file, "the image has no layers")
    return packed


def _members(file: Path) -> _Members:
    places = {}
    links = {}
    try:
        with tarfile.open(file, "r:", tarinfo=Strict) as tar:
            for info in tar:
                tar.members = []  # type: ignore[attr-defined]  # or it keeps them all
                if info.size < 0:
                    raise BadArchive(file, f"{info.name!r} has {info.size} bytes")
                name = info.name.removeprefix("./")
                if info.isreg():
                    places[name] = (info.offset_data, info.size)
                elif info.issym():  # old versions of docker wrote a repeated layer as a link
                    links[name] = str(Path(name).parent / info.linkname)
    except BROKEN as error:
        raise BadArchive(file, f"it is not an uncompressed tar archive: {error}") from error
    for name, target in links.items():
        parts: list[str] = []
        for part in target.split("/"):
            parts = parts[:-1] if part == ".." else [*parts, part]
        if "/".join(parts) in places:
            places[name] = places["/".join(parts)]
    return _Members(file, places)


def _read_layout(members: _Members, wanted: str) -> tuple[Packed, ...]:
    """Return the layers of an OCI layout. Source: the OCI image specification, image-layout.md and manifest.md."""
    manifest = _manifest(members, members.json("index.json"), wanted)
    config = _blob(members, manifest["config"])
    inners = config["rootfs"]["diff_ids"]
    packed = []
    for layer, inner in zip(manifest["layers"], inners, strict=True):
        if not layer["mediaType"].startswith(_LAYERS):
            raise BadArchive(members.file, f"a layer has the unknown type {layer['mediaType']!r}")
        name = _blob_name(members.file, layer["digest"])
        packed.append(members.packed(name, layer["digest"], _checked(members.file, inner)))
    return tuple(packed)


def _manifest(members: _Members, index: Mapping[str, Any], wanted: str) -> Mapping[str, Any]:
    """Return the only manifest for a machine; indexes may be nested."""
    numbered = [pair for pair in enumerate(index["manifests"]) if _is_for(pair[1], wanted)]
    # An image with several tags has a descriptor for each.
    descriptors = list({descriptor.get("digest", number): descriptor for number, descriptor in numbered}.values())
    if len(descriptors) != 1:
        raise BadArchive(members.file, f"it has {len(descriptors) or 'no'} images for {wanted}")
    document: Mapping[str, Any] = _blob(members, descriptors[0])
    if descriptors[0]["mediaType"] in _INDEXES or "manifests" in document:
        return _manifest(members, document, wanted)
    return document


def _is_for(descriptor: Mapping[str, Any], wanted: str) -> bool:
    platform = descriptor.get("platform") or {}
    return (platform.get("architecture", wanted), platform.get("os", "linux")) == (wanted, "linux")


def _blob(members: _Members, descriptor: Mapping[str, Any]) -> Any:
    digest = descriptor["digest"]
    return members.json(_blob_name(members.file, digest), _checked(members.file, digest))


def _blob_name(file: Path, digest: str) -> str:
    return f"blobs/{_checked(file, digest).replace(':', '/')}"


def _checked(file: Path, digest: str) -> str:
    _kind(file, digest)
    return digest


def _kind(file: Path, digest: str) -> str:
    kind, _, text = digest.partition(":")
    if kind not in {"sha256", "sha512"} or len(text) not in {64, 128} or set(text) - set("0123456789abcdef"):
        raise BadArchive(file, f"{digest!r} is not a digest")
    return kind


def _read_docker(members: _Members) -> tuple[Packed, ...]:
    """Return the layers of a docker archive.

    Source: the Docker Image Specification 1.2, "Combined Image JSON + Filesystem Changeset Format".
    """
    images = members.json("manifest.json")
    if len(images) != 1:
        raise BadArchive(members.file, f"it has {len(images)} images")
    [image] = images
    name = Path(image["Config"]).name.removesuffix(".json")
    digest = f"sha256:{name}" if len(name) == 64 else ""
    config = members.json(image["Config"], digest)
    inners = config["rootfs"]["diff_ids"]
    pairs = zip(image["Layers"], inners, strict=True)
    return tuple(members.packed(layer, "", _checked(members.file, inner)) for layer, inner in pairs)


DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_BETWEEN, _SEPARATOR = re.compile(r"[^a-z0-9]+"), re.compile(r"\.|__?|-+")


class Layer(NamedTuple):
    """A layer of an image, compressed by gzip."""

    file: Path
    digest: str
    """SHA-256 in hex, of the file."""
    inner: str
    """The same of the archive in it."""
    size: int
    author: str = "gentoomuch root export"
    """The command that created it."""


class ImageConfig(NamedTuple):
    """What an image says about itself."""

    tags: Sequence[str]
    architecture: str
    """As ``architecture`` returns it."""
    config: Mapping[str, Any]
    """Execution parameters: ``Cmd``, ``Env``."""


def default_config(name: str, architecture: str) -> ImageConfig:
    """Return the configuration of the image of a whole root; its tag is the name, with invalid characters replaced."""
    return ImageConfig((default_tag(name),), architecture, {"Cmd": ["/bin/bash"], "Env": [DEFAULT_PATH]})


def default_tag(name: str) -> str:
    """Return the tag of the image of a profile."""
    return f"{_tag(name)}:latest"


def write(
    out: Path, layers: Sequence[Layer], image: ImageConfig, *, epoch: int | None, directory: bool = False
) -> None:
    """Write an archive of an image, or a directory.

    Args:
        layers: the lowest first.
        directory: write a directory in the OCI image layout.

    Source: the OCI image specification 1.1; docker load before version 25 reads ``manifest.json``.
    """
    contents = _contents(layers, image, epoch)
    if directory:
        for name, content in contents.items():
            file = out / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                file.write_bytes(content)
            else:
                shutil.copyfile(content.file, file)
        return
    with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in contents.items():
            if isinstance(content, bytes):
                tar.addfile(_info(name, len(content), epoch), io.BytesIO(content))
                continue
            with content.file.open("rb") as layer:
                tar.addfile(_info(name, content.size, epoch), layer)


def _contents(layers: Sequence[Layer], image: ImageConfig, epoch: int | None) -> dict[str, bytes | Layer]:
    """Return the files of an image, in the order of an archive."""
    created = datetime.fromtimestamp(epoch or 0, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    config = _json(
        {
            "architecture": image.architecture,
            "config": image.config,
            "created": created,
            "history": [{"created": created, "created_by": layer.author} for layer in layers],
            "os": "linux",
            "rootfs": {"diff_ids": [f"sha256:{layer.inner}" for layer in layers], "type": "layers"},
        }
    )
    manifest = _json(
        {
            "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [
                {
                    "digest": f"sha256:{layer.digest}",
                    "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                    "size": layer.size,
                }
                for layer in layers
            ],
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "schemaVersion": 2,
        }
    )
    descriptor = _descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
    descriptor["platform"] = {"architecture": image.architecture, "os": "linux"}
    named = [{**descriptor, "annotations": {"org.opencontainers.image.ref.name": tag}} for tag in image.tags]
    index = {"manifests": named, "mediaType": "application/vnd.oci.image.index.v1+json", "schemaVersion": 2}
    names = [f"blobs/sha256/{layer.digest}" for layer in layers]
    docker = [{"Config": _blob_path(config), "Layers": names, "RepoTags": list(image.tags)}]
    return {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        _blob_path(config): config,
        _blob_path(manifest): manifest,
        **dict(zip(names, layers, strict=True)),
        "index.json": _json(index),
        "manifest.json": _json(docker),
    }


def _tag(name: str) -> str:
    """Replace characters of a name that podman and docker reject: capitals and invalid separators.

    Source: github.com/distribution/reference, the grammar of "path-component".
    """
    return (
        _BETWEEN.sub(lambda match: match[0] if _SEPARATOR.fullmatch(match[0]) else "-", name.lower()).strip("._-")
        or "root"
    )


def _json(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    return {"digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "mediaType": kind, "size": len(content)}


def _blob_path(content: bytes) -> str:
    return f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"


def _info(name: str, size: int, epoch: int | None) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o644, epoch or 0
    return info
