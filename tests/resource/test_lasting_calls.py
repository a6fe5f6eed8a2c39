"""Revocation seen from a resource server elsewhere: by the next call, by calls that are open, and with a cache."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from grantwell import current_principal
from grantwell._http import calls
from grantwell.resource import introspection
from grantwell.testing import FrozenClock
from tests.resource.host import until
from tests.resource.place import Place, place_of, running_issuer, running_place, served
from tests.wire.world import Conversation, asgi_scope

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement


@requirement("S-125", "A-262", "D-09")
async def test_a_revoked_token_is_refused_by_the_next_call(place: Place) -> None:
    token = place.issuer.token()
    for _ in range(3):
        assert (await place.call(token)).status_code == 200
    assert place.issuer.asked == [token] * 3
    place.issuer.revoke(token)
    answer = await place.call(token)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert place.app.ran == 3


@requirement("S-125", "S-124")
async def test_with_a_cache_a_revocation_takes_as_long_as_the_operator_said() -> None:
    async with running_place(cache_seconds=30) as place:
        token = place.issuer.token()
        assert (await place.call(token)).status_code == 200
        place.issuer.revoke(token)
        place.clock.advance(29)
        assert (await place.call(token)).status_code == 200
        assert place.issuer.asked == [token]
        place.clock.advance(1)
        assert (await place.call(token)).status_code == 401


@requirement("S-124", "S-112")
async def test_nothing_is_believed_beyond_the_end_of_a_token() -> None:
    async with running_place(cache_seconds=60) as place:
        token = place.issuer.token(exp=int(place.clock()) + 10)
        assert (await place.call(token)).status_code == 200
        place.clock.advance(9)
        assert (await place.call(token)).status_code == 200
        assert len(place.issuer.asked) == 1
        place.clock.advance(1)
        assert (await place.call(token)).status_code == 401
        assert len(place.issuer.asked) == 2


@requirement("S-124")
async def test_a_clock_that_is_set_back_makes_nothing_last_longer() -> None:
    async with running_place(cache_seconds=60) as place:
        token = place.issuer.token()
        assert (await place.call(token)).status_code == 200
        place.issuer.revoke(token)
        place.clock.advance(-1)
        assert (await place.call(token)).status_code == 401


@requirement("S-124", "S-123")
async def test_a_refusal_and_trouble_are_not_remembered() -> None:
    async with running_place(cache_seconds=60) as place:
        token = place.issuer.token()
        claims = place.issuer.claims.pop(token)
        assert (await place.call(token)).status_code == 401
        place.issuer.answer = lambda form: JSONResponse({}, 500)
        assert (await place.call(token)).status_code == 503
        place.issuer.answer = None
        place.issuer.claims[token] = claims
        assert (await place.call(token)).status_code == 200


@requirement("A-272", "S-124")
@pytest.mark.parametrize("cache_seconds", [0, 60])
async def test_what_an_application_does_to_props_stays_in_its_call(cache_seconds: int) -> None:
    async def careless(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            seen = JSONResponse(scope["user"].props)
            scope["user"].props["color"] = "red"
            scope["user"].props["user"] = "root"
            await seen(scope, receive, send)

    async with running_place(careless, cache_seconds=cache_seconds) as place:
        token = place.issuer.token()
        for _ in range(3):
            assert (await place.call(token)).json() == {"color": "teal", "user": "u1"}


@requirement("S-124")
async def test_the_cache_forgets_the_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(introspection, "MAX_REMEMBERED", 3)
    async with running_place(cache_seconds=60) as place:
        tokens = [place.issuer.token(f"u{number}") for number in range(4)]
        for token in [*tokens, *tokens[1:], tokens[0], tokens[1]]:
            assert (await place.call(token)).json()["user"] == f"u{tokens.index(token)}"
        assert place.issuer.asked == [*tokens, tokens[0], tokens[1]]


@requirement("A-271", "S-088")
@pytest.mark.parametrize("cache_seconds", [0, 60])
async def test_fifty_users_at_once_are_never_taken_for_each_other(cache_seconds: int) -> None:
    async def wandering(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        first = current_principal()
        await asyncio.sleep(0.001 * (len(scope["path"]) % 3))
        names = {first.user_id, current_principal().user_id, scope["user"].user_id, scope["user"].props["user"]}
        await JSONResponse(sorted(map(str, names)))(scope, receive, send)

    async with running_place(wandering, cache_seconds=cache_seconds) as place:
        tokens = {f"u{number}": place.issuer.token(f"u{number}") for number in range(50)}
        for turn in range(4):
            answers = await asyncio.gather(*(place.call(token, "/api/" + "x" * turn) for token in tokens.values()))
            assert [answer.json() for answer in answers] == [[user] for user in tokens]
    with pytest.raises(LookupError):
        current_principal()


async def endless(scope: Scope, receive: Receive, send: Send) -> None:
    """Begins an answer, or accepts a websocket, and goes on for ever."""
    if scope["type"] == "lifespan":
        return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
    await asyncio.get_running_loop().create_future()


async def opened(place: Place, token: str, type_: Any) -> Conversation:
    """A call whose answer has begun."""
    talk = Conversation(place.server, asgi_scope("/api", type_=type_, headers={"authorization": f"Bearer {token}"}))
    if type_ == "websocket":
        talk.say("websocket.connect")
    assert await talk.hear() is not None
    return talk


async def rechecked(place: Place) -> None:
    """What the timer does every five seconds, for calls that have lasted as long."""
    open_calls = place.server._guard.open_calls
    for call in open_calls._open:
        call.opened_at -= calls.RECHECK_SECONDS
    await open_calls.recheck()
    for _ in range(10):
        await asyncio.sleep(0)


@requirement("A-273", "S-125")
async def test_open_calls_end_once_their_token_is_revoked() -> None:
    async with running_place(endless) as place:
        token, other = place.issuer.token(), place.issuer.token("u2")
        stream, socket = await opened(place, token, "http"), await opened(place, token, "websocket")
        survivor = await opened(place, other, "http")
        await rechecked(place)
        assert not stream.task.done()
        place.issuer.revoke(token)
        await rechecked(place)
        assert await stream.hear() is None
        assert await socket.hear() == {"type": "websocket.close", "code": 1008}
        assert await socket.hear() is None
        assert not survivor.task.done()
        survivor.task.cancel()


@requirement("A-273", "A-276", "S-112")
async def test_while_nobody_answers_open_calls_go_on_to_the_end_of_their_token() -> None:
    async with running_place(endless) as place:
        token = place.issuer.token(exp=int(place.clock()) + 10)
        longer = place.issuer.token()
        streams = [await opened(place, token, "http"), await opened(place, longer, "websocket")]
        place.issuer.answer = lambda form: JSONResponse({}, 500)
        for seconds, done in ((0, [False, False]), (9, [False, False]), (1, [True, False])):
            place.clock.advance(seconds)
            await rechecked(place)
            assert [stream.task.done() for stream in streams] == done
        place.issuer.answer = None
        place.issuer.revoke(longer)
        await rechecked(place)
        assert streams[1].task.done()


@requirement("A-273", "S-125")
async def test_on_the_wire_a_stream_ends_by_itself_after_a_revocation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "RECHECK_SECONDS", 0.02)

    async def ticking(scope: Scope, receive: Receive, send: Send) -> None:
        async def ticks() -> AsyncIterator[str]:
            while True:
                yield "tick\n"
                await asyncio.sleep(0.005)

        if scope["type"] == "http":
            await StreamingResponse(ticks())(scope, receive, send)

    async with running_place(ticking) as place, served(place.server) as origin, httpx.AsyncClient() as http:
        token = place.issuer.token()
        headers = {"Authorization": f"Bearer {token}"}
        ticks = 0
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):  # noqa: PT012
            async with http.stream("GET", f"{origin}/api", headers=headers) as answer:
                async for _ in answer.aiter_lines():
                    ticks += 1
                    if ticks == 40:
                        place.issuer.revoke(token)
        assert ticks >= 40
        assert (await http.get(f"{origin}/api", headers=headers)).status_code == 401


@requirement("A-273")
async def test_a_server_that_ends_during_a_check_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "RECHECK_SECONDS", 0.01)
    async with running_issuer(FrozenClock()) as issuer:
        async with place_of(issuer, endless) as place:
            stream = await opened(place, issuer.token(), "http")
            issuer.hold = asyncio.Event()
            await until(lambda: len(issuer.asked) == 2)
            stream.task.cancel()
        issuer.hold.set()
        open_calls = place.server._guard.open_calls
        assert open_calls._timer is None
        assert open_calls._check is not None
        with pytest.raises(asyncio.CancelledError):
            await open_calls._check
