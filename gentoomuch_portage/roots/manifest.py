"""What is in an exported root, for people and for programs: a list of packages, and an SBOM."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from gentoomuch_portage import console
from gentoomuch_portage.portage_adapter.runtime import Package
from gentoomuch_portage.roots import sbom
from gentoomuch_portage.roots.errors import MissingLibrary

_KEYS = ("SLOT", "repository", "BUILD_ID", "USE")


def write(
    folder: Path, packages: Sequence[Package], *, name: str, content: str, epoch: int | None
) -> Mapping[str, Path]:
    """Write both into a folder.

    Args:
        content: what the export is known by: a digest in hex.

    Returns:
        Suffix -> file: ``.packages``, a line a package with tabs between cpv, slot, repository, BUILD_ID and USE;
        ``.cdx.json``, CycloneDX, left out with a warning where its library is not installed.
    """
    found = {".packages": folder / "packages"}
    lines = (
        "\t".join((one.cpv, *(_flags(one) if key == "USE" else one.told[key] for key in _KEYS))) for one in packages
    )
    found[".packages"].write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    try:
        text = sbom.text(packages, name=name, content=content, epoch=epoch)
    except MissingLibrary as error:
        console.warn(f"no SBOM is written: {error.message}; {error.remedy}")
        return found
    found[".cdx.json"] = folder / "sbom"
    found[".cdx.json"].write_text(text, encoding="utf-8")
    return found


def _flags(package: Package) -> str:
    """The flags that are on, of those that the package has."""
    has = {flag.lstrip("+-") for flag in package.told["IUSE"].split()}
    return " ".join(sorted(has & set(package.told["USE"].split())))
