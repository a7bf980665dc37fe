# SPDX-License-Identifier: GPL-2.0-or-later
"""The index of a directory of binary packages: ``Packages``, and a shard of it for each package name.

``Packages`` has the format of Portage, byte for byte. ``gm-index/`` in the same directory has the same entries by name,
so that one small file is read for one package; docs/binhost.md describes the format. A writer holds Portage's lock.
"""

FOLDER = "gm-index"
"""Name of the directory of shards beside ``Packages``: no category has this name, and Portage does not read it."""
STAMP = "stamp"
"""Name of the file in that directory that says which ``Packages`` the shards are made from."""
