"""Websockets below a protected prefix (threats A-266): nobody is accepted without a principal."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from grantwell import current_principal, require_scopes
from grantwell_storage import MemoryStore
from tests.wire.world import PARSERS, R2, Conversation, World, altered, asgi_scope, running_world, serving, spoken

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

DENIAL: dict[str, Any] = {"extensions": {"websocket.http.response": {}}}


class Chat:
    """A websocket application that greets its user; `/early`, `/late` and `/accepted` ask for a scope on the way."""

    def __init__(self) -> None:
        self.ran = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        self.ran += 1
        if scope["path"].endswith("/early"):
            require_scopes("write")
        assert (await receive())["type"] == "websocket.connect"
        if scope["path"].endswith("/late"):
            require_scopes("write")
        await send({"type": "websocket.accept"})
        if scope["path"].endswith("/accepted"):
            require_scopes("write")
        await send({"type": "websocket.send", "text": f"hello {current_principal().user_id}"})
        while (message := await receive())["type"] != "websocket.disconnect":
            await send({"type": "websocket.send", "text": message["text"]})


@pytest.fixture
async def chatting() -> AsyncIterator[tuple[World, Chat]]:
    """A world whose protected application is a chat."""
    chat = Chat()
    async with running_world(MemoryStore(), api_handlers={"/api": chat, "/other": chat}) as world:
        yield world, chat


def connect(world: World, token: str | None, path: str = "/api/ws", **changes: Any) -> Conversation:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    talk = Conversation(world.provider, asgi_scope(path, type_="websocket", headers=headers, **changes))
    talk.say("websocket.connect")
    return talk


async def refusal(talk: Conversation) -> tuple[int, dict[str, str]]:
    """The status and headers that a websocket was refused with; nothing else was said."""
    start, body = await talk.hear(), await talk.hear()
    assert start is not None
    assert body is not None
    assert (start["type"], body["type"]) == ("websocket.http.response.start", "websocket.http.response.body")
    assert await talk.hear() is None
    return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}


async def closed(talk: Conversation) -> Message | None:
    """The close of a websocket, after which nothing is said."""
    message = await talk.hear()
    assert await talk.hear() is None
    return message


@requirement("A-266", "S-083", "S-088")
async def test_with_a_token_a_websocket_is_passed_on_untouched(chatting: tuple[World, Chat]) -> None:
    world, _ = chatting
    talk = connect(world, (await world.tokens(await world.register())).access)
    assert await talk.hear() == {"type": "websocket.accept"}
    assert await talk.hear() == {"type": "websocket.send", "text": "hello u1"}
    talk.say("websocket.receive", text="echo")
    assert await talk.hear() == {"type": "websocket.send", "text": "echo"}
    talk.say("websocket.disconnect", code=1000)
    assert await talk.hear() is None


@requirement("A-266", "S-095", "S-101", "S-104", "S-110", "A-261", "A-204")
async def test_without_one_it_is_refused_before_it_is_accepted(chatting: tuple[World, Chat]) -> None:
    world, chat = chatting
    client = await world.register()
    tokens = await world.tokens(client)
    elsewhere = (await world.tokens(client, resource=R2, scope="read")).access
    for token, status in [
        (None, 401),
        ("x", 401),
        (altered(tokens.access), 401),
        (tokens.refresh, 401),
        (elsewhere, 401),
        ("a b", 400),
    ]:
        refused, headers = await refusal(connect(world, token, **DENIAL))
        assert refused == status, token
        assert headers["www-authenticate"].startswith("Bearer ")
        assert await closed(connect(world, token)) == {"type": "websocket.close", "code": 1008}
    query: dict[str, Any] = {"query_string": f"access_token={tokens.access}".encode()}
    assert (await refusal(connect(world, None, **query, **DENIAL)))[0] == 401
    await world.revoke(client, tokens.access)
    assert (await refusal(connect(world, tokens.access, **DENIAL)))[0] == 401
    assert chat.ran == 0


@requirement("A-264", "A-266", "A-267", "D-22")
async def test_no_spelling_of_a_path_reaches_a_websocket_either(chatting: tuple[World, Chat]) -> None:
    world, chat = chatting
    for path in ("//api/ws", "/x/../api/ws", "/api/../ws", "/./api", "/api\\ws", "/api/\x00", "/API/../api"):
        for options in ({}, DENIAL):
            talk = connect(world, None, path, **options)
            first = await talk.hear()
            assert first is not None
            assert first["type"] in ("websocket.close", "websocket.http.response.start")
    for path in ("/token", "/register", "/.well-known/oauth-authorization-server"):
        assert (await refusal(connect(world, None, path, **DENIAL)))[0] == 404
    assert chat.ran == 0


@requirement("S-102", "A-219", "A-266")
@pytest.mark.parametrize("moment", ["early", "late"])
async def test_too_little_scope_refuses_a_websocket_that_is_not_accepted(
    chatting: tuple[World, Chat], moment: str
) -> None:
    world, _ = chatting
    token = (await world.tokens(await world.register(), scope="read")).access
    status, headers = await refusal(connect(world, token, f"/api/{moment}", **DENIAL))
    assert status == 403
    assert 'error="insufficient_scope", scope="write"' in headers["www-authenticate"]
    assert await closed(connect(world, token, f"/api/{moment}")) == {"type": "websocket.close", "code": 1008}


@requirement("S-102", "A-219", "A-266")
async def test_too_little_scope_closes_a_websocket_that_is_accepted(chatting: tuple[World, Chat]) -> None:
    world, _ = chatting
    token = (await world.tokens(await world.register(), scope="read")).access
    for options in ({}, DENIAL):
        talk = connect(world, token, "/api/accepted", **options)
        assert await talk.hear() == {"type": "websocket.accept"}
        assert await closed(talk) == {"type": "websocket.close", "code": 1008}


@requirement("S-102", "A-266")
async def test_starlette_answers_too_little_scope_by_itself() -> None:
    async def endpoint(websocket: WebSocket) -> None:
        require_scopes("write")
        await websocket.accept()

    app = Starlette(routes=[WebSocketRoute("/api/ws", endpoint)])
    async with running_world(MemoryStore(), api_handlers={"/api": app, "/other": app}) as world:
        token = (await world.tokens(await world.register(), scope="read")).access
        status, headers = await refusal(connect(world, token, **DENIAL))
        assert status == 403
        assert 'scope="write"' in headers["www-authenticate"]


@requirement("A-266")
@pytest.mark.parametrize("parser", PARSERS)
async def test_on_the_wire_a_handshake_without_a_token_gets_its_401(chatting: tuple[World, Chat], parser: str) -> None:
    pytest.importorskip("websockets", reason="uvicorn speaks websocket only with this package")
    world, chat = chatting
    token = (await world.tokens(await world.register())).access
    key = base64.b64encode(b"k" * 16).decode()
    handshake = (
        "GET /api/ws HTTP/1.1\r\nHost: as.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
    )
    async with serving(world.provider, parser, websockets="auto") as port:
        refused = await spoken(port, f"{handshake}\r\n".encode())
        assert b" 401 " in refused.split(b"\r\n")[0]
        assert b"resource_metadata=" in refused
        assert chat.ran == 0
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{handshake}Authorization: Bearer {token}\r\n\r\n".encode())
        async with asyncio.timeout(10):
            accepted = await reader.readuntil(b"hello u1")
        writer.close()
        assert b" 101 " in accepted.split(b"\r\n")[0]
