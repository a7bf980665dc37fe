# SPDX-License-Identifier: GPL-2.0-or-later
"""Unmasking under a profile: within its policy, in the ledger, and never in the user's files."""

import json
from pathlib import Path

import pytest
from helpers.unmasking import answered, ledger_of, package, unstable

from gentoomuch_portage.demo_host import Host


@pytest.fixture
def chain(host: Host) -> Host:
    """A package whose dependencies need a ~arch keyword, a USE change, a licence and a live ebuild."""
    host.write("package.license/none", "*/* -* GPL-2+\n")
    (host.repository / "licenses").mkdir(exist_ok=True)
    (host.repository / "licenses/Odd-1").write_text("odd\n")
    package(host, "app-demo/fresh-1.0", keywords=unstable())
    package(host, "app-demo/flagged-1.0", iuse="extra")
    package(host, "app-demo/odd-1.0", license="Odd-1")
    package(host, "app-demo/living-9999", keywords="")
    package(host, "app-demo/top-1.0", rdepend="app-demo/fresh app-demo/flagged[extra] app-demo/odd app-demo/living")
    host.profile("free", "[unmask]\nkeywords = true\nlive = true\nuse = true\nlicense = true\n")
    host.profile("tame", "[unmask]\nkeywords = false\nuse = true\n")
    return host


