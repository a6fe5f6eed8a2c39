"""What registration costs its server: so many unused clients of an address, and none of them for ever."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from typing import Any

import httpx
import pytest

from grantwell import Event, PurgeResult, StoreUnavailable
from grantwell._flows import housekeeping
from grantwell.config import DAY
from grantwell.store import Purge
from grantwell_storage import MemoryStore
from tests.wire.addresses import sent_from
from tests.wire.world import REDIRECT, World, nothing_changes, refused, running_world

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

QUOTA = 3
HERE = "192.0.2.1"
ELSEWHERE = "198.51.100.9"


@asynccontextmanager
async def limited(store: Any, **options: Any) -> AsyncIterator[World]:
    """A world in which an address may leave few clients unused."""
    async with running_world(store, **({"max_unused_clients": QUOTA} | options)) as world:
        yield world


async def register(world: World, address: str = HERE, **headers: str) -> httpx.Response:
    """Register a public client from an address."""
    metadata = {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"}
    return await sent_from(world, address, "POST", "/register", json=metadata, headers=headers)


async def statuses(world: World, times: int, address: str = HERE, **headers: str) -> list[int]:
    """What so many registrations are answered with."""
    return [(await register(world, address, **headers)).status_code for _ in range(times)]


# The quota of an address --------------------------------------------------------------------------------------------


@requirement("S-023", "A-106", "S-389", "G-330")
async def test_beyond_its_quota_an_address_has_to_wait_and_nobody_else(store: Any) -> None:
    async with limited(store) as world:
        first = (await register(world)).json()
        assert await statuses(world, QUOTA - 1) == [201] * (QUOTA - 1)
        with nothing_changes(world):
            answer = refused(await register(world), "temporarily_unavailable", 429)
            assert answer.headers["retry-after"] == "3600"
            assert answer.headers["access-control-allow-origin"] == "*"
        assert await statuses(world, QUOTA + 1, ELSEWHERE) == [201] * QUOTA + [429]
        assert (await world.code(first)).startswith("gwc_")


@requirement("A-106")
async def test_without_an_option_the_quota_is_a_thousand(store: Any) -> None:
    async with running_world(store) as world:
        client = await world.store.get_client((await register(world)).json()["client_id"])
        for number in range(998):
            await world.store.add_client(replace(client, client_id=f"copy-{number}"))
        assert await statuses(world, 2) == [201, 429]


@requirement("A-106", "G-330")
async def test_without_a_quota_nobody_has_to_wait(store: Any) -> None:
    async with limited(store, max_unused_clients=None) as world:
        assert await statuses(world, 2 * QUOTA) == [201] * 2 * QUOTA


@requirement("A-106")
@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        (HERE, f"::ffff:{HERE}", True),
        (HERE, "192.0.2.2", False),
    ],
)
async def test_the_quota_is_of_what_one_sender_has_for_himself(
    store: Any, first: str, second: str, shared: bool
) -> None:
    async with limited(store) as world:
        assert await statuses(world, QUOTA, first) == [201] * QUOTA
        assert await statuses(world, 1, second) == [429 if shared else 201]


@requirement("A-106", "A-278", "S-019")
async def test_a_forwarded_address_has_a_quota_of_its_own_if_the_proxy_is_trusted(store: Any) -> None:
    proxy = "10.0.0.1"
    async with limited(store, trusted_proxies=["10.0.0.0/8"]) as world:
        forged = [(await register(world, HERE, **{"X-Forwarded-For": f"203.0.113.{n}"})).status_code for n in range(5)]
        assert forged == [201] * QUOTA + [429] * 2
        assert await statuses(world, QUOTA + 1, proxy, **{"X-Forwarded-For": ELSEWHERE}) == [201] * QUOTA + [429]
        # What the sender wrote itself stands to the left of what the proxy saw.
        assert await statuses(world, 1, proxy, **{"X-Forwarded-For": f"203.0.113.9, {ELSEWHERE}"}) == [429]
        assert await statuses(world, 1, proxy, **{"X-Forwarded-For": "203.0.113.9"}) == [201]


@requirement("A-106", "S-389", "G-330")
async def test_clients_that_people_authorize_leave_room_at_once(store: Any) -> None:
    async with limited(store) as world:
        for _ in range(3 * QUOTA):
            answer = await register(world)
            assert answer.status_code == 201, answer.text
            await world.tokens(answer.json())
        assert await statuses(world, QUOTA + 1) == [201] * QUOTA + [429]


@requirement("A-106")
async def test_what_is_refused_is_no_use(store: Any) -> None:
    async with limited(store) as world:
        clients = [(await register(world)).json() for _ in range(QUOTA)]
        for client in clients:
            await world.authorize(client, headers={"x-deny": "1"})
            await world.authorize(client, scope="unknown")
            await world.post("/token", client, {"client_secret": "guess"})
            await world.post("/token", client, {"grant_type": "x"})
        await world.provider._context.uses.flush(world.store)
        assert await statuses(world, 1) == [429]


@requirement("A-106", "G-330")
async def test_the_hour_of_the_quota_moves_with_the_clock(store: Any) -> None:
    async with limited(store) as world:
        assert await statuses(world, 1) == [201]
        world.clock.advance(1800)
        assert await statuses(world, QUOTA) == [201] * (QUOTA - 1) + [429]
        world.clock.advance(1799)
        assert await statuses(world, 1) == [429]
        world.clock.advance(1)
        assert await statuses(world, 2) == [201, 429]
        world.clock.advance(1800)
        assert await statuses(world, QUOTA) == [201] * (QUOTA - 1) + [429]


@requirement("A-106", "S-467")
async def test_clients_of_the_operator_have_no_quota_and_count_in_none(store: Any) -> None:
    async with limited(store) as world:
        for _ in range(2 * QUOTA):
            await world.provider.helpers.create_client({"redirect_uris": [REDIRECT]})
        assert await statuses(world, QUOTA + 1) == [201] * QUOTA + [429]
        await world.provider.helpers.create_client({"redirect_uris": [REDIRECT]})


@requirement("A-106")
async def test_of_registrations_at_once_no_more_than_the_quota_are_stored(store: Any) -> None:
    async with limited(store) as world:
        answers = await asyncio.gather(*(register(world) for _ in range(3 * QUOTA)))
        assert sorted(answer.status_code for answer in answers) == [201] * QUOTA + [429] * 2 * QUOTA
        stored = {client.client_id for client in (await world.provider.helpers.list_clients()).items}
        assert stored == {answer.json()["client_id"] for answer in answers if answer.status_code == 201}


@requirement("A-106", "A-319", "S-465")
async def test_the_address_of_a_client_reaches_neither_its_row_nor_anybody(
    store: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with limited(store) as world:
        with caplog.at_level(logging.DEBUG, logger="grantwell"):
            answer = await register(world, ELSEWHERE)
        client_id = answer.json()["client_id"]
        assert ELSEWHERE not in answer.text + repr(await world.store.get_client(client_id)) + caplog.text
        shown = await world.provider.helpers.lookup_client(client_id)
        assert shown is not None
        assert shown.registered_from is None


# Clients that nobody uses go away -----------------------------------------------------------------------------------


async def kept(world: World, *clients: dict[str, Any]) -> list[bool]:
    """Purge, and tell which of these clients are still there."""
    while not (await world.provider.helpers.purge_expired()).done:
        continue
    return [await world.store.get_client(client["client_id"]) is not None for client in clients]


@requirement("S-407", "S-246", "A-106")
async def test_a_client_that_is_not_used_within_a_day_is_gone_and_told_to_register_again(store: Any) -> None:
    async with running_world(store) as world:
        secret = await world.register(token_endpoint_auth_method="client_secret_post")
        public = await world.register()
        used = await world.register()
        await world.tokens(used)
        await world.provider._context.uses.flush(store)
        world.clock.advance(DAY - 1)
        assert await kept(world, secret, public, used) == [True, True, True]
        world.clock.advance(1)
        assert await kept(world, secret, public, used) == [False, False, True]
        for client in (secret, public):
            refused(await world.refresh(client, "x"), "invalid_client", 401)
            answer = await world.authorize(client)
            assert (answer.status_code, answer.text) == (400, "local error: invalid_request")


@requirement("S-407", "S-467")
@pytest.mark.parametrize(("ttl", "days"), [(None, 0), (20 * DAY, 20), (90 * DAY, 90)], ids=str)
async def test_a_client_that_was_used_is_gone_when_it_was_not_for_long(store: Any, ttl: int | None, days: int) -> None:
    async with running_world(store, unused_client_ttl=ttl, refresh_token_ttl=10 * DAY) as world:
        used, idle = await world.register(), await world.register()
        operator, _ = await world.provider.helpers.create_client({"redirect_uris": [REDIRECT]})
        await world.tokens(used)
        await world.provider._context.uses.flush(store)
        if ttl is None:
            world.clock.advance(1000 * DAY)
            assert await kept(world, used, idle) == [True, True]
            return
        world.clock.advance(days * DAY - 1)
        assert await kept(world, used, idle, {"client_id": operator.client_id}) == [True, False, True]
        world.clock.advance(1)
        assert await kept(world, used, {"client_id": operator.client_id}) == [False, True]


@requirement("S-407")
async def test_a_client_with_a_grant_that_is_alive_stays(store: Any) -> None:
    async with running_world(store, unused_client_ttl=5 * DAY, refresh_token_ttl=10 * DAY) as world:
        client = await world.register()
        tokens = await world.tokens(client)
        await world.provider._context.uses.flush(store)
        world.clock.advance(10 * DAY - 1)
        assert await kept(world, client) == [True]
        assert (await world.refresh(client, tokens.refresh)).status_code == 200
        world.clock.advance(1)
        # The refresh was a use.
        await world.provider._context.uses.flush(store)
        assert await kept(world, client) == [True]


# Housekeeping -------------------------------------------------------------------------------------------------------


class Purged:
    """Waits for a server to say that it has purged something."""

    def __init__(self) -> None:
        self.said = asyncio.Event()

    async def __call__(self, event: Event) -> None:
        if event.name == "purged":
            self.said.set()

    async def wait(self) -> None:
        async with asyncio.timeout(10):
            await self.said.wait()


@pytest.fixture
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "EVERY_SECONDS", 0.001)
    monkeypatch.setattr(housekeeping, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(housekeeping, "_STEP_ROWS", 2)


@requirement("G-331", "S-407")
@pytest.mark.usefixtures("_often")
async def test_a_server_that_runs_purges_by_itself(store: Any) -> None:
    purged = Purged()
    async with running_world(store, on_event=purged) as world:
        clients = [await world.register() for _ in range(5)]
        world.clock.advance(DAY)
        await purged.wait()
        async with asyncio.timeout(10):
            while (await world.provider.helpers.list_clients()).items:
                purged.said.clear()
                await purged.wait()
        refused(await world.refresh(clients[0], "x"), "invalid_client", 401)


class Failing(MemoryStore):
    """A store whose first purges fail, and that counts them all."""

    def __init__(self, *trouble: Exception) -> None:
        super().__init__()
        self.trouble = list(trouble)
        self.purges = 0

    async def purge(self, step: Purge) -> PurgeResult:
        self.purges += 1
        if self.trouble:
            raise self.trouble.pop(0)
        return await super().purge(step)


@requirement("G-331", "F-077")
@pytest.mark.usefixtures("_often")
async def test_housekeeping_goes_on_after_a_failure_and_the_log_tells_of_it(caplog: pytest.LogCaptureFixture) -> None:
    purged = Purged()
    store = Failing(StoreUnavailable("the disk is away"), StoreUnavailable("still"), RuntimeError("a bug"))
    async with running_world(store, on_event=purged) as world:
        await world.register()
        world.clock.advance(DAY)
        await purged.wait()
        assert (await world.provider.helpers.list_clients()).items == ()
    assert "housekeeping is put off: the disk is away" in caplog.text
    assert "housekeeping failed" in caplog.text


@requirement("G-331", "G-301")
@pytest.mark.usefixtures("_often")
@pytest.mark.parametrize("trouble", [None, RuntimeError("the server fell over")], ids=["at its end", "in trouble"])
async def test_housekeeping_ends_with_the_server(trouble: Exception | None) -> None:
    purged = Purged()
    store = Failing()
    before = asyncio.all_tasks()
    with nullcontext() if trouble is None else pytest.raises(RuntimeError, match="fell over"):
        async with running_world(store, on_event=purged) as world:
            await world.register()
            world.clock.advance(DAY)
            await purged.wait()
            if trouble is not None:
                raise trouble
    assert asyncio.all_tasks() == before
    assert store.purges


@requirement("G-331")
async def test_housekeeping_leaves_a_server_alone_for_ten_minutes() -> None:
    assert housekeeping.EVERY_SECONDS == 600
    store = Failing()
    async with running_world(store) as world:
        await world.tokens(await world.register())
    assert store.purges == 0
