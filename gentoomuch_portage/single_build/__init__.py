# SPDX-License-Identifier: GPL-2.0-or-later
"""Build one package in a container in which exactly the named binary packages are installed."""
