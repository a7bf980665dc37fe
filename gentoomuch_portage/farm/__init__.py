# SPDX-License-Identifier: GPL-2.0-or-later
"""Keep a queue of packages to build in a database, which alone decides what is built and what is published."""
