# SPDX-License-Identifier: GPL-2.0-or-later
"""Run a program as root of a user namespace: ``python -m gentoomuch_portage.containers.root_helper PROGRAM...``.

Only that root can remove files that other users of a rootless container own. Root needs no namespace. The kernel kills
the program with the process that started this one.
"""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from gentoomuch_portage.containers import id_maps, init, linux


def main(argv: Sequence[str]) -> NoReturn:
    """Run the program, and end as it ends."""
    linux.die_with_parent()
    if not os.geteuid():
        os.execvp(argv[0], list(argv))

    def become() -> None:
        os.execvp(argv[0], list(argv))

    os._exit(init.wait(linux.fork(become, mapped=id_maps.write_maps, flags=linux.NEWUSER, as_root=True)))


if __name__ == "__main__":
    main(sys.argv[1:])
