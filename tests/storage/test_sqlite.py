"""SQLite as it is set up: files, pragmas, locks, and what a store that cannot work says."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import stat
import time
import traceback
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import IntegrityError

from grantwell.errors import ConfigurationError, SchemaError, StoreUnavailable
from grantwell.store import ClientQuery
from grantwell.testing.samples import CLIENT, GRANT, NOW, client, consent, digest, given_exchanged, live, rotation, user
from grantwell_migrations import upgrade
from grantwell_storage import SQLStore, sqlite
from grantwell_storage._sql import clients
from grantwell_storage._sql.database import ANSWER_SECONDS

from .processes import held_lock

pytestmark = pytest.mark.anyio


def pragma(connection: Connection, name: str) -> Any:
    """What a pragma says on a connection."""
    return connection.execute(text(f"PRAGMA {name}")).scalar_one()


async def test_the_database_and_its_log_are_for_their_owner_alone(store: SQLStore, database: Path) -> None:
    old = os.umask(0o022)
    try:
        await given_exchanged(store)
        assert await live(store, "a1") is not None
        files = sorted(path.name for path in database.parent.iterdir())
        assert files == ["oauth.db", "oauth.db-shm", "oauth.db-wal"]
        assert {stat.S_IMODE(path.stat().st_mode) for path in database.parent.iterdir()} == {0o600}
    finally:
        os.umask(old)


async def test_closing_leaves_one_file_and_no_thread(url: str, database: Path) -> None:
    store = SQLStore(url)
    await store.open()
    await given_exchanged(store)
    await asyncio.gather(*(store.get_client(CLIENT) for _ in range(8)))
    await store.close()
    assert [path.name for path in database.parent.iterdir()] == ["oauth.db"]
    await store.close()


@pytest.mark.requirement("D-03")
@pytest.mark.parametrize("side", ["write", "read"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("busy_timeout", 2000),
        ("secure_delete", 1),
        ("trusted_schema", 0),
        ("wal_autocheckpoint", 10_000),
    ],
)
async def test_every_connection_is_set_up(store: SQLStore, side: str, name: str, value: object) -> None:
    run = store._database.write if side == "write" else store._database.read
    assert await run(pragma, name) == value


async def test_a_connection_for_reading_cannot_write(store: SQLStore) -> None:
    with pytest.raises(StoreUnavailable, match="SQLITE_READONLY"):
        await store._database.read(clients.add, client())
    with pytest.raises(StoreUnavailable, match="SQLITE_READONLY"):
        store._database.point("DELETE FROM oauth_clients", {})
    assert await store.get_client(CLIENT) is None


@pytest.mark.requirement("F-036", "D-03")
async def test_every_transaction_begins_with_the_write_lock(store: SQLStore) -> None:
    statements: list[str] = []
    session = store._database._session
    assert session is not None
    event.listen(
        session.writer.sync_engine,
        "before_cursor_execute",
        lambda conn, cursor, statement, *rest: statements.append(statement),
    )
    await store.add_client(client())
    await store.add_user(user())
    begins = [number for number, statement in enumerate(statements) if statement.startswith("BEGIN")]
    assert [statements[number] for number in begins] == ["BEGIN IMMEDIATE"] * 2
    assert begins[0] == 0


async def test_a_read_on_the_loop_leaves_no_snapshot_open(store: SQLStore, database: Path) -> None:
    await given_exchanged(store)
    assert await live(store, "a1") is not None
    connection = sqlite3.connect(database, isolation_level=None)
    try:
        busy, log, copied = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert (busy, log, copied) == (0, 0, 0)
    finally:
        connection.close()


async def test_a_read_that_would_have_to_wait_on_the_loop_waits_in_a_thread(store: SQLStore) -> None:
    await given_exchanged(store)
    session = store._database._session
    assert session is not None
    session.point.close()
    assert await live(store, "a1") is not None
    assert await live(store, "a2") is None


@pytest.mark.requirement("F-035")
async def test_a_lock_that_another_process_holds_stops_writes_within_the_budget_and_no_read(
    store: SQLStore, database: Path
) -> None:
    await given_exchanged(store)
    with held_lock(database):
        began = time.monotonic()
        writes = [asyncio.create_task(store.rotate(rotation(1))) for _ in range(4)]
        slowest = 0.0
        while not all(write.done() for write in writes):
            before = time.monotonic()
            assert await live(store, "a1") is not None
            assert await store.get_client(CLIENT) is not None
            slowest = max(slowest, time.monotonic() - before)
            await asyncio.sleep(0.02)
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        assert time.monotonic() - began < ANSWER_SECONDS + 1
        assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 4
        assert slowest < 0.5
    assert await store.rotate(rotation(1)) == "rotated"


async def test_writes_wait_for_a_lock_that_is_given_back(store: SQLStore, database: Path) -> None:
    await given_exchanged(store)
    with held_lock(database):
        write = asyncio.create_task(store.rotate(rotation(1)))
        await asyncio.sleep(0.3)
        assert not write.done()
    assert await write == "rotated"


@pytest.mark.requirement("D-31")
async def test_trouble_is_told_without_values(store: SQLStore, database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("DROP TABLE oauth_users")
    connection.close()
    name = "-".join(["some", "body"])
    with pytest.raises(StoreUnavailable) as caught:
        await store.add_user(user(name))
    told = "".join(traceback.format_exception(caught.value))
    assert "SQLITE_ERROR" in told
    assert name not in told
    assert "argon2id$" not in told


async def test_a_mistake_of_ours_is_not_taken_for_trouble(store: SQLStore) -> None:
    await store.add_client(client())
    with pytest.raises(IntegrityError) as caught:
        await store.add_client(client())
    assert "Notes" not in str(caught.value)
    assert await store.get_client(CLIENT) == client()


@pytest.mark.requirement("D-31")
async def test_the_driver_logs_no_values(url: str, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("aiosqlite").setLevel(logging.NOTSET)
    store = SQLStore(url)
    with caplog.at_level(logging.DEBUG):
        await store.open()
        await given_exchanged(store)
        await store.add_user(user("somebody@example.com"))
        await store.get_user("somebody@example.com")
        await store.close()
    assert "somebody" not in caplog.text
    assert repr(digest("r1"))[2:-1] not in caplog.text


async def test_a_store_that_is_not_open_is_unavailable(url: str) -> None:
    store = SQLStore(url)
    await _assert_not_open(store)
    await store.open()
    await store.open()
    assert await store.get_client(CLIENT) is None
    await store.close()
    await _assert_not_open(store)


async def _assert_not_open(store: SQLStore) -> None:
    for call in (store.get_client(CLIENT), store.add_client(client()), live(store, "a1")):
        with pytest.raises(StoreUnavailable, match="not open"):
            await call


@pytest.mark.requirement("F-074")
async def test_a_store_that_was_opened_before_a_fork_is_unavailable(
    store: SQLStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    with pytest.raises(StoreUnavailable, match="fork"):
        await store.get_client(CLIENT)


def test_a_store_serves_one_event_loop_after_another(url: str) -> None:
    store = SQLStore(url)

    async def use() -> None:
        await store.open()
        assert await store.list_clients(ClientQuery())
        await store.count_attempts(digest("throttle"), NOW)
        await store.clear_attempts(digest("throttle"))
        await store.close()

    asyncio.run(use())
    asyncio.run(use())


def test_a_store_that_is_open_on_another_loop_is_not_opened(url: str) -> None:
    store = SQLStore(url)
    with asyncio.Runner() as first, asyncio.Runner() as second:
        first.run(store.open())
        with pytest.raises(RuntimeError, match="another event loop"):
            second.run(store.open())
        first.run(store.close())
        second.run(store.open())
        second.run(store.close())


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite+aiosqlite://", r"MemoryStore\(\)"),
        ("sqlite+aiosqlite:///:memory:", r"MemoryStore\(\)"),
        ("sqlite+aiosqlite:///file:x?mode=memory&uri=true", r"MemoryStore\(\)"),
        ("sqlite+aiosqlite:///file:oauth.db?uri=true", "a path and nothing else"),
        ("sqlite+aiosqlite:///oauth.db?timeout=9", "a path and nothing else"),
        ("sqlite+pysqlite:///oauth.db", "supported is sqlite"),
        ("postgresql+asyncpg://grantwell:hunter2@db/oauth", "supported is sqlite"),
        ("mysql://grantwell:hunter2@db/oauth", "supported is sqlite"),
        ("hunter2", "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_a_url_that_cannot_work_is_refused_at_construction(url: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        SQLStore(url)
    assert caught.value.field == "store"
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ConfigurationError, match=says):
        upgrade(url)


async def test_a_missing_or_empty_file_is_refused_and_not_made(tmp_path: Path) -> None:
    for name, content in {"missing.db": None, "empty.db": b""}.items():
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(SchemaError) as caught:
            await SQLStore(f"sqlite+aiosqlite:///{path}").open()
        url = f"sqlite+aiosqlite:///{path}"
        assert str(caught.value) == (
            f"The database at {url} has no Grantwell schema. Run: grantwell migrate --database-url {url}"
        )
    assert os.listdir(tmp_path) == ["empty.db"]


async def test_a_file_that_is_no_database_is_refused_and_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "letter.db"
    path.write_bytes(b"Dear Sir or Madam, " * 100)
    with pytest.raises(SchemaError, match="is not an SQLite database"):
        await SQLStore(f"sqlite+aiosqlite:///{path}").open()
    with pytest.raises(SchemaError, match="grantwell migrate"):
        upgrade(f"sqlite+aiosqlite:///{path}")
    assert path.read_bytes() == b"Dear Sir or Madam, " * 100


async def test_a_database_of_another_program_is_refused_and_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE notes (text TEXT)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(SchemaError, match="has no Grantwell schema"):
        await SQLStore(f"sqlite+aiosqlite:///{path}").open()
    assert path.read_bytes() == before


@pytest.mark.requirement("D-32")
@pytest.mark.parametrize(
    ("version", "says"),
    [
        ("0001", "has schema version 0001; this Grantwell needs 0003. Run: grantwell migrate"),
        ("0004", "has schema version 0004, which this Grantwell does not know.*Upgrade.*run: grantwell migrate"),
        ("f00dcafe", "has schema version f00dcafe, which this Grantwell does not know"),
    ],
)
async def test_another_schema_version_is_refused(url: str, database: Path, version: str, says: str) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE oauth_schema_version SET version_num = ?", (version,))
    connection.close()
    with pytest.raises(SchemaError, match=says):
        await SQLStore(url).open()


async def test_a_database_in_a_place_that_cannot_be_reached_is_unavailable(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        await SQLStore(f"sqlite+aiosqlite:///{file}/oauth.db").open()
    with pytest.raises(ConfigurationError, match="cannot be created"):
        upgrade(f"sqlite+aiosqlite:///{file}/oauth.db")


async def test_a_path_with_odd_characters_names_that_file(tmp_path: Path) -> None:
    path = tmp_path / "a b#c&é.db"
    url = f"sqlite+aiosqlite:///{path}"
    upgrade(url)
    store = SQLStore(url)
    await store.open()
    await given_exchanged(store, consent(GRANT))
    assert await live(store, "a1") is not None
    await store.close()
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.requirement("F-032", "D-32")
def test_a_file_system_without_a_write_ahead_log_is_refused(database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    # This way of locking files shares no memory, as network file systems do not.
    connection = sqlite3.connect(f"file:{database}?vfs=unix-dotfile", uri=True)
    with pytest.raises(ConfigurationError, match="no write-ahead log, only 'delete'") as caught:
        sqlite.set_up(connection, None)
    connection.close()
    assert caught.value.field == "store"


def test_the_url_of_a_sentence_can_be_pasted_into_a_shell(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"--database-url 'sqlite\+aiosqlite:///.*a b\.db'$"):
        asyncio.run(SQLStore(f"sqlite+aiosqlite:///{tmp_path}/a b.db").open())
