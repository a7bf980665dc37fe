"""Virtual machines as data: qemu's words, the Linux that is booted, and what is handed to it."""

import gzip
import os
from pathlib import Path

import pytest

from gentoomuch_portage.containers.spec import Bind, Box, Dev, Proc, Tmpfs
from gentoomuch_portage.containers.vm import guest, initramfs, launch
from gentoomuch_portage.errors import MissingKernel

_BOX = Box(mounts=(), run="/cache/run-1,2", door=("python3", "-m", "gentoomuch_portage.containers.init"))
_PLAIN = launch.Machine(kernel="/boot/vmlinuz", kvm=False, terminal=False, cpus=1, memory=1 << 30)


def _image(path: Path, release: str) -> Path:
    """A Linux of which only the header is there."""
    head = bytearray(0x1000)
    head[0x202:0x206], head[0x20E:0x210] = b"HdrS", (0x600).to_bytes(2, "little")
    text = f"{release} (us@here) #1 SMP".encode()
    head[0x800 : 0x800 + len(text)] = text
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head)
    return path


def test_a_machine_has_a_network_only_while_fetching() -> None:
    fetching = Box(mounts=(), run="/r", network=True)

    assert "user,id=net" in launch.argv(fetching, _PLAIN)
    assert "-netdev" not in launch.argv(_BOX, _PLAIN)
    assert launch.argv(_BOX, _PLAIN)[launch.argv(_BOX, _PLAIN).index("-nic") + 1] == "none"


def test_a_machine_is_handed_the_root_of_its_box_and_empty_swap_alone() -> None:
    words = launch.argv(_BOX, _PLAIN)

    paths = [words[at + 1] for at, word in enumerate(words) if word in {"-fsdev", "-drive", "-hda", "-virtfs"}]
    assert sorted(paths) == [
        "if=none,id=swap,format=raw,discard=unmap,file=/cache/run-1,,2/swap",
        "local,id=box,path=/cache/run-1,,2/root,security_model=passthrough,multidevs=remap",
    ]


def test_output_and_errors_of_a_machine_are_kept_apart_unless_it_has_the_terminal() -> None:
    apart = launch.argv(_BOX, _PLAIN)
    together = launch.argv(_BOX, launch.Machine(kernel="k", kvm=True, terminal=True, cpus=2, memory=1 << 30))

    assert [word for word in apart if "/proc/self/fd" in word] == [
        "file,id=out,path=/proc/self/fd/1,append=on",
        "file,id=err,path=/proc/self/fd/2,append=on",
    ]
    assert "stdio,id=out,signal=off" in together
    assert together[together.index("-accel") + 1 : together.index("-accel") + 4] == ("kvm", "-cpu", "host")


def test_the_linux_that_runs_here_is_booted_before_a_newer_one(tmp_path: Path) -> None:
    own = _image(tmp_path / f"boot/vmlinuz-{os.uname().release}", os.uname().release)
    newer = _image(tmp_path / "boot/kernel-99.1-gentoo", "99.1-gentoo")
    os.utime(own, (1, 1))

    assert initramfs.kernel(root=tmp_path).image == own
    own.unlink()
    assert initramfs.kernel(root=tmp_path) == (newer, "99.1-gentoo", tmp_path / "lib/modules/99.1-gentoo")


def test_what_is_no_linux_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "initrd").write_bytes(b"\x1f\x8b" * 5000)

    with pytest.raises(MissingKernel, match="it is no Linux for x86") as refused:
        initramfs.kernel(str(tmp_path / "initrd"))
    assert "[container]" in refused.value.remedy
    with pytest.raises(MissingKernel, match="there is no Linux to boot"):
        initramfs.kernel(root=tmp_path)


def test_modules_are_loaded_behind_those_that_they_need(tmp_path: Path) -> None:
    (tmp_path / "modules.dep").write_text(
        "a/virtio.ko:\na/9p-net.ko.gz: a/virtio.ko\na/9p.ko: a/9p-net.ko.gz a/cache.ko\na/cache.ko:\n"
    )
    linux = initramfs.Kernel(tmp_path / "k", "1", tmp_path)

    files = initramfs.modules(linux, ("9p", "built_in", "9p_net"))

    assert [str(file.relative_to(tmp_path / "a")) for file in files] == [
        "virtio.ko",
        "9p-net.ko.gz",
        "cache.ko",
        "9p.ko",
    ]


def test_an_initramfs_holds_modules_as_the_kernel_takes_them(tmp_path: Path) -> None:
    (tmp_path / "9p.ko.gz").write_bytes(gzip.compress(b"the module"))
    (tmp_path / "modules.dep").write_text("9p.ko.gz:\n")
    linux = initramfs.Kernel(tmp_path / "k", "1", tmp_path)
    (tmp_path / "out").mkdir()

    packed = initramfs.initramfs(linux, b"first", {"door": b"a\0b\0"}, network=False)

    assert packed.count(b"070701") == 6
    assert b"modules/0\0" in packed
    assert b"the module" in packed


def test_only_folders_in_memory_without_other_mounts_are_laid_in_the_machine() -> None:
    told = Bind("/x", "/run/gentoomuch/box.json")
    box = Box(mounts=(Tmpfs("/tmp"), Tmpfs("/run"), Dev(), Proc(), told), run="/r")

    assert guest.own(box) == [Tmpfs("/tmp"), Dev(), Proc()]


def test_the_status_of_a_machine_is_what_its_program_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "status").write_text("")
    (tmp_path / "console").write_text("booting\nKernel panic - not syncing\n\n")

    assert launch.ended(tmp_path, 0) == 70
    assert capfd.readouterr().err == "gentoomuch: the virtual machine has failed: Kernel panic - not syncing\n"
    assert launch.ended(tmp_path, 137) == 137
    (tmp_path / "status").write_text("3\n")
    assert launch.ended(tmp_path, 0) == 3
