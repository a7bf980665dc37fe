# SPDX-License-Identifier: GPL-2.0-or-later
"""List the binary packages of PKGDIR without a resolver, and so without private names of Portage."""

from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from portage import create_trees

from gentoomuch_portage.portage_adapter.binpkg import Binpkg
from gentoomuch_portage.portage_adapter.patching import environment
from gentoomuch_portage.portage_adapter.trees import find_running, find_target

_KEYS = ("USE", "IUSE", "CHOST", "SLOT", "USER_PATCHES")


def list_local(env: Mapping[str, str], configroot: str, build_configroot: str, root: str) -> tuple[Binpkg, ...]:
    """List the local instances that emerge may use for a root, and for ``/`` if that is another one.

    Args:
        env: variables of the run.
        build_configroot: the configroot of packages that are installed in ``/`` for building; may be empty.
    """
    with environment(env), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        listed = [*_list(find_target(create_trees(config_root=configroot, target_root=root)))]
        if build_configroot:
            listed += _list(find_running(create_trees(config_root=build_configroot, target_root="/")))
    return tuple(listed)


def _list(trees: Any) -> Iterator[Binpkg]:
    tree, root = trees["bintree"], trees["vartree"].settings["ROOT"]
    tree.populate()
    for cpv in tree.dbapi.cpv_all():
        use, iuse, chost, slot, patches = tree.dbapi.aux_get(cpv, list(_KEYS))
        yield Binpkg(
            cpv=str(cpv),
            root=root,
            build_id=int(cpv.build_id or 0),
            build_time=int(cpv.build_time or 0),
            use=frozenset(use.split()),
            iuse=frozenset(flag.lstrip("+-") for flag in iuse.split()),
            chost=chost,
            path=Path(tree.getname(cpv)),
            url="",
            size=int(cpv.file_size or 0),
            digests=(),
            slot=slot.partition("/")[0],
            patches=patches.lower(),
        )
