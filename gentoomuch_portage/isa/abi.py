# SPDX-License-Identifier: GPL-2.0-or-later
"""The ABI of a profile or a package, as CHOST and USE name it."""

import re
from collections.abc import Iterable
from typing import NamedTuple, Self

LIBCS = frozenset({"glibc", "musl", "uclibc", "bionic"})
"""Parts of an ABI that no macro names: the last part of CHOST, or USE=elibc_*. Source: ::gentoo's desc/elibc.desc."""


class Abi(NamedTuple):
    """The ABI of a profile, apart from compiler flags."""

    chost: str
    """CHOST; empty if unknown, which accepts any."""
    libc: str
    """ELIBC: ``musl``; empty if unknown."""
    accepted: tuple[str, ...] = ()
    """ACCEPT_CHOSTS, regular expressions; default: CHOST alone. Source: make.conf(5)."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the output of ``str``."""
        chost, libc, *accepted = text.split() if text else ("-", "-")
        return cls(chost.strip("-"), libc.strip("-"), tuple(accepted))

    def __str__(self) -> str:
        return " ".join((self.chost or "-", self.libc or "-", *self.accepted))

    def accepts(self, chost: str) -> bool:
        """Whether code for a CHOST is accepted; as in Portage, an unknown CHOST is."""
        if not chost or not (self.chost or self.accepted):
            return True
        try:
            return re.fullmatch("|".join(self.accepted) or re.escape(self.chost), chost) is not None
        except re.error:
            return False  # Portage reports this, and accepts nothing either


def libc(chost: str, use: Iterable[str]) -> frozenset[str]:
    """Return the libc that CHOST or USE=elibc_* names; an empty set if neither does.

    Source: the last part of the GNU triplet; ::gentoo's profiles/features set ELIBC accordingly.
    """
    if enabled := frozenset(flag.removeprefix("elibc_") for flag in use if flag.startswith("elibc_")) & LIBCS:
        return enabled
    last = chost.rpartition("-")[2]
    names = (("gnu", "glibc"), ("musl", "musl"), ("uclibc", "uclibc"), ("android", "bionic"))
    return frozenset(libc for part, libc in names if chost and last.startswith(part))
