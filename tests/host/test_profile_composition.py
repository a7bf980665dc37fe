# SPDX-License-Identifier: GPL-2.0-or-later
"""Layers against Portage itself: the same layers stacked as a chain of make_profiles are the oracle.

The layers of a profile add up as the ``make.defaults`` of a chain of make_profiles do. Where a make.conf must differ:

* A USE_EXPAND variable in make.conf replaces what the make_profile says of it, where a further make.defaults
  would add to it (Source: config.regenerate, ``is_not_incremental``). So the chain is compared without the values
  of the bottom, and another test shows that make.conf alone decides.
* For the same reason ``-*`` in USE takes them away in make.defaults, and not in make.conf.
* ACCEPT_LICENSE and its like add up among layers, as they do from make.defaults to make.conf; in a chain of
  make_profiles the last one wins. So they are compared with one make.conf that says it all.
* Values that are not incremental (CFLAGS) see the layers below in both; the last one counts in both.
"""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gentoomuch_portage.configroot import cache
from gentoomuch_portage.configroot.key import Recipe
from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.plan.plan import Layer, MakeProfile

Values = dict[str, str]


def seen(root: Path) -> dict[str, list[str]]:
    """What Portage's config says of a configroot."""
    import portage

    found = portage.config(config_root=str(root), target_root="/", env={})
    use = found["USE"].split()
    names = ("FEATURES", "ACCEPT_KEYWORDS", "ACCEPT_LICENSE", "CONFIG_PROTECT", "CFLAGS")
    return {
        "USE": sorted(flag for flag in use if not flag.startswith("video_cards_")),
        "VIDEO_CARDS": sorted(flag for flag in use if flag.startswith("video_cards_")),
        **{name: found.get(name, "").split() for name in names},
    }


def tokens(*names: str) -> st.SearchStrategy[str]:
    signed = [f"{sign}{name}" for name in names for sign in ("", "-")]
    return st.lists(st.sampled_from([*signed, "-*"]), max_size=4).map(" ".join)


VALUES = {
    "USE": tokens("alpha", "beta", "gamma"),
    "FEATURES": tokens("parallel-fetch", "nodoc", "noman"),
    "ACCEPT_KEYWORDS": tokens("~amd64", "~x86"),
    "CONFIG_PROTECT": tokens("/a", "/b"),
    "VIDEO_CARDS": tokens("intel", "amdgpu", "fbdev"),
    "CFLAGS": st.sampled_from(["-O1", "${CFLAGS} -g", "-O2 ${CFLAGS}"]),
}
LICENCES = st.lists(st.sampled_from(["*", "GPL-2+", "-GPL-2+", "MIT", "-*"]), max_size=3).map(" ".join)


@st.composite
def some_layers(draw: st.DrawFn, **more: st.SearchStrategy[str]) -> list[Values]:
    """One to four layers; VIDEO_CARDS is said only where no USE is cleared."""
    layers = draw(st.lists(st.fixed_dictionaries({}, optional={**VALUES, **more}), min_size=1, max_size=4))
    if any("-*" in values.get("USE", "") for values in layers):
        return [{name: value for name, value in values.items() if name != "VIDEO_CARDS"} for values in layers]
    return layers


def text(values: Values) -> str:
    return "".join(f'{name}="{value}"\n' for name, value in sorted(values.items()))


def written(host: Host, layers: list[Values], name: str = "make.conf") -> list[Layer]:
    """The layers, written down; behind one that holds the host's repositories."""
    found = [host.config / "layers/repos/repos.conf"]
    found += [host.config / f"layers/l{number}" / name for number in range(len(layers))]
    texts = [(host.etc / "repos.conf/gm-demo.conf").read_text(), *map(text, layers)]
    for file, content in zip(found, texts, strict=True):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    folders = [host.config / "layers/repos", *(host.config / f"layers/l{number}" for number in range(len(layers)))]
    return [Layer(folder.name, folder) for folder in folders]


def composed(host: Host, layers: list[Layer]) -> Path:
    """The configroot of a profile from nothing with these layers."""
    parts = (*(("profile", layer) for layer in layers), ("profile", MakeProfile("gm-demo:machine", "a.toml:1")))
    laid = cache.find_or_build(
        Recipe(host=host.etc, base="none", config=host.config, parts=parts), host.folder / "cache"
    )
    os.close(laid.lock)
    return laid.path


