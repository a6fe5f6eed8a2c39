"""Migrations: from nothing to the schema of the store, once, in one transaction, by whoever comes first."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

import grantwell_migrations
from grantwell.errors import ConfigurationError, SchemaError, StoreUnavailable
from grantwell_migrations import upgrade
from grantwell_storage import SCHEMA_VERSION, metadata, sqlite

from .older import upgrade_to

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parent.parent.parent
KILLED_BEFORE = """
import os, signal, sys
from sqlalchemy import Engine, event
from grantwell_migrations import upgrade

@event.listens_for(Engine, "before_cursor_execute")
def kill(connection, cursor, statement, *rest):
    if sys.argv[2] in statement:
        os.kill(os.getpid(), signal.SIGKILL)

upgrade(sys.argv[1])
"""
UPGRADE = """
import sys
from grantwell_migrations import upgrade
print("ready", flush=True)
for line in sys.stdin:
    upgrade(line.strip())
    print("done", flush=True)
"""

LAST_INDEXES = [
    (None, "ix_oauth_throttles_ends_at"),
    ("0001", "ix_oauth_claims_expires_at"),
    ("0002", "ix_oauth_events_reference_at_event_id"),
]
"""The version before a migration, and the last index that it makes."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a database may come to be."""
    return tmp_path / "oauth.db"


@pytest.fixture
def url(path: Path) -> str:
    """Its URL."""
    return f"sqlite+aiosqlite:///{path}"


def tables(path: Path) -> set[str]:
    """The tables in a file."""
    connection = sqlite3.connect(path)
    try:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    finally:
        connection.close()


