# SPDX-License-Identifier: GPL-2.0-or-later
"""S1: what of the host a container can write for good, and who can get there.

On dfeccc0 PORTAGE_TMPDIR and the state of the profile were bound, writable, below open directories; these tests
were not run on it.
"""

from pathlib import Path

import pytest
from helpers.errors import raises

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.containers import host_overlay, lifecycle, root_lock, root_system
from gentoomuch_portage.containers.host_paths import Places
from gentoomuch_portage.containers.root_lock import open_root
from gentoomuch_portage.containers.spec import Bind, Composed, ContainerSpec, Overlay


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A host that everybody can enter."""
    settings = Settings.load({f"GM_{name.upper()}": str(tmp_path / name) for name in ("config", "state", "cache")})
    for name in ("config", "state/p/roots", "cache", "tmp", "pkgdir", "distdir"):
        (tmp_path / name).mkdir(parents=True)
    below = {name: tmp_path / name for name in ("pkgdir", "distdir")}
    return Places(**below, repositories=(), tmpdir=tmp_path / "tmp", eprefix=Path("/"), settings=settings, profile="p")


def container_specs(places: Places, run: Path, root: Path) -> list[ContainerSpec]:
    """A view of the host, one with another root, and a root that stands on its own."""
    configroot = places.settings.cache / "configroot"
    return [
        host_overlay.host_view(places, run),
        host_overlay.host_view(places, run, root=root),
        root_system.own_system(places, run, root, profile="p", configroot=configroot),
        root_system.own_system(places, run, root, profile="p", configroot=configroot, fetching=True),
        root_system.own_system(places, run, root, profile="p", configroot=configroot, uppers=run / "upper"),
    ]


def test_builds_write_only_below_closed_directories(places: Places) -> None:
    top = places.settings.state.parent
    root = top / "root"
    with lifecycle.run_directory(places.settings.cache) as run:
        for spec in container_specs(places, run, root):
            with lifecycle._scratch(spec):
                written = [Path(mount.source) for mount in spec.mounts if isinstance(mount, Bind) and mount.writable]
                written += [
                    Path(mount.upper) for mount in spec.mounts if isinstance(mount, Composed | Overlay) and mount.upper
                ]
                assert written
                assert [path for path in written if path != root and not is_closed(path, top)] == []


def is_closed(path: Path, top: Path) -> bool:
    """Whether a directory between is closed; that of pytest, above both, is closed anyway."""
    return any(root_lock._is_closed(above) for above in path.parents if above != top and above.is_relative_to(top))


@pytest.mark.parametrize(("mode", "open_to"), [(0o700, False), (0o710, False), (0o755, True), (0o701, True)])
def test_a_root_is_closed_by_a_directory_above_it(
    tmp_path: Path, mode: int, open_to: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by its own mode, which a container can change."""
    root = tmp_path / "roots/one"
    root.mkdir(parents=True)
    root.chmod(0o700)
    root.parent.chmod(mode)
    plain = root_lock._is_closed
    monkeypatch.setattr(root_lock, "_is_closed", lambda folder: folder == root.parent and plain(folder))
    if open_to:
        with raises("open-root") as refused:
            root_lock.check_closed(root)
        assert refused.value.hint == f"chmod 0700 {root.parent}"
    else:
        root_lock.check_closed(root)


def test_the_root_of_the_host_needs_no_closed_directory() -> None:
    root_lock.check_closed(Path("/"))


@pytest.mark.parametrize("root", ["/srv/one", "/usr/aarch64-unknown-linux-gnu", "/one"])
def test_the_hint_never_closes_a_shared_directory(root: str) -> None:
    assert "chmod" not in open_root(Path(root)).hint
