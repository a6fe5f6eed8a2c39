"""Races between four server processes on one SQLite file, over real sockets."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from tests.races.fleet import Fleet, running_fleet
from tests.wire.world import Pkce, Tokens, World, parsed, refused

pytestmark = pytest.mark.system

requirement = pytest.mark.requirement

PROCESSES = 4
ROUNDS = 25


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Four processes without a callback."""
    with running_fleet(tmp_path_factory.mktemp("fleet"), PROCESSES) as fleet:
        yield fleet
        assert not fleet.damage()


@pytest.fixture(scope="module")
def calling_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Four processes with a callback."""
    with running_fleet(tmp_path_factory.mktemp("calling"), PROCESSES, "callback") as fleet:
        yield fleet
        assert not fleet.damage()


@pytest.fixture
async def worlds(fleet: Fleet) -> AsyncIterator[list[World]]:
    """A way to each of the four processes."""
    async with fleet.worlds() as worlds:
        _share_verifier(worlds)
        yield worlds


@pytest.fixture
async def calling(calling_fleet: Fleet) -> AsyncIterator[list[World]]:
    """A way to each of the four processes that have a callback."""
    async with calling_fleet.worlds() as worlds:
        _share_verifier(worlds)
        yield worlds


def _share_verifier(worlds: list[World]) -> None:
    pkce = Pkce()
    for world in worlds:
        world.pkce = pkce


async def _at_once(worlds: list[World], each: int, request: Any) -> list[httpx.Response]:
    """The answers to one request that is sent to all processes at once, several times to each."""
    answers: list[httpx.Response] = await asyncio.gather(*(request(world) for _ in range(each) for world in worlds))
    return answers


@requirement("A-064", "F-066", "S-240", "D-01")
async def test_of_twenty_concurrent_exchanges_of_a_code_one_is_answered_with_tokens_that_work(
    worlds: list[World],
) -> None:
    client = await worlds[0].register()
    for number in range(ROUNDS):
        code = await worlds[number % PROCESSES].code(client, headers={"x-user": f"user {number}"})
        answers = await _at_once(worlds, 5, lambda world, code=code: world.exchange(client, code))
        assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 19}
        for answer in answers:
            if answer.status_code == 400:
                refused(answer, "invalid_grant")
            else:
                await _work_everywhere(worlds, client, parsed(answer))


@requirement("A-175", "F-067", "S-250", "D-14", "D-02")
async def test_eight_parallel_refreshes_get_one_successor_and_nobody_loses_the_grant(worlds: list[World]) -> None:
    chance = random.Random(1)
    client = await worlds[0].register()
    for number in range(ROUNDS):
        tokens = await worlds[number % PROCESSES].tokens(client, headers={"x-user": f"user {number}"})
        for _ in range(3):
            answers = await _at_once(worlds, 2, lambda world, held=tokens.refresh: world.refresh(client, held))
            assert len({(parsed(answer).access, parsed(answer).refresh) for answer in answers}) == 1
            tokens = parsed(chance.choice(answers))
        await _work_everywhere(worlds, client, tokens)


@requirement("A-176", "F-067", "S-250", "F-084")
async def test_processes_that_share_a_credential_and_lose_answers_keep_the_grant(worlds: list[World]) -> None:
    chance = random.Random(2)
    client = await worlds[0].register()

    async def holder(credential: list[str]) -> None:
        for _ in range(6):
            sent = credential[0]
            answer = await chance.choice(worlds).refresh(client, sent)
            if answer.status_code != 200:
                # Somebody was quicker by two generations: whoever shares the credential finds a newer one.
                refused(answer, "invalid_grant")
                assert credential[0] != sent
            elif chance.random() < 0.7 and credential[0] == sent:
                credential[0] = parsed(answer).refresh

    async def shared(number: int) -> None:
        credential = [(await chance.choice(worlds).tokens(client, headers={"x-user": f"sharer {number}"})).refresh]
        await asyncio.gather(*(holder(credential) for _ in range(4)))
        tokens = parsed(await chance.choice(worlds).refresh(client, credential[0]))
        await _work_everywhere(worlds, client, tokens)

    for number in range(10):
        await shared(number)


@requirement("A-183", "F-010", "S-125", "D-02", "A-194")
async def test_after_a_revocation_was_acknowledged_nothing_of_its_grant_ever_works(worlds: list[World]) -> None:
    chance = random.Random(3)
    client = await worlds[0].register()
    for number in range(ROUNDS):
        first = await worlds[number % PROCESSES].tokens(client, headers={"x-user": f"user {number}"})
        second = parsed(await worlds[0].refresh(client, first.refresh)) if number % 2 else first

        async def revoke(held: Tokens = second) -> None:
            answer = await chance.choice(worlds).revoke(client, held.refresh)
            assert answer.status_code == 200
            assert (await chance.choice(worlds).call(held.access)).status_code == 401

        revoked = asyncio.create_task(revoke())
        held = {first.refresh, second.refresh}
        answers = await asyncio.gather(*(world.refresh(client, token) for token in held for world in worlds * 2))
        await revoked
        issued = [first, second]
        for answer in answers:
            if answer.status_code == 200:
                issued.append(parsed(answer))
            else:
                refused(answer, "invalid_grant")
        for tokens in issued:
            for world in worlds:
                assert (await world.call(tokens.access)).status_code == 401
            refused(await chance.choice(worlds).refresh(client, tokens.refresh), "invalid_grant")


@requirement("A-183", "F-010", "A-066")
async def test_a_code_that_is_revoked_as_it_is_exchanged_gives_tokens_that_all_live_or_are_all_dead(
    worlds: list[World],
) -> None:
    client = await worlds[0].register()
    for number in range(10):
        code = await worlds[0].code(client, headers={"x-user": f"user {number}"})
        exchanged, revoked = await asyncio.gather(worlds[1].exchange(client, code), worlds[2].revoke(client, code))
        assert revoked.status_code == 200
        if exchanged.status_code != 200:
            refused(exchanged, "invalid_grant")
        elif (await worlds[3].call(parsed(exchanged).access)).status_code == 200:
            await _work_everywhere(worlds, client, parsed(exchanged))
        else:
            refused(await worlds[0].refresh(client, parsed(exchanged).refresh), "invalid_grant")


@requirement("A-358", "D-07", "F-067", "S-250")
async def test_the_callback_runs_once_for_each_generation(calling_fleet: Fleet, calling: list[World]) -> None:
    client = await calling[0].register()
    for number in range(10):
        before = len(calling_fleet.calls())
        code = await calling[number % PROCESSES].code(client, headers={"x-user": f"user {number}"})
        answers = await _at_once(calling, 2, lambda world, code=code: world.exchange(client, code))
        (tokens,) = [parsed(answer) for answer in answers if answer.status_code == 200]
        for generation in (1, 2):
            answers = await _at_once(calling, 2, lambda world, held=tokens.refresh: world.refresh(client, held))
            assert len({(parsed(answer).access, parsed(answer).refresh) for answer in answers}) == 1
            tokens = parsed(answers[0])
            assert (await calling[0].call(tokens.access)).json()["props"] == {"generation": generation}
        keys = [key for key, _ in calling_fleet.calls()[before:]]
        assert len(keys) == len(set(keys)) == 3


async def _work_everywhere(worlds: list[World], client: dict[str, Any], tokens: Tokens) -> None:
    """Check that tokens are good in every process."""
    for world in worlds:
        assert (await world.call(tokens.access)).status_code == 200
    newer = parsed(await worlds[-1].refresh(client, tokens.refresh))
    assert (await worlds[0].call(newer.access)).status_code == 200
