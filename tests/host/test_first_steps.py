# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch init`` and ``profile adopt``: a profile that equals this host, and one of another machine."""

import json
import shutil

import pytest

from gentoomuch_portage.demo_host import Host

CONFIGURATIONS = {
    "as it is": {},
    "binary packages": {
        "make.conf": 'CFLAGS="-O2 -march=x86-64 -pipe"\nFEATURES="${FEATURES} buildpkg"\n'
        'EMERGE_DEFAULT_OPTS="--usepkg --verbose --with-bdeps=y"\n'
    },
    "flags and keywords in folders": {
        "make.conf": 'USE="-* nls loud"\nACCEPT_KEYWORDS="~amd64 ~arm64"\nACCEPT_LICENSE="-* GPL-2+"\nMAKEOPTS="-j3"\n',
        "package.use/zz": "*/* loud\ndev-demo/libgreet -loud\n",
        "package.accept_keywords/live": "dev-demo/* **\n",
        "package.env": "app-demo/gm-hello quick\n",
        "env/quick": 'CFLAGS="-O0"\n',
        "sets/mine": "app-demo/gm-hello\n",
    },
}


def say(host: Host, files: dict[str, str]) -> None:
    """Add files to the host's configuration; to its make.conf what is said of it."""
    for name, text in files.items():
        before = (host.etc / name).read_text() if name == "make.conf" else ""
        host.write(name, before + text)


@pytest.mark.parametrize("files", CONFIGURATIONS.values(), ids=list(CONFIGURATIONS))
def test_the_profile_of_init_equals_emerge(host: Host, on, files):
    say(host, files)
    world = host.eprefix / "var/lib/portage/world"
    world.parent.mkdir(parents=True, exist_ok=True)
    world.write_text("app-demo/gm-hello\n")

    begun = on("gentoomuch", "init", "here")
    plain, ours = (
        on(*words, "-puDN", "--color=n", "@world") for words in (["emerge"], ["gm-emerge", "--gm-profile=here"])
    )

    assert begun.status == 0, begun.err
    assert "app-demo/gm-hello" in plain.out
    assert (ours.status, _without_time(ours.out), ours.err) == (plain.status, _without_time(plain.out), plain.err)


def test_init_overwrites_nothing_and_comments_its_values(host: Host, on):
    say(host, CONFIGURATIONS["binary packages"])
    shown = on("gentoomuch", "init", "here", "--pretend")
    nothing = not (host.config / "profiles/here.toml").exists()
    host.profile("here", "# mine\n")

    ended = on("gentoomuch", "init", "here", "--json")

    assert nothing
    assert "CFLAGS of the host have -march=x86-64)." in shown.out
    assert "FEATURES or options of the host create them" in shown.out
    assert (ended.status, json.loads(ended.out)["error"]) == (64, "profile-exists")
    assert (host.config / "profiles/here.toml").read_text() == "# mine\n"


def test_an_adopted_machine_is_built_with_its_settings_without_following_links_out(host: Host, on, tmp_path):
    other = tmp_path / "other/etc/portage"
    (other / "package.use").mkdir(parents=True)
    (other / "gnupg").mkdir()
    (other / "gnupg/private").write_text("secret")
    (other / "make.conf").write_text((host.etc / "make.conf").read_text() + 'CFLAGS="-O1"\n')
    shutil.copytree(host.etc / "repos.conf", other / "repos.conf")
    (other / "package.use/mine").write_text("dev-demo/libgreet loud\n")
    (other / "package.use/same").symlink_to("mine")
    (other / "package.use/secrets").symlink_to("/etc/passwd")
    (other / "make.profile").symlink_to("../../var/db/repos/gm-demo/profiles/machine")

    ended = on("gentoomuch", "profile", "adopt", other, "router", "--root", tmp_path / "router", "--json")

    layer = host.config / "layers/router"
    report = json.loads(ended.out)
    assert ended.status == 1, "a file that the other machine reads is missing"
    assert report["missing"] == ["package.use/secrets: a link out of the directory, to /etc/passwd"]
    assert report["skipped"] == ["gnupg: keys are not copied", *report["missing"]]
    assert sorted(path.name for path in layer.rglob("*")) == [
        "gm-demo.conf",
        "make.conf",
        "mine",
        "package.use",
        "repos.conf",
        "same",
    ]
    assert 'make_profile = "machine"' in (host.config / "profiles/router.toml").read_text()
    shown = on("gentoomuch", "profile", "run", "router", "--", "portageq", "envvar", "CFLAGS")
    assert shown.out == "-O1\n", shown.err


def test_ssh_is_given_a_host_and_never_an_option(host: Host, on):
    ssh = host.bin / "ssh"
    ssh.write_text('#!/bin/sh\n[ "$1" = -- ] && [ "$2" = root@router ] && shift 2 && exec sh -c "$*"\n')
    ssh.chmod(0o755)

    taken = on("gentoomuch", "profile", "adopt", f"root@router:{host.etc}", "router")
    refused = on("gentoomuch", "profile", "adopt", "-oProxyCommand=x:/etc/portage", "other", "--json")

    assert taken.status == 0, taken.err
    assert (host.config / "layers/router/make.conf").is_file()
    assert refused.status == 64
    assert not (host.config / "layers/other").exists()


def _without_time(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if "Dependency resolution took" not in line)
