# SPDX-License-Identifier: GPL-2.0-or-later
"""Variables of the environment in a run for a profile, besides package.env and make.conf."""

from pathlib import Path

import pytest

from gentoomuch_portage.demo_host import Host

RECORD = """
src_install() {
	mkdir -p "${ED}/usr/share/${PN}" || die
	printf '%s\\n' "${PORTAGE_TMPDIR}" "${FEATURES}" "${USE}" "${PKGDIR}" > "${ED}/usr/share/${PN}/variables" || die
}
"""
NAMES = ("PORTAGE_TMPDIR", "FEATURES", "USE", "PKGDIR")


def write_ebuild(host: Host, name: str, dependencies: str = "") -> None:
    folder = host.repository / "app-demo" / name
    folder.mkdir(parents=True)
    (folder / f"{name}-1.ebuild").write_text(
        'EAPI=8\nDESCRIPTION="x"\nHOMEPAGE="https://example.org"\nS="${WORKDIR}"\nLICENSE="GPL-2+"\nSLOT="0"\n'
        f'KEYWORDS="amd64 arm64 ppc64 riscv x86"\nIUSE="shout"\nBDEPEND="{dependencies}"\n{RECORD}'
    )


def read_variables(eroot: Path, name: str) -> dict[str, str]:
    return dict(zip(NAMES, (eroot / f"usr/share/{name}/variables").read_text().splitlines(), strict=True))


@pytest.fixture
def roots(host: Host, tmp_path: Path) -> Path:
    """The EROOT of the profile router, which is not that of the host; package ``top`` needs ``tool`` to be built."""
    write_ebuild(host, "tool")
    write_ebuild(host, "top", "app-demo/tool")
    host.profile("router", f'root = "{tmp_path}/root"\n[binpkg]\nbuild = false\nuse = false\n')
    return Path(f"{tmp_path}/root{host.eprefix}")


def test_package_env_sets_the_build_directory_of_a_package(host: Host, roots: Path, on, tmp_path: Path):
    """Seen failing before: PORTAGE_TMPDIR was exported, and an exported variable wins over package.env."""
    disk = tmp_path / "disk"
    disk.mkdir()
    (host.etc / "env").mkdir()
    (host.etc / "env/disk").write_text(f'PORTAGE_TMPDIR="{disk}"\n')
    (host.etc / "package.env").write_text("app-demo/top disk\n")

    ended = on("gm-emerge", "--gm-profile=router", "-q1", "top")

    assert ended.status == 0, ended.err
    assert read_variables(roots, "top")["PORTAGE_TMPDIR"] == str(disk)


@pytest.mark.slow
def test_without_package_env_a_package_is_built_in_the_directory_of_the_profile(host: Host, roots: Path, on):
    assert on("gm-emerge", "--gm-profile=router", "-q1", "top").status == 0

    folder = Path(read_variables(roots, "top")["PORTAGE_TMPDIR"])
    assert folder.name == "router"
    assert folder.parent.parent == host.eprefix / "var/tmp"


@pytest.mark.slow
def test_the_environment_wins_over_package_env_as_for_emerge(host: Host, roots: Path, on, tmp_path: Path):
    for name in ("disk", "other"):
        (tmp_path / name).mkdir()
    (host.etc / "env").mkdir()
    (host.etc / "env/disk").write_text(f'PORTAGE_TMPDIR="{tmp_path}/disk"\n')
    (host.etc / "package.env").write_text("app-demo/top disk\n")

    assert on("gm-emerge", "--gm-profile=router", "-q1", "top", PORTAGE_TMPDIR=str(tmp_path / "other")).status == 0

    folder = Path(read_variables(roots, "top")["PORTAGE_TMPDIR"])
    assert (folder.name, folder.parent.parent) == ("router", tmp_path / "other")


def test_variables_of_the_machine_apply_to_build_dependencies_and_use_flags_do_not(
    host: Host, roots: Path, on, tmp_path: Path
):
    """Seen failing before: FEATURES of the environment did not reach what is installed in ``/`` for building."""
    pkgdir = tmp_path / "packages"
    pkgdir.mkdir()

    ended = on(
        "gm-emerge", "--gm-profile=router", "-q1", "top", FEATURES="test-feature", USE="shout", PKGDIR=str(pkgdir)
    )

    assert ended.status == 0, ended.err
    tool, top = read_variables(host.eprefix, "tool"), read_variables(roots, "top")
    assert "test-feature" in tool["FEATURES"].split()
    assert tool["PKGDIR"] == top["PKGDIR"] == str(pkgdir)
    assert ("shout" in tool["USE"].split(), "shout" in top["USE"].split()) == (False, True)


def test_another_root_in_the_environment_is_rejected(host: Host, on, tmp_path: Path):
    """Seen failing before: the root of the profile was used, and ROOT was dropped in silence."""
    for name in ("root", "other"):
        (tmp_path / name).mkdir()
    host.profile("router", f'root = "{tmp_path}/root"\n')
    arguments, other = ("gm-emerge", "--gm-profile=router", "-p", "gm-hello"), str(tmp_path / "other")

    rejected = on(*arguments, ROOT=other)
    accepted = [on(*arguments, ROOT="/"), on(*arguments, ROOT=f"{tmp_path}/root/")]
    by_option = on(*arguments, f"--root={other}", ROOT=other)

    assert rejected.status == 64
    assert "[other-root]" in rejected.err
    assert f"--root={other}" in rejected.err
    assert rejected.out == ""
    assert [ended.status for ended in accepted] == [0, 0]
    assert all(f"to {tmp_path}/root/" in ended.out for ended in accepted)
    assert f"to {other}/" in by_option.out


@pytest.mark.parametrize(
    ("option", "variable"), [("--sysroot", "SYSROOT"), ("--sysr", ""), ("--prefix", "EPREFIX"), ("--pref", "")]
)
def test_another_sysroot_or_prefix_is_rejected_by_its_name(host: Host, on, tmp_path: Path, option: str, variable: str):
    """Seen failing before: with EPREFIX, packages went to another directory; with SYSROOT, the profile was invalid."""
    (tmp_path / "root").mkdir()
    (tmp_path / "other").mkdir()
    host.profile("router", f'root = "{tmp_path}/root"\n')
    host.profile("here", "")
    other = str(tmp_path / "other")
    names = ("router", "here") if option.startswith("--pre") else ("router",)  # SYSROOT of / is emerge's own matter

    for name in names:
        arguments = ("gm-emerge", f"--gm-profile={name}", "-p", "gm-hello")
        runs = [on(*arguments, f"{option}={other}")] + ([on(*arguments, **{variable: other})] if variable else [])
        for ended in runs:
            assert (ended.status, ended.out) == (64, ""), ended.err
            assert "[other-root]" in ended.err
            assert other in ended.err


def test_a_sysroot_and_a_prefix_that_change_nothing_are_accepted(host: Host, on, tmp_path: Path):
    (tmp_path / "root").mkdir()
    host.profile("router", f'root = "{tmp_path}/root"\n')
    arguments = ("gm-emerge", "--gm-profile=router", "-p", "gm-hello")

    accepted = [on(*arguments, SYSROOT="/"), on(*arguments, f"--prefix={host.eprefix}", EPREFIX=str(host.eprefix))]

    assert [(ended.status, f"to {tmp_path}/root/" in ended.out) for ended in accepted] == [(0, True), (0, True)]
