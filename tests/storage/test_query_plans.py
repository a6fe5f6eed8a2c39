"""No method of the store looks through a whole table: each statement is planned by an index."""

from __future__ import annotations

import inspect
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from grantwell.store import (
    Attempt,
    ClientQuery,
    EventQuery,
    GrantQuery,
    Purge,
    Revocation,
    SignIn,
    Use,
    UserChange,
    UserQuery,
    UserRevocation,
)
from grantwell.testing.samples import (
    CLIENT,
    GRANT,
    NOW,
    USER,
    claim,
    client,
    consent,
    digest,
    direct,
    given_browser,
    given_consent,
    initial_access,
    key,
    lease,
    more,
    redemption,
    registration,
    rotation,
    session,
    user,
    waiting,
)
from grantwell.testing.samples import (
    event as told,
)
from grantwell_storage import SQLStore
from grantwell_storage._sql.store import _LIVE_ACCESS_TOKEN

pytestmark = pytest.mark.anyio

Statement = tuple[str, Any]

# A listing without a filter walks the index of its order, and stops at the end of the page.
LISTINGS = (
    "SCAN oauth_clients USING INDEX ix_oauth_clients_created_at_client_id",
    "SCAN oauth_grants USING INDEX ix_oauth_grants_created_at_grant_id",
    "SCAN oauth_users",
    "SCAN oauth_events USING INDEX ix_oauth_events_at_event_id",
)


def recorded(store: SQLStore) -> list[Statement]:
    """The statements that the store executes from now on, with their values."""
    statements: list[Statement] = []
    held = store._database._session
    assert held is not None
    for engine in (held.writer, held.readers):
        event.listen(
            engine.sync_engine,
            "before_cursor_execute",
            lambda conn, cursor, statement, parameters, context, many: statements.append(
                (statement, parameters[0] if many else parameters)
            ),
        )
    return statements


def plan(database: Path, statement: Statement) -> list[str]:
    """How SQLite runs a statement."""
    connection = sqlite3.connect(database)
    try:
        return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement[0]}", statement[1])]
    finally:
        connection.close()


async def use_every_method(store: SQLStore) -> None:
    """Call each method of the store in a way that reaches each of its statements."""
    await given_browser(store)
    await store.get_interaction(key("request", "browser"), NOW)
    await given_consent(store, consent(interaction=key("request", "browser")))
    await given_consent(store, consent("grant-2", user_id=None, redirect_uri=None))
    await store.replace_client(client(version=2))
    await store.get_grant(GRANT)
    await store.get_code(GRANT, digest(f"code of {GRANT}"))
    await use_registration_and_direct_grants(store)
    await store.take_lease(lease("lease", generation=0))
    await store.renew_lease(GRANT, "lease", NOW + 20)
    await store.release_lease(GRANT, "lease", refused=False)
    await store.redeem_code(redemption(replaces=True, keep_newest=1))
    await store.redeem_code(redemption("grant-2", replaces=True, keep_newest=1))
    await store.get_refreshable(GRANT)
    await store.rotate(rotation(1))
    await store.add_access_token(more("extra", generation=2))
    await store.add_access_token(more("child", generation=2, parent=digest("extra")))
    await store.revoke_access_token(GRANT, digest("extra"))
    await store.record_use(Use(grant_ids=(GRANT,), client_ids=(CLIENT,), now=NOW + 1))
    await store.list_users(UserQuery())
    await store.replace_user(UserChange(user=user(version=2), revokes="password_changed", now=NOW))
    await store.revoke_grant(Revocation(grant_id=GRANT, now=NOW, reason="operator", user_id=USER, client_id=CLIENT))
    for client_id in (None, CLIENT):
        await store.revoke_user_grants(UserRevocation(user_id=USER, now=NOW, reason="operator", client_id=client_id))
    await store.add_session(session("anonymous"))
    await store.add_interaction(waiting("another", "anonymous"))
    await store.close_interaction(key("another", "anonymous"), NOW)
    await store.sign_in(SignIn(session=session("next", user_id=USER), replaced=digest("anonymous"), now=NOW))
    await store.get_session(digest("next"), NOW)
    await store.list_sessions(USER, NOW)
    assert await store.seal_session(digest("next"), None, session("next").sealed)
    await store.end_user_session(USER, digest("next"))
    await store.end_other_sessions(USER, digest("next"))
    await store.end_session(digest("next"))
    await store.get_user(USER)
    await store.delete_user(USER, NOW)
    await store.count_attempt(Attempt(key=digest("throttle"), window=60, now=NOW))
    await store.count_attempts(digest("throttle"), NOW)
    await store.clear_attempts(digest("throttle"))
    await store.purge(Purge(now=NOW, ended_before=NOW, unused_since=NOW, never_used_since=NOW, limit=9))
    late = NOW + 10**9
    old = Purge(now=late, ended_before=late, unused_since=late, never_used_since=late, limit=9, events_before=late)
    await store.purge(old)
    await store.delete_client(CLIENT)
    await use_every_listing(store)


