# SPDX-License-Identifier: GPL-2.0-or-later
"""Roots of profiles: create, list, remove and export them; snapshots of ebuild repositories.

``bootstrap`` fills a root with emerge. ``stage3`` and ``oci`` verify archives, which ``install`` unpacks. ``export``
writes a root with ``pack``. ``repo_snapshots`` stores repositories as they were after a sync.
"""
