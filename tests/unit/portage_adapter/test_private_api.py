# SPDX-License-Identifier: GPL-2.0-or-later
"""The list of private names of Portage, compared with the code of the adapter and with the installed Portage."""

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.errors import raises

from gentoomuch_portage import portage_adapter
from gentoomuch_portage.errors import MachineError
from gentoomuch_portage.portage_adapter import private_api
from gentoomuch_portage.portage_adapter.private_api import PrivateName

ADAPTER = Path(portage_adapter.__file__).parent
OF_NAMED_TUPLES = {"_asdict", "_fields", "_make", "_replace"}
OF_THE_STANDARD_LIBRARY = {"_actions"}
"""Of argparse.ArgumentParser."""


def find_used_names(tree: ast.Module) -> Iterator[str]:
    """Find the private attributes, strings and imported names of a module that its own classes do not define."""
    own = OF_NAMED_TUPLES | OF_THE_STANDARD_LIBRARY | set(find_own_names(tree))
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) | ast.Constant(value=str(name)) if is_private(name) and name not in own:
                yield name
            case ast.ImportFrom(module=str(module), names=aliases) if module.partition(".")[0] in {
                "portage",
                "_emerge",
            }:
                internal = any(part.startswith("_") for part in module.split("."))
                for alias in aliases:
                    if (internal or is_private(alias.name)) and not is_module(module, alias.name):
                        yield alias.name


