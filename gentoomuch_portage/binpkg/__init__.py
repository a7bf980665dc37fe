# SPDX-License-Identifier: GPL-2.0-or-later
"""Read local and remote binary packages."""
