"""Archives of container images: an OCI image layout, or what ``docker save`` and ``podman save`` write.

An OCI image layout in one archive, which podman loads, and docker as well.
"""

import hashlib
import io
import json
import platform
import re
import tarfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from gentoomuch_portage.roots.errors import BadArchive
from gentoomuch_portage.roots.pack import Written
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
"""The machine of uname or of a CHOST -> what images call it; riscv64, ppc64le and s390x are the same there.
Source: Go's GOARCH, which the OCI image specification takes."""


def architecture(chost: str = "") -> str:
    """A machine, as images call it.

    Args:
        chost: whose it is, as ``aarch64-unknown-linux-gnu``; this machine where empty.
    """
    machine = chost.partition("-")[0] or platform.machine()
    return "arm" if machine.startswith("armv") else _ARCHES.get(machine, machine)


class _Members(NamedTuple):
    """The plain files of an archive that is not packed itself."""

    file: Path
    places: Mapping[str, tuple[int, int]]
    """Name -> offset and size."""

    def packed(self, name: str, digest: str, inner: str) -> Packed:
        offset, size = self._place(name)
        return Packed(str(self.file), offset, size, digest, inner, f"{self.file}, {name}")

    def json(self, name: str, digest: str = "") -> Any:
        """A document, held to its digest where one is known."""
        import hashlib

        offset, size = self._place(name)
        if size > _MOST_JSON:
            raise BadArchive(self.file, f"{name} has {size} bytes")
        with self.file.open("rb") as content:
            content.seek(offset)
            text = content.read(size)
        if digest and hashlib.new(_kind(self.file, digest), text).hexdigest() != digest.partition(":")[2]:
            raise BadArchive(self.file, f"{name} is not what its digest says")
        return json.loads(text)

    def _place(self, name: str) -> tuple[int, int]:
        if name not in self.places:
            raise BadArchive(self.file, f"there is no {name} in it")
        return self.places[name]


def layers(file: Path, chost: str = "") -> tuple[Packed, ...]:
    """The layers of the one image in an archive that is for a machine, the lowest first.

    Args:
        chost: as ``architecture`` takes it.

    Raises:
        BadArchive: it is no archive of an image, holds several, or something in it is not what its digest says.
    """
    members, wanted = _members(file), architecture(chost)
    try:
        found = _of_layout(members, wanted) if "oci-layout" in members.places else _of_docker(members)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise BadArchive(file, f"it is no image: {type(error).__name__}: {error}") from error
    if not found:
        raise BadArchive(file, "it is an image that has no layers")
    return found


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
                elif info.issym():  # docker once wrote a layer that is there twice as a link
                    links[name] = str(Path(name).parent / info.linkname)
    except BROKEN as error:
        raise BadArchive(file, f"it is no plain tar archive: {error}") from error
    for name, target in links.items():
        parts: list[str] = []
        for part in target.split("/"):
            parts = parts[:-1] if part == ".." else [*parts, part]
        if "/".join(parts) in places:
            places[name] = places["/".join(parts)]
    return _Members(file, places)


def _of_layout(members: _Members, wanted: str) -> tuple[Packed, ...]:
    """Source: the OCI image specification, image-layout.md and manifest.md."""
    manifest = _manifest(members, members.json("index.json"), wanted)
    config = _blob(members, manifest["config"])
    inners = config["rootfs"]["diff_ids"]
    found = []
    for one, inner in zip(manifest["layers"], inners, strict=True):
        if not one["mediaType"].startswith(_LAYERS):
            raise BadArchive(members.file, f"a layer of the unknown kind {one['mediaType']!r}")
        found.append(members.packed(_named(members.file, one["digest"]), one["digest"], _whole(members.file, inner)))
    return tuple(found)


def _manifest(members: _Members, index: Mapping[str, Any], wanted: str) -> Mapping[str, Any]:
    """The one manifest for a machine, through indexes of indexes."""
    offered = [one for one in index["manifests"] if _fits(one, wanted)]
    if len(offered) != 1:
        told = f"no image for {wanted}" if not offered else f"{len(offered)} images for {wanted}"
        raise BadArchive(members.file, f"there are {told} in it")
    document: Mapping[str, Any] = _blob(members, offered[0])
    if offered[0]["mediaType"] in _INDEXES or "manifests" in document:
        return _manifest(members, document, wanted)
    return document


