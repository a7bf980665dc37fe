# SPDX-License-Identifier: GPL-2.0-or-later
"""``gm-emerge ARGS`` and ``emerge ARGS``: the same words, the same end, the same host afterwards."""

import pytest

ASKED = [
    # the line, its exit status, and words that show that it did what it is here for
    ("-p app-demo/gm-hello", 0, "app-demo/gm-hello-1.0"),
    ("--pretend --verbose app-demo/gm-hello", 0, "Size of downloads"),
    ("-pt app-demo/gm-hello", 0, "reverse order"),
    ("-p --columns app-test/plain", 0, "[1.0]"),
    ("-pq app-demo/gm-hello", 0, "[ebuild  N    ]"),
    ("-p --color y app-test/plain", 0, "\x1b["),
    ("-p --color n app-test/plain", 0, "app-test/plain-2.0"),
    ("-puDN --with-bdeps=y @world", 0, "in order"),
    ("-p @system", 0, "in order"),
    ("-p @preserved-rebuild", 0, "in order"),
    ("-p @nowhere", 1, "no sets to satisfy 'nowhere'"),
    ("-p --noreplace app-test/flagged", 0, "in order"),
    ("-pk =app-test/plain-1.0", 0, "[binary "),
    ("-pf app-test/plain", 0, "would be fetched"),
    ("-pe --jobs=2 --keep-going @selected", 0, "app-test/slotted"),
    ("-p app-test/nowhere", 1, "there are no ebuilds to satisfy"),
    ("-p =app-test/plain-3", 1, "there are no ebuilds to satisfy"),
    ("-p not/an/atom", 1, "is not a valid package atom"),
    ("-p twin", 1, "is ambiguous"),
    ("-p /nowhere/plain-1.0.ebuild", 1, "/nowhere"),
    ("-p", 1, "emerge"),
    ("--no-such-option", 2, "unrecognized arguments"),
    ("--jobs=many app-test/plain", 2, "Invalid --jobs parameter"),
    ("--sync --depclean", 1, "Multiple actions requested"),
    ("-K app-demo/gm-hello", 1, "no binary packages to satisfy"),
    ("app-test/masked", 1, "masked by: package.mask"),
    ("app-test/testing", 1, "~"),
    ("-p --autounmask=y app-test/testing", 1, "The following keyword changes"),
    ("app-test/wants-flag", 1, "The following USE changes"),
    ("app-test/choosy", 1, "exactly-one-of"),
    ("app-test/blocks", 1, "app-test/plain"),
    ("app-test/needs-blocks", 1, "app-test/blocks"),
    ("app-test/wants-nothing-there", 1, "app-test/nowhere"),
    ("app-test/hen", 1, "circular dependencies"),
    ("-f app-test/undigested", 1, "undigested.tar.gz"),
    ("-f app-test/by-hand", 1, "put by-hand.tar.gz into DISTDIR"),
    ("--ask app-test/twin", 1, '"--ask" should only be used in a terminal'),
    ("--info", 0, "Repositories:"),
    ("--info app-test/speaks", 0, "this is pkg_info"),
    ("--search plain", 0, "Applications found : 1"),
    ("--searchdesc circle", 0, "Applications found : 2"),
    ("--depclean -p", 0, "would be unmerged"),
    ("--depclean -p app-test/flagged", 0, "app-test/flagged"),
    ("--prune -p", 0, "app-test/slotted"),
    ("--list-sets", 0, "selected-packages"),
    ("--config app-test/plain", 0, "pkg_config() is not defined"),
    ("--config app-test/speaks", 0, "configured"),
    ("--config app-test/nowhere", 0, "No packages found."),
    ("--unmerge", 1, "can only be used with specific package names"),
    ("--unmerge app-test/nowhere", 1, "to unmerge"),
    ("--resume -p", 0, "It seems we have nothing to resume"),
    ("--sync", 0, ""),
    ("--sync nowhere", 1, "nowhere"),
    ("--metadata", 0, ""),
    ("--regen", 0, "Regenerating"),
    ("--check-news", 0, ""),
    ("--moo", 0, "Larry"),
    ("--status", 1, "emerge"),
]
"""What asks, or fails before it does anything."""

DONE = [
    ("-1 dev-test/twin", 0, "Completed (1 of 1) dev-test/twin-1.0"),
    ("--jobs=2 --quiet-build=y app-test/twin", 0, "Jobs: 1 of 1 complete"),
    ("app-test/speaks", 0, "an elog message"),
    ("app-test/broken", 1, "as it should: this never compiles"),
    ("--keep-going app-test/broken dev-test/twin", 1, "The following package has failed to build"),
    ("-K app-test/plain", 0, "plain-1.0"),
    ("-B app-test/flagged", 0, "Creating binpkg"),
    ("-C app-test/plain", 0, "Unmerging (1 of 1) app-test/plain-1.0"),
    ("-c app-test/plain", 0, "Unmerging (1 of 1) app-test/plain-1.0"),
    ("--noreplace app-test/plain", 0, "app-test/plain"),
    ("--deselect app-test/flagged", 0, "app-test/flagged"),
    ("--autounmask-write app-test/wants-flag", 1, "Autounmask changes successfully written"),
    ("--autounmask-continue -1 app-test/wants-flag", 0, "app-test/flagged"),
]
"""What changes the host."""

TOLD = [
    ("-p app-test/plain", {"EMERGE_DEFAULT_OPTS": "--verbose --nospinner"}, 0, "Size of downloads"),
    ("-p app-test/plain", {"EMERGE_DEFAULT_OPTS": "--nonsense"}, 2, "unrecognized arguments"),
    ("-p app-test/plain", {"NO_COLOR": "1"}, 0, "app-test/plain-2.0"),
    ("-p app-test/plain", {"NOCOLOR": "true"}, 0, "app-test/plain-2.0"),
    ("-p app-test/plain", {"USE": "doc"}, 0, "doc"),
    ("-p app-test/plain", {"LC_ALL": "C"}, 0, "app-test/plain-2.0"),
    ("-p app-test/plain", {"LC_ALL": "POSIX"}, 0, "app-test/plain-2.0"),
    ("-p app-test/pläin", {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, 1, "pläin"),
    ("-p app-test/pläin", {"LC_ALL": "C.UTF-8"}, 1, "pläin"),
    ("-p app-test/plain", {"FEATURES": "no-such-feature"}, 0, "no-such-feature"),
    ("dev-test/twin", {"PORTAGE_MULTIPROCESSING_START_METHOD": "spawn"}, 0, "Completed (1 of 1) dev-test/twin-1.0"),
]
"""What the environment has a say in."""


@pytest.mark.parametrize(("line", "status", "words"), ASKED)
def test_gm_emerge_prints_the_same_as_emerge(both, line, status, words):
    theirs, ours = both(line)

    assert ours == theirs
    assert theirs.status == status, theirs
    assert words in theirs.out + theirs.err


@pytest.mark.parametrize(("line", "status", "words"), DONE)
def test_gm_emerge_changes_the_host_as_emerge_does(both, line, status, words):
    theirs, ours = both(line)

    assert ours == theirs
    assert theirs.status == status, theirs
    assert words in theirs.out + theirs.err


@pytest.mark.parametrize(("line", "env", "status", "words"), TOLD)
def test_gm_emerge_heeds_the_environment_as_emerge_does(both, line, env, status, words):
    theirs, ours = both(line, **env)

    assert ours == theirs
    assert theirs.status == status, theirs
    assert words in theirs.out + theirs.err
