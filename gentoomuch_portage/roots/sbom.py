"""What is in an exported root, for people and for programs: a list of packages, and an SBOM.

The packages of a root as a CycloneDX document; equal content gives equal bytes.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from gentoomuch_portage import __version__, console
from gentoomuch_portage.portage_adapter.runtime_deps import Package
from gentoomuch_portage.roots.errors import MissingLibrary


def text(packages: Sequence[Package], *, name: str, content: str, epoch: int | None) -> str:
    """The document, CycloneDX 1.6 in JSON.

    Args:
        content: what names the root: a digest in hex.

    Raises:
        MissingLibrary: cyclonedx-python-lib is not installed.
    """
    try:
        from cyclonedx.model.bom import Bom, BomMetaData
        from cyclonedx.model.component import Component, ComponentType
        from cyclonedx.model.tool import ToolRepository
        from cyclonedx.output.json import JsonV1Dot6
    except ImportError as error:
        raise MissingLibrary("cyclonedx-python-lib", "export") from error
    whole = Component(name=name, type=ComponentType.OPERATING_SYSTEM, bom_ref="root")
    found = {one.cpv: _component(one) for one in packages}
    ours = Component(name="gentoomuch-portage", version=__version__, type=ComponentType.APPLICATION, bom_ref="tool")
    bom = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"sha256:{content}"),
        components=found.values(),
        metadata=BomMetaData(
            component=whole, timestamp=datetime.fromtimestamp(epoch or 0, UTC), tools=ToolRepository(components=[ours])
        ),
    )
    bom.register_dependency(whole, found.values())
    for one in packages:
        bom.register_dependency(found[one.cpv], [found[cpv] for cpv in one.needs if cpv in found])
    return str(JsonV1Dot6(bom).output_as_string(indent=1)) + "\n"


def _component(package: Package) -> "Component":  # type: ignore[name-defined]  # noqa: F821
    """One package. Source: purl-spec, type ``ebuild``; licences are named as Gentoo names them."""
    from cyclonedx.model import ExternalReference, ExternalReferenceType, Property, XsUri
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.license import DisjunctiveLicense
    from packageurl import PackageURL

    category, _, plain = package.name.partition("/")
    told = package.told
    repository = {"repository": told["repository"]} if told["repository"] else None
    properties = [Property(name=f"gentoo:{key}", value=told[key]) for key in ("SLOT", "BUILD_ID", "USE") if told[key]]
    homes = told["HOMEPAGE"].split()
    licences = [word for word in told["LICENSE"].split() if word not in {"||", "(", ")"} and not word.endswith("?")]
    return Component(
        name=plain,
        group=category,
        version=package.version,
        type=ComponentType.LIBRARY,
        bom_ref=package.cpv,
        description=told["DESCRIPTION"] or None,
        purl=PackageURL("ebuild", category, plain, package.version, repository),
        licenses=[DisjunctiveLicense(name=one) for one in sorted(set(licences))],
        properties=properties,
        external_references=[ExternalReference(type=ExternalReferenceType.WEBSITE, url=XsUri(one)) for one in homes],
    )


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
        text_ = text(packages, name=name, content=content, epoch=epoch)
    except MissingLibrary as error:
        console.warn(f"no SBOM is written: {error.message}; {error.remedy}")
        return found
    found[".cdx.json"] = folder / "sbom"
    found[".cdx.json"].write_text(text_, encoding="utf-8")
    return found


def _flags(package: Package) -> str:
    """The flags that are on, of those that the package has."""
    has = {flag.lstrip("+-") for flag in package.told["IUSE"].split()}
    return " ".join(sorted(has & set(package.told["USE"].split())))
