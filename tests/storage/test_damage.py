"""Damaged rows: whatever stands in a column, its row fails closed and the others are as they were."""

from __future__ import annotations

import dataclasses
import logging
import sqlite3
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table

from grantwell.errors import StoreUnavailable
from grantwell.store import Attempt, ClientQuery, EventQuery, GrantQuery, Purge, Revocation, Use, UserQuery
from grantwell.testing.samples import (
    CLIENT,
    GRANT,
    NOW,
    USER,
    claim,
    consent,
    digest,
    event,
    given_browser,
    given_consent,
    given_exchanged,
    initial_access,
    key,
    lease,
    live,
    more,
    redemption,
    registration,
    rotation,
    session,
    user,
    waiting,
)
from grantwell_storage import SQLStore, metadata
from grantwell_storage._sql.access_tokens import to_live_access_token
from grantwell_storage._sql.decode import Damaged, to_client

pytestmark = pytest.mark.anyio

VALUES: list[Any] = [None, "", "abc", "[1]", "{}", "[[", '[["zz", 1]]', "[" * 100_000, b"\xff\x00", 1.5, -1, 2**62]
OTHERS = {
    "oauth_clients": ("client_id", CLIENT),
    "oauth_grants": ("grant_id", GRANT),
    "oauth_codes": ("grant_id", GRANT),
    "oauth_access_tokens": ("grant_id", GRANT),
    "oauth_props": ("grant_id", GRANT),
    "oauth_users": ("user_id", USER),
    "oauth_sessions": ("digest", digest("browser")),
    "oauth_interactions": ("digest", digest("request")),
    "oauth_throttles": ("key", digest("throttle")),
    "oauth_initial_access_tokens": ("digest", digest("initial")),
    "oauth_claims": ("key", digest("claim")),
    "oauth_events": ("event_id", "event"),
}


@pytest.fixture
def raw(database: Path) -> Iterator[sqlite3.Connection]:
    """Somebody who writes to the database without asking the store."""
    connection = sqlite3.connect(database, isolation_level=None)
    yield connection
    connection.close()


async def _given_two_of_everything(store: SQLStore) -> None:
    await given_exchanged(store)
    await store.rotate(rotation(1))
    await given_exchanged(store, consent("grant-2", client_id="client-2"), redemption("grant-2"))
    await given_browser(store)
    await store.add_user(user("bob"))
    await store.add_session(session("bob's", user_id="bob"))
    await store.add_interaction(waiting("bob's request", "bob's"))
    for label in ("initial", "bob's initial"):
        await store.add_initial_access_token(initial_access(label))
    await store.add_events([event("event"), event("bob's event", user_id="bob")])
    for label in ("claim", "bob's claim"):
        assert await store.claim(claim(label), NOW)


async def _read_everything(store: SQLStore) -> list[Any]:
    return [
        await store.get_client(CLIENT),
        await store.get_grant(GRANT),
        await store.get_code(GRANT, digest(f"code of {GRANT}")),
        await store.get_refreshable(GRANT),
        await live(store, "a1"),
        await store.get_user(USER),
        await store.get_session(digest("browser"), NOW),
        await store.get_interaction(key("request", "browser"), NOW),
        await store.get_initial_access_token(digest("initial"), NOW),
        await store.claim(claim("claim"), NOW),
        await store.list_sessions(USER, NOW),
        (await store.list_events(EventQuery(user_id=USER))).items,
    ]


async def _read_all_pages(store: SQLStore) -> list[Any]:
    return [
        *(await store.list_clients(ClientQuery())).items,
        *(await store.list_grants(GrantQuery(now=NOW))).items,
        *(await store.list_users(UserQuery())).items,
        *(await store.list_events(EventQuery())).items,
    ]


async def _assert_others_are_as_they_were(store: SQLStore) -> None:
    assert await live(store, "a1", "grant-2") is not None
    assert await store.get_client("client-2") is not None
    assert await store.get_user("bob") is not None
    assert [one.event_id for one in (await store.list_events(EventQuery(user_id="bob"))).items][-1] == "bob's event"
    assert digest("bob's") in [one.digest for one in await store.list_sessions("bob", NOW)]
    assert await store.get_interaction(key("bob's request", "bob's"), NOW) is not None
    assert await store.get_initial_access_token(digest("bob's initial"), NOW) is not None
    assert not await store.claim(claim("bob's claim"), NOW)


def _kinds(record: Any) -> Any:
    """The types in a record, however deep."""
    if dataclasses.is_dataclass(record):
        return {field.name: _kinds(getattr(record, field.name)) for field in dataclasses.fields(record)}
    if isinstance(record, tuple):
        return [_kinds(item) for item in record]
    return type(record)


