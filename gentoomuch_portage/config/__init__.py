# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings and profiles: what is read from gentoomuch.toml and profiles/NAME.toml."""
