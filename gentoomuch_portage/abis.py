"""The ABI of a profile beyond its compiler's flags: CHOST, the libc, and the CHOSTs that Portage is told to accept."""

import re
from typing import NamedTuple, Self


class Abi(NamedTuple):
    """What code must be made for, whatever the CPU has."""

    chost: str
    """CHOST; empty where it is not told, and then any will do."""
    libc: str
    """ELIBC: ``musl``; empty where it is not told."""
    accepted: tuple[str, ...] = ()
    """ACCEPT_CHOSTS: regular expressions; nothing stands for CHOST alone. Source: make.conf(5)."""

    @classmethod
    def of(cls, text: str) -> Self:
        """Read what ``str`` makes."""
        chost, libc, *accepted = text.split() if text else ("-", "-")
        return cls(chost.strip("-"), libc.strip("-"), tuple(accepted))

    def __str__(self) -> str:
        return " ".join((self.chost or "-", self.libc or "-", *self.accepted))

    def takes(self, chost: str) -> bool:
        """Whether code for a CHOST is accepted; code that tells none is, as by Portage."""
        if not chost or not (self.chost or self.accepted):
            return True
        try:
            return re.fullmatch("|".join(self.accepted) or re.escape(self.chost), chost) is not None
        except re.error:
            return False  # Portage then says so, and accepts nothing either
