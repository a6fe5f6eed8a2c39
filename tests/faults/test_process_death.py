"""A server process is killed: in its callback, and under load. What was acknowledged stands when it is back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.races.fleet import Fleet, running_fleet
from tests.wire.world import Pkce, Tokens, World, parsed, refused

pytestmark = pytest.mark.system

requirement = pytest.mark.requirement


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Fleet]:
    """Two processes with a callback that can be held up."""
    with running_fleet(tmp_path, 2, "callback") as fleet:
        yield fleet


async def _until(condition: Any) -> None:
    """Wait until something is true of other processes, which tell nobody."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@requirement("F-014", "F-015", "F-082", "D-07", "A-358")
async def test_after_the_death_of_the_process_that_ran_the_callback_the_others_go_on(pair: Fleet) -> None:
    hold = pair.folder / "hold"
    async with pair.worlds() as worlds:
        client = await worlds[0].register()
        first = await worlds[0].tokens(client)
        exchanged = len(pair.calls())
        hold.touch()
        requests = [asyncio.create_task(world.refresh(client, first.refresh)) for world in worlds * 2]
        await _until(lambda: len(pair.calls()) == exchanged + 1)
        dead = pair.number_of(pair.calls()[-1][1])
        pair.kill(dead)
        answers = await asyncio.gather(*requests[dead::2], return_exceptions=True)
        assert all(isinstance(answer, httpx.TransportError) for answer in answers)
        assert len(pair.calls()) == exchanged + 1, "the lease of the dead holds the others back"
        hold.unlink()
        pair.advance(5)
        survivors = [parsed(answer) for answer in await asyncio.gather(*requests[1 - dead :: 2])]
        assert len({(tokens.access, tokens.refresh) for tokens in survivors}) == 1
        keys = [key for key, _ in pair.calls()[exchanged:]]
        assert len(keys) == 2
        assert len(set(keys)) == 1, "an upstream server can recognise the repeated request"
        pair.start()
        again = parsed(await worlds[dead].refresh(client, first.refresh))
        assert again.refresh == survivors[0].refresh
        assert (await worlds[dead].call(again.access)).json()["props"] == {"generation": 1}


@requirement("F-014", "F-005")
async def test_a_code_outlives_the_process_that_was_exchanging_it(pair: Fleet) -> None:
    hold = pair.folder / "hold"
    async with pair.worlds() as worlds:
        worlds[1].pkce = worlds[0].pkce
        client = await worlds[0].register()
        code = await worlds[0].code(client)
        hold.touch()
        request = asyncio.create_task(worlds[0].exchange(client, code))
        await _until(pair.calls)
        pair.kill(0)
        with pytest.raises(httpx.TransportError):
            await request
        hold.unlink()
        pair.advance(5)
        tokens = parsed(await worlds[1].exchange(client, code))
        assert (await worlds[1].call(tokens.access)).status_code == 200
        assert len({key for key, _ in pair.calls()}) == 1


@dataclass
class Holder:
    """A client that keeps the token it sent until it has stored a newer one, and what it was promised."""

    world: World
    chance: random.Random
    number: int
    client: dict[str, Any]
    held: str = ""
    access: str = ""
    acknowledged: int = 0
    revoked: list[Tokens] = field(default_factory=list)

    async def live(self) -> None:
        """Authorize, refresh, call and revoke until the server is gone."""
        while True:
            if not self.held:
                tokens = await self.world.tokens(self.client, headers={"x-user": f"user {self.number}"})
                self.held, self.access = tokens.refresh, tokens.access
            elif self.chance.random() < 0.8:
                tokens = parsed(await self.world.refresh(self.client, self.held))
                self.held, self.access = tokens.refresh, tokens.access
            else:
                doomed, self.held = Tokens(self.access, self.held, {}), ""
                assert (await self.world.revoke(self.client, doomed.refresh)).status_code == 200
                self.revoked.append(doomed)
            self.acknowledged += 1

    async def check(self, world: World) -> None:
        """Check that everything that was acknowledged stands."""
        for tokens in self.revoked:
            assert (await world.call(tokens.access)).status_code == 401
            refused(await world.refresh(self.client, tokens.refresh), "invalid_grant")
        if self.held:
            assert (await world.call(self.access)).status_code == 200
            tokens = parsed(await world.refresh(self.client, self.held))
            self.held, self.access = tokens.refresh, tokens.access
            assert (await world.call(self.access)).status_code == 200


@requirement("F-016", "F-010", "F-007", "A-202", "F-001", "F-021")
@pytest.mark.parametrize("options", [(), ("callback",)], ids=["no callback", "callback"])
async def test_what_was_acknowledged_before_a_kill_under_load_stands_after_the_restart(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    chance = random.Random(7)
    with running_fleet(tmp_path, 2, *options) as fleet:
        async with fleet.worlds() as worlds:
            pkce = Pkce()
            for world in worlds:
                world.pkce = pkce
            holders = [
                Holder(worlds[number % 2], random.Random(number), number, await worlds[0].register())
                for number in range(8)
            ]
        for _ in range(3):
            async with fleet.worlds() as worlds:
                for number, holder in enumerate(holders):
                    holder.world = worlds[number % 2]
                lives = [asyncio.create_task(holder.live()) for holder in holders]
                goal = sum(holder.acknowledged for holder in holders) + chance.randint(25, 75)
                await _until(lambda goal=goal: sum(holder.acknowledged for holder in holders) >= goal)
                fleet.kill()
                # Some have lost their connection, others wait at the socket for a server to come.
                for life in lives:
                    life.cancel()
                for end in await asyncio.gather(*lives, return_exceptions=True):
                    assert isinstance(end, (httpx.TransportError, asyncio.CancelledError)), end
            fleet.start()
            # A lease that the dead held has to lapse first.
            fleet.advance(5)
            async with fleet.worlds() as worlds:
                await asyncio.gather(*(holder.check(worlds[number % 2]) for number, holder in enumerate(holders)))
        assert sum(len(holder.revoked) for holder in holders) > 5
        assert not fleet.damage()
