# SPDX-License-Identifier: GPL-2.0-or-later
"""Check that the package of an attempt is the one that its job describes."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from gentoomuch_portage.binpkg import formats
from gentoomuch_portage.binpkg.formats import BadBinpkg, Source

_FIELDS = ("CATEGORY", "PF", "SLOT", "USE", "IUSE", "repository", "CHOST")
"""Not CFLAGS: ebuilds change them, and a package has them as they were at the end."""


def find_mismatch(package: Path, inputs: str) -> str:
    """Return the name of the first field in which a package is not as its job describes it; empty if none is.

    Args:
        inputs: of the job.
    """
    try:
        fields = _read(package)
    except (OSError, BadBinpkg) as error:
        return str(error)
    wanted = json.loads(inputs)
    use, iuse = {*fields["USE"].split()}, {flag.lstrip("+-") for flag in fields["IUSE"].split()}
    slot = fields["SLOT"] if "/" in fields["SLOT"] else f"{fields['SLOT']}/{fields['SLOT']}"
    actual = {
        "cpv": f"{fields['CATEGORY']}/{fields['PF']}",
        "slot": slot,
        "repository": fields["repository"],
        "use": sorted(use & iuse),
        "CHOST": fields["CHOST"],
    }
    expected = {**wanted, "CHOST": wanted["variables"].get("CHOST", "")}
    return next((name for name, value in actual.items() if expected[name] != value), "")


def _read(package: Path) -> Mapping[str, str]:
    with package.open("rb") as opened:
        size = os.fstat(opened.fileno()).st_size
        source = Source(str(package), size, lambda offset, length: os.pread(opened.fileno(), length, offset))
        fields = formats.read(source, _FIELDS)
    return {name: fields.get(name, "").strip() for name in _FIELDS}
