# SPDX-License-Identifier: GPL-2.0-or-later
"""Run GnuPG: the only module that starts gpg and gpgconf. No call asks the user anything."""

import os
import re
import socket
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from gentoomuch_portage.errors import ProgramFailed, RunError, bare, explain_failure
from gentoomuch_portage.process import Ran, find_program, run

_FINGERPRINT = re.compile(r"[0-9A-F]{40}")
_ATOM = "app-crypt/gnupg"
_BATCH = ("--batch", "--no-tty", "--quiet", "--no-auto-check-trustdb")
_ATTEMPTS = 2
"""An agent that is ending still accepts connections, and one that starts on a busy machine may need more than 5 s."""
_NO_AGENT = ("No agent running", "can't connect to the agent", "Connection reset by peer")
_PATIENCE = 5.0
"""Seconds that an agent has to end."""
_LONGEST = 107 - len("/S.gpg-agent.browser")


def run_gpg(
    home: Path,
    *arguments: str | Path,
    accept: Collection[int] = (0,),
    text: str | None = None,
    secret: bool = False,
    options: Sequence[str] = _BATCH,
) -> Ran:
    """Run gpg for a key directory.

    gpg-agent is started only if secret keys are needed: even ``--import`` would start one, which may outlive its
    directory. It is ended afterwards, so callers must hold the lock that all signers of the directory take.

    Args:
        secret: whether secret keys are needed.

    Raises:
        MissingProgram: gpg is not installed.
        ProgramFailed: gpg ended with another status, or could not use its agent.
    """
    env = _environment()
    with _short_path(home) as short:
        agent = () if secret else ("--no-autostart",)
        argv = ["gpg", "--homedir", str(short), *options, *agent, *map(str, arguments)]
        try:
            for _ in range(_ATTEMPTS):
                ran = run(argv, keep=True, accept=(), text=text, atom=_ATOM, env=env)
                if not (missing := secret and _lacks_agent(ran)):
                    break
            return ran.check(argv, (0,) if missing else accept)
        except ProgramFailed as error:
            hint = f"inspect this directory or restore it from a backup: {home}"
            raise explain_failure(error, home, hint) from error
        finally:
            if secret or short != home:  # the agent's sockets are below the temporary link
                _kill_daemons(short)


def _lacks_agent(ran: Ran) -> bool:
    """Return whether gpg could not use an agent: it would list no secret keys, as if there were none."""
    return ran.status != 0 and any(text in ran.err for text in _NO_AGENT)


def _environment() -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if name not in {"GNUPGHOME", "LANGUAGE", "LC_ALL"}}
    return {**plain, "LC_ALL": "C.UTF-8"}


def _kill_daemons(home: Path) -> None:
    if not find_program("gpgconf"):
        return
    gpgconf, env = ("gpgconf", "--homedir", str(home)), _environment()
    agent = Path(run([*gpgconf, "--list-dirs", "agent-socket"], keep=True, accept=(), env=env).out.strip())
    run([*gpgconf, "--kill", "all"], keep=True, accept=(), env=env)
    deadline = time.monotonic() + _PATIENCE
    while _accepts_connections(agent) and time.monotonic() < deadline:
        time.sleep(0.01)


def _accepts_connections(path: Path) -> bool:
    """Return whether a process listens on a socket; one that was killed leaves its file."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True


@contextmanager
def _short_path(home: Path) -> Iterator[Path]:
    """Yield a path of a key directory that is short enough for the sockets of gpg-agent: the kernel allows 107 bytes.

    Source: unix(7). GnuPG reports only that no agent is running.
    """
    if len(os.fsencode(home)) <= _LONGEST:
        yield home
        return
    with tempfile.TemporaryDirectory(prefix="gm-") as folder:
        link = Path(folder, "keys")
        link.symlink_to(home.absolute())
        yield link


def generate_key(home: Path, name: str) -> str:
    """Generate a signing key without a passphrase, and return its fingerprint."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    before = set(list_secret_keys(home))
    unattended = ("--yes", "--pinentry-mode", "loopback", "--passphrase", "")  # --yes: a name may have two keys
    run_gpg(home, *unattended, "--quick-gen-key", name, "ed25519", "sign", "never", secret=True)
    (fresh,) = set(list_secret_keys(home)) - before
    return fresh


def list_secret_keys(home: Path) -> list[str]:
    """List the fingerprints of the keys that can sign."""
    return _parse_fingerprints(run_gpg(home, "--list-secret-keys", "--with-colons", accept=(), secret=True).out, "sec")


def list_public_keys(home: Path, *, validity: str = "") -> list[str]:
    """List the fingerprints of public keys.

    Args:
        validity: letters of GnuPG's doc/DETAILS: ``fu`` for keys whose signatures Portage accepts, ``r`` for revoked
            keys (default: all valid keys).
    """
    return _parse_fingerprints(run_gpg(home, "--list-keys", "--with-colons", accept=()).out, "pub", validity)


def _parse_fingerprints(listing: str, record: str, validity: str = "") -> list[str]:
    """Parse the fingerprints of main keys, by default of those that are neither revoked nor expired.

    Source: GnuPG, doc/DETAILS.
    """
    fingerprints, counts = [], False
    for fields in (line.split(":") for line in listing.splitlines()):
        if fields[0] in {"pub", "sec", "sub", "ssb"}:
            counts = fields[0] == record and (fields[1] in {*validity} if validity else fields[1] not in {*"reid"})
        elif fields[0] == "fpr" and counts:
            fingerprints.append(fields[9])
            counts = False
    return fingerprints


def export_key(home: Path, fingerprint: str) -> str:
    """Export a public key as armored text."""
    return run_gpg(home, "--armor", "--export", fingerprint).out


