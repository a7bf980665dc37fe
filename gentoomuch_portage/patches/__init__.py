# SPDX-License-Identifier: GPL-2.0-or-later
"""Patch sets: which patches a package gets, whether they still apply, and the loop of making one."""
