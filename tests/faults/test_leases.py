"""The callback's lease: kept by a living holder, taken from a dead one, and what a refusal after a death means."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from grantwell import OAuthError, TokenExchange, TokenExchangeResult
from grantwell._flows import callback
from grantwell.store import LeaseRequest
from tests.faults.stores import TroubledStore
from tests.wire.world import Tokens, World, parsed, refused, running_world

requirement = pytest.mark.requirement


@dataclass
class Upstream:
    """A callback that can be held up, refuses on demand, and remembers who asked."""

    events: list[TokenExchange] = field(default_factory=list)
    answers: Any = None
    held: bool = False
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    free: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, event: TokenExchange) -> TokenExchangeResult | None:
        self.events.append(event)
        answer, number = self.answers, len(self.events)
        if self.held:
            self.asked.set()
            await self.free.wait()
        if isinstance(answer, Exception):
            raise answer
        return TokenExchangeResult(props={"run": number})


@dataclass
class Leased:
    """A grant that is about to be refreshed, or its code exchanged."""

    world: World
    watched: TroubledStore
    upstream: Upstream
    client: dict[str, Any]
    secret: str
    grant_type: str

    async def request(self) -> httpx.Response:
        if self.grant_type == "refresh_token":
            return await self.world.refresh(self.client, self.secret)
        return await self.world.exchange(self.client, self.secret)

    async def holder_dies(self) -> None:
        """Another process takes the lease and is never heard of again."""
        generation = 1 if self.grant_type == "refresh_token" else 0
        now = int(self.world.clock())
        request = LeaseRequest(
            grant_id=self.secret[4:20], generation=generation, lease_id="dead", now=now, until=now + 5
        )
        assert await self.watched.take_lease(request) is not None

    async def props(self, tokens: Tokens) -> Any:
        return (await self.world.call(tokens.access)).json()["props"]


@asynccontextmanager
async def leased(store: Any, grant_type: str = "refresh_token", **options: Any) -> AsyncIterator[Leased]:
    upstream, watched = Upstream(), TroubledStore(store)
    async with running_world(watched, token_exchange_callback=upstream, **options) as world:
        client = await world.register()
        secret = await world.code(client)
        if grant_type == "refresh_token":
            secret = parsed(await world.exchange(client, secret)).refresh
        upstream.events.clear()
        watched.watch()
        yield Leased(world, watched, upstream, client, secret, grant_type)


@requirement("F-014", "F-082", "D-07", "F-065")
@pytest.mark.parametrize("grant_type", ["refresh_token", "authorization_code"])
async def test_others_wait_for_the_lease_of_a_dead_holder_to_lapse_and_then_go_on(store: Any, grant_type: str) -> None:
    async with leased(store, grant_type) as grant:
        await grant.holder_dies()
        grant.watched.watch()
        requests = [asyncio.create_task(grant.request()) for _ in range(4)]
        for seconds in (0, 4):
            grant.world.clock.advance(seconds)
            grant.watched.watch()
            await grant.watched.until_called("take_lease", 8)
            assert not grant.upstream.events, "nobody runs the callback while the lease is held"
        grant.world.clock.advance(1)
        answers = [parsed(answer) for answer in await asyncio.gather(*requests) if answer.status_code == 200]
        assert len(grant.upstream.events) == 1
        assert len(answers) == (4 if grant_type == "refresh_token" else 1)
        assert len({tokens.refresh for tokens in answers}) == 1
        assert await grant.props(answers[0]) == {"run": 1}


@requirement("F-082", "D-07", "D-23")
async def test_a_request_that_waits_too_long_for_the_lease_is_told_to_come_again(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with leased(store, callback_timeout=0.1) as grant:
        await grant.holder_dies()
        monkeypatch.setattr(callback, "LEASE_SECONDS", 0.1)
        refused(await grant.request(), "temporarily_unavailable", 503)
        grant.world.clock.advance(5)
        parsed(await grant.request())


@requirement("F-015", "D-07", "S-246")
@pytest.mark.parametrize("grant_type", ["refresh_token", "authorization_code"])
async def test_after_a_death_the_first_invalid_grant_is_a_503_and_its_repetition_ends_the_grant(
    store: Any, grant_type: str
) -> None:
    async with leased(store, grant_type) as grant:
        await grant.holder_dies()
        grant.world.clock.advance(5)
        grant.upstream.answers = OAuthError("invalid_grant")
        refused(await grant.request(), "temporarily_unavailable", 503)
        refused(await grant.request(), "invalid_grant")
        ended = await grant.world.provider.helpers.list_grants(state="ended")
        assert [found.revoked_reason for found in ended.items] == ["callback_refused"]
        assert len({event.idempotency_key for event in grant.upstream.events}) == 1


@requirement("F-015", "D-07")
@pytest.mark.parametrize(
    "answers", [OAuthError("temporarily_unavailable"), RuntimeError(), OAuthError("access_denied")]
)
async def test_after_a_death_other_errors_are_no_first_refusal(store: Any, answers: Exception) -> None:
    async with leased(store) as grant:
        await grant.holder_dies()
        grant.world.clock.advance(5)
        grant.upstream.answers = answers
        assert (await grant.request()).status_code != 200
        grant.upstream.answers = OAuthError("invalid_grant")
        refused(await grant.request(), "temporarily_unavailable", 503)
        grant.upstream.answers = None
        parsed(await grant.request())


@requirement("F-015", "D-07")
async def test_a_success_after_a_death_forgets_it(store: Any) -> None:
    async with leased(store) as grant:
        await grant.holder_dies()
        grant.world.clock.advance(5)
        grant.upstream.answers = OAuthError("invalid_grant")
        refused(await grant.request(), "temporarily_unavailable", 503)
        grant.upstream.answers = None
        tokens = parsed(await grant.request())
        grant.upstream.answers = OAuthError("invalid_grant")
        refused(await grant.world.refresh(grant.client, tokens.refresh), "invalid_grant")
        assert (await grant.world.call(tokens.access)).status_code == 401


@requirement("F-015", "F-075")
async def test_without_a_death_a_lease_that_was_given_back_leaves_no_trace(store: Any) -> None:
    async with leased(store) as grant:
        for answers in (RuntimeError(), OAuthError("temporarily_unavailable")):
            grant.upstream.answers = answers
            assert (await grant.request()).status_code in (500, 503)
        grant.upstream.answers = OAuthError("invalid_grant")
        refused(await grant.request(), "invalid_grant")


@requirement("D-07", "F-065", "A-358")
async def test_a_living_holder_keeps_its_lease_for_as_long_as_it_takes(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callback, "_RENEW_EVERY_SECONDS", 0.01)
    async with leased(store) as grant:
        grant.upstream.held = True
        first = asyncio.create_task(grant.request())
        await grant.upstream.asked.wait()
        second = asyncio.create_task(grant.request())
        for _ in range(5):
            grant.world.clock.advance(4)
            grant.watched.watch()
            await grant.watched.until_called("renew_lease", 2)
            await grant.watched.until_called("take_lease", 1)
            assert len(grant.upstream.events) == 1
        grant.upstream.free.set()
        answers = [parsed(await request) for request in (first, second)]
        assert len(grant.upstream.events) == 1
        assert answers[0].refresh == answers[1].refresh


@requirement("D-07", "D-23", "F-014")
@pytest.mark.parametrize("grant_type", ["refresh_token", "authorization_code"])
async def test_a_lease_that_cannot_be_renewed_fails_no_request(
    store: Any, monkeypatch: pytest.MonkeyPatch, grant_type: str
) -> None:
    monkeypatch.setattr(callback, "_RENEW_EVERY_SECONDS", 0.01)
    async with leased(store, grant_type) as grant:
        grant.upstream.held = True
        grant.watched.fails_always = {"renew_lease"}
        request = asyncio.create_task(grant.request())
        await grant.upstream.asked.wait()
        await grant.watched.until_called("renew_lease", 3)
        grant.upstream.free.set()
        assert await grant.props(parsed(await request)) == {"run": 1}


@requirement("D-07", "F-078", "F-087")
async def test_of_a_holder_that_was_thought_dead_only_the_result_of_its_successor_counts(store: Any) -> None:
    async with leased(store) as grant:
        grant.upstream.held = True
        stalled = asyncio.create_task(grant.request())
        await grant.upstream.asked.wait()
        grant.upstream.held = False
        grant.world.clock.advance(5)
        second = parsed(await grant.request())
        grant.upstream.free.set()
        first = parsed(await stalled)
        assert (first.access, first.refresh) == (second.access, second.refresh)
        assert await grant.props(first) == {"run": 2}
        assert len({event.idempotency_key for event in grant.upstream.events}) == 1
        parsed(await grant.world.refresh(grant.client, first.refresh))
        assert grant.upstream.events[-1].props == {"run": 2}


@requirement("F-063", "D-08")
@pytest.mark.parametrize("grant_type", ["refresh_token", "authorization_code"])
async def test_what_ends_while_the_callback_runs_is_refused(store: Any, grant_type: str) -> None:
    async with leased(store, grant_type) as grant:
        grant.upstream.held = True
        request = asyncio.create_task(grant.request())
        await grant.upstream.asked.wait()
        grant.world.clock.advance(31 * 86_400)
        grant.upstream.free.set()
        refused(await request, "invalid_grant")


@requirement("A-183", "D-02")
@pytest.mark.parametrize("grant_type", ["refresh_token", "authorization_code"])
async def test_a_grant_that_is_revoked_while_the_callback_runs_stays_dead(store: Any, grant_type: str) -> None:
    async with leased(store, grant_type) as grant:
        grant.upstream.held = True
        request = asyncio.create_task(grant.request())
        await grant.upstream.asked.wait()
        assert (await grant.world.revoke(grant.client, grant.secret)).status_code == 200
        grant.upstream.free.set()
        refused(await request, "invalid_grant")
        refused(await grant.request(), "invalid_grant")
