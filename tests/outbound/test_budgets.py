"""How much may be fetched: at once and in a minute, from a host and for a client (threat A-135)."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from grantwell._outbound import budgets
from grantwell._outbound.budgets import (
    MAX_CONCURRENT,
    MAX_CONCURRENT_OF_HOST,
    MAX_PENDING,
    MAX_PER_MINUTE_OF_CLIENT,
    MAX_PER_MINUTE_OF_HOST,
    Budgets,
)
from grantwell._outbound.failures import FetchBudgetSpent, FetchFailed
from grantwell._outbound.fetcher import Fetcher
from grantwell._outbound.targets import Address
from grantwell.testing import FrozenClock
from tests.outbound.internet import MOST_BYTES, Internet, http, silent

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement


class NameSystem:
    """Answers no query until it is let go, and then knows no name; it notes who waits for it."""

    def __init__(self) -> None:
        self.waiting: Counter[str] = Counter()
        self.queries = 0
        self._go = asyncio.Event()

    async def resolve(self, host: str) -> list[Address]:
        """Waits."""
        self.waiting[host] += 1
        self.queries += 1
        try:
            await self._go.wait()
        finally:
            self.waiting[host] -= 1
        return []

    def let_go(self) -> None:
        """Answer from now on."""
        self._go.set()


async def unknown(host: str) -> list[Address]:
    """A name system that knows no name."""
    return []


def asking(fetcher: Fetcher, host: str, client: str | None) -> asyncio.Task[str]:
    """A fetch that is under way; it ends with what came of it."""

    async def ask() -> str:
        try:
            await fetcher.get(f"https://{host}/c", most_bytes=MOST_BYTES, on_behalf_of=client)
        except FetchBudgetSpent:
            return "spent"
        except FetchFailed as error:
            return str(error)
        return "fetched"

    return asyncio.create_task(ask())


async def settled() -> None:
    """Everything that can go on has gone on."""
    for _ in range(10):
        await asyncio.sleep(0)


def client_of(number: int) -> str:
    """The address of one of many clients."""
    return f"198.51.{number // 256}.{number % 256}"


@requirement("A-135")
async def test_two_fetches_from_one_host_go_on_at_once_and_the_others_wait() -> None:
    names = NameSystem()
    fetcher = Fetcher(resolve=names.resolve)
    tasks = [asking(fetcher, "m1.test", client_of(number)) for number in range(10)]
    tasks += [asking(fetcher, "M1.test", client_of(11)), asking(fetcher, "m2.test", client_of(12))]
    await settled()
    assert names.waiting == {"m1.test": MAX_CONCURRENT_OF_HOST, "m2.test": 1}
    tasks[0].cancel()
    await settled()
    assert names.waiting["m1.test"] == MAX_CONCURRENT_OF_HOST
    names.let_go()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert outcomes[1:] == ["its host has no address"] * 11
    assert (names.queries, names.waiting.total()) == (12, 0)


@requirement("A-135")
async def test_sixteen_fetches_go_on_at_once_and_sixty_four_are_pending_at_most() -> None:
    names = NameSystem()
    fetcher = Fetcher(resolve=names.resolve)
    tasks = [asking(fetcher, f"n{number}.test", client_of(number)) for number in range(MAX_PENDING)]
    await settled()
    assert (MAX_CONCURRENT, names.waiting.total()) == (16, 16)
    with pytest.raises(FetchBudgetSpent, match="64 fetches are under way") as caught:
        await fetcher.get("https://one-more.test/c", most_bytes=MOST_BYTES, on_behalf_of=client_of(99))
    assert caught.value.retry_after == 5
    for task in tasks[::2]:
        task.cancel()
    await settled()
    assert names.waiting.total() == MAX_CONCURRENT
    names.let_go()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert outcomes[1::2] == ["its host has no address"] * 32
    assert "one-more.test" not in names.waiting


@requirement("A-135")
async def test_many_fetches_from_one_slow_host_leave_the_other_places_to_other_hosts() -> None:
    names = NameSystem()
    fetcher = Fetcher(resolve=names.resolve)
    tasks = [asking(fetcher, "slow.test", client_of(number)) for number in range(20)]
    tasks += [asking(fetcher, f"n{number}.test", client_of(100 + number)) for number in range(14)]
    await settled()
    assert names.waiting.total() == 16
    assert names.waiting["slow.test"] == 2
    names.let_go()
    await asyncio.gather(*tasks)


@requirement("A-135", "S-432")
async def test_waiting_for_a_turn_counts_against_the_time_and_asks_nothing(internet: Internet) -> None:
    fetcher = internet.fetcher(deadline=0.05)
    turns = (fetcher._budgets.turn("m1.test", None) for _ in range(MAX_CONCURRENT_OF_HOST))
    async with asyncio.timeout(3), next(turns), next(turns):
        assert await asking(fetcher, "m1.test", None) == "there was no whole answer within 0.05 s"
    assert internet.queries == []


@requirement("A-135")
async def test_turns_are_given_back_after_every_kind_of_end(internet: Internet) -> None:
    await internet.serve(silent, name="silent.test", address="1.1.1.1")
    await internet.serve(http(b"here"))
    fetcher = internet.fetcher(deadline=0.05)
    for _ in range(3):
        ends = [asking(fetcher, host, None) for host in ("silent.test", "m1.test", "unknown.test")]
        cancelled = asking(fetcher, "silent.test", None)
        await settled()
        cancelled.cancel()
        await asyncio.gather(*ends, cancelled, return_exceptions=True)
    assert await asking(internet.fetcher(), "m1.test", None) == "fetched"
    assert fetcher._budgets._hosts == {}
    assert fetcher._budgets._pending == 0


async def refusals(fetcher: Fetcher, hosts: list[str], clients: list[str | None]) -> list[int]:
    """After how many fetches, and for how many seconds, each further one is refused; empty if none is."""
    waits = []
    for number in range(max(len(hosts), len(clients))):
        try:
            await fetcher.get(
                f"https://{hosts[number % len(hosts)]}/c",
                most_bytes=MOST_BYTES,
                on_behalf_of=clients[number % len(clients)],
            )
        except FetchBudgetSpent as error:
            waits += [number, error.retry_after]
        except FetchFailed as error:
            assert str(error) == "its host has no address"  # noqa: PT017
    return waits


@requirement("A-135")
async def test_a_bounded_number_of_fetches_a_minute_is_made_from_one_host_for_whomever() -> None:
    clock = FrozenClock()
    names = NameSystem()
    names.let_go()
    fetcher = Fetcher(resolve=names.resolve, clock=clock)
    clients: list[str | None] = [client_of(number) for number in range(MAX_PER_MINUTE_OF_HOST)]
    assert await refusals(fetcher, ["m1.test"], clients) == []
    for seconds, wait in ((0, 60), (1, 59), (58.5, 1)):
        clock.advance(seconds)
        with pytest.raises(FetchBudgetSpent, match="from this host in a minute") as caught:
            await fetcher.get("https://m1.test/other", most_bytes=MOST_BYTES, on_behalf_of="203.0.113.1")
        assert caught.value.retry_after == wait
    assert names.queries == MAX_PER_MINUTE_OF_HOST
    assert await refusals(fetcher, ["m2.test"], ["203.0.113.1"]) == []
    clock.advance(0.5)
    assert await refusals(fetcher, ["m1.test"], clients) == []


@requirement("A-135")
@pytest.mark.parametrize(
    "clients",
    [
        ["192.0.2.7"],
        [None],
        [None, "", "testclient", "unix:/run/x", "192.0.2.7:80", "[2001:db8::1]"],
        ["192.0.2.7", "::ffff:192.0.2.7"],
        ["2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:DB8:0:1::"],
    ],
    ids=["address", "unknown", "unreadable", "mapped", "one /64"],
)
async def test_a_bounded_number_of_fetches_a_minute_is_made_for_one_client(clients: list[str | None]) -> None:
    clock = FrozenClock()
    fetcher = Fetcher(resolve=unknown, clock=clock)
    hosts = [f"n{number}.test" for number in range(MAX_PER_MINUTE_OF_CLIENT)]
    assert await refusals(fetcher, hosts, clients) == []
    with pytest.raises(FetchBudgetSpent, match="for this client address in a minute") as caught:
        await fetcher.get("https://other.test/c", most_bytes=MOST_BYTES, on_behalf_of=clients[-1])
    assert caught.value.retry_after == 60
    for other in ("192.0.2.8", "2001:db8:0:2::1"):
        assert await refusals(fetcher, ["other.test"], [other]) == []
    clock.advance(60)
    assert await refusals(fetcher, hosts, clients) == []


@requirement("A-135")
async def test_a_refused_fetch_spends_nothing_and_waits_for_the_longer_of_two_limits() -> None:
    clock = FrozenClock()
    fetcher = Fetcher(resolve=unknown, clock=clock)
    assert await refusals(fetcher, ["m1.test"], [client_of(number) for number in range(MAX_PER_MINUTE_OF_HOST)]) == []
    clock.advance(20)
    hosts = [f"n{number}.test" for number in range(MAX_PER_MINUTE_OF_CLIENT - 1)]
    assert await refusals(fetcher, hosts, ["192.0.2.7"]) == []
    for _ in range(5):
        with pytest.raises(FetchBudgetSpent, match="from this host"):
            await fetcher.get("https://m1.test/c", most_bytes=MOST_BYTES, on_behalf_of="192.0.2.7")
    assert await refusals(fetcher, ["m2.test"], ["192.0.2.7"]) == []
    with pytest.raises(FetchBudgetSpent) as caught:
        await fetcher.get("https://m1.test/c", most_bytes=MOST_BYTES, on_behalf_of="192.0.2.7")
    assert caught.value.retry_after == 60
    assert await refusals(fetcher, ["m2.test"], ["192.0.2.8"] * (MAX_PER_MINUTE_OF_HOST - 2)) == []


@requirement("A-135")
async def test_a_url_that_is_refused_anyway_spends_nothing() -> None:
    fetcher = Fetcher(resolve=unknown, clock=FrozenClock())
    for _ in range(100):
        with pytest.raises(FetchFailed) as caught:
            await fetcher.get("https://m1.test/../c", most_bytes=MOST_BYTES, on_behalf_of="192.0.2.7")
        assert not isinstance(caught.value, FetchBudgetSpent)
    assert await refusals(fetcher, ["m1.test"], ["192.0.2.7"]) == []


@requirement("A-135")
async def test_the_counts_are_bounded_and_forget_the_key_that_was_used_longest_ago(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(budgets, "MAX_COUNTED_KEYS", 3)
    clock = FrozenClock()
    counts = Budgets(clock)

    async def spend(host: str, times: int = 1) -> None:
        for number in range(times):
            async with counts.turn(host, client_of(number)):
                clock.advance(0.001)

    for host in ("a.test", "b.test", "c.test"):
        await spend(host, MAX_PER_MINUTE_OF_HOST // 2)
    await spend("a.test", MAX_PER_MINUTE_OF_HOST // 2 - 1)
    await spend("d.test")
    assert len(counts._of_hosts._times) == len(counts._of_clients._times) == 3
    await spend("a.test")
    with pytest.raises(FetchBudgetSpent):
        await spend("a.test")
    await spend("b.test", MAX_PER_MINUTE_OF_HOST)
