"""What doctor says of this host."""

import os
from pathlib import Path

import pytest

from gentoomuch_portage import checkup


@pytest.mark.parametrize(("mode", "told"), [(0o1777, []), (0o555, ["note" if os.geteuid() == 0 else "bad"])])
def test_a_tmp_in_which_make_would_crash_is_told(tmp_path: Path, mode: int, told: list[str]):
    tmp_path.chmod(mode)

    found = list(checkup._for_all(tmp_path))

    assert [one.state for one in found] == told
    assert all(one.remedy == f"chmod 1777 {tmp_path}" for one in found)
