"""Where values are taken from: a copy of the database, the bytes of its files, and logs. None of them is changed."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from sqlalchemy import URL, Connection, NullPool, create_engine, inspect, make_url, select, table, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from ...errors import GrantwellError
from .spellings import Row, Text, runs_of, texts_of_bytes

CLIENT_ID = "client_id"

_CHUNK_BYTES = 1024 * 1024
_OVERLAP_BYTES = 1024
_LINE_BYTES = 64 * 1024
_ROWS_AT_A_TIME = 500
_ASIDE = ("", "-wal", "-shm", "-journal")


class SourceUnreadable(GrantwellError):
    """A database or a log that cannot be read; the message is one sentence."""


def database_file(database_url: str) -> Path:
    """The file of an SQLite database. Raises SourceUnreadable for another kind of database, or if there is none."""
    try:
        url = make_url(database_url)
    except ArgumentError:
        raise SourceUnreadable("The database URL cannot be read; one is sqlite+aiosqlite:///grantwell.db.") from None
    if url.get_backend_name() != "sqlite" or not url.database:
        raise SourceUnreadable("Only an SQLite file can be copied; of another database, give a dump with --logs.")
    path = Path(url.database)
    if not path.is_file():
        raise SourceUnreadable(f"There is no database file {path}.")
    return path


class DatabaseCopy:
    """The rows of a database at one moment."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.tables = inspect(connection).get_table_names()

    def rows(self) -> Iterator[Row]:
        """Every row of every table, with the ids it holds, those of clients first."""
        for name in self.tables:
            yield from self._rows_of(name)

    def _rows_of(self, name: str) -> Iterator[Row]:
        statement = select(text("*")).select_from(table(name))
        result = self._connection.execute(statement, execution_options={"yield_per": _ROWS_AT_A_TIME})
        columns = list(result.keys())
        ids = sorted(
            (i for i, column in enumerate(columns) if column.endswith("_id")), key=lambda i: columns[i] != CLIENT_ID
        )
        for values in result:
            yield Row(
                cells=tuple((f"{name}.{column}", value) for column, value in zip(columns, values, strict=True)),
                ids=tuple(values[i] for i in ids if isinstance(values[i], str) and values[i]),
            )


@contextmanager
def copied(path: Path) -> Iterator[DatabaseCopy]:
    """A copy of a database that may be in use, made by SQLite's online backup; it is gone afterwards.

    Raises SourceUnreadable, also for a row that cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="grantwell-") as folder:
        copy = Path(folder, "copy.db")
        copy.touch(mode=0o600)
        try:
            with (
                closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)) as source,
                closing(sqlite3.connect(copy)) as target,
            ):
                source.backup(target)
        except sqlite3.Error as error:
            raise SourceUnreadable(f"The database {path} cannot be read: {error}.") from None
        engine = create_engine(URL.create("sqlite", database=str(copy)), poolclass=NullPool, hide_parameters=True)
        try:
            with engine.connect() as connection:
                _read_damaged_text(connection)
                yield DatabaseCopy(connection)
        except DBAPIError as error:
            raise SourceUnreadable(f"The database {path} cannot be read: {error.orig}.") from None
        finally:
            engine.dispose()


def client_of(row: Row) -> str | None:
    """The client that a row names; None if it names none."""
    for place, value in row.cells:
        if place.rpartition(".")[2] == CLIENT_ID and isinstance(value, str) and value:
            return value
    return None


def files_beside(path: Path) -> list[Path]:
    """The files that a database consists of right now."""
    return [file for end in _ASIDE if (file := path.with_name(path.name + end)).is_file()]


def texts_of_file(path: Path) -> Iterator[Text]:
    """The printable runs of a file, whatever its form. Raises SourceUnreadable."""
    with _opened(path) as file:
        rest = b""
        while chunk := file.read(_CHUNK_BYTES):
            yield from texts_of_bytes(rest + chunk, f"file {path.name}")
            rest = chunk[-_OVERLAP_BYTES:]


def lines_of_log(path: Path) -> Iterator[Row]:
    """The printable runs of each line of a log. Raises SourceUnreadable."""
    with _opened(path) as file:
        while line := file.readline(_LINE_BYTES):
            if runs := list(runs_of(line)):
                yield Row(cells=tuple((f"file {path}", run) for run in runs))


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise SourceUnreadable(f"The file {path} cannot be read: {error.strerror}.") from None


def _read_damaged_text(connection: Connection) -> None:
    driver: Any = connection.connection.driver_connection
    driver.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
