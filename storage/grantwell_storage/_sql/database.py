"""How transactions run: one writer at a time, to its end even if its caller leaves, and within a budget."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL, Connection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine

from grantwell.errors import StoreUnavailable

from .. import schema, sqlite

P = ParamSpec("P")
T = TypeVar("T")
Work = Callable[Concatenate[Connection, P], T]

QUEUE_SECONDS = 2.0
"""How long a write waits for the writes before it in this process."""

ANSWER_SECONDS = QUEUE_SECONDS + sqlite.BUSY_SECONDS + 1.0
"""How long the caller of a write waits in all. After that the outcome is unknown; the write itself goes on."""


@dataclass(frozen=True, slots=True)
class _Session:
    """What is held between open and close; it belongs to one event loop and one process."""

    loop: asyncio.AbstractEventLoop
    process: int
    writer: AsyncEngine
    readers: AsyncEngine
    point: sqlite3.Connection
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    running: set[asyncio.Task[Any]] = field(default_factory=set)


class Database:
    """Runs the inside of transactions, which are plain functions of a connection."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._session: _Session | None = None

    async def open(self) -> None:
        """Verify the schema and connect. Raises SchemaError, StoreUnavailable, or RuntimeError if it is in use."""
        loop = asyncio.get_running_loop()
        if self._session is not None:
            if self._session.loop is loop:
                return
            raise RuntimeError("The store is open on another event loop: close it there first.")
        _quiet_driver()
        await asyncio.to_thread(schema.verify, self._url)
        path = sqlite.path_of(self._url)
        with translated():
            point = sqlite.point_reader(path)
        self._session = _Session(loop, os.getpid(), sqlite.write_engine(path), sqlite.read_engine(path), point)

    async def close(self) -> None:
        """Let the writes that have begun end, then disconnect."""
        session, self._session = self._session, None
        if session is None:
            return
        if session.running:
            await asyncio.wait(session.running, timeout=ANSWER_SECONDS)
        session.point.close()
        await session.readers.dispose()
        await session.writer.dispose()

    async def read(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one reading statement. Raises StoreUnavailable."""
        session = self._held()
        with translated():
            async with session.readers.connect() as connection:
                return await connection.run_sync(work, *args, **kwargs)

    async def write(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one transaction, to its end even if the caller is cancelled. Raises StoreUnavailable."""
        session = self._held()
        task = asyncio.create_task(_in_turn(session, work, *args, **kwargs))
        session.running.add(task)
        task.add_done_callback(session.running.discard)
        task.add_done_callback(_taken_note_of)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await asyncio.shield(task)
        except TimeoutError:
            raise StoreUnavailable("The database did not answer in time; the outcome is unknown.") from None

    def point(self, statement: str, parameters: Mapping[str, object]) -> tuple[Any, ...] | None:
        """Read one row on this thread, in microseconds. Raises StoreUnavailable where it would have to wait."""
        session = self._held()
        try:
            row: tuple[Any, ...] | None = session.point.execute(statement, parameters).fetchone()
        except sqlite3.DatabaseError as error:
            raise _unavailable(error) from None
        return row

    def _held(self) -> _Session:
        session = self._session
        if session is None:
            raise StoreUnavailable("The store is not open: await its open() first.")
        if session.process != os.getpid():
            raise StoreUnavailable("The store was opened before a fork: open it in each process.")
        return session


async def _in_turn(session: _Session, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    # Without this queue the coroutines of one process would poll for the file lock against each other.
    try:
        async with asyncio.timeout(QUEUE_SECONDS):
            await session.turn.acquire()
    except TimeoutError:
        raise StoreUnavailable("Too many writes are waiting for the database.") from None
    try:
        return await _commit(session, work, *args, **kwargs)
    finally:
        session.turn.release()


async def _commit(session: _Session, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    with translated():
        async with session.writer.connect() as connection:
            try:
                async with connection.begin():
                    return await connection.run_sync(work, *args, **kwargs)
            except BaseException:
                # A failed sync leaves pages in memory that are not on the disk, and the end of the event loop cuts a
                # transaction short: such a connection is not used again.
                await connection.invalidate()
                raise


def _taken_note_of(task: asyncio.Task[Any]) -> None:
    # Where the caller has left, nobody else asks for the error, and asyncio would complain.
    if not task.cancelled():
        task.exception()


@contextmanager
def translated() -> Iterator[None]:
    """Make StoreUnavailable of the driver's trouble; what can only be a mistake of ours stays as it is."""
    try:
        yield
    except (IntegrityError, DataError, ProgrammingError, NotSupportedError):
        raise
    except (DBAPIError, PoolTimeout, sqlite3.DatabaseError) as error:
        # Without the cause in the traceback: the driver quotes a value it cannot decode.
        raise _unavailable(error) from None


def _unavailable(error: Exception) -> StoreUnavailable:
    cause = getattr(error, "orig", None) or error
    return StoreUnavailable(f"The database did not answer: {getattr(cause, 'sqlite_errorname', type(cause).__name__)}")


def _quiet_driver() -> None:
    # At DEBUG the driver logs each statement with its values.
    driver = logging.getLogger("aiosqlite")
    if driver.level == logging.NOTSET:
        driver.setLevel(logging.INFO)
