# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs with a Portage that has renamed one of the private names that the adapter uses."""

import compileall
import json
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from py_compile import PycInvalidationMode

import pytest
from helpers.http_server import serving
from helpers.unmasking import package, unstable
from helpers.waiting import HANG

from gentoomuch_portage import demo_host
from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.portage_adapter import private_api
from gentoomuch_portage.portage_adapter.private_api import NAMES, Capability, PrivateName, is_older, list_capabilities

SITE = Path(sysconfig.get_path("purelib"))
CODE = "[portage-api-changed]"
BIN = Path(sys.executable).parent
OLDER = {each for each in list_capabilities() if is_older(each)}
"""The capabilities that this Portage does not have yet."""
PRIVATE = [
    row
    for row in NAMES
    if re.match(r"_[a-zA-Z]|parse_opts$", row.name.rpartition(".")[2]) and not OLDER & {*row.capabilities}
]
"""Names that can be renamed in all of Portage, which goes on to work."""


@pytest.fixture(scope="session")
def portage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the installed Portage, compiled, for PYTHONPATH."""
    top = tmp_path_factory.mktemp("portage")
    for folder in ("portage", "_emerge"):
        shutil.copytree(SITE / folder, top / folder, ignore=shutil.ignore_patterns("__pycache__"))
    _leave_paths_alone(top / "portage/const.py")
    # Checked by the content: two renames within a second can leave a file of the same size and time. The original's
    # compiled files are not copied: they are checked by time, and compileall keeps those that are up to date.
    compileall.compile_dir(top, quiet=2, workers=0, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
    return top


def _leave_paths_alone(const: Path) -> None:
    """Let the copy use the programs beside the original."""
    text = const.read_text()
    from portage.const import PORTAGE_BASE_PATH

    const.write_text(text + f'\nPORTAGE_BASE_PATH = "{PORTAGE_BASE_PATH}"\n')


@contextmanager
def renamed(top: Path, name: str, *, mention: str = "") -> Iterator[None]:
    """Rename a name in a copy of Portage as long as the block runs.

    Args:
        mention: a class that has a method which still uses the old name, so that only a run can find it missing.
    """
    before = {}
    for file in top.rglob("*.py"):
        text = file.read_text(encoding="utf-8", errors="surrogateescape")
        new = re.sub(rf"(?<!\w){name}(?!\w)", f"{name}_v2", text)
        if mention:
            method = f"    def gm_stale(self):\n        return self.{name}\n\n"
            new = re.sub(rf"^(class {mention}\b[^\n]*:\n)", rf"\1{method}", new, flags=re.MULTILINE)
        if new != text:
            before[file] = text
            file.write_text(new, encoding="utf-8", errors="surrogateescape")
    assert before
    try:
        yield
    finally:
        for file, text in before.items():
            file.write_text(text, encoding="utf-8", errors="surrogateescape")


QUICK = {
    "_dynamic_config": "set by __init__, of three capabilities",
    "_instance_key": "set on instances, called",
    "parse_opts": "no run can do without it",
    "_disable_legacy_globals": "a function, used before the check",
    "_iter_match_pkgs_atom": "the filter",
    "_keywords_manager": "of no run",
}
ROWS = [
    pytest.param(row, id=row.name, marks=[] if row.name.rpartition(".")[2] in QUICK else pytest.mark.slow)
    for row in PRIVATE
]
ON_INSTANCES = [row for row in PRIVATE if not row.arguments and row.name.count(".") == 1]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host with a profile that may unmask, and that unmasks; nothing is installed on it."""
    host = demo_host.make(tmp_path_factory.mktemp("renamed") / "host")
    host.profile("laptop", 'cpu = "native"\n\n[unmask]\nkeywords = true\nuse = true\n')
    return host


def run(host: Host, portage: Path, program: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(BIN / program), *words]
    variables = host.env(PYTHONPATH=str(portage), **env)
    return subprocess.run(argv, env=variables, capture_output=True, text=True, timeout=HANG, check=False)


def find_capabilities(name: str) -> set[Capability]:
    """Return the capabilities that are lost if a name is renamed in all of Portage."""
    lost = {capability for row in NAMES if name in row.name.split(".") for capability in row.capabilities}
    return lost - OLDER


def count_warnings(stderr: str) -> dict[str, int]:
    """Return how often a run warns of each capability."""
    names = re.findall(r"^.*no longer provides .*, needed for (\S+) \(.*\[portage-api-changed\]$", stderr, re.MULTILINE)
    return {name: names.count(name) for name in names}


