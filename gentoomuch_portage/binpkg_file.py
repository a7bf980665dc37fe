"""Metadata out of a binary package, gpkg or xpak, without unpacking it."""

import io
import tarfile
from collections.abc import Collection
from pathlib import Path

from gentoomuch_portage.errors import RunError


class BadBinpkg(RunError):
    """A file that is no binary package, or a hostile one."""

    code = "bad-binpkg"

    def __init__(self, path: Path | str, why: str) -> None:
        super().__init__(f"{path} is no binary package: {why}")


def read(path: Path, wanted: Collection[str]) -> dict[str, str]:
    """The files of metadata that are wanted, stripped; those that it lacks are left out.

    Raises:
        BadBinpkg: it cannot be read.
    """
    try:
        with tarfile.open(path, "r:") as outer:
            for member in outer:
                name = member.name.rpartition("/")[2]
                if name.startswith("metadata.tar"):
                    packed = outer.extractfile(member)
                    if packed is not None:
                        return _metadata(packed.read(1 << 24), name, wanted)
    except (OSError, tarfile.TarError) as error:
        raise BadBinpkg(path, str(error)) from error
    raise BadBinpkg(path, "it holds no metadata")


def _metadata(packed: bytes, name: str, wanted: Collection[str]) -> dict[str, str]:
    if name.endswith(".zst"):
        import zstandard

        packed = zstandard.ZstdDecompressor().stream_reader(packed).read(1 << 25)
    found = {}
    with tarfile.open(fileobj=io.BytesIO(packed)) as inner:
        for member in inner:
            key = member.name.rpartition("/")[2]
            if key in wanted and member.isfile() and (content := inner.extractfile(member)):
                found[key] = content.read(1 << 16).decode("utf-8", "replace").strip()
    return found
