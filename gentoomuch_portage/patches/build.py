"""Build what stands in the work trees of a set, as Portage would with the set saved; again no more than needs be.

Where what stands in work trees is built: here, or in a container as all that gm-emerge builds for the profile.
"""

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

from gentoomuch_portage import console, fs
from gentoomuch_portage.config.profile import size
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot.prepare import lay
from gentoomuch_portage.containers import detect, lifecycle, root_lock
from gentoomuch_portage.containers.host_overlay import view
from gentoomuch_portage.containers.host_paths import Places
from gentoomuch_portage.containers.spec import Bind, Box
from gentoomuch_portage.errors import MissingContainer
from gentoomuch_portage.git import git, written
from gentoomuch_portage.patches import save
from gentoomuch_portage.patches.prepare import UnknownPackage
from gentoomuch_portage.patches.worktree import Bench
from gentoomuch_portage.plan.plan import Patches, Plan
from gentoomuch_portage.portage_adapter import ebuilds as portage_ebuilds
from gentoomuch_portage.portage_adapter.ebuilds import Ebuild, Ebuilds
from gentoomuch_portage.process import Ran, run


def kind(plan: Plan, settings: Settings) -> str:
    """The kind of container that a plan is carried out in; ``none`` for none.

    Raises:
        MissingContainer: it names one that there is not.
    """
    if plan.isolation == "vm":
        raise MissingContainer(plan.isolation, (*detect.KINDS, "auto"), word="--isolation")
    found = detect.chosen(plan.isolation, settings.cache)
    if found != plan.isolation and found == "none":
        console.warn("no kind of container works here; this is built on the host (gentoomuch doctor says why)")
    return found


def build(plan: Plan, settings: Settings, inside: str, argv: Sequence[str], env: Mapping[str, str]) -> Ran:
    """Run a program of Portage to its end.

    Args:
        inside: a kind of container, or ``none``.
        env: what it needs besides ours; PORTAGE_TMPDIR is all that it may write for good.

    Raises:
        Busy: the root is being removed or exported.
        MissingProgram: it, or what makes the container, is not on PATH.
    """
    if inside == "none":
        return run(argv, env={**os.environ, **env}, keep=True, accept=(), atom="sys-apps/portage")
    with root_lock.at_work(Path(plan.root)), lifecycle.folder(settings.cache) as folder:
        return lifecycle.start(inside, _box(plan, settings, folder, argv, env), keep=True)


def _box(plan: Plan, settings: Settings, folder: Path, argv: Sequence[str], env: Mapping[str, str]) -> Box:
    """A view of this host without the network."""
    places = Places.of(plan, settings)
    for one in (places.pkgdir, places.distdir, places.tmpdir):
        fs.ensure(one)
    made = view(places, folder, root=Path(plan.root))
    built = Bind(env["PORTAGE_TMPDIR"], env["PORTAGE_TMPDIR"], writable=True)
    mounts = sorted((*made.mounts, built), key=lambda one: Path(one.target).parts)
    made = made._replace(processes=int(plan.processes), disk=size(plan.disk))
    features = f"{env.get('FEATURES', '')} -pid-sandbox".strip()  # most kinds of boxes let it have no /proc
    return made._replace(mounts=tuple(mounts), argv=tuple(argv), env={**made.env, **env, "FEATURES": features})


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
    inside = kind(plan, settings)
    name = benches[0].set
    above = fs.ensure(settings.cache / "trying" / name)
    _stage(settings, benches, above / "patches" / name)
    with _laid(plan, Patches(name, above / "patches" / name), settings) as laid:
        env = {"ROOT": laid.root, "SYSROOT": "/", **laid.env, "PORTAGE_CONFIGROOT": laid.configroot}
        start = partial(build, laid, settings, inside)
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
    from gentoomuch_portage.portage_adapter import config

    return config.package_of(bench.cpv)


def _built(bench: Bench, ebuild: Ebuild, start: Start, env: Mapping[str, str], place: Path) -> Tried:
    """Build one package, on what the try before left behind where that is sound."""
    fs.ensure(place)
    built = place / "portage" / bench.cpv
    note, log = place / f"{ebuild.pf}.json", place / f"{ebuild.pf}.log"
    tree, key = written(bench.tree), _key(ebuild, env)
    again = _renewed(bench, _before(note, key), tree, built)
    note.unlink(missing_ok=True)
    told = {**env, "PORTAGE_TMPDIR": str(place), **portage_ebuilds.quietly({**os.environ, **env})}
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
