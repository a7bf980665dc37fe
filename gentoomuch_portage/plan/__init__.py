# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run is going to do: the plan, its parts, and the options that ask for it."""