def tree(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def test_a_chain_of_four_kinds_is_built_in_one_command(chain: Host, on):
    before = tree(chain.etc), tree(chain.config)

    ended = on("gm-emerge", "--gm-profile=free", "app-demo/top")

    assert ended.status == 0, ended.err
    assert (tree(chain.etc), tree(chain.config)) == before
    found = json.loads((chain.eprefix / "var/lib/gentoomuch/free/unmask.json").read_text())
    assert {(one["atom"], one["kind"], one["value"].lstrip("~")) for one in found} == {
        ("=app-demo/fresh-1.0", "keywords", on("portageq", "envvar", "ARCH").out.strip()),
        ("=app-demo/flagged-1.0", "use", "extra"),
        ("=app-demo/odd-1.0", "license", "Odd-1"),
        ("=app-demo/living-9999", "keywords", "**"),
    }


@pytest.mark.slow
def test_a_second_run_needs_nothing_new(chain: Host, on):
    assert on("gm-emerge", "--gm-profile=free", "-q", "app-demo/top").status == 0

    ended = on("gm-emerge", "--gm-profile=free", "--gm-locked", "-puDN", "@world")

    assert ended.status == 0, ended.err
    assert "Total: 0 packages" in ended.out or "[ebuild" not in ended.out


def test_pretend_shows_the_changes_and_enters_nothing(chain: Host, on):
    ended = on("gm-emerge", "--gm-profile=free", "-p", "app-demo/top")

    assert ended.status == 0, ended.err
    assert "keywords: =app-demo/fresh-1.0" in ended.err
    assert "app-demo/living-9999" in ended.out
    assert not (chain.eprefix / "var/lib/gentoomuch/free/unmask.json").exists()


def test_forbidden_unmasking_is_reported_with_the_line_that_allows_it(chain: Host, on):
    ended = on("gm-emerge", "--gm-profile=tame", "-p", "app-demo/fresh")

    assert ended.status == 1
    assert 'keywords = ["=app-demo/fresh-1.0"]' in ended.err


@pytest.mark.slow
def test_a_policy_that_allows_nothing_leaves_autounmask_to_emerge(chain: Host, on):
    chain.profile("shut", "[unmask]\nkeywords = false\nuse = false\n")
    package(chain, "app-demo/wants-1.0", rdepend="app-demo/flagged[extra]")

    plain, ours = (on(*argv, "-p", "app-demo/wants") for argv in (["emerge"], ["gm-emerge", "--gm-profile=shut"]))

    assert "The following USE changes are necessary" in plain.err
    assert (ours.status, ours.err) == (plain.status, plain.err)


def test_a_locked_run_fails_and_prints_what_it_needs(chain: Host, on):
    ended = on("gm-emerge", "--gm-profile=free", "--gm-locked", "app-demo/top")

    assert ended.status == 64
    for line in (
        "=app-demo/fresh-1.0",
        "=app-demo/flagged-1.0 extra",
        "=app-demo/odd-1.0 Odd-1",
        "=app-demo/living-9999 **",
    ):
        assert line in ended.err
    assert "Traceback" not in ended.err


def test_a_security_mask_applies_with_mask_true(host: Host, on):
    package(host, "app-demo/holey-1.0")
    host.write("package.mask/some", "# CVE-2026-1234: remote code execution\napp-demo/holey\n")
    host.profile("bold", "[unmask]\nmask = true\n")

    ended = on("gm-emerge", "--gm-profile=bold", "-p", "app-demo/holey")

    assert ended.status == 1
    assert "masked for security" in ended.err


@pytest.mark.parametrize("atom", ["app-demo/holey", "<app-demo/holey-2"])
def test_a_security_mask_applies_behind_another_mask(host: Host, on, atom: str):
    package(host, "app-demo/holey-1.0")
    host.write("package.mask/mine", "# not ready\napp-demo/holey\n")
    theirs = host.repository / "profiles/package.mask"
    theirs.write_text(f"# Ada (2026-01-01)\n# Remote code execution, bug 1\n{atom}\n\n# old\napp-demo/old\n")
    host.profile("bold", "[unmask]\nmask = true\n")

    ended = on("gm-emerge", "--gm-profile=bold", "-p", "app-demo/holey")

    assert ended.status == 1
    assert "masked for security" in ended.err


def test_a_mask_that_now_mentions_a_vulnerability_applies_again(host: Host, on):
    package(host, "app-demo/holey-1.0")
    host.write("package.mask/some", "# not ready\napp-demo/holey\n")
    host.profile("bold", "[unmask]\nmask = true\n")
    host.profile("sure", '[unmask]\nmask = ["app-demo/holey"]\n')
    for profile in ("bold", "sure"):
        assert on("gm-emerge", f"--gm-profile={profile}", "-q1", "app-demo/holey").status == 0
    host.write("package.mask/some", "# CVE-2026-1234: remote code execution\napp-demo/holey\n")

    bold, sure = (on("gm-emerge", f"--gm-profile={profile}", "-1", "app-demo/holey") for profile in ("bold", "sure"))
    again = on("gm-emerge", "--gm-profile=sure", "--gm-locked", "-p", "app-demo/holey")

    assert bold.status == 1
    assert "its mask mentions a vulnerability now" in bold.err
    assert "hint: gentoomuch unmask prune --profile bold" in bold.err
    assert "masked for security" in bold.err
    assert sure.status == again.status == 0
    assert "vulnerability" not in again.err


@pytest.mark.slow
def test_a_use_flag_needed_now_overrides_the_ledger(host: Host, on):
    package(host, "app-demo/flagged-1.0", iuse="extra more")
    package(host, "app-demo/with-1.0", rdepend="app-demo/flagged[extra,more]")
    package(host, "app-demo/without-1.0", rdepend="app-demo/flagged[-extra,more]")
    host.profile("free", "[unmask]\nuse = true\n")
    assert on("gm-emerge", "--gm-profile=free", "-q", "--oneshot", "app-demo/with").status == 0
    assert on("gm-emerge", "--gm-profile=free", "-q", "-C", "app-demo/with").status == 0

    ended = on("gm-emerge", "--gm-profile=free", "-q", "--oneshot", "app-demo/without")

    assert ended.status == 0, ended.err
    assert (host.vdb / "app-demo/flagged-1.0/USE").read_text().split()[:1] != ["extra"]
    said = {word for one in ledger_of(host, "free") for word in one["value"].split()}
    assert said == {"-extra", "more"}


def test_a_mask_is_lifted_if_the_policy_allows_it(host: Host, on):
    package(host, "app-demo/shy-1.0")
    host.write("package.mask/some", "# not ready\napp-demo/shy\n")
    host.profile("bold", "[unmask]\nmask = true\n")

    assert on("gm-emerge", "--gm-profile=bold", "-q", "app-demo/shy").status == 0

    found = json.loads((host.eprefix / "var/lib/gentoomuch/bold/unmask.json").read_text())
    assert [(one["kind"], one["reason"]) for one in found] == [("mask", "not ready")]


@pytest.mark.slow
def test_prune_removes_entries_that_the_repository_made_unnecessary(chain: Host, on):
    assert on("gm-emerge", "--gm-profile=free", "-q", "app-demo/top").status == 0
    arch = on("portageq", "envvar", "ARCH").out.strip()
    package(chain, "app-demo/fresh-1.0", keywords=arch)
    package(chain, "app-demo/living-9999", keywords=arch)
    package(chain, "app-demo/flagged-1.0", iuse="+extra")
    package(chain, "app-demo/odd-1.0")

    ended = on("gentoomuch", "unmask", "prune", "--profile", "free")

    assert ended.status == 0, ended.err
    assert ended.out.count("it is stable now") == 2
    assert ledger_of(chain, "free") == []


@pytest.mark.slow
def test_prune_keeps_needed_entries(chain: Host, on):
    assert on("gm-emerge", "--gm-profile=free", "-q", "app-demo/top").status == 0

    assert on("gentoomuch", "unmask", "prune", "--profile", "free", "--json").out == "[]\n"
    assert len(ledger_of(chain, "free")) == 4


@pytest.mark.slow
def test_depclean_removes_entries_of_removed_packages(chain: Host, on):
    assert on("gm-emerge", "--gm-profile=free", "-q", "--oneshot", "app-demo/fresh").status == 0
    assert on("gm-emerge", "--gm-profile=free", "-q", "dev-demo/libgreet").status == 0  # depclean wants a world
    assert len(ledger_of(chain, "free")) == 1

    assert on("gm-emerge", "--gm-profile=free", "-q", "--depclean", "app-demo/fresh").status == 0

    assert ledger_of(chain, "free") == []


@pytest.mark.slow
def test_unmask_why_names_the_requiring_package_and_drop_removes_the_entry(chain: Host, on):
    assert on("gm-emerge", "--gm-profile=free", "-q", "app-demo/top").status == 0

    why = on("gentoomuch", "unmask", "why", "fresh", "--profile", "free")
    drop = on("gentoomuch", "unmask", "drop", "app-demo/fresh", "--profile", "free")

    assert "required by app-demo/top-1.0" in why.out
    assert drop.status == 0
    assert len(ledger_of(chain, "free")) == 3
    assert on("gentoomuch", "unmask", "why", "fresh", "--profile", "free").status == 64


@pytest.mark.slow
def test_adopt_reports_needed_lines_and_does_not_change_the_file(chain: Host, on):
    arch = on("portageq", "envvar", "ARCH").out.strip()
    text = f"# required by app-demo/top\n=app-demo/fresh-1.0 ~{arch}\n=dev-demo/libgreet-1.0 ~{arch}\n"
    mine = chain.write("package.accept_keywords/zz-autounmask", text)
    assert on("emerge", "-q", "app-demo/fresh", "dev-demo/libgreet").status == 0

    found = json.loads(on("gentoomuch", "unmask", "adopt", "--take", mine, "--profile", "free", "--json").out)

    assert [(one["line"], one["needed"]) for one in found] == [(2, True), (3, False)]
    assert [one["atom"] for one in ledger_of(chain, "free")] == ["=app-demo/fresh-1.0"]
    assert mine.read_text() == text


ODD = {
    "*/*::gm-demo": "*/*",
    "*/three": "*/three",
    ">=app-demo/three-1": "app-demo/three",
    "app-demo/three:0": "three",
    "=app-demo/three-1*": "=app-demo/three-1*",
}
"""What people write -> what they may call it later."""


@pytest.mark.slow
def test_adopt_accepts_all_forms_of_lines(host: Host, on):
    package(host, "app-demo/three-1.0", keywords=unstable())
    arch = on("portageq", "envvar", "ARCH").out.strip()
    lines = "".join(f"{atom} ~{arch}\n" for atom in (*ODD, "other-demo/*"))
    mine = host.write("package.accept_keywords/zz-autounmask", lines)
    host.profile("free", "")
    assert on("emerge", "-q", "app-demo/three").status == 0

    found = json.loads(on("gentoomuch", "unmask", "adopt", "--take", mine, "--profile", "free", "--json").out)

    assert [one["needed"] for one in found] == [True] * len(ODD) + [False]
    assert {one["atom"] for one in ledger_of(host, "free")} == {*ODD}
    mine.unlink()
    assert on("gm-emerge", "--gm-profile=free", "-p", "--gm-locked", "app-demo/three").status == 0
    assert on("gentoomuch", "unmask", "prune", "--profile", "free", "--json").out == "[]\n"
    for atom, name in ODD.items():
        told = json.loads(on("gentoomuch", "unmask", "why", name, "--profile", "free", "--json").out)
        assert atom in {one["atom"] for one in told}, name


def test_a_repository_that_the_profile_does_not_list_is_not_unmasked_from(chain: Host, on, tmp_path: Path):
    other = tmp_path / "other"
    (other / "profiles").mkdir(parents=True)
    (other / "metadata").mkdir()
    (other / "profiles/repo_name").write_text("other\n")
    (other / "metadata/layout.conf").write_text("masters = gm-demo\nthin-manifests = true\n")
    ebuild = package(chain, "app-demo/foreign-1.0", keywords=unstable())
    target = other / "app-demo/foreign/foreign-1.0.ebuild"
    target.parent.mkdir(parents=True)
    ebuild.rename(target)
    chain.write("repos.conf/other.conf", f"[other]\nlocation = {other}\nauto-sync = no\n")

    refused = on("gm-emerge", "--gm-profile=free", "-p", "app-demo/foreign")
    chain.profile("named", '[unmask]\nkeywords = ["app-demo/foreign"]\n')
    allowed = on("gm-emerge", "--gm-profile=named", "-p", "app-demo/foreign")

    assert refused.status == 1
    assert "repository other is not listed" in refused.err
    assert allowed.status == 0, allowed.err


def test_a_no_to_ask_enters_nothing(chain: Host, on):
    shown = answered(chain, "no\n", "gm-emerge", "--gm-profile=free", "--ask", "app-demo/top")

    assert "keywords: =app-demo/fresh-1.0" in shown
    assert shown.count("Would you like to merge these packages?") == 1
    assert not (chain.eprefix / "var/lib/gentoomuch/free/unmask.json").exists()
