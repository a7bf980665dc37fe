# SPDX-License-Identifier: GPL-2.0-or-later
"""gm-emerge and gentoomuch: one Gentoo tool for everyone who keeps more than one machine."""

__version__ = "0.2.0.dev0"
