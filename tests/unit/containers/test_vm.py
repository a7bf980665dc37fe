# SPDX-License-Identifier: GPL-2.0-or-later
"""Virtual machines: the command line of qemu, the kernel, and the initramfs."""

import gzip
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from gentoomuch_portage.config.isolation_kinds import VM
from gentoomuch_portage.containers.spec import Bind, ContainerSpec, Dev, Proc, Tmpfs
from gentoomuch_portage.containers.vm import guest, initramfs, launch
from gentoomuch_portage.errors import MissingKernel

_SPEC = ContainerSpec(mounts=(), run="/cache/run-1,2", init=("python3", "-m", "gentoomuch_portage.containers.init"))
_PLAIN = launch.Machine(kernel="/boot/vmlinuz", kvm=False, terminal=False, cpus=1, memory=1 << 30)


def _image(path: Path, release: str) -> Path:
    """Write a kernel that has only its header."""
    head = bytearray(0x1000)
    head[0x202:0x206], head[0x20E:0x210] = b"HdrS", (0x600).to_bytes(2, "little")
    text = f"{release} (us@here) #1 SMP".encode()
    head[0x800 : 0x800 + len(text)] = text
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head)
    return path


def test_a_vm_has_a_network_only_while_fetching() -> None:
    fetching = ContainerSpec(mounts=(), run="/r", network=True)

    assert "user,id=net" in launch.argv(fetching, _PLAIN)
    assert "-netdev" not in launch.argv(_SPEC, _PLAIN)
    assert launch.argv(_SPEC, _PLAIN)[launch.argv(_SPEC, _PLAIN).index("-nic") + 1] == "none"


def test_events_of_a_vm_have_a_port_of_their_own() -> None:
    """9p has no pipes: no package of a virtual machine was taken over, as nothing had reported it."""
    pipe = Bind("/cache/run-1,2/events", "/run/gentoomuch/events", writable=True)

    words = launch.argv(_SPEC._replace(mounts=(pipe,)), _PLAIN)

    assert words[words.index("file,id=events,path=/cache/run-1,,2/events,append=on") - 1] == "-chardev"
    assert words[words.index("virtserialport,chardev=events,nr=4") - 1] == "-device"
    assert not [word for word in launch.argv(_SPEC, _PLAIN) if "events" in word]


def test_a_vm_shares_only_its_root_and_a_swap_disk() -> None:
    words = launch.argv(_SPEC, _PLAIN)

    paths = [words[at + 1] for at, word in enumerate(words) if word in {"-fsdev", "-drive", "-hda", "-virtfs"}]
    assert sorted(paths) == [
        "if=none,id=swap,format=raw,discard=unmap,file=/cache/run-1,,2/swap",
        "local,id=root,path=/cache/run-1,,2/root,security_model=passthrough,multidevs=remap",
    ]


def test_output_and_errors_of_a_vm_are_separate_without_a_terminal() -> None:
    apart = launch.argv(_SPEC, _PLAIN)
    together = launch.argv(_SPEC, launch.Machine(kernel="k", kvm=True, terminal=True, cpus=2, memory=1 << 30))

    assert [word for word in apart if "/proc/self/fd" in word] == [
        "file,id=out,path=/proc/self/fd/1,append=on",
        "file,id=err,path=/proc/self/fd/2,append=on",
    ]
    assert "stdio,id=out,signal=off" in together
    assert together[together.index("-accel") + 1 : together.index("-accel") + 4] == ("kvm", "-cpu", "host")


_ALL = (*initramfs.DRIVERS, *initramfs.NETWORK)


def _kernel(root: Path, release: str, *, modules: Iterable[str] = _ALL, built_in: Iterable[str] = ()) -> Path:
    """Write a kernel with drivers, and return its image."""
    folder = root / "lib/modules" / release
    folder.mkdir(parents=True)
    (folder / "modules.dep").write_text("".join(f"kernel/{name.replace('_', '-')}.ko.xz:\n" for name in modules))
    (folder / "modules.builtin").write_text("".join(f"kernel/{name}.ko\n" for name in built_in))
    return _image(root / f"boot/vmlinuz-{release}", release)


def test_the_running_kernel_is_preferred_to_a_newer_one(tmp_path: Path) -> None:
    own = _kernel(tmp_path, os.uname().release)
    newer = _kernel(tmp_path, "99.1-gentoo")

    assert initramfs.find_kernel(root=tmp_path).image == own
    own.unlink()
    assert initramfs.find_kernel(root=tmp_path) == (newer, "99.1-gentoo", tmp_path / "lib/modules/99.1-gentoo")


def test_a_kernel_is_chosen_by_its_version_and_not_by_its_date(tmp_path: Path) -> None:
    _kernel(tmp_path, "99.9.1")
    newest = _kernel(tmp_path, "99.10.1")
    os.utime(newest, (1, 1))

    assert initramfs.find_kernel(root=tmp_path).image == newest


def test_a_kernel_without_all_drivers_is_never_chosen(tmp_path: Path) -> None:
    """The kernels of Debian for clouds have no 9p: the machine started, and ended without a reason."""
    complete = _kernel(tmp_path, "5.1", modules=_ALL[:3], built_in=_ALL[3:])
    cloud = _kernel(tmp_path, "99.1-cloud", modules=[name for name in _ALL if "9p" not in name])
    running = _kernel(tmp_path, os.uname().release, modules=())

    assert initramfs.find_kernel(root=tmp_path).image == complete
    assert initramfs.find_kernel(str(complete), root=tmp_path).image == complete
    for image, missing in ((cloud, ["9p", "9pnet_virtio"]), (running, list(_ALL))):
        with pytest.raises(MissingKernel) as rejected:
            initramfs.find_kernel(str(image), root=tmp_path)
        assert str(image) in str(rejected.value)
        assert str(rejected.value).rpartition(": ")[2].split(", ") == missing


