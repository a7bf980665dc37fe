# SPDX-License-Identifier: GPL-2.0-or-later
"""Read make.conf and directories of configuration files as Portage does."""

import contextlib
import io
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import portage.util
from portage.const import INCREMENTALS, VCS_DIRS
from portage.exception import ParseError, PermissionDenied

from gentoomuch_portage.errors import BadFile, sourced_outside
from gentoomuch_portage.portage_adapter.config_errors import bad, wrong_at
from gentoomuch_portage.portage_adapter.patching import swapped


def make_conf(path: Path, known: dict[str, str], *, inside: Path | None = None) -> dict[str, str]:
    """Read a make.conf, a file or a directory, as Portage does.

    Args:
        known: the values that were read before; the values of this file are added to it.
        inside: the directory that must contain all sourced files; None allows any directory.

    Raises:
        BadFile: the file has an error; the line is reported.
        BadLayer[sourced-outside]: it sources a file outside of that directory, whatever the spelling of the path.
    """
    with _sourcing(inside):
        return _getconfig(path, known)


@contextlib.contextmanager
def _sourcing(inside: Path | None) -> Iterator[None]:
    """Prevent Portage's parser from reading sourced files outside of a directory while the block runs."""
    if inside is None:
        yield
        return
    plain, outside = portage.util._getconfig_shlex.sourcehook, []

    def checked(self: Any, newfile: str) -> Any:
        sourced, stream = plain(self, newfile)
        if not Path(sourced).resolve().is_relative_to(inside.resolve()):
            line = wrong_at(Path(self.infile), newfile) or self.lineno
            outside.append(sourced_outside(self.infile, line, str(sourced)))
            stream.close()
            return sourced, io.StringIO()
        return sourced, stream

    with swapped(portage.util._getconfig_shlex, "sourcehook", checked):
        try:
            yield
        finally:  # replaces an error that is only due to the skipped file
            if outside:
                raise outside[0]


def _getconfig(path: Path, known: dict[str, str]) -> dict[str, str]:
    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages):
            return dict(portage.util.getconfig(str(path), allow_sourcing=True, expand=known, recursive=True) or {})
    except PermissionDenied as error:
        raise BadFile(path, 0, "it cannot be read by this user") from error
    except (ParseError, ValueError) as error:
        raise bad(path, str(error) if isinstance(error, ParseError) else messages.getvalue()) from error


def file_list(path: Path) -> list[Path]:
    """Return the files that Portage reads for a path to a file or a directory, in its order.

    Source: portage(5), of directories in the place of files; hidden files, backups and those of CVS and the like are
    skipped, also if the path itself is one. All other files come in the order of their paths, by character.

    Raises:
        PermissionDenied: the user may not read a directory.
    """
    try:
        return list(_walk(path))
    except PermissionError as error:
        raise PermissionDenied(str(path)) from error


def _walk(path: Path) -> Iterator[Path]:
    """Yield the files of a path; those that disappear meanwhile are skipped."""
    try:
        mode = path.stat().st_mode
        children = sorted(path.iterdir()) if stat.S_ISDIR(mode) and path.name not in VCS_DIRS else []
    except PermissionError:
        raise
    except OSError:
        return
    if path.name.startswith(".") or path.name.endswith("~"):
        return
    if stat.S_ISREG(mode):
        yield path
    for child in children:
        yield from _walk(child)


def incrementals(*, of_profiles: bool = False) -> frozenset[str]:
    """Return the incremental variables: those whose values accumulate.

    Args:
        of_profiles: only those that accumulate across the make.defaults. For ACCEPT_LICENSE and similar variables, the
            last make.defaults wins, and make.conf adds to it.

    Source: portage.const.INCREMENTALS, and config.regenerate for the three others.
    """
    others = () if of_profiles else ("ACCEPT_LICENSE", "ACCEPT_PROPERTIES", "ACCEPT_RESTRICT")
    return frozenset((*INCREMENTALS, *others))
