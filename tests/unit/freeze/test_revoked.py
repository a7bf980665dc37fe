# SPDX-License-Identifier: GPL-2.0-or-later
"""An archive that is signed by a key that was revoked."""

import shutil

import pytest
from helpers.errors import raises

from gentoomuch_portage.binhost import keys
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.freeze import signature
from gentoomuch_portage.freeze.archive import Manifest

if not shutil.which("gpg"):
    pytest.skip("gpg is not installed", allow_module_level=True)


@pytest.mark.parametrize("asked", ["", "by name"])
def test_an_archive_of_a_revoked_key_is_always_rejected(settings: Settings, asked: str):
    old = keys.ensure_key(settings)
    new = keys.revoke(settings, old.fingerprint)
    found = Manifest("lab", old.fingerprint, "", {})

    name = old.fingerprint if asked else ""
    with raises("signer-revoked"):
        signature.check_signer(
            settings, found, "lab.tar", expected=name, unsigned=False, known=frozenset({old.fingerprint})
        )
    signature.check_signer(
        settings, found._replace(key=new.fingerprint), "x", expected="", unsigned=False, known=frozenset()
    )


def test_packages_of_a_revoked_key_can_be_signed_again(settings: Settings):
    old = keys.ensure_key(settings)
    before = old.all_public.read_text()
    new = keys.revoke(settings, old.fingerprint)
    again = keys.revoke(settings, old.fingerprint)

    assert new.fingerprint == again.fingerprint != old.fingerprint
    assert new.former.read_text() == before
    assert new.trusted_for_signing == [new.all_public, new.former]
    assert keys.gpg.read_fingerprints(new.all_public) == [new.fingerprint]
    assert keys.gpg.find_revoked_keys([new.revoked]) == [old.fingerprint]


def test_a_key_of_somebody_else_cannot_be_revoked(settings: Settings):
    own = keys.ensure_key(settings)

    with raises("no-key-to-revoke"):
        keys.revoke(settings, "A" * 40)
    assert keys.find_key(settings) == own
