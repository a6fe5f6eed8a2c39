"""Everything particular to SQLite, in one place: the file, the connections and how they are set up."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from grantwell.errors import ConfigurationError, StoreUnavailable

BUSY_SECONDS = 2.0
"""How long one statement waits for a writer in another process."""

_READERS = 4
_POOL_WAIT_SECONDS = 2.0
_MAPPED_BYTES = 256 * 1024 * 1024

# FULL, because NORMAL can take back an acknowledged revocation when the power fails. `secure_delete`, because what a
# revocation erases must not stay readable in free pages. 10,000 pages: at 1,000 a busy server copies each page twice.
_PRAGMAS = (
    f"busy_timeout = {int(BUSY_SECONDS * 1000)}",
    "synchronous = FULL",
    "foreign_keys = ON",
    "secure_delete = ON",
    "trusted_schema = OFF",
    "wal_autocheckpoint = 10000",
    "journal_size_limit = 67108864",
    "cache_size = -16384",
    f"mmap_size = {_MAPPED_BYTES}",
)


def parse_url(text: str) -> URL:
    """The URL of a database this version can use.

    Raises ConfigurationError, naming `store`, for any other.
    """
    try:
        url = make_url(text)
    except ArgumentError:
        raise ConfigurationError(
            "store", "the database URL cannot be read; one is sqlite+aiosqlite:///oauth.db"
        ) from None
    if url.drivername not in ("sqlite", "sqlite+aiosqlite"):
        raise ConfigurationError(
            "store", f"{url.drivername} databases are not supported; supported is sqlite+aiosqlite:///path/to/oauth.db"
        )
    database = url.database or ""
    if database in ("", ":memory:") or "mode=memory" in text:
        raise ConfigurationError("store", "a database in memory loses every grant when it closes; use MemoryStore()")
    if database.startswith("file:") or url.query:
        raise ConfigurationError("store", "an SQLite URL takes a path and nothing else: sqlite+aiosqlite:///oauth.db")
    return url


def path_of(url: URL) -> Path:
    """The file that a URL names, seen from the working directory."""
    return Path(url.database or "").absolute()


def create_file(path: Path) -> None:
    """Make an empty file that only its owner can read, if there is none. SQLite gives -wal and -shm the same mode."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise ConfigurationError("store", f"the file {path} cannot be created: {error.strerror}") from None


def plain_engine(path: Path, *, read_only: bool, busy_seconds: float = BUSY_SECONDS) -> Engine:
    """A synchronous engine for looking at a file and for migrating it. It sets nothing up in the file."""
    engine = create_engine(
        _file_url("sqlite", path, "ro" if read_only else "rw"),
        hide_parameters=True,
        poolclass=NullPool,
        connect_args={"isolation_level": None, "timeout": busy_seconds},
    )
    event.listen(engine, "begin", _begin_deferred if read_only else _begin_immediate)
    return engine


def keep_write_ahead_log(path: Path, seconds: float) -> None:
    """Switch a database to write-ahead mode, which it then keeps.

    Raises ConfigurationError where that cannot be, StoreUnavailable if others use the database all the time.
    """
    deadline = time.monotonic() + seconds
    connection = sqlite3.connect(_file_name(path, "rw"), uri=True, isolation_level=None, timeout=0.1)
    try:
        while True:
            try:
                return _write_ahead(connection.cursor())
            except sqlite3.OperationalError as error:
                # SQLite may refuse the switch at once, whatever the timeout.
                if time.monotonic() >= deadline:
                    raise StoreUnavailable(f"{path} takes no write-ahead log: {error.sqlite_errorname}") from None
                time.sleep(0.02)
    finally:
        connection.close()


def write_engine(path: Path) -> AsyncEngine:
    """The engine for transitions: one connection, and every transaction begins with the write lock in its hand."""
    engine = create_async_engine(
        _file_url("sqlite+aiosqlite", path, "rw"),
        hide_parameters=True,
        pool_size=1,
        max_overflow=0,
        pool_timeout=_POOL_WAIT_SECONDS,
        pool_reset_on_return=None,
        connect_args={"isolation_level": None},
    )
    event.listen(engine.sync_engine, "connect", set_up)
    event.listen(engine.sync_engine, "begin", _begin_immediate)
    event.listen(engine.sync_engine, "invalidate", _roll_back)
    return engine


def read_engine(path: Path) -> AsyncEngine:
    """The engine for single reading statements. Its connections cannot write."""
    engine = create_async_engine(
        _file_url("sqlite+aiosqlite", path, "rw"),
        hide_parameters=True,
        pool_size=_READERS,
        max_overflow=0,
        pool_timeout=_POOL_WAIT_SECONDS,
        pool_reset_on_return=None,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
    )
    event.listen(engine.sync_engine, "connect", _set_up_reader)
    return engine


def point_reader(path: Path) -> sqlite3.Connection:
    """A connection for single-row reads on the event loop's own thread: it cannot write and never waits."""
    connection = sqlite3.connect(
        _file_name(path, "ro"), uri=True, isolation_level=None, timeout=0, check_same_thread=False
    )
    connection.execute(f"PRAGMA mmap_size = {_MAPPED_BYTES}")
    connection.execute("PRAGMA query_only = ON")
    return connection


def set_up(connection: Any, _record: object) -> None:
    """Set up a new driver connection for writing, in write-ahead mode.

    Raises ConfigurationError where the file system cannot do that, as network file systems cannot.
    """
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    _write_ahead(cursor)
    cursor.close()


def _write_ahead(cursor: Any) -> None:
    cursor.execute("PRAGMA journal_mode = WAL")
    (mode,) = cursor.fetchone()
    if mode != "wal":
        raise ConfigurationError("store", f"the file system of the database allows no write-ahead log, only {mode!r}")


def _set_up_reader(connection: Any, record: object) -> None:
    set_up(connection, record)
    cursor = connection.cursor()
    cursor.execute("PRAGMA query_only = ON")
    cursor.close()


def _roll_back(connection: Any, _record: object, _error: object) -> None:
    # SQLite keeps a closed connection, with its lock, for as long as anything refers to one of its cursors, be it a
    # traceback.
    with suppress(Exception):
        connection.rollback()


def _begin_immediate(connection: Connection) -> None:
    # A transaction that reads first and asks for the lock later fails at once when somebody else wrote in between,
    # whatever the timeout. So none begins in another way.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_deferred(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN DEFERRED")


def _file_name(path: Path, mode: str) -> str:
    return f"file:{quote(str(path))}?mode={mode}"


def _file_url(driver: str, path: Path, mode: str) -> URL:
    # A URI with a mode, because a plain path is created, world-readable, when it is not there.
    return URL.create(driver, database=f"file:{quote(str(path))}", query={"mode": mode, "uri": "true"})
