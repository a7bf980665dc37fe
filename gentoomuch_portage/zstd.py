# SPDX-License-Identifier: GPL-2.0-or-later
"""Import Zstandard support: Python's own module since 3.14, the backport before."""

from typing import Any

try:
    from compression import zstd  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    try:
        from backports import zstd  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        zstd = None


def module() -> Any:
    """Return the module, ``compression.zstd`` or ``backports.zstd``, which have one interface.

    Raises:
        ImportError: neither is installed.
    """
    if zstd is None:
        raise ImportError("neither compression.zstd nor backports.zstd is installed")
    return zstd
