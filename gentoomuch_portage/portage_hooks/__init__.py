# SPDX-License-Identifier: GPL-2.0-or-later
"""Hooks for plain emerge: files that ``gentoomuch hooks enable`` writes and ``disable`` removes."""
