"""What of the host is private does not get into the upper layer of a box; what Portage has to read does."""

from collections.abc import Mapping
from pathlib import Path

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.containers import private_files
from gentoomuch_portage.containers.spec import Overlay, Tmpfs


def _file(path: Path, mode: int = 0o644, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def _names(depths: Mapping[str, int]) -> list[str]:
    return sorted(Path(path).name for path, _ in private_files.hidden(depths))


def test_a_folder_that_others_may_enter_is_searched_and_one_that_they_may_not_is_hidden_whole(tmp_path: Path) -> None:
    _file(tmp_path / "open/secret", 0o640)
    _file(tmp_path / "open/known")
    _file(tmp_path / "shut/known")
    (tmp_path / "shut").chmod(0o750)
    (tmp_path / "link").symlink_to("shut")
    assert _names({str(tmp_path): 9}) == ["secret", "shut"]


def test_no_level_below_those_asked_for_is_looked_at(tmp_path: Path) -> None:
    _file(tmp_path / "1/2/secret", 0o600)
    assert _names({str(tmp_path): 2}) == []
    assert _names({str(tmp_path): 3}) == ["secret"]


def test_what_a_box_has_to_read_is_not_hidden_though_it_is_private_and_stands_in_what_is(tmp_path: Path) -> None:
    needed = _file(tmp_path / "etc/portage/make.conf", 0o600).parent
    _file(tmp_path / "etc/portage/gnupg/private-keys-v1.d/a.key", 0o600).parent.chmod(0o700)
    _file(tmp_path / "etc/other", 0o600)
    for folder in (needed, tmp_path / "etc"):
        folder.chmod(0o700)
    depths = {str(tmp_path / "etc"): 99, str(needed): 0, str(needed / "gnupg"): 99}
    assert _names(depths) == ["other", "private-keys-v1.d"]
    assert _names({str(tmp_path): 99, **depths}) == ["other", "private-keys-v1.d"]


def test_the_key_of_a_binhost_and_kept_roots_are_private_and_the_ledger_is_not(tmp_path: Path) -> None:
    settings = Settings.of({"GM_STATE": str(tmp_path), "GM_CACHE": "/c", "GM_CONFIG": "/e"})
    for name in ("binhost/gnupg/a.key", "router/unmask.json", "router/roots/lab/etc/passwd"):
        _file(tmp_path / name, 0o600).parent.chmod(0o700)
    for name in ("binhost", "router", "router/roots", "router/roots/lab"):
        (tmp_path / name).chmod(0o700)
    found = private_files.depths(Path("/"), settings)
    assert _names({path: depth for path, depth in found.items() if path.startswith(str(tmp_path))}) == [
        "binhost",
        "roots",
    ]


def test_a_mount_is_told_of_the_folders_below_it_and_a_private_one_is_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "var/lib").mkdir(parents=True)
    (tmp_path / "var/lib/shut").mkdir(mode=0o700)
    var, lib, shut = (str(tmp_path / name) for name in ("var", "var/lib", "var/lib/shut"))
    looked = {var: 3}
    assert private_files.without(Overlay(str(tmp_path), "/", "/up"), looked) == Overlay(
        str(tmp_path), "/", "/up", {var: 3}
    )
    assert private_files.without(Overlay(lib, lib, "/up"), looked) == Overlay(lib, lib, "/up", {lib: 2})
    assert private_files.without(Overlay(shut, shut, "/up"), looked) == Tmpfs(shut, 0o700)
    assert private_files.without(Overlay("/usr", "/usr", "/up"), looked) == Overlay("/usr", "/usr", "/up")


def test_users_stay_in_the_file_of_passwords_without_one(tmp_path: Path) -> None:
    source, upper = tmp_path / "etc", tmp_path / "up"
    _file(source / "shadow", 0o640, "root:$y$hash:1:0:::::\nportage:*:2::::::\nbroken\n")
    upper.mkdir()
    private_files.hide(Overlay(str(source), "/etc", str(upper), {str(source): 9}))
    assert (upper / "shadow").read_text() == "root:!:1:0:::::\nportage:!:2::::::\n"
    assert (upper / "shadow").stat().st_mode & 0o7777 == 0o640


def test_what_a_box_has_changed_before_is_left_as_it_is(tmp_path: Path) -> None:
    source, upper = tmp_path / "etc", tmp_path / "up"
    _file(source / "shadow", 0o600, "root:$y$hash:1:\n")
    _file(source / "deep/secret", 0o600)
    _file(upper / "shadow", 0o600, "root:mine:1:\n")
    overlay = Overlay(str(source), "/etc", str(upper), {str(source): 9})
    private_files.hide(overlay)
    private_files.hide(overlay)
    assert (upper / "shadow").read_text() == "root:mine:1:\n"
    assert (upper / "deep/secret").read_text() == ""


def test_what_a_box_has_removed_stays_removed(tmp_path: Path) -> None:
    source, upper = tmp_path / "etc", tmp_path / "up"
    _file(source / "ppp/deep/secret", 0o600)
    _file(source / "ssh/secret", 0o600)
    _file(upper / "ppp")  # as a whiteout of overlayfs, which only a mount makes
    (upper / "ssh").symlink_to(tmp_path)
    private_files.hide(Overlay(str(source), "/etc", str(upper), {str(source): 9}))
    assert (upper / "ppp").is_file()
    assert not (tmp_path / "secret").exists()
