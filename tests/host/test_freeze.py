# SPDX-License-Identifier: GPL-2.0-or-later
"""A profile frozen on one host and thawed on another, with real Portage on both."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.waiting import HANG

from gentoomuch_portage import demo_host
from gentoomuch_portage.demo_host import Host

BIN = Path(sys.executable).parent
COMMON = {
    "common/make.conf": 'USE="shout"\nCFLAGS="-O3"\n',
    "common/package.use": "dev-demo/libgreet -shout\n",
    "common/sets/mine": "dev-demo/libgreet\n",
}
PATCH = "--- a/README\n+++ b/README\n@@ -0,0 +1 @@\n+x\n"


def ended(host: Host, *argv: str | Path) -> subprocess.CompletedProcess[str]:
    """A program of ours on a host."""
    words = [str(BIN / str(argv[0])), *map(str, argv[1:])]
    return subprocess.run(words, env=host.env(), capture_output=True, text=True, check=False, timeout=HANG)


def done(host: Host, *argv: str | Path) -> str:
    found = ended(host, *argv)
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.fixture
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host under a short name: the socket of gpg-agent has at most 107 bytes."""
    return demo_host.make(tmp_path_factory.mktemp("f") / "a")


@pytest.fixture
def lab(host: Host) -> Host:
    """A host with a profile ``lab`` over its own configuration, a patch, a ledger and a world."""
    host.profile("lab", 'cpu = "x86-64-v2"\nlayers = ["common"]\npatches = ["fix"]\n', COMMON)
    patch = host.config / "patches/fix/app-demo/gm-hello/a.patch"
    patch.parent.mkdir(parents=True)
    patch.write_text(PATCH)
    host.write("package.mask/mine", ">app-demo/gm-hello-9\n")
    (host.eprefix / "var/lib/portage/world").write_text("app-demo/gm-hello\n")
    (host.eprefix / "var/lib/portage/world_sets").write_text("@mine\n")
    state = host.eprefix / "var/lib/gentoomuch/lab"
    state.mkdir(parents=True)
    entry = {
        "atom": "=app-demo/gm-hello-1.0",
        "kind": "use",
        "value": "-shout",
        "required_by": ["me"],
        "since": "2026-11-21",
    }
    (state / "unmask.json").write_text(json.dumps([entry]))
    return host


@pytest.fixture
def archive(lab: Host, tmp_path: Path) -> Path:
    """That profile, frozen."""
    done(lab, "gentoomuch", "freeze", "lab", tmp_path / "lab.tar")
    return tmp_path / "lab.tar"


