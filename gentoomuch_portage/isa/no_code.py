# SPDX-License-Identifier: GPL-2.0-or-later
"""Find out whether a package contains machine code. A package without it runs on every CPU.

A file is known to have no code if it is text or has a well-known format of data. Any other file counts as code: it may
be a program, a library, a kernel, firmware, or an archive of them.
"""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from gentoomuch_portage.isa.requirement import Requirement

NO_CODE = Requirement(features=frozenset(), abi=frozenset(), description="no machine code")
"""What a package without machine code requires."""
_CHUNK = 1 << 20
_CONTROL = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f]")
"""Bytes that text does not contain, and machine code does."""
_FLAGS = re.compile(rb"-m(?:arch|cpu)=|target-cpu=|\bGO(?:AMD64|386|ARM|ARM64|PPC64|RISCV64)=")
"""Flags for a CPU. A file that contains them may pass them to later builds."""
_OVERLAP = 32
"""Bytes of one chunk that are searched again with the next."""
_DATA = (
    b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"%PDF-",
    b"\x00\x01\x00\x00\x00", b"OTTO", b"wOFF", b"wOF2",
    b"\xde\x12\x04\x95", b"\x95\x04\x12\xde", b"TZif",
)  # fmt: skip
"""First bytes of images, documents, fonts, catalogues of gettext, and time zones. Source: magic(5)."""
_DOCUMENTS = re.compile(r"(?:^|/)usr/share/(?:doc|gtk-doc|info|man)/.*\.(?:bz2|gz|lz4|lzma|xz|zst)$")
"""Documentation that Portage has compressed. Source: PORTAGE_COMPRESS in make.conf(5)."""
_BYTECODE = re.compile(r"/__pycache__/[^/]+\.pyc$")
_ACCOUNT = re.compile(r"acct-(?:group|user)")
"""Category and eclass of packages that install a text for systemd-sysusers. Source: GLEP 81."""
_MOST_ACCOUNT = 4096
"""Bytes; a program is larger."""


def find_code(image: Path) -> str:
    """Return the first file that may contain machine code, or flags for a CPU; empty if there is none.

    Args:
        image: the directory with the files that a package installs.
    """
    failed: list[OSError] = []
    for folder, _, names in os.walk(image, onerror=failed.append):
        for file in (Path(folder, name) for name in names):
            if _may_have_code(file):
                return str(file.relative_to(image))
    return str(failed[0].filename) if failed else ""


def _may_have_code(file: Path) -> bool:
    """Return whether a file may contain code; True if it cannot be read."""
    try:
        if not stat.S_ISREG(file.lstat().st_mode):
            return False
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as opened:
            chunk = opened.read(_CHUNK)
            if chunk.startswith(_DATA) or _DOCUMENTS.search(str(file)):
                return False
            if _BYTECODE.search(str(file)) and chunk[2:4] == b"\r\n":  # Source: importlib.util.MAGIC_NUMBER
                return False
            before = b""
            while chunk:
                if _CONTROL.search(chunk) or _FLAGS.search(before + chunk):
                    return True
                before, chunk = chunk[-_OVERLAP:], opened.read(_CHUNK)
    except OSError:
        return True
    return False


def is_without_code(metadata: Mapping[str, str]) -> bool:
    """Return whether the metadata of a binary package prove that it has no machine code.

    A package whose files have no bytes has none. The text that an account installs has some hundred bytes.
    Source: SIZE, which _post_src_install_uid_fix of Portage writes.
    """
    size, account = metadata.get("SIZE", "").strip(), _ACCOUNT.fullmatch(metadata.get("CATEGORY", "").strip())
    if not size.isdecimal():
        return False
    is_account = account is not None and account[0] in metadata.get("INHERITED", "").split()
    return int(size) < (_MOST_ACCOUNT if is_account else 1)


METADATA = frozenset({"CATEGORY", "INHERITED", "SIZE"})
"""The files of metadata that ``is_without_code`` needs."""
