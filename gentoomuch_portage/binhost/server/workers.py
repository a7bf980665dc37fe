# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the processes of a server: the first one refreshes the index and has the key, workers answer requests.

All workers accept connections from one socket. The first process keeps it open, so that no connection is refused while
a worker is restarted.
"""

import asyncio
import codecs
import contextlib
import os
import pwd
import resource
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gentoomuch_portage import console
from gentoomuch_portage.binhost.errors import cannot_listen
from gentoomuch_portage.binhost.server.http import BinhostServer, Site
from gentoomuch_portage.binhost.server.problems import ProblemLog
from gentoomuch_portage.errors import ConfigError, GmError, NoPrivilege

_STOP = (signal.SIGTERM, signal.SIGINT)
_PAUSE = 0.5
"""Seconds between two checks of the index."""
_GRACE = 30.0
"""Seconds that downloads may take after the server was asked to stop."""
_RESTART_DELAY = 0.5
"""Seconds before a worker that died is restarted."""
_BACKLOG = 1024
"""Connections that wait to be accepted."""
_DEFAULT_USER = "nobody"
_CANNOT_REFRESH = "cannot check the binhost for changes"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Options of a server."""

    address: str
    """Empty for all IPv4 and IPv6 addresses."""
    port: int
    """0 for any free port."""
    workers: int
    certificate: Path | None = None
    key: Path | None = None
    user: str = ""
    """User of the workers (default: ``nobody`` if root starts the server, otherwise the same user)."""


