# SPDX-License-Identifier: GPL-2.0-or-later
"""``status``, ``update`` and ``bootstrap`` on a host without a prefix: for the host itself, and for a separate root."""

import json
from typing import Any

import pytest
from helpers.realhost import RealHost

NOTE = """EAPI=8
DESCRIPTION="a note"
S="${{WORKDIR}}"
LICENSE="GPL-2+"
SLOT="0"
KEYWORDS="{arches}"
src_install() {{ echo {version} > note || die; insinto /usr/share; doins note; }}
"""


def _note(real_host: RealHost, version: str) -> None:
    arches = (real_host.root / "var/db/repos/gentoo/profiles/arch.list").read_text().split()
    real_host.ebuild(f"app-demo/note-{version}", NOTE.format(arches=" ".join(arches), version=version))


def _status(real_host: RealHost, name: str) -> tuple[int, dict[str, Any]]:
    ended = real_host.run("gentoomuch", "status", name, "--json")
    assert ended.status in {0, 1}, ended.out + ended.err
    return ended.status, json.loads(ended.out)[0]


@pytest.mark.parametrize("isolation", ["none", "bwrap"])
def test_the_host_itself_is_updated(real_host: RealHost, isolation: str):
    name = f"here-{isolation}"
    _note(real_host, "1")
    real_host.profile(name, f'packages = ["app-demo/note"]\nisolation = "{isolation}"\n')

    before = _status(real_host, name)
    first = real_host.run("gentoomuch", "update", "--no-sync", name)
    middle = _status(real_host, name)
    _note(real_host, "2")
    outdated = _status(real_host, name)
    second = real_host.run("gentoomuch", "update", "--no-sync", name, "--json")
    after = _status(real_host, name)

    assert first.status == 0, first.out + first.err
    assert second.status == 0, second.out + second.err
    assert [missing["atom"] for missing in before[1]["missing"]] == ["app-demo/note"]
    assert not middle[1]["missing"]
    assert [package["newest"] for package in outdated[1]["outdated"]] == ["app-demo/note-2"]
    assert json.loads(second.out)[0]["merged"] == 1
    assert not after[1]["outdated"]
    assert (real_host.root / "usr/share/note").read_text() == "2\n"
    removed = real_host.run("gm-emerge", f"--gm-profile={name}", "--unmerge", "--ask=n", "app-demo/note")
    assert removed.status == 0, removed.out + removed.err
    for file in (real_host.root / "var/db/repos/gentoo/app-demo/note").glob("*.ebuild"):
        file.unlink()


@pytest.mark.parametrize("isolation", ["none", "bwrap"])
def test_a_separate_root_is_created_and_updated(real_host: RealHost, isolation: str):
    name, root = f"router-{isolation}", f"srv/roots/{isolation}"
    _note(real_host, "1")
    real_host.profile(name, f'root = "/{root}"\npackages = ["app-demo/note"]\nisolation = "{isolation}"\n')

    made = real_host.run("gentoomuch", "bootstrap", name)
    _note(real_host, "2")
    outdated = _status(real_host, name)
    updated = real_host.run("gentoomuch", "update", "--no-sync", name)
    after = _status(real_host, name)

    assert made.status == 0, made.out + made.err
    assert "bootstrap: from this host, because there is no verified stage3-" in made.err
    assert [package["newest"] for package in outdated[1]["outdated"]] == ["app-demo/note-2"]
    assert updated.status == 0, updated.out + updated.err
    assert not after[1]["outdated"]
    assert (real_host.root / root / "usr/share/note").read_text() == "2\n"
    for file in (real_host.root / "var/db/repos/gentoo/app-demo/note").glob("*.ebuild"):
        file.unlink()
