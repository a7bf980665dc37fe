# SPDX-License-Identifier: GPL-2.0-or-later
"""Instruction sets: which code runs on which CPU."""
