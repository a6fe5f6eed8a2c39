"""Copies of a database as it is at one moment, and the way back from one.

What a copy brings back must not be worth more than it was: a token that was revoked after the copy was made would work
again. So everything that was issued ends on the way, before anybody can use it.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, mkstemp
from urllib.parse import quote

from sqlalchemy import NullPool, Table, create_engine, delete, event, func, select, true

from grantwell.errors import ConfigurationError, SchemaError, StoreUnavailable

from . import schema, sqlite
from ._sql.endings import end_where
from .tables import access_tokens, grants, initial_access_tokens, interactions, sessions

__all__ = ["Ended", "back_up", "end_what_was_issued", "put_in_place", "scratch_copy"]

_LOCK_SECONDS = 30.0
_RETRY_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What ended on the way back: live grants, access tokens, initial access tokens, browser sessions."""

    grants: int
    access_tokens: int
    initial_access_tokens: int
    sessions: int


def back_up(url: str, target: Path) -> None:
    """Copy the database at `url` into a new file, readable by its owner alone, as it is at one moment.

    Servers may go on meanwhile; nothing waits for it. The file appears when it is complete and on the disk, or not at
    all. What was erased in the database is not in it. Raises ConfigurationError where the file exists or cannot be
    made, SchemaError for what is no database of this version, StoreUnavailable if the database does not answer.
    """
    parsed = sqlite.parse_url(url)
    schema.verify(parsed)
    with _new_file(target) as part, _told(target), closing(_opened(sqlite.path_of(parsed), "ro")) as connection:
        # In one transaction that reads, and without the free pages, in which erased rows might lie.
        connection.execute("VACUUM INTO ?", (str(part),))


@contextmanager
def scratch_copy(backup: Path, url: str) -> Iterator[str]:
    """The URL of a copy of a backup, on the disk of the database at `url`; it is gone afterwards.

    Raises SchemaError for a file that is no complete database of Grantwell, ConfigurationError where it cannot be read
    or no copy be made.
    """
    folder = sqlite.path_of(sqlite.parse_url(url)).parent
    if not backup.is_file():
        raise ConfigurationError("file", f"{backup} is not there.")
    try:
        scratch = TemporaryDirectory(prefix=".grantwell-", dir=folder)
    except OSError as error:
        raise ConfigurationError("store", f"{folder} takes no copy: {error.strerror}.") from None
    with scratch:
        copy = Path(scratch.name, "copy.db")
        with _told(backup), closing(_opened(backup, "ro")) as connection:
            _check(connection, backup)
            connection.execute("VACUUM INTO ?", (str(copy),))
        yield f"sqlite+aiosqlite:///{copy}"


def end_what_was_issued(url: str, *, now: int, keep_grants: bool) -> Ended:
    """End every session, code, access token and initial access token of a copy, and every grant unless kept.

    `now` is in seconds since 1970 UTC.
    """
    path = sqlite.path_of(sqlite.parse_url(url))
    engine = create_engine(
        "sqlite://",
        creator=lambda: _opened(path, "rw"),
        poolclass=NullPool,
        hide_parameters=True,
    )
    event.listen(engine, "connect", sqlite.set_up)
    try:
        with engine.begin() as connection:

            def count(table: Table) -> int:
                return connection.execute(select(func.count()).select_from(table)).scalar_one()

            tokens, browsers, initial = count(access_tokens), count(sessions), count(initial_access_tokens)
            # A code that was exchanged since would be good once more, so a grant that waits for one ends in any case.
            which = grants.c.generation == 0 if keep_grants else true()
            ended = end_where(connection, which, now, "operator")
            # An initial access token is good once, too, and one that was spent since is still in the copy.
            for table in (access_tokens, initial_access_tokens, interactions, sessions):
                connection.execute(delete(table))
    finally:
        engine.dispose()
    return Ended(grants=ended, access_tokens=tokens, initial_access_tokens=initial, sessions=browsers)


def put_in_place(copy_url: str, url: str) -> None:
    """Make the database at `url` the copy, in one transaction: whoever has it open sees the one or the other.

    Raises StoreUnavailable if others keep it locked for 30 seconds, SchemaError if what is there is no database.
    """
    parsed = sqlite.parse_url(url)
    path = sqlite.path_of(parsed)
    sqlite.create_file(path)
    deadline = time.monotonic() + _LOCK_SECONDS

    def give_up(status: int, remaining: int, total: int) -> None:
        if remaining and status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > deadline:
            raise StoreUnavailable(f"{path} is locked by others.")

    with (
        _told(path),
        closing(_opened(sqlite.path_of(sqlite.parse_url(copy_url)), "ro")) as source,
        closing(_opened(path, "rw")) as target,
    ):
        target.execute("PRAGMA synchronous = FULL")
        target.execute("PRAGMA secure_delete = ON")
        source.backup(target, progress=give_up, sleep=_RETRY_SECONDS)
        target.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    sqlite.keep_write_ahead_log(path, _LOCK_SECONDS)


def _check(connection: sqlite3.Connection, backup: Path) -> None:
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise SchemaError(f"{backup} is damaged: {verdict}.")
    query = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?"
    (found,) = connection.execute(query, (schema.VERSION_TABLE,)).fetchone()
    if not found:
        raise SchemaError(f"{backup} is no database of Grantwell.")


@contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    """A file to write, readable by its owner alone, that gets its name once it is complete and on the disk."""
    if path.exists():
        raise ConfigurationError("file", f"{path} exists; choose another name.")
    try:
        descriptor, name = mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(descriptor)
        part = Path(name)
        try:
            yield part
            _synced(part)
            part.rename(path)
            _synced(path.parent)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError("file", f"{path} cannot be made: {error.strerror}.") from None


def _synced(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _opened(path: Path, mode: str) -> sqlite3.Connection:
    name = f"file:{quote(str(path.absolute()))}?mode={mode}"
    return sqlite3.connect(name, uri=True, isolation_level=None, timeout=_LOCK_SECONDS)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            raise SchemaError(f"{path} is not an SQLite database.") from None
        raise StoreUnavailable(f"{path}: {error.sqlite_errorname}.") from None
