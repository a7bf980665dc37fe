# SPDX-License-Identifier: GPL-2.0-or-later
"""Which packages have no machine code."""

import gzip
import os
from pathlib import Path

import pytest

from gentoomuch_portage.isa import no_code
from gentoomuch_portage.isa.requirement import UNKNOWN, Requirement, judge, parse_requirement

WITHOUT = {
    "usr/bin/script": b"#!/bin/sh\necho hi\n",
    "usr/share/doc/x-1/README": "Grüße\n".encode("latin-1"),
    "usr/share/doc/x-1/README.gz": gzip.compress(b"text"),
    "usr/share/man/man1/x.1.zst": b"\x28\xb5\x2f\xfd\x00",
    "usr/share/icons/x.png": b"\x89PNG\r\n\x1a\n\x00\x00",
    "usr/lib/python3.13/site-packages/x/__pycache__/x.cpython-313.pyc": b"\xf3\x0d\r\n\x00\x00",
    "usr/share/locale/de/LC_MESSAGES/x.mo": b"\xde\x12\x04\x95\x00",
    "var/lib/x/.keep": b"",
}
CODE = {
    "a program": ("usr/bin/x", b"\x7fELF\x02\x01\x01\x00"),
    "a static library": ("usr/lib/libx.a", b"!<arch>\nx.o/\x00"),
    "a library without symbols": ("usr/lib/libx.so.1", b"\x7fELF\x02\x01\x01\x00"),
    "a kernel": ("boot/vmlinuz", b"MZ\x00\x00"),
    "a compressed module": ("lib/modules/x.ko.zst", b"\x28\xb5\x2f\xfd\x00"),
    "an archive": ("usr/share/x/x.tar.gz", gzip.compress(b"text")),
    "a jar": ("usr/share/x/x.jar", b"PK\x03\x04\x00"),
    "unknown data": ("usr/share/x/x.dat", bytes(range(256))),
    "a script with a program behind it": ("opt/x/run", b"#!/bin/sh\ntail -n +3 $0\n" + b"#\n" * 2**20 + b"\x7fELF\x00"),
    "bytecode elsewhere": ("usr/share/x/x.pyc", b"\xf3\x0d\r\n\x00\x00"),
    "a program named as bytecode": ("usr/lib/x/__pycache__/x.pyc", b"\x7fELF\x00"),
    "flags for a later build": ("usr/lib/pkgconfig/x.pc", b"Cflags: -march=haswell\n"),
    "flags between two chunks": ("usr/share/x/flags", b"#" * (2**20 - 5) + b"-march=haswell\n"),
}


def install(image: Path, name: str, content: bytes) -> None:
    (image / name).parent.mkdir(parents=True, exist_ok=True)
    (image / name).write_bytes(content)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An image of all kinds of files without code, links among them."""
    image = tmp_path / "image"
    for name, content in WITHOUT.items():
        install(image, name, content)
    (image / "usr/bin/link").symlink_to("/bin/true")
    (image / "usr/bin/linked").symlink_to("/usr/lib")
    os.mkfifo(image / "var/lib/x/fifo")
    return image


def test_texts_documents_images_and_links_have_no_code(image: Path):
    assert no_code.find_code(image) == ""


@pytest.mark.parametrize("what", CODE)
def test_a_file_that_may_have_code_is_found(image: Path, what: str):
    name, content = CODE[what]
    install(image, name, content)

    assert no_code.find_code(image) == name


def test_a_missing_image_counts_as_code(tmp_path: Path):
    assert no_code.find_code(tmp_path / "gone") == str(tmp_path / "gone")


METADATA = {
    "an empty package": ({"SIZE": "0\n", "CATEGORY": "virtual\n"}, True),
    "links alone": ({"SIZE": "0\n", "CATEGORY": "app-alternatives\n", "CFLAGS": "-march=haswell"}, True),
    "an account": ({"SIZE": "131", "CATEGORY": "acct-user", "INHERITED": "acct-user user-info"}, True),
    "an account without the eclass": ({"SIZE": "131", "CATEGORY": "acct-user", "INHERITED": "edo"}, False),
    "a large account": ({"SIZE": "9000", "CATEGORY": "acct-group", "INHERITED": "acct-group"}, False),
    "an eclass elsewhere": ({"SIZE": "131", "CATEGORY": "app-misc", "INHERITED": "acct-user"}, False),
    "some files": ({"SIZE": "131", "CATEGORY": "virtual"}, False),
    "no size": ({"CATEGORY": "virtual"}, False),
    "an invalid size": ({"SIZE": "-0", "CATEGORY": "virtual"}, False),
    "a size in words": ({"SIZE": "none", "CATEGORY": "virtual"}, False),
}


@pytest.mark.parametrize("what", METADATA)
def test_metadata_of_other_builders_prove_that_there_is_no_code(what: str):
    metadata, expected = METADATA[what]

    assert no_code.is_without_code(metadata) is expected


@pytest.mark.parametrize("has", [UNKNOWN, Requirement(features=frozenset(), abi=frozenset({"LP64"}), description="x")])
def test_a_package_without_code_runs_on_every_cpu(has: Requirement):
    recorded = parse_requirement(no_code.NO_CODE.to_json())

    assert recorded == no_code.NO_CODE
    assert judge(recorded, has).accept


def test_an_unknown_requirement_is_not_one_without_code():
    assert not judge(UNKNOWN, Requirement(features=frozenset({"AVX"}), abi=frozenset(), description="x")).accept
