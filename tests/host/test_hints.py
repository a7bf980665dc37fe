# SPDX-License-Identifier: GPL-2.0-or-later
"""Wrong command lines whose hints need a host: each hint is run as printed, and succeeds."""

import re
import shlex

import pytest
from conftest import Run

from gentoomuch_portage.demo_host import Host

WRONG = (
    "gentoomuch upgrade laptop --pretend",
    "gentoomuch update --dry-run laptop --no-sync",
    "gentoomuch update lapotp --pretend --no-sync",
    "gentoomuch wyh app-demo/gm-hello --profile laptop",
    "gentoomuch why app-demo/gm-hello --profile lapotp",
    "gentoomuch why app-demo/gm-hello",
    "gentoomuch search gm-hello",
    "gentoomuch install -p gm-hello",
    "gentoomuch binpkg lss",
    "gentoomuch binpkg ls --profile lapotp",
    "gentoomuch binpkg mask --profile lapotp",
    "gentoomuch sync --profile lapotp",
    "gentoomuch profile rnu laptop -- true",
    "gentoomuch profile run lapotp -- true",
    "gentoomuch profile run laptop",
    "gentoomuch hooks enabel refresh",
    "gentoomuch hooks enable refersh",
    "gentoomuch root lss",
    "gentoomuch unmask lss --profile laptop",
    "gentoomuch unmask prune --profile lapotp",
    "gm-emerge --gm-profil=laptop -p gm-hello",
    "gm-emerge --gm-profile=lapotp -p gm-hello",
    "gm-emerge --gm-profile -p gm-hello",
    "gm-emerge --gm-profile=laptop --gm-isolation=nnoe -p gm-hello",
    "gm-emerge --gm-unmask=keywords -p gm-hello",
    "gm-emerge --profile=laptop -p gm-hello",
    "gm-emerge --profile laptop -p gm-hello",
    "gm-emerge --gm-profile=laptop --gm-explian gm-hello",
    "gm-emerge --gm-pretend gm-hello",
)


@pytest.mark.slow
@pytest.mark.parametrize("line", WRONG)
def test_the_command_of_a_hint_succeeds_as_printed(line: str, host: Host, on: Run) -> None:
    host.profile("laptop", "")
    wrong = on(*shlex.split(line))
    hint = re.search(r"hint: (.*)", wrong.err + wrong.out)

    assert wrong.status not in (0, 1), wrong.err
    assert hint, wrong.err
    corrected = on(*shlex.split(hint[1]))
    assert corrected.status == 0, corrected.err
