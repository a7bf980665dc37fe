# SPDX-License-Identifier: GPL-2.0-or-later
"""Which folders ``root rm`` removes."""

import json
from pathlib import Path

import pytest
from helpers.errors import raises

from gentoomuch_portage.cli.commands import run_command_line
from gentoomuch_portage.portage_adapter import paths
from gentoomuch_portage.roots import install


@pytest.fixture
def root(monkeypatch, settings, write, tmp_path: Path) -> Path:
    """The root of the profile ``lab``: a folder with somebody's data."""
    for name in ("config", "state", "cache"):
        monkeypatch.setenv(f"GM_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.setenv("PORTAGE_CONFIGROOT", str(settings.host.parent.parent))
    root = tmp_path / "data"
    (root / "home").mkdir(parents=True)
    (root / "home/thesis").write_text("years")
    write("profiles/lab.toml", f'root = "{root}"\n')
    return root


def test_a_directory_that_is_not_a_root_is_neither_removed_nor_suggested(root: Path, capsys):
    status = run_command_line(["root", "rm", "lab", "--yes"])

    assert (status, "[not-a-root]" in capsys.readouterr().err) == (70, True)
    assert (root / "home/thesis").read_text() == "years"
    with raises("root-taken") as refused:
        install.check_free(root)
    assert "rm" not in refused.value.hint


@pytest.mark.parametrize("mark", [f"{paths.eprefix()}/var/db/pkg/app-misc", "/var/db/pkg", "/.gentoomuch-bootstrap"])
def test_a_root_is_removed_with_all_that_is_in_it(mark: str, root: Path):
    Path(f"{root}{mark}").mkdir(parents=True)

    with raises("root-taken") as refused:
        install.check_free(root)
    status = run_command_line(["root", "rm", "lab", "--yes", "--quiet"])

    assert refused.value.hint.startswith("gentoomuch root rm ")
    assert status == 0
    assert not root.exists()


def test_an_empty_root_is_removed(root: Path):
    (root / "home/thesis").unlink()
    (root / "home").rmdir()

    assert run_command_line(["root", "rm", "lab", "--yes", "--quiet"]) == 0
    assert not root.exists()


@pytest.mark.parametrize("words", [("freshroot", "lab", "--", "true"), ("root", "export", "lab", "-o", "image.tar")])
@pytest.mark.parametrize("there", [False, True])
def test_a_root_that_was_never_made_is_not_entered_or_exported(words, there, root: Path, write, monkeypatch, capsys):
    monkeypatch.chdir(root)
    folder = root / "folder"
    write("profiles/lab.toml", f'root = "{folder}"\n')
    if there:
        folder.mkdir()

    status = run_command_line(list(words))

    assert (status, "[no-root]" in capsys.readouterr().err) == (70, True)
    assert (folder.exists(), (root / "image.tar").exists()) == (there, False)


def test_an_unreadable_root_does_not_hide_the_others(root: Path, write, monkeypatch, capsys):
    write("profiles/away.toml", 'root = "/nowhere"\n')
    looks = Path.is_dir
    monkeypatch.setattr(Path, "is_dir", lambda path: _closed(path) if path == root else looks(path))

    status = run_command_line(["root", "ls", "--json"])

    told = {one["profile"]: one["state"] for one in json.loads(capsys.readouterr().out)}
    assert (status, told) == (0, {"lab": "closed", "away": "missing"})


def _closed(path: Path) -> bool:
    raise PermissionError(13, "Permission denied", str(path))


def test_an_unknown_fresh_root_is_reported_with_the_saved_ones(root: Path, settings, capsys):
    (settings.state / "lab/roots/old").mkdir(parents=True)

    status = run_command_line(["root", "rm", "lab", "--fresh", "odl", "--yes"])

    assert (status, "(available: old)" in capsys.readouterr().err) == (70, True)


@pytest.mark.parametrize(("kind", "said"), [("docker", ()), ("podman", ("--isolation", "docker"))])
def test_a_fresh_root_is_of_the_kind_that_the_profile_or_the_command_line_names(
    kind: str, said: tuple[str, ...], root: Path, write, capsys
):
    write("profiles/lab.toml", f'root = "{root}"\nisolation = "{kind}"\n')

    status = run_command_line(["freshroot", "lab", *said, "--", "true"])

    assert (status, "[no-docker]" in capsys.readouterr().err) == (69, True)


def test_a_root_with_a_linked_package_database_is_not_exported(root: Path, tmp_path: Path, capsys):
    vdb = Path(f"{root}{paths.eprefix()}/var/db/pkg")
    vdb.parent.mkdir(parents=True)
    vdb.symlink_to(tmp_path)

    status = run_command_line(["root", "export", "lab", "-o", str(tmp_path / "lab.tar")])

    assert (status, "[linked-record]" in capsys.readouterr().err) == (70, True)
    assert not (tmp_path / "lab.tar").exists()


def test_a_root_that_is_not_finished_is_not_exported(root: Path, tmp_path: Path, capsys):
    (root / ".gentoomuch-bootstrap").write_text('{"done": []}')

    status = run_command_line(["root", "export", "lab", "-o", str(tmp_path / "lab.tar")])

    assert (status, "[unfinished-root]" in capsys.readouterr().err) == (70, True)
    assert not (tmp_path / "lab.tar").exists()
