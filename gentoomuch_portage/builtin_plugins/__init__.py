# SPDX-License-Identifier: GPL-2.0-or-later
"""The built-in plugins, one in each file."""
