# SPDX-License-Identifier: GPL-2.0-or-later
"""Who takes part, in which order, and what becomes of a plugin that is broken."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.errors import raises

from gentoomuch_portage.errors import BadFile
from gentoomuch_portage.plan.plan import EmergeOption
from gentoomuch_portage.plugins import manager
from gentoomuch_portage.plugins.hookspec import hookimpl

HEAD = "from gentoomuch_portage.api import EmergeOption, hookimpl\n"
GOOD = f"{HEAD}@hookimpl\ndef gm_parts():\n    return [EmergeOption('-x')]\n"

NEEDED = {"profile", "runner"}
Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a plugin where Python finds it, as an installer would: ``install("lamp", TEXT)``."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    before = set(sys.modules)

    def installed(name: str, text: str, *, module: str = "", place: str = "") -> Path:
        module = module or f"gm_{name}"
        (site / f"{module}.py").write_text(text)
        info = site / f"{module}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[gentoomuch_portage]\n{name} = {place or module}\n")
        return site

    yield installed
    for name in set(sys.modules) - before:
        if name.startswith("gm_"):
            del sys.modules[name]


def names(cache: Path, **told: object) -> list[str]:
    """Who takes part."""
    joined = manager.make_manager(cache, **told)
    return [name for name, plugin in joined.list_name_plugin() if plugin is not None]


def words(cache: Path, **told: object) -> list[tuple[str, str]]:
    """What the plugins that need no request give."""
    joined = manager.make_manager(cache, without=frozenset(manager.BUILT_IN) - NEEDED, **told)
    joined.unregister(name="profile")
    return [(name, part.text) for name, part in manager.parts(joined)]


def test_builtin_plugins_are_registered_before_installed_and_given_ones(tmp_path: Path, install: Install):
    install("b", GOOD)
    install("a", GOOD)

    assert names(tmp_path, also=[("given", object())]) == [*manager.BUILT_IN, "a", "b", "given"]


def test_a_plugin_left_out_is_not_even_imported(tmp_path: Path, install: Install):
    install("lamp", "raise ImportError('it was imported')")

    assert "lamp" not in names(tmp_path, without=frozenset({"lamp", "cpu"}), strict=True)
    assert "cpu" not in names(tmp_path, without=frozenset({"lamp", "cpu"}))


@pytest.mark.parametrize(
    ("name", "reason"), [("nobody", "not found"), ("profile", "cannot be disabled"), ("runner", "cannot be disabled")]
)
def test_a_plugin_that_cannot_be_disabled_is_rejected_with_those_that_can(
    tmp_path: Path, install: Install, name: str, reason: str
):
    install("lamp", GOOD)

    others = ", ".join(sorted({*manager.BUILT_IN, "lamp"} - NEEDED))
    with raises("unknown-plugin", match=rf"^plugin '{name}' {reason} \(available: {others}\)") as caught:
        manager.make_manager(tmp_path, without=frozenset({name}))

    assert caught.value.status == 64


BROKEN = {
    "an import that is missing": "import there_is_no_such_module",
    "an import that ends the program": "raise SystemExit('too old')",
    "a syntax error": "def (",
    "an argument that no hook has": f"{HEAD}@hookimpl\ndef gm_parts(nonsense):\n    return ()\n",
}


@pytest.mark.parametrize("why", BROKEN)
def test_a_plugin_that_cannot_join_is_named_and_left_out(
    tmp_path: Path, install: Install, capsys: pytest.CaptureFixture[str], why: str
):
    install("lamp", BROKEN[why])

    assert "lamp" not in names(tmp_path)

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("gentoomuch: plugin 'lamp' skipped: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("why", BROKEN)
def test_a_plugin_that_cannot_join_ends_a_strict_run(tmp_path: Path, install: Install, why: str):
    install("lamp", BROKEN[why])

    with raises("plugin-failed", match="'lamp' failed in import") as caught:
        manager.make_manager(tmp_path, strict=True)

    assert (caught.value.status, caught.value.hint) == (70, "--gm-no=lamp disables it")


def test_a_partly_broken_plugin_is_skipped_completely(tmp_path: Path, install: Install):
    good = "@hookimpl\ndef gm_facts():\n    return [{}]\n"
    install("lamp", f"{HEAD}{good}@hookimpl\ndef gm_parts(nonsense):\n    return ()\n")

    joined = manager.make_manager(tmp_path)

    assert joined.get_plugin("lamp") is None
    assert "lamp" not in [one.plugin_name for one in joined.hook.gm_facts.get_hookimpls()]


def test_a_plugin_with_the_name_of_a_builtin_one_is_skipped(tmp_path: Path, install: Install, capsys):
    install("cpu", GOOD)

    joined = manager.make_manager(tmp_path)

    assert joined.get_plugin("cpu").__name__ == "gentoomuch_portage.builtin_plugins.cpu"
    assert "plugin 'cpu' skipped" in capsys.readouterr().err


def test_a_misspelt_hook_is_an_error_that_names_it(tmp_path: Path, install: Install):
    install("lamp", f"{HEAD}@hookimpl\ndef gm_part():\n    return ()\n")

    with raises("plugin-failed", match=r"(?s)'lamp'.*gm_part"):
        manager.make_manager(tmp_path)


def test_a_plugin_can_be_an_attribute_of_a_module(tmp_path: Path, install: Install):
    method = "    @hookimpl\n    def gm_parts(self):\n        return [EmergeOption('-l')]\n"
    text = f"{HEAD}class Lamp:\n{method}lamp = Lamp()\n"
    install("lamp", text, place="gm_lamp:lamp")

    assert words(tmp_path) == [("lamp", "-l")]


def test_results_of_hooks_are_collected_by_plugin(tmp_path: Path, install: Install):
    for name in ("c", "a", "b"):
        install(name, GOOD)

    assert [name for name, _ in words(tmp_path)] == ["a", "b", "c"]


def test_an_installed_plugin_is_seen_at_once_and_a_removed_one_no_more(tmp_path: Path, install: Install):
    assert "lamp" not in names(tmp_path)

    site = install("lamp", GOOD)
    assert "lamp" in names(tmp_path)

    for file in (site / "gm_lamp-1.dist-info").iterdir():
        file.unlink()
    (site / "gm_lamp-1.dist-info").rmdir()
    assert "lamp" not in names(tmp_path)


def settled(*folders: str) -> None:
    """Make folders look as if nobody had changed them for a while."""
    for folder in folders:
        if folder and Path(folder).is_dir() and os.access(folder, os.W_OK):
            os.utime(folder, (1_000_000_000, 1_000_000_000))


def test_the_list_of_plugins_is_cached_until_a_directory_changes(tmp_path: Path, install: Install, monkeypatch):
    site = install("lamp", GOOD)
    settled(str(site))
    monkeypatch.setattr(sys, "path", [str(site)])  # others, the clone for one, may change while the tests run
    first = manager.entry_points(tmp_path)
    kept = json.loads((tmp_path / "plugins.json").read_text())

    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: pytest.fail("it was searched again"))

    assert manager.entry_points(tmp_path) == first
    assert ["lamp", "gm_lamp"] in kept["value"]


def test_the_list_of_plugins_is_not_cached_if_a_directory_just_changed(tmp_path: Path, install: Install):
    install("lamp", GOOD)

    manager.entry_points(tmp_path)

    assert not (tmp_path / "plugins.json").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"key": 1}'])
def test_a_broken_cache_is_made_again(tmp_path: Path, install: Install, text: str):
    install("lamp", GOOD)
    (tmp_path / "plugins.json").write_text(text)

    assert ("lamp", "gm_lamp") in manager.entry_points(tmp_path)


def test_an_unwritable_cache_is_no_error(tmp_path: Path, install: Install):
    settled(str(install("lamp", GOOD)))
    (tmp_path / "file").write_text("")

    assert ("lamp", "gm_lamp") in manager.entry_points(tmp_path / "file/below")


class Raising:
    """A plugin whose hooks raise what it is given."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    @hookimpl
    def gm_parts(self) -> list[EmergeOption]:
        raise self.error

    @hookimpl
    def gm_run_emerge(self) -> int:
        raise self.error