def find_own_names(tree: ast.Module) -> Iterator[str]:
    """Find what the classes of a module define, and the classes and functions of the module itself."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.Attribute(value=ast.Name("self"), attr=name, ctx=ast.Store()):
                yield name


def is_private(name: str) -> bool:
    return re.fullmatch(r"_[A-Za-z]\w*", name) is not None


def is_module(package: str, name: str) -> bool:
    return any(row.module == f"{package}.{name}" for row in private_api.NAMES)


@pytest.mark.parametrize(
    "file",
    [file for file in sorted(ADAPTER.rglob("*.py")) if file.name != "private_api.py"],
    ids=lambda file: file.stem,
)
def test_each_private_name_of_portage_that_a_module_uses_is_listed(file: Path):
    """Seen failing before: 54 names in 110 places were in no list, so that `doctor` could not find them missing."""
    listed = {step for row in private_api.NAMES for step in row.name.split(".")}

    assert set(find_used_names(ast.parse(file.read_text()))) - listed == set()


def test_each_listed_name_is_used():
    words = set(re.findall(r"\w+", " ".join(
        file.read_text() for file in ADAPTER.rglob("*.py") if file.name != "private_api.py"
    )))  # fmt: skip

    assert [row.name for row in private_api.NAMES if row.name.rpartition(".")[2] not in words | {"spawn"}] == []


def test_the_decision_says_for_each_listed_name_what_it_would_cost_to_do_without():
    page = (ADAPTER.parents[1] / "docs/decisions/0008-private-names.md").read_text()
    [count] = re.findall(r"uses (\d+) names", page)

    assert {row.name for row in private_api.NAMES} ^ set(re.findall(r"(?<= )`([\w.]+)`(?= [`|])", page)) == set()
    assert int(count) == len(private_api.NAMES)


def test_the_page_on_changes_of_portage_lists_each_capability():
    page = (ADAPTER.parents[1] / "docs/portage-changes.md").read_text()
    of_runs = [each for each in private_api.list_capabilities() if each.used_by_runs]
    [of_commands] = re.findall(r"^Only commands need.*?^$", page, re.MULTILINE | re.DOTALL)

    assert sorted(re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE)) == sorted(each.name for each in of_runs)
    named = set(re.findall(r"`([\w-]+)`", of_commands)) - {"portage-api-changed"}
    assert named == {each.name for each in private_api.list_capabilities() if not each.used_by_runs}


def test_a_replacement_of_ours_is_not_taken_for_a_use_of_a_name_in_portage():
    """Seen failing before: our own method on the resolver mentioned a name that Portage had renamed."""

    class Resolver:
        def find(self):
            return 1

    def ours(self):
        return self._gone

    Resolver.find = functools.wraps(Resolver.find)(ours)

    assert not private_api._is_used_by(Resolver, "_gone")


def test_the_installed_portage_provides_all_listed_names_that_are_not_newer():
    assert [lost for lost in private_api.find_lost() if not lost.is_older] == []


def test_the_newest_known_portage_is_that_of_the_requirements():
    pinned = (Path(__file__).parents[3] / "requirements/run.txt").read_text().splitlines()

    assert f"portage=={private_api.NEWEST}" in pinned


@pytest.mark.parametrize(
    ("version", "older"),
    [("3.0.77", True), ("3.0.82.2", True), ("3.0.82.dev4+ga20ef27af", True), ("3.0.83", False), ("3.0.83.1", False),
     ("3.0.83.dev7+g0123456", False), ("3.1", False), ("HEAD", False)],
)  # fmt: skip
def test_a_version_from_git_is_compared_by_the_release_before_it(version: str, older: bool):
    """Seen failing before: a Portage from git was told to have lost what it did not have yet."""
    assert private_api._is_before(version, "3.0.83") == older


@pytest.mark.parametrize(
    ("module", "name", "arguments"),
    [
        ("portage.nosuch", "x", ()),
        ("_emerge.depgraph", "nosuch", ()),
        ("_emerge.depgraph", "nosuch._dynamic_config", ()),
        ("_emerge.depgraph", "depgraph._dynamic_config_v2", ()),
        ("_emerge.depgraph", "depgraph._pkg", ("nosuch",)),
        ("portage.versions", "_pkg_str", ("nosuch",)),
    ],
)
def test_a_name_or_an_argument_that_portage_lacks_is_missing(module: str, name: str, arguments: tuple[str, ...]):
    assert private_api.find(PrivateName(module, name, arguments, "a test")) is None


def test_no_module_imports_a_lazy_proxy_of_portage():
    """Seen failing before: a name that is missing in `util` was reported by a traceback, as the proxy raised it."""
    names = {
        alias.name
        for file in ADAPTER.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "portage"
        for alias in node.names
    }
    proxies = "print(*(n for n in sys.argv[1:] if issubclass(type(vars(portage)[n]), ObjectProxy)))"
    source = f"import sys, portage\nfrom portage.proxy.objectproxy import ObjectProxy\n{proxies}"

    ended = subprocess.run([sys.executable, "-c", source, *names], capture_output=True, text=True, check=True)

    assert (bool(names), ended.stdout.split()) == (True, [])


def run_in_adapter(source: str) -> None:
    """Run code as if it were a module of the adapter."""
    exec(compile(source, "x", "exec"), {"__package__": portage_adapter.__name__})


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("import portage; portage._nosuch", "portage._nosuch"),
        ("import portage.dbapi.bintree as b; b.bindbapi._instance_key", "bindbapi._instance_key"),
        ("from portage.versions import catpkgsplit_v2", "portage.versions.catpkgsplit_v2"),
        ("import _emerge.nosuch", "_emerge.nosuch"),
    ],
)
def test_a_name_that_is_missing_at_run_time_has_the_same_code(source: str, missing: str):
    with raises("portage-api-changed", match=re.escape(missing)) as caught, private_api.translate():
        run_in_adapter(source)
    assert isinstance(caught.value, MachineError)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import re; re.nosuch", AttributeError),
        ("None._dynamic_config", AttributeError),
        ("import nosuch", ImportError),
        ("import portage.dbapi.bintree as b; b.binarytree.isremote(object.__new__(b.binarytree), 'x')", AttributeError),
    ],
)
def test_other_errors_keep_their_traceback(source: str, error: type[Exception]):
    with pytest.raises(error), private_api.translate():
        run_in_adapter(source)
