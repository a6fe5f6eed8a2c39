"""Answers and websockets that stay open (threats A-273): ended once their token is; short ones are left alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from grantwell import ExternalToken, ExternalTokenCheck, OAuthProvider, StoreUnavailable, current_principal
from grantwell._http import calls
from grantwell.records import Digest
from grantwell.store import LiveAccessToken
from grantwell_storage import MemoryStore
from tests.wire.world import PARSERS, R1, Conversation, Tokens, World, api, asgi_scope, running_world, serving

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement


async def endless(scope: Scope, receive: Receive, send: Send) -> None:
    """`/silent` never answers; `/stream` begins and goes on; `/stubborn` survives the first attempt to end it."""
    if scope["type"] == "lifespan":
        return
    if scope["type"] == "websocket":
        await receive()
        if not scope["path"].endswith("/silent"):
            await send({"type": "websocket.accept"})
        if scope["path"].endswith("/closed"):
            await send({"type": "websocket.close", "code": 1000})
    elif scope["path"].endswith(("/stream", "/stubborn")):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
    if scope["path"].endswith("/stubborn"):
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            await send({"type": "http.response.body", "body": b"never", "more_body": True})
    await asyncio.get_running_loop().create_future()


class Counting(MemoryStore):
    """A store that counts how often a token is looked up, and can be away."""

    lookups = 0
    away = False

    async def get_access_token(self, grant_id: str, token: Digest, now: int) -> LiveAccessToken | None:
        self.lookups += 1
        if self.away:
            raise StoreUnavailable("away")
        return await super().get_access_token(grant_id, token, now)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running_world(Counting(), api_handlers={"/api": endless}, resources={}) as running:
        yield running


async def settle() -> None:
    """Let everything that is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def recheck(provider: OAuthProvider) -> None:
    """What the timer does every five seconds, for calls that have lasted as long."""
    for opened in provider._guard.open_calls._open:
        opened.opened_at -= calls.RECHECK_SECONDS
    await provider._guard.open_calls.recheck()
    await settle()


def open_call(world: World, token: str, path: str = "/api/stream", type_: Any = "http") -> Conversation:
    talk = Conversation(world.provider, asgi_scope(path, type_=type_, headers={"authorization": f"Bearer {token}"}))
    if type_ == "websocket":
        talk.say("websocket.connect")
    return talk


async def begun(talk: Conversation, messages: int = 2) -> Conversation:
    for _ in range(messages):
        assert await talk.hear() is not None
    return talk


Ending = Callable[[World, dict[str, Any], Tokens], Awaitable[object]]


async def revoke_token(world: World, client: dict[str, Any], tokens: Tokens) -> None:
    await world.revoke(client, tokens.access)


async def revoke_grant(world: World, client: dict[str, Any], tokens: Tokens) -> None:
    await world.provider.helpers.revoke_user_grants("u1")


async def delete_client(world: World, client: dict[str, Any], tokens: Tokens) -> None:
    await world.provider.helpers.delete_client(client["client_id"])


async def expire(world: World, client: dict[str, Any], tokens: Tokens) -> None:
    world.clock.advance(3600)


@requirement("A-273", "S-125", "S-112", "D-09")
@pytest.mark.parametrize("end", [revoke_token, revoke_grant, delete_client, expire])
async def test_an_open_answer_ends_once_its_token_has(world: World, end: Ending) -> None:
    client = await world.register()
    mine = await world.tokens(client, scope=None)
    other = await world.tokens(await world.register(), headers={"x-user": "u2"}, scope=None)
    stream, survivor = await begun(open_call(world, mine.access)), await begun(open_call(world, other.access))
    socket = await begun(open_call(world, mine.access, type_="websocket"), 1)
    await recheck(world.provider)
    assert not stream.task.done()
    assert not socket.task.done()
    await end(world, client, mine)
    await recheck(world.provider)
    assert await stream.hear() is None, "the answer is cut off, and no exception reaches the server"
    assert await socket.hear() == {"type": "websocket.close", "code": 1008}
    assert await socket.hear() is None
    assert survivor.task.done() == (end is expire)
    survivor.task.cancel()


@requirement("A-273", "S-101", "S-110")
async def test_a_call_that_was_not_answered_yet_gets_the_answer_of_a_dead_token(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client, scope=None)
    silent = open_call(world, tokens.access, "/api/silent")
    socket = open_call(world, tokens.access, "/api/silent", "websocket")
    await settle()
    await world.revoke(client, tokens.access)
    await recheck(world.provider)
    status, headers, body = await silent.answered()
    assert (status, b"invalid_token" in body) == (401, True)
    assert 'error="invalid_token"' in headers["www-authenticate"]
    assert await socket.hear() == {"type": "websocket.close", "code": 1008}
    assert await socket.hear() is None


@requirement("A-273")
async def test_a_websocket_that_its_application_closed_is_not_closed_twice(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client, scope=None)
    socket = await begun(open_call(world, tokens.access, "/api/closed", "websocket"), 2)
    await world.revoke(client, tokens.access)
    await recheck(world.provider)
    assert await socket.hear() is None


@requirement("A-273")
async def test_an_application_that_will_not_end_is_told_again(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client, scope=None)
    stubborn = await begun(open_call(world, tokens.access, "/api/stubborn"))
    await world.revoke(client, tokens.access)
    await recheck(world.provider)
    assert not stubborn.task.done()
    await recheck(world.provider)
    assert stubborn.task.done()


