"""``gentoomuch binhost serve``, ``sign`` and ``key``: the side that has the packages."""

import argparse
import os
import socket
from collections.abc import Callable, Set
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gentoomuch_portage import console, fs
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import BadUsage
from gentoomuch_portage.cli.parser import Parser, listing, one_stdout
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import NoPrivilege

if TYPE_CHECKING:
    from gentoomuch_portage.binhost.keys import Key
    from gentoomuch_portage.binhost.server.index_refresh import Upkeep
    from gentoomuch_portage.binhost.sign import Unsigned

_PORT = 8811


def _folder(parser: Parser) -> None:
    told = "of packages, or of published generations; PKGDIR where left out"
    parser.add_argument("folder", nargs="?", metavar="DIR", type=Path, help=told)


def _add_serve(parser: Parser) -> None:
    _folder(parser)
    parser.add_argument("--bind", metavar="[ADDRESS][:PORT]", default="", help=f"listen there; all, port {_PORT}")
    parser.add_argument("--url", metavar="URL", help="what clients reach it by; this host's name where left out")
    parser.add_argument("--workers", metavar="N", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--user", metavar="NAME", default="", help="whom the workers become; only root can say so")
    parser.add_argument("--cert", metavar="FILE", type=Path, help="certificate of TLS, with those above it")
    parser.add_argument("--key", metavar="FILE", type=Path, help="private key of the certificate")
    parser.add_argument("--log", metavar="FILE", type=Path, help="append a line a request; to stderr where left out")
    parser.add_argument("--no-sign", action="store_true", help="leave packages and index as they are, and make no key")


def _serve(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage import gpg
    from gentoomuch_portage.binhost import keys, sign
    from gentoomuch_portage.binhost.errors import NoBinhost, NoServer
    from gentoomuch_portage.binhost.server import http, index_refresh, workers

    try:
        import aiohttp.web  # noqa: F401  # before the workers part, so that they share it
    except ImportError as error:
        raise NoServer from error
    root, published = _root(args.folder)
    if not (root / "Packages").is_file():
        raise NoBinhost(root)
    address, port = _address(args.bind)
    how = workers.Serving(
        address=address, port=port, workers=max(1, args.workers), certificate=args.cert, key=args.key, user=args.user
    )
    workers.check(how)
    log = _log(args.log)
    key = None if args.no_sign else keys.key(settings)
    folder = index_refresh.folder_of(root, settings.cache)
    settle = None
    if key is not None and not published:
        fresh = sign.Unsigned(root)
        _sign_all(fresh(), root, settings, key, quiet=args.quiet)
        settle = partial(_settled, fresh, root, settings)
    look = index_refresh.Upkeep(root, folder, key, console.warn, settle)
    look()
    name = key.name if key else "binhost"
    sockets = workers.listening(how)
    url = (args.url or _url(address, sockets[0].getsockname()[1], secure=args.cert is not None)).rstrip("/")
    told = f"gentoomuch binhost client {url}/{name}" + (f" --fingerprint {key.fingerprint}" if key else "")
    if not args.quiet:
        console.tell(f"serving {root} at {url}/{name}; on a client, once:")
        console.say(told)
        console.flush()
    site = http.Site(
        root=root, prepared=folder, key=settings.state / "binhost/key.asc", name=name, page=_page(url, name, told)
    )

    if key is not None:
        keys.home(settings, [key.every])
    try:
        workers.run(sockets, site, how, log=log, upkeep=partial(_keep_house, look, settings))
    finally:
        if key is not None:
            gpg.quiet(key.home)
    return 0


def _keep_house(look: "Upkeep", settings: Settings) -> None:
    """Look once, with the key that this machine has now, for that is the one that clients are shown."""
    from gentoomuch_portage.binhost import keys

    key = keys.known(settings) if look.key else None
    if key is not None and key != look.key:
        look.sign_with(key)
    look()


def _root(folder: Path | None) -> tuple[Path, bool]:
    """The folder that is served, and whether it was published: such a one is never changed."""
    if folder is None:
        from gentoomuch_portage.portage_adapter.pkgdir import pkgdir

        return pkgdir(None).folder, False
    from gentoomuch_portage.binhost import publish

    folder = folder.absolute()
    current = folder / "current"
    return (current, True) if current.is_symlink() else (folder, publish.holding(folder) is not None)


def _address(bind: str) -> tuple[str, int]:
    """``[::1]:8811``, ``10.0.0.1``, ``:8811`` in two parts."""
    address, colon, port = bind.rpartition(":")
    if not colon or bind.endswith("]"):
        address, port = bind, str(_PORT)
    if not port.isdigit() or int(port) > 65535:
        raise BadUsage("gentoomuch binhost serve", f"--bind {bind}: {port!r} is no port")
    return address.strip("[]"), int(port)


def _url(address: str, port: int, *, secure: bool) -> str:
    host = socket.getfqdn() if address in {"", "0.0.0.0", "::"} else address
    return f"{'https' if secure else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def _page(url: str, name: str, told: str) -> bytes:
    """What a browser sees."""
    import html

    return (
        "<!doctype html><meta charset=utf-8><title>binhost</title><h1>A binhost of Gentoo</h1>"
        f"<p>On a client, once:<pre>{html.escape(told)}</pre>"
        f"<p><a href='/{name}/Packages'>Packages</a>, <a href='/{name}/key.asc'>the key</a>, at {html.escape(url)}\n"
    ).encode()


def _log(file: Path | None) -> Callable[[str], None]:
    if file is None:
        return console.tell
    fs.ensure(file.absolute().parent)
    try:
        number = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise NoPrivilege(f"{file} cannot be written: {error.strerror}", remedy="--log FILE names another") from error
    return lambda line: _append(number, line)


def _append(number: int, line: str) -> None:
    os.write(number, f"{line}\n".encode())


def _sign_all(wanted: list[Path], root: Path, settings: Settings, key: "Key", *, quiet: bool) -> int:
    """Sign packages and bring the index up to date; how many were signed."""
    from gentoomuch_portage.binhost import keys, sign

    if not wanted:
        return 0
    home, done = keys.home(settings, [key.every]), []
    with console.progress("signing", len(wanted), quiet=quiet) as step:
        for file, against in sign.sign(wanted, key, home):
            step(file.name, 1)
            if against:
                console.warn(f"{file} could not be signed: {against}")
            else:
                done.append(file)
    if done:
        from gentoomuch_portage.binhost import reindex
        from gentoomuch_portage.portage_adapter.patching import environment

        with environment(keys.own(settings)):
            complaints = reindex.bring_up_to_date(root, done).complaints
        if complaints:
            console.warn(complaints.strip())
    if not quiet:
        console.tell(f"{len(done)} packages signed")
    return len(done)


def _settled(fresh: "Unsigned", root: Path, settings: Settings) -> Set[str] | None:
    """Sign what is not; None where something is now. Otherwise the paths of what could not be signed."""
    from gentoomuch_portage.binhost import keys

    wanted = fresh()
    if _sign_all(wanted, root, settings, keys.key(settings), quiet=True):
        return None
    return {os.fspath(one.relative_to(root)) for one in wanted}


def _add_sign(parser: Parser) -> None:
    _folder(parser)
    parser.add_argument("--all", action="store_true", help="also what is signed already, as after binhost key --rotate")


def _sign(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.binhost import keys, sign
    from gentoomuch_portage.binhost.reindex import NoFolder

    root, published = _root(args.folder)
    if not root.is_dir():
        raise NoFolder(root)
    if published:
        raise BadUsage("gentoomuch binhost sign", f"{root} is published, and never changes: sign before publishing")
    wanted = [one for one in sign.packages(root) if args.all or sign.unsigned(one)]
    return int(_sign_all(wanted, root, settings, keys.key(settings), quiet=args.quiet) < len(wanted))


def _add_key(parser: Parser) -> None:
    listing(parser)
    parser.add_argument("--export", metavar="FILE", type=Path, help="write the public key there; - is stdout")
    parser.add_argument("--rotate", action="store_true", help="sign with a new key from now on")


def _key(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage import gpg
    from gentoomuch_portage.binhost import keys

    one_stdout("gentoomuch binhost key", args.export, args)
    key = keys.rotated(settings) if args.rotate else keys.key(settings)
    if args.export:
        fs.send(args.export, key.public.read_bytes())
    if args.json:
        console.say_json({"fingerprint": key.fingerprint, "public": str(key.public)})
    elif args.export != fs.STDIO:
        console.say(key.fingerprint)
    if args.rotate and not args.quiet:
        console.tell(f"clients have to confirm {gpg.spaced(key.fingerprint)} once; packages: binhost sign --all")
    return 0


COMMANDS = (
    Command("serve", "give packages out over HTTP, signed, with one command for a client", _add_serve, _serve),
    Command("sign", "sign the packages of a folder that are not", _add_sign, _sign),
    Command("key", "show the key that this machine signs packages with", _add_key, _key),
)
"""Commands of the group ``binhost``."""
