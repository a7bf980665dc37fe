"""The processes of a server: one that keeps house and holds the key, and workers that hold neither.

Each worker has a socket of its own for the same address (SO_REUSEPORT); the first process keeps all of them open,
so that nobody is refused while a worker that died is started again.
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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage import console
from gentoomuch_portage.binhost.errors import CannotListen
from gentoomuch_portage.binhost.server.http import Binhost, Site
from gentoomuch_portage.errors import ConfigError, GmError, NoPrivilege

_STOP = (signal.SIGTERM, signal.SIGINT)
_PAUSE = 0.5
"""Seconds between two looks at the index."""
_GRACE = 30.0
"""Seconds that a download may still take when the server is asked to stop."""
_STUMBLE = 0.5
"""Seconds before a worker that died is started again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How it is served."""

    address: str
    """Empty for all addresses, of IPv4 and IPv6."""
    port: int
    """0 for any that is free."""
    workers: int
    certificate: Path | None = None
    key: Path | None = None
    user: str = ""
    """Whom the workers become; empty for nobody else."""


def listening(serving: Serving) -> list[socket.socket]:
    """A socket for each worker, all for one address.

    Raises:
        CannotListen: the address is taken, or is none of ours.
    """
    made: list[socket.socket] = []
    port = serving.port
    try:
        for _ in range(serving.workers):
            made.append(_socket(serving.address, port))
            port = made[0].getsockname()[1]
    except (OSError, OverflowError) as error:
        raise CannotListen(f"{serving.address or '*'}:{port}", getattr(error, "strerror", "") or str(error)) from error
    return made


def _socket(address: str, port: int) -> socket.socket:
    told = {"backlog": 1024, "reuse_port": True}
    if address:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return socket.create_server((address, port), family=family, **told)  # type: ignore[arg-type]
    if socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, **told)  # type: ignore[arg-type]
    return socket.create_server(("", port), **told)  # type: ignore[arg-type]


def check(serving: Serving) -> None:
    """See to it that it can be served so, before anything is made for it.

    Raises:
        NoPrivilege: the workers cannot become that user.
        ConfigError: the certificate cannot be read.
    """
    _context(serving)
    _user(serving.user)


def run(
    sockets: list[socket.socket],
    site: Site,
    serving: Serving,
    *,
    log: Callable[[str], None],
    upkeep: Callable[[], object],
) -> None:
    """Serve until SIGTERM or SIGINT; returns when the last download has ended.

    Args:
        log: told of each request, in the workers.
        upkeep: called twice a second, in this process; what it fails with is told, and it is called again.

    Raises:
        NoPrivilege: the workers cannot become that user.
        ConfigError: the certificate cannot be read.
    """
    context, user = _context(serving), _user(serving.user)
    codecs.lookup("unicode_escape")  # of the log; whom the workers become may not read where Python keeps it
    _many_files()
    signal.pthread_sigmask(signal.SIG_BLOCK, {*_STOP, signal.SIGCHLD})
    running: dict[int, socket.socket] = {}

    def start(own: socket.socket) -> None:
        if number := os.fork():
            running[number] = own
            return
        status = 1
        try:
            _work(own, [one for one in sockets if one is not own], site, context, user, log)
            status = 0
        except BaseException as error:  # whatever it is, a worker must not go on as its parent
            console.warn(f"a worker ended: {type(error).__name__}: {error}")
        finally:
            os._exit(status)

    for own in sockets:
        start(own)
    told_of = ""
    try:
        while True:
            told_of = _looked(upkeep, told_of)
            told = signal.sigtimedwait({*_STOP, signal.SIGCHLD}, _PAUSE)
            if told is not None and told.si_signo in _STOP:
                return
            for number in _ended():
                if own_of := running.pop(number, None):
                    time.sleep(_STUMBLE)
                    start(own_of)
    finally:
        _stop(running, sockets)


def _looked(upkeep: Callable[[], object], told_of: str) -> str:
    """Keep house once; what went wrong, told unless it is what was told the last time."""
    try:
        upkeep()
    except (OSError, GmError) as error:
        if str(error) != told_of:
            console.warn(f"what is new in the binhost could not be looked at: {error}")
        return str(error)
    return ""


def _ended() -> list[int]:
    """The children that have ended; as pid 1 of a container it is given those of others, too."""
    found = []
    with contextlib.suppress(ChildProcessError):
        while number := os.waitpid(-1, os.WNOHANG)[0]:
            found.append(number)
    return found


def _stop(running: dict[int, socket.socket], sockets: list[socket.socket]) -> None:
    for own in sockets:
        own.close()
    for number in running:
        os.kill(number, signal.SIGTERM)
    ends = time.monotonic() + _GRACE + 5
    while running and time.monotonic() < ends:
        for number in _ended():
            running.pop(number, None)
        time.sleep(0.02)
    for number in running:
        os.kill(number, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {*_STOP, signal.SIGCHLD})


def _work(
    own: socket.socket,
    others: list[socket.socket],
    site: Site,
    context: ssl.SSLContext | None,
    user: pwd.struct_passwd | None,
    log: Callable[[str], None],
) -> None:
    """A worker, to its end."""
    for other in others:
        other.close()
    if user is not None:
        os.initgroups(user.pw_name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # a client that goes away must not take its worker along
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {*_STOP, signal.SIGCHLD})
    asyncio.run(_serve(own, site, context, log))


async def _serve(own: socket.socket, site: Site, context: ssl.SSLContext | None, log: Callable[[str], None]) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in _STOP:
        loop.add_signal_handler(number, stop.set)
    binhost = Binhost(site, log)
    limit = {"ssl_handshake_timeout": 10.0} if context else {}
    listener = await loop.create_server(binhost.server, sock=own, ssl=context, backlog=1024, **limit)  # type: ignore[call-overload]
    sweeping = asyncio.create_task(binhost.sweep())
    orphaned = asyncio.create_task(_orphaned(stop, os.getppid()))
    await stop.wait()
    listener.close()
    sweeping.cancel()
    orphaned.cancel()
    await binhost.finish(_GRACE)


async def _orphaned(stop: asyncio.Event, parent: int) -> None:
    """Stop where the first process was killed."""
    while os.getppid() == parent:
        await asyncio.sleep(1)
    stop.set()


def _context(serving: Serving) -> ssl.SSLContext | None:
    if serving.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(serving.certificate, serving.key)
    except (OSError, ssl.SSLError) as error:
        told = f"{serving.certificate} is no certificate with its key: {error}"
        raise ConfigError(told, remedy="--cert FILE --key FILE, both in PEM") from error
    return context


def _user(name: str) -> pwd.struct_passwd | None:
    if not name:
        return None
    try:
        found = pwd.getpwnam(name)
    except KeyError as error:
        raise NoPrivilege(f"there is no user {name!r}", remedy="--user portage") from error
    if os.geteuid() and os.geteuid() != found.pw_uid:
        raise NoPrivilege(f"only root can serve as {name!r}", remedy="leave --user out")
    return found if not os.geteuid() else None


def _many_files() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
