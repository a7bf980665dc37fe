"""What of the host stands in a box that is a view of it."""

from pathlib import Path

import pytest

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.containers import host_overlay
from gentoomuch_portage.containers.host_paths import Places


def laid(tmp_path: Path, eprefix: Path) -> set[str]:
    """Where something of the host stands, or something empty in its place; with a cache below /var, as is usual."""
    cache = Path("/var/cache/gentoomuch")
    settings = Settings.of(
        {"GM_STATE": str(tmp_path / "state"), "GM_CACHE": str(cache), "GM_CONFIG": "/etc/gentoomuch"}
    )
    below = {name: tmp_path / name for name in ("pkgdir", "distdir")}
    places = Places(**below, repositories=(), tmpdir=Path("/var/tmp/ours.box"), eprefix=eprefix, settings=settings)
    return {one.target for one in host_overlay.view(places, cache / "containers/run-x").mounts}


def test_a_host_without_a_prefix_shows_its_system_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setattr(host_overlay, "interpreter", lambda _environ: ())

    found = laid(tmp_path, Path("/"))

    assert {"/usr", "/etc", "/tmp", "/dev", "/proc"} <= found
    assert {target.split("/")[1] for target in found} <= {
        *host_overlay._SYSTEM, "tmp", "run", "dev", "proc", tmp_path.parts[1],
    }  # fmt: skip
    assert {target for target in found if target.startswith(("/run/", "/dev/"))} == {"/run/gentoomuch/told"}


@pytest.mark.parametrize("inner", ["", "ours/gentoo"])
def test_what_others_have_in_var_tmp_stays_outside(tmp_path: Path, inner: str, monkeypatch: pytest.MonkeyPatch):
    var_tmp = tmp_path / "var/tmp"
    for name in ("portage/cat/pkg-1", "of-a-user", "ours/gentoo/usr"):
        (var_tmp / name).mkdir(parents=True)
    monkeypatch.setattr(host_overlay, "_SYSTEM", (str(tmp_path / "var").lstrip("/"),))
    monkeypatch.setattr(host_overlay, "_EMPTIED", var_tmp)
    monkeypatch.setattr(host_overlay, "mounted", lambda: (Path("/"), var_tmp / "portage"))
    monkeypatch.setattr(host_overlay, "interpreter", lambda _environ: ())

    found = {Path(target) for target in laid(tmp_path, var_tmp / inner if inner else Path("/"))}

    assert {one for one in found if var_tmp in one.parents} == ({var_tmp / inner} if inner else set())
