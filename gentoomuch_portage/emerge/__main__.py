# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m gentoomuch_portage.emerge``."""

from gentoomuch_portage import startup
from gentoomuch_portage.emerge.main import main

if __name__ == "__main__":
    startup.end(main())
