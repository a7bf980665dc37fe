# SPDX-License-Identifier: GPL-2.0-or-later
"""S9: what comes out of a container's logs: new files of its run's packages, and nothing that a terminal obeys.

dfeccc0 appended whatever was there to the host's logs, with its owner; these tests were not run on it.
"""

import os
import stat
from pathlib import Path

import pytest

from gentoomuch_portage.containers import logs
from gentoomuch_portage.containers.spec import ContainerSpec

FOO = "app-misc/foo-1-r1"
DATE = "20260101-000000"


class Logs:
    """A container's directory of logs, and that of the host."""

    def __init__(self, folder: Path) -> None:
        run, self.host = folder / "run", folder / "log"
        run.mkdir()
        self.host.mkdir(mode=0o750)
        os.chown(self.host, 250, 251)
        spec = ContainerSpec(mounts=(logs.mount(run, self.host),), run=str(run))
        (run / "container.json").write_text(spec.to_json())
        logs.prepare(run, spec)
        self.own, self.lines = run / "logs", list[str]()

    def write(self, name: str, text: str = "text\n") -> Path:
        """Leave a log in the container."""
        path = self.own / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def take(self) -> list[str]:
        """Take the logs out; the files that the host has then."""
        logs.take_out(self.own.parent, {FOO}, self.lines.append)
        return sorted(str(path.relative_to(self.host)) for path in self.host.rglob("*") if not path.is_dir())


@pytest.fixture
def both(tmp_path: Path) -> Logs:
    """Logs of a run that resolved foo."""
    if os.geteuid():
        pytest.skip("only root gives files away")
    return Logs(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        f"app-misc:foo-1-r1:{DATE}.log",
        f"app-misc-foo-1-r1-{DATE}.log",
        f"app-misc:foo-1-r1:{DATE}.log.gz",
        f"build/app-misc/foo-1-r1:{DATE}.log",
        f"elog/app-misc:foo-1-r1:{DATE}.log",
        f"elog/app-misc/foo-1-r1:{DATE}.log",
    ],
)
def test_the_log_of_a_package_of_the_run_is_copied(both: Logs, name: str) -> None:
    both.write(name).chmod(0o4777)
    assert both.take() == [name]
    assert both.lines == []
    seen = (both.host / name).stat()
    assert (seen.st_uid, seen.st_gid, stat.S_IMODE(seen.st_mode)) == (250, 251, 0o664)


def test_copied_logs_have_the_owner_of_the_hosts_directory(both: Logs) -> None:
    file = both.write(f"build/app-misc/foo-1-r1:{DATE}.log")
    for path in (file, file.parent, file.parent.parent):
        os.chown(path, 1002, 1003)
    both.take()
    for path in (both.host / "build").rglob("*"):
        assert (path.stat().st_uid, path.stat().st_gid) == (250, 251)
    assert stat.S_IMODE((both.host / "build/app-misc").stat().st_mode) == 0o750


@pytest.mark.parametrize(
    "name",
    [
        f"sys-libs:glibc-2.42:{DATE}.log",
        f"app-misc:foo-1:{DATE}.log",
        f"app-misc:foo-1-r1-evil:{DATE}.log",
        f"build/sys-libs/glibc-2.42:{DATE}.log",
        f"deep/build/app-misc/foo-1-r1:{DATE}.log",
        f"elog/build/app-misc/foo-1-r1:{DATE}.log",
        "app-misc:foo-1-r1:odd.log",
        f"app-misc:foo-1-r1:{DATE}.so",
        "build/emerge.log",
        "cron.d/job",
    ],
)
def test_logs_of_other_packages_are_rejected(both: Logs, name: str) -> None:
    both.write(name)
    assert both.take() == []
    assert len(both.lines) == 1
    assert not (both.own / name).exists(), "it is forgotten"


def test_emerge_log_is_not_copied(both: Logs) -> None:
    (both.host / "emerge.log").write_text("before\n")
    for name in ("emerge.log", "emerge-fetch.log"):
        both.write(name)
    assert both.take() == ["emerge.log"]
    assert (both.host / "emerge.log").read_text() == "before\n"
    assert both.lines == []


