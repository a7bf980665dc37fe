# SPDX-License-Identifier: GPL-2.0-or-later
"""The isolation kind vm: a virtual machine for each run."""
