# SPDX-License-Identifier: GPL-2.0-or-later
"""What is copied into the directories that a container has instead of the host's."""

import hashlib
import os
import shutil
import threading
from pathlib import Path

import pytest

from gentoomuch_portage.containers import composed
from gentoomuch_portage.containers.spec import Composed, ContainerSpec, Overlay, Pick


def _file(path: Path, text: str = "x", mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def _copied(source: Path, *picks: Pick) -> dict[str, str]:
    """Path and content of each file that is copied."""
    place = composed.compose(Composed(str(source), "/etc", "/up", picks), source.parent / "cache")
    return {
        str(path.relative_to(place)): path.read_text()
        for path in place.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def test_only_listed_public_entries_are_copied(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    _file(etc / "ssl/certs/ca.pem")
    _file(etc / "ssl/certs/closed/other").parent.chmod(0o750)
    _file(etc / "ssl/private/key")
    _file(etc / "hosts", mode=0o640)
    _file(etc / "services")
    _file(etc / "token")
    os.mkfifo(etc / "ssl/certs/pipe")
    picks = (Pick("ssl/certs"), Pick("hosts"), Pick("services"), Pick("missing"))
    assert set(_copied(etc, *picks)) == {"ssl/certs/ca.pem", "services"}


def test_a_link_is_copied_as_a_link_and_not_followed(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    _file(tmp_path / "home/certs/secret")
    etc.mkdir()
    (etc / "ssl").symlink_to("../home")
    (etc / "localtime").symlink_to("/usr/share/zoneinfo/UTC")
    place = composed.compose(
        Composed(str(etc), "/etc", "/up", (Pick("ssl/certs"), Pick("localtime"))), tmp_path / "cache"
    )
    assert os.readlink(place / "ssl") == "../home"
    assert os.readlink(place / "localtime") == "/usr/share/zoneinfo/UTC"


def test_no_hash_is_copied_from_any_file_of_accounts(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    _file(etc / "shadow", "root:$y$hash:1:0:::::\nportage:*:2::::::\nbroken\n", 0o640)
    _file(etc / "passwd", "root:x:0:0::/root:/bin/sh\nold:aB1cD2eF:5:5::/:/bin/sh\n")
    picks = (Pick("passwd", "public", "passwd"), Pick("shadow", "public", "shadow"))
    assert _copied(etc, *picks) == {
        "shadow": "root:!:1:0:::::\nportage:!:2::::::\n",
        "passwd": "root:x:0:0::/root:/bin/sh\nold:x:5:5::/:/bin/sh\n",
    }


@pytest.mark.parametrize("mode", ["public", "portage"])
def test_private_keys_are_never_copied_whatever_their_name_and_mode(tmp_path: Path, mode: str) -> None:
    """Allow-list finding "keys": seen failing on dfeccc0, which showed all of /etc/portage."""
    etc = tmp_path / "etc"
    _file(etc / "portage/make.conf", mode=0o600)
    _file(etc / "portage/renamed", "-----BEGIN RSA PRIVATE KEY-----\nMII\n")
    if mode == "portage":
        for name in ("secureboot.pem", "mok.key", "gnupg/pubring.kbx"):
            _file(etc / "portage" / name)
    assert set(_copied(etc, Pick("portage", mode))) == ({"portage/make.conf"} if mode == "portage" else set())


def test_a_named_file_is_copied_with_any_mode(tmp_path: Path) -> None:
    key = _file(tmp_path / "etc/portage/secureboot.pem", "-----BEGIN PRIVATE KEY-----\n", 0o400)
    assert set(_copied(tmp_path / "etc", Pick("portage/secureboot.pem", "named"))) == {"portage/secureboot.pem"}
    assert key.exists()


def test_a_file_of_a_package_is_copied_only_unmodified(tmp_path: Path) -> None:
    _file(tmp_path / "etc/app.conf", "as it came", 0o600)
    _file(tmp_path / "etc/edited.conf", "password = x", 0o600)
    digest = hashlib.md5(b"as it came", usedforsecurity=False).hexdigest()
    picks = (Pick("app.conf", md5=digest), Pick("edited.conf", md5=digest))
    assert set(_copied(tmp_path / "etc", *picks)) == {"app.conf"}


def test_logins_are_removed_from_urls_in_configuration(tmp_path: Path) -> None:
    """S5: seen failing on dfeccc0, where a container read the passwords of gentoomuch.toml."""
    config = tmp_path / "etc"
    url = '"https://joe:hunter2@example.org/x"\n'
    for name in ("gentoomuch.toml", "portage/make.conf", "portage/binrepos.conf/a.conf", "portage/patches/a.patch"):
        _file(config / name, url)
    copies = _copied(config, Pick("gentoomuch.toml", "portage", "logins"), Pick("portage", "portage", "logins"))
    assert [name for name, text in copies.items() if "hunter2" in text] == ["portage/patches/a.patch"]
    assert copies["portage/make.conf"] == '"https://example.org/x"\n'


def test_copies_are_renewed_when_a_listed_entry_changes(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    _file(etc / "env.d/99local")
    directory = Composed(str(etc), "/etc", "/up", (Pick("env.d"), Pick("hosts")))
    before = composed.compose(directory, tmp_path / "cache")
    _file(etc / "secret", mode=0o600)
    assert composed.compose(directory._replace(upper="/other"), tmp_path / "cache") == before
    for change in (
        lambda: _file(etc / "hosts"),
        lambda: _file(etc / "env.d/98"),
        lambda: (etc / "hosts").chmod(0o600),
    ):
        change()
        after = composed.compose(directory, tmp_path / "cache")
        assert after != before
        before = after
    assert (tmp_path / "cache/composed").stat().st_mode & 0o077 == 0


def test_copies_are_composed_while_other_runs_start_and_end(tmp_path: Path) -> None:
    etc, cache = tmp_path / "etc", tmp_path / "cache"
    ended, begun = threading.Event(), threading.Event()

    def start_and_end() -> None:
        while not ended.is_set():
            for number in range(20):
                (cache / f"composed/.new-{number}").mkdir(parents=True, exist_ok=True)
            begun.set()
            for number in range(20):
                (cache / f"composed/.new-{number}").rmdir()

    others = threading.Thread(target=start_and_end)
    others.start()
    begun.wait()
    try:
        for number in range(200):
            file = _file(etc / f"{number}")
            assert composed.compose(Composed(str(etc), "/etc", "/up", (Pick(file.name),)), cache).is_dir()
    finally:
        ended.set()
        others.join()


def test_unused_copies_are_removed_except_those_of_running_containers(tmp_path: Path) -> None:
    _file(tmp_path / "etc/hosts")
    directory = Composed(str(tmp_path / "etc"), "/etc", "/up", (Pick("hosts"),))
    used, unused = (composed.compose(directory._replace(target=name), tmp_path / "cache") for name in ("/a", "/b"))
    for place in (used, unused):
        os.utime(place, (1, 1))
    spec = ContainerSpec(mounts=(Overlay(str(used), "/a", "/up"),), run="/r")
    _file(tmp_path / "cache/run-1/container.json", spec.to_json())
    composed.compose(directory._replace(target="/c"), tmp_path / "cache")
    assert (used.exists(), unused.exists()) == (True, False)


def test_a_container_spec_with_lists_is_the_same_after_json() -> None:
    mount = Composed("/etc", "/etc", "/up", (Pick("hosts"), Pick("a", "named", "logins", "0123")))
    spec = ContainerSpec(mounts=(mount, Overlay("/usr", "/usr", "/up", True, "/var/db/pkg", ("a",))), run="/r")
    assert ContainerSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize("damage", ["pipe", "garbage", "missing", "emptied", "a file", "more", "mode"])
def test_damaged_copies_are_composed_again(tmp_path: Path, damage: str) -> None:
    """S11: they were used as they were; emerge waited without end for a pipe in the place of its make.conf."""
    etc = tmp_path / "etc"
    _file(etc / "portage/make.conf")
    _file(etc / "portage/package.use/all")
    wanted = {"portage/make.conf", "portage/package.use/all"}
    directory = Composed(str(etc), "/etc", "/up", (Pick("portage"),))
    place = composed.compose(directory, tmp_path / "cache")
    assert composed.compose(directory, tmp_path / "cache") == place
    copy = place / "portage/make.conf"
    match damage:
        case "pipe":
            copy.unlink()
            os.mkfifo(copy)
        case "garbage":
            copy.write_text("garbage")
        case "missing":
            copy.unlink()
        case "emptied":
            shutil.rmtree(place / "portage")
        case "a file":
            shutil.rmtree(place)
            place.write_text("garbage")
        case "more":
            (place / "portage/other").touch()
        case "mode":
            copy.chmod(0o666)

    assert set(_copied(etc, Pick("portage"))) == wanted
