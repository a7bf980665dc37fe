"""Sources as user patches find them: unpacked and prepared by Portage, up to the moment when they are applied.

Portage is stopped there by two patches of ours, the only ones in a configroot that is otherwise the profile's: the
first leaves a file where patches are applied, the second is none. So PATCHES and all that an ebuild does before have
happened, and nothing that it does after; and no function of Portage is replaced.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage import files
from gentoomuch_portage.errors import RunError
from gentoomuch_portage.portage_adapter.ebuilds import Ebuild
from gentoomuch_portage.run import run

_MARK = ".gentoomuch-applies-user-patches-here"
_HERE = f"--- /dev/null\n+++ b/{_MARK}\n@@ -0,0 +1 @@\n+here\n"
_WITHOUT = frozenset({"0", "1", "2", "3", "4", "5"})
"""EAPIs that have no user patches. Source: PMS, "eapply_user"."""
_UNUSED = 30 * 86_400
"""Seconds after which sources that nobody used are removed."""
_LIVE = 86_400
"""Seconds for which the sources of a live ebuild are taken again."""


class Unprepared(RunError):
    """The sources of a package cannot be had as user patches would find them.

    Attributes:
        tail: what Portage said last.
    """

    code = "unprepared"

    def __init__(self, cpv: str, why: str, tail: str = "") -> None:
        told = f":\n{tail}" if tail else ""
        super().__init__(f"the sources of {cpv} cannot be prepared: {why}{told}")
        self.cpv, self.why, self.tail = cpv, why, tail


@dataclass(frozen=True, slots=True)
class Prepared:
    """Sources that are not to be changed."""

    work: Path
    """All of them: Portage's WORKDIR."""
    tree: Path
    """The folder in it where user patches are applied."""


def prepared(ebuild: Ebuild, env: Mapping[str, str], cache: Path) -> Prepared:
    """The sources of an ebuild, made once and kept below ``cache/sources``.

    Args:
        env: PORTAGE_CONFIGROOT and ROOT of the profile.

    Raises:
        Unprepared: Portage does not get so far.
        MissingProgram: Portage's ``ebuild`` is not on PATH.
    """
    if ebuild.eapi in _WITHOUT:
        raise Unprepared(ebuild.cpv, f"its ebuild has EAPI {ebuild.eapi}, which applies no user patches")
    place = cache / "sources" / f"{ebuild.cpv.replace('/', '_')}-{ebuild.key}"
    with files.locked(cache / "sources" / f".{place.name}.lock"):
        if not _usable(place, ebuild):
            shutil.rmtree(place, ignore_errors=True)
            _make(place, ebuild, env, cache)
        os.utime(place)
        _collect(cache / "sources", place)
    return Prepared(place / "work", place / "work" / (place / "tree").read_text(encoding="utf-8"))


def _usable(place: Path, ebuild: Ebuild) -> bool:
    made = place / "tree"
    return made.is_file() and not (ebuild.live and time.time() - made.stat().st_mtime > _LIVE)


def _make(place: Path, ebuild: Ebuild, env: Mapping[str, str], cache: Path) -> None:
    with files.fresh_folder(place.parent) as fresh:
        configroot = _stopping(fresh / "configroot", Path(env["PORTAGE_CONFIGROOT"]), ebuild)
        told = {**os.environ, **env, "PORTAGE_CONFIGROOT": str(configroot), "PORTAGE_TMPDIR": str(fresh)}
        ended = run(
            ["ebuild", str(ebuild.path), "clean", "prepare"],
            env={**told, **quietly(told), **_distdir(ebuild.distdir, cache)},
            keep=True,
            accept=(),
            atom="sys-apps/portage",
        )
        work = fresh / "portage" / ebuild.category / ebuild.pf / "work"
        mark = next((Path(above) / _MARK for above, _, names in os.walk(work) if _MARK in names), None)
        if mark is None:
            tail = "\n".join((ended.out + ended.err).rstrip().splitlines()[-20:])
            raise Unprepared(ebuild.cpv, f"ebuild ended with {ended.status} before user patches are applied", tail)
        mark.unlink()
        done = fresh / "done"
        done.mkdir()
        work.rename(done / "work")
        (done / "tree").write_text(str(mark.parent.relative_to(work)), encoding="utf-8")
        done.rename(place)


def _stopping(configroot: Path, plain: Path, ebuild: Ebuild) -> Path:
    """A configroot as the profile's, whose only user patches stop Portage."""
    shown = configroot / "etc/portage"
    shown.mkdir(parents=True)
    for one in (plain / "etc/portage").iterdir():
        if one.name != "patches":
            (shown / one.name).symlink_to(one)
    patches = shown / "patches" / ebuild.category / ebuild.name
    patches.mkdir(parents=True)
    (patches / "0-here.patch").write_text(_HERE, encoding="utf-8")
    (patches / "1-stop.patch").write_text("Here gentoomuch stops.\n", encoding="utf-8")
    return configroot


def quietly(env: Mapping[str, str]) -> dict[str, str]:
    """Variables that let Portage leave a failed build where it is, and nothing anywhere else."""
    features = f"{env.get('FEATURES', '')} -fail-clean -binpkg-logs".strip()
    return {"FEATURES": features, "PORTAGE_LOGDIR": "", "PORTAGE_ELOG_SYSTEM": "", "NOCOLOR": "yes"}


def _distdir(distdir: Path, cache: Path) -> dict[str, str]:
    """A place of our own to fetch to, where this user may not write the profile's."""
    if os.access(distdir, os.W_OK):
        return {}
    own = files.ensure(cache / "distfiles")
    return {"DISTDIR": str(own), "PORTAGE_RO_DISTDIRS": str(distdir)}


def _collect(sources: Path, but: Path) -> None:
    """Remove what nobody used for long, and what killed runs left behind."""
    for folder in sources.iterdir():
        with contextlib.suppress(OSError):
            if folder.is_dir() and folder != but and time.time() - folder.stat().st_mtime > _UNUSED:
                files.remove_unheld(folder)
