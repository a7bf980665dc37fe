# SPDX-License-Identifier: GPL-2.0-or-later
"""Lists of the packages in an exported root: a text file, and a CycloneDX document (SBOM)."""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from gentoomuch_portage import __version__

if TYPE_CHECKING:
    from gentoomuch_portage.portage_adapter.runtime_deps import Package


def format_sbom(packages: "Sequence[Package]", *, name: str, content: str, epoch: int | None) -> str:
    """Format packages as CycloneDX 1.6 in JSON; equal content gives equal bytes.

    Source: https://cyclonedx.org/docs/1.6/json/.

    Args:
        content: digest of the root in hexadecimal digits.
        epoch: seconds since 1970.
    """
    known = {package.cpv for package in packages}
    needs = {package.cpv: sorted(known.intersection(package.needs)) for package in packages}
    tool = {"type": "application", "bom-ref": "tool", "name": "gentoomuch-portage", "version": __version__}
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'sha256:{content}')}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch or 0, UTC).isoformat(),
            "tools": {"components": [tool]},
            "component": {"type": "operating-system", "bom-ref": "root", "name": name},
        },
        "components": [_component(package) for package in sorted(packages, key=lambda package: package.cpv)],
        "dependencies": [
            {"ref": ref, "dependsOn": refs} for ref, refs in sorted({**needs, "root": sorted(known)}.items())
        ],
    }
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _component(package: "Package") -> dict[str, Any]:
    """Return a package as a component. Source: purl-spec, type ``ebuild``; licences have Gentoo's names."""
    category, _, name = package.name.partition("/")
    metadata = package.metadata
    qualifiers = f"?{urlencode({'repository': metadata['repository']})}" if metadata["repository"] else ""
    words = metadata["LICENSE"].split()
    licences = sorted({word for word in words if word not in {"||", "(", ")"} and not word.endswith("?")})
    properties = [(key, metadata[key]) for key in ("BUILD_ID", "SLOT", "USE") if metadata[key]]
    component = {
        "description": metadata["DESCRIPTION"],
        "licenses": [{"license": {"name": licence}} for licence in licences],
        "properties": [{"name": f"gentoo:{key}", "value": value} for key, value in properties],
        "externalReferences": [{"type": "website", "url": url} for url in dict.fromkeys(metadata["HOMEPAGE"].split())],
    }
    return {
        "type": "library",
        "bom-ref": package.cpv,
        "group": category,
        "name": name,
        "version": package.version,
        "purl": f"pkg:ebuild/{quote(category)}/{quote(name)}@{quote(package.version)}{qualifiers}",
        **{key: value for key, value in component.items() if value},
    }


_KEYS = ("SLOT", "repository", "BUILD_ID", "USE")


def write(
    folder: Path, packages: "Sequence[Package]", *, name: str, content: str, epoch: int | None
) -> Mapping[str, Path]:
    """Write both lists into a directory.

    Args:
        content: digest of the root in hexadecimal digits.
        epoch: seconds since 1970.

    Returns:
        Suffix -> file: ``.packages``, per package a line of cpv, slot, repository, BUILD_ID and USE, separated by
        tabs; ``.cdx.json``, CycloneDX.
    """
    files = {".packages": folder / "packages", ".cdx.json": folder / "sbom"}
    lines = (
        "\t".join((package.cpv, *(_flags(package) if key == "USE" else package.metadata[key] for key in _KEYS)))
        for package in packages
    )
    files[".packages"].write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    document = format_sbom(packages, name=name, content=content, epoch=epoch)
    files[".cdx.json"].write_text(document, encoding="utf-8")
    return files


def _flags(package: "Package") -> str:
    """Return the enabled USE flags among those in IUSE."""
    known = {flag.lstrip("+-") for flag in package.metadata["IUSE"].split()}
    return " ".join(sorted(known & set(package.metadata["USE"].split())))
