# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m gentoomuch_portage.roots.unpack``."""

import sys

from gentoomuch_portage.roots.unpack import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