@requirement("A-273", "A-276")
async def test_a_store_in_trouble_ends_no_call(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client, scope=None)
    stream = await begun(open_call(world, tokens.access))
    world.store.away = True
    await recheck(world.provider)
    assert not stream.task.done()
    world.store.away = False
    await world.revoke(client, tokens.access)
    await recheck(world.provider)
    assert stream.task.done()


@requirement("A-273", "C-214")
async def test_calls_with_external_tokens_end_when_the_resolver_says_so_and_not_when_it_fails() -> None:
    says: list[ExternalToken | Exception | None] = [None]

    async def resolve(check: ExternalTokenCheck) -> ExternalToken | None:
        if check.token == "hang":
            if says[0] is None:
                await asyncio.get_running_loop().create_future()
            return ExternalToken(user_id="slow", props=None, audience=[R1])
        if isinstance(says[0], Exception):
            raise says[0]
        return says[0]

    known = ExternalToken(user_id="e1", props=None, audience=[R1])
    async with running_world(
        MemoryStore(),
        api_handlers={"/api": endless},
        resources={},
        resolve_external_token=resolve,
        callback_timeout=0.05,
    ) as world:
        says[0] = known
        stream, slow = await begun(open_call(world, "external")), await begun(open_call(world, "hang"))
        for trouble in (RuntimeError("upstream is down"), StoreUnavailable("away"), known):
            says[0] = trouble
            await recheck(world.provider)
            assert not stream.task.done()
        says[0] = None
        await recheck(world.provider)
        assert stream.task.done(), "a resolver that hangs for one call holds up no other"
        assert not slow.task.done()
        slow.task.cancel()


@requirement("A-273")
async def test_a_call_that_the_server_cancels_is_cancelled(world: World) -> None:
    tokens = await world.tokens(await world.register(), scope=None)
    stream = await begun(open_call(world, tokens.access))
    stream.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stream.task
    assert not world.provider._guard.open_calls._open


@requirement("A-273")
async def test_a_call_that_has_just_begun_is_not_looked_at_yet(world: World) -> None:
    tokens = await world.tokens(await world.register(), scope=None)
    stream = await begun(open_call(world, tokens.access))
    lookups = world.store.lookups
    await world.provider._guard.open_calls.recheck()
    assert world.store.lookups == lookups
    stream.task.cancel()


@requirement("A-273")
async def test_short_calls_are_never_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "RECHECK_SECONDS", 0.02)
    store = Counting()
    async with running_world(store, api_handlers={"/api": api}, resources={}) as world:
        token = (await world.tokens(await world.register(), scope=None)).access
        for _ in range(20):
            assert (await world.call(token)).status_code == 200
        await asyncio.sleep(0.06)
        assert store.lookups == 20
        assert world.provider._guard.open_calls._timer is None


@requirement("A-273", "S-125")
@pytest.mark.parametrize("parser", PARSERS)
async def test_on_the_wire_a_stream_ends_by_itself_after_a_revocation(
    parser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "RECHECK_SECONDS", 0.02)

    async def ticking(scope: Scope, receive: Receive, send: Send) -> None:
        async def ticks() -> AsyncIterator[str]:
            while True:
                yield f"data: {current_principal().user_id}\n\n"
                await asyncio.sleep(0.005)

        if scope["type"] == "http":
            await StreamingResponse(ticks(), media_type="text/event-stream")(scope, receive, send)

    async with running_world(MemoryStore(), api_handlers={"/api": ticking}, resources={}) as world:
        client = await world.register()
        tokens = await world.tokens(client, scope=None)
        async with serving(world.provider, parser) as port, httpx.AsyncClient() as http:
            headers = {"Authorization": f"Bearer {tokens.access}", "Host": "as.test"}
            ticks = 0
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):  # noqa: PT012
                async with http.stream("GET", f"http://127.0.0.1:{port}/api", headers=headers) as answer:
                    assert answer.status_code == 200
                    async for line in answer.aiter_lines():
                        assert line in ("data: u1", "")
                        ticks += 1
                        if ticks == 40:
                            await world.revoke(client, tokens.access)
            assert ticks >= 40
            again = await http.get(f"http://127.0.0.1:{port}/api", headers=headers)
            assert again.status_code == 401


@requirement("C-008", "A-267")
async def test_bodies_stream_both_ways_in_the_chunks_they_came_in() -> None:
    async def upper(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        async for chunk in Request(scope, receive).stream():
            await send({"type": "http.response.body", "body": chunk.upper(), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async with running_world(MemoryStore(), api_handlers={"/api": upper}, resources={}) as world:
        token = (await world.tokens(await world.register(), scope=None)).access
        talk = Conversation(world.provider, asgi_scope(method="POST", headers={"authorization": f"Bearer {token}"}))
        start = await talk.hear()
        assert start is not None
        for chunk in (b"a", b"bb" * 100_000, b"c"):
            talk.say("http.request", body=chunk, more_body=True)
            message = await talk.hear()
            assert message is not None
            assert message["body"] == chunk.upper()
        talk.say("http.request", body=b"", more_body=False)
        await begun(talk, 1)
        assert await talk.hear() in (None, {"type": "http.response.body", "body": b""})