async def use_registration_and_direct_grants(store: SQLStore) -> None:
    """Register within a quota, and bring a document and direct grants, of a user and of nobody."""
    await store.add_initial_access_token(initial_access("initial"))
    await store.get_initial_access_token(digest("initial"), NOW)
    assert await store.register_client(registration("registered", initial_access="initial")) == "registered"
    assert await store.register_client(registration("too many", most_unused=1)) == "too_many"
    assert await store.register_client(registration("without quota", most_unused=None)) == "registered"
    for version in (1, 2):
        document = client("document", origin="document", version=version)
        new = replace(consent(f"of document {version}", client_id="document"), document=document)
        assert await store.add_grant(new) == "added"
    assert await store.claim(claim("claim"), NOW)
    for user_id in (USER, None):
        new_direct = direct(f"direct of {user_id}", user_id=user_id, claim=claim(f"for {user_id}"), keep_newest=1)
        assert await store.add_direct_grant(new_direct) == "added"


async def use_every_listing(store: SQLStore) -> None:
    """Ask for first and later pages, with each filter."""
    for number in range(2):
        await store.add_client(client(f"page-{number}"))
        await store.add_grant(consent(f"page-{number}", client_id="page-0"))
        await store.add_user(user(f"page-{number}"))
    clients = await store.list_clients(ClientQuery(limit=1))
    await store.list_clients(ClientQuery(cursor=clients.cursor))
    users = await store.list_users(UserQuery(limit=1))
    await store.list_users(UserQuery(cursor=users.cursor))
    grants = await store.list_grants(GrantQuery(now=NOW, limit=1))
    assert clients.cursor
    assert users.cursor
    assert grants.cursor
    for user_id, client_id in ((None, None), (USER, None), (None, "page-0"), (USER, "page-0")):
        for state in (None, "active", "pending", "ended"):
            for cursor in (None, grants.cursor):
                query = GrantQuery(now=NOW, user_id=user_id, client_id=client_id, state=state, cursor=cursor)
                await store.list_grants(query)
                await store.list_grants(replace(query, created_before=NOW, unused_since=NOW))
    await use_every_listing_of_events(store)


async def use_every_listing_of_events(store: SQLStore) -> None:
    """The same for events."""
    await store.add_events([told("1"), told("2")])
    first = await store.list_events(EventQuery(limit=1))
    assert first.cursor
    filters: list[dict[str, Any]] = [
        {},
        *({name: "x"} for name in ("user_id", "client_id", "grant_id", "name", "reference")),
    ]
    for chosen in filters:
        for since in (None, NOW):
            for cursor in (None, first.cursor):
                await store.list_events(EventQuery(**chosen, since=since, cursor=cursor))


async def test_every_method_is_looked_at_here() -> None:
    looked_at = (
        use_every_method,
        use_registration_and_direct_grants,
        use_every_listing,
        use_every_listing_of_events,
    )
    used = "".join(map(inspect.getsource, looked_at))
    used += "open( close( add_client( add_user( list_clients( get_client( get_access_token( add_grant("
    methods = [name for name, _ in inspect.getmembers(SQLStore, inspect.isfunction) if not name.startswith("_")]
    assert [name for name in methods if f"{name}(" not in used] == []


@pytest.mark.requirement("A-307")
async def test_no_statement_scans_a_table(store: SQLStore, database: Path) -> None:
    statements = recorded(store)
    await use_every_method(store)
    statements = [entry for entry in statements if entry[0].lstrip()[:6] in ("SELECT", "INSERT", "UPDATE", "DELETE")]
    assert len({statement for statement, _ in statements}) > 50
    scans = {
        (step, statement)
        for statement, parameters in statements
        for step in plan(database, (statement, parameters))
        if step.startswith("SCAN oauth_") and not step.startswith(LISTINGS)
    }
    assert not scans


@pytest.mark.requirement("A-307")
async def test_a_listing_is_not_sorted_but_read_in_its_order(store: SQLStore, database: Path) -> None:
    statements = recorded(store)
    await use_every_listing(store)
    sorts = {
        statement
        for statement, parameters in statements
        if statement.startswith("SELECT") and "ORDER BY" in statement
        for step in plan(database, (statement, parameters))
        if "TEMP B-TREE" in step
    }
    assert not sorts


async def test_the_quota_of_an_address_is_counted_by_an_index_of_its_unused_clients(
    store: SQLStore, database: Path
) -> None:
    statements = recorded(store)
    await store.register_client(registration("registered"))
    (statement,) = [entry for entry in statements if entry[0].startswith("INSERT")]
    steps = [step for step in plan(database, statement) if "oauth_clients" in step]
    assert steps == [
        "SEARCH oauth_clients USING INDEX ix_oauth_clients_registered_from_created_at "
        "(registered_from=? AND created_at>?)"
    ]


async def test_an_access_token_is_found_by_keys_alone(database: Path) -> None:
    steps = plan(database, (_LIVE_ACCESS_TOKEN, {"owner": GRANT, "token": digest("a1"), "at": NOW}))
    assert len(steps) == 4
    assert all(step.startswith("SEARCH") for step in steps), steps
    assert all("_autoindex_" in step or "PRIMARY KEY" in step for step in steps), steps
