"""A request is cancelled at each point where it waits: never taken for "rolled back", and the retry converges."""

from __future__ import annotations

import asyncio
import gc
import types
from collections.abc import Coroutine, Generator
from typing import Any
from urllib.parse import urlencode

import pytest

from grantwell import TokenExchange, TokenExchangeResult
from grantwell_storage import MemoryStore
from tests.wire.world import Tokens, World, parsed, refused, running_world

requirement = pytest.mark.requirement


class Cancelled(Exception):
    """The request was cancelled where it was to be."""


@types.coroutine
def _cancelled_at(work: Coroutine[Any, Any, Any], point: int) -> Generator[Any, Any, None]:
    """Run a coroutine, and cancel the task it runs in as it waits for the time with this number (from 1)."""
    send, value, waits = work.send, None, 0
    while True:
        try:
            waited_for = send(value)
        except StopIteration:
            return
        waits += 1
        if waits == point:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        try:
            send, value = work.send, (yield waited_for)
        except BaseException as error:
            send, value = work.throw, error


async def post_cancelled_at(world: World, path: str, form: dict[str, str], point: int) -> int:
    """POST a form and cancel the request as it waits for the time with this number; the status of its answer.

    Raises Cancelled if it came to that.
    """
    status = 0
    body = urlencode(form).encode()
    headers = [(b"content-type", b"application/x-www-form-urlencoded"), (b"host", b"as.test")]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    async def serve() -> None:
        scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
        await _cancelled_at(world.provider(scope, receive, send), point)

    task = asyncio.create_task(serve())
    await asyncio.wait({task})
    await _settled()
    if task.cancelled():
        raise Cancelled
    task.result()
    return status


async def _settled() -> None:
    """Wait for what goes on after its request was cancelled."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    ours = {
        task for task in others if any(part in repr(task.get_coro()) for part in ("_in_turn", "issue", "_contained"))
    }
    if ours:
        await asyncio.wait(ours)


class Upstream:
    """A callback whose upstream gives each generation once; a second run for one generation would be a loss."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    async def __call__(self, event: TokenExchange) -> TokenExchangeResult:
        await asyncio.sleep(0)
        self.keys.append(event.idempotency_key)
        await asyncio.sleep(0)
        return TokenExchangeResult(props={"generation": event.generation})


def _options(asks: bool) -> tuple[Upstream, dict[str, Any]]:
    upstream = Upstream()
    return upstream, {"token_exchange_callback": upstream} if asks else {}


CALLBACKS = pytest.mark.parametrize("asks", [False, True], ids=["no callback", "callback"])


@requirement("F-081", "F-080", "D-06", "F-007")
@CALLBACKS
async def test_a_refresh_that_is_cancelled_anywhere_can_be_repeated(store: Any, asks: bool) -> None:
    upstream, options = _options(asks)
    async with running_world(store, **options) as world:
        client = await world.register()
        for point in range(1, 100):
            first = await world.tokens(client)
            form = {"grant_type": "refresh_token", "refresh_token": first.refresh, "client_id": client["client_id"]}
            try:
                assert await post_cancelled_at(world, "/token", form, point) == 200
                break
            except Cancelled:
                second = parsed(await world.refresh(client, first.refresh))
                await _assert_good(world, client, second)
                world.clock.advance(30)
                await _assert_good(world, client, parsed(await world.refresh(client, second.refresh)))
        assert point > 1 or (isinstance(store, MemoryStore) and not asks), "there was something to cancel"
        assert len(upstream.keys) == len(set(upstream.keys)), "no upstream token is spent twice"


@requirement("F-081", "F-080", "D-06", "F-005", "F-006")
@CALLBACKS
async def test_an_exchange_that_is_cancelled_anywhere_can_be_repeated_or_has_ended(store: Any, asks: bool) -> None:
    upstream, options = _options(asks)
    async with running_world(store, **options) as world:
        client = await world.register()
        for point in range(1, 100):
            code = await world.code(client)
            form = {
                "grant_type": "authorization_code",
                "code": code,
                "code_verifier": world.pkce.verifier,
                "client_id": client["client_id"],
            }
            try:
                assert await post_cancelled_at(world, "/token", form, point) == 200
                break
            except Cancelled:
                answer = await world.exchange(client, code)
                if answer.status_code == 200:
                    await _assert_good(world, client, parsed(answer))
                else:
                    refused(answer, "invalid_grant")
                    live = await world.provider.helpers.list_grants(state="active")
                    assert code[4:20] in {grant.grant_id for grant in live.items}, "one family, and it is whole"
        assert len(upstream.keys) == len(set(upstream.keys))


@requirement("F-081", "D-06", "F-010")
async def test_a_revocation_that_is_cancelled_anywhere_can_be_repeated(store: Any) -> None:
    async with running_world(store) as world:
        client = await world.register()
        for point in range(1, 100):
            tokens = await world.tokens(client)
            form = {"token": tokens.refresh, "client_id": client["client_id"]}
            try:
                assert await post_cancelled_at(world, "/revoke", form, point) == 200
                break
            except Cancelled:
                assert (await world.revoke(client, tokens.refresh)).status_code == 200
            assert (await world.call(tokens.access)).status_code == 401


@requirement("F-080", "D-06")
@pytest.mark.parametrize("fails", [False, True])
async def test_what_the_callback_did_is_kept_though_the_client_has_left(store: Any, fails: bool) -> None:
    running, free = asyncio.Event(), asyncio.Event()
    keys = []
    troubles: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, trouble: troubles.append(trouble))

    async def upstream(event: TokenExchange) -> TokenExchangeResult:
        keys.append(event.idempotency_key)
        if event.grant_type == "refresh_token" and len(keys) == 2:
            running.set()
            await free.wait()
            if fails:
                raise RuntimeError
        return TokenExchangeResult(props={"run": len(keys)})

    async with running_world(store, token_exchange_callback=upstream) as world:
        client = await world.register()
        first = await world.tokens(client)
        request = asyncio.create_task(world.refresh(client, first.refresh))
        await running.wait()
        request.cancel()
        await asyncio.wait({request})
        free.set()
        await _settled()
        second = parsed(await world.refresh(client, first.refresh))
        assert len(keys) == (3 if fails else 2)
        assert (await world.call(second.access)).json()["props"] == {"run": len(keys)}
        await _assert_good(world, client, second)
    # asyncio complains of an error that nobody asked for when its task is collected.
    del request
    gc.collect()
    assert not troubles


async def _assert_good(world: World, client: dict[str, Any], tokens: Tokens) -> None:
    assert (await world.call(tokens.access)).status_code == 200
    assert parsed(await world.refresh(client, tokens.refresh)).refresh != tokens.refresh