def _fits(found: Any, whole: Any) -> bool:
    """Whether a record has the types of the whole one; None and other lengths are for the column to say."""
    if found is type(None):
        return True
    if isinstance(whole, dict):
        return isinstance(found, dict) and all(_fits(found[name], kind) for name, kind in whole.items())
    if isinstance(whole, list):
        return isinstance(found, list) and all(_fits(item, whole[0] if whole else item) for item in found)
    return found is whole or whole is type(None)


@pytest.mark.requirement("F-095")
@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)
async def test_a_damaged_value_makes_its_row_absent_and_leaves_the_others(
    store: SQLStore, raw: sqlite3.Connection, table: Table
) -> None:
    await _given_two_of_everything(store)
    whole = [_kinds(record) for record in await _read_everything(store)]
    name, key_value = OTHERS[table.name]
    # The columns of the key last: once they are damaged, the row cannot be found to be mended.
    for column in sorted(table.c, key=lambda column: column.primary_key):
        for value in VALUES:
            raw.execute("BEGIN")
            stored = raw.execute(f"SELECT {column.name} FROM {table.name} WHERE {name} = ?", (key_value,)).fetchall()
            try:
                raw.execute(f"UPDATE {table.name} SET {column.name} = ? WHERE {name} = ?", (value, key_value))
            except sqlite3.IntegrityError:
                raw.execute("ROLLBACK")
                continue
            raw.execute("COMMIT")
            for found, kinds in zip(await _read_everything(store), whole, strict=True):
                assert found is None or _fits(_kinds(found), kinds), (column.name, value)
            await _read_all_pages(store)
            await _assert_others_are_as_they_were(store)
            if stored:
                raw.execute(f"UPDATE {table.name} SET {column.name} = ? WHERE {name} = ?", (*stored[0], key_value))


@pytest.mark.requirement("F-095")
@pytest.mark.parametrize("value", ["abc", b"\xff\x00", 1.5], ids=["text", "bytes", "fraction"])
async def test_a_damaged_grant_can_be_ended_and_breaks_no_other_method(
    store: SQLStore, raw: sqlite3.Connection, value: Any
) -> None:
    await given_exchanged(store, consent("grant-2", client_id="client-2"), redemption("grant-2"))
    for column in metadata.tables["oauth_grants"].c:
        if column.primary_key or column.name in ("client_id", "revoked_at"):
            continue
        await given_exchanged(store, consent(column.name, client_id=CLIENT), redemption(column.name))
        raw.execute(f"UPDATE oauth_grants SET {column.name} = ? WHERE grant_id = ?", (value, column.name))
        request = replace(lease("lease"), grant_id=column.name)
        await store.take_lease(request)
        await store.take_lease(replace(request, lease_id="other", now=NOW + 99, until=NOW + 120))
        await store.release_lease(column.name, "other", refused=True)
        await store.take_lease(request)
        await store.add_access_token(replace(more("extra"), grant_id=column.name))
        await store.rotate(rotation(1, column.name))
        await store.list_grants(GrantQuery(now=NOW, limit=1))
        await store.record_use(Use(grant_ids=(column.name,), client_ids=(CLIENT,), now=NOW + 1))
        await given_exchanged(
            store, consent(f"{column.name} next"), redemption(f"{column.name} next", replaces=True, keep_newest=1)
        )
        await store.revoke_grant(Revocation(grant_id=column.name, now=NOW, reason="operator"))
        assert await live(store, "a1", column.name) is None
        assert await live(store, "a2", column.name) is None
    await store.purge(Purge(now=NOW, ended_before=NOW, unused_since=NOW, never_used_since=NOW, limit=1000))
    await _assert_only_the_other_client_lives(store)


async def _assert_only_the_other_client_lives(store: SQLStore) -> None:
    assert await live(store, "a1", "grant-2") is not None
    assert await store.delete_client(CLIENT)
    page = await store.list_grants(GrantQuery(now=NOW, limit=1000))
    assert [grant.grant_id for grant in page.items] == ["grant-2"]


async def test_a_damaged_count_of_tries_counts_anew(store: SQLStore, raw: sqlite3.Connection) -> None:
    attempt = Attempt(key=digest("throttle"), window=60, now=NOW)
    await store.count_attempt(attempt)
    raw.execute("UPDATE oauth_throttles SET attempts = 'abc'")
    assert await store.count_attempts(digest("throttle"), NOW) == 0
    assert await store.count_attempt(attempt) == 1


async def test_a_damaged_end_of_a_claim_lets_nobody_claim_again(store: SQLStore, raw: sqlite3.Connection) -> None:
    assert await store.claim(claim("claim"), NOW)
    for value in ("abc", b"\xff\x00", NOW + 60.5):
        raw.execute("UPDATE oauth_claims SET expires_at = ?", (value,))
        assert not await store.claim(claim("claim"), NOW)


