# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch binhost serve``, ``sign`` and ``key``: serve and sign binary packages."""

import argparse
import os
import socket
from collections.abc import Callable, Mapping, Set
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gentoomuch_portage import console, fs
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import bad_usage
from gentoomuch_portage.cli.parser import Parser, add_json_option, check_single_stdout
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import NoPrivilege, UsageError

if TYPE_CHECKING:
    from gentoomuch_portage.binhost.keys import Key
    from gentoomuch_portage.binhost.server.index_refresh import IndexRefresher

_PORT = 8811
_CURRENT = "current"
"""Value of ``--revoke`` without a fingerprint."""
_TRIES = 20
"""Attempts: signing a package changes the index, and builders may change it at the same time."""


def not_revoked(fingerprint: str) -> UsageError:
    """The key was not revoked, because the user did not confirm it."""
    error = UsageError(
        f"{fingerprint} not revoked: not confirmed", code="not-revoked", hint="the same command with --yes"
    )
    return error.with_correction("", "--yes")


def _folder(parser: Parser) -> None:
    text = "directory of packages or generations (default: PKGDIR)"
    parser.add_argument("folder", nargs="?", metavar="DIR", type=Path, help=text)


def _add_serve(parser: Parser) -> None:
    _folder(parser)
    parser.add_argument(
        "--bind",
        metavar="[ADDRESS][:PORT]",
        default="",
        help=f"address and port to listen on (default: all addresses, port {_PORT})",
    )
    parser.add_argument("--url", metavar="URL", help="URL for clients (default: from this host's name)")
    parser.add_argument(
        "--workers",
        metavar="N",
        type=int,
        default=os.cpu_count() or 1,
        help="number of processes (default: number of CPUs)",
    )
    user = "user of the serving processes; only root can set it (default: nobody if started by root)"
    parser.add_argument("--user", metavar="USER", default="", help=user)
    parser.add_argument("--cert", metavar="FILE", type=Path, help="TLS certificate chain")
    parser.add_argument("--key", metavar="FILE", type=Path, help="private key of the TLS certificate")
    parser.add_argument(
        "--log", metavar="FILE", type=Path, help="append one line per request to this file (default: stderr)"
    )
    parser.add_argument(
        "--no-sign", action="store_true", help="do not sign packages and index, and do not create a key"
    )


