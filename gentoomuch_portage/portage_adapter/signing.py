"""Whether a binary package is signed, and by whom: Portage's own verification, with the keyring that it is told of.

Signatures of binary packages, made and verified by Portage itself.
"""

import io
import os
import re
import tarfile
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple


class Signature(NamedTuple):
    """What stands behind a binary package."""

    state: str
    """``signed`` by a key that is trusted, ``unsigned``, ``unknown-key``, ``untrusted-key``, ``bad``; ``unseen`` where
    it has to be fetched first, or nothing can tell."""
    text: str
    """For people."""
    against: bool
    """Whether Portage would not take the package for it."""


def of(tree: Any, cpv: Any) -> Signature:
    """The signature of an instance of a bintree."""
    must, may_be_bad = _rules(tree, cpv)
    if tree.isremote(cpv):
        told = "must be signed" if must else "need not be signed"
        return Signature("unseen", f"it has to be fetched first; the packages of its binhost {told}", False)
    state, text = _verified(tree.getname(cpv), tree.settings)
    refused = must if state == "unsigned" else not may_be_bad and state in {"unknown-key", "untrusted-key", "bad"}
    return Signature(state, text, refused)


def _rules(tree: Any, cpv: Any) -> tuple[bool, bool]:
    """Whether an instance must be signed, and whether a signature that is there may be a bad one.

    Source: gpkg.__init__ and _verify_binpkg; FEATURES win over verify-signature of binrepos.conf.
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
    """State and text, from what Portage and gpg say of a file."""
    from portage.exception import PortageException
    from portage.gpkg import gpkg

    if not path.endswith(".gpkg.tar"):
        return "unsigned", "it is an xpak, which has no signature"
    home = settings.get("BINPKG_GPG_VERIFY_GPG_HOME", "")
    heard = StringIO()
    package = gpkg(settings, gpkg_file=path)
    # What is there is looked at, whatever FEATURES say.
    package.request_signature, package.verify_signature = False, True
    try:
        with redirect_stdout(heard), redirect_stderr(heard):
            package._verify_binpkg(metadata_only=True)
    except (PortageException, tarfile.TarError, OSError, ValueError, EOFError, KeyError) as error:
        return _failed(heard.getvalue(), error, home)
    if not package.signature_exist:
        return "unsigned", "it is not signed"
    return "signed", f"it is signed by a key that {home} trusts"


def _failed(said: str, error: Exception, home: str) -> tuple[str, str]:
    """What gpg's status lines mean. Source: GnuPG's doc/DETAILS, "Format of the --status-fd output"."""
    status = dict(re.findall(r"\[GNUPG:\] (\w+)(?: (\w*))?", said))
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
        return "unseen", f"it cannot be looked at: {error}"
    # What the package holds may be quoted there, and is shown in a terminal.
    return "bad", "it cannot be verified: " + "".join(sign if sign.isprintable() else "?" for sign in str(error)[:200])


class Unfit(Exception):
    """A package that Portage does not sign, or whose signature does not hold; it says why."""


def sign(file: Path, told: Mapping[str, str]) -> None:
    """Sign a gpkg; its earlier signatures are replaced, and the file by a new one of the same name.

    Args:
        told: ``variables`` of the key.

    Raises:
        Unfit: it is no gpkg, damaged, or gpg fails.
    """
    _asked(file, told, "update_signature", verify=None)


def verify(file: Path, told: Mapping[str, str]) -> None:
    """Let Portage verify a gpkg, with its signature.

    Args:
        told: ``BINPKG_GPG_VERIFY_GPG_HOME``.

    Raises:
        Unfit: it is unsigned, altered, or signed by a key that is not trusted.
    """
    _asked(file, told, "_verify_binpkg", verify=True)


def _asked(file: Path, told: Mapping[str, str], what: str, *, verify: bool | None) -> None:
    from portage.exception import PortageException
    from portage.gpkg import gpkg

    heard = io.StringIO()
    try:
        with redirect_stdout(heard), redirect_stderr(heard):
            getattr(gpkg(_settings(told), None, str(file), verify_signature=verify), what)()
    except (PortageException, OSError, ValueError, EOFError) as error:
        lines = [line.strip(" *\t") for line in heard.getvalue().splitlines()]
        summary = lines[at + 1] if (at := lines.index("Summary:") if "Summary:" in lines else -1) >= 0 else ""
        raise Unfit(" ".join(f"{summary or error or type(error).__name__}".split())) from error


def _settings(told: Mapping[str, str]) -> Any:
    import portage

    made = portage.config(config_root=os.environ.get("PORTAGE_CONFIGROOT"), env=dict(os.environ))
    made.unlock()
    made.features.discard("binpkg-request-signature")
    made.features.discard("binpkg-ignore-signature")
    for name, value in told.items():
        made[name] = value
    return made
