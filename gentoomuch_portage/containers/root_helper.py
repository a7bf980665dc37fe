"""Run a program as the root of a box: ``python -m gentoomuch_portage.containers.root_helper PROGRAM...``.

What the users of a rootless box own, only that root can remove.
"""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from gentoomuch_portage.containers import id_maps, init, linux


def main(argv: Sequence[str]) -> NoReturn:
    """End as the program ends."""
    linux.die_with_parent()

    def become() -> None:
        os.execvp(argv[0], list(argv))

    os._exit(init.wait(linux.fork(become, mapped=id_maps.write, flags=linux.NEWUSER, as_root=True)))


if __name__ == "__main__":
    main(sys.argv[1:])
