# SPDX-License-Identifier: GPL-2.0-or-later
"""The SBOM of an exported root, checked against the published JSON schema of CycloneDX 1.6."""

import copy
import json
from pathlib import Path

import pytest

from gentoomuch_portage.portage_adapter.runtime_deps import Package
from gentoomuch_portage.roots import sbom
from tests.helpers.json_schema import Invalid, Schema

SCHEMA = Schema("cyclonedx", "bom-1.6")
EMPTY = dict.fromkeys(
    ["SLOT", "repository", "BUILD_ID", "USE", "IUSE", "LICENSE", "HOMEPAGE", "CHOST", "SIZE", "DESCRIPTION"], ""
)
FULL = {
    **EMPTY, "SLOT": "0/1.2", "repository": "gentoo", "BUILD_ID": "3", "USE": "nls ssl", "IUSE": "+nls doc ssl",
    "LICENSE": "|| ( MIT Apache-2.0 ) nls? ( GPL-2+ ) MIT", "DESCRIPTION": 'Says "hello"',
    "HOMEPAGE": "https://example.org/a https://example.org/b",
}  # fmt: skip


def package(name: str, version: str, needs: tuple[str, ...] = (), **metadata: str) -> Package:
    cpv = f"{name}-{version}"
    return Package(cpv=cpv, name=name, version=version, metadata={**EMPTY, **metadata}, needs=needs, owns=())


PACKAGES = (
    package("dev-libs/libc++", "1.2_p3-r1", **FULL),
    package("app-misc/hello", "2.12", needs=("dev-libs/libc++-1.2_p3-r1", "not/here-1")),
)


@pytest.fixture
def document() -> dict:
    return json.loads(sbom.format_sbom(PACKAGES, name="lab", content="ab" * 32, epoch=1700000000))


def test_the_sbom_is_valid_cyclonedx(document):
    SCHEMA.check(document)


@pytest.mark.parametrize(
    "damage",
    [
        lambda bom: bom.pop("specVersion"),
        lambda bom: bom.update(serialNumber="urn:uuid:none"),
        lambda bom: bom["components"][0].pop("name"),
        lambda bom: bom["components"][0].update(type="package"),
        lambda bom: bom["components"][1].update(licenses=[{"license": {}}]),
        lambda bom: bom["metadata"].update(author="nobody"),
        lambda bom: bom["dependencies"].append(bom["dependencies"][0]),
    ],
)
def test_the_validator_rejects_a_damaged_sbom(document, damage):
    damaged = copy.deepcopy(document)
    damage(damaged)

    with pytest.raises(Invalid):
        SCHEMA.check(damaged)


def test_the_sbom_has_each_package_with_its_purl_licences_and_dependencies(document):
    by_ref = {component["bom-ref"]: component for component in document["components"]}
    depends = {entry["ref"]: entry["dependsOn"] for entry in document["dependencies"]}

    library = by_ref["dev-libs/libc++-1.2_p3-r1"]
    assert library["purl"] == "pkg:ebuild/dev-libs/libc%2B%2B@1.2_p3-r1?repository=gentoo"
    assert [entry["license"]["name"] for entry in library["licenses"]] == ["Apache-2.0", "GPL-2+", "MIT"]
    assert {entry["name"]: entry["value"] for entry in library["properties"]}["gentoo:SLOT"] == "0/1.2"
    assert "licenses" not in by_ref["app-misc/hello-2.12"]
    assert depends == {
        "app-misc/hello-2.12": ["dev-libs/libc++-1.2_p3-r1"],
        "dev-libs/libc++-1.2_p3-r1": [],
        "root": ["app-misc/hello-2.12", "dev-libs/libc++-1.2_p3-r1"],
    }


def test_equal_content_gives_an_equal_sbom(tmp_path: Path):
    for name, packages in (("first", PACKAGES), ("second", PACKAGES[::-1])):
        (tmp_path / name).mkdir()
        files = sbom.write(tmp_path / name, packages, name="lab", content="ab" * 32, epoch=0)
        assert files.keys() == {".packages", ".cdx.json"}

    assert (tmp_path / "first/sbom").read_bytes() == (tmp_path / "second/sbom").read_bytes()
    assert "dev-libs/libc++-1.2_p3-r1\t0/1.2\tgentoo\t3\tnls ssl\n" in (tmp_path / "first/packages").read_text()
