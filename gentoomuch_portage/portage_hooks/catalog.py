"""Which hooks there are: a name, what it does, and the files that switch it on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_FILES = Path(__file__).parent / "files"


@dataclass(frozen=True, slots=True)
class Places:
    """Where this host has what Portage reads."""

    etc: Path
    """etc/portage."""
    eprefix: Path
    emaint: Path
    """The folder of emaint's modules, in Portage itself."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One thing that plain emerge can have."""

    name: str
    help: str
    files: tuple[tuple[str, Callable[[Places], Path], bool], ...]
    """The name of what is written, where, and whether it is a program."""

    def where(self, places: Places) -> tuple[Path, ...]:
        """The files that it is made of."""
        return tuple(place(places) for _, place, _ in self.files)


def template(name: str) -> str:
    """The text of one of the files, with words between ``@`` to be filled in."""
    return (_FILES / name).read_text(encoding="utf-8")


ALL = (
    Hook(
        "filter",
        "refuse binary packages that this CPU cannot run, and record in what is built what it needs",
        (("filter.conf", lambda at: at.etc / "sets.conf/gentoomuch.conf", False),),
    ),
    Hook(
        "unmask",
        "keep what was unmasked for a profile and is installed: no downgrade, no warning; @gm-unmasked lists it",
        (("unmask.conf", lambda at: at.etc / "sets.conf/gentoomuch-unmask.conf", False),),
    ),
    Hook(
        "record",
        "record needs, profile and patches in what emerge and ebuild build, nothing of ours in the process",
        (("record.bash", lambda at: at.eprefix / "usr/local/lib/install-qa-check.d/90gentoomuch", False),),
    ),
    Hook(
        "bashrc",
        "as record, for builders that take etc/portage along and nothing of /usr",
        (("bashrc.bash", lambda at: at.etc / "bashrc", False),),
    ),
    Hook(
        "refresh",
        "after a sync write the masks of binary packages again, and prune the ledger",
        (("refresh.sh", lambda at: at.etc / "postsync.d/gentoomuch", True),),
    ),
    Hook(
        "snapshot",
        "after the sync of a repository make a snapshot of it for containers",
        (("snapshot.sh", lambda at: at.etc / "repo.postsync.d/gentoomuch", True),),
    ),
    Hook(
        "emaint",
        "emaint --check gentoomuch and --fix gentoomuch: these hooks, masks and ledger",
        (
            ("emaint.spec", lambda at: at.emaint / "gentoomuch/__init__.py", False),
            ("emaint.module", lambda at: at.emaint / "gentoomuch/hooks.py", False),
        ),
    ),
)
"""In the order in which they are listed."""
