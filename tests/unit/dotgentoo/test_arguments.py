# SPDX-License-Identifier: GPL-2.0-or-later
"""Which words of emerge's line mean a project, and what becomes of them in a plan."""

from pathlib import Path

import pytest
from helpers.dotgentoo import written

from gentoomuch_portage.config import profile
from gentoomuch_portage.dotgentoo.arguments import find_projects, is_project
from gentoomuch_portage.plan.plan import Plan, Replacement, WorkTree, make_plan
from gentoomuch_portage.plan.request import Request


@pytest.mark.parametrize(
    "word", [".", "./", "./.", ".gentoo", "./.gentoo", ".gentoo/", "../here", "../here/.gentoo", "sub/.."]
)
def test_it_means_a_project(word: str, tmp_path: Path, monkeypatch):
    written(tmp_path / "here")
    (tmp_path / "here/sub").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    assert is_project(word)


@pytest.mark.parametrize(
    "word", ["app-misc/hello", "here", "..", "/", "-p", "--root=./here", "@world", "./x.ebuild", ""]
)
def test_it_means_none(word: str, tmp_path: Path, monkeypatch):
    written(tmp_path / "here/deep")
    (tmp_path / "here/app-misc/hello").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")

    assert not is_project(word)


def test_each_is_named_once_and_in_order(tmp_path: Path):
    one, two = (str(written(tmp_path / name).parent) for name in ("one", "two"))

    assert find_projects(["-p", two, "a/b", one, two]) == (two, one)


def test_a_plan_has_the_replacement_of_an_argument():
    request = Request(arguments=("-p", ".", "../b", "x", ""), options={})
    parts = [("dotgentoo", Replacement(".", "=a/b-99999")), ("dotgentoo", Replacement("../b", ""))]

    plan = make_plan(request, profile.host_alone("dotgentoo"), parts)

    assert plan.arguments == ("-p", "=a/b-99999", "x", "")


def test_a_printed_plan_has_its_trees(tmp_path: Path):
    tree = WorkTree("a/b-99999", tmp_path / "tree", "ID DIGEST")
    plan = make_plan(Request(arguments=(), options={}), profile.host_alone("dotgentoo"), [("dotgentoo", tree)])
    (tmp_path / "plan").write_text(plan.to_json())

    assert Plan.from_json(tmp_path / "plan") == plan