def _fits(one: Mapping[str, Any], wanted: str) -> bool:
    told = one.get("platform") or {}
    return (told.get("architecture", wanted), told.get("os", "linux")) == (wanted, "linux")


def _blob(members: _Members, descriptor: Mapping[str, Any]) -> Any:
    digest = descriptor["digest"]
    return members.json(_named(members.file, digest), _whole(members.file, digest))


def _named(file: Path, digest: str) -> str:
    return f"blobs/{_whole(file, digest).replace(':', '/')}"


def _whole(file: Path, digest: str) -> str:
    _kind(file, digest)
    return digest


def _kind(file: Path, digest: str) -> str:
    kind, _, told = digest.partition(":")
    if kind not in {"sha256", "sha512"} or len(told) not in {64, 128} or set(told) - set("0123456789abcdef"):
        raise BadArchive(file, f"{digest!r} is no digest")
    return kind


def _of_docker(members: _Members) -> tuple[Packed, ...]:
    """Source: the Docker Image Specification 1.2, "Combined Image JSON + Filesystem Changeset Format"."""
    images = members.json("manifest.json")
    if len(images) != 1:
        raise BadArchive(members.file, f"there are {len(images)} images in it")
    [image] = images
    named = Path(image["Config"]).name.removesuffix(".json")
    digest = f"sha256:{named}" if len(named) == 64 else ""
    config = members.json(image["Config"], digest)
    inners = config["rootfs"]["diff_ids"]
    pairs = zip(image["Layers"], inners, strict=True)
    return tuple(members.packed(name, "", _whole(members.file, inner)) for name, inner in pairs)


_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_BETWEEN, _SEPARATOR = re.compile(r"[^a-z0-9]+"), re.compile(r"\.|__?|-+")


def write(out: Path, layer: Path, written: Written, *, name: str, architecture: str, epoch: int | None) -> None:
    """Put one layer, packed by gzip, with its description into an archive.

    Args:
        name: of the profile; the image is tagged with it, as far as a tag may be like it.
        architecture: of its programs, as images call it.

    Source: the OCI image specification 1.1; ``manifest.json`` is what docker load of before version 25 reads.
    """
    created = datetime.fromtimestamp(epoch or 0, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    tagged = f"{_tag(name)}:latest"
    config = _json(
        {
            "architecture": architecture,
            "config": {"Cmd": ["/bin/bash"], "Env": [_PATH]},
            "created": created,
            "history": [{"created": created, "created_by": "gentoomuch root export"}],
            "os": "linux",
            "rootfs": {"diff_ids": [f"sha256:{written.inner}"], "type": "layers"},
        }
    )
    manifest = _json(
        {
            "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [
                {
                    "digest": f"sha256:{written.digest}",
                    "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                    "size": written.size,
                }
            ],
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "schemaVersion": 2,
        }
    )
    named = _descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
    named["annotations"] = {"org.opencontainers.image.ref.name": tagged}
    named["platform"] = {"architecture": architecture, "os": "linux"}
    index = {"manifests": [named], "mediaType": "application/vnd.oci.image.index.v1+json", "schemaVersion": 2}
    docker = [{"Config": _blob_path(config), "Layers": [f"blobs/sha256/{written.digest}"], "RepoTags": [tagged]}]
    with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}), epoch)
        for content in (config, manifest):
            _add(tar, _blob_path(content), content, epoch)
        with layer.open("rb") as content_of_layer:
            info = _info(f"blobs/sha256/{written.digest}", written.size, epoch)
            tar.addfile(info, content_of_layer)
        _add(tar, "index.json", _json(index), epoch)
        _add(tar, "manifest.json", _json(docker), epoch)


def _tag(name: str) -> str:
    """A name without what podman and docker refuse: capitals, other signs, and separators that are none.

    Source: github.com/distribution/reference, the grammar of "path-component".
    """
    return (
        _BETWEEN.sub(lambda one: one[0] if _SEPARATOR.fullmatch(one[0]) else "-", name.lower()).strip("._-") or "root"
    )


def _json(told: Any) -> bytes:
    return json.dumps(told, sort_keys=True, separators=(",", ":")).encode()


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    return {"digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "mediaType": kind, "size": len(content)}


def _blob_path(content: bytes) -> str:
    return f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"


def _add(tar: tarfile.TarFile, name: str, content: bytes, epoch: int | None) -> None:
    tar.addfile(_info(name, len(content), epoch), io.BytesIO(content))


def _info(name: str, size: int, epoch: int | None) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o644, epoch or 0
    return info
