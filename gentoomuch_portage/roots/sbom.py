"""The packages of a root as a CycloneDX document; equal content gives equal bytes."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from gentoomuch_portage import __version__
from gentoomuch_portage.portage_adapter.runtime import Package
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