def test_a_kernel_without_modules_is_chosen_if_no_other_is_known_to_have_the_drivers(tmp_path: Path) -> None:
    unknown = _image(tmp_path / "boot/vmlinuz-99.2", "99.2")
    assert initramfs.find_kernel(root=tmp_path).image == unknown

    known = _kernel(tmp_path, "5.1")
    assert initramfs.find_kernel(root=tmp_path).image == known


def test_a_file_that_is_not_a_kernel_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "initrd").write_bytes(b"\x1f\x8b" * 5000)

    with pytest.raises(MissingKernel, match=f"{tmp_path}/initrd") as rejected:
        initramfs.find_kernel(str(tmp_path / "initrd"))
    assert "[container]" in rejected.value.hint
    with pytest.raises(MissingKernel, match=f"{tmp_path}/boot"):
        initramfs.find_kernel(root=tmp_path)


def test_modules_are_loaded_after_their_dependencies(tmp_path: Path) -> None:
    (tmp_path / "modules.dep").write_text(
        "a/virtio.ko:\na/9p-net.ko.gz: a/virtio.ko\na/9p.ko: a/9p-net.ko.gz a/cache.ko\na/cache.ko:\n"
    )
    linux = initramfs.Kernel(tmp_path / "k", "1", tmp_path)

    files = initramfs.find_modules(linux, ("9p", "built_in", "9p_net"))

    assert [str(file.relative_to(tmp_path / "a")) for file in files] == [
        "virtio.ko",
        "9p-net.ko.gz",
        "cache.ko",
        "9p.ko",
    ]


def test_an_initramfs_contains_decompressed_modules(tmp_path: Path) -> None:
    (tmp_path / "9p.ko.gz").write_bytes(gzip.compress(b"the module"))
    (tmp_path / "modules.dep").write_text("9p.ko.gz:\n")
    linux = initramfs.Kernel(tmp_path / "k", "1", tmp_path)
    (tmp_path / "out").mkdir()

    packed = initramfs.initramfs(linux, b"first", {"argv": b"a\0b\0"}, network=False)

    assert packed.count(b"070701") == 6
    assert b"modules/0\0" in packed
    assert b"the module" in packed


def test_guest_mounts_have_no_other_mounts_below() -> None:
    description = Bind("/x", "/run/gentoomuch/description")
    spec = ContainerSpec(mounts=(Tmpfs("/tmp"), Tmpfs("/run"), Dev(), Proc(), description), run="/r")

    assert guest.guest_mounts(spec) == [Tmpfs("/tmp"), Dev(), Proc()]


def test_exit_status_is_that_of_the_program_in_the_vm(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "status").write_text("")
    (tmp_path / "console").write_text("[    1.5] Kernel panic - not syncing\n[    1.6] Call Trace:\n[    1.7] end\n\n")

    assert launch.exit_status(tmp_path, 0) == 70
    assert "Kernel panic - not syncing" in capfd.readouterr().err
    assert launch.exit_status(tmp_path, 137) == 137
    assert launch.exit_status(tmp_path, -9) == -9
    (tmp_path / "status").write_text("3\n")
    assert launch.exit_status(tmp_path, 0) == 3


@pytest.mark.parametrize(
    ("console", "reason"),
    [
        (
            "[ 1.0] Kernel panic - not syncing: VFS\r\n[ 1.1] Call Trace:\r\n[ 1.2]  </TASK>\r\n",
            "Kernel panic - not syncing: VFS",
        ),
        ("gentoomuch: /modules/1: File exists\n[ 1.0] Kernel panic - x\n---[ end ]---\n", "Kernel panic - x"),
        (
            "gentoomuch: the root over 9p: No such device\n[ 6.4] reboot: Restarting system\n",
            "the root over 9p: No such device",
        ),
        ("[    6.4] \x1b[1mreboot\n\n", "[1mreboot"),
        ("\n", ""),
    ],
)
def test_the_reason_of_a_failed_vm_is_its_panic_or_its_own_message(console: str, reason: str) -> None:
    """The end of the trace, or the last line of the console, was shown."""
    assert launch.find_reason(console) == reason


def test_a_vm_that_does_not_start_has_no_status_of_an_earlier_one(tmp_path: Path) -> None:
    kernel = _image(tmp_path / "vmlinuz", "1")
    (tmp_path / "status").write_text("0\n")

    launch.prepare(_SPEC._replace(run=str(tmp_path), kernel=str(kernel)), tmp_path, terminal=False)

    assert launch.exit_status(tmp_path, 70) == 70


@pytest.mark.parametrize(
    ("does", "limit", "boots"),
    [("exit 0", 300, True), ("exec sleep 300", 1, False), ("exit 1", 300, False)],
    ids=["panics", "hangs", "fails"],
)
def test_kvm_is_used_only_if_a_kernel_gets_as_far_as_its_panic(does, limit, boots, tmp_path: Path, monkeypatch):
    """A program takes the place of qemu: a KVM that hangs exists only on some nested machines."""
    program = tmp_path / VM.program
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(launch, "_BOOT", limit)

    assert launch.boots_with_kvm(Path("/boot/vmlinuz")) is boots
