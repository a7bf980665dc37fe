# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose signature counts: under a plain index that of the binhost itself; of the host what it still trusts."""

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from helpers.packages import gpkg
from helpers.remote_packages import binpkg

from gentoomuch_portage import gpg
from gentoomuch_portage.binhost import keys
from gentoomuch_portage.binhost.client import session
from gentoomuch_portage.builtin_plugins import binhost
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.gpg import BadKey
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.portage_adapter.binpkg import Binpkg, Place

if not shutil.which("gpg"):
    pytest.skip("gpg is not installed", allow_module_level=True)
URL = "http://tower/x"
PLAN = Plan(profile="lab", base="none", root="/")


@pytest.fixture
def pinned(tmp_path: Path) -> Callable[[str], Settings]:
    """Pins a key to a binhost, with more in its table."""

    def pin(more: str) -> Settings:
        key = gpg.generate_key(tmp_path / "g", "tower")
        (tmp_path / "keys").mkdir()
        (tmp_path / f"keys/{key}.asc").write_text(gpg.export_key(tmp_path / "g", key))
        (tmp_path / "gentoomuch.toml").write_text(f'[binhost."{URL}"]\nkey = "{key}"\n{more}\n')
        return Settings.load({f"GM_{name}": str(tmp_path) for name in ("CONFIG", "STATE", "CACHE")})

    return pin


@pytest.fixture
def fetched(tmp_path: Path) -> Binpkg:
    """A package that has been fetched, and that nobody has signed."""
    (tmp_path / "p.gpkg.tar").write_bytes(gpkg())
    return binpkg(Place(f"{URL}/p.gpkg.tar", 1, (("SHA1", "a"),)))._replace(path=tmp_path / "p.gpkg.tar")


def test_a_package_signed_by_another_key_is_rejected_and_recorded(pinned, fetched: Binpkg):
    settings = pinned('index = "plain"')

    why = binhost.gm_reject_binpkg(fetched, PLAN, settings)

    assert why.startswith("it is not signed by the key of its binhost")
    assert session.find_reject_reason(settings.cache / "rejected/lab", fetched.place).startswith(why)


def test_without_fallback_it_is_rejected_each_time(pinned, fetched: Binpkg):
    settings = pinned('index = "plain"\nfallback = false')

    why = binhost.gm_reject_binpkg(fetched, PLAN, settings)

    assert why.startswith("it is not signed by the key of its binhost")
    assert not (settings.cache / "rejected").exists()


def test_a_package_of_a_plain_index_is_rejected_for_its_revoked_key_before_its_signature_is_verified(
    pinned, tmp_path: Path, fetched: Binpkg
):
    """S16: whoever stole the key can sign with any date."""
    settings = pinned('index = "plain"')
    [key] = [one.stem for one in (tmp_path / "keys").iterdir()]
    (settings.state / "binhosts/revoked").mkdir(parents=True)
    (settings.state / f"binhosts/revoked/{key}.asc").touch()

    why = binhost.gm_reject_binpkg(fetched, PLAN, settings)

    assert "revoked" in why
    assert key in why


def test_a_signed_index_vouches_for_its_packages(pinned, fetched: Binpkg):
    assert binhost.gm_reject_binpkg(fetched, PLAN, pinned("")) is None


def test_a_key_removed_from_the_host_is_no_longer_trusted(tmp_path: Path):
    settings = Settings.load({"GM_STATE": str(tmp_path / "state"), "PORTAGE_CONFIGROOT": str(tmp_path)})
    home = settings.host / "gnupg"
    key = gpg.generate_key(tmp_path / "g", "gentoo")
    (tmp_path / "key.asc").write_text(gpg.export_key(tmp_path / "g", key))
    gpg.import_trusted_keys(home, [tmp_path / "key.asc"])
    before = keys.host_keys(settings)

    gpg.run_gpg(home, "--import-ownertrust", text=f"{key}:3:\n")
    gpg.run_gpg(home, "--check-trustdb", accept=())

    assert len(before) == 1
    assert keys.host_keys(settings) == []
    assert len([*(settings.state / "trust").glob("host-*")]) == 1


@pytest.mark.parametrize("at", [0, 120])
def test_importing_a_key_starts_no_agent(tmp_path: Path, at: int):
    key, file = gpg.generate_key(tmp_path / "g", "gentoo"), tmp_path / "key.asc"
    text = gpg.export_key(tmp_path / "g", key)
    file.write_text(text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :] if at else text)

    with pytest.raises(BadKey) if at else nullcontext():
        gpg.import_trusted_keys(tmp_path / "home", [file])

    assert not [*(tmp_path / "home").glob("S.*")]
    assert not [*(tmp_path / "home").glob("private-keys-v1.d")]


def test_the_keys_of_a_file_are_read_without_the_users_own_gnupg(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    key, file = gpg.generate_key(tmp_path / "g", "gentoo"), tmp_path / "key.asc"
    file.write_text(gpg.export_key(tmp_path / "g", key))

    assert gpg.read_fingerprints(file) == [key]
    assert not (tmp_path / "home").exists()
