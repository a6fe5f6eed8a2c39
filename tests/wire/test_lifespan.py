"""Starting and stopping (ASGI lifespan protocol): the store, and the applications that are wrapped."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from grantwell import OAuthProvider, SchemaError, SecretKey, StoreUnavailable
from grantwell.testing import FrozenClock
from grantwell_storage import MemoryStore
from tests.wire.world import ISSUER, Conversation, asgi_scope, running_world

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement


def unopened(store: MemoryStore, **options: Any) -> OAuthProvider:
    """A provider that nobody runs yet."""
    settings: dict[str, Any] = {
        "issuer": ISSUER,
        "api_handlers": {"/api": nothing},
        "secret_key": SecretKey(b"k" * 32),
        "clock": FrozenClock(),
    }
    return OAuthProvider(store=store, **(settings | options))


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that says nothing of interest."""
    if scope["type"] == "http":
        await JSONResponse("nothing")(scope, receive, send)


class Noted(MemoryStore):
    """A store that notes when it is opened and closed."""

    def __init__(self, log: list[str], trouble: Exception | None = None) -> None:
        super().__init__()
        self.log = log
        self.trouble = trouble

    async def open(self) -> None:
        await asyncio.sleep(0)
        self.log.append("store opened")
        if self.trouble is not None:
            raise self.trouble

    async def close(self) -> None:
        self.log.append("store closed")


