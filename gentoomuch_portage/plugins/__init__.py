# SPDX-License-Identifier: GPL-2.0-or-later
"""The plugin API, and the manager of plugins."""