def _serve(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.binhost import keys
    from gentoomuch_portage.binhost.errors import no_binhost, no_server

    try:
        from gentoomuch_portage.binhost.server import http, index_refresh, page, workers
    except ModuleNotFoundError as error:
        if error.name != "aiohttp":
            raise
        raise no_server() from error
    root, published = _root(args.folder)
    if not (root / "Packages").is_file():
        raise no_binhost(root)
    address, port = _address(args.bind)
    how = workers.ServerOptions(
        address=address, port=port, workers=max(1, args.workers), certificate=args.cert, key=args.key, user=args.user
    )
    workers.check_options(how, [root / "Packages"])
    log = _log(args.log)
    key = None if args.no_sign else keys.ensure_key(settings)
    folder = index_refresh.prepared_directory(root, settings.cache)
    settle = None if key is None or published else PackageSigner(root, settings, quiet=args.quiet)
    look = index_refresh.IndexRefresher(root, folder, key, console.warning, settle)
    _prepare(look, settle)
    workers.check_options(how, [*look.files(), *([key.public] if key else [])])
    name = key.name if key else "binhost"
    listening = workers.open_socket(how)
    url = (args.url or _url(address, listening.getsockname()[1], secure=args.cert is not None)).rstrip("/")
    recipe = page.Recipe(url=url, name=name, fingerprint=key.fingerprint if key else "")
    if not args.quiet:
        console.info(f"serving {root} at {url}/{name}; run once on each client:")
        console.print_result(recipe.command)
        console.flush()
    site = http.Site(
        root=root,
        prepared=folder,
        key=settings.state / "binhost/key.asc",
        name=name,
        page=page.Page(root, recipe),
    )

    if key is not None:
        keys.trusting_home(settings, [key.all_public])
    workers.run_server(listening, site, how, log=log, refresh=partial(_keep_house, look, settings))
    return 0


def _prepare(look: "IndexRefresher", signer: "PackageSigner | None") -> None:
    """Sign packages and index before the server starts.

    Raises:
        MachineError[nothing-to-serve]: no index or no package could be signed.
    """
    from gentoomuch_portage.binhost.errors import nothing_to_serve

    for _ in range(_TRIES):
        look()
        if look.problem or look.is_ready:
            break
    if not look.is_ready:
        raise nothing_to_serve(look.root, look.problem or "its index keeps changing")
    if signer is not None and not look.packages and look.packages_of_folder:
        why = signer.problem or "an xpak has no signature"
        raise nothing_to_serve(look.root, f"none of its packages can be signed: {why}")


def _keep_house(look: "IndexRefresher", settings: Settings) -> None:
    """Refresh the index once, with the current key of this machine, which clients see."""
    from gentoomuch_portage.binhost import keys

    key = keys.find_key(settings) if look.key else None
    if key is not None and key != look.key:
        look.sign_with(key)
    look()


def _root(folder: Path | None) -> tuple[Path, bool]:
    """Return the directory to serve, and whether it is published: then it is never changed."""
    if folder is None:
        from gentoomuch_portage.portage_adapter.pkgdir import pkgdir

        return pkgdir(None).folder, False
    from gentoomuch_portage.binhost import publish

    folder = folder.absolute()
    current = folder / "current"
    return (current, True) if current.is_symlink() else (folder, publish.find_published(folder) is not None)


def _address(bind: str) -> tuple[str, int]:
    """Split ``[::1]:8811``, ``10.0.0.1`` or ``:8811`` into address and port."""
    address, colon, port = bind.rpartition(":")
    if not colon or bind.endswith("]"):
        address, port = bind, str(_PORT)
    if not port.isdigit() or int(port) > 65535:
        error = bad_usage("gentoomuch binhost serve", f"--bind {bind}: invalid port {port!r}")
        raise error.with_correction(bind, bind[: -len(port)] + "8811" if port else f"{bind}8811")
    return address.strip("[]"), int(port)


def _url(address: str, port: int, *, secure: bool) -> str:
    host = socket.getfqdn() if address in {"", "0.0.0.0", "::"} else address
    return f"{'https' if secure else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def _log(file: Path | None) -> Callable[[str], None]:
    if file is None:
        return console.info
    fs.ensure(file.absolute().parent)
    try:
        number = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise NoPrivilege(f"cannot write {file}: {error.strerror}", hint="--log FILE") from error
    return lambda line: _append(number, line)


def _append(number: int, line: str) -> None:
    os.write(number, f"{line}\n".encode())


class PackageSigner:
    """Signs the packages of a folder that are not signed, and reports each problem once."""

    def __init__(self, root: Path, settings: Settings, *, quiet: bool) -> None:
        from gentoomuch_portage.binhost import sign
        from gentoomuch_portage.binhost.server.problems import ProblemLog

        self._find = sign.UnsignedPackages(root)
        self._root, self._settings, self._quiet = root, settings, quiet
        self._problems = ProblemLog(console.warning)
        self.problem = ""
        """Why the last one of them could not be signed; empty if none is left."""

    def __call__(self) -> Set[str] | None:
        """Sign unsigned packages; return None if any was signed, otherwise the paths that could not be signed."""
        from gentoomuch_portage.binhost import keys

        wanted = self._find()
        key = keys.ensure_key(self._settings)
        done, failed = _sign_all(wanted, self._root, self._settings, key, quiet=self._quiet)
        self._quiet = True
        self.problem = next(reversed(failed.values()), "")
        _report_failed({file: why for file, why in failed.items() if self._problems.begin(str(file), why)})
        self._problems.keep({str(file) for file in failed})
        return None if done else {os.fspath(file.relative_to(self._root)) for file in wanted}


def _report_failed(failed: Mapping[Path, str]) -> None:
    """Print a line for each reason, not for each package."""
    by_reason: dict[str, list[Path]] = {}
    for file, why in failed.items():
        by_reason.setdefault(why, []).append(file)
    for why, files in by_reason.items():
        others = f" and {len(files) - 1} more packages" if len(files) > 1 else ""
        console.warning(f"cannot sign {files[0]}{others}: {why}")


def _sign_all(
    wanted: list[Path], root: Path, settings: Settings, key: "Key", *, quiet: bool
) -> tuple[list[Path], dict[Path, str]]:
    """Sign packages and update the index; return the signed ones, and a reason for each other one."""
    from gentoomuch_portage.binhost import keys, sign

    done: list[Path] = []
    failed: dict[Path, str] = {}
    if not wanted:
        return done, failed
    home = keys.trusting_home(settings, key.trusted_for_signing)
    with console.progress("signing", len(wanted), quiet=quiet) as step:
        for file, why in sign.sign_packages(wanted, key, home):
            step(file.name, 1)
            if why:
                failed[file] = why
            else:
                done.append(file)
    if done:
        from gentoomuch_portage.binhost import reindex
        from gentoomuch_portage.portage_adapter.patching import environment

        with environment(keys.verify_variables(settings)):
            complaints = reindex.update_index(root, done).complaints
        if complaints:
            console.warning(complaints.strip())
        if not quiet:
            console.info(f"{len(done)} packages signed")
    return done, failed


def _add_sign(parser: Parser) -> None:
    _folder(parser)
    parser.add_argument(
        "--all", action="store_true", help="re-sign all packages, for example after binhost key --rotate"
    )


def _sign(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.binhost import keys, sign
    from gentoomuch_portage.binhost.reindex import no_package_folder

    root, published = _root(args.folder)
    if not root.is_dir():
        raise no_package_folder(root)
    if published:
        raise bad_usage("gentoomuch binhost sign", f"{root} is published and cannot be changed: sign before publishing")
    wanted = [package for package in sign.find_packages(root) if args.all or sign.is_unsigned(package)]
    _, failed = _sign_all(wanted, root, settings, keys.ensure_key(settings), quiet=args.quiet)
    _report_failed(failed)
    return int(bool(failed))


def _add_key(parser: Parser) -> None:
    add_json_option(parser)
    parser.add_argument("--export", metavar="FILE", type=Path, help="write the public key to this file; - is stdout")
    parser.add_argument("--rotate", action="store_true", help="sign with a new key from now on")
    revoke = "revoke a key permanently (default: the current one, which is replaced)"
    parser.add_argument("--revoke", metavar="FINGERPRINT", nargs="?", const=_CURRENT, default="", help=revoke)
    parser.add_argument("--yes", action="store_true", help="with --revoke: do not ask")


def _key(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage import gpg
    from gentoomuch_portage.binhost import keys

    check_single_stdout("gentoomuch binhost key", args.export, args)
    if args.revoke:
        key, rotated = _revoke(settings, args)
    else:
        key, rotated = keys.rotate(settings) if args.rotate else keys.ensure_key(settings), bool(args.rotate)
    if args.export:
        fs.send(args.export, key.public.read_bytes())
    if args.json:
        console.print_json({"fingerprint": key.fingerprint, "public": str(key.public)})
    elif args.export != fs.STDIO:
        console.print_result(key.fingerprint)
    if rotated and not args.quiet:
        console.info(
            f"clients must confirm {gpg.format_fingerprint(key.fingerprint)} once; re-sign packages: binhost sign --all"
        )
    if args.revoke and not args.quiet:
        console.info("clients get the revocation from binhost serve, or after the next binhost publish")
    return 0


def _revoke(settings: Settings, args: argparse.Namespace) -> tuple["Key", bool]:
    """Revoke a key; return the current key, and whether it is new.

    Raises:
        UsageError[usage]: the fingerprint is invalid.
        UsageError[not-revoked]: it was not confirmed.
    """
    from gentoomuch_portage import gpg
    from gentoomuch_portage.binhost import keys

    current = keys.ensure_key(settings)
    fingerprint = current.fingerprint if args.revoke == _CURRENT else gpg.parse_fingerprint(args.revoke)
    if not fingerprint:
        raise bad_usage(
            "gentoomuch binhost key", f"invalid fingerprint {args.revoke!r}: 40 hexadecimal digits are required"
        )
    question = f"Revoke the key {gpg.format_fingerprint(fingerprint)} permanently?"
    if not args.yes and not console.confirm(question):
        raise not_revoked(fingerprint)
    key = keys.revoke(settings, fingerprint)
    return key, key.fingerprint != current.fingerprint


COMMANDS = (
    Command("serve", "serve signed packages over HTTP, and print the command for clients", _add_serve, _serve),
    Command("sign", "sign unsigned packages", _add_sign, _sign),
    Command("key", "show, export, rotate or revoke the signing key of this machine", _add_key, _key),
)
"""Commands of the group ``binhost``."""
