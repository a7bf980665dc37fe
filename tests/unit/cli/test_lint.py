# SPDX-License-Identifier: GPL-2.0-or-later
"""Contradictions are found with both places, and what is no contradiction is not."""

import pytest

from gentoomuch_portage.configroot.statements import Place
from gentoomuch_portage.reports import lint
from gentoomuch_portage.reports.lint import Finding

pytestmark = pytest.mark.usefixtures("two_layers")


@pytest.fixture
def found(settings):
    """The findings of the profile ``lab``."""
    return lambda: lint.lint_profiles(settings, ["lab"])


def kinds(findings: list[Finding]) -> list[str]:
    return [one.kind for one in findings]


def test_a_flag_removed_by_a_later_layer_is_reported_with_both_lines(write, found):
    first = write("layers/one/make.conf", '# flags\nUSE="ssl\n    nls"\n')
    second = write("layers/two/make.conf", 'USE="-nls"\n')

    assert [(one.kind, one.places) for one in found()] == [("flag", (Place(first, 3), Place(second, 1)))]


def test_layers_whose_flags_agree_have_no_findings(write, found):
    write("layers/one/make.conf", 'USE="ssl nls -X"\n')
    write("layers/two/make.conf", 'USE="nls -gtk"\n')

    assert found() == []


def test_each_invalid_line_is_a_finding(write, found):
    first = write("layers/one/package.accept_keywords/qt", "app-misc/a-5.3*:5\napp-misc/b-5.3*:5\n")
    second = write("layers/two/package.mask", "app-misc\n")

    places = [(finding.kind, finding.places) for finding in found()]

    assert places == [("bad-file", (place,)) for place in (Place(first, 1), Place(first, 2), Place(second, 1))]


def test_clearing_all_flags_is_not_reported(write, found):
    write("layers/one/make.conf", 'USE="ssl"\n')
    write("layers/two/make.conf", 'USE="-* ssl"\n')

    assert found() == []


def test_a_contradicting_flag_of_the_same_atom_is_reported(write, found):
    first = write("layers/one/package.use/a", "# none\napp-misc/foo VIDEO_CARDS: intel\n")
    second = write("layers/two/package.use", "app-misc/foo -video_cards_intel\n=app-misc/foo-1 -video_cards_intel\n")

    assert [(one.kind, one.places) for one in found()] == [("flag", (Place(first, 2), Place(second, 1)))]


def test_a_global_flag_disabled_for_one_package_is_not_reported(write, found):
    write("layers/one/make.conf", 'USE="nls"\n')
    write("layers/two/package.use", "app-misc/foo -nls\n")

    assert found() == []


def test_a_feature_removed_by_a_later_layer_is_reported(write, found):
    write("layers/one/make.conf", 'FEATURES="ccache"\n')
    write("layers/two/make.conf", 'FEATURES="-ccache"\n')

    assert kinds(found()) == ["flag"]


def test_a_variable_set_anew_is_found_at_the_lines_that_count(write, found):
    first = write("layers/one/make.conf", 'CFLAGS="-O1"\nCFLAGS="-O2"\n')
    second = write("layers/two/make.conf", '\nCFLAGS="-Os"\n')

    assert [(one.kind, one.places) for one in found()] == [("variable", (Place(first, 2), Place(second, 2)))]


def test_a_variable_that_extends_its_earlier_value_is_not_reported(write, found):
    write("layers/one/make.conf", 'CFLAGS="-O2"\nCXXFLAGS="${CFLAGS}"\n')
    write("layers/two/make.conf", 'CFLAGS="${CFLAGS} -g"\nCXXFLAGS="${CFLAGS}"\n')

    assert found() == []


def test_an_apostrophe_in_a_comment_hides_no_assignment(write, found):
    write("layers/one/make.conf", "# it's slow\nMAKEOPTS=-j1\n")
    write("layers/two/make.conf", "MAKEOPTS='-j2'\n")

    assert kinds(found()) == ["variable"]


def test_a_file_that_hides_another_is_found(write, found):
    first = write("layers/one/env/slow", "MAKEOPTS=-j1\n")
    second = write("layers/two/env/slow", "MAKEOPTS=-j2\n")

    assert [(one.kind, one.places) for one in found()] == [("hidden", (Place(first, 1), Place(second, 1)))]


def test_the_same_file_in_two_layers_hides_nothing(write, found):
    write("layers/one/env/slow", "MAKEOPTS=-j1\n")
    write("layers/two/env/slow", "MAKEOPTS=-j1\n")

    assert found() == []


