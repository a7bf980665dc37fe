# SPDX-License-Identifier: GPL-2.0-or-later
"""Cached answers about CPUs: found again, and computed again when what they depend on changes."""

import json
import os
from pathlib import Path

import pytest

from gentoomuch_portage.isa import cached, machine, resolve
from gentoomuch_portage.isa.requirement import parse_cached


class Asked:
    """A question that counts how often it is computed."""

    def __init__(self, cache: Path) -> None:
        self.cache, self.times = cache, 0

    def find(self, key: str = "question") -> str:
        return cached.find_answer(self.cache, key, self._compute, str)

    def _compute(self) -> str:
        self.times += 1
        return f"answer {self.times}"


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """A question on a machine whose only compiler is ``tmp_path/bin/gcc``."""
    compiler = tmp_path / "bin/gcc"
    compiler.parent.mkdir()
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", str(compiler.parent))
    return Asked(tmp_path / "cache")


def test_an_answer_is_computed_once_for_each_key(asked: Asked):
    assert [asked.find(), asked.find(), asked.find("other"), asked.find()] == ["answer 1"] * 2 + [
        "answer 2",
        "answer 1",
    ]


def test_a_new_compiler_invalidates_answers(asked: Asked, tmp_path: Path):
    asked.find()

    os.utime(tmp_path / "bin/gcc", ns=(1, 1))

    assert [asked.find(), asked.find()] == ["answer 2"] * 2


def test_another_first_compiler_on_path_invalidates_answers(asked: Asked, tmp_path: Path, monkeypatch):
    asked.find()

    (tmp_path / "first").mkdir()
    (tmp_path / "bin/gcc").rename(tmp_path / "first/gcc")
    monkeypatch.setenv("PATH", str(tmp_path / "first"))

    assert asked.find() == "answer 2"


def test_a_restart_or_another_machine_invalidates_answers(asked: Asked, tmp_path: Path, monkeypatch):
    asked.find()

    (tmp_path / "boot_id").write_text("of another machine\n")
    monkeypatch.setattr(cached, "_BOOT", tmp_path / "boot_id")

    assert [asked.find(), asked.find()] == ["answer 2"] * 2


def test_nothing_is_cached_on_a_machine_that_cannot_be_identified(asked: Asked, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(cached, "_BOOT", tmp_path / "missing")

    assert [asked.find(), asked.find()] == ["answer 1", "answer 2"]
    assert not asked.cache.exists()


def test_new_tables_invalidate_answers(asked: Asked, tmp_path: Path, monkeypatch):
    (tmp_path / "isa/data").mkdir(parents=True)
    (tmp_path / "isa/resolve.py").touch()
    (tmp_path / "isa/data/x86_64.json").touch()
    monkeypatch.setattr(cached, "_HERE", tmp_path / "isa")
    asked.find()

    (tmp_path / "isa/data/x86_64.json").write_text("{}")
    after_data = asked.find()
    (tmp_path / "isa/resolve.py").write_text("pass")

    assert [after_data, asked.find()] == ["answer 2", "answer 3"]


@pytest.mark.parametrize("text", ["", "[", "[]", "{}", '{"key": "question", "stamp": "", "value": "old"}'])
def test_a_damaged_answer_is_computed_again(asked: Asked, text: str):
    asked.find()
    [file] = (asked.cache / "isa").iterdir()
    file.write_text(text)

    assert asked.find() == "answer 2"


def test_an_error_is_not_cached(asked: Asked):
    def fail() -> str:
        raise LookupError

    with pytest.raises(LookupError):
        cached.find_answer(asked.cache, "question", fail, str)

    assert asked.find() == "answer 1"


@pytest.mark.parametrize(
    "flags", [("-march=x86-64-v3",), ("-march=native",), ("-mcpu=cortex-a53",), ("-march=nothing",)]
)
def test_capabilities_from_the_cache_equal_those_that_were_computed(flags: tuple[str, ...], tmp_path: Path):
    computed = resolve.capabilities(flags, tmp_path)

    loaded = parse_cached(json.loads(json.dumps(computed.to_cache())))

    assert (loaded, loaded.by) == (computed, computed.by)


def test_capabilities_of_this_machine_from_the_cache_equal_those_that_were_computed(tmp_path: Path):
    computed = machine.capabilities(tmp_path)

    loaded = parse_cached(json.loads(json.dumps(computed.to_cache())))

    assert (loaded, loaded.by) == (computed, computed.by)


@pytest.mark.parametrize("field", ["features", "abi", "by", "known", "description"])
def test_damaged_capabilities_are_rejected(field: str, tmp_path: Path):
    value = resolve.capabilities(("-march=x86-64",), tmp_path).to_cache()

    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        parse_cached({name: content for name, content in value.items() if name != field})
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        parse_cached({**value, "features": ["A B"]})
