# SPDX-License-Identifier: GPL-2.0-or-later
"""The set @machine of a profile, and ``gentoomuch status``: how a root differs from it, by real Portage."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.containers import need

from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.demo_host.host import write

HELLO, GREET = "app-demo/gm-hello", "dev-demo/libgreet"
EMPTY = """EAPI=8
DESCRIPTION="A package without files"
HOMEPAGE="https://github.com/gentoomuch/gentoomuch-portage"
S="${WORKDIR}"
LICENSE="GPL-2+"
SLOT="0"
KEYWORDS="amd64 arm64 ppc64 riscv x86"
"""


@pytest.fixture
def ebuild(host: Host) -> Callable[..., None]:
    """Write an ebuild: ``ebuild("app-demo/tool-1.0", 'RDEPEND="app-demo/lib"', unstable=True)``."""

    def write_ebuild(cpv: str, more: str = "", *, unstable: bool = False) -> None:
        category, _, name = cpv.partition("/")
        text = EMPTY.replace('KEYWORDS="amd64 arm64', 'KEYWORDS="~amd64 ~arm64') if unstable else EMPTY
        write(host.repository / category / name.rpartition("-")[0] / f"{name}.ebuild", f"{text}{more}\n")

    return write_ebuild


@pytest.fixture
def status(on) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Return the exit status of ``gentoomuch status NAME --json``, and the data of the profile."""

    def load(name: str) -> tuple[int, dict[str, Any]]:
        ended = on("gentoomuch", "status", name, "--json")
        [data] = json.loads(ended.out)
        return ended.status, data

    return load


@pytest.fixture
def emerge(on) -> Callable[..., str]:
    """Run gm-emerge for the profile ``lab``, and return its output."""

    def run(*words: str) -> str:
        ended = on("gm-emerge", "--gm-profile=lab", "--quiet", *words)
        assert ended.status == 0, ended.err
        return ended.out + ended.err

    return run


def listed(output: str) -> list[str]:
    return [line.split("] ")[1].split()[0] for line in output.splitlines() if line.startswith(("[ebuild", "[binary"))]


def test_machine_consists_of_the_packages_of_profile_layers_and_nested_sets(host, emerge):
    layers = {
        "one/sets/machine": f"# the library\n{GREET}\n",
        "two/sets/machine": "@tools\n",
        "two/sets/tools": f"{HELLO}\n",
    }
    host.profile("lab", 'layers = ["one", "two"]\n', layers)

    assert listed(emerge("-puDN", "@machine")) == [f"{GREET}-1.0", f"{HELLO}-1.0"]


def test_world_contains_machine_and_the_world_file_does_not_name_it(host, on, emerge):
    """Plain emerge would fail on a @machine in the world file: the set exists only for the profile."""
    host.profile("lab", f'packages = ["{GREET}"]\n')

    emerge("-uDN", "@machine")

    assert listed(emerge("-p", "@world", "--emptytree", "--usepkg=n")) == [f"{GREET}-1.0"]
    assert not any((host.eprefix / "var/lib/portage").glob("world*"))
    assert on("emerge", "-p", "@world").status == 0
    assert GREET not in on("gm-emerge", "--gm-profile=lab", "--pretend", "--depclean").out


def test_the_list_of_a_profile_replaces_that_of_gentoomuch_toml(host, emerge):
    write(host.config / "gentoomuch.toml", f'packages = ["{HELLO}"]\n')
    host.profile("lab", "")
    inherited = listed(emerge("-p", "@machine"))
    host.profile("lab", f'packages = ["{GREET}"]\n')

    assert inherited == [f"{GREET}-1.0", f"{HELLO}-1.0"]
    assert listed(emerge("-p", "@machine")) == [f"{GREET}-1.0"]


def test_without_packages_the_set_does_not_exist(host, on):
    host.profile("lab", "")

    by_profile = on("gm-emerge", "--gm-profile=lab", "-p", "@machine")
    by_emerge = on("emerge", "-p", "@machine")

    assert by_profile.status == by_emerge.status == 1
    assert "There are no sets to satisfy 'machine'" in by_emerge.out + by_emerge.err
    assert "There are no sets to satisfy 'machine'" in by_profile.out + by_profile.err


@pytest.mark.slow
def test_machine_is_installed_from_a_container(host, status, emerge):
    need("bwrap")
    host.profile("lab", f'packages = ["{HELLO}"]\nisolation = "bwrap"\n')

    emerge("-uDN", "@machine")

    assert (host.vdb / f"{HELLO}-1.0").is_dir()
    assert status("lab") == (0, status("lab")[1] | {"missing": [], "state": "current"})


def test_status_reports_a_missing_package_until_it_is_installed(host, status, emerge):
    host.profile("lab", f'packages = ["{HELLO}"]\n')

    before = status("lab")
    emerge("@machine")
    after = status("lab")

    missing = {"atom": HELLO, "sets": ["machine"], "best": f"{HELLO}-1.0", "unmasks": []}
    assert (before[0], before[1]["state"], before[1]["missing"]) == (1, "pending", [missing])
    assert (after[0], after[1]["state"], after[1]["missing"], after[1]["installed"]) == (0, "current", [], 2)