def stacked(host: Host, layers: list[Values]) -> Path:
    """A configroot whose make.profile is a chain: the machine, then each layer as a make_profile of its own."""
    root = host.folder / "chain"
    below = host.repository / "profiles/machine"
    for number, values in enumerate(layers):
        node = root / f"nodes/{number}"
        node.mkdir(parents=True, exist_ok=True)
        (node / "parent").write_text(f"{below}\n")
        (node / "make.defaults").write_text(text(values))
        (node / "eapi").write_text("8\n")
        below = node
    shown = root / "etc/portage"
    shown.mkdir(parents=True, exist_ok=True)
    (shown / "make.profile").unlink(missing_ok=True)
    (shown / "make.profile").symlink_to(below)
    return root


GIVEN = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def quickly_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files just written are held for settled, and each example begins without what was made before."""
    monkeypatch.setattr(cache, "_find", lambda _remembered, _cache: None)


@GIVEN
@given(some_layers())
def test_layers_add_up_as_a_chain_of_make_profiles_does(host: Host, layers: list[Values]):
    assert seen(composed(host, written(host, layers))) == seen(stacked(host, layers))


@GIVEN
@given(some_layers(ACCEPT_LICENSE=LICENCES))
def test_make_defaults_of_layers_add_up_as_a_chain_of_make_profiles_does(host: Host, layers: list[Values]):
    plain = [{name: value for name, value in one.items() if name != "CFLAGS"} for one in layers]

    assert seen(composed(host, written(host, plain, "profile/make.defaults"))) == seen(stacked(host, plain))


@GIVEN
@given(st.lists(LICENCES, min_size=1, max_size=4))
def test_licenses_of_layers_equal_those_in_one_make_conf(host: Host, said: list[str]):
    several = composed(host, written(host, [{"ACCEPT_LICENSE": one} for one in said]))
    whole = composed(host, written(host, [{"ACCEPT_LICENSE": " ".join(said)}]))

    assert seen(several)["ACCEPT_LICENSE"] == seen(whole)["ACCEPT_LICENSE"]


def test_a_use_expand_variable_of_make_conf_replaces_that_of_the_make_profile(host: Host):
    defaults = host.repository / "profiles/machine/make.defaults"
    defaults.write_text(defaults.read_text() + 'VIDEO_CARDS="fbdev"\nUSE="below"\n')
    layers: list[Values] = [{"VIDEO_CARDS": "intel", "USE": "a"}, {"VIDEO_CARDS": "amdgpu -intel", "USE": "-a b"}]

    ours, theirs = seen(composed(host, written(host, layers))), seen(stacked(host, layers))

    assert ours["USE"] == theirs["USE"] == ["amd64", "b", "below"]
    assert ours["VIDEO_CARDS"] == ["video_cards_amdgpu"]
    assert theirs["VIDEO_CARDS"] == ["video_cards_amdgpu", "video_cards_fbdev"]


def test_eprefix_in_a_layer_is_expanded_by_portage(host: Host):
    layers = [{"CONFIG_PROTECT": "${EPREFIX}/a"}, {"CONFIG_PROTECT": "${PORTAGE_CONFIGROOT}b"}]

    root = composed(host, written(host, layers))

    import portage

    assert {f"{portage.const.EPREFIX}/a", f"{root}/b"} <= set(seen(root)["CONFIG_PROTECT"])


USE_LINES = st.lists(
    st.sampled_from(
        [
            "dev-demo/libgreet shout",
            "dev-demo/libgreet -shout",
            "*/* shout",
            "*/* -*",
            "=dev-demo/libgreet-1.0 -shout",
            "dev-demo/* shout",
            "dev-demo/libgreet -* shout",
        ]
    ),
    max_size=3,
)


def enabled(root: Path) -> list[str]:
    """The flags of libgreet that are on in a configroot, of those it has."""
    import portage

    found = portage.config(config_root=str(root), target_root="/", env={})
    known = {"IUSE": "shout", "EAPI": "8", "SLOT": "0", "repository": "gm-demo", "KEYWORDS": "amd64"}
    found.setcpv(portage.versions._pkg_str("dev-demo/libgreet-1.0", slot="0", repo="gm-demo", eapi="8"), mydb=known)
    return sorted(set(found["PORTAGE_USE"].split()) & {"shout"})


@GIVEN
@given(st.lists(USE_LINES, min_size=1, max_size=12))
def test_package_use_of_layers_is_read_as_one_file_in_their_order(host: Host, layers: list[list[str]]):
    for number, lines in enumerate(layers):
        folder = host.config / f"layers/l{number}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.use").write_text("".join(f"{line}\n" for line in lines))
    repos = written(host, [])
    several = [*repos, *(Layer(f"l{number}", host.config / f"layers/l{number}") for number in range(len(layers)))]
    whole = host.config / "layers/whole"
    whole.mkdir(exist_ok=True)
    (whole / "package.use").write_text("".join(f"{line}\n" for lines in layers for line in lines))

    assert enabled(composed(host, several)) == enabled(composed(host, [*repos, Layer("whole", whole)]))
