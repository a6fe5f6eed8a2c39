"""Whatever stands in a column, its row fails closed, nobody else notices, and no answer is a 500."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest

from grantwell import TokenExchange, TokenExchangeResult
from grantwell._flows import callback
from tests.faults.rows import GRANT_TABLES, Rows
from tests.wire.world import R1, Tokens, World, new_store, parsed, refused, running_world

requirement = pytest.mark.requirement

VALUES: list[Any] = [None, "", "text", "[]", "[1]", b"\xff\x00" * 16, -1, 1, 2**63 - 1]
TABLES = {
    "oauth_clients": "client_id",
    "oauth_grants": "grant_id",
    "oauth_codes": "grant_id",
    "oauth_access_tokens": "grant_id",
    "oauth_props": "grant_id",
}


def _callback(event: TokenExchange) -> TokenExchangeResult:
    return TokenExchangeResult(props={**event.props, "n": 1}, access_token_props=event.props)


@requirement("F-095", "D-13", "S-108")
@pytest.mark.parametrize(("table", "asks"), [*((table, False) for table in TABLES), ("oauth_grants", True)])
async def test_a_damaged_row_is_refused_and_nobody_else_notices(tmp_path: Path, table: str, asks: bool) -> None:
    options: dict[str, Any] = {"token_exchange_callback": _callback, "callback_timeout": 0.1} if asks else {}
    store = new_store("sqlite", tmp_path)
    async with running_world(store, **options) as world:
        client, other = await world.register(), await world.register()
        first = await world.tokens(client)
        tokens = parsed(await world.refresh(client, first.refresh))
        world.clock.advance(60 if asks else 0)
        code = await world.code(client, headers={"x-user": "u3"})
        bystander = await world.tokens(other, headers={"x-user": "u2"})
        rows, tried = Rows(tmp_path), 0
        key = client["client_id"] if table == "oauth_clients" else tokens.access[4:20]
        if table == "oauth_codes":
            key = code[4:20]
        copy = rows.kept("oauth_clients", *GRANT_TABLES)
        for column in rows.columns(table):
            if asks and column.startswith("lease_"):
                continue  # These have a test of their own: a damaged lease is waited for.
            for value in VALUES:
                try:
                    await asyncio.to_thread(
                        rows.run, f"UPDATE {table} SET {column} = ? WHERE {TABLES[table]} = ?", value, key
                    )
                except sqlite3.IntegrityError:
                    continue  # The database itself keeps this value out.
                tried += 1
                try:
                    await _nothing_is_gained(world, client, first, tokens, code)
                    assert (await world.call(bystander.access)).json()["user"] == "u2"
                except AssertionError as error:
                    raise AssertionError(f"{table}.{column} = {value!r}: {error}") from error
                await asyncio.to_thread(rows.put_back, copy)
        assert tried > 20
        parsed(await world.refresh(other, bystander.refresh))
        parsed(await world.refresh(client, tokens.refresh))
        parsed(await world.exchange(client, code))


async def _nothing_is_gained(world: World, client: dict[str, Any], first: Tokens, tokens: Tokens, code: str) -> None:
    """Use everything of the damaged grant: each use is refused, or gives what it gave before."""
    _same_or_refused(await world.call(tokens.access))
    for refresh_token in (first.refresh, tokens.refresh):
        answer = await world.refresh(client, refresh_token)
        _tokens_or_refused(answer)
        if answer.status_code == 200:
            _same_or_refused(await world.call(parsed(answer).access))
    _tokens_or_refused(await world.exchange(client, code))
    for text in (code, tokens.refresh):
        answer = await world.revoke(client, text)
        assert answer.status_code in (200, 401), answer.text


def _same_or_refused(answer: httpx.Response) -> None:
    assert answer.status_code in (200, 401), answer.text
    if answer.status_code == 200:
        called = answer.json()
        assert (called["user"], called["scopes"], called["audience"]) == ("u1", ["read", "write"], [R1])
        assert called["props"]["user"] == "u1"


def _tokens_or_refused(answer: httpx.Response) -> None:
    assert answer.status_code in (200, 400, 401), answer.text
    if answer.status_code == 200:
        raw = answer.json()
        assert (raw["scope"], raw["resource"]) == ("read write", R1)
        assert 0 < raw["expires_in"] <= 3600
        assert raw["refresh_token_expires_in"] <= 30 * 86_400
    else:
        assert answer.json()["error"] in ("invalid_grant", "invalid_client")


@requirement("F-095", "F-082", "D-07")
@pytest.mark.parametrize("column", ["lease_id", "lease_until", "lease_lapses", "lease_refusals"])
async def test_a_damaged_lease_costs_its_grant_a_503_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    monkeypatch.setattr(callback, "LEASE_SECONDS", 0.05)
    store = new_store("sqlite", tmp_path)
    async with running_world(store, token_exchange_callback=_callback, callback_timeout=0.01) as world:
        client, rows = await world.register(), Rows(tmp_path)
        tokens = await world.tokens(client)
        copy = rows.kept(*GRANT_TABLES)
        for value in VALUES:
            with contextlib.suppress(sqlite3.IntegrityError):
                rows.run(f"UPDATE oauth_grants SET {column} = ?", value)
            answer = await world.refresh(client, tokens.refresh)
            if answer.status_code == 503:
                refused(answer, "temporarily_unavailable", 503)
            else:
                _tokens_or_refused(answer)
            rows.put_back(copy)
        parsed(await world.refresh(client, tokens.refresh))


@requirement("F-097")
@pytest.mark.parametrize("table", ["oauth_clients", "oauth_grants", "oauth_props"])
async def test_orphans_are_refused(tmp_path: Path, table: str) -> None:
    async with running_world(new_store("sqlite", tmp_path)) as world:
        client = await world.register()
        tokens, code = await world.tokens(client), await world.code(client, headers={"x-user": "u2"})
        Rows(tmp_path).run(f"DELETE FROM {table}")
        assert (await world.call(tokens.access)).status_code == 401
        for answer in (await world.refresh(client, tokens.refresh), await world.exchange(client, code)):
            assert answer.json()["error"] == ("invalid_client" if table == "oauth_clients" else "invalid_grant")
