"""The token-exchange callback fails in every way that it can: what was to be spent stays unspent."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from grantwell import OAuthError, TokenExchange, TokenExchangeResult
from tests.faults.callbacks import Scripted, asked
from tests.wire.world import World, nothing_changes, parsed, refused, running_world

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


class _Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("not even this")


_NESTED: Any = []
for _ in range(100):
    _NESTED = [_NESTED]
_CYCLE: dict[str, Any] = {}
_CYCLE["self"] = _CYCLE


_NO_PROPS: list[Any] = [set(), b"x", {1: 2}, float("nan"), "\ud800", 1 << 64, _NESTED, _CYCLE, "x" * 300_000, object()]
_NO_ACCESS_TTL: list[Any] = [-1, 0, True, 10**18, 1.5, float("nan"), float("inf"), "60"]
_NO_REFRESH_TTL: list[Any] = [-1, True, 10**18, 1.5, float("nan"), "60", ()]
_NO_SCOPES: list[Any] = ["read", [1], ["read", None], 5, ["re\nad"], ["read", ""]]
_UNUSABLE: list[Any] = [
    {},
    "props",
    {"props": {}},
    42,
    _Unprintable(),
    *(TokenExchangeResult(access_token_ttl=ttl) for ttl in _NO_ACCESS_TTL),
    *(TokenExchangeResult(refresh_token_ttl=ttl) for ttl in _NO_REFRESH_TTL),
    *(TokenExchangeResult(props=props) for props in _NO_PROPS),
    TokenExchangeResult(access_token_props={"deep": [object()]}),
    *(TokenExchangeResult(scopes=scopes) for scopes in _NO_SCOPES),
]


@requirement("A-354", "C-155", "C-159", "D-05")
@BOTH
async def test_an_unusable_result_is_a_server_error_and_changes_nothing(
    world: World, script: Scripted, grant_type: str
) -> None:
    request = await asked(world, grant_type, script)
    with nothing_changes(world):
        for number, unusable in enumerate(_UNUSABLE):
            script.then = unusable
            answer = await request()
            assert answer.status_code == 500, number
            refused(answer, "server_error", 500)
    script.then = None
    tokens = parsed(await request())
    assert (await world.call(tokens.access)).json()["props"] == {"color": "teal", "user": "u1"}
    assert len({event.idempotency_key for event in script.events}) == 1


@requirement("C-158", "C-159", "F-075", "D-23")
@BOTH
@pytest.mark.parametrize(
    ("raised", "code", "status"),
    [
        (OAuthError("temporarily_unavailable", "The upstream rests."), "temporarily_unavailable", 503),
        (OAuthError("access_denied", status=403), "access_denied", 403),
        (OAuthError("upstream_rate_limit", "Slower.", status=429), "upstream_rate_limit", 429),
        (OAuthError("invalid_scope"), "invalid_scope", 400),
        (OAuthError("invalid_client"), "invalid_client", 401),
        (OAuthError("server_error"), "server_error", 500),
        (RuntimeError("secret text"), "server_error", 500),
        (ExceptionGroup("several", [OAuthError("invalid_grant")]), "server_error", 500),
        (LookupError(), "server_error", 500),
        (TimeoutError(), "server_error", 500),
    ],
    ids=repr,
)
async def test_a_callback_that_fails_is_answered_and_consumes_nothing(
    world: World, script: Scripted, grant_type: str, raised: Exception, code: str, status: int
) -> None:
    request = await asked(world, grant_type, script)
    script.then = raised
    with nothing_changes(world):
        answer = refused(await request(), code, status)
    assert "secret text" not in answer.text
    script.then = None
    parsed(await request())
    assert len({event.idempotency_key for event in script.events}) == 1


class _Fatal(BaseException):
    """Neither an Exception nor one of those that end a process."""


@requirement("F-076")
@BOTH
@pytest.mark.parametrize(
    "raised",
    [SystemExit(1), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError(), _Fatal()],
    ids=lambda error: type(error).__name__,
)
async def test_a_callback_that_raises_what_ends_a_process_ends_its_request_alone(
    world: World, script: Scripted, grant_type: str, raised: BaseException
) -> None:
    request = await asked(world, grant_type, script)
    script.then = raised
    with nothing_changes(world):
        refused(await request(), "server_error", 500)
    script.then = None
    parsed(await request())


@requirement("F-076", "A-359")
@BOTH
@pytest.mark.parametrize(
    "raised",
    [
        SystemExit(1),
        KeyboardInterrupt(),
        _Fatal(),
        ValueError(),
        StopIteration(),
    ],
    ids=repr,
)
async def test_a_sync_callback_that_raises_anything_is_answered_too(
    store: Any, grant_type: str, raised: BaseException
) -> None:
    fails = [False]

    def sync(event: TokenExchange) -> None:
        if fails[0]:
            raise raised

    async with running_world(store, token_exchange_callback=sync, callback_timeout=0.5) as world:
        request = await asked(world, grant_type, Scripted())
        fails[0] = True
        with nothing_changes(world):
            refused(await request(), "server_error", 500)
        fails[0] = False
        parsed(await request())


@requirement("C-158", "S-246", "F-075")
@BOTH
async def test_a_callback_that_says_invalid_grant_ends_the_grant(
    world: World, script: Scripted, grant_type: str
) -> None:
    request = await asked(world, grant_type, script)
    script.then = OAuthError("invalid_grant", "Signed out upstream.")
    answer = refused(await request(), "invalid_grant")
    assert answer.json()["error_description"] == "Signed out upstream."
    script.then = None
    refused(await request(), "invalid_grant")
    ended = await world.provider.helpers.list_grants(state="ended")
    assert [grant.revoked_reason for grant in ended.items] == ["callback_refused"]
    assert len(script.events) == 1


@requirement("F-077")
@BOTH
async def test_a_callback_that_takes_too_long_is_cancelled_and_the_request_may_be_repeated(
    world: World, script: Scripted, grant_type: str
) -> None:
    request = await asked(world, grant_type, script)
    cancelled = asyncio.Event()

    async def hang(event: TokenExchange) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    script.then = hang
    with nothing_changes(world):
        refused(await request(), "temporarily_unavailable", 503)
    await asyncio.wait_for(cancelled.wait(), 1)
    script.then = None
    parsed(await request())


@requirement("F-078")
@BOTH
async def test_the_late_result_of_a_callback_that_ignores_its_cancellation_is_discarded(
    world: World, script: Scripted, grant_type: str
) -> None:
    request = await asked(world, grant_type, script)
    free, done = asyncio.Event(), asyncio.Event()

    async def stubborn(event: TokenExchange) -> TokenExchangeResult:
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue
        done.set()
        return TokenExchangeResult(props={"late": True})

    script.then = stubborn
    with nothing_changes(world):
        refused(await request(), "temporarily_unavailable", 503)
    script.then = None
    tokens = parsed(await request())
    free.set()
    await asyncio.wait_for(done.wait(), 1)
    again = parsed(await world.refresh(request.client, tokens.refresh))
    for access in (tokens.access, again.access):
        assert (await world.call(access)).json()["props"] == {"color": "teal", "user": "u1"}


@requirement("A-359", "F-088")
async def test_a_blocking_callback_blocks_its_own_request_alone(store: Any) -> None:
    free, running = threading.Event(), threading.Semaphore(0)
    blocks = [False]

    def blocking(event: TokenExchange) -> None:
        if blocks[0]:
            running.release()
            free.wait(20)

    async with running_world(store, token_exchange_callback=blocking, callback_timeout=0.5) as world:
        first, second = [await asked(world, "refresh_token", Scripted()) for _ in range(2)]
        access = (await world.tokens(await world.register())).access
        blocks[0] = True
        try:
            waiting = asyncio.create_task(first())
            await asyncio.to_thread(running.acquire)
            slowest = 0.0
            for _ in range(20):
                before = time.perf_counter()
                assert (await world.call(access)).status_code == 200
                slowest = max(slowest, time.perf_counter() - before)
            assert slowest < 0.1
            refused(await waiting, "temporarily_unavailable", 503)
            refused(await second(), "temporarily_unavailable", 503)
        finally:
            free.set()
        blocks[0] = False
        parsed(await first())
        parsed(await second())


@requirement("A-357", "F-075")
@BOTH
async def test_a_callback_may_end_its_own_grant(world: World, script: Scripted, grant_type: str) -> None:
    request = await asked(world, grant_type, script)

    async def end(event: TokenExchange) -> TokenExchangeResult:
        assert await world.provider.helpers.revoke_grant(event.grant_id)
        return TokenExchangeResult(props={"n": 1})

    script.then = end
    refused(await request(), "invalid_grant")
    refused(await request(), "invalid_grant")
    assert len(script.events) == 1


@requirement("A-357", "D-04")
async def test_a_callback_that_refreshes_its_own_grant_is_no_deadlock(world: World, script: Scripted) -> None:
    request = await asked(world, "refresh_token", script)

    async def refresh(event: TokenExchange) -> None:
        await request()

    script.then = refresh
    with nothing_changes(world):
        refused(await request(), "temporarily_unavailable", 503)
    script.then = None
    parsed(await request())


@requirement("A-357", "D-04")
async def test_a_callback_may_use_the_server_for_other_grants(world: World, script: Scripted) -> None:
    request = await asked(world, "refresh_token", script)

    async def use(event: TokenExchange) -> None:
        script.then = None
        await world.tokens(await world.register(), headers={"x-user": "u2"})

    script.then = use
    parsed(await request())