@pytest.fixture
def other(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """Another host, which knows nothing of the first."""
    return demo_host.make(tmp_path_factory.mktemp("f") / "b")


def thawed(host: Host, archive: Path, *words: str) -> subprocess.CompletedProcess[str]:
    key = json.loads(subprocess.check_output(["tar", "-xOf", archive, "manifest.json"]))["key"]
    return ended(host, "gentoomuch", "thaw", archive, f"--key={key}", *words)


def resolved(host: Host, name: str) -> list[str]:
    """What emerge would do for @world, flags included."""
    told = done(host, "gm-emerge", f"--gm-profile={name}", "-pv", "--color=n", "@world")
    return [line for line in told.splitlines() if line.startswith("[") or line.startswith("Total")]


def flags(host: Host, name: str) -> list[str]:
    script = "portageq envvar CFLAGS CXXFLAGS USE CPU_FLAGS_X86 ACCEPT_KEYWORDS CHOST"
    return done(host, "gentoomuch", "profile", "run", name, "--", "sh", "-c", script).splitlines()


def test_a_thawed_profile_resolves_to_the_same_list_with_the_same_flags(lab, archive, other):
    assert thawed(other, archive, "--as", "copy").returncode == 0

    there, here = resolved(lab, "lab"), resolved(other, "copy")
    assert 'USE="-shout"' in "\n".join(there)
    assert len([line for line in there if line.startswith("[ebuild")]) == 2
    assert here == there
    assert flags(other, "copy") == flags(lab, "lab")
    assert str(lab.folder) not in "\n".join(path.read_text() for path in other.config.glob("layers/*machine/*"))


def test_verify_lists_changed_files(lab, archive, other, tmp_path):
    assert ended(lab, "gentoomuch", "verify", archive).returncode == 0
    done(lab, "gentoomuch", "freeze", "lab", tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == archive.read_bytes()
    (lab.config / "layers/common/package.use").write_text("dev-demo/libgreet shout\n")
    (lab.config / "layers/common/package.mask").write_text("app-demo/x\n")
    (lab.config / "layers/common/sets/mine").unlink()
    (lab.repository / "app-demo/gm-hello/metadata.xml").write_text("<x/>\n")

    found = ended(lab, "gentoomuch", "verify", archive, "--json")

    assert found.returncode == 1
    assert [(one["path"], one["change"]) for one in json.loads(found.stdout)["changes"]] == [
        ("layers/common/package.mask", "added"),
        ("layers/common/package.use", "changed"),
        ("layers/common/sets/mine", "removed"),
        ("repositories.json", "changed"),
    ]
    assert (
        "\n-dev-demo/libgreet -shout\n+dev-demo/libgreet shout\n"
        in ended(lab, "gentoomuch", "verify", archive, "--diff").stdout
    )


def test_a_thawed_profile_is_verified_by_the_names_it_was_frozen_with(archive, other):
    assert thawed(other, archive, "--as", "copy").returncode == 0

    assert ended(other, "gentoomuch", "verify", archive).returncode == 0
    (other.config / "layers/copy-common/make.conf").write_text('USE=""\n')
    found = ended(other, "gentoomuch", "verify", archive)
    assert (found.returncode, "changed  layers/common/make.conf" in found.stdout) == (1, True)


def test_thaw_writes_nothing_if_repositories_differ(archive, other):
    (other.repository / "app-demo/gm-hello/metadata.xml").write_text("<x/>\n")

    found = thawed(other, archive)

    assert found.returncode == 69
    assert "gm-demo: at digest" in found.stderr
    assert not (other.config / "profiles").exists()
    assert thawed(other, archive, "--anyway").returncode == 0


def test_a_world_file_linked_out_of_its_root_is_not_frozen(host: Host, tmp_path: Path):
    host.profile("router", f'root = "{tmp_path / "root"}"\n')
    world = host.eroot(tmp_path / "root") / "var/lib/portage/world"
    world.parent.mkdir(parents=True)
    (tmp_path / "private").write_text("a secret")
    world.symlink_to(tmp_path / "private")

    refused = ended(host, "gentoomuch", "freeze", "router", tmp_path / "router.tar")

    assert (refused.returncode, str(world) in refused.stderr) == (78, True), refused.stderr
    assert not (tmp_path / "router.tar").exists()


def test_a_world_that_is_here_is_not_overwritten(archive, other):
    world = other.eprefix / "var/lib/portage/world"
    world.write_text("dev-demo/libgreet\n")

    found = thawed(other, archive)

    assert found.returncode == 64
    assert str(world) in found.stderr
    assert not (other.config / "profiles").exists()
    assert thawed(other, archive, "--keep-world").returncode == 0
    assert world.read_text() == "dev-demo/libgreet\n"


def test_secrets_are_reported_and_no_archive_is_written(lab, tmp_path):
    lab.write("binrepos.conf/mine.conf", "[mine]\nsync-uri = https://bob:hunter2@example.org/x\n")
    (lab.config / "layers/common/make.conf").write_text('USE="x"\nFETCHCOMMAND="wget --password=hunter2"\n')
    file = tmp_path / "lab.tar"

    found = ended(lab, "gentoomuch", "freeze", "lab", file, "--unsigned")

    assert found.returncode == 78
    assert f"{lab.config}/layers/common/make.conf:2: a password of a fetch command" in found.stderr
    assert f"{lab.etc}/binrepos.conf/mine.conf:2: a password in a URL" in found.stderr
    assert "hunter2" not in found.stderr
    assert not file.exists()
    done(lab, "gentoomuch", "freeze", "lab", file, "--redact", "--unsigned")
    assert b"hunter2" not in file.read_bytes()
    assert b"https://bob:REDACTED@example.org" in file.read_bytes()
    done(lab, "gentoomuch", "verify", file, "--unsigned")


def test_sourced_files_are_part_of_the_archive(lab, tmp_path):
    outside, file = tmp_path / "outside.conf", tmp_path / "mine.tar"
    outside.write_text('MAKEOPTS="-j7"\n')
    lab.profile("mine", 'cpu = "native"\nlayers = ["common"]\n')
    (lab.config / "layers/common/make.conf").write_text(f'USE="shout"\nsource {outside}\n')

    done(lab, "gentoomuch", "freeze", "mine", file, "--unsigned")

    def held(name: str) -> str:
        return subprocess.check_output(["tar", "-xOf", file, name], text=True)

    assert held("layers/common/make.conf") == f'USE="shout"\n# from {outside}\nMAKEOPTS="-j7"\n'
    assert '\ncpu = ""\n' in held("profile.toml")
    assert "-march=" in held("layers/the-frozen-cpu/make.conf")


def test_a_make_profile_outside_of_repositories_cannot_be_frozen(lab, tmp_path):
    link = lab.etc / "make.profile"
    copy = tmp_path / "machine"
    shutil.copytree(link.resolve(), copy)
    link.unlink()
    link.symlink_to(copy)

    found = ended(lab, "gentoomuch", "freeze", "lab", tmp_path / "lab.tar", "--unsigned")

    assert (found.returncode, "is in no repository" in found.stderr) == (78, True)
