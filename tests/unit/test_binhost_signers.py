"""Whose signature counts: under a plain index that of the binhost itself; of the host what it still trusts."""

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from making import gpkg
from placing import binpkg

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
        key = gpg.made(tmp_path / "g", "tower")
        (tmp_path / "keys").mkdir()
        (tmp_path / f"keys/{key}.asc").write_text(gpg.exported(tmp_path / "g", key))
        (tmp_path / "gentoomuch.toml").write_text(f'[binhost."{URL}"]\nkey = "{key}"\n{more}\n')
        return Settings.of({f"GM_{name}": str(tmp_path) for name in ("CONFIG", "STATE", "CACHE")})

    return pin


@pytest.fixture
def fetched(tmp_path: Path) -> Binpkg:
    """A package that has been fetched, and that nobody has signed."""
    (tmp_path / "p.gpkg.tar").write_bytes(gpkg())
    return binpkg(Place(f"{URL}/p.gpkg.tar", 1, (("SHA1", "a"),)))._replace(path=tmp_path / "p.gpkg.tar")


def test_a_package_that_its_binhost_did_not_sign_is_refused_and_remembered(pinned, fetched: Binpkg):
    settings = pinned('index = "plain"')

    why = binhost.gm_reject_binpkg(fetched, PLAN, settings)

    assert why.startswith("it is not signed by the key of its binhost")
    assert session.deny_reason(settings.cache / "refused/lab", fetched.place).startswith(why)


def test_without_fallback_it_is_refused_each_time(pinned, fetched: Binpkg):
    settings = pinned('index = "plain"\nfallback = false')

    why = binhost.gm_reject_binpkg(fetched, PLAN, settings)

    assert why.startswith("it is not signed by the key of its binhost")
    assert not (settings.cache / "refused").exists()


def test_a_signed_index_vouches_for_its_packages(pinned, fetched: Binpkg):
    assert binhost.gm_reject_binpkg(fetched, PLAN, pinned("")) is None


def test_a_key_that_the_host_no_longer_trusts_is_not_trusted_any_more(tmp_path: Path):
    settings = Settings.of({"GM_STATE": str(tmp_path / "state"), "PORTAGE_CONFIGROOT": str(tmp_path)})
    home = settings.host / "gnupg"
    key = gpg.made(tmp_path / "g", "gentoo")
    (tmp_path / "key.asc").write_text(gpg.exported(tmp_path / "g", key))
    gpg.trusting(home, [tmp_path / "key.asc"])
    before = keys.of_host(settings)

    gpg.gpg(home, "--import-ownertrust", text=f"{key}:3:\n")
    gpg.gpg(home, "--check-trustdb", accept=())

    assert len(before) == 1
    assert keys.of_host(settings) == []
    assert len([*(settings.state / "trust").glob("host-*")]) == 1


@pytest.mark.parametrize("at", [0, 120])
def test_no_agent_is_started_for_a_key_that_is_taken_or_refused(tmp_path: Path, at: int):
    key, file = gpg.made(tmp_path / "g", "gentoo"), tmp_path / "key.asc"
    text = gpg.exported(tmp_path / "g", key)
    file.write_text(text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :] if at else text)

    with pytest.raises(BadKey) if at else nullcontext():
        gpg.trusting(tmp_path / "home", [file])

    assert not [*(tmp_path / "home").glob("S.*")]
    assert not [*(tmp_path / "home").glob("private-keys-v1.d")]


def test_the_keys_of_a_file_are_read_without_the_users_own_gnupg(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    key, file = gpg.made(tmp_path / "g", "gentoo"), tmp_path / "key.asc"
    file.write_text(gpg.exported(tmp_path / "g", key))

    assert gpg.shown(file) == [key]
    assert not (tmp_path / "home").exists()
