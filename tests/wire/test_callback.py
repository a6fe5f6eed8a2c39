"""The token-exchange callback: what it may change, what its failures leave as it was, and that it runs once."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from grantwell import OAuthError, TokenExchange, TokenExchangeResult
from grantwell._flows import callback as leases
from tests.wire.world import R1, R2, World, nothing_changes, parsed, refused, running_world

requirement = pytest.mark.requirement

BOTH = pytest.mark.parametrize("grant_type", ["authorization_code", "refresh_token"])


@dataclass
class Scripted:
    """A callback that does what the test says next: returns it, raises it, or calls it with the event."""

    then: Any = None
    events: list[TokenExchange] = field(default_factory=list)

    async def __call__(self, event: TokenExchange) -> TokenExchangeResult | None:
        self.events.append(event)
        then = await self.then(event) if callable(self.then) else self.then
        if isinstance(then, BaseException):
            raise then
        result: TokenExchangeResult | None = then
        return result


@pytest.fixture
def script() -> Scripted:
    """The callback of the world, for the test to direct."""
    return Scripted()


@pytest.fixture
async def world(store: Any, script: Scripted) -> Any:
    """A world with a callback."""
    async with running_world(store, token_exchange_callback=script, callback_timeout=0.3) as world:
        yield world


@dataclass
class Asked:
    """A token request that reaches the callback, to be sent as often as the test likes."""

    world: World
    client: dict[str, Any]
    secret: str
    grant_type: str

    async def __call__(self, **changes: Any) -> Any:
        if self.grant_type == "refresh_token":
            return await self.world.refresh(self.client, self.secret, **changes)
        return await self.world.exchange(self.client, self.secret, **changes)


async def asked(world: World, grant_type: str, script: Scripted, **changes: Any) -> Asked:
    """A request of this grant type that was not sent yet; the callback has nothing to say before it."""
    client = await world.register()
    code = await world.code(client, **changes)
    if grant_type == "authorization_code":
        return Asked(world, client, code, grant_type)
    then, script.then = script.then, None
    tokens = parsed(await world.exchange(client, code))
    script.then = then
    script.events.clear()
    return Asked(world, client, tokens.refresh, grant_type)


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


class _Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("not even this")


_NESTED: Any = []
for _ in range(100):
    _NESTED = [_NESTED]
_CYCLE: dict[str, Any] = {}
_CYCLE["self"] = _CYCLE


@requirement("A-354", "C-155", "C-159", "D-05")
@BOTH
@pytest.mark.parametrize(
    "result",
    [
        {},
        "props",
        {"props": {}},
        42,
        _Unprintable(),
        *(TokenExchangeResult(access_token_ttl=ttl) for ttl in (-1, 0, 1.5, float("nan"), float("inf"), True, 10**18)),
        TokenExchangeResult(access_token_ttl="60"),  # type: ignore[arg-type]
        *(TokenExchangeResult(refresh_token_ttl=ttl) for ttl in (-1, True, 10**18)),
        *(TokenExchangeResult(refresh_token_ttl=ttl) for ttl in (1.5, float("nan"), "60", ())),  # type: ignore[arg-type]
        *(
            TokenExchangeResult(props=props)
            for props in (
                set(),
                b"x",
                {1: 2},
                float("nan"),
                "\ud800",
                1 << 64,
                _NESTED,
                _CYCLE,
                "x" * 300_000,
                object(),
            )
        ),
        TokenExchangeResult(access_token_props={"deep": [object()]}),
        TokenExchangeResult(scopes="read"),  # type: ignore[arg-type]
        *(TokenExchangeResult(scopes=scopes) for scopes in ([1], ["read", None], 5, ["re\nad"], ["read", ""])),  # type: ignore[arg-type]
    ],
    ids=lambda value: None if isinstance(value, str) else type(value).__name__,
)
async def test_an_unusable_result_is_a_server_error_and_changes_nothing(
    world: World, script: Scripted, grant_type: str, result: Any
) -> None:
    request = await asked(world, grant_type, script)
    script.then = result
    with nothing_changes(world):
        refused(await request(), "server_error", 500)
    script.then = None
    tokens = parsed(await request())
    assert (await world.call(tokens.access)).json()["props"] == {"color": "teal", "user": "u1"}
    first, second = script.events
    assert first.idempotency_key == second.idempotency_key


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
@pytest.mark.parametrize("raised", [SystemExit(1), KeyboardInterrupt(), _Fatal(), ValueError()], ids=repr)
async def test_a_sync_callback_that_raises_anything_is_answered_too(
    store: Any, grant_type: str, raised: BaseException
) -> None:
    fails = [False]

    def sync(event: TokenExchange) -> None:
        if fails[0]:
            raise raised

    async with running_world(store, token_exchange_callback=sync, callback_timeout=2) as world:
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


@requirement("A-357")
async def test_a_callback_that_refreshes_its_own_grant_is_no_deadlock(world: World, script: Scripted) -> None:
    request = await asked(world, "refresh_token", script)

    async def refresh(event: TokenExchange) -> None:
        await request()

    script.then = refresh
    with nothing_changes(world):
        refused(await request(), "temporarily_unavailable", 503)
    script.then = None
    parsed(await request())


@requirement("A-357")
async def test_a_callback_may_use_the_server_for_other_grants(world: World, script: Scripted) -> None:
    request = await asked(world, "refresh_token", script)

    async def use(event: TokenExchange) -> None:
        script.then = None
        await world.tokens(await world.register(), headers={"x-user": "u2"})

    script.then = use
    parsed(await request())


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


@requirement("A-185", "C-160")
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
