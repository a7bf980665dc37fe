# SPDX-License-Identifier: GPL-2.0-or-later
"""A run of gm-emerge: parse the command line, prepare the run, then explain or execute it."""

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gentoomuch_portage import __version__, console, fs, startup
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot import build_dir, cache, cross
from gentoomuch_portage.configroot.key import MOVED
from gentoomuch_portage.dotgentoo.arguments import find_projects
from gentoomuch_portage.emerge import banner, own_cpu
from gentoomuch_portage.emerge.prepare import PROFILE_PLUGINS, Prepared, prepare
from gentoomuch_portage.errors import BadFile, ConfigError, GmError, MachineError, UsageError, full_place, refused
from gentoomuch_portage.events.reporter import EventLog, RunReporter
from gentoomuch_portage.plan.plan import EmergeOption, MakeProfile, Plan
from gentoomuch_portage.plan.request import OPTIONS, Request, option_needs_profile
from gentoomuch_portage.plugins import manager
from gentoomuch_portage.plugins.manager import Dispatcher
from gentoomuch_portage.portage_adapter import emerge, emerge_arguments, paths, private_api
from gentoomuch_portage.startup import LazyModule
from gentoomuch_portage.unmask import ledger

if TYPE_CHECKING:
    from gentoomuch_portage.configroot import moved
    from gentoomuch_portage.containers import root_lock
    from gentoomuch_portage.emerge import explain, fallbacks, hints
    from gentoomuch_portage.roots import errors as root_errors
    from gentoomuch_portage.roots import snapshots
else:
    moved = LazyModule("gentoomuch_portage.configroot.moved")
    explain = LazyModule("gentoomuch_portage.emerge.explain")
    fallbacks = LazyModule("gentoomuch_portage.emerge.fallbacks")
    hints = LazyModule("gentoomuch_portage.emerge.hints")
    root_lock = LazyModule("gentoomuch_portage.containers.root_lock")
    root_errors = LazyModule("gentoomuch_portage.roots.errors")
    snapshots = LazyModule("gentoomuch_portage.roots.snapshots")

_ATTEMPTS = 5
"""How often emerge is run at most, if plugins ask for it."""
_OF_PROFILES = ("locked", "unmask")
"""Options that need a profile."""
_OF_RUNS = (*_OF_PROFILES, "isolation", "json", "no")
"""Options that need a profile or a .gentoo directory."""


def run(program: str, argv: Iterable[str], plugins: Iterable[tuple[str, object]] = ()) -> int:
    """Run gm-emerge; return the exit status.

    Args:
        program: the name of the program; ``router-emerge`` selects the profile router.
        plugins: objects that are used besides the installed plugins.
    """
    console.reopen_closed_streams()
    arguments = list(argv)

    def correct(error: GmError) -> None:
        if error.correction is not None:
            hints.correct(error, program, arguments)

    return _report_errors(partial(_run, program, arguments, plugins), correct)


def run_prepared(prepared: Prepared) -> int:
    """Explain or execute a prepared run; return the exit status."""
    return _report_errors(lambda: _run_prepared(prepared, private_api.check()))


def _report_errors(function: Callable[[], int], correct: Callable[[GmError], None] = lambda _error: None) -> int:
    """Call a function, and report its errors.

    Args:
        correct: corrects the hint of an error.
    """
    with console.report_errors() as end, private_api.translate():
        try:
            end.status = function()
        except GmError as error:
            correct(error)
            raise
        except OSError as error:  # emerge reports its own
            raise refused(error) from error
    return end.status


def _run(program: str, argv: Iterable[str], plugins: Iterable[tuple[str, object]]) -> int:
    request = Request.parse(argv, os.environ, called=program)
    if not {"help", "version", "explain"}.isdisjoint(request.options):
        startup.end_with_reader()
    if "help" in request.options or "version" in request.options:
        return _print_help(request.options)
    settings = Settings.load(os.environ, eprefix=paths.eprefix(), options=request.options)
    name = request.options.get("profile") or config_profile.active(settings)
    if not name and "plan" not in request.options:
        plain = not find_projects(request.arguments)
        _check_options_without_profile(_OF_RUNS if plain else _OF_PROFILES, request.options)
        if plain:
            return _run_plain(request)
    _check_host(os.environ)
    lost = private_api.check()  # before anything is written
    try:
        with closing(prepare(request, settings, name, plugins)) as prepared:
            return _run_prepared(prepared, lost)
    except OSError as error:
        raise refused(error, full_place(settings.written)) from error


def _run_prepared(prepared: Prepared, lost: Collection[private_api.Lost]) -> int:
    try:
        _check_make_profile(prepared)
        _check_root(prepared.plan, os.environ)
        if not lost:
            return _explain_or_execute(prepared)
        with closing(fallbacks.use(prepared, lost)) as changed:
            return _explain_or_execute(changed)
    except OSError as error:
        raise refused(error, full_place(prepared.settings.written)) from error


