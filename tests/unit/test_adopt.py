"""What of another machine's folder becomes a layer."""

from pathlib import Path

import pytest

from gentoomuch_portage.config import import_etc
from gentoomuch_portage.config.import_etc import NoPortage


def fill(folder: Path, *names: str) -> Path:
    """Write files with a word in each."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("a word\n")
    return folder


def test_what_portage_does_not_read_is_not_taken_and_named_once(tmp_path: Path):
    etc = fill(tmp_path / "portage", "make.conf", "package.use/mine", "ssh/host_key", "ssh/host_key.pub", "shadow")

    adopted = import_etc.adopt(str(etc), tmp_path / "layers/router")

    assert sorted(path.name for path in (tmp_path / "layers/router").rglob("*")) == ["make.conf", "mine", "package.use"]
    assert [line.partition(":")[0] for line in adopted.left] == ["shadow", "ssh"]


def test_a_folder_of_which_portage_reads_nothing_is_refused_with_the_one_that_is_meant(tmp_path: Path):
    etc = fill(tmp_path / "etc", "shadow", "ssh/host_key", "portage/make.conf")

    with pytest.raises(NoPortage) as caught:
        import_etc.adopt(str(etc), tmp_path / "layers/router")

    assert f"adopt {etc}/portage" in caught.value.remedy
    assert not (tmp_path / "layers").exists()


def test_a_folder_of_anything_else_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "portage").mkdir()
    monkeypatch.setenv("PATH", "")  # there is no tar to read it

    with pytest.raises(NoPortage) as told:
        import_etc.adopt(str(tmp_path), tmp_path / "layer")

    assert told.value.remedy == f"gentoomuch profile adopt {tmp_path}/portage NAME"
