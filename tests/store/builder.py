# SPDX-License-Identifier: GPL-2.0-or-later
"""``python builder.py PKGDIR BUILT FIRST LAST DONE GNUPG``: take instances of a package in, as a builder does.

Run on a host. Each is signed before it comes in, as with ``[binpkg] sign``, and each that is in the index is told to
DONE, a line ``BUILD_ID``, after it is there.
"""

import subprocess
import sys
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.repack import instance, noise


def signed(home: Path, content: bytes, how: str) -> bytes:
    """Sign under the lock of the key, as Portage does: the server ends the agent after it has signed."""
    gpg = ["gpg", "--homedir", home, "--batch", "--no-tty", "--quiet", "--armor", "--digest-algo", "SHA512", how]
    words = ["flock", home.parent / "lock", *gpg]
    return subprocess.run(words, input=content, stdout=subprocess.PIPE, check=True).stdout


def main(folder: Path, built: Path, first: int, last: int, done: Path, home: Path) -> None:
    from portage.versions import _pkg_str

    from gentoomuch_portage.binpkg.metadata import read_index_fields
    from gentoomuch_portage.portage_adapter.lazy_index.inject import injecting
    from gentoomuch_portage.portage_adapter.lazy_index.local import ondemand
    from gentoomuch_portage.portage_adapter.pkgdir import pkgdir

    with ondemand(), injecting(read_index_fields):
        tree = pkgdir(folder).tree
        for number in range(first, last):
            aside = done.parent / f"new-{first}"
            changes = {"NOISE": noise(number), "BUILD_TIME": str(int(time.time()))}
            new = instance(built, aside, number, changes, sign=partial(signed, home))
            cpv = _pkg_str(f"{built.parent.parent.name}/libgreet-1.0", metadata={"BUILD_ID": str(number)})
            if tree.inject(cpv, current_pkg_path=str(new)) is None:
                raise SystemExit(f"{new} was not taken")
            with done.open("a") as log:
                log.write(f"{number}\n")


if __name__ == "__main__":
    first, last = map(int, sys.argv[3:5])
    main(Path(sys.argv[1]), Path(sys.argv[2]), first, last, Path(sys.argv[5]), Path(sys.argv[6]))
