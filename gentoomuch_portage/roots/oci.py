"""An OCI image layout in one archive, which podman loads, and docker as well."""

import hashlib
import io
import json
import re
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gentoomuch_portage.roots.packing import Written

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
    docker = [{"Config": _blob(config), "Layers": [f"blobs/sha256/{written.digest}"], "RepoTags": [tagged]}]
    with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}), epoch)
        for content in (config, manifest):
            _add(tar, _blob(content), content, epoch)
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


def _blob(content: bytes) -> str:
    return f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"


def _add(tar: tarfile.TarFile, name: str, content: bytes, epoch: int | None) -> None:
    tar.addfile(_info(name, len(content), epoch), io.BytesIO(content))


def _info(name: str, size: int, epoch: int | None) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o644, epoch or 0
    return info
