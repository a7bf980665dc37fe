# SPDX-License-Identifier: GPL-2.0-or-later
"""The ledger of what was unmasked for a profile, and the policy that allows it."""
