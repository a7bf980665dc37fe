# SPDX-License-Identifier: GPL-2.0-or-later
"""Sign binary packages and verify their signatures, with Portage's own code and the configured keyring."""

import io
import os
import re
import tarfile
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import portage
from portage.exception import PortageException
from portage.gpkg import gpkg

from gentoomuch_portage.errors import NO_ROOM, cannot_write


class Signature(NamedTuple):
    """The signature of a binary package."""

    state: str
    """``signed`` by a trusted key, ``unsigned``, ``unknown-key``, ``untrusted-key``, ``bad``; ``unseen`` if the package
    is not fetched yet or cannot be read."""
    text: str
    """Description for users."""
    against: bool
    """Whether Portage rejects the package because of it."""


def read_signature(tree: Any, cpv: Any) -> Signature:
    """Return the signature of an instance of a bintree."""
    must, may_be_bad = _rules(tree, cpv)
    if tree.isremote(cpv):
        rule = "must be signed" if must else "need not be signed"
        return Signature("unseen", f"it has to be fetched first; the packages of its binhost {rule}", False)
    state, text = _verified(tree.getname(cpv), tree.settings)
    rejected = must if state == "unsigned" else not may_be_bad and state in {"unknown-key", "untrusted-key", "bad"}
    return Signature(state, text, rejected)


def _rules(tree: Any, cpv: Any) -> tuple[bool, bool]:
    """Return whether an instance must be signed, and whether an invalid signature is accepted.

    Source: gpkg.__init__ and _verify_binpkg; FEATURES override verify-signature of binrepos.conf.
    """
    features, repository = tree.settings.features, tree.get_local_repo(cpv)
    if "binpkg-request-signature" in features:
        return True, False
    if "binpkg-ignore-signature" in features:
        return False, True
    if repository is None:
        return False, False
    return bool(repository.verify_signature), not repository.verify_signature


def _verified(path: str, settings: Any) -> tuple[str, str]:
    """Verify a file with Portage and gpg; return state and description."""
    if not path.endswith(".gpkg.tar"):
        return "unsigned", "it is an xpak, which has no signature"
    home = settings.get("BINPKG_GPG_VERIFY_GPG_HOME", "")
    output = StringIO()
    package = gpkg(settings, gpkg_file=path)
    # Verify an existing signature with any FEATURES.
    package.request_signature, package.verify_signature = False, True
    try:
        with redirect_stdout(output), redirect_stderr(output):
            package._verify_binpkg(metadata_only=True)
    except (PortageException, tarfile.TarError, OSError, ValueError, EOFError, KeyError) as error:
        return _failed(output.getvalue(), error, home)
    if not package.signature_exist:
        return "unsigned", "it is not signed"
    return "signed", f"it is signed by a key that {home} trusts"


def _failed(output: str, error: Exception, home: str) -> tuple[str, str]:
    """Return state and description for the status lines of gpg.

    Source: GnuPG's doc/DETAILS, "Format of the --status-fd output".
    """
    status = dict(re.findall(r"\[GNUPG:\] (\w+)(?: (\w*))?", output))
    key = next((status[word] for word in ("NO_PUBKEY", "ERRSIG") if status.get(word)), "")
    if "BADSIG" in status:
        return "bad", f"its signature by {status['BADSIG']} is not of this content"
    if key:
        return "unknown-key", f"it is signed by {key}, which is not in {home}"
    for word, meaning in (("EXPKEYSIG", "has expired"), ("REVKEYSIG", "was revoked")):
        if word in status:
            return "untrusted-key", f"it is signed by {status[word]}, which {meaning}"
    if "GOODSIG" in status:
        return "untrusted-key", f"it is signed by {status['GOODSIG']}, which {home} does not trust"
    if isinstance(error, FileNotFoundError | KeyError):
        return "unseen", f"it cannot be read: {error}"
    # The message may quote contents of the package, and is shown on a terminal.
    return "bad", "it cannot be verified: " + "".join(sign if sign.isprintable() else "?" for sign in str(error)[:200])


class Unfit(Exception):
    """Portage cannot sign a package, or its signature is not valid; the text is the reason."""


def sign(file: Path, variables: Mapping[str, str]) -> None:
    """Sign a gpkg and replace its file; earlier signatures are removed.

    Args:
        variables: ``variables`` of the key.

    Raises:
        Unfit: the file is not a gpkg, or damaged, or gpg fails.
    """
    _run_gpkg(file, variables, "update_signature", verify=None)


def verify(file: Path, variables: Mapping[str, str]) -> None:
    """Verify a gpkg and its signature with Portage.

    Args:
        variables: ``BINPKG_GPG_VERIFY_GPG_HOME``.

    Raises:
        Unfit: the package is unsigned, changed, or signed by a key that is not trusted.
    """
    _run_gpkg(file, variables, "_verify_binpkg", verify=True)


def _run_gpkg(file: Path, variables: Mapping[str, str], method: str, *, verify: bool | None) -> None:
    output = io.StringIO()
    try:
        with redirect_stdout(output), redirect_stderr(output):
            getattr(gpkg(_settings(variables), None, str(file), verify_signature=verify), method)()
    except (PortageException, OSError, ValueError, EOFError) as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise cannot_write(file, error) from error
        lines = [line.strip(" *\t") for line in output.getvalue().splitlines()]
        summary = lines[at + 1] if (at := lines.index("Summary:") if "Summary:" in lines else -1) >= 0 else ""
        raise Unfit(" ".join(f"{summary or error or type(error).__name__}".split())) from error


def _settings(variables: Mapping[str, str]) -> Any:
    settings = portage.config(config_root=os.environ.get("PORTAGE_CONFIGROOT"), env=dict(os.environ))
    settings.unlock()
    settings.features.discard("binpkg-request-signature")
    settings.features.discard("binpkg-ignore-signature")
    for name, value in variables.items():
        settings[name] = value
    return settings
