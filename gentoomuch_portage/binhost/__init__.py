# SPDX-License-Identifier: GPL-2.0-or-later
"""Store, index, publish, sign, serve and use binary packages that several machines share."""