def test_a_repeated_line_is_reported(write, found):
    first = write("layers/one/package.accept_keywords", "app-misc/foo  ~amd64\n")
    second = write("layers/two/package.accept_keywords/foo", "\napp-misc/foo ~amd64  # wanted\n")

    assert [(one.kind, one.places) for one in found()] == [("repeat", (Place(first, 1), Place(second, 2)))]


def test_a_layer_with_a_pkgdir_of_its_own_is_found(write, found):
    place = write("layers/two/make.conf", 'PKGDIR="/elsewhere"\n')

    assert [(one.kind, one.places) for one in found()] == [("pkgdir", (Place(place, 1),))]


def test_an_env_file_that_no_layer_has_is_found(write, found):
    write("layers/one/env/there", "A=1\n")
    place = write("layers/two/package.env", "app-misc/foo there gone\n")

    assert [(one.kind, one.places) for one in found()] == [("missing-env", (Place(place, 1),))]


def test_a_layer_named_twice_is_found_once(write, found):
    write("layers/one/make.conf", 'USE="nls"\n')
    write("profiles/lab.toml", 'base = "none"\nlayers = ["one", "two", "one"]\n')

    assert kinds(found()) == ["layer-twice"]


def test_two_profiles_with_one_foreign_root_are_found_once(write, settings):
    first = write("profiles/a.toml", 'base = "none"\nroot = "/mnt/box"\n')
    second = write("profiles/b.toml", 'root = "/mnt/box"\nbase = "none"\n')

    findings = lint.lint_profiles(settings, ["a", "b"])

    assert [(one.kind, one.places) for one in findings] == [("same-root", (Place(first, 2), Place(second, 1)))]


def test_a_profile_that_cannot_be_read_hides_no_other(write, settings):
    broken = write("profiles/broken.toml", 'base = "none"\ncpu = \n')
    write("layers/one/make.conf", 'USE="nls"\n')
    write("layers/two/make.conf", 'USE="-nls"\n')

    findings = lint.lint_profiles(settings, ["broken", "lab"])

    assert [(one.profile, one.kind) for one in findings] == [("broken", "bad-file"), ("lab", "flag")]
    assert findings[0].places == (Place(broken, 2),)


def test_flags_inherited_through_a_variable_belong_to_their_own_layer(write, found):
    first = write("layers/one/make.conf", 'USE="ssl nls"\n')
    second = write("layers/two/make.conf", 'USE="${USE} -nls"\n')

    assert [one.places for one in found()] == [(Place(first, 1), Place(second, 1))]


def test_flags_from_a_variable_of_the_layer_are_found_at_the_line_that_uses_it(write, found):
    first = write("layers/one/make.conf", 'mine="ssl nls"\nUSE="${mine}"\n')
    second = write("layers/two/make.conf", 'USE="-nls"\n')

    assert [one.places for one in found()] == [(Place(first, 2), Place(second, 1))]


@pytest.mark.parametrize(
    ("name", "near"), [("packge.mask/mine", "package.mask"), ("profile/use.maks", "profile/use.mask")]
)
def test_unread_files_of_a_layer_are_reported_with_the_most_similar_name(write, found, name, near):
    file = write(f"layers/two/{name}", "app-misc/foo\n")
    place = file.parent if name.startswith("packge") else file

    [one] = found()

    assert (one.kind, one.places) == ("unread", (Place(place, 1),))
    assert f"{near!r} ?" in one.text


def test_sourced_files_and_readmes_of_a_layer_are_not_reported(write, found):
    write("layers/one/make.conf", "source flags.d/some\n")
    write("layers/one/flags.d/some", 'USE="nls"\n')
    write("layers/one/bashrc", 'source "${PORTAGE_CONFIGROOT}/etc/portage/more.sh"\n')
    write("layers/one/more.sh", "true\n")
    write("layers/one/README.md", "what this is for\n")
    write("layers/one/.git/config", "")

    assert found() == []


def test_a_cpu_that_a_layer_names_besides_that_of_the_profile_is_found_once(write, found):
    profile = write("profiles/lab.toml", 'base = "none"\nlayers = ["one"]\ncpu = "x86-64-v3"\n')
    layer = write("layers/one/make.conf", 'COMMON_FLAGS="-O2 -march=x86-64-v2"\nCFLAGS="${COMMON_FLAGS}"\n')
    write("layers/two/make.conf", 'CFLAGS="-march=x86-64-v4"\n')

    assert [(one.kind, one.places) for one in found()] == [("cpu", (Place(layer, 1), Place(profile, 3)))]


def test_an_equal_cpu_of_layer_and_profile_is_not_reported(write, found):
    write("profiles/lab.toml", 'base = "none"\nlayers = ["one"]\ncpu = "x86-64-v3"\n')
    write("layers/one/make.conf", 'CFLAGS="-O2 -march=x86-64-v3"\n')

    assert found() == []
