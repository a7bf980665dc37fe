# SPDX-License-Identifier: GPL-2.0-or-later
"""PORTAGE_CONFIGROOT names the configuration of the host, also for a run with a profile."""

from pathlib import Path

import pytest

from gentoomuch_portage.demo_host import Host


@pytest.mark.parametrize("base", ["host", "none"])
@pytest.mark.parametrize("what", ["missing", "a file"])
def test_a_configroot_that_is_not_a_directory_is_one_error(host: Host, on, tmp_path: Path, what: str, base: str):
    host.profile("lab", f'base = "{base}"\nmake_profile = "gm-demo:machine"\nroot = "{tmp_path / "root"}"\n')
    path = tmp_path / "configroot"
    if what == "a file":
        path.write_text("")

    ended = on(
        "gm-emerge", "--gm-profile=lab", "-p", "gm-hello", PORTAGE_CONFIGROOT=str(path), GM_CONFIG=str(host.config)
    )

    assert ended.status == 78, ended.out + ended.err
    assert "[no-configroot]" in ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""
