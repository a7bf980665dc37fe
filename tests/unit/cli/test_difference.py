# SPDX-License-Identifier: GPL-2.0-or-later
"""What differs between two profiles, as a unified diff."""

from gentoomuch_portage.emerge.profile_view import load_view
from gentoomuch_portage.reports import diff


def lines(settings, left: str, right: str) -> list[str]:
    with load_view(settings, left) as first, load_view(settings, right) as second:
        return list(diff.diff_profiles(first, second))


def test_a_profile_and_its_copy_do_not_differ(settings, write, two_layers):
    write("layers/one/package.use", "app-misc/foo nls\n")
    write("profiles/copy.toml", (settings.config / "profiles/lab.toml").read_text())

    assert lines(settings, "lab", "copy") == []


def test_diff_shows_different_options_and_roots(settings, write, two_layers):
    write("profiles/other.toml", 'base = "none"\nroot = "/mnt/x"\nemerge = ["--quiet"]\n[binpkg]\nbuild = false\n')

    told = lines(settings, "lab", "other")

    assert told[:2] == ["--- lab/profile", "+++ other/profile"]
    assert {"-root /", "+root /mnt/x", "+option --quiet", "-layer one"} <= set(told)


def test_one_layer_in_another_turn_is_the_same_file(settings, write, two_layers):
    write("layers/one/package.use", "app-misc/foo nls\n")
    write("profiles/other.toml", 'base = "none"\nlayers = ["two", "one"]\n[binpkg]\nbuild = false\n')

    told = lines(settings, "lab", "other")

    assert [line for line in told if "package.use" in line] == []
    assert "-layer two" in told or "+layer two" in told


def test_a_file_that_one_of_them_lacks_is_diffed_against_nothing(settings, write, two_layers):
    write("layers/two/package.mask", "app-misc/foo\n")
    write("profiles/other.toml", 'base = "none"\nlayers = ["one"]\n[binpkg]\nbuild = false\n')

    told = lines(settings, "lab", "other")

    assert "+++ /dev/null" in told
    assert "-app-misc/foo" in told


def test_a_binary_file_is_described_by_its_size(settings, write, two_layers):
    write("layers/two/env/x", "").write_bytes(b"\xff\xfe\x00")
    write("profiles/other.toml", 'base = "none"\nlayers = ["one"]\n')

    assert "-3 bytes of binary data" in lines(settings, "lab", "other")
