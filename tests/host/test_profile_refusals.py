# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong in a configuration: one error with file and line, exit 78, no traceback, nothing on stdout."""

import os
import shlex
from pathlib import Path

import pytest

from gentoomuch_portage.demo_host import Host


def refused(ended, where: str, said: str, *, code: str) -> None:
    """One error of our own, which names its place."""
    assert ended.status == 78, ended.out + ended.err
    assert ended.out == ""
    first, *more = ended.err.splitlines()
    assert first.startswith(f"gentoomuch: {where}")
    assert said in first
    assert first.endswith(f"[{code}]")
    assert [line for line in more if not line.startswith("gentoomuch:     hint: ")] == []


LAYER = {
    "a quote that is not closed": ("make.conf", 'A="1"\n\nUSE="a b\nB=1\nC=1\n', 3, "no closing quotation"),
    "a quote that is closed by the next": (
        "make.conf",
        'A="1"\nUSE="a b\nCFLAGS="-O2"\nC=1\n',
        2,
        "no closing quotation",
    ),
    "a line that sets nothing": ("make.conf", 'A="1"\nif true\n', 2, "'true'"),
    "a variable that is none": ("make.conf", 'A="1"\n1A="2"\n', 2, "1A"),
    "a name without a value": ("make.conf", 'A="1"\nB=\n', 2, "'B'"),
    "a quote that is not closed in a folder": ("make.conf/10-x", 'A="1"\nUSE="a\n', 2, "no closing quotation"),
    "a source that is missing": ("make.conf", 'A="1"\nsource nothing\n', 2, "nothing"),
    "an atom that is none": ("package.use", "a/a x\n\nnoatom x\n", 3, "'noatom' is not a valid atom"),
    "an atom that is none in a folder": ("package.accept_keywords/x", "=a/a ~amd64\n", 1, "'=a/a' is not a valid atom"),
    "a flag that is none": ("package.use/x", "a/a x y=z\n", 1, "'y=z' is not a valid USE flag"),
    "make.defaults": ("profile/make.defaults", 'A="1"\nUSE="a\n', 2, "no closing quotation"),
    "an option of repos.conf": ("repos.conf/x", "[x]\nlocation = /x\n\nnonsense\n", 4, "nonsense"),
    "a section twice": ("binrepos.conf", "[x]\n[x]\n", 2, "'x' occurs twice"),
    "an option twice": ("sets.conf", "[x]\na = 1\na = 2\n", 3, "'a' occurs twice"),
    "a repos.conf without a section": ("repos.conf/x", "location = /x\n", 1, ""),
}


@pytest.mark.parametrize("what", LAYER)
def test_a_file_of_a_layer_with_an_error(host: Host, on, what: str):
    name, text, line, said = LAYER[what]
    host.profile("a", 'layers = ["one"]\n', {f"one/{name}": text})

    ended = on("gm-emerge", "--gm-profile=a", "-p", "gm-hello")

    refused(ended, f"{host.config}/layers/one/{name}:{line}: ", said, code="bad-file")


PROFILES = {
    "a syntax error": ('cpu = "x86-64\n', 1, "not valid TOML", "bad-file"),
    "an unknown key": ('\nlayer = ["one"]\n', 2, "unknown key 'layer'", "bad-setting"),
    "a wrong type": ('layers = "one"\n', 1, "not a list of strings", "bad-setting"),
    "a missing layer": ('layers = [\n  "one",\n  "two",\n]\n', 3, "layer 'two' not found", "bad-layer"),
    "a layer that is a broken link": ('layers = ["broken"]\n', 1, "broken link", "bad-layer"),
    "a layer that leads out": ('layers = ["out"]\n', 1, "is outside of", "bad-layer"),
    "a layer by a name that leads out": ('layers = ["../x"]\n', 1, "invalid layer name", "bad-name"),
    "a cpu that no compiler knows": ('\ncpu = "znver33"\n', 2, "does not know cpu 'znver33'", "unknown-cpu"),
    "a make_profile that no repository has": ('make_profile = "machin"\n', 1, "'machin'", "unknown-make-profile"),
    "a make_profile that leads out": ('make_profile = "../.."\n', 1, "make_profile '../..'", "unknown-make-profile"),
    "a root that is no path": ('root = "x"\n', 1, "not an absolute path", "bad-setting"),
}  # fmt: skip


@pytest.mark.parametrize("what", PROFILES)
def test_a_profile_with_an_error(host: Host, on, what: str):
    text, line, said, code = PROFILES[what]
    host.profile("a", text, {"one/make.conf": ""})
    (host.config / "layers/broken").symlink_to("nowhere")
    (host.config / "layers/out").symlink_to(host.etc)

    ended = on("gm-emerge", "--gm-profile=a", "-p", "gm-hello")

    refused(ended, f"{host.config}/profiles/a.toml:{line}: ", said, code=code)


@pytest.mark.parametrize("explain", ["--gm-explain", "--gm-explain=json"])
def test_an_invalid_profile_prints_no_plan(host: Host, on, explain: str):
    host.profile("a", 'layers = ["one"]\n', {"one/make.conf": 'USE="\n'})

    ended = on("gm-emerge", "--gm-profile=a", explain, "gm-hello")

    refused(ended, f"{host.config}/layers/one/make.conf:1: ", "no closing quotation", code="bad-file")


