# SPDX-License-Identifier: GPL-2.0-or-later
"""The only package that imports Portage; its functions return plain, frozen data."""