def execute(path: Path, statement: str) -> None:
    """Do something to a file that we would not do."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute(statement)
    finally:
        connection.close()


def dump(path: Path) -> list[str]:
    """All that is in a file, as the statements that would make it again."""
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def test_a_new_database_has_the_schema_of_the_store(path: Path, url: str) -> None:
    upgrade(url)
    assert tables(path) == {*metadata.tables, "oauth_schema_version"}
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": "oauth_schema_version", "compare_type": True}
        )
        assert compare_metadata(context, metadata) == []
        assert context.get_current_heads() == (SCHEMA_VERSION,)
    engine.dispose()


def test_the_database_is_what_the_tables_say_word_for_word(path: Path, url: str, tmp_path: Path) -> None:
    """Also in what a comparison of metadata does not see: rowids, partial indexes, cascades."""
    upgrade(url)
    other = create_engine(f"sqlite:///{tmp_path / 'other.db'}")
    metadata.create_all(other)
    other.dispose()

    def schema(file: Path) -> dict[str, str]:
        connection = sqlite3.connect(file)
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        connection.close()
        # A column that is added later stands in its place, but for the space around it.
        return {name: re.sub(r"\s+", " ", sql) for name, sql in rows if name != "oauth_schema_version"}

    assert schema(path) == schema(tmp_path / "other.db")


def test_the_last_migration_is_the_version_that_the_store_needs() -> None:
    script = ScriptDirectory(str(Path(grantwell_migrations.__file__).parent))
    assert script.get_heads() == [SCHEMA_VERSION]


def test_a_new_file_is_for_its_owner_alone_and_keeps_a_write_ahead_log(path: Path, url: str) -> None:
    old = os.umask(0)
    try:
        upgrade(url)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    assert [file.name for file in path.parent.iterdir()] == ["oauth.db"]


def test_migrating_again_changes_nothing(path: Path, url: str) -> None:
    upgrade(url)
    execute(path, "INSERT INTO oauth_throttles (key, attempts, ends_at) VALUES (X'00', 1, 1)")
    before = path.read_bytes()
    upgrade(url)
    assert path.read_bytes() == before


def test_an_empty_file_is_migrated(path: Path, url: str) -> None:
    path.touch(mode=0o600)
    upgrade(url)
    assert "oauth_grants" in tables(path)


def test_the_tables_of_another_program_are_left(path: Path, url: str) -> None:
    execute(path, "CREATE TABLE notes (text TEXT)")
    upgrade(url)
    assert tables(path) == {"notes", *metadata.tables, "oauth_schema_version"}


@pytest.mark.requirement("F-071", "D-33")
def test_of_processes_that_migrate_at_once_one_does_and_the_others_wait(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", UPGRADE], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(4)
    ]
    try:
        assert [_line(process) for process in processes] == ["ready\n"] * 4
        for number in range(12):
            path = tmp_path / f"oauth-{number}.db"
            if number % 2:
                path.touch(mode=0o600)
            for process in processes:
                assert process.stdin is not None
                process.stdin.write(f"sqlite+aiosqlite:///{path}\n")
                process.stdin.flush()
            assert [_line(process) for process in processes] == ["done\n"] * 4
            connection = sqlite3.connect(path)
            assert connection.execute("SELECT version_num FROM oauth_schema_version").fetchall() == [(SCHEMA_VERSION,)]
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            connection.close()
    finally:
        for process in processes:
            process.communicate()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_turning_on_the_write_ahead_log_waits_for_readers_as_long_as_it_may(path: Path) -> None:
    execute(path, "CREATE TABLE notes (text TEXT)")
    reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM notes").fetchall()
    with pytest.raises(StoreUnavailable, match="takes no write-ahead log: SQLITE_BUSY"):
        sqlite.keep_write_ahead_log(path, 0.05)
    leaves = threading.Timer(0.2, reader.execute, ["ROLLBACK"])
    leaves.start()
    sqlite.keep_write_ahead_log(path, 5)
    leaves.join()
    reader.execute("SELECT * FROM notes").fetchall()
    assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    reader.close()


@pytest.mark.parametrize("version", ["0004", "f00dcafe", ""])
@pytest.mark.requirement("F-098")
def test_a_version_that_is_not_known_is_refused_and_left(path: Path, url: str, version: str) -> None:
    upgrade(url)
    execute(path, f"UPDATE oauth_schema_version SET version_num = '{version}'")
    before = path.read_bytes()
    with pytest.raises(SchemaError, match=r"does not know.*Upgrade Grantwell, then run: grantwell migrate --database"):
        upgrade(url)
    assert path.read_bytes() == before


@pytest.mark.requirement("F-101")
def test_tables_of_our_name_that_are_not_ours_are_refused_and_left(path: Path, url: str) -> None:
    execute(path, "CREATE TABLE oauth_users (id INTEGER)")
    with pytest.raises(SchemaError, match=r"tables that Grantwell did not make: oauth_users\..*grantwell migrate"):
        upgrade(url)
    assert tables(path) == {"oauth_users"}


@pytest.mark.requirement("F-041")
def test_a_lock_that_is_not_had_in_time_leaves_nothing_behind(
    path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grantwell_migrations, "_LOCK_SECONDS", 0.05)
    execute(path, "CREATE TABLE notes (text TEXT)")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="SQLITE_BUSY"):
        upgrade(url)
    holder.execute("ROLLBACK")
    holder.close()
    assert tables(path) == {"notes"}
    upgrade(url)
    assert "oauth_grants" in tables(path)


@pytest.mark.requirement("F-099", "D-33")
@pytest.mark.parametrize(("first", "index"), LAST_INDEXES)
def test_a_migration_that_fails_midway_leaves_the_schema_as_it_was(
    path: Path, url: str, first: str | None, index: str
) -> None:
    # An index of ours that is there already: the statement that makes it fails, after many that did not.
    execute(path, "CREATE TABLE notes (text TEXT)")
    if first is not None:
        upgrade_to(path, first)
    execute(path, f"CREATE INDEX {index} ON notes (text)")
    before = dump(path)
    with pytest.raises(StoreUnavailable):
        upgrade(url)
    assert dump(path) == before
    execute(path, f"DROP INDEX {index}")
    upgrade(url)
    assert tables(path) == {"notes", *metadata.tables, "oauth_schema_version"}


@pytest.mark.requirement("F-099")
@pytest.mark.parametrize(("first", "index"), LAST_INDEXES)
def test_a_migration_whose_process_is_killed_leaves_the_schema_as_it_was(
    path: Path, url: str, first: str | None, index: str
) -> None:
    execute(path, "CREATE TABLE notes (text TEXT)")
    if first is not None:
        upgrade_to(path, first)
    before = dump(path)
    program = [sys.executable, "-c", KILLED_BEFORE, url, index]
    assert subprocess.run(program, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    assert dump(path) == before
    upgrade(url)
    assert tables(path) == {"notes", *metadata.tables, "oauth_schema_version"}


def test_a_folder_that_is_not_there_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be created: No such file or directory") as caught:
        upgrade(f"sqlite+aiosqlite:///{tmp_path}/nowhere/oauth.db")
    assert caught.value.field == "store"


def test_migrations_run_from_where_the_package_is_installed(tmp_path: Path) -> None:
    """In a folder with an odd name, from another working directory, without the files of this repository."""
    site = tmp_path / "100% site-packages"
    for package in ("server/grantwell", "storage/grantwell_storage", "migrations/grantwell_migrations"):
        shutil.copytree(ROOT / package, site / Path(package).name)
    program = textwrap.dedent(
        f"""
        import sys
        sys.path.insert(0, {str(site)!r})
        import grantwell_migrations
        assert grantwell_migrations.__file__.startswith({str(site)!r}), grantwell_migrations.__file__
        grantwell_migrations.upgrade("sqlite+aiosqlite:///oauth.db")
        """
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    engine = create_engine(f"sqlite:///{tmp_path / 'oauth.db'}")
    assert set(metadata.tables) <= set(inspect(engine).get_table_names())
    engine.dispose()


def test_alembic_alone_is_told_which_command_to_use() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(grantwell_migrations.__file__).parent))
    with pytest.raises(RuntimeError, match="grantwell migrate --database-url"):
        command.upgrade(config, "head")
