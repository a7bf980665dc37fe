# SPDX-License-Identifier: GPL-2.0-or-later
"""The configroot of a profile: merged layers, written and cached."""
