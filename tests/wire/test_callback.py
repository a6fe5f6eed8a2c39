"""The token-exchange callback: what it may change, what its failures leave as it was, and that it runs once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from grantwell import TokenExchange, TokenExchangeResult
from tests.faults.callbacks import Scripted, asked
from tests.wire.world import R1, R2, World, parsed, refused, running_world

requirement = pytest.mark.requirement

BOTH = pytest.mark.parametrize("grant_type", ["authorization_code", "refresh_token"])


@pytest.fixture
def script() -> Scripted:
    """The callback of the world, for the test to direct."""
    return Scripted()


@pytest.fixture
async def world(store: Any, script: Scripted) -> AsyncIterator[World]:
    """A world with a callback."""
    async with running_world(store, token_exchange_callback=script, callback_timeout=0.3) as world:
        yield world


@requirement("C-151", "D-07", "S-473")
async def test_the_callback_is_told_what_is_about_to_be_issued(world: World, script: Scripted) -> None:
    client = await world.register()
    code = await world.code(client, resource=[R1, R2])
    tokens = parsed(await world.exchange(client, code, scope="read"))
    tokens = parsed(await world.refresh(client, tokens.refresh, resource=R1))
    parsed(await world.refresh(client, tokens.refresh))
    exchange, first, second = script.events
    assert exchange == TokenExchange(
        grant_type="authorization_code",
        client_id=client["client_id"],
        user_id="u1",
        grant_id=code[4:20],
        generation=0,
        idempotency_key=exchange.idempotency_key,
        scopes=("read", "write"),
        requested_scopes=("read",),
        resources=(R1, R2),
        props={"color": "teal", "user": "u1"},
        metadata={},
        access_token_ttl=3600,
    )
    assert (first.grant_type, first.generation, first.requested_scopes) == ("refresh_token", 1, ("read", "write"))
    assert (first.resources, second.resources) == ((R1,), (R1, R2))
    assert (second.grant_id, second.generation) == (exchange.grant_id, 2)
    assert len({event.idempotency_key for event in script.events}) == 3


@requirement("C-152")
@BOTH
@pytest.mark.parametrize("result", [None, TokenExchangeResult()])
async def test_a_callback_that_says_nothing_changes_nothing(
    world: World, script: Scripted, grant_type: str, result: Any
) -> None:
    script.then = result
    tokens = parsed(await (await asked(world, grant_type, script))())
    assert (tokens.raw["scope"], tokens.raw["expires_in"]) == ("read write", 3600)
    assert (await world.call(tokens.access)).json()["props"] == {"color": "teal", "user": "u1"}


@requirement("C-152", "C-154", "A-185")
@BOTH
async def test_everything_that_the_callback_changes_is_changed(world: World, script: Scripted, grant_type: str) -> None:
    request = await asked(world, grant_type, script)
    script.then = TokenExchangeResult(
        props={"n": 1}, access_token_props={"a": 1}, scopes=["read"], access_token_ttl=7, refresh_token_ttl=1000
    )
    tokens = parsed(await request())
    assert (tokens.raw["scope"], tokens.raw["expires_in"], tokens.raw["refresh_token_expires_in"]) == ("read", 7, 1000)
    called = (await world.call(tokens.access)).json()
    assert (called["props"], called["scopes"], called["expires_at"]) == ({"a": 1}, ["read"], world.clock() + 7)
    world.clock.advance(7)
    assert (await world.call(tokens.access)).status_code == 401
    script.then = None
    tokens = parsed(await world.refresh(request.client, tokens.refresh))
    assert script.events[-1].props == {"n": 1}
    assert (tokens.raw["scope"], tokens.raw["refresh_token_expires_in"]) == ("read write", 993)
    assert (await world.call(tokens.access)).json()["props"] == {"n": 1}


@requirement("C-153")
@BOTH
@pytest.mark.parametrize("empty", [None, 0, "", False, [], {}])
async def test_props_can_be_emptied_and_none_is_a_value(
    world: World, script: Scripted, grant_type: str, empty: Any
) -> None:
    script.then = TokenExchangeResult(props=empty)
    request = await asked(world, grant_type, script)
    tokens = parsed(await request())
    assert (await world.call(tokens.access)).json()["props"] == empty
    script.then = TokenExchangeResult(access_token_props=None)
    tokens = parsed(await world.refresh(request.client, tokens.refresh))
    assert (await world.call(tokens.access)).json()["props"] is None
    assert script.events[-1].props == empty


@requirement("C-154", "S-245")
@BOTH
@pytest.mark.parametrize(
    ("scopes", "scope"), [(["write", "admin", "read"], "read write"), (("write",), "write"), (["admin"], ""), ([], "")]
)
async def test_the_callback_can_narrow_the_scope_and_never_widen_it(
    world: World, script: Scripted, grant_type: str, scopes: Any, scope: str
) -> None:
    script.then = TokenExchangeResult(scopes=scopes)
    tokens = parsed(await (await asked(world, grant_type, script))())
    assert tokens.raw["scope"] == scope
    assert " ".join((await world.call(tokens.access)).json()["scopes"]) == scope


@requirement("C-154")
async def test_scopes_may_come_from_a_generator(world: World, script: Scripted) -> None:
    request = await asked(world, "refresh_token", script)
    script.then = TokenExchangeResult(scopes=(scope for scope in ["read"]))  # type: ignore[arg-type]
    assert parsed(await request()).raw["scope"] == "read"


@requirement("C-154", "S-251")
async def test_the_callback_cannot_give_back_what_the_request_left_out(world: World, script: Scripted) -> None:
    script.then = TokenExchangeResult(scopes=["read", "write"])
    request = await asked(world, "refresh_token", script)
    assert parsed(await request(scope="read")).raw["scope"] == "read"


@requirement("C-156", "C-157", "C-153")
@pytest.mark.parametrize(("ttl", "expires_in"), [(None, None), (5, 5), (0, 3600)])
async def test_the_end_of_the_grant_counts_from_the_refresh_that_sets_it(
    world: World, script: Scripted, ttl: int | None, expires_in: int | None
) -> None:
    request = await asked(world, "refresh_token", script)
    world.clock.advance(100)
    script.then = TokenExchangeResult(refresh_token_ttl=ttl)
    tokens = parsed(await request())
    assert tokens.raw.get("refresh_token_expires_in") == expires_in
    script.then = None
    if expires_in is None:
        world.clock.advance(40 * 365 * 86_400)
        parsed(await world.refresh(request.client, tokens.refresh))
        return
    assert tokens.raw["expires_in"] == expires_in, "an access token never outlives its grant"
    world.clock.advance(expires_in - 1)
    assert (await world.call(tokens.access)).status_code == 200
    world.clock.advance(1)
    assert (await world.call(tokens.access)).status_code == 401
    refused(await world.refresh(request.client, tokens.refresh), "invalid_grant")
    refused(await request(), "invalid_grant")


@requirement("C-157")
async def test_the_callback_can_turn_refresh_tokens_off_and_on(world: World, script: Scripted) -> None:
    script.then = TokenExchangeResult(refresh_token_ttl=0)
    tokens = parsed(await (await asked(world, "authorization_code", script))())
    assert "refresh_token" not in tokens.raw
    async with running_world(world.store, refresh_token_ttl=0, token_exchange_callback=script) as other:
        script.then = TokenExchangeResult(refresh_token_ttl=50)
        request = await asked(other, "authorization_code", script)
        tokens = parsed(await request())
        assert tokens.raw["refresh_token_expires_in"] == 50
        script.then = None
        parsed(await other.refresh(request.client, tokens.refresh))


@requirement("A-358", "D-07", "F-067")
@pytest.mark.parametrize("grant_type", ["refresh_token", "authorization_code"])
async def test_the_callback_runs_once_for_many_parallel_requests(
    world: World, script: Scripted, grant_type: str
) -> None:
    request = await asked(world, grant_type, script)

    async def slow(event: TokenExchange) -> TokenExchangeResult:
        await asyncio.sleep(0.05)
        return TokenExchangeResult(props={"upstream": len(script.events)})

    script.then = slow
    answers = await asyncio.gather(*(request() for _ in range(16)))
    assert len(script.events) == 1
    winners = [parsed(answer) for answer in answers if answer.status_code == 200]
    assert len(winners) == (16 if grant_type == "refresh_token" else 1)
    assert len({tokens.refresh for tokens in winners}) == 1
    assert (await world.call(winners[0].access)).json()["props"] == {"upstream": 1}
    for answer in answers:
        if answer.status_code != 200:
            refused(answer, "invalid_grant")


@requirement("A-170", "A-358", "A-185", "C-160")
async def test_a_lost_answer_is_given_again_without_asking_the_callback(world: World, script: Scripted) -> None:
    request = await asked(world, "refresh_token", script)
    script.then = TokenExchangeResult(props={"n": 1}, access_token_props={"a": 1}, scopes=["read"])
    tokens = parsed(await request())
    again = parsed(await request())
    assert (again.access, again.refresh) == (tokens.access, tokens.refresh)
    narrower = parsed(await request(scope="read"))
    assert narrower.refresh == tokens.refresh
    assert (await world.call(narrower.access)).json()["props"] == {"a": 1}
    refused(await request(scope="write"), "invalid_scope")
    assert len(script.events) == 1


@requirement("A-185", "C-160", "C-243")
async def test_after_new_props_both_live_tokens_open_them_and_old_access_tokens_the_old(
    world: World, script: Scripted
) -> None:
    request = await asked(world, "refresh_token", script)
    old = parsed(await request())
    script.then = TokenExchangeResult(props={"n": 1})
    new = parsed(await world.refresh(request.client, old.refresh))
    world.clock.advance(60)
    script.then = None
    late = parsed(await world.refresh(request.client, old.refresh))
    assert script.events[-1].props == {"n": 1}
    parsed(await world.refresh(request.client, late.refresh))
    assert script.events[-1].props == {"n": 1}
    assert (await world.call(old.access)).json()["props"] == {"color": "teal", "user": "u1"}
    for access in (new.access, late.access):
        assert (await world.call(access)).json()["props"] == {"n": 1}


@requirement("A-170", "A-185")
async def test_a_lost_answer_whose_access_token_was_revoked_comes_with_one_that_works(
    world: World, script: Scripted
) -> None:
    request = await asked(world, "refresh_token", script)
    script.then = TokenExchangeResult(access_token_props={"a": 1})
    tokens = parsed(await request())
    assert (await world.revoke(request.client, tokens.access)).status_code == 200
    again = parsed(await request())
    assert again.refresh == tokens.refresh
    assert (await world.call(again.access)).status_code == 200
