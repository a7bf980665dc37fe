# SPDX-License-Identifier: GPL-2.0-or-later
"""Start other programs; no other module does."""

import atexit
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn, Protocol

from gentoomuch_portage.errors import MissingProgram, ProgramFailed

_PATIENCE = 10.0
"""Seconds that a program has to react to Ctrl-C."""
_TERMINATED = {-signal.SIGTERM, 128 + signal.SIGTERM}
"""How emerge ends, or a container with emerge, if Ctrl-C comes during a callback of its event loop.

Source: _internal_caller_exception_handler of portage.util._eventloop.asyncio_event_loop.
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """The result of a program."""

    status: int
    out: str
    """Its stdout if it was kept, otherwise empty."""
    err: str
    """Its stderr if it was kept, otherwise empty."""

    def check(self, argv: Sequence[str], accept: Collection[int]) -> "Ran":
        """Return itself if the status is accepted; an empty collection accepts all.

        Raises:
            ProgramFailed: it is not; the error has the last 20 lines of output.
        """
        if accept and self.status not in accept:
            raise ProgramFailed(argv, self.status, "\n".join((self.out + self.err).splitlines()[-20:]))
        return self


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    keep: bool = False,
    accept: Collection[int] = (0,),
    cwd: Path | None = None,
    text: str | None = None,
    given: IO[bytes] | None = None,
    into: IO[bytes] | None = None,
    atom: str = "",
    user: int | None = None,
    limit: float | None = None,
) -> Ran:
    """Run a program to its end.

    Args:
        argv: never a shell command.
        env: its whole environment; default: ours.
        keep: return stdout and stderr instead of printing them.
        accept: the statuses that are not an error; empty accepts all.
        text: its standard input; default: ours, or none if the output is kept.
        given: an open file that is its standard input instead of ``text``.
        into: an open file that receives its stdout.
        atom: the package of Gentoo with the program, for the hint.
        user: ID of the user that runs it; only root may set another one. Default: the current user.
        limit: seconds after which the program is killed; default: none.

    Raises:
        TimeoutError: it was killed after ``limit``.
        MissingProgram: ``argv[0]`` is not on PATH.
        ProgramFailed: any other status; the error has the last 20 lines if they were kept.
    """
    pipe = subprocess.PIPE if keep else None
    try:
        ended = subprocess.run(
            list(argv),
            env=None if env is None else dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL if keep and text is None and given is None else given,
            input=text,
            stdout=pipe if into is None else into,
            stderr=pipe,
            encoding="utf-8",
            errors="replace",
            check=False,
            user=user,
            group=None if user is None else _group_of(user),
            extra_groups=None if user is None else (),
            timeout=limit,
        )
    except FileNotFoundError as error:
        raise MissingProgram(argv[0], atom) from error
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"{argv[0]} did not end within {limit} s") from error
    return Ran(ended.returncode, ended.stdout or "", ended.stderr or "").check(argv, accept)


@dataclass(frozen=True, slots=True)
class Detached:
    """A program that goes on if this process ends."""

    _child: "subprocess.Popen[bytes]"

    @property
    def pid(self) -> int:
        """Its process ID, which is also that of its session."""
        return self._child.pid

    def has_ended(self) -> bool:
        """Return whether it has ended, and reap it."""
        return self._child.poll() is not None


def start_detached(
    argv: Sequence[str], *, env: Mapping[str, str], out: IO[bytes], err: IO[bytes], inherited: int
) -> Detached:
    """Start a program in a session of its own, with an empty standard input.

    Args:
        out: an open file that receives its stdout.
        err: an open file that receives its stderr.
        inherited: a descriptor that it keeps open, for example one that holds a lock.

    Raises:
        MissingProgram: ``argv[0]`` is not on PATH.
    """
    try:
        child = subprocess.Popen(
            list(argv),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            pass_fds=(inherited,),
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise MissingProgram(argv[0]) from error
    return Detached(child)


def run_interactive(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run a program that handles Ctrl-C itself, as the terminal interrupts it as well, and return its status.

    If it does not end within some seconds of Ctrl-C, the program is terminated; if it ignores that, it is killed.

    Raises:
        KeyboardInterrupt: a signal ended the program after the first interrupt, or it was killed after a second one.
        MissingProgram: ``argv[0]`` is not on PATH.
    """
    try:
        with subprocess.Popen(list(argv), env=dict(env)) as child:
            try:
                return _wait(child)
            except BaseException:
                child.kill()
                raise
    except FileNotFoundError as error:
        raise MissingProgram(argv[0]) from error


