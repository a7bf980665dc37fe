# SPDX-License-Identifier: GPL-2.0-or-later
"""What holds for a while: an environment to look with, and the files of one profile."""

import os
from pathlib import Path

from portage.util.mtimedb import MtimeDB

from gentoomuch_portage.portage_adapter import isolation
from gentoomuch_portage.portage_adapter.patching import query_environment


def test_a_missing_root_is_read_as_empty_and_not_created(tmp_path: Path):
    root = str(tmp_path / "box")

    with query_environment({"ROOT": root, "SYSROOT": root, "PORTAGE_CONFIGROOT": "/c"}) as env:
        seen = Path(env["ROOT"])
        (seen / "var").mkdir()  # as Portage does
        told = {name: os.environ[name] for name in env}

    assert told == {"ROOT": str(seen), "SYSROOT": str(seen), "PORTAGE_CONFIGROOT": "/c"}
    assert not seen.exists()
    assert not (tmp_path / "box").exists()


def test_an_existing_root_is_read(tmp_path: Path):
    asked = {"ROOT": str(tmp_path), "SYSROOT": "/"}

    with query_environment(asked) as env:
        assert env == asked


def test_the_directory_of_the_resume_list_is_created_on_write(tmp_path: Path):
    with isolation.apart(state=tmp_path / "state", cache=tmp_path, build_configroot=lambda: ""):
        database = MtimeDB("/roots/box/var/cache/edb/mtimedb")
        database.commit()
        before = list(tmp_path.iterdir())
        database["starttime"] = 7
        database.commit()

    assert before == []
    assert '"starttime": 7' in (tmp_path / "state/resume/roots-box/mtimedb").read_text()
