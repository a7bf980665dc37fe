# SPDX-License-Identifier: GPL-2.0-or-later
"""Snapshots on btrfs, which shares data between copies; it is an image, mounted in a namespace of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")]
_TOP = Path(__file__).parents[3]
_SCRIPT = """
import os
import subprocess
import sys
from pathlib import Path

from gentoomuch_portage.roots import snapshots
from helpers.snapshots import describe

top, is_subvolume, is_nested = Path(sys.argv[1]), sys.argv[2] == "subvolume", sys.argv[3] == "nested"
root = top / "roots/router"
root.parent.mkdir()
if is_subvolume:
    subprocess.run(["btrfs", "subvolume", "create", root], check=True)
(root / "usr").mkdir(parents=True)
if is_nested:
    subprocess.run(["btrfs", "subvolume", "create", root / "nested"], check=True)
    (root / "nested/file").write_text("nested")
large = root / "usr/large"
large.write_bytes(os.urandom(60_000_000))
large.with_name("hard").hardlink_to(large)
old = describe(root)
for _ in range(4):  # 240 MB in a file system of 200 MB: the copies share their data
    number = snapshots.save(root, "router")
(root / "usr/small").write_text("new")
new = describe(root)

chosen, former = snapshots.rollback(root, "router", 1, 1)
assert describe(root) == old
assert describe(snapshots.folder_of(root) / f"{former}/root") == new
saved = snapshots.folder_of(root) / "2/root"
assert describe(saved) == old
assert (saved.stat().st_ino == 256) == (is_subvolume and not is_nested)
snapshots.rollback(root, "router", former, 1)
assert describe(root) == new
for generation in snapshots.generations(root):
    snapshots.remove(root, "router", generation.generation)
assert [path.name for path in snapshots.folder_of(root).iterdir()] == ["lock"]
print("seen")
"""


@pytest.mark.parametrize("words", [("subvolume", ""), ("subvolume", "nested"), ("directory", "")])
def test_generations_share_data_and_a_rollback_restores_them(words: tuple[str, str], tmp_path: Path) -> None:
    if not shutil.which("mkfs.btrfs") or not shutil.which("unshare"):
        pytest.skip("no mkfs.btrfs, or no unshare")
    image, place = tmp_path / "image", tmp_path / "place"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(200_000_000)
    subprocess.run(["mkfs.btrfs", "-q", image], check=True)
    argv = ["unshare", "-m", "sh", "-c", 'mount -o loop "$1" "$2" || exit 77; shift 2; exec "$@"', "sh", image, place]
    argv += [sys.executable, "-c", _SCRIPT, place, *words]
    env = {**os.environ, "PYTHONPATH": f"{_TOP}:{_TOP}/tests"}
    ended = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    if ended.returncode == 77:
        pytest.skip(f"btrfs cannot be mounted: {ended.stderr}")

    assert ended.stdout.endswith("seen\n"), ended.stderr
