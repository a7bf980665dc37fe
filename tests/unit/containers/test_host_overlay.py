# SPDX-License-Identifier: GPL-2.0-or-later
"""What of the host stands in a container that is a view of it."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.containers import host_overlay
from gentoomuch_portage.containers.backends import DESCRIPTION
from gentoomuch_portage.containers.host_files import View
from gentoomuch_portage.containers.host_paths import Places
from gentoomuch_portage.containers.spec import Bind, Composed, Mount, Overlay


def _places(tmp_path: Path, eprefix: Path, show: tuple[Path, ...] = ()) -> Places:
    settings = Settings.load(
        {"GM_STATE": str(tmp_path / "state"), "GM_CACHE": str(tmp_path / "cache"), "GM_CONFIG": "/etc/gentoomuch"}
    )
    below = {name: tmp_path / name for name in ("pkgdir", "distdir")}
    return Places(
        **below, repositories=(), tmpdir=Path("/var/tmp"), eprefix=eprefix, settings=settings,
        profile="router", show=show,
    )  # fmt: skip


def _view(places: Places, apart: Iterable[Path] = ()) -> dict[str, Mount]:
    """Target and mount of the host's own directories; of two with one target the later."""
    view = View(places, Path("/up"), frozenset(apart), fetching=False)
    return {mount.target: mount for mount in view.mounts()}


def test_host_view_without_a_prefix_has_only_listed_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(host_overlay, "interpreter_paths", lambda _environ: ())

    spec = host_overlay.host_view(_places(tmp_path, Path("/")), tmp_path / "cache/containers/run-x")
    targets = {mount.target for mount in spec.mounts}

    assert {"/usr", "/etc", "/var", "/opt", "/tmp", "/dev", "/proc"} <= targets
    assert {target.split("/")[1] for target in targets} <= {
        *("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "var", "opt"),
        *("tmp", "run", "dev", "proc", tmp_path.parts[1]),
    }  # fmt: skip
    assert {target for target in targets if target.startswith(("/run/", "/dev/"))} == {DESCRIPTION}


def test_etc_var_opt_and_usr_local_are_composed(tmp_path: Path) -> None:
    mounts = _view(_places(tmp_path, Path("/")))
    for name in ("/etc", "/var", "/opt", "/usr/local"):
        assert isinstance(mounts[name], Composed)
    live = [mount.target for mount in mounts.values() if isinstance(mount, Overlay | Bind)]
    below = [target for target in live if target.startswith(("/etc/", "/opt/", "/usr/local/"))]
    assert below == []
    assert {target for target in live if target.startswith("/var/")} <= {"/var/db/pkg", "/var/cache/edb/dep"}


def test_mounts_below_composed_directories_are_not_visible(tmp_path: Path) -> None:
    """Real-host finding 0: a mount in /etc showed the files beside it."""
    apart = [Path("/etc/resolv.conf"), Path("/var/lib/mnt"), Path("/usr/local/data"), Path("/opt/mnt")]
    mounts = _view(_places(tmp_path, Path("/")), apart)
    assert not {str(path) for path in apart} & set(mounts)
    assert isinstance(mounts["/usr/local"], Composed)


def test_directories_of_a_prefix_are_visible(tmp_path: Path) -> None:
    for name in ("usr/bin", "share/portage", "etc/portage", "var/tmp/other", "home/joe", "var/db/pkg"):
        (tmp_path / "prefix" / name).mkdir(parents=True)
    mounts = _view(_places(tmp_path, tmp_path / "prefix"))
    own = {name.removeprefix(f"{tmp_path}/prefix/") for name in mounts if name.startswith(f"{tmp_path}/prefix/")}
    assert own == {"usr", "share", "etc", "var", "opt", "var/db/pkg"}


def test_only_opt_directories_of_packages_are_visible(tmp_path: Path) -> None:
    prefix = tmp_path / "prefix"
    for name in ("opt/rust-bin-1/bin", "opt/by-hand", "var/db/pkg/dev-lang/rust-bin-1", "usr"):
        (prefix / name).mkdir(parents=True)
    (prefix / "var/db/pkg/dev-lang/rust-bin-1/CONTENTS").write_text(f"dir {prefix}/opt/rust-bin-1\n")
    mounts = _view(_places(tmp_path, prefix))
    assert isinstance(mounts[f"{prefix}/opt/rust-bin-1"], Overlay)
    assert f"{prefix}/opt/by-hand" not in mounts


def test_show_adds_directories_without_private_files_and_any_file(tmp_path: Path) -> None:
    (tmp_path / "vendor").mkdir()
    (tmp_path / "licence").touch(0o600)
    show = (tmp_path / "vendor", tmp_path / "licence", tmp_path / "missing", Path("/etc/hostname"))
    mounts = _view(_places(tmp_path, Path("/"), show))
    vendor, etc = mounts[str(tmp_path / "vendor")], mounts["/etc"]
    assert isinstance(vendor, Overlay)
    assert vendor.search
    assert isinstance(mounts[str(tmp_path / "licence")], Bind)
    assert str(tmp_path / "missing") not in mounts
    assert isinstance(etc, Composed)
    assert ("hostname", "named") in {(pick.name, pick.mode) for pick in etc.picks}


def test_the_directory_of_containers_is_never_visible(tmp_path: Path) -> None:
    places = _places(tmp_path, Path("/"), (tmp_path,))
    containers = tmp_path / "cache/containers"
    containers.mkdir(parents=True)
    mounts = _view(places, [containers])
    assert [name for name in mounts if Path(name).is_relative_to(containers)] == []
