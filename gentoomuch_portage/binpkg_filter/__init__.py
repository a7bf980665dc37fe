# SPDX-License-Identifier: GPL-2.0-or-later
"""Reject binary packages that must not be used for a profile."""
