"""Upgrades: what an older schema holds is there afterwards, word for word, and the store goes on with it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from grantwell.errors import SchemaError
from grantwell.records import Client
from grantwell.store import Attempt, ClientQuery, EventQuery, GrantQuery, UserQuery
from grantwell.testing.samples import (
    CLIENT,
    GRANT,
    NOW,
    USER,
    client,
    consent,
    digest,
    event,
    given_consent,
    given_exchanged,
    key,
    live,
    redemption,
    registration,
    rotation,
    session,
    user,
    waiting,
)
from grantwell_migrations import upgrade
from grantwell_storage import SQLStore, metadata

from .older import upgrade_to

pytestmark = pytest.mark.anyio

Contents = dict[str, tuple[list[str], list[tuple[Any, ...]]]]


def url_of(path: Path) -> str:
    """The URL of a file."""
    return f"sqlite+aiosqlite:///{path}"


def old_client(client_id: str, **changes: Any) -> Client:
    """A client as it was before it could have keys, a quota or registration access."""
    return client(
        client_id,
        jwks=None,
        jwks_uri=None,
        introspects=(),
        registration_access=None,
        registered_from=None,
        **changes,
    )


def contents(path: Path) -> Contents:
    """The columns and rows of each of our tables."""
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'oauth_%'")
        found = {}
        for (name,) in names.fetchall():
            cursor = connection.execute(f"SELECT * FROM {name}")
            found[name] = ([column[0] for column in cursor.description], sorted(cursor.fetchall(), key=repr))
        return found


def fill(path: Path, rows: Contents) -> None:
    """Insert rows into the columns that a database has, as its own version would have."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for name in [table for table in contents(path) if table != "oauth_schema_version"]:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
            places = [rows[name][0].index(column) for column in columns]
            marks = ", ".join("?" * len(columns))
            connection.executemany(
                f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({marks})",
                [[row[place] for place in places] for row in rows[name][1]],
            )


async def given_a_row_of_every_kind(store: SQLStore) -> None:
    """Clients, grants in each state, a user, a browser, a request and a throttle."""
    for client_id in (CLIENT, "client-2"):
        await store.add_client(old_client(client_id))
    await store.add_client(old_client("operator's", origin="operator", scopes=None, secrets=(), last_used_at=NOW))
    await store.add_user(user(name=None))
    await store.add_session(session("browser", user_id=USER, user_agent=None, address=None, sealed=None))
    assert await store.add_interaction(waiting("request", "browser"))
    await given_exchanged(store)
    assert await store.rotate(rotation(1)) == "rotated"
    await given_exchanged(store, consent("other", client_id="client-2"), redemption("other"))
    await given_consent(store, consent("pending"))
    await given_consent(store, consent("own", user_id=None))
    await store.count_attempt(Attempt(key=digest("throttle"), window=60, now=NOW))


async def read_everything(store: SQLStore) -> list[Any]:
    """Whatever the store says of those rows."""
    return [
        await store.list_clients(ClientQuery()),
        await store.list_grants(GrantQuery(now=NOW)),
        await store.list_users(UserQuery()),
        *[await store.get_refreshable(grant_id) for grant_id in (GRANT, "other", "pending", "own")],
        *[await store.get_code(grant_id, digest(f"code of {grant_id}")) for grant_id in (GRANT, "pending")],
        *[await live(store, label) for label in ("a1", "a2")],
        await store.get_user(USER),
        await store.get_session(digest("browser"), NOW),
        await store.get_interaction(key("request", "browser"), NOW),
        await store.count_attempts(digest("throttle"), NOW),
    ]


@pytest.fixture(params=["0001", "0002"])
async def told(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, list[Any]]:
    """A database of an older schema with rows of every kind, and what a store says of the same rows."""
    new, old = tmp_path / "new.db", tmp_path / "old.db"
    upgrade(url_of(new))
    store = SQLStore(url_of(new))
    await store.open()
    await given_a_row_of_every_kind(store)
    everything = await read_everything(store)
    await store.close()
    upgrade_to(old, request.param)
    fill(old, contents(new))
    return old, everything


async def test_rows_of_an_older_schema_read_as_before_and_keep_their_values(told: tuple[Path, list[Any]]) -> None:
    old, everything = told
    before = contents(old)
    assert {name for name, (_, rows) in before.items() if not rows} <= {"oauth_claims", "oauth_initial_access_tokens"}
    with pytest.raises(SchemaError, match=r"has schema version 000[12]; this Grantwell needs 0003"):
        await SQLStore(url_of(old)).open()
    upgrade(url_of(old))
    after = contents(old)
    assert set(after) == {*metadata.tables, "oauth_schema_version"}
    for name in set(before) - {"oauth_schema_version"}:
        width = len(before[name][0])
        assert [row[:width] for row in after[name][1]] == before[name][1]
    store = SQLStore(url_of(old))
    await store.open()
    try:
        assert await read_everything(store) == everything
        assert None not in everything
    finally:
        await store.close()


async def test_the_store_goes_on_with_what_was_upgraded(told: tuple[Path, list[Any]]) -> None:
    old, _ = told
    upgrade(url_of(old))
    store = SQLStore(url_of(old))
    await store.open()
    try:
        assert await store.replace_client(client(version=2))
        assert await store.get_client(CLIENT) == client(version=2)
        assert await store.redeem_code(redemption("pending")) == "redeemed"
        assert await store.rotate(rotation(2)) == "rotated"
        outcomes = [await store.register_client(registration(f"new-{number}")) for number in range(3)]
        assert outcomes == ["registered", "registered", "too_many"]
        assert await store.delete_client(CLIENT)
        assert await store.get_grant(GRANT) is None
        assert await store.seal_session(digest("browser"), b"new", None)
        await store.add_events([event("first")])
        assert (await store.list_events(EventQuery())).items == (event("first"),)
    finally:
        await store.close()
