# SPDX-License-Identifier: GPL-2.0-or-later
"""Use binhosts: their configuration, keys, indexes and packages."""