def run_forked(function: Callable[[], int]) -> int:
    """Run a function in a fork of this process, which handles Ctrl-C itself, and return its status.

    The fork runs the exit functions of its modules, and never returns to the caller. If SIGTERM ends this process
    alone, the fork gets it after some seconds.

    Raises:
        Terminated: SIGTERM ended this process.
        KeyboardInterrupt: SIGTERM ended the fork after the first interrupt, or it was killed after a second one.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    child = _Fork(os.fork())
    if not child.pid:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        _end_fork(function)
    with _raising_terminated():
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        try:
            return _wait(child)
        except BaseException:
            child.kill()
            raise


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a fork as Ctrl-C does.

    Attributes:
        number: of the signal.
    """

    number = signal.SIGTERM


class _Child(Protocol):
    """A running process, with the methods of ``Popen``."""

    @property
    def pid(self) -> int: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...

    def wait(self) -> int: ...


class _Fork:
    """A fork of this process.

    Attributes:
        pid: its process ID; 0 in the fork itself.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        self._send(signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        """Wait for its end, and return its status; -N if signal N ended it."""
        if self._status is None:
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._status

    def _send(self, number: int) -> None:
        if self._status is None:  # a process that has been reaped may have passed on its ID
            os.kill(self.pid, number)


def _end_fork(function: Callable[[], int]) -> NoReturn:
    """Run a function, and end this process as the interpreter would, but without returning to the caller."""
    status = 1
    try:
        status = function()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            atexit._run_exitfuncs()  # multiprocessing ends its forks like this
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status & 0xFF)


@contextmanager
def _raising_terminated() -> Iterator[None]:
    """Raise ``Terminated`` on SIGTERM while the block runs."""

    def handle(_number: int, _frame: object) -> NoReturn:
        raise Terminated

    former = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _wait(child: _Child) -> int:
    try:
        _await_end(child, None)
    except KeyboardInterrupt as interrupt:
        if not _await_end(child, _PATIENCE):
            child.terminate()
            if not _await_end(child, _PATIENCE):
                child.kill()
            child.wait()
            raise interrupt from None  # the status would be that of our SIGTERM
        status = _reap(child)
        if status in _TERMINATED:
            raise interrupt from None
        return status
    return _reap(child)


def _await_end(child: _Child, patience: float | None) -> bool:
    """Wait until a program has ended, without reaping it, and return whether it has.

    Ctrl-C while Popen.wait() reaps it would lose the status, which is 0 from then on.

    Args:
        patience: seconds; None for any time.
    """
    handle = os.pidfd_open(child.pid)
    try:
        return bool(select.select([handle], [], [], patience)[0])
    finally:
        os.close(handle)


def _reap(child: _Child) -> int:
    """Return the status of a program that has ended."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return child.wait()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _group_of(user: int) -> int:
    """Return the group of a user; for an unknown user the group with the same ID."""
    try:
        return pwd.getpwuid(user).pw_gid
    except KeyError:
        return user


def tree_owner(tree: Path) -> int | None:
    """Return the owner of a directory if root should act as that user; None for the current user."""
    uid = tree.stat().st_uid
    return uid if os.geteuid() == 0 and uid != 0 else None


def home_directory(user: int) -> str:
    """Return the home directory of a user; ``/`` for an unknown user."""
    try:
        return pwd.getpwuid(user).pw_dir
    except KeyError:
        return "/"


def become(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Replace this process by a program.

    Raises:
        MissingProgram: ``argv[0]`` is not on PATH.
    """
    try:
        os.execvpe(argv[0], list(argv), dict(env))
    except FileNotFoundError as error:
        raise MissingProgram(argv[0]) from error


def find_program(program: str) -> Path | None:
    """Return the path of a program on PATH, or None."""
    path = shutil.which(program)
    return Path(path) if path else None
