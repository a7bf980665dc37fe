# SPDX-License-Identifier: GPL-2.0-or-later
"""The database of a farm. It holds the rules of the state machine itself, so that no program can break them.

Each change is one transaction that is on the disk when it returns. A process may be killed at any time.
"""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Self

from gentoomuch_portage import fs
from gentoomuch_portage.errors import BadFile, MachineError, NoPrivilege, cannot_write
from gentoomuch_portage.farm.jobs import MOVES, State
from gentoomuch_portage.stored import restore_hint

_VERSION = 1
"""Of the tables, in ``user_version``."""
_PATIENCE = 60.0
"""Seconds to wait for the transaction of another process; ours take milliseconds."""


def _quote(values: object) -> str:
    return ", ".join(f"'{value}'" for value in values)  # type: ignore[attr-defined]


_TABLES = f"""
CREATE TABLE jobs(
    key TEXT PRIMARY KEY CHECK (length(key) = 64 AND key NOT GLOB '*[^0-9a-f]*'),
    profile TEXT NOT NULL,
    cpv TEXT NOT NULL,
    inputs TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT '{State.WAITING}' CHECK (state IN ({_quote(State)})),
    code TEXT NOT NULL DEFAULT '',
    digest TEXT NOT NULL DEFAULT '' CHECK (
        CASE state WHEN '{State.DONE}' THEN length(digest) = 64 AND digest NOT GLOB '*[^0-9a-f]*' ELSE digest = '' END
    ),
    losses INTEGER NOT NULL DEFAULT 0,
    changed REAL NOT NULL
) STRICT;
CREATE INDEX jobs_by_state ON jobs(state);

CREATE TABLE needs(
    key TEXT NOT NULL REFERENCES jobs(key),
    need TEXT NOT NULL REFERENCES jobs(key),
    PRIMARY KEY (key, need),
    CHECK (key <> need)
) STRICT, WITHOUT ROWID;
CREATE INDEX needs_by_need ON needs(need);

CREATE TABLE wishes(
    profile TEXT NOT NULL,
    key TEXT NOT NULL REFERENCES jobs(key),
    added TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (profile, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts(
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL REFERENCES jobs(key),
    began REAL NOT NULL,
    ended REAL,
    outcome TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX one_open_attempt ON attempts(key) WHERE outcome = '';

CREATE TABLE transitions(
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    key TEXT NOT NULL REFERENCES jobs(key),
    former TEXT NOT NULL,
    state TEXT NOT NULL,
    code TEXT NOT NULL
) STRICT;

CREATE TABLE switches(name TEXT PRIMARY KEY, enabled INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TRIGGER only_moves BEFORE UPDATE OF state ON jobs
WHEN OLD.state || ' ' || NEW.state NOT IN ({_quote(f"{former} {state}" for former, state in sorted(MOVES))})
BEGIN SELECT RAISE(ABORT, 'not a move of the state machine'); END;

CREATE TRIGGER recorded AFTER UPDATE OF state ON jobs
BEGIN
    INSERT INTO transitions(at, key, former, state, code)
    VALUES (NEW.changed, NEW.key, OLD.state, NEW.state, NEW.code);
END;

CREATE TRIGGER attempt_needs_lease BEFORE INSERT ON attempts
WHEN (SELECT state FROM jobs WHERE key = NEW.key) IS NOT '{State.LEASED}'
BEGIN SELECT RAISE(ABORT, 'the job is not leased'); END;
"""


def newer_farm(file: Path) -> BadFile:
    """A later version of this program has created the database of the farm."""
    return BadFile(file, 0, "a later version of gentoomuch has written it", hint="update gentoomuch-portage")


def unusable_farm(file: Path, error: sqlite3.DatabaseError) -> MachineError:
    """The database of the farm cannot be read or written, or another program locks it for long."""
    return MachineError(f"cannot use {file}: {error}", code="farm-unusable", hint=fs.inspect_hint(file.parent))


class Store:
    """The database of a farm; for one thread."""

    def __init__(self, file: Path, connection: sqlite3.Connection) -> None:
        self.file, self._connection = file, connection

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator[Self]:
        """Open the database in a directory that only this user can write to; create it if it is missing.

        Raises:
            NoPrivilege: the directory belongs to another user or cannot be created.
            BadFile: the database is damaged, or of a later version.
            MachineError[disk-full]: the file system is full.
        """
        fs.ensure(folder, mode=0o700)
        status = folder.lstat()
        if not fs.is_own(folder) or status.st_uid != os.geteuid():
            raise NoPrivilege(f"{folder} belongs to another user, or is a link", hint=fs.inspect_hint(folder))
        file = folder / "farm.sqlite"
        with _database_errors(file), closing(sqlite3.connect(file, timeout=_PATIENCE, isolation_level=None)) as opened:
            opened.row_factory = sqlite3.Row
            opened.execute("PRAGMA synchronous = FULL")
            opened.execute("PRAGMA foreign_keys = ON")
            store = cls(file, opened)
            with fs.locked(folder / ".lock"):  # SQLite does not wait for a process that changes the journal's mode
                opened.execute("PRAGMA journal_mode = WAL")
                store._create_tables()
            yield store

    def _create_tables(self) -> None:
        with self.change() as connection:
            [version] = connection.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                raise newer_farm(self.file)
            if version == 0:
                for statement in _split(_TABLES):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {_VERSION}")

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """Run the block in one transaction, which is on the disk afterwards; an exception undoes it."""
        with _database_errors(self.file):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def view(self) -> Iterator[sqlite3.Connection]:
        """Read one consistent state in the block."""
        with _database_errors(self.file):
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                self._connection.execute("ROLLBACK")


def _split(script: str) -> Iterator[str]:
    """Yield each statement; executescript would commit after the first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextmanager
def _database_errors(file: Path) -> Iterator[None]:
    """Convert exceptions of SQLite that the machine causes into errors with a hint; a broken rule is our bug."""
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except sqlite3.DatabaseError as error:
        match getattr(error, "sqlite_errorcode", 0) & 0xFF:
            case sqlite3.SQLITE_FULL:
                raise cannot_write(file, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))) from error
            case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
                raise cannot_write(file, OSError(errno.EACCES, os.strerror(errno.EACCES))) from error
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                raise BadFile(file, 0, f"not the database of a farm: {error}", hint=restore_hint(file)) from error
            case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_BUSY:
                raise unusable_farm(file, error) from error
        raise
