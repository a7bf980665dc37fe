"""The one room that starts programs."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gentoomuch_portage.errors import MissingProgram, ProgramFailed

_PATIENCE = 10.0
"""Seconds that a program has for its answer to Ctrl-C."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a program left behind."""

    status: int
    out: str
    """Its stdout where it was kept, otherwise empty."""
    err: str
    """Its stderr where it was kept, otherwise empty."""


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
) -> Ran:
    """Run a program to its end.

    Args:
        argv: never a shell line.
        env: all of its environment; None hands ours on.
        keep: keep stdout and stderr instead of letting them through.
        accept: the statuses that are no failure; empty accepts all.
        text: its standard input; None hands ours on, or nothing where the output is kept.
        given: an open file that is its standard input, in the place of ``text``.
        into: an open file that gets its stdout, in the place of ours.
        atom: the package of Gentoo that has the program, for the remedy.
        user: number of the user to be meanwhile; only root may name another. None stays who we are.

    Raises:
        MissingProgram: ``argv[0]`` is not on PATH.
        ProgramFailed: any other status; it holds the last 20 lines where they were kept.
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
        )
    except FileNotFoundError as error:
        raise MissingProgram(argv[0], atom) from error
    ran = Ran(ended.returncode, ended.stdout or "", ended.stderr or "")
    if accept and ran.status not in accept:
        raise ProgramFailed(argv, ran.status, "\n".join((ran.out + ran.err).splitlines()[-20:]))
    return ran


def answered(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run a program that answers Ctrl-C itself, as a terminal tells it of that as well; its status.

    Ours is to wait for it, and to end it where it has not answered in a while, as somebody told us alone.

    Raises:
        KeyboardInterrupt: once more; the program was killed.
        MissingProgram: ``argv[0]`` is not on PATH.
    """
    try:
        with subprocess.Popen(list(argv), env=dict(env)) as started:
            try:
                return _waited(started)
            except BaseException:
                started.kill()
                raise
    except FileNotFoundError as error:
        raise MissingProgram(argv[0]) from error


def _waited(started: subprocess.Popen[bytes]) -> int:
    try:
        return started.wait()
    except KeyboardInterrupt:
        try:
            return started.wait(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            started.terminate()
            return started.wait()


def _group_of(user: int) -> int:
    """The group of a user; one of the same number where nobody has that name."""
    try:
        return pwd.getpwuid(user).pw_gid
    except KeyError:
        return user


def owner(tree: Path) -> int | None:
    """Whom to be: the owner of the tree where we are root and he is not; None for who we are."""
    uid = tree.stat().st_uid
    return uid if os.geteuid() == 0 and uid != 0 else None


def home(user: int) -> str:
    """The home of a user; the root directory where nobody has that number."""
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


def where(program: str) -> Path | None:
    """The path of a program on PATH, or None."""
    found = shutil.which(program)
    return Path(found) if found else None