def sign_detached(home: Path, fingerprint: str, file: Path, signature: Path, *options: str) -> None:
    """Write a detached signature of a file.

    Raises:
        RunError[signing-failed]: gpg fails.
    """
    arguments = ("--yes", "--local-user", fingerprint, "--output", signature, "--detach-sign", file)
    try:
        run_gpg(home, *(options or ("--armor",)), *arguments, secret=True)
    except ProgramFailed as error:
        raise signing_failed(home, fingerprint, error.tail) from error


def find_signer(home: Path, file: Path, signature: Path) -> str:
    """Find the main key that made a good signature of a file; empty if the signature is not good or the key unknown.

    Source: GnuPG, doc/DETAILS: the last field of VALIDSIG is the fingerprint of the main key.
    """
    output = run_gpg(home, "--status-fd", "1", "--verify", signature, file, accept=()).out
    lines = [line.split() for line in output.splitlines()]
    if any(len(fields) > 1 and fields[1] in {"REVKEYSIG", "EXPKEYSIG", "EXPSIG", "BADSIG"} for fields in lines):
        return ""
    return next((fields[-1] for fields in lines if fields[1:2] == ["VALIDSIG"]), "")


def import_keys(home: Path, *keys: Path) -> None:
    """Import public keys into a directory; what is not a key is ignored.

    Raises:
        MachineError[disk-full], ReadOnly: the directory cannot be written.
    """
    with suppress(ProgramFailed):
        run_gpg(home, "--import", *keys)


def import_trusted_keys(home: Path, keys: Collection[Path]) -> list[str]:
    """Import public keys into a directory, trust them as Portage requires, and return their fingerprints.

    Portage run by root verifies as user nobody, so the directory is readable for all.
    Source: checksum_helper in portage/gpkg.py, which asks for TRUST_FULLY or better.

    Raises:
        BadKey: a file holds no key that is valid.
    """
    home.mkdir(mode=0o755, parents=True, exist_ok=True)
    (home / "common.conf").touch()  # gpg 2.4 may otherwise use keyboxd, which user nobody cannot reach
    for key in keys:
        before = set(list_public_keys(home))
        import_keys(home, key)
        if not (set(list_public_keys(home)) - before or read_fingerprints(key)):
            raise BadKey(str(key), "not a public key, or no longer valid")
    fingerprints = list_public_keys(home)
    run_gpg(home, "--import-ownertrust", text="".join(f"{fingerprint}:6:\n" for fingerprint in fingerprints))
    run_gpg(home, "--check-trustdb", accept=())
    home.chmod(0o755)
    for name in ("pubring.kbx", "trustdb.gpg", "common.conf"):
        if (home / name).exists():
            (home / name).chmod(0o644)
    for leftover in (*home.glob("*~"), *home.glob("*.lock")):
        leftover.unlink(missing_ok=True)
    return fingerprints


def read_fingerprints(key: Path) -> list[str]:
    """Read the fingerprints of the keys in a file, without the user's own key ring."""
    with tempfile.TemporaryDirectory(prefix="gm-show-") as home:
        listing = run_gpg(Path(home), "--no-keyring", "--with-colons", "--show-keys", key, accept=()).out
    return _parse_fingerprints(listing, "pub")


def revoke(home: Path, fingerprint: str) -> None:
    """Revoke a key of this machine permanently, with the reason "compromised".

    ``--gen-revoke`` asks questions, and --batch forbids that; 1 is the reason. Source: GnuPG, ask_revocation_reason.

    Raises:
        ProgramFailed: gpg fails.
    """
    with tempfile.TemporaryDirectory(prefix="gm-revoke-") as folder:
        certificate = Path(folder, "revocation")
        options = ("--no-tty", "--quiet", "--yes", "--pinentry-mode", "loopback", "--passphrase", "")
        command = ("--command-fd", "0", "--status-fd", "2", "--output", certificate, "--gen-revoke", fingerprint)
        run_gpg(home, *command, text="y\n1\n\ny\n", secret=True, options=options)
        run_gpg(home, "--import", certificate)


def find_revoked_keys(keys: Collection[Path]) -> list[str]:
    """Find the keys in files of public keys that have revoked themselves; gpg verifies the revocations."""
    with tempfile.TemporaryDirectory(prefix="gm-revoked-") as folder:
        home = Path(folder)
        (home / "common.conf").touch()
        import_keys(home, *keys)
        return list_public_keys(home, validity="r")


def parse_fingerprint(fingerprint: str) -> str:
    """Parse a fingerprint that may have spaces or colons; empty if it is not a fingerprint."""
    digits = re.sub(r"[\s:]", "", fingerprint).upper().removeprefix("0X")
    return digits if _FINGERPRINT.fullmatch(digits) else ""


def format_fingerprint(fingerprint: str) -> str:
    """Format a fingerprint in groups of four digits."""
    return " ".join(fingerprint[start : start + 4] for start in range(0, len(fingerprint), 4))


def signing_failed(home: Path, fingerprint: str, output: str) -> RunError:
    """gpg failed to sign a file."""
    why = (output.strip().splitlines() or ["no output"])[-1].removeprefix("gpg: ")
    what = f"cannot sign with {fingerprint}: {why}"
    return RunError(what, code="signing-failed", hint=f"gpg --homedir {home} --list-secret-keys, and df")


class BadKey(RunError):
    """The key of a binhost is not valid, or does not have the fingerprint that was given."""

    code = "bad-key"

    def __init__(self, where: str, why: str, hint: str = "") -> None:
        super().__init__(f"key of {bare(where)} rejected: {why}", hint=hint)
        self.where, self.why = where, why
