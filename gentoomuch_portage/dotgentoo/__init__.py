# SPDX-License-Identifier: GPL-2.0-or-later
""".gentoo directories: installation data of a project, parsed strictly, with an ID.

``safe_read`` reads files within limits, ``load`` parses them, and ``id`` computes the ID. No file is sourced or run.
"""