def test_a_link_out_of_a_layer_is_one_error(host: Host, on):
    host.profile("a", 'layers = ["one"]\n', {"one/make.conf": ""})
    (host.config / "layers/one/package.use").symlink_to(host.etc / "make.conf")

    ended = on("gm-emerge", "--gm-profile=a", "-p", "gm-hello")

    refused(ended, f"{host.config}/layers/one/package.use: ", "outside of", code="bad-layer")


@pytest.mark.parametrize("how", ["--gm-profile=../x", "GM_PROFILE", "GM_DEFAULT_OPTS", "set", "name"])
def test_a_profile_name_that_leads_out_is_one_error(host: Host, on, how: str):
    host.profile("x", "")
    words = [how] if how.startswith("--") else []
    env = {"GM_PROFILE": "../x", "GM_DEFAULT_OPTS": "--gm-profile=../x"}.get(how)
    if how == "set":
        state = host.eprefix / "var/lib/gentoomuch"
        state.mkdir(parents=True)
        (state / "profile").write_text("../x\n")
    if how == "name":
        words = ["--gm-profile=.hidden"]

    ended = on("gm-emerge", *words, "-p", "gm-hello", **({how: env} if env else {}))

    if how == "set":  # then the file of the state is what has to be mended
        refused(
            ended,
            str(host.eprefix / "var/lib/gentoomuch/profile"),
            "invalid name of the active profile",
            code="bad-file",
        )
    else:
        refused(ended, "", "invalid profile name", code="bad-name")


def test_settings_with_an_error_stop_a_run_for_a_profile(host: Host, on):
    host.profile("a", "")
    (host.config / "gentoomuch.toml").write_text("\nstrct = true\n")

    ended = on("gm-emerge", "--gm-profile=a", "-p", "gm-hello")

    refused(ended, f"{host.config}/gentoomuch.toml:2: ", "unknown key 'strct'", code="bad-setting")


HOSTS = {
    "make.conf": ("make.conf", 'A="1"\nUSE="a b\nB=1\n', 2, "no closing quotation"),
    "repos.conf": ("repos.conf/zz", "nonsense\n", 1, ""),
}


@pytest.mark.parametrize("what", HOSTS)
def test_a_file_of_the_host_with_an_error(host: Host, on, what: str):
    name, text, line, said = HOSTS[what]
    host.profile("a", "")
    host.write(name, text)

    ended = on("gm-emerge", "--gm-profile=a", "-p", "gm-hello")

    refused(ended, f"{host.etc}/{name}:{line}: ", said, code="bad-file")


def test_an_invalid_atom_of_the_host_is_reported_by_portage(host: Host, on):
    host.profile("a", "")
    host.write("package.use/x", "noatom x\n")

    ended = on("gm-emerge", "--gm-profile=a", "-p", "gm-hello")

    assert ended.status == 0
    assert "Invalid atom" in ended.err


def test_a_make_profile_of_the_host_that_portage_cannot_read(host: Host, on):
    host.profile("a", "")
    (host.repository / "profiles/machine/parent").write_text("../nowhere\n")

    ended = on("gm-emerge", "--gm-profile=a", "-p", "gm-hello")

    refused(ended, f"{host.repository}/profiles/machine", "nowhere", code="bad-file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_this_user_cannot_read(host: Host, on):
    host.profile("a", 'layers = ["one"]\n', {"one/package.use": ""})
    file = Path(host.config / "layers/one/package.use")
    file.chmod(0)

    ended = on("gm-emerge", "--gm-profile=a", "-p", "gm-hello")

    refused(ended, f"{file}: ", "", code="bad-file")


def test_options_with_an_open_quote_are_one_error(on):
    ended = on("gm-emerge", "-p", "gm-hello", GM_DEFAULT_OPTS=f"{shlex.quote('--quiet')} 'x")

    assert ended.status == 64
    assert "[unparsable-variable]" in ended.err


@pytest.mark.slow
def test_commands_that_look_for_masks_need_no_make_profile(host: Host, on, tmp_path: Path):
    """Seen failing before: Portage 3.0.83 raised NameError, as it looked for ARCH, which only a make_profile sets."""
    assert on("emerge", "-q", "--buildpkgonly", "libgreet").status == 0
    host.profile("lab", f'root = "{tmp_path / "root"}"\n')
    (host.etc / "make.profile").unlink()
    masks = tmp_path / "masks"

    ended = [
        on("gentoomuch", *arguments, GM_PROFILE="lab")
        for arguments in (
            ("fleet", "--html", str(tmp_path / "fleet.html")),
            ("binpkg", "mask", "--write", str(masks)),
            ("binpkg", "why", "libgreet"),
            ("why", "libgreet"),
            ("binhost", "coverage", "lab", "libgreet"),
        )
    ]

    assert [end.status for end in ended] == [0, 0, 0, 0, 70], "".join(end.err for end in ended)
    assert "Traceback" not in "".join(end.err for end in ended)
    assert masks.is_file()
    assert "keywords" in ended[3].out
    assert "[unresolvable]" in ended[4].err
