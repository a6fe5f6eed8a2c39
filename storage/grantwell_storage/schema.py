"""Which schema a database must have, and the sentences for one that has another."""

from __future__ import annotations

import shlex
import sqlite3
from typing import Final

from sqlalchemy import URL, Connection, Engine, column, inspect, select, table
from sqlalchemy.exc import DatabaseError

from grantwell.errors import SchemaError, StoreUnavailable

from . import sqlite
from .tables import metadata

SCHEMA_VERSION: Final = "0003"
"""The revision of `grantwell_migrations` that this version of the store reads and writes."""

VERSION_TABLE: Final = "oauth_schema_version"

_versions = table(VERSION_TABLE, column("version_num"))


def shown(url: URL) -> str:
    """A database URL as it may be printed: without its password, and as an argument for a shell."""
    return shlex.quote(url.set(password=None).render_as_string(hide_password=False))


def found(connection: Connection) -> tuple[str, ...] | None:
    """The revisions that a database says it has; None if it has no version table."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return tuple(str(version) for version in connection.execute(select(_versions.c.version_num)).scalars())


def strangers(connection: Connection) -> list[str]:
    """Tables of ours by name, in a database without a version table: somebody else made them."""
    return sorted(set(inspect(connection).get_table_names()) & set(metadata.tables))


def missing(url: URL) -> SchemaError:
    """The error for a database that was never migrated."""
    return SchemaError(f"The database at {shown(url)} has no Grantwell schema. Run: {_command(url)}")


def different(url: URL, versions: tuple[str, ...]) -> SchemaError:
    """The error for a database of another version, older or newer."""
    have = ", ".join(versions) or "none"
    if all(version.isdecimal() and version < SCHEMA_VERSION for version in versions):
        return SchemaError(
            f"The database at {shown(url)} has schema version {have}; this Grantwell needs {SCHEMA_VERSION}. "
            f"Run: {_command(url)}"
        )
    return SchemaError(
        f"The database at {shown(url)} has schema version {have}, which this Grantwell does not know; "
        f"it needs {SCHEMA_VERSION}. Upgrade Grantwell, then run: {_command(url)}"
    )


def occupied(url: URL, names: list[str]) -> SchemaError:
    """The error for a database in which somebody else uses our table names."""
    return SchemaError(
        f"The database at {shown(url)} has tables that Grantwell did not make: {', '.join(names)}. "
        f"Choose another database, then run: grantwell migrate --database-url <its URL>"
    )


def not_a_database(url: URL) -> SchemaError:
    """The error for a file that SQLite does not take for a database."""
    return SchemaError(
        f"The file at {shown(url)} is not an SQLite database. "
        f"Choose another file, then run: grantwell migrate --database-url <its URL>"
    )


def refusal(url: URL, error: DatabaseError) -> SchemaError | StoreUnavailable:
    """What an error of the driver means when it comes while the schema is looked at or changed."""
    cause = error.orig
    if getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
        return not_a_database(url)
    name = getattr(cause, "sqlite_errorname", type(cause).__name__)
    return StoreUnavailable(f"The database at {shown(url)} did not answer: {name}")


def verify(url: URL) -> None:
    """Look at the schema without changing the file.

    Raises SchemaError with the command to run, or StoreUnavailable.
    """
    path = sqlite.path_of(url)
    try:
        empty = path.stat().st_size == 0
    except FileNotFoundError:
        empty = True
    except OSError as error:
        raise StoreUnavailable(f"The database at {shown(url)} cannot be opened: {error.strerror}") from None
    if empty:
        raise missing(url)
    engine = sqlite.plain_engine(path, read_only=True)
    try:
        _verify(url, engine)
    except DatabaseError as error:
        raise refusal(url, error) from error
    finally:
        engine.dispose()


def _verify(url: URL, engine: Engine) -> None:
    with engine.connect() as connection:
        versions = found(connection)
    if versions is None:
        raise missing(url)
    if versions != (SCHEMA_VERSION,):
        raise different(url, versions)


def _command(url: URL) -> str:
    return f"grantwell migrate --database-url {shown(url)}"