def test_a_hook_that_raises_names_its_plugin(tmp_path: Path):
    with raises("plugin-failed", match="'lamp' failed in gm_parts: KeyError: 'x'") as caught:
        words(tmp_path, also=[("lamp", Raising(KeyError("x")))])

    assert caught.value.status == 70


def test_an_own_error_in_a_plugin_keeps_its_code(tmp_path: Path):
    with pytest.raises(BadFile):
        words(tmp_path, also=[("lamp", Raising(BadFile("a", 1, "x")))])


def test_an_invalid_part_is_reported_with_its_plugin(tmp_path: Path):
    class Odd:
        @hookimpl
        def gm_parts(self) -> list[str]:
            return ["-x"]

    with raises("plugin-failed", match="'lamp' failed in gm_parts: '-x' is not a part"):
        words(tmp_path, also=[("lamp", Odd())])


def test_a_hook_that_returns_none_adds_nothing(tmp_path: Path):
    class Silent:
        @hookimpl
        def gm_parts(self) -> None:
            return None

    assert words(tmp_path, also=[("lamp", Silent())]) == []


def test_the_one_that_raises_among_those_who_run_is_named(tmp_path: Path):
    alone = frozenset(manager.BUILT_IN) - NEEDED
    joined = manager.make_manager(tmp_path, without=alone, also=[("lamp", Raising(ValueError("x")))])

    with raises("plugin-failed", match="'lamp' failed in gm_run_emerge: ValueError: x"):
        manager.first(joined, "gm_run_emerge", plan=None, settings=None, reject=None, listener=None)


def test_an_attribute_error_in_a_runner_keeps_its_traceback(tmp_path: Path):
    joined = manager.make_manager(tmp_path)

    with pytest.raises(AttributeError):
        manager.first(joined, "gm_run_emerge", plan=None, settings=None, reject=None, listener=None)