def test_an_existing_log_of_the_host_is_not_overwritten(both: Logs) -> None:
    name = f"app-misc:foo-1-r1:{DATE}.log"
    (both.host / name).write_text("before\n")
    both.write(name)
    with pytest.raises(FileExistsError):
        both.take()
    assert (both.host / name).read_text() == "before\n"


def test_links_pipes_and_unprintable_names_are_rejected(both: Logs, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of the host")
    for number, kind in enumerate(("symlink_to", "hardlink_to")):
        getattr(both.own / f"app-misc:foo-1-r1:2026010{number + 2}-000000.log", kind)(tmp_path / "secret")
    (both.own / "elog").symlink_to(tmp_path)
    both.write(f"app-misc:\x1b[2Jfoo-1-r1:{DATE}.log")
    os.mkfifo(both.own / f"app-misc:foo-1-r1:{DATE}.log")
    assert both.take() == []
    assert (tmp_path / "secret").read_text() == "of the host"


@pytest.mark.parametrize("link", ["elog", "elog/summary.log"])
def test_a_link_on_the_host_is_not_written_through(both: Logs, tmp_path: Path, link: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/summary.log").write_text("mine\n")
    (both.host / link).parent.mkdir(exist_ok=True)
    (both.host / link).symlink_to(tmp_path / "elsewhere" / Path(link).relative_to("elog"))
    both.write("elog/summary.log", _summary(FOO))
    both.write(f"app-misc:foo-1-r1:{DATE}.log")
    with pytest.raises(OSError, match=r"summary\.log|elog"):
        both.take()
    assert (tmp_path / "elsewhere/summary.log").read_text() == "mine\n"
    assert (both.host / f"app-misc:foo-1-r1:{DATE}.log").exists(), "the others are kept"


def _summary(cpv: str, text: str = "INFO: setup\nnote\n") -> str:
    """A part of Portage's summary. Source: portage.elog.mod_save_summary."""
    return f">>> Messages generated by process 7 on 2026-01-01 00:00:00 UTC for package {cpv}:\n\n{text}\n"


def test_sections_of_packages_of_the_run_are_added_to_the_summary(both: Logs) -> None:
    (both.host / "elog").mkdir()
    (both.host / "elog/summary.log").write_text("before\n")
    both.write("elog/summary.log", f"forged\n{_summary('sys-libs/glibc-2.42')}{_summary(FOO)}")
    both.take()
    assert (both.host / "elog/summary.log").read_text() == f"before\n{_summary(FOO)}"


def test_control_characters_in_the_summary_are_escaped(both: Logs) -> None:
    both.write("elog/summary.log", _summary(FOO, "\x1b]0;owned\x07\x1b[2J\r\x9b\u202e\tend\n"))
    both.take()
    text = (both.host / "elog/summary.log").read_text()
    assert text.replace("\n", "").isprintable()
    assert "\\x1b]0;owned\\x07\\x1b[2J\\r\\x9b\\u202e    end\n" in text


def test_the_summary_of_the_host_keeps_its_owner_and_mode(both: Logs) -> None:
    summary = both.host / "elog/summary.log"
    summary.parent.mkdir()
    summary.write_text("before\n")
    summary.chmod(0o640)
    os.chown(summary, 300, 301)
    both.write("elog/summary.log", _summary(FOO))
    both.take()
    seen = summary.stat()
    assert (seen.st_uid, seen.st_gid, stat.S_IMODE(seen.st_mode)) == (300, 301, 0o640)


def test_too_large_logs_are_rejected(both: Logs) -> None:
    with both.write(f"app-misc:foo-1-r1:{DATE}.log").open("r+b") as log:
        log.truncate(3 << 30)
    both.write("app-misc:foo-1-r1:20260101-000001.log")
    both.write("elog/summary.log", _summary(FOO, "x" * (5 << 20)))
    assert both.take() == ["app-misc:foo-1-r1:20260101-000001.log", "elog/summary.log"]
    assert (both.host / "elog/summary.log").stat().st_size <= (1 << 20) + 1, "cut, and a line end"
