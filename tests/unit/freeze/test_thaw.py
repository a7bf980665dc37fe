# SPDX-License-Identifier: GPL-2.0-or-later
"""Thawing is done whole or not at all, whenever the process is killed."""

import os
import shutil
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.errors import raises
from helpers.freeze import members, tree

from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import BadFile
from gentoomuch_portage.freeze import archive, signature, thaw, thaw_record, transaction, verify
from gentoomuch_portage.freeze import profile as freeze_profile
from gentoomuch_portage.freeze.archive import Manifest, Member
from gentoomuch_portage.freeze.errors import BadArchive
from gentoomuch_portage.reports import doctor

_STEPS = frozenset({"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "shutil.rmtree", "os.truncate"})


def frozen(root: Path, **told: str) -> Manifest:
    return archive.check_manifest(signature.add_manifest("lab", members(root, **told), None), "lab.tar")


def install(settings: Settings, found: Manifest, name: str = "lab", *, replace: bool = False) -> None:
    with transaction.locked(settings):
        thaw.install(settings, thaw.make_plan(settings, found, "lab.tar", name=name, world=True), replace=replace)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Of the thawed profile, so that no world of this machine is touched."""
    return tmp_path / "root"


def test_a_thawed_profile_is_complete(settings, root):
    install(settings, frozen(root), "desk")

    files = tree(settings.config, settings.state, root)
    assert files[str(settings.config / "layers/desk-common/make.conf")] == b'USE="nls"\n'
    assert files[str(settings.config / "patches/desk-fix/app-demo/gm-hello/a.patch")].startswith(b"---")
    assert b"=a/b-1" in files[str(settings.state / "desk/unmask.json")]
    assert [text for path, text in files.items() if path.endswith("/world")] == [b"app-demo/gm-hello\n"]
    assert b'layers = ["desk-common", "desk-this-machine"]' in files[str(settings.config / "profiles/desk.toml")]
    assert (settings.config / "layers/desk-common/package.use").stat().st_mode & 0o777 == 0o600
    assert thaw_record.read_record(settings, "desk").profile == "lab"


def test_files_with_redacted_secrets_are_listed(settings, root):
    assert not [one for one in thaw.list_notes(settings, frozen(root), "lab.tar") if "secret" in one]

    (told,) = (one for one in thaw.list_notes(settings, frozen(root, use="REDACTED"), "lab.tar") if "secret" in one)

    assert told.endswith(": layers/common/make.conf")


@pytest.mark.parametrize(
    ("before", "now", "lines"),
    [
        (None, b"", ["--- /dev/null", "+++ here/a"]),
        (b"", None, ["--- frozen/a", "+++ /dev/null"]),
        (b"a", b"a\n", ["--- frozen/a", "+++ here/a"]),
        (b"\xff1", b"\xff2", ["--- frozen/a", "+++ here/a"]),
    ],
)
def test_no_file_that_drifted_is_missing_in_the_diff(before: bytes | None, now: bytes | None, lines: list[str]):
    first, second = (None if one is None else Member("a", one) for one in (before, now))

    assert [*verify.unified_diff(verify.Change("a", "changed", first, second))][:2] == lines


def test_the_defaults_of_this_machine_do_not_change_a_thawed_profile(settings, write):
    write("profiles/lab.toml", 'base = "none"\n')
    told = freeze_profile.format_profile(config_profile.read(settings, "lab"), None, "")
    write("profiles/thawed.toml", told)

    theirs = settings._replace(defaults={"cpu": "znver3", "emerge": ["--ask"], "binpkg": {"use": False}})

    after = config_profile.read(theirs, "thawed")
    assert (after.cpu, after.emerge, after.binpkg["use"]) == ("", (), True)


@pytest.mark.parametrize("there", ["profiles/lab.toml", "layers/lab-common/x", "patches/lab-fix/x"])
def test_existing_files_are_overwritten_only_with_replace(settings, write, root, there):
    mine = write(there, "mine")

    with raises("thaw-taken"):
        install(settings, frozen(root))
    assert tree(settings.config, settings.state, root) == {str(mine): b"mine"}


def test_replacing_leaves_nothing_of_the_former(settings, write, root):
    install(settings, frozen(root))
    write("layers/lab-common/mine", "mine")

    install(settings, frozen(root, use="other"), replace=True)

    assert sorted(path.name for path in (settings.config / "layers/lab-common").iterdir()) == [
        "make.conf",
        "package.use",
    ]
    assert (settings.config / "layers/lab-common/make.conf").read_text() == 'USE="other"\n'


@pytest.mark.parametrize("before", ["nothing", "another"])
def test_a_thaw_killed_at_any_point_is_complete_or_undone(settings, root, tmp_path, monkeypatch, before):
    """Killed at each change that it makes to the disk, one after the other."""
    monkeypatch.setattr(os, "fsync", lambda _: None)  # matters to a power failure, and takes most of the time
    tops = (settings.config, settings.state, root)
    for top in tops:
        top.mkdir()
    if before == "another":
        install(settings, frozen(root, use="old"))
    plan = thaw.make_plan(settings, frozen(root, use="new"), "lab.tar", name="lab", world=True)
    first = tree(*tops)
    for top in tops:
        shutil.copytree(top, tmp_path / "saved" / top.name)

    steps = 0
    while _killed(steps, lambda: _installed(settings, plan)):
        seen = tree(*tops)
        seen.pop(str(transaction.journal_path(settings)), None)
        if (settings.config / "profiles/lab.toml").exists():
            assert seen == first or _new(seen), steps
        transaction.finish(settings)
        after = tree(*tops)
        assert after == first or _new(after), steps
        for top in tops if after != first else ():
            shutil.rmtree(top)
            shutil.copytree(tmp_path / "saved" / top.name, top)
        steps += 1

    assert steps > 20
    assert _new(tree(*tops))


def _installed(settings: Settings, plan: thaw.ThawPlan) -> None:
    with transaction.locked(settings):
        thaw.install(settings, plan, replace=True)


def _new(files: dict[str, bytes]) -> bool:
    """Whether a tree is that of the whole new profile, and of nothing else."""
    names = sorted(Path(path).name for path in files)
    whole = ["a.patch", "lab.toml", "make.conf", "make.conf", "package.use", "repos.conf"]
    return names == sorted([*whole, "thawed.json", "unmask.json", "world"]) and b'USE="new"\n' in files.values()


def _killed(step: int, work: Callable[[], None]) -> bool:
    """Do something in a process that is killed before its n-th change; whether it was."""
    count = iter(range(1 << 30))

    def heard(event: str, args: tuple) -> None:
        writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if (writes or event in _STEPS) and next(count) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def listened() -> None:
        sys.addaudithook(heard)
        work()

    status = _in_child(listened)
    assert status in {0, -signal.SIGKILL}
    return status != 0


def _in_child(work: Callable[[], None]) -> int:
    """Do something in a child; how it ended."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads; the child execs nothing
        child = os.fork()
    if not child:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_an_archive_without_a_profile_is_rejected(settings, root):
    found = frozen(root)
    found.members.pop("profile.toml")

    with pytest.raises(BadArchive, match="is missing"):
        install(settings, found)
    assert tree(settings.config, settings.state, root) == {}


@pytest.mark.parametrize(
    "text", [b'root = "x"', b'root = "/../x"', b'layers = ["../x"]', b"unknown = 1", b"=", b"\xff"]
)
def test_an_invalid_profile_is_rejected(settings, root, text):
    found = frozen(root)
    found.members["profile.toml"] = found.members["profile.toml"]._replace(content=text)

    with pytest.raises(BadArchive, match="its profile is invalid"):
        install(settings, found)


def test_leftovers_of_a_killed_thaw_are_removed_by_the_next_one(settings, write, root):
    write(".thaw-abc/layers/lab-common/make.conf", "x")

    install(settings, frozen(root))

    assert not list(settings.config.glob(".thaw-*"))


@pytest.fixture
def killed(settings, root, monkeypatch):
    """A thaw that was killed when it was decided, and before anything was in its place."""
    plan = thaw.make_plan(settings, frozen(root), "lab.tar", name="lab", world=True)
    with monkeypatch.context() as patched:
        patched.setattr(transaction, "_replace_directory", lambda *_: os._exit(9))
        _in_child(lambda: _installed(settings, plan))


@pytest.mark.usefixtures("killed")
def test_doctor_reports_and_finishes_a_killed_thaw(settings):
    told = [one.text for one in doctor.collect_facts(settings, frozenset()) if one.name == "thaw"]
    doctor.clean(settings)

    assert told == ["a thaw was killed in the middle; its profile is incomplete"]
    assert config_profile.names(settings) == ("lab",)
    assert not transaction.journal_path(settings).exists()


@pytest.mark.usefixtures("killed")
def test_a_killed_thaw_is_completed_in_its_own_configuration(settings, tmp_path):
    transaction.finish(settings._replace(config=tmp_path / "other"))

    assert (settings.config / "layers/lab-common/make.conf").read_text() == 'USE="nls"\n'
    assert config_profile.names(settings) == ("lab",)


@pytest.mark.usefixtures("killed")
@pytest.mark.parametrize("gone", [".", "layers/lab-common"])
def test_a_killed_thaw_with_missing_files_is_reported(settings, gone):
    [waiting] = transaction.list_staged(settings)
    shutil.rmtree(waiting / gone)

    with pytest.raises(BadFile, match="are missing"):
        transaction.finish(settings)

    assert transaction.journal_path(settings).is_file()
    assert config_profile.names(settings) == ()
