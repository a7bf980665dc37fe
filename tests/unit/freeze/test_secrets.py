# SPDX-License-Identifier: GPL-2.0-or-later
"""Private keys, passwords and tokens are found by their place, and do not get into an archive."""

import pytest

from gentoomuch_portage.freeze import secrets
from gentoomuch_portage.freeze.archive import Member

HIDDEN = "hunter2"
SECRETS = [
    'RSYNC_PASSWORD="hunter2"',
    "GITHUB_TOKEN=hunter2",
    'SIGNING_PASSPHRASE="hunter2 with spaces"',
    "MY_API_KEY='hunter2'",
    'FETCHCOMMAND="wget --password=hunter2 -O x"',
    'FETCHCOMMAND="curl -u bob:hunter2 -o x"',
    'FETCHCOMMAND="curl \\\n  -ubob:hunter2 -o x"',
    'RESUMECOMMAND="curl --header \\"Authorization: Bearer hunter2\\" -o x"',
    'fetchcommand = curl -H "PRIVATE-TOKEN: hunter2" x',
    "password = hunter2",
    "sync-uri = https://bob:hunter2@example.org/x",
    "sync-uri = https://hunter2@example.org/x",
    'http_proxy="http://bob:hunter2@proxy:1/"',
    'GENTOO_MIRRORS="https://example.org/?token=hunter2&x=1"',
    "DBPASS=hunter2",
    "DBPASSWD=hunter2",
    "SMTP_PW=hunter2",
    "SECRETKEY=hunter2",
    "export GITEA_TOKENS=hunter2",
    "API_TOKEN='/hunter2AbC=='",
    "PASSWORD='$hunter2'",
    'PASSWORD="it\'s hunter2"',
    'FETCHCOMMAND="env TOKEN=\\"hunter2\\" wget x"',
    'FETCHCOMMAND="curl -sSfubob:hunter2 -o x"',
    'FETCHCOMMAND="curl -u bob:/hunter2 -o x"',
    "FETCHCOMMAND=\"curl -H 'X-JFrog-Art-Api: hunter2' -o x\"",
    "sync-uri = https://bob:p@hunter2@example.org/x",
    "machine example.org login bob password hunter2",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----",
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\nhunter2, cut off",
    "Key: (private-key hunter2)",
    "AGE-SECRET-KEY-1HUNTER2",
]
PLAIN = [
    'USE="secret passwdqc"\nFEATURES="sandbox"',
    "app-admin/pass git\ndev-libs/libsecret token",
    'FETCHCOMMAND="rsync --password-file=/etc/rsync.secret"',
    'PASSWORD="${FROM_ELSEWHERE}"\nRSYNC_PASSWORD=""\nTOKEN=\'${FROM_ELSEWHERE}\'',
    "TOKEN_FILE=/etc/token\nPASSWORD_STORE_DIR=~/.pass\nSSH_ASKPASS=/usr/bin/ask\nSSH_AUTH_SOCK=/run/ssh",
    "auth = no\nask-password = yes\nBYPASS=1",
    "sync-uri = ssh://git@example.org/x.git\nverify-signature = true",
    'BINPKG_GPG_SIGNING_KEY="0xABCDEF0123456789"\nAUTHOR="me"',
    'FETCHCOMMAND="curl -o x"\nEMERGE_DEFAULT_OPTS="-u app/foo:0 --usepkg-exclude app/foo:0"',
    "# /etc/pam.d/common-password - modules for all\n\x00-u\x01a:b",
    "-----BEGIN PGP PUBLIC KEY BLOCK-----\nabc\n-----END PGP PUBLIC KEY BLOCK-----",
]


def conf(text: str) -> Member:
    return Member("layers/common/make.conf", text.encode())


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_is_found_with_its_line_and_redacted(text):
    member = conf(f"# one\n{text}\n")

    assert [one.line for one in secrets.find_secrets(member)] != []
    assert secrets.find_secrets(member)[0].line >= 2
    after = secrets.redact(member)
    assert HIDDEN.encode() not in after.content.lower()
    assert secrets.find_secrets(after) == []


@pytest.mark.parametrize("text", PLAIN)
def test_text_that_is_not_a_secret_is_unchanged(text):
    assert secrets.find_secrets(conf(text)) == []
    assert secrets.redact(conf(text)) == conf(text)


def test_a_password_that_looks_like_an_option_is_found():
    assert secrets.redact(conf("RSYNC_PASSWORD=no\n")).content == b"RSYNC_PASSWORD=REDACTED\n"


def test_patches_may_mention_passwords_but_not_contain_keys():
    program = Member("patches/fix/a/b/x.patch", b"+password = ask();\n")
    private = program._replace(content=b"+-----BEGIN RSA PRIVATE KEY-----\n+abc\n")

    assert secrets.find_secrets(program) == []
    assert [one.what for one in secrets.find_secrets(private)] == ["a private key"]


def test_a_keyring_is_a_secret_whatever_it_holds():
    assert [one.what for one in secrets.find_secrets(Member("layers/a/x/secring.gpg", b"\x95\x01"))] == [
        "a file of secrets"
    ]


def test_secrets_in_composed_files_are_not_listed_twice():
    both = [conf("TOKEN=hunter2\n"), Member("configroot/etc/portage/make.conf", b"\nTOKEN=hunter2\n")]

    told = secrets.list_places(both, {"layers/common/make.conf": "/etc/gentoomuch/layers/common/make.conf"})

    assert told == ["/etc/gentoomuch/layers/common/make.conf:1: a password or token"]
