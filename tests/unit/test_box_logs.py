"""What comes out of a box's folder of logs, and what does not."""

import os
from pathlib import Path

import pytest

from gentoomuch_portage.containers import logs
from gentoomuch_portage.containers.spec import Box


def _box(tmp_path: Path) -> tuple[Path, Path]:
    """The folder of a box's logs, and that of the host."""
    run, host = tmp_path / "run", tmp_path / "log"
    run.mkdir()
    host.mkdir()
    box = Box(mounts=(logs.mount(run, host),), run=str(run))
    (run / "box.json").write_text(box.to_json())
    logs.prepare(run, box)
    return run / "logs", host


def test_new_logs_are_taken_whole_and_others_go_on(tmp_path: Path) -> None:
    own, host = _box(tmp_path)
    (host / "emerge.log").write_text("before\n")
    (own / "emerge.log").write_text("now\n")
    (own / "elog").mkdir()
    (own / "elog/a:b-1.log").write_text("told\n")
    (own / "elog/a:b-1.log").chmod(0o4770)
    logs.take_out(own.parent)
    logs.take_out(own.parent)
    assert (host / "emerge.log").read_text() == "before\nnow\n"
    assert (host / "elog/a:b-1.log").read_text() == "told\n"
    assert (host / "elog/a:b-1.log").stat().st_mode & 0o7777 == 0o660


def test_links_pipes_and_names_that_nobody_can_read_stay_behind(tmp_path: Path) -> None:
    own, host = _box(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("of the host")
    (own / "summary.log").symlink_to(secret)
    (own / "folder").symlink_to(tmp_path)
    (own / "hard.log").hardlink_to(secret)
    (own / "esc\x1b[2J.log").write_text("x")
    os.mkfifo(own / "pipe.log")
    logs.take_out(own.parent)
    assert list(host.iterdir()) == []
    assert secret.read_text() == "of the host"


def test_what_stands_on_the_host_as_a_link_is_not_written_through(tmp_path: Path) -> None:
    own, host = _box(tmp_path)
    (tmp_path / "keys").write_text("mine\n")
    (host / "summary.log").symlink_to(tmp_path / "keys")
    (own / "summary.log").write_text("theirs\n")
    (own / "zlib.log").write_text("kept\n")
    with pytest.raises(OSError, match=r"summary\.log"):
        logs.take_out(own.parent)
    assert (host / "zlib.log").read_text() == "kept\n"
    assert (tmp_path / "keys").read_text() == "mine\n"