@pytest.mark.slow
def test_status_reports_as_superfluous_what_depclean_would_remove(host, on, status, emerge, ebuild):
    ebuild("app-demo/tool-1.0")
    host.profile("lab", f'packages = ["{HELLO}"]\n')
    emerge("@machine")
    emerge("--oneshot", "app-demo/tool")

    ended, data = status("lab")

    assert (ended, data["superfluous"]) == (1, ["app-demo/tool-1.0"])
    assert "app-demo/tool" in on("gm-emerge", "--gm-profile=lab", "--pretend", "--depclean").out
    emerge("--depclean")
    assert status("lab")[0] == 0


@pytest.mark.parametrize(("options", "superfluous"), [("[]", []), ('["--with-bdeps=n"]', ["app-demo/builder-1.0"])])
def test_the_options_of_a_profile_decide_whether_build_dependencies_are_superfluous(
    host, status, emerge, ebuild, options, superfluous
):
    ebuild("app-demo/builder-1.0")
    ebuild("app-demo/tool-1.0", 'BDEPEND="app-demo/builder"')
    host.profile("lab", f'packages = ["app-demo/tool"]\nemerge = {options}\n')
    emerge("@machine", "--with-bdeps=y")

    assert status("lab")[1]["superfluous"] == superfluous


def test_status_counts_what_the_world_file_names_as_wanted(host, status, emerge, ebuild):
    ebuild("app-demo/tool-1.0")
    host.profile("lab", f'packages = ["{GREET}"]\n')
    emerge("@machine", "app-demo/tool")

    assert status("lab")[0] == 0
    assert status("lab")[1]["wanted"] == 2


def test_status_reports_a_newer_visible_version_as_out_of_date(host, status, emerge, ebuild):
    ebuild("app-demo/tool-1.0")
    host.profile("lab", 'packages = ["app-demo/tool"]\n')
    emerge("@machine")
    ebuild("app-demo/tool-1.1")
    ebuild("app-demo/tool-1.2")

    ended, data = status("lab")

    outdated = {"cpv": "app-demo/tool-1.0", "newest": "app-demo/tool-1.2", "behind": 2}
    assert (ended, data["outdated"], data["missing"]) == (1, [outdated], [])


def test_status_reports_a_masked_newer_version_as_held_back_and_nothing_to_do(host, status, emerge, ebuild):
    ebuild("app-demo/tool-1.0")
    host.profile("lab", 'packages = ["app-demo/tool"]\n')
    emerge("@machine")
    ebuild("app-demo/tool-2.0")
    ebuild("app-demo/tool-9999", 'PROPERTIES="live"')
    host.write("package.mask", "# breaks everything\n>=app-demo/tool-2.0\n")

    ended, data = status("lab")

    [held] = data["held"]
    assert (ended, data["outdated"]) == (0, [])
    assert (held["cpv"], held["installed"]) == ("app-demo/tool-2.0", "app-demo/tool-1.0")
    assert [mask["kind"] for mask in held["masks"]] == ["mask"]
    assert "breaks everything" in held["masks"][0]["reason"]


def test_status_reports_an_installed_version_that_was_masked_or_removed_as_held_back(host, status, emerge, ebuild):
    ebuild("app-demo/tool-1.0")
    host.profile("lab", 'packages = ["app-demo/tool"]\n')
    emerge("@machine")

    host.write("package.mask", "app-demo/tool\n")
    masked = status("lab")[1]["held"]
    (host.repository / "app-demo/tool/tool-1.0.ebuild").unlink()
    removed = status("lab")[1]["held"]

    assert [(held["cpv"], [mask["kind"] for mask in held["masks"]]) for held in masked] == [
        ("app-demo/tool-1.0", ["mask"])
    ]
    assert [(held["cpv"], held["masks"]) for held in removed] == [("app-demo/tool-1.0", [])]


@pytest.mark.parametrize(("unmask", "best", "held"), [("true", "app-demo/tool-1.0", 0), ("false", "", 1)])
def test_status_knows_whether_a_run_would_unmask_a_missing_package(host, on, status, ebuild, unmask, best, held):
    ebuild("app-demo/tool-1.0", unstable=True)
    host.profile("lab", f'packages = ["app-demo/tool"]\nunmask.keywords = {unmask}\n')

    ended, data = status("lab")

    run = on("gm-emerge", "--gm-profile=lab", "-p", "@machine")
    assert ended == 1
    assert [package["best"] for package in data["missing"]] == [best]
    assert len(data["held"]) == held
    assert (run.status == 0) == bool(best)


def test_status_reports_binary_packages_that_the_filter_rejects(host, status, on):
    host.profile("new", 'cpu = "x86-64-v3"\nroot = "/"\n')
    built = on("gm-emerge", "--gm-profile=new", "--buildpkgonly", "--quiet", GREET)
    assert built.status == 0, built.err
    host.profile("lab", f'cpu = "x86-64"\npackages = ["{GREET}"]\n')

    [rejected] = status("lab")[1]["rejected"]

    assert rejected["cpv"] == f"{GREET}-1.0"
    assert [reason["code"] for reason in rejected["reasons"]] == ["cpu"]


