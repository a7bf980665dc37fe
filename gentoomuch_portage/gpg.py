"""The few things that we ask of GnuPG, each a command that asks nobody anything."""

import os
import re
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from gentoomuch_portage.errors import RunError, bare
from gentoomuch_portage.process import Ran, run, where

_FINGERPRINT = re.compile(r"[0-9A-F]{40}")
_ATOM = "app-crypt/gnupg"
_ALONE = "--no-autostart"
"""Public keys need no agent, and --import starts one, which may outlive the directory that it was started for."""
_LONGEST = 107 - len("/S.gpg-agent.browser")


def gpg(home: Path, *words: str | Path, accept: Collection[int] = (0,), text: str | None = None) -> Ran:
    """Run gpg for a key directory.

    Raises:
        MissingProgram: there is no gpg.
        ProgramFailed: it ended with another status.
    """
    options = ("--batch", "--no-tty", "--quiet", "--no-auto-check-trustdb")
    plain = {name: value for name, value in os.environ.items() if name not in {"GNUPGHOME", "LANGUAGE", "LC_ALL"}}
    env = {**plain, "LC_ALL": "C.UTF-8"}
    with _named(home) as short:
        argv = ["gpg", "--homedir", str(short), *options, *map(str, words)]
        try:
            return run(argv, keep=True, accept=accept, text=text, atom=_ATOM, env=env)
        finally:
            if short != home and where("gpgconf"):  # under the other name nobody would find its agent again
                run(["gpgconf", "--homedir", str(short), "--kill", "all"], keep=True, accept=(), env=env)


@contextmanager
def _named(home: Path) -> Iterator[Path]:
    """A key directory by a name that its agent can put sockets below: the kernel takes 107 bytes of a path.

    Source: unix(7); GnuPG does not say what is wrong, but that no agent is running.
    """
    if len(os.fsencode(home)) <= _LONGEST:
        yield home
        return
    with tempfile.TemporaryDirectory(prefix="gm-") as folder:
        link = Path(folder, "keys")
        link.symlink_to(home.absolute())
        yield link


def made(home: Path, name: str) -> str:
    """Make a key that signs and has no passphrase; its fingerprint."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    before = set(secret(home))
    silent = ("--yes", "--pinentry-mode", "loopback", "--passphrase", "")  # --yes: a second key of one name is fine
    gpg(home, *silent, "--quick-gen-key", name, "ed25519", "sign", "never")
    (fresh,) = set(secret(home)) - before
    quiet(home)
    return fresh


def secret(home: Path) -> list[str]:
    """The fingerprints of the keys that can sign."""
    return _fingerprints(gpg(home, "--list-secret-keys", "--with-colons", accept=()).out, "sec")


def public(home: Path, *, trusted: bool = False) -> list[str]:
    """The fingerprints of the keys that are known and valid.

    Args:
        trusted: only those that Portage would take a signature of.
    """
    told = gpg(home, _ALONE, "--list-keys", "--with-colons", accept=()).out
    return _fingerprints(told, "pub", "fu" if trusted else "")


def _fingerprints(told: str, kind: str, validity: str = "") -> list[str]:
    """Of main keys that are neither revoked nor expired. Source: GnuPG, doc/DETAILS."""
    found, counts = [], False
    for fields in (line.split(":") for line in told.splitlines()):
        if fields[0] in {"pub", "sec", "sub", "ssb"}:
            counts = fields[0] == kind and (fields[1] in validity if validity else fields[1] not in {*"reid"})
        elif fields[0] == "fpr" and counts:
            found.append(fields[9])
            counts = False
    return found


def exported(home: Path, fingerprint: str) -> str:
    """A public key as text."""
    return gpg(home, "--armor", "--export", fingerprint).out


def signed(home: Path, fingerprint: str, file: Path, signature: Path) -> None:
    """Write a detached signature of a file."""
    gpg(home, "--yes", "--armor", "--local-user", fingerprint, "--output", signature, "--detach-sign", file)


def signer(home: Path, file: Path, signature: Path) -> str:
    """The main key that made a good signature of a file; empty where it is not good, or of no key we know.

    Source: GnuPG, doc/DETAILS: the last field of VALIDSIG is the fingerprint of the main key.
    """
    told = gpg(home, _ALONE, "--status-fd", "1", "--verify", signature, file, accept=()).out
    lines = [line.split() for line in told.splitlines()]
    if any(len(words) > 1 and words[1] in {"REVKEYSIG", "EXPKEYSIG", "EXPSIG", "BADSIG"} for words in lines):
        return ""
    return next((words[-1] for words in lines if words[1:2] == ["VALIDSIG"]), "")


def trusting(home: Path, keys: Collection[Path]) -> list[str]:
    """Let a directory of public keys trust these, as Portage needs it; their fingerprints.

    Portage verifies as nobody where it is root, so all may read it.
    Source: checksum_helper in portage/gpkg.py, which asks for TRUST_FULLY or better.

    Raises:
        BadKey: a file holds no key that is valid.
    """
    home.mkdir(mode=0o755, parents=True, exist_ok=True)
    (home / "common.conf").touch()  # or a gpg of 2.4 may keep the keys with a daemon that nobody cannot reach
    for key in keys:
        before = set(public(home))
        gpg(home, _ALONE, "--import", key, accept=())
        if not (set(public(home)) - before or shown(key)):
            raise BadKey(str(key), "it is no key, or no longer valid")
    found = public(home)
    gpg(home, _ALONE, "--import-ownertrust", text="".join(f"{one}:6:\n" for one in found))
    gpg(home, _ALONE, "--check-trustdb", accept=())
    home.chmod(0o755)
    for name in ("pubring.kbx", "trustdb.gpg", "common.conf"):
        if (home / name).exists():
            (home / name).chmod(0o644)
    for left in (*home.glob("*~"), *home.glob("*.lock")):
        left.unlink(missing_ok=True)
    return found


def shown(key: Path) -> list[str]:
    """The fingerprints of the keys in a file; the user's own GnuPG has no part in it."""
    with tempfile.TemporaryDirectory(prefix="gm-show-") as home:
        told = gpg(Path(home), _ALONE, "--no-keyring", "--with-colons", "--show-keys", key, accept=()).out
    return _fingerprints(told, "pub")


def quiet(home: Path) -> None:
    """End the daemons of a key directory."""
    if where("gpgconf"):
        run(["gpgconf", "--homedir", str(home), "--kill", "all"], keep=True, accept=())


def plain(fingerprint: str) -> str:
    """A fingerprint without the spaces that people read it by; empty where it is none."""
    told = re.sub(r"[\s:]", "", fingerprint).upper().removeprefix("0X")
    return told if _FINGERPRINT.fullmatch(told) else ""


def spaced(fingerprint: str) -> str:
    """A fingerprint for people."""
    return " ".join(fingerprint[at : at + 4] for at in range(0, len(fingerprint), 4))


class BadKey(RunError):
    """A key of a binhost is not the one that was named, or is no key."""

    code = "bad-key"

    def __init__(self, where: str, why: str, remedy: str = "") -> None:
        super().__init__(f"the key of {bare(where)} is refused: {why}", remedy=remedy)
        self.where, self.why = where, why
