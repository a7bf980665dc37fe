# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch binpkg why``: who signed a package, by Portage's verification with the keyring that it is told of."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.repack import instance

from gentoomuch_portage.demo_host import Host

pytestmark = pytest.mark.skipif(not shutil.which("gpg"), reason="gpg is not installed")

Sign = Callable[[Path, str], None]


def gpg(home: Path, *words: str, text: bytes = b"") -> bytes:
    argv = ["gpg", "--homedir", str(home), "--batch", "--pinentry-mode=loopback", "--passphrase=", *words]
    return subprocess.run(argv, check=True, capture_output=True, input=text).stdout


@pytest.fixture
def sign(host: Host, on, tmp_path: Path) -> Sign:
    """Signs a package by the key of ``ours``, which the host trusts, of ``met``, which it knows, or of ``stranger``."""
    ring, mine = host.folder / "ring", tmp_path / "mine"
    for folder in (ring, mine):
        folder.mkdir(mode=0o700)
    for name in ("ours", "met", "stranger"):
        gpg(mine, "--quick-gen-key", f"{name}@example.org", "ed25519", "sign", "never")
    gpg(ring, "--import", text=gpg(mine, "--export", "ours@example.org", "met@example.org"))
    (fingerprint,) = [
        line for line in gpg(mine, "--with-colons", "-k", "ours@example.org").split(b"\n") if line[:3] == b"fpr"
    ]
    gpg(ring, "--import-ownertrust", text=fingerprint.split(b":")[9] + b":6:\n")
    gpg(ring, "--check-trustdb")
    ring.chmod(0o755)  # gpg verifies as nobody, where root asks for it
    for file in ring.iterdir():
        if file.is_file():
            file.chmod(0o644)
    for folder in (host.folder, *host.folder.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    conf = host.etc / "make.conf"
    conf.write_text(f'{conf.read_text()}BINPKG_GPG_VERIFY_GPG_HOME="{ring}"\nPORTAGE_TRUST_HELPER="true"\n')

    def by(package: Path, name: str) -> None:
        command = "gpg --batch --pinentry-mode=loopback --passphrase= --sign --armor [PORTAGE_CONFIG]"
        told = {
            "BINPKG_GPG_SIGNING_GPG_HOME": str(mine),
            "BINPKG_GPG_SIGNING_KEY": f"{name}@example.org",
            "BINPKG_GPG_SIGNING_BASE_COMMAND": command,
        }
        ended = on("gpkg-sign", package, **told)
        assert ended.status == 0, ended.out + ended.err

    yield by
    subprocess.run(["gpgconf", "--homedir", str(mine), "--kill", "all"], check=False)
    subprocess.run(["gpgconf", "--homedir", str(ring), "--kill", "all"], check=False)


def with_features(host: Host, features: str) -> None:
    write = host.write("make.conf", re.sub('^FEATURES="binpkg.*', "", (host.etc / "make.conf").read_text(), flags=re.M))
    write.write_text(f'{write.read_text()}FEATURES="{features}"\n')


def forge(package: Path) -> None:
    """Change what was signed, without a trace in the folder."""
    seen, content = package.stat(), package.read_bytes()
    at = content.index(b"BLAKE2B ", content.index(b"BEGIN PGP SIGNED")) + 8
    package.write_bytes(content[:at] + (b"1" if content[at : at + 1] == b"0" else b"0") + content[at + 1 :])
    os.utime(package, ns=(seen.st_atime_ns, seen.st_mtime_ns))


def why(on) -> dict[int, dict]:
    """What is told of each instance, by its BUILD_ID."""
    found = json.loads(on("gentoomuch", "binpkg", "why", "libgreet", "--profile", "old", "--json").out)
    return {one["build_id"]: one for one in found}


def test_control_characters_of_a_package_do_not_reach_the_terminal(host: Host, on, sign: Sign):
    host.profile("old", 'cpu = "x86-64"\n')
    assert on("emerge", "-B1q", "dev-demo/libgreet").status == 0
    (built,) = host.pkgdir.rglob("*.gpkg.tar")
    content, seen = built.read_bytes(), built.stat()
    built.write_bytes(content.replace(b"DATA image.tar", b"DATA \x1b]0;x.tar"))
    os.utime(built, ns=(seen.st_atime_ns, seen.st_mtime_ns))

    said = on("gentoomuch", "binpkg", "why", "libgreet", "--profile", "old").out

    assert "signature: it cannot be verified" in said
    assert "\x1b" not in said


def test_why_reports_the_signer_and_signature_problems(host: Host, on, sign: Sign):
    host.profile("old", 'cpu = "x86-64"\n')
    assert on("gm-emerge", "--gm-profile=old", "-q", "--buildpkgonly", "dev-demo/libgreet").status == 0
    (built,) = host.pkgdir.rglob("*.gpkg.tar")
    for number, name in enumerate(("ours", "met", "stranger", "ours"), 2):
        sign(instance(built, host.pkgdir, number, {"CFLAGS": "-O2"}), name)
    on("emaint", "binhost", "--fix", FEATURES="binpkg-ignore-signature")  # as somebody who trusts them all
    forge(next(host.pkgdir.rglob("*-5.gpkg.tar")))

    found = why(on)
    assert {number: one["signature"] for number, one in found.items()} == {
        1: "unsigned",
        2: "signed",
        3: "untrusted-key",
        4: "unknown-key",
        5: "bad",
    }
    assert {number for number, one in found.items() if one["verdict"] == "accept"} == {1, 2}

    with_features(host, "binpkg-request-signature")
    strict = why(on)
    with_features(host, "binpkg-ignore-signature")
    lax = why(on)

    assert {number: one["code"] for number, one in strict.items()} == {2: "runs"} | dict.fromkeys(
        (1, 3, 4, 5), "signature"
    )
    assert strict[1]["reason"] == "it is not signed"
    assert {one["verdict"] for one in lax.values()} == {"accept"}