def living(name: str, log: list[str], *, fails: str = "") -> Starlette:
    """An application with a lifespan, which fails at a point."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
        log.append(f"{name} starts")
        if fails == "start":
            raise RuntimeError(f"{name} cannot start")
        yield {"name": name, "shared": [name]}
        log.append(f"{name} stops")
        if fails == "stop":
            raise RuntimeError(f"{name} cannot stop")

    async def who(request: Request) -> JSONResponse:
        return JSONResponse([request.state.name, request.state.oauth.settings.issuer, request.state.shared])

    return Starlette(routes=[Route("/{rest:path}", who)], lifespan=lifespan)


def lifespan_of(provider: ASGIApp) -> Conversation:
    return Conversation(provider, {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}})


@requirement("C-007", "A-267", "G-301")
async def test_store_and_applications_start_in_order_and_stop_in_reverse() -> None:
    log: list[str] = []
    one, two, site = living("one", log), living("two", log), living("site", log)
    provider = unopened(Noted(log), api_handlers={"/a": one, "/b": two, "/c": one}, default_handler=site)
    talk = lifespan_of(provider)
    talk.say("lifespan.startup")
    assert await talk.hear() == {"type": "lifespan.startup.complete"}
    assert log == ["store opened", "one starts", "two starts", "site starts"]
    status, _, body = await Conversation(provider, asgi_scope("/x")).answered()
    assert (status, body) == (200, b'["site","https://as.test",["site"]]')
    talk.say("lifespan.shutdown")
    assert await talk.hear() == {"type": "lifespan.shutdown.complete"}
    assert await talk.hear() is None
    assert log[4:] == ["site stops", "two stops", "one stops", "store closed"]


@requirement("C-007", "G-301")
async def test_each_application_gets_its_own_state_and_the_helpers() -> None:
    log: list[str] = []
    apps = {"/api": living("one", log), "/other": living("two", log)}
    async with running_world(MemoryStore(), api_handlers=apps, resources={}) as world:
        token = (await world.tokens(await world.register(), scope=None, resource=None)).access
        assert (await world.call(token, "/api/x")).json() == ["one", ISSUER, ["one"]]
        assert (await world.call(token, "/other/x")).json() == ["two", ISSUER, ["two"]]


@requirement("G-301", "S-246")
async def test_an_application_that_cannot_start_stops_those_that_had_and_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log: list[str] = []
    apps = {"/a": living("one", log), "/b": living("two", log, fails="start"), "/c": living("three", log)}
    talk = lifespan_of(unopened(Noted(log), api_handlers=apps))
    talk.say("lifespan.startup")
    message = await talk.hear()
    assert message is not None
    assert message["type"] == "lifespan.startup.failed"
    assert "two cannot start" in message["message"]
    assert await talk.hear() is None
    assert log == ["store opened", "one starts", "two starts", "one stops", "store closed"]
    with caplog.at_level(logging.ERROR, logger="asyncio"):
        gc.collect()
        await asyncio.sleep(0)
    assert "never retrieved" not in caplog.text


@requirement("G-301")
async def test_an_application_that_cannot_stop_keeps_no_other_from_stopping() -> None:
    log: list[str] = []
    apps = {"/a": living("one", log), "/b": living("two", log, fails="stop"), "/c": living("three", log)}
    talk = lifespan_of(unopened(Noted(log), api_handlers=apps))
    talk.say("lifespan.startup")
    assert await talk.hear() == {"type": "lifespan.startup.complete"}
    talk.say("lifespan.shutdown")
    message = await talk.hear()
    assert message is not None
    assert message["type"] == "lifespan.shutdown.failed"
    assert "two cannot stop" in message["message"]
    assert await talk.hear() is None
    assert log[4:] == ["three stops", "two stops", "one stops", "store closed"]


@requirement("G-301", "S-246")
@pytest.mark.parametrize("trouble", [SchemaError("run: grantwell migrate"), StoreUnavailable("away")], ids=repr)
async def test_a_store_that_cannot_be_opened_is_a_failed_start_with_its_own_words(trouble: Exception) -> None:
    talk = lifespan_of(unopened(Noted([], trouble)))
    talk.say("lifespan.startup")
    assert await talk.hear() == {"type": "lifespan.startup.failed", "message": str(trouble)}
    assert await talk.hear() is None


@requirement("G-301", "A-267")
async def test_an_application_without_lifespans_is_served_all_the_same() -> None:
    async def refuses(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await JSONResponse("fine")(scope, receive, send)

    async def leaves(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await JSONResponse("fine")(scope, receive, send)

    for app in (refuses, leaves):
        async with running_world(MemoryStore(), api_handlers={"/api": app}, resources={}) as world:
            token = (await world.tokens(await world.register(), scope=None)).access
            assert (await world.call(token)).json() == "fine"


@requirement("G-301")
async def test_without_lifespans_the_store_is_opened_once_by_the_first_requests() -> None:
    log: list[str] = []
    provider = unopened(Noted(log))
    transport = httpx.ASGITransport(app=provider)
    async with httpx.AsyncClient(transport=transport, base_url=ISSUER) as http:
        answers = await asyncio.gather(*(http.get("/.well-known/oauth-authorization-server") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert log == ["store opened"]


@requirement("G-301")
async def test_a_first_request_that_is_given_up_does_not_keep_the_store_closed() -> None:
    log: list[str] = []
    provider = unopened(Noted(log))
    first = Conversation(provider, asgi_scope("/"))
    await asyncio.sleep(0)
    first.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first.task
    assert (await Conversation(provider, asgi_scope("/")).answered())[0] == 404
    assert log == ["store opened"]


@requirement("G-301")
async def test_a_provider_may_be_run_again() -> None:
    log: list[str] = []
    provider = unopened(Noted(log), api_handlers={"/a": living("one", log)})
    for _ in range(2):
        async with provider.running():
            assert (await Conversation(provider, asgi_scope("/")).answered())[0] == 404
    assert log == ["store opened", "one starts", "one stops", "store closed"] * 2


@requirement("A-267")
async def test_a_scope_of_an_unknown_type_is_refused() -> None:
    async def send(message: Message) -> None:
        raise AssertionError(message)

    async def receive() -> Message:
        raise AssertionError("nothing is to be read")

    with pytest.raises(RuntimeError, match="unknown ASGI scope type"):
        await unopened(MemoryStore())({"type": "webtransport"}, receive, send)