@pytest.mark.parametrize("row", ROWS)
def test_a_run_without_a_renamed_name_goes_on_without_its_capability_and_doctor_names_it(
    row: PrivateName, shared: Host, portage: Path
):
    """Seen failing before for 110 names, as ``_dynamic_config``: the whole run ended with 69."""
    name = row.name.rpartition(".")[2]
    lost = find_capabilities(name)
    required = [each for each in lost if each.used_by_runs and not each.instead]

    with renamed(portage, name):
        ended = run(shared, portage, "gm-emerge", "--gm-profile=laptop", "-pk", "gm-hello")
        checkup = run(shared, portage, "gentoomuch", "doctor", "--json")

    assert "Traceback" not in ended.stderr + ended.stdout + checkup.stderr, ended.stderr + checkup.stderr
    if required:
        assert (ended.returncode, CODE in ended.stderr, name in ended.stderr) == (69, True, True), ended.stderr
    else:
        assert ended.returncode == 0, ended.stderr
        assert count_warnings(ended.stderr) == {each.name: 1 for each in lost if each.used_by_runs}
    facts = [fact for fact in json.loads(checkup.stdout) if fact["name"] == "capability"]
    states = {fact["text"].partition(": ")[0]: fact["state"] for fact in facts}
    assert states == {
        each.name: "bad" if each in lost else "note" if each in OLDER else "good" for each in list_capabilities()
    }


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host of x86-64 with a binary package for a newer CPU, ``wide``, and one that it can run, ``narrow``."""
    host = demo_host.make(tmp_path_factory.mktemp("stocked") / "host")
    host.profile("old", 'cpu = "x86-64"\n')
    host.profile("patched", 'cpu = "x86-64"\npatches = ["mend"]\n')
    patch = host.config / "patches/mend/app-demo/narrow-1.0/a.patch"
    patch.parent.mkdir(parents=True)
    patch.write_text("--- a/README\n+++ b/README\n@@ -0,0 +1 @@\n+patched\n")
    for name, cpu in (("wide", "x86-64-v4"), ("narrow", "x86-64")):
        package(host, f"app-demo/{name}-1.0")
        host.write(f"env/{name}", f'CFLAGS="-O2 -march={cpu}"\nCXXFLAGS="${{CFLAGS}}"\n')
        host.write(f"package.env/{name}", f"app-demo/{name} {name}\n")
    argv = [str(BIN / "emerge"), "-B1q", "app-demo/wide", "app-demo/narrow"]
    subprocess.run(argv, env=host.env(), capture_output=True, timeout=HANG, check=True)
    return host


def find_kinds(out: str) -> list[tuple[str, str]]:
    """Return ``(kind, name)`` of each package of a merge list: ``("ebuild", "dev-demo/libgreet")``."""
    return re.findall(r"^\[(ebuild|binary)[^\]]*\] (\S+?)-1\.0", out, re.MULTILINE)


FILTERS = [
    "_iter_match_pkgs_atom",
    pytest.param("_get_masking_status", marks=pytest.mark.slow),
    pytest.param("_loadResumeCommand", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("name", FILTERS)
def test_without_the_filter_a_local_package_for_a_newer_cpu_is_not_used_and_others_are(
    name: str, stocked: Host, portage: Path
):
    """S: a renamed name of the filter lets emerge merge code that the CPU cannot run."""
    with renamed(portage, name):
        ended = run(stocked, portage, "gm-emerge", "--gm-profile=old", "-pk", "app-demo/wide", "app-demo/narrow")

    assert ended.returncode == 0, ended.stderr
    assert sorted(find_kinds(ended.stdout)) == [("binary", "app-demo/narrow"), ("ebuild", "app-demo/wide")]


@pytest.mark.parametrize(
    "name",
    [
        "_iter_match_pkgs_atom",
        pytest.param("_async_unlock_builddir", marks=pytest.mark.slow),
        pytest.param("_populate_remote_repo", marks=pytest.mark.slow),
    ],
)
def test_without_a_check_of_remote_packages_none_is_used(name: str, stocked: Host, portage: Path, tmp_path: Path):
    """S: a renamed name of the filter, or of the check after the download, lets emerge take an unchecked one."""
    with serving(stocked.pkgdir) as server, renamed(portage, name):
        env = {"PORTAGE_BINHOST": server.url, "FEATURES": "getbinpkg", "PKGDIR": str(tmp_path)}
        either = [
            run(stocked, portage, "gm-emerge", "--gm-profile=old", *words, "app-demo/narrow", **env)
            for words in (["-pg"], ["-p"])
        ]
        only = run(stocked, portage, "gm-emerge", "--gm-profile=old", "-pG", "app-demo/narrow", **env)

    assert [(ended.returncode, find_kinds(ended.stdout)) for ended in either] == [
        (0, [("ebuild", "app-demo/narrow")])
    ] * 2, either
    assert (only.returncode, CODE in only.stderr, find_kinds(only.stdout)) == (69, True, []), only.stderr


def test_without_the_filter_resume_is_refused_by_its_code(stocked: Host, portage: Path):
    with renamed(portage, "_iter_match_pkgs_atom"):
        ended = run(stocked, portage, "gm-emerge", "--gm-profile=old", "-p", "--resume")

    assert (ended.returncode, CODE in ended.stderr) == (69, True), ended.stderr


@pytest.mark.parametrize("name", ["_query", pytest.param("_patch_sets", marks=pytest.mark.slow)])
def test_without_the_digests_of_patches_a_package_with_other_patches_is_not_used(
    name: str, stocked: Host, portage: Path
):
    with nullcontext() if private_api.PATCHES in OLDER else renamed(portage, name):
        kinds = [
            find_kinds(run(stocked, portage, "gm-emerge", f"--gm-profile={profile}", "-pk", "app-demo/narrow").stdout)
            for profile in ("old", "patched")
        ]

    assert kinds == [[("binary", "app-demo/narrow")], [("ebuild", "app-demo/narrow")]]


@pytest.mark.slow
def test_without_the_record_of_requirements_a_hook_in_the_configuration_writes_it(tmp_path: Path, portage: Path):
    host = demo_host.make(tmp_path / "host")
    host.profile("old", 'cpu = "x86-64"\n')
    package(host, "app-demo/narrow-1.0")
    installed = host.vdb / "app-demo/narrow-1.0"
    records = []
    for renaming in (renamed(portage, "_post_src_install_write_metadata"), nullcontext()):
        with renaming:
            ended = run(host, portage, "gm-emerge", "--gm-profile=old", "-1", "app-demo/narrow")
        assert ended.returncode == 0, ended.stderr
        records.append({file: (installed / file).read_text() for file in ("GM_REQUIRES", "GM_PROFILE")})

    assert records[0] == records[1]
    assert records[0]["GM_PROFILE"].strip() == "old"


@pytest.mark.parametrize(("more", "status"), [([], 0), (["--gm-locked"], 64)])
def test_without_the_names_of_unmask_nothing_is_unmasked(more: list[str], status: int, tmp_path: Path, portage: Path):
    host = demo_host.make(tmp_path / "host")
    host.profile("laptop", "[unmask]\nkeywords = true\n")
    package(host, "app-demo/fresh-1.0", keywords=unstable())
    words = ["gm-emerge", "--gm-profile=laptop", *more, "-p", "app-demo/fresh"]

    before = run(host, portage, *words)
    with renamed(portage, "_needed_unstable_keywords"):
        ended = run(host, portage, *words)

    assert before.returncode == status, before.stderr
    assert (ended.returncode, find_kinds(ended.stdout)) == (1, []), ended.stderr
    assert count_warnings(ended.stderr) == {"unmask": 1}


@pytest.mark.parametrize("words", [["-pk", "gm-hello"], ["-1b", "gm-hello"], ["-1k", "libgreet"]], ids=" ".join)
@pytest.mark.parametrize(
    "row", [pytest.param(row, id=row.name, marks=[] if "_mergelist" in row.name else pytest.mark.slow)
            for row in ON_INSTANCES]
)  # fmt: skip
def test_a_name_that_only_a_run_finds_missing_ends_it_by_its_code(
    row: PrivateName, words: list[str], shared: Host, portage: Path
):
    """A class that mentions a name without setting it passes the check at the start."""
    owner, _, name = row.name.rpartition(".")

    with renamed(portage, name, mention=owner):
        ended = run(shared, portage, "gm-emerge", "--gm-profile=laptop", *words)

    assert "Traceback" not in ended.stderr + ended.stdout, ended.stderr
    assert ended.returncode == 0 or (ended.returncode == 69 and CODE in ended.stderr), ended.stderr
