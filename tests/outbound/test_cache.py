"""What was loaded is kept as long as it may be, and loaded once however many ask (threats A-134 and A-135)."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Any

import pytest

from grantwell._outbound.cache import MAX_ENTRIES, Cache
from grantwell._outbound.failures import FetchFailed
from grantwell.testing import FrozenClock

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement


class Source:
    """Loads a value with the number of the load in it. A held one begins, and ends when it is let go."""

    def __init__(self, seconds: int = 60, *, held: bool = False, name: str = "value") -> None:
        self.seconds = seconds
        self.name = name
        self.loads = 0
        self.ended = 0
        self.failure: Exception | None = None
        self._go = asyncio.Event()
        if not held:
            self._go.set()

    async def load(self) -> tuple[str, int]:
        """One load."""
        self.loads += 1
        number = self.loads
        await self._go.wait()
        self.ended += 1
        if self.failure is not None:
            raise self.failure
        return f"{self.name} {number}", self.seconds

    def let_go(self) -> None:
        """End the loads that are held, and hold no more."""
        self._go.set()


@pytest.fixture
def clock() -> FrozenClock:
    """The clock of the cache."""
    return FrozenClock()


@pytest.fixture
def cache(clock: FrozenClock) -> Cache[str]:
    """An empty cache."""
    return Cache(clock)


async def settled() -> None:
    """Everything that can go on has gone on."""
    for _ in range(5):
        await asyncio.sleep(0)


@requirement("S-433", "A-134")
async def test_a_value_is_kept_for_its_seconds_and_loaded_again_then(cache: Cache[str], clock: FrozenClock) -> None:
    source = Source(seconds=60)
    assert await cache.get("k", source.load) == "value 1"
    clock.advance(59.9)
    assert await cache.get("k", source.load) == "value 1"
    clock.advance(0.1)
    assert await cache.get("k", source.load) == "value 2"
    assert await cache.get("k", source.load) == "value 2"


@requirement("A-134")
async def test_each_key_has_its_own_value_and_keys_are_exact(cache: Cache[str]) -> None:
    source = Source()
    keys = ["https://m1.test/c", "https://m1.test/c/", "https://m1.test/C", "https://m1.test/c?", "https://m2.test/c"]
    assert [await cache.get(key, source.load) for key in keys] == [f"value {n}" for n in range(1, 6)]
    assert [await cache.get(key, source.load) for key in keys] == [f"value {n}" for n in range(1, 6)]


@requirement("S-433", "S-434", "A-134")
@pytest.mark.parametrize("seconds", [0, -1])
async def test_a_value_that_may_not_be_kept_is_loaded_each_time(seconds: int, cache: Cache[str]) -> None:
    source = Source(seconds)
    assert [await cache.get("k", source.load) for _ in range(3)] == ["value 1", "value 2", "value 3"]


@requirement("S-433", "A-134")
async def test_a_value_that_may_not_be_kept_drives_no_other_out(clock: FrozenClock) -> None:
    cache: Cache[str] = Cache(clock, max_entries=1)
    kept, passing = Source(), Source(seconds=0)
    await cache.get("kept", kept.load)
    await cache.get("passing", passing.load)
    assert await cache.get("kept", kept.load) == "value 1"


@requirement("S-434", "A-134")
async def test_a_failure_is_not_kept(cache: Cache[str]) -> None:
    source = Source()
    source.failure = FetchFailed("its answer has the status 500")
    for _ in range(2):
        with pytest.raises(FetchFailed, match="status 500"):
            await cache.get("k", source.load)
    source.failure = None
    assert await cache.get("k", source.load) == "value 3"


@requirement("S-434")
async def test_a_failure_to_load_anew_does_not_bring_the_old_value_back(cache: Cache[str], clock: FrozenClock) -> None:
    source = Source(seconds=60)
    await cache.get("k", source.load)
    clock.advance(60)
    source.failure = FetchFailed("its answer has the status 500")
    with pytest.raises(FetchFailed):
        await cache.get("k", source.load)
    clock.advance(-30)
    with pytest.raises(FetchFailed):
        await cache.get("k", source.load)


@requirement("A-134")
async def test_a_clock_that_is_set_back_makes_nothing_live_longer(cache: Cache[str], clock: FrozenClock) -> None:
    source = Source(seconds=60)
    await cache.get("k", source.load)
    clock.advance(-3600)
    assert await cache.get("k", source.load) == "value 2"


@requirement("S-433", "A-134")
async def test_the_seconds_count_from_the_end_of_the_load(cache: Cache[str], clock: FrozenClock) -> None:
    source = Source(seconds=60, held=True)
    first = asyncio.create_task(cache.get("k", source.load))
    await settled()
    clock.advance(100)
    source.let_go()
    assert await first == "value 1"
    assert await cache.get("k", source.load) == "value 1"


@requirement("A-134", "D-30")
async def test_the_value_that_was_used_longest_ago_is_forgotten_first(clock: FrozenClock) -> None:
    assert MAX_ENTRIES == 256
    cache: Cache[str] = Cache(clock, max_entries=3)
    source = Source()
    for key in ("a", "b", "c", "a", "d"):
        await cache.get(key, source.load)
    assert source.loads == 4
    for key in ("a", "c", "d"):
        await cache.get(key, source.load)
    assert source.loads == 4
    await cache.get("b", source.load)
    assert source.loads == 5


@requirement("A-134", "D-30")
async def test_many_keys_leave_no_more_than_the_allowed_number_of_values(cache: Cache[str]) -> None:
    source = Source()
    for number in range(MAX_ENTRIES + 50):
        await cache.get(f"{number}", source.load)
    assert len(cache._entries) == MAX_ENTRIES
    assert not cache._flights
    await settled()
    assert not cache._flights


# ── one flight ─────────────────────────────────────────────────────────────────────────────────────────────────────


@requirement("A-135", "D-30")
@pytest.mark.parametrize("seconds", [60, 0])
async def test_all_who_ask_while_a_load_is_under_way_share_it(seconds: int, cache: Cache[str]) -> None:
    source = Source(seconds, held=True)
    callers = [asyncio.create_task(cache.get("k", source.load)) for _ in range(20)]
    await settled()
    assert source.loads == 1
    source.let_go()
    assert await asyncio.gather(*callers) == ["value 1"] * 20
    assert await cache.get("k", source.load) == ("value 1" if seconds else "value 2")


@requirement("A-135", "S-434")
async def test_a_failure_is_shared_by_those_who_wait_and_the_next_tries_anew(cache: Cache[str]) -> None:
    source = Source(held=True)
    source.failure = FetchFailed("its host was not found")
    callers = [asyncio.create_task(cache.get("k", source.load)) for _ in range(5)]
    await settled()
    source.let_go()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["its host was not found"] * 5
    assert source.loads == 1
    source.failure = None
    assert await cache.get("k", source.load) == "value 2"


@requirement("A-135")
async def test_loads_of_different_keys_do_not_wait_for_each_other(cache: Cache[str]) -> None:
    held, free = Source(held=True), Source()
    waiting = asyncio.create_task(cache.get("a", held.load))
    await settled()
    assert await cache.get("b", free.load) == "value 1"
    held.let_go()
    await waiting


@requirement("A-135")
@pytest.mark.parametrize("cancelled", [0, 1, 2], ids=["the first", "the second", "the last"])
async def test_a_caller_that_is_cancelled_leaves_the_load_to_the_others(cancelled: int, cache: Cache[str]) -> None:
    source = Source(held=True)
    callers = [asyncio.create_task(cache.get("k", source.load)) for _ in range(3)]
    await settled()
    callers.pop(cancelled).cancel()
    await settled()
    source.let_go()
    assert await asyncio.gather(*callers) == ["value 1"] * 2
    assert source.loads == 1


@requirement("A-135")
@pytest.mark.parametrize("failure", [None, FetchFailed("its host was not found")], ids=["a value", "a failure"])
async def test_a_load_that_everybody_left_ends_quietly_and_its_value_is_kept(
    failure: Exception | None, cache: Cache[str], caplog: pytest.LogCaptureFixture
) -> None:
    source = Source(held=True)
    caller = asyncio.create_task(cache.get("k", source.load))
    await settled()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    source.failure = failure
    source.let_go()
    await settled()
    gc.collect()
    assert source.ended == 1
    assert caplog.records == []
    source.failure = None
    assert await cache.get("k", source.load) == ("value 1" if failure is None else "value 2")


@requirement("A-135", "S-434")
async def test_a_load_that_is_ended_from_outside_ends_its_callers_and_is_not_kept(cache: Cache[str]) -> None:
    source = Source(held=True)
    caller = asyncio.create_task(cache.get("k", source.load))
    await settled()
    for load in cache._flights.values():
        load.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    source.let_go()
    assert await cache.get("k", source.load) == "value 2"


# ── renewal ────────────────────────────────────────────────────────────────────────────────────────────────────────


@requirement("S-229", "S-433")
async def test_a_renewed_value_takes_the_place_of_the_kept_one_once_it_is_loaded(
    cache: Cache[str], clock: FrozenClock
) -> None:
    old, new = Source(seconds=60, name="old"), Source(seconds=600, held=True, name="new")
    await cache.get("k", old.load)
    renewing = [asyncio.create_task(cache.renew("k", new.load)) for _ in range(3)]
    await settled()
    async with asyncio.timeout(3):
        assert await cache.get("k", old.load) == "old 1"
    new.let_go()
    assert await asyncio.gather(*renewing) == ["new 1"] * 3
    clock.advance(599)
    assert await cache.get("k", old.load) == "new 1"


@requirement("S-229", "S-434")
async def test_a_renewal_that_fails_leaves_the_kept_value_where_it_is(cache: Cache[str], clock: FrozenClock) -> None:
    source = Source(seconds=60)
    await cache.get("k", source.load)
    source.failure = FetchFailed("its answer has the status 500")
    with pytest.raises(FetchFailed):
        await cache.renew("k", source.load)
    assert await cache.get("k", source.load) == "value 1"
    clock.advance(60)
    with pytest.raises(FetchFailed):
        await cache.get("k", source.load)


@requirement("S-433", "A-134")
async def test_a_renewed_value_that_may_not_be_kept_ends_the_kept_one(cache: Cache[str]) -> None:
    source = Source(seconds=60)
    await cache.get("k", source.load)
    source.seconds = 0
    assert await cache.renew("k", source.load) == "value 2"
    assert await cache.get("k", source.load) == "value 3"


@requirement("S-229", "A-135")
async def test_a_renewal_joins_the_load_that_is_under_way_and_needs_no_kept_value(cache: Cache[str]) -> None:
    source = Source(held=True)
    callers = [asyncio.create_task(ask("k", source.load)) for ask in (cache.get, cache.renew, cache.get)]
    await settled()
    source.let_go()
    assert await asyncio.gather(*callers) == ["value 1"] * 3
    assert await cache.renew("other", source.load) == "value 2"


@requirement("A-134")
async def test_a_renewed_value_counts_as_used_just_now(clock: FrozenClock) -> None:
    cache: Cache[str] = Cache(clock, max_entries=2)
    source = Source()
    for key in ("a", "b"):
        await cache.get(key, source.load)
    await cache.renew("a", source.load)
    await cache.get("c", source.load)
    assert await cache.get("a", source.load) == "value 3"


@requirement("A-135")
@pytest.mark.skipif(sys.version_info < (3, 12), reason="event loops start tasks eagerly from Python 3.12 on")
async def test_a_load_that_never_waits_is_kept_too_where_the_loop_starts_tasks_eagerly(cache: Cache[str]) -> None:
    loop = asyncio.get_running_loop()
    eager: Any = vars(asyncio)["eager_task_factory"]
    loop.set_task_factory(eager)
    try:
        source = Source()
        assert [await cache.get("k", source.load) for _ in range(3)] == ["value 1"] * 3
        assert not cache._flights
    finally:
        loop.set_task_factory(None)
