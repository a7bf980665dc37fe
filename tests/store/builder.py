"""``python builder.py PKGDIR BUILT FIRST LAST DONE``: take instances of a package into a folder, as a builder does.

Run on a host. Each that is in the index is told to DONE, a line ``BUILD_ID``, after it is there.
"""

import sys
from pathlib import Path

from portage.versions import _pkg_str

sys.path.insert(0, str(Path(__file__).parents[1]))

from repacking import instance

from gentoomuch_portage.binpkgs.telling import told
from gentoomuch_portage.portage_adapter.injecting import injecting
from gentoomuch_portage.portage_adapter.ondemand import ondemand
from gentoomuch_portage.portage_adapter.pkgdir import pkgdir


def main(folder: Path, built: Path, first: int, last: int, done: Path) -> None:
    with ondemand(), injecting(told):
        tree = pkgdir(folder).tree
        for number in range(first, last):
            new = instance(built, done.parent / f"new-{first}", number, {})
            cpv = _pkg_str(f"{built.parent.parent.name}/libgreet-1.0", metadata={"BUILD_ID": str(number)})
            if tree.inject(cpv, current_pkg_path=str(new)) is None:
                raise SystemExit(f"{new} was not taken")
            with done.open("a") as log:
                log.write(f"{number}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
