"""The database fails at each call in turn, before or after its work: 503, and the repeated request converges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from grantwell import TokenExchange, TokenExchangeResult
from tests.faults.stores import Moment, TroubledStore
from tests.wire.world import Tokens, World, parsed, refused, running_world

requirement = pytest.mark.requirement

MOMENTS = pytest.mark.parametrize("moment", ["before", "after"])
CALLBACKS = pytest.mark.parametrize("asks", [False, True], ids=["no callback", "callback"])


@dataclass
class Troubled:
    """A world whose database can be made to fail."""

    world: World
    watched: TroubledStore

    async def fail_each(self, prepare: Any, request: Any, moment: Moment, check: Any) -> int:
        """Fail one call after the other; each time anew `prepare`, `request`, and `check` with the answer.

        Returns how many calls a request makes.
        """
        number = 0
        while True:
            number += 1
            prepared = await prepare()
            self.watched.watch(fails_at=number, moment=moment)
            answer = await request(prepared)
            failed = len(self.watched.calls) >= number
            self.watched.watch()
            if not failed:
                assert answer.status_code == 200
                return number - 1
            if answer.status_code != 200:
                refused(answer, "temporarily_unavailable", 503)
            # A lease may have been taken by somebody who was never told.
            self.world.clock.advance(6)
            await check(prepared, answer)


def _callback(event: TokenExchange) -> TokenExchangeResult:
    return TokenExchangeResult(props={"generation": event.generation}, access_token_props={"access": True})


def _options(asks: bool) -> dict[str, Any]:
    return {"token_exchange_callback": _callback} if asks else {}


@requirement("F-005", "F-006", "D-06", "F-081", "D-23", "C-140")
@MOMENTS
@CALLBACKS
async def test_an_exchange_can_be_repeated_after_any_trouble(store: Any, moment: Moment, asks: bool) -> None:
    watched = TroubledStore(store)
    async with running_world(watched, **_options(asks)) as world:
        client = await world.register()
        lost = 0

        async def check(code: str, answer: httpx.Response) -> None:
            nonlocal lost
            again = await world.exchange(client, code)
            tokens = again if again.status_code == 200 else answer
            if tokens.status_code == 200:
                await _assert_good(world, client, parsed(tokens))
            else:
                # The commit was done and its answer lost: whoever has tokens keeps them, and nobody has.
                refused(again, "invalid_grant")
                lost += 1
                live = await world.provider.helpers.list_grants(state="active")
                assert code[4:20] in {grant.grant_id for grant in live.items}

        troubled = Troubled(world, watched)
        calls = await troubled.fail_each(
            lambda: world.code(client), lambda code: world.exchange(client, code), moment, check
        )
        assert calls == (4 if asks else 3)
        assert lost == (1 if moment == "after" else 0)


@requirement("F-007", "F-009", "D-06", "F-081", "D-23", "D-14", "C-149")
@MOMENTS
@CALLBACKS
async def test_a_refresh_can_be_repeated_after_any_trouble(store: Any, moment: Moment, asks: bool) -> None:
    watched = TroubledStore(store)
    async with running_world(watched, **_options(asks)) as world:
        client = await world.register()

        async def check(first: Tokens, answer: httpx.Response) -> None:
            second = parsed(await world.refresh(client, first.refresh))
            if answer.status_code == 200:
                assert parsed(answer).refresh == second.refresh
            await _assert_good(world, client, second)

        troubled = Troubled(world, watched)
        calls = await troubled.fail_each(
            lambda: world.tokens(client), lambda first: world.refresh(client, first.refresh), moment, check
        )
        assert calls == (4 if asks else 3)


@requirement("F-007", "D-06", "D-14", "D-23")
@MOMENTS
@pytest.mark.parametrize("changes", [{}, {"scope": "read"}])
async def test_a_replay_can_be_repeated_after_any_trouble(store: Any, moment: Moment, changes: dict[str, str]) -> None:
    watched = TroubledStore(store)
    async with running_world(watched) as world:
        client = await world.register()

        async def prepare() -> tuple[Tokens, Tokens]:
            first = await world.tokens(client)
            return first, parsed(await world.refresh(client, first.refresh))

        async def check(both: tuple[Tokens, Tokens], answer: httpx.Response) -> None:
            again = parsed(await world.refresh(client, both[0].refresh, **changes))
            assert again.refresh == both[1].refresh
            await _assert_good(world, client, again)

        troubled = Troubled(world, watched)
        await troubled.fail_each(prepare, lambda both: world.refresh(client, both[0].refresh, **changes), moment, check)


@requirement("A-196", "F-010", "D-23")
@MOMENTS
@pytest.mark.parametrize("kind", ["access", "refresh"])
async def test_a_revocation_is_acknowledged_only_when_it_is_done(store: Any, moment: Moment, kind: str) -> None:
    watched = TroubledStore(store)
    async with running_world(watched) as world:
        client = await world.register()

        async def check(tokens: Tokens, answer: httpx.Response) -> None:
            if answer.status_code != 200:
                assert (await world.revoke(client, getattr(tokens, kind))).status_code == 200
            assert (await world.call(tokens.access)).status_code == 401
            if kind == "refresh":
                refused(await world.refresh(client, tokens.refresh), "invalid_grant")

        troubled = Troubled(world, watched)
        calls = await troubled.fail_each(
            lambda: world.tokens(client), lambda tokens: world.revoke(client, getattr(tokens, kind)), moment, check
        )
        assert calls == 3


@requirement("D-23")
async def test_a_protected_call_waits_for_the_database_to_come_back(store: Any) -> None:
    watched = TroubledStore(store)
    async with running_world(watched) as world:
        tokens = await world.tokens(await world.register())
        watched.fails_always = {"get_access_token"}
        refused(await world.call(tokens.access), "temporarily_unavailable", 503)
        watched.fails_always = set()
        assert (await world.call(tokens.access)).status_code == 200


async def _assert_good(world: World, client: dict[str, Any], tokens: Tokens) -> None:
    """That both tokens work."""
    assert (await world.call(tokens.access)).status_code == 200
    newer = parsed(await world.refresh(client, tokens.refresh))
    assert (await world.call(newer.access)).status_code == 200