def open_socket(options: ServerOptions) -> socket.socket:
    """Open the socket of a server.

    Raises:
        MachineError[cannot-listen]: the address is in use, or not an address of this machine.
    """
    address, both = (options.address, options.port), not options.address and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both or ":" in options.address else socket.AF_INET
    try:
        return socket.create_server(address, family=family, dualstack_ipv6=both, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        where = f"{options.address or '*'}:{options.port}"
        raise cannot_listen(where, getattr(error, "strerror", "") or str(error)) from error


def check_options(options: ServerOptions, readable: Iterable[Path]) -> None:
    """Check that the server can run with these options, before anything is prepared for it.

    Args:
        readable: files that the workers must be able to read.

    Raises:
        NoPrivilege: the workers cannot become that user, or that user cannot read a file.
        ConfigError: the certificate cannot be read.
    """
    _make_tls_context(options)
    user = _find_user(options.user)
    for file in readable:
        if user is not None and user.pw_uid and (why := _why_unreadable(file, user)):
            what = f"user {user.pw_name!r} cannot read {file}: {why}"
            raise NoPrivilege(what, hint=f"chmod a+rX {file} and the directories above it, or pass another --user")


def _why_unreadable(file: Path, user: pwd.struct_passwd) -> str:
    """Return why a user cannot read a file; may be empty. A child process becomes that user and tries."""
    reader, writer = os.pipe()
    if not (number := os.fork()):
        try:
            _become(user)
            file.open("rb").close()
        except OSError as error:
            os.write(writer, (error.strerror or str(error)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as pipe:
        why = pipe.read()
    os.waitpid(number, 0)
    return why


def _become(user: pwd.struct_passwd) -> None:
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def run_server(
    listening: socket.socket,
    site: Site,
    options: ServerOptions,
    *,
    log: Callable[[str], None],
    refresh: Callable[[], object],
) -> None:
    """Serve until SIGTERM or SIGINT; return when the last download has ended.

    Args:
        log: called with each request, in the workers.
        refresh: called twice a second in this process; its errors are reported, and it is called again.

    Raises:
        NoPrivilege: the workers cannot become that user.
        ConfigError: the certificate cannot be read.
    """
    context, user = _make_tls_context(options), _find_user(options.user)
    codecs.lookup("unicode_escape")  # for the log: the user of the workers may be unable to read Python's own files
    _raise_file_limit()
    signal.pthread_sigmask(signal.SIG_BLOCK, {*_STOP, signal.SIGCHLD})
    running: set[int] = set()
    problems = ProblemLog(console.warning)
    try:
        while True:
            while len(running) < options.workers:
                running.add(_start_worker(partial(_run_worker, listening, site, context, user, log)))
            _refresh(refresh, problems)
            received = signal.sigtimedwait({*_STOP, signal.SIGCHLD}, _PAUSE)
            if received is not None and received.si_signo in _STOP:
                return
            if ended := running & _reap_children():
                running -= ended
                time.sleep(_RESTART_DELAY)
    finally:
        listening.close()
        _stop(running)


def _start_worker(run: Callable[[], None]) -> int:
    """Run a function in a child process; return its id."""
    if number := os.fork():
        return number
    status = 1
    try:
        run()
        status = 0
    except BaseException as error:  # a worker must never continue as its parent
        console.warning(f"a worker ended: {type(error).__name__}: {error}")
    finally:
        os._exit(status)


def _refresh(refresh: Callable[[], object], problems: ProblemLog) -> None:
    """Check once for changes."""
    try:
        refresh()
    except (OSError, GmError) as error:
        problems.failed(_CANNOT_REFRESH, str(error))
    else:
        problems.solved(_CANNOT_REFRESH)


def _reap_children() -> set[int]:
    """Return the children that have ended; pid 1 of a container gets those of other processes, too."""
    ended = set()
    with contextlib.suppress(ChildProcessError):
        while number := os.waitpid(-1, os.WNOHANG)[0]:
            ended.add(number)
    return ended


def _stop(running: set[int]) -> None:
    for number in running:
        os.kill(number, signal.SIGTERM)
    ends = time.monotonic() + _GRACE + 5
    while running and time.monotonic() < ends:
        running -= _reap_children()
        time.sleep(0.02)
    for number in running:
        os.kill(number, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {*_STOP, signal.SIGCHLD})


def _run_worker(
    listening: socket.socket,
    site: Site,
    context: ssl.SSLContext | None,
    user: pwd.struct_passwd | None,
    log: Callable[[str], None],
) -> None:
    if user is not None:
        _become(user)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # a client that disconnects must not end its worker
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {*_STOP, signal.SIGCHLD})
    asyncio.run(_serve(listening, site, context, log))


async def _serve(
    listening: socket.socket, site: Site, context: ssl.SSLContext | None, log: Callable[[str], None]
) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in _STOP:
        loop.add_signal_handler(number, stop.set)
    binhost = BinhostServer(site, log, grace=_GRACE)
    await binhost.runner.setup()
    limit = {"ssl_handshake_timeout": 10.0} if context else {}
    listener = await loop.create_server(binhost.runner.server, sock=listening, ssl=context, backlog=_BACKLOG, **limit)  # type: ignore[call-overload]
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(binhost.close_slow()), tasks.create_task(_stop_with_parent(stop, os.getppid()))]
        await stop.wait()
        listener.close()
        await binhost.runner.cleanup()
        for task in running:
            task.cancel()


async def _stop_with_parent(stop: asyncio.Event, parent: int) -> None:
    """Stop if the first process was killed."""
    while os.getppid() == parent:
        await asyncio.sleep(1)
    stop.set()


def _make_tls_context(options: ServerOptions) -> ssl.SSLContext | None:
    if options.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(options.certificate, options.key)
    except (OSError, ssl.SSLError) as error:
        message = f"cannot load the certificate {options.certificate} and its key: {error}"
        raise ConfigError(message, hint="--cert FILE --key FILE, both in PEM") from error
    return context


def _find_user(name: str) -> pwd.struct_passwd | None:
    if not name and os.geteuid():
        return None
    name = name or _DEFAULT_USER
    try:
        user = pwd.getpwnam(name)
    except KeyError as error:
        raise NoPrivilege(f"user {name!r} not found", hint="--user portage") from error
    if os.geteuid() and os.geteuid() != user.pw_uid:
        raise NoPrivilege(f"only root can serve as {name!r}", hint="remove --user")
    return user if not os.geteuid() else None


def _raise_file_limit() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
