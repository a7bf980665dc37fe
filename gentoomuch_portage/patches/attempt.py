"""Build what stands in the work trees of a set, as Portage would with the set saved; again no more than needs be."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from gentoomuch_portage import files
from gentoomuch_portage.laying import lay
from gentoomuch_portage.patches import save, where
from gentoomuch_portage.patches.git import git, written
from gentoomuch_portage.patches.prep import UnknownPackage
from gentoomuch_portage.patches.workbench import Bench
from gentoomuch_portage.plan import Patches, Plan
from gentoomuch_portage.portage_adapter import sources
from gentoomuch_portage.portage_adapter.ebuilds import Ebuild, Ebuilds
from gentoomuch_portage.run import Ran
from gentoomuch_portage.settings import Settings

_INPUTS = re.compile(
    r"(^|/)(configure|GNUmakefile|[Mm]akefile|SConstruct|wscript|CMakeLists\.txt|meson\.build|meson_options\.txt|"
    r"meson\.options|Cargo\.(toml|lock)|setup\.(py|cfg)|pyproject\.toml)$|\.(ac|am|in|m4|cmake|mk|pro|sh)$"
)
"""What later phases of src_prepare and src_configure read: once it is changed, they have to run again."""
_ERROR = re.compile(r"\berror\b|\bError \d|undefined reference|FAILED", re.IGNORECASE)
Start = Callable[[Sequence[str], Mapping[str, str]], Ran]
"""Runs a program with an environment, where the plan says."""


@dataclass(frozen=True, slots=True)
class Tried:
    """How the build of one package ended."""

    bench: Bench
    status: int
    """0 where it was built, 1 where it was not, 128 and the signal where one ended it, 70 where no box was made."""
    again: bool
    """Whether the build directory of the try before was built on."""
    log: Path
    tail: str
    """What the log says of the error; empty where there was none."""


def attempts(settings: Settings, plan: Plan, benches: list[Bench], ebuilds: Ebuilds) -> Iterator[Tried]:
    """Build each work tree of a set in turn, up to the first that fails.

    Args:
        plan: of the profile.

    Raises:
        MissingContainer: the plan wants to be carried out in a container that cannot be had.
        GmError: a work tree cannot be made a patch.
    """
    inside = where.kind(plan, settings)
    name = benches[0].set
    above = files.ensure(settings.cache / "trying" / name)
    _stage(settings, benches, above / "patches" / name)
    with _laid(plan, Patches(name, above / "patches" / name), settings) as laid:
        env = {"ROOT": laid.root, "SYSROOT": "/", **laid.env, "PORTAGE_CONFIGROOT": laid.configroot}
        start = partial(where.build, laid, settings, inside)
        for bench in benches:
            tried = _built(bench, _ebuild(bench, ebuilds), start, env, above / laid.profile)
            yield tried
            if tried.status:
                return


def _stage(settings: Settings, benches: list[Bench], folder: Path) -> None:
    """The set as it would be with the work trees saved."""
    save.emptied(folder)
    plain = settings.config / "patches" / benches[0].set
    if plain.is_dir():
        shutil.copytree(plain, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
    for bench in benches:
        save.store(bench, save.pieces(bench), folder)


@contextmanager
def _laid(plan: Plan, trial: Patches, settings: Settings) -> Iterator[Plan]:
    """The plan with a set on trial: in its place where the profile has it, otherwise behind all others."""
    parts = tuple(
        (plugin, trial if isinstance(part, Patches) and part.name == trial.name else part)
        for plugin, part in plan.parts
    )
    if not any(part == trial for _, part in parts):
        parts = (*parts, ("patches", trial))
    laid, locks = lay(replace(plan, parts=parts), settings)
    try:
        yield laid
    finally:
        for lock in locks:
            os.close(lock)


def _ebuild(bench: Bench, ebuilds: Ebuilds) -> Ebuild:
    found = next((one for one in ebuilds.of(_cp(bench)) if one.cpv == bench.cpv), None)
    if found is None:
        raise UnknownPackage(bench.cpv)
    return found


def _cp(bench: Bench) -> str:
    from gentoomuch_portage.portage_adapter import query

    return query.package_of(bench.cpv)


def _built(bench: Bench, ebuild: Ebuild, start: Start, env: Mapping[str, str], place: Path) -> Tried:
    """Build one package, on what the try before left behind where that is sound."""
    files.ensure(place)
    built = place / "portage" / bench.cpv
    note, log = place / f"{ebuild.pf}.json", place / f"{ebuild.pf}.log"
    tree, key = written(bench.tree), _key(ebuild, env)
    again = _renewed(bench, _before(note, key), tree, built)
    note.unlink(missing_ok=True)
    told = {**env, "PORTAGE_TMPDIR": str(place), **sources.quietly({**os.environ, **env})}
    phases = ["install"] if again else ["clean", "install"]
    ran = start(["ebuild", str(ebuild.path), *phases], told)
    log.write_text(ran.out + ran.err, encoding="utf-8")
    if (built / ".configured").is_file():
        note.write_text(json.dumps({"key": key, "tree": tree}), encoding="utf-8")
    status = 128 - ran.status if ran.status < 0 else ran.status if ran.status >= 64 else min(ran.status, 1)
    return Tried(bench, status, again, log, told_of(ran.out + ran.err) if status else "")


def _key(ebuild: Ebuild, env: Mapping[str, str]) -> str:
    """Changes with whatever else than the work tree goes into a build."""
    shown = Path(env["PORTAGE_CONFIGROOT"]) / "etc/portage"
    total = hashlib.sha256(ebuild.key.encode())
    for one in sorted(shown.rglob("*")):
        if one.is_file() and one.relative_to(shown).parts[0] != "patches":
            total.update(f"{one.relative_to(shown)}\0".encode() + one.read_bytes())
    return total.hexdigest()


def _before(note: Path, key: str) -> str:
    """The tree that the try before built; empty where there was none, or of another ebuild or profile."""
    try:
        said = json.loads(note.read_text(encoding="utf-8"))
        return str(said["tree"]) if said["key"] == key else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _renewed(bench: Bench, before: str, now: str, built: Path) -> bool:
    """Put what changed since the try before into its build directory, unless that would be unsound.

    It is sound for files that were there and are there, that neither src_prepare nor src_configure read, and
    that nothing has changed after they were patched.
    """
    here = built / "work" / bench.inside
    if not before or not (built / ".configured").is_file():
        return False
    told = git(bench.tree, "diff", "--raw", "--no-renames", "--no-abbrev", "-z", before, now).out.split("\0")[:-1]
    changes = [(*one.split(), name) for one, name in zip(told[::2], told[1::2], strict=True)]
    for old_mode, new_mode, blob, _, kind, name in changes:
        regular = kind == "M" and old_mode.lstrip(":") == new_mode and new_mode.startswith("100")
        if not regular or _INPUTS.search(name) or _blob(here / name) != blob:
            return False
    for *_, name in changes:
        shutil.copyfile(bench.tree / name, here / name)
    for mark in (".compiled", ".tested", ".installed"):
        (built / mark).unlink(missing_ok=True)
    return True


def _blob(path: Path) -> str:
    """The name that git gives the content of a file; empty where it is no plain file."""
    if path.is_symlink() or not path.is_file():
        return ""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def told_of(log: str, *, most: int = 40) -> str:
    """The part of a build log that tells what went wrong: from the first error on, without Portage's own report."""
    lines = re.sub(r"\033\[[0-9;]*[A-Za-z]", "", log).rstrip().splitlines()
    report = next((at for at, line in enumerate(lines) if re.search(r"\* ERROR: .* failed \(", line)), len(lines))
    own = lines[:report] or lines
    first = next((at for at, line in enumerate(own) if _ERROR.search(line)), max(0, len(own) - most // 2))
    return "\n".join([*own[max(0, first - 2) : first - 2 + most if first > 1 else most], *lines[report : report + 2]])
