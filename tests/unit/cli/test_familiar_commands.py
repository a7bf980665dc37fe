# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands of the first GentooMuch and of guides to chroots and binhosts: each works, or names the one that does.

Source: README of GentooMuch; "gentoo-chroot-binhost-ideas", a guide to chroots and binhosts.
"""

import shlex

import pytest
from helpers.errors import raises

from gentoomuch_portage.cli import commands, parser

WORKS = (
    "sync",
    "profile ls",
    "profile set laptop",
    "bootstrap laptop",
    "freshroot",
    "patch prep musl app-editors/vim 9.1",
    "patch try musl",
    "patch save musl",
    "binhost check --fix",
    "binhost serve --bind 127.0.0.1:8008",
    "binhost client http://127.0.0.1:8008 --fresh",
    "dotgentoo id .",
    "dotgentoo check .",
)
"""Without ``gentoomuch``."""
REPLACED = {
    "stage build": "gentoomuch bootstrap NAME",
    "stage4 build": "gentoomuch root export NAME --output FILE.tar.zst",
    "kernel prep": "gm-emerge --gm-profile=NAME sys-kernel/gentoo-kernel",
    "kernel update": "gm-emerge --gm-profile=NAME sys-kernel/gentoo-kernel",
    "pipeline laptop": "gentoomuch update --all",
    "clean": "gentoomuch doctor --clean",
    "patch compile musl": "gentoomuch patch try SET",
    "patch profiles": "gentoomuch patch use SET --profile NAME",
    "root bootstrap laptop": "gentoomuch bootstrap NAME",
    "arch-chroot /srv/roots/laptop": "gentoomuch root enter NAME",
    "gentoo-chroot /srv/roots/laptop": "gentoomuch root enter NAME",
    "chroot laptop": "gentoomuch root enter NAME",
    "run laptop": "gentoomuch freshroot NAME",
    "exec laptop": "gentoomuch root enter NAME",
    "rollback laptop": "gentoomuch root rollback NAME",
    "root restore laptop": "gentoomuch root rollback NAME",
    "snapshot laptop": "gentoomuch root snapshot NAME",
    "ps": "gentoomuch root ls",
    "emaint binhost --check": "gentoomuch binhost check --fix",
    "emerge -G vim": "gm-emerge --gm-profile=NAME PACKAGE",
}
"""Without ``gentoomuch`` -> the hint."""


def _parse(line: str) -> object:
    own = commands.load_own_commands()
    return parser.build_parser(own, commands.TITLES).parse_args(shlex.split(line))


@pytest.mark.parametrize("line", WORKS)
def test_a_familiar_command_is_accepted(line: str):
    _parse(line)


@pytest.mark.parametrize(("line", "hint"), REPLACED.items())
def test_a_command_of_another_name_is_named_by_the_hint(line: str, hint: str):
    with raises("unknown-command") as rejected:
        _parse(line)

    assert rejected.value.hint == hint