def no_configroot(path: str) -> ConfigError:
    """PORTAGE_CONFIGROOT, whose etc/portage is the configuration of the host, is not a directory."""
    return ConfigError(
        f"PORTAGE_CONFIGROOT {path!r} is not a directory", code="no-configroot", hint="unset PORTAGE_CONFIGROOT"
    )


def other_root(name: str, value: str, plan: Plan, hint: str) -> UsageError:
    """ROOT, SYSROOT or EPREFIX, or the option of emerge, names another directory than the profile."""
    where = f"{name}={value}"
    what = f"cannot use {where}: profile {plan.profile} has the root {plan.root}"
    return UsageError(what, code="other-root", hint=hint)


def _check_root(plan: Plan, environ: Mapping[str, str]) -> None:
    """Reject directories that the root of a profile replaces; ``profile env`` may have set those of another profile.

    Portage accepts no SYSROOT but ``/`` and ROOT. EPREFIX is a part of all paths of this host and its packages.
    """
    root, sysroot, prefix = (
        (f"--{name}", value, "omit it")
        if (value := emerge_arguments.find_directory(plan.arguments, f"--{name}"))
        else (variable, environ.get(variable, ""), f"unset {variable}")
        for name, variable in (("root", "ROOT"), ("sysroot", "SYSROOT"), ("prefix", "EPREFIX"))
    )
    if prefix[1] and os.path.realpath(prefix[1]) != os.path.realpath(paths.eprefix() or "/"):
        raise other_root(prefix[0], prefix[1], plan, prefix[2])
    if "GM_HOST" in environ or "ROOT" not in plan.env:
        return
    accepted = {"/", os.path.realpath(plan.root)}
    if root[0] == "ROOT" and root[1] and os.path.realpath(root[1]) not in accepted:
        raise other_root("ROOT", root[1], plan, f"unset ROOT; or, for this run: --root={root[1]}")
    if root[0] != "ROOT":
        accepted.add(os.path.realpath(root[1]))
    if sysroot[1] and os.path.realpath(sysroot[1]) not in accepted:
        raise other_root(sysroot[0], sysroot[1], plan, sysroot[2])


def _check_host(environ: Mapping[str, str]) -> None:
    """Reject a PORTAGE_CONFIGROOT that Portage would fail on later."""
    path = environ.get("PORTAGE_CONFIGROOT", "")
    if path and not environ.get("GM_HOST") and not Path(path).is_dir():
        raise no_configroot(path)


def _explain_or_execute(prepared: Prepared) -> int:
    return explain.explain(prepared) if "explain" in prepared.request.options else execute(prepared)


def _print_help(options: Mapping[str, str]) -> int:
    if "version" in options:
        console.print_result(f"gentoomuch-portage {__version__} (Portage {private_api.version()})")
    else:
        console.print_result("Usage: gm-emerge [--gm-OPTION[=VALUE] ...] [arguments of emerge ...]")
        console.print_result(console.format_own_options(OPTIONS))
    return 0


def _check_options_without_profile(names: Iterable[str], options: Mapping[str, str]) -> None:
    """Reject options that plain emerge ignores; no isolation is its default."""
    for name in names:
        if name in options and (name, options[name]) != ("isolation", "none"):
            raise option_needs_profile(name)


def _run_plain(request: Request) -> int:
    """Run emerge as it is, in spite of an option of ours."""
    if request.options.get("explain") == "json":
        plan = Plan(profile="", base="host", root=os.environ.get("ROOT") or "/", arguments=request.arguments)
        console.print_result(plan.to_json().rstrip())
        return 0
    if "explain" in request.options:
        console.print_result(
            "no profile given, and no default profile set; this runs emerge " + " ".join(request.arguments)
        )
        return 0
    status = emerge.emerge(request.arguments)
    banner.print_addition(request.arguments)
    return status


def _check_make_profile(prepared: Prepared) -> None:
    """Reject a profile that has neither the host's configuration nor a make_profile."""
    plan, profile = prepared.plan, prepared.profile
    if plan.base == "none" and not any(isinstance(part, MakeProfile) for _, part in plan.parts):
        place = profile.where("base") if profile else prepared.request.options["plan"]
        hint = "gentoomuch profile ls --gentoo"
        raise BadFile(place, 0, 'base = "none" needs a make_profile', code="bad-setting", hint=hint)


def execute(prepared: Prepared) -> int:
    """Run emerge for a plan, and report the run; return the exit status."""
    plan, settings = prepared.plan, prepared.settings
    if PROFILE_PLUGINS - plan.disabled_plugins:
        own_cpu.check(plan, settings, plan.arguments)
    build_dir.make(plan)
    _apply_moves(plan, settings)
    dispatcher = Dispatcher(prepared.plugins, plan, settings)
    reporter = RunReporter(dispatcher, EventLog.open(prepared.request.options.get("json")))
    try:
        with _lock(plan, settings, prepared.profile):
            return _report_run(dispatcher, reporter)
    finally:
        _warn_of_written_files(plan, settings)


