# SPDX-License-Identifier: GPL-2.0-or-later
"""What commands report about profiles, packages and machines."""
