# SPDX-License-Identifier: GPL-2.0-or-later
"""Freeze a profile into an archive, and thaw it on another machine."""