async def test_damaged_clients_count_for_the_quota_of_their_address(store: SQLStore, raw: sqlite3.Connection) -> None:
    for number in range(3):
        assert await store.register_client(registration(f"client-{number}")) == "registered"
    for column in ("created_at", "metadata", "version"):
        raw.execute(f"UPDATE oauth_clients SET {column} = 'abc'")
        assert await store.register_client(registration(CLIENT)) == "too_many"


async def test_a_listing_goes_on_behind_a_damaged_key(store: SQLStore, raw: sqlite3.Connection) -> None:
    for number in range(4):
        await given_exchanged(store, consent(f"grant-{number}", now=NOW + number))
    raw.execute("UPDATE oauth_grants SET created_at = 'abc' WHERE grant_id = 'grant-1'")
    raw.execute("UPDATE oauth_grants SET created_at = ? WHERE grant_id = 'grant-2'", (NOW + 2.5,))
    listed: list[str] = []
    cursor = None
    while not listed or cursor is not None:
        page = await store.list_grants(GrantQuery(now=NOW, limit=3, cursor=cursor))
        listed += [grant.grant_id for grant in page.items]
        cursor = page.cursor
    assert listed == ["grant-3", "grant-0"]


@pytest.mark.requirement("F-095", "F-097")
async def test_rows_without_their_parents_are_absent(store: SQLStore, raw: sqlite3.Connection) -> None:
    await _given_two_of_everything(store)
    raw.execute("DELETE FROM oauth_clients WHERE client_id = ?", (CLIENT,))
    assert await live(store, "a1") is None
    raw.execute("DELETE FROM oauth_sessions")
    assert await store.get_session(digest("browser"), NOW) is None
    raw.execute("DELETE FROM oauth_grants WHERE grant_id = ?", (GRANT,))
    assert await store.get_code(GRANT, digest(f"code of {GRANT}")) is None
    assert await live(store, "a1") is None
    assert await live(store, "a1", "grant-2") is not None


@pytest.mark.parametrize(
    "damage",
    [
        f"UPDATE oauth_codes SET redeemed_at = {NOW} WHERE grant_id = '{GRANT}'",
        f"UPDATE oauth_grants SET generation = 1 WHERE grant_id = '{GRANT}'",
    ],
)
async def test_a_code_is_spent_if_its_row_or_its_grant_says_so(
    store: SQLStore, raw: sqlite3.Connection, damage: str
) -> None:
    await given_consent(store)
    raw.execute(damage)
    assert await store.redeem_code(redemption()) == "refused"
    assert await live(store, "a1") is None


async def test_a_damaged_row_is_told_once_and_without_its_values(
    store: SQLStore, raw: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    await _given_two_of_everything(store)
    raw.execute("UPDATE oauth_clients SET grant_types = 'not JSON' WHERE client_id = ?", (CLIENT,))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert await store.get_client(CLIENT) is None
    assert [record.getMessage() for record in caplog.records] == [
        "A damaged client counts as absent: JSON was expected"
    ]


@pytest.mark.requirement("F-095")
async def test_a_text_that_is_no_text_is_trouble_and_is_not_quoted(store: SQLStore, raw: sqlite3.Connection) -> None:
    await _given_two_of_everything(store)
    raw.execute("UPDATE oauth_grants SET redirect_uri = CAST(X'68756e746572ff' AS TEXT) WHERE grant_id = ?", (GRANT,))
    for call in (store.get_grant(GRANT), live(store, "a1")):
        with pytest.raises(StoreUnavailable) as caught:
            await call
        assert "hunter" not in "".join(traceback.format_exception(caught.value))
    await _assert_others_are_as_they_were(store)


async def test_a_page_skips_a_damaged_row_and_goes_on(store: SQLStore, raw: sqlite3.Connection) -> None:
    for number in range(4):
        await given_exchanged(store, consent(f"grant-{number}", now=NOW + number))
    raw.execute("UPDATE oauth_grants SET scopes = 5 WHERE grant_id = 'grant-2'")
    first = await store.list_grants(GrantQuery(now=NOW, limit=2))
    assert [grant.grant_id for grant in first.items] == ["grant-3"]
    second = await store.list_grants(GrantQuery(now=NOW, limit=2, cursor=first.cursor))
    assert [grant.grant_id for grant in second.items] == ["grant-1", "grant-0"]


def test_an_unknown_word_of_another_version_makes_a_row_absent() -> None:
    row = [CLIENT, "imported", None, "[]", "[]", "[]", "none", None, "{}", "[]", NOW, None, 1, b""]
    row += [None, None, "[]", None, None]
    with pytest.raises(Damaged):
        to_client(row)
    assert to_client([*row[:1], "operator", *row[2:]]).origin == "operator"
    with pytest.raises(Damaged):
        to_client([*row[:1], "operator", *row[2:6], "tls_client_auth", *row[7:]])
    with pytest.raises(Damaged):
        to_live_access_token([None] * 25)
