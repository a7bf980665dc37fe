# SPDX-License-Identifier: GPL-2.0-or-later
"""The environment of builds and of the keys of jobs: that of the machine, whichever user or service starts them."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from gentoomuch_portage.config.settings import Settings

_PASSED = ("PATH", "HOME", "TMPDIR", "VIRTUAL_ENV", "EPYTHON", "GM_HOST", "GM_STRICT", "PORTAGE_CONFIGROOT",
           "PORTAGE_OVERRIDE_EPREFIX", "PORTAGE_RUN_PATH")  # fmt: skip
"""No variable that Portage reads as configuration, such as CFLAGS or USE."""


def farm_environment(environ: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """Return the variables that plans and builds of a farm have, and no others."""
    return {
        **{name: environ[name] for name in _PASSED if name in environ},
        "LANG": "C.UTF-8",
        "GM_CONFIG": str(settings.config),
        "GM_STATE": str(settings.state),
        "GM_CACHE": str(settings.cache),
        "BINPKG_FORMAT": "gpkg",
    }


@contextmanager
def only_farm_environment(settings: Settings) -> Iterator[dict[str, str]]:
    """Remove all other variables while the block runs; return those that are left."""
    before = dict(os.environ)
    variables = farm_environment(before, settings)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield variables
    finally:
        os.environ.clear()
        os.environ.update(before)
