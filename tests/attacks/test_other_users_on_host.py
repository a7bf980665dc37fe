# SPDX-License-Identifier: GPL-2.0-or-later
"""S3, S10, S11, S12, S13, S17 and S18 on a host without a prefix, where ``/`` is ``/`` and other users are real."""

import shutil
from pathlib import Path

import pytest
from attacks import hostile_git
from helpers.realhost import RealHost

HELLO = "app-demo/gm-hello"
GREET = 'EAPI=8\nDESCRIPTION="x"\nSLOT="0"\nLICENSE="GPL-2+"\nKEYWORDS="amd64 arm64"\nS="${WORKDIR}"\n'


@pytest.fixture(scope="module")
def joes(real_host: RealHost) -> RealHost:
    """A host with a profile of root's, and an ordinary user."""
    real_host.profile("here", 'cpu = "x86-64"\n')
    real_host.user("joe")
    return real_host


def of_joe(host: RealHost, path: str, text: str) -> Path:
    """Write a file of joe's."""
    file = host.write(path, text)
    assert host.run("chown", "--recursive", "joe:joe", "/home/joe").status == 0
    return file


def test_a_filter_of_a_work_tree_does_not_run_as_root(joes: RealHost, tmp_path: Path):
    """S3: a tree of joe's, with a name in .git/config that git would split at its first equals sign."""
    tree = hostile_git.start(tmp_path / "tree")
    (tree / ".gentoo/app-misc/greet").mkdir(parents=True)
    (tree / ".gentoo/app-misc/greet/greet-99999.ebuild").write_text(GREET)
    hostile_git.filters(tree, "touch /tmp/FILTER_RAN; cat")
    shutil.copytree(tree, joes.root / "home/joe/tree", symlinks=True)
    assert joes.run("chown", "--recursive", "joe:joe", "/home/joe").status == 0
    marker = joes.root / "tmp/FILTER_RAN"

    identity = joes.run("gentoomuch", "dotgentoo", "id", "/home/joe/tree").out.strip()
    ended = joes.run("gm-emerge", f"--gm-trust={identity}", "-p", ".", cwd="/home/joe/tree")
    ran = marker.exists()
    joes.run("git", "status", user="joe", cwd="/home/joe/tree")

    assert "Traceback" not in ended.err
    assert (ran, marker.exists()) == (False, True)  # git itself runs it for joe


def test_a_plan_of_another_user_is_rejected(joes: RealHost):
    """S10: joe's plan would say which files root's emerge reads."""
    plan = joes.run("gm-emerge", "--gm-profile=here", "--gm-explain=json", HELLO).out
    of_joe(joes, "/home/joe/plan.json", plan)

    ended = joes.run("gm-emerge", "--gm-plan=/home/joe/plan.json", "-p")

    assert (ended.status, "[foreign-file]" in ended.err) == (78, True), ended.err


def test_python_modules_of_another_user_are_not_imported(joes: RealHost):
    """S18: sudo -E with joe's PYTHONPATH."""
    of_joe(joes, "/home/joe/evil/sitecustomize.py", "open('/root/PWNED', 'w').close()\n")

    ended = joes.run("gm-emerge", "--gm-profile=here", "-p", HELLO, PYTHONPATH="/home/joe/evil")
    other = joes.run("gentoomuch", "profile", "ls", PYTHONPATH="/home/joe/evil")

    assert (ended.status, other.status) == (0, 0), ended.err + other.err
    assert not (joes.root / "root/PWNED").exists()


def test_a_configuration_of_another_user_is_rejected(joes: RealHost):
    """S18: sudo -E with joe's GM_CONFIG."""
    of_joe(joes, "/home/joe/config/profiles/his.toml", 'cpu = "x86-64"\n')

    ended = joes.run("gm-emerge", "--gm-profile=his", "-p", HELLO, GM_CONFIG="/home/joe/config")

    assert (ended.status, "[foreign-file]" in ended.err) == (78, True), ended.err


