# SPDX-License-Identifier: GPL-2.0-or-later
"""Images of profiles: what they consist of, whether they are current, and how they are built."""