def _apply_moves(plan: Plan, settings: Settings) -> None:
    """Rename moved packages in the ledger, and warn if files of the user have old names; the run uses the new ones."""
    configroot = Path(plan.configroot)
    if not (configroot / "etc/portage" / MOVED).exists():
        return
    renames = moved.load(configroot)
    for atom in ledger.rename(settings.state, plan.profile, renames):
        del renames[atom]
    if renames:
        old, new = next(iter(renames.items()))
        more = f", and {len(renames) - 1} more" if len(renames) > 1 else ""
        command = f"gentoomuch profile update {plan.profile}"
        console.warning(f"moved packages in profile {plan.profile}: {old} is {new} now{more} (hint: {command})")


@contextmanager
def _lock(plan: Plan, settings: Settings, profile: config_profile.Profile | None) -> Iterator[None]:
    """Keep a profile from being renamed, and its root from being removed or exported, during a run.

    Raises:
        ConfigError[no-host-snapshot]: the profile wants a snapshot of ``/``.
    """
    state = settings.state / plan.profile
    with ExitStack() as locks:
        if plan.profile and (lock := fs.lock_shared(state) or _lock_new(plan, state)):
            locks.callback(os.close, lock)
        keep = profile.snapshots if profile else 0
        if (plan.root != "/" or keep) and (arguments := emerge_arguments.parse(plan.arguments)).changes:
            locks.enter_context(_lock_root(plan, profile, keep if arguments.merges or arguments.removes else 0))
        yield


def _lock_root(plan: Plan, profile: config_profile.Profile | None, keep: int) -> AbstractContextManager[None]:
    """Lock the root for a run that changes it, after a snapshot if the profile wants one.

    A root whose bootstrap is not finished is not saved: that holds a lock on it.
    """
    root = Path(plan.root)
    if keep and plan.root == "/" and profile is not None:
        raise root_errors.no_host_snapshot(profile.name, profile.where("snapshots"))
    root_lock.make_closed(root)
    if not keep or (root / cross.UNFINISHED).exists():
        return root_lock.shared(root)
    of_profile = sum(isinstance(part, EmergeOption) for _, part in plan.parts)
    return snapshots.before_run(root, ("gm-emerge", *plan.arguments[of_profile:]), keep)


def _lock_new(plan: Plan, state: Path) -> int | None:
    """Create and lock the state directory of a profile that was never used; None if this user cannot, or need not."""
    if not emerge_arguments.parse(plan.arguments).changes:
        return None
    try:
        return fs.lock_shared(fs.ensure(state))
    except MachineError:  # the history, which is stored there, reports it
        return None


def _warn_of_written_files(plan: Plan, settings: Settings) -> None:
    """Warn if emerge wrote into a configroot, as with --autounmask-write: the next run replaces it."""
    for root in filter(None, (plan.configroot, plan.build_configroot)):
        for file in cache.find_changed(Path(root)):
            name = file.relative_to(Path(root) / "etc/portage")
            console.warning(f"emerge wrote {name} to a temporary configuration directory: {file}")
            console.info(
                f"gentoomuch:     hint: to keep its settings, copy them into a layer in {settings.config}/layers"
            )


def _report_run(dispatcher: Dispatcher, reporter: RunReporter) -> int:
    """Run emerge, and report its start and its end, also after an exception."""
    reporter.start()
    start, status = time.time(), 70
    try:
        status = _run_emerge(dispatcher, reporter)
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
        raise
    except KeyboardInterrupt as signalled:
        status = 128 + getattr(signalled, "number", 2)
        raise
    finally:
        seconds = time.time() - start
        reporter.finish(status, seconds)
        plan, settings = dispatcher.plan, dispatcher.settings
        manager.notify(dispatcher.plugins, "gm_after_run", plan=plan, settings=settings, status=status, seconds=seconds)
    return status


def _run_emerge(dispatcher: Dispatcher, reporter: RunReporter) -> int:
    plan, reject = dispatcher.plan, dispatcher.make_reject(reporter)
    status = 0
    for _ in range(_ATTEMPTS):
        status = int(dispatcher.first("gm_run_emerge", reject=reject, listener=reporter))
        if status == 0 or not dispatcher.first("gm_again", status=status):
            break
    of_profile = sum(isinstance(part, EmergeOption) for _, part in plan.parts)
    banner.print_addition(plan.arguments[of_profile:], plan)
    if status and plan.root != "/" and (error := cross.find_missing_compiler(plan)):
        console.error(error)  # emerge reported only that something failed, and its status is returned
    return status