def test_root_builds_though_joe_took_our_name_in_var_tmp(joes: RealHost):
    """S17: ``mkdir /var/tmp/gentoomuch-0``."""
    joes.run("rm", "-rf", "/var/tmp/gentoomuch-0")
    assert joes.run("mkdir", "/var/tmp/gentoomuch-0", user="joe").status == 0

    ended = joes.run("gm-emerge", "--gm-profile=here", "--usepkg=n", "-B1q", "dev-demo/libgreet")
    names = joes.run("find", "/var/tmp/gentoomuch-0", "-mindepth", "1").out

    assert (ended.status, names) == (0, ""), ended.out + ended.err
    joes.run("rm", "-rf", "/var/tmp/gentoomuch-0")


def test_nothing_written_under_umask_000_is_writable_by_others(joes: RealHost):
    """S12: configuration, state, cache and packages."""
    joes.run("touch", "/run/before")
    script = "umask 000; gentoomuch profile add more --here; gentoomuch profile set here; gentoomuch binhost key; "
    script += f"gm-emerge --gm-profile=here --usepkg=n -1q {HELLO}; gentoomuch freeze here /root/frozen --unsigned"

    ended = joes.run("sh", "-e", "-c", script)

    find = ("find", "/etc", "/var/lib", "/var/cache", "/var/db", "/usr", "/root", "-xdev", "-newer", "/run/before")
    assert ended.status == 0, ended.out + ended.err
    assert joes.run(*find, "-perm", "/002", "!", "-type", "l", "!", "-type", "s").out == ""


@pytest.mark.parametrize("damage", ["garbage", "empty", "directory", "dangling link"])
def test_damaged_state_stops_nothing_that_does_not_need_it(joes: RealHost, damage: str):
    """S11: the key of a binhost, and the list of --resume."""
    assert joes.run("gentoomuch", "--quiet", "binhost", "key").status == 0
    for name in ("binhost/key", "binhost/keys.asc", "resume/here/mtimedb"):
        file = joes.root / "var/lib/gentoomuch" / name
        joes.run("rm", "-rf", f"/var/lib/gentoomuch/{name}")
        file.parent.mkdir(parents=True, exist_ok=True)
        match damage:
            case "garbage":
                file.write_bytes(b"\xff\xfe[]\n" * 9)
            case "empty":
                file.touch()
            case "directory":
                file.mkdir()
            case "dangling link":
                file.symlink_to("/nowhere/at/all")

    ended = joes.run("gm-emerge", "--gm-profile=here", "-p", HELLO)
    key = joes.run("gentoomuch", "binhost", "key")

    assert ended.status == 0, ended.err
    assert "Traceback" not in ended.err + key.err
    assert key.status in {0, 69, 70, 77, 78}
    joes.run("rm", "-rf", "/var/lib/gentoomuch/binhost", "/var/lib/gentoomuch/resume")


@pytest.mark.parametrize("place", ["/var/lib/gentoomuch", "/var/cache/gentoomuch", "/etc/gentoomuch"])
def test_a_full_disk_is_one_error_that_names_its_path(joes: RealHost, place: str):
    """S13: state, cache and configuration on a disk of their own that has no room left."""
    fill = (
        f"cp -a {place} /run/saved && mount -t tmpfs -o size=256k,mode=755 tmpfs {place};"
        f"cp -a /run/saved/. {place} 2>&-; cat /dev/zero >{place}/fill 2>&-;"
        f"gentoomuch profile set here; gentoomuch profile add full-{Path(place).parts[2]} --here;"
        f"gm-emerge --gm-profile=here -p {HELLO}; umount {place}; rm -rf /run/saved"
    )

    ended = joes.run("sh", "-c", fill)

    errors = [line for line in ended.err.splitlines() if line.startswith("gentoomuch: ") and line.endswith("]")]
    assert "Traceback" not in ended.err
    assert [line for line in errors if not line.endswith("[disk-full]")] == [], ended.err
    assert all(place in line for line in errors), ended.err
    assert joes.run("gm-emerge", "--gm-profile=here", "-p", HELLO).status == 0
