"""Brings a database to the schema that `grantwell_storage` needs. Alembic, with a version table of its own."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection
from sqlalchemy.exc import DatabaseError

from grantwell_storage import schema, sqlite

__all__ = ["pending", "upgrade"]

_LOCK_SECONDS = 30.0


def upgrade(url: str) -> None:
    """Create or upgrade the schema of the database at `url`, in one transaction; do nothing if it is up to date.

    A new SQLite file is readable by its owner alone. Two processes may call this at once: one migrates, the other
    waits. Raises ConfigurationError for a URL that cannot work, SchemaError for a database that is not ours or is of
    a version we do not know, StoreUnavailable if its lock is not had in 30 seconds.
    """
    parsed = sqlite.parse_url(url)
    path = sqlite.path_of(parsed)
    sqlite.create_file(path)
    engine = sqlite.plain_engine(path, read_only=False, busy_seconds=_LOCK_SECONDS)
    try:
        with engine.begin() as connection:
            _migrate(connection, parsed)
        sqlite.keep_write_ahead_log(path, _LOCK_SECONDS)
    except DatabaseError as error:
        raise schema.refusal(parsed, error) from error
    finally:
        engine.dispose()


def pending(url: str) -> tuple[tuple[str, str], ...]:
    """The steps that `upgrade` would take, in their order: the version of each and what it is for. Changes nothing.

    Raises what `upgrade` raises for such a database.
    """
    parsed = sqlite.parse_url(url)
    path = sqlite.path_of(parsed)
    have: tuple[str, ...] = ()
    if path.exists() and path.stat().st_size:
        engine = sqlite.plain_engine(path, read_only=True, busy_seconds=_LOCK_SECONDS)
        try:
            with engine.connect() as connection:
                have = _versions(connection, parsed)
        except DatabaseError as error:
            raise schema.refusal(parsed, error) from error
        finally:
            engine.dispose()
    revisions = ScriptDirectory.from_config(_config()).iterate_revisions("head", have[0] if have else "base")
    return tuple(reversed([(step.revision, step.doc) for step in revisions]))


def _versions(connection: Connection, url: URL) -> tuple[str, ...]:
    """What a database has, empty if nothing. Raises SchemaError if that is not ours, or not known."""
    versions = schema.found(connection)
    if versions is None:
        names = schema.strangers(connection)
        if names:
            raise schema.occupied(url, names)
        return ()
    if not set(versions) <= {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}:
        raise schema.different(url, versions)
    return versions


def _migrate(connection: Connection, url: URL) -> None:
    _versions(connection, url)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
