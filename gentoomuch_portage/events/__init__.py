# SPDX-License-Identifier: GPL-2.0-or-later
"""Events of a run: log, pipe, reporter."""