def test_status_reports_missing_dependencies_of_installed_packages(host, status, emerge, ebuild):
    ebuild("app-demo/lib-1.0")
    ebuild("app-demo/tool-1.0", 'RDEPEND="app-demo/lib"')
    host.profile("lab", 'packages = ["app-demo/tool"]\n')
    emerge("@machine")
    emerge("--unmerge", "app-demo/lib")

    ended, data = status("lab")

    assert (ended, data["broken"]) == (1, [{"atom": "app-demo/lib", "cpv": "app-demo/tool-1.0"}])


def test_status_of_a_root_that_does_not_exist_creates_nothing(host, status, tmp_path):
    host.profile("lab", f'packages = ["{GREET}"]\nroot = "{tmp_path}/root"\n')

    ended, data = status("lab")

    assert (ended, [package["atom"] for package in data["missing"]]) == (1, [GREET])
    assert not (tmp_path / "root").exists()


def test_status_of_an_empty_root_leaves_it_empty(host, status, tmp_path):
    """Directories of Portage in it would keep bootstrap from filling it."""
    (tmp_path / "root").mkdir()
    host.profile("lab", f'packages = ["{GREET}"]\nroot = "{tmp_path}/root"\n')

    assert status("lab")[0] == 1
    assert list((tmp_path / "root").iterdir()) == []


def test_status_has_a_table_for_each_profile_and_the_status_of_an_error(host, on):
    host.profile("good", f'packages = ["{GREET}"]\n')
    host.profile("bad", 'packages = ["@nosuch"]\n')

    ended = on("gentoomuch", "status")

    assert ended.status == 78
    assert "missing  dev-demo/libgreet  @machine; dev-demo/libgreet-1.0" in ended.out
    assert "bad: set '@nosuch' of @world not found" in ended.err
    assert "\ngentoomuch:     hint: " in ended.err


def test_bootstrap_installs_machine_by_default(host, on, status, tmp_path):
    root = tmp_path / "root"
    host.profile("lab", f'packages = ["{GREET}"]\nroot = "{root}"\n')

    ended = on("gentoomuch", "bootstrap", "lab", "--from-host", "--isolation", "none")

    assert ended.status == 0, ended.err
    assert (host.eroot(root) / f"var/db/pkg/{GREET}-1.0").is_dir()
    assert status("lab")[0] == 0


def test_coverage_asks_for_the_packages_of_machine_by_default(host, on):
    host.profile("lab", f'packages = ["{GREET}"]\n')

    ended = on("gentoomuch", "binhost", "coverage", "lab", "--json")

    assert [package["cpv"] for package in json.loads(ended.out)["packages"]] == [f"{GREET}-1.0"]


def test_fleet_has_the_hint_of_an_invalid_profile(host, on):
    host.profile("bad", 'layers = ["nosuch"]\n')

    ended = on("gentoomuch", "fleet")

    assert ended.status == 1
    assert "\ngentoomuch:     hint: " in ended.err


def test_fleet_counts_the_missing_packages_of_machine(host, on):
    host.profile("lab", f'packages = ["{GREET}", "{HELLO}"]\n')

    [member] = json.loads(on("gentoomuch", "fleet", "--json").out)

    assert member["missing"] == [HELLO, GREET]


def test_lint_reports_packages_and_sets_that_do_not_exist(host, on):
    layers = {"one/sets/machine": "app-demo/ghost\n", "one/sets/tools": f"{HELLO}\n>={GREET}-2\n"}
    host.profile("lab", 'layers = ["one"]\npackages = [\n    "@tools",\n    "@nosuch",\n]\n', layers)

    ended = on("gentoomuch", "profile", "lint", "lab", "--json")

    profile, layer = host.config / "profiles/lab.toml", host.config / "layers/one/sets/machine"
    findings = {(finding["kind"], "{file}:{line}".format(**finding["places"][0])) for finding in json.loads(ended.out)}
    assert findings == {
        ("unknown-package", f"{layer}:1"),
        ("unknown-package", f"{profile}:3"),
        ("unknown-set", f"{profile}:4"),
    }


def test_freeze_and_thaw_carry_the_packages(host: Host, on, tmp_path: Path):
    write(host.config / "gentoomuch.toml", f'packages = ["{HELLO}"]\n')
    host.profile("lab", f'layers = ["one"]\nroot = "{tmp_path}/root"\n', {"one/sets/machine": f"{GREET}\n"})
    frozen = on("gentoomuch", "freeze", "lab", "--unsigned", tmp_path / "lab.tar")
    assert frozen.status == 0, frozen.err
    write(host.config / "gentoomuch.toml", 'packages = ["app-demo/other"]\n')

    thawed = on("gentoomuch", "thaw", "--unsigned", tmp_path / "lab.tar", "--as", "copy")

    assert thawed.status == 0, thawed.err
    data = json.loads(on("gentoomuch", "status", "copy", "--json").out)
    assert [package["atom"] for package in data[0]["missing"]] == [HELLO, GREET]
