# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m gentoomuch_portage.emerge``."""

import sys

from gentoomuch_portage.emerge.main import main

if __name__ == "__main__":
    sys.exit(main())
