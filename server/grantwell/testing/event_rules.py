"""Events: kept as they were told, found by what they tell of, and gone when they are old."""

from __future__ import annotations

from typing import Any

import pytest

from ..records import Event
from ..store import EventQuery, Purge
from .samples import NOW, CompleteStore, event


def _purge(before: int | None, *, limit: int = 100) -> Purge:
    return Purge(
        now=NOW + 99,
        ended_before=NOW - 99,
        unused_since=None,
        never_used_since=None,
        limit=limit,
        events_before=before,
    )


async def _found(store: CompleteStore, **filters: Any) -> list[str]:
    return [found.event_id for found in (await store.list_events(EventQuery(**filters))).items]


class EventRules:
    """What a store must do with events."""

    async def test_events_are_found_as_they_were_told(self, store: CompleteStore) -> None:
        bare = Event(name="purged", at=NOW - 1, event_id="bare")
        await store.add_events([event("whole"), bare])
        assert (await store.list_events(EventQuery())).items == (event("whole"), bare)

    async def test_no_events_are_nothing_to_do(self, store: CompleteStore) -> None:
        await store.add_events([])
        assert (await store.list_events(EventQuery())).items == ()

    async def test_a_batch_that_is_sent_again_adds_what_was_missing_and_changes_nothing(
        self, store: CompleteStore
    ) -> None:
        await store.add_events([event("a")])
        await store.add_events([event("a", name="grant_denied"), event("b")])
        assert (await store.list_events(EventQuery())).items == (event("b"), event("a"))

    async def test_events_are_listed_newest_first_each_on_one_page(self, store: CompleteStore) -> None:
        await store.add_events([event(f"{number}", at=NOW + number // 3) for number in range(8)])
        listed: list[str] = []
        cursor = None
        while not listed or cursor is not None:
            page = await store.list_events(EventQuery(limit=3, cursor=cursor))
            listed += [found.event_id for found in page.items]
            cursor = page.cursor
        assert listed == ["7", "6", "5", "4", "3", "2", "1", "0"]

    @pytest.mark.parametrize("name", ["user_id", "client_id", "grant_id", "name", "reference"])
    async def test_a_filter_finds_exactly_its_value(self, store: CompleteStore, name: str) -> None:
        await store.add_events([event("1"), event("2", **{name: "other"}), event("3", **{name: "Other"})])
        if name != "name":
            await store.add_events([event("4", **{name: "" if name == "reference" else None})])
        assert await _found(store, **{name: "other"}) == ["2"]
        assert await _found(store, **{name: getattr(event("1"), name)}) == ["1"]
        assert await _found(store, **{name: "othe"}) == []

    async def test_filters_are_combined(self, store: CompleteStore) -> None:
        told = [("1", "ada", "c1"), ("2", "ada", "c2"), ("3", "bob", "c1")]
        await store.add_events([event(label, user_id=user, client_id=client) for label, user, client in told])
        assert await _found(store, user_id="ada", client_id="c1") == ["1"]
        assert await _found(store, user_id="ada", client_id="c1", name="refused") == []

    async def test_events_are_listed_since_an_instant(self, store: CompleteStore) -> None:
        await store.add_events([event(f"{second}", at=NOW + second) for second in range(3)])
        assert await _found(store, since=NOW + 1) == ["2", "1"]
        assert await _found(store, since=NOW + 3) == []

    async def test_a_listing_of_events_refuses_odd_limits_and_cursors(self, store: CompleteStore) -> None:
        with pytest.raises(ValueError, match="1000"):
            await store.list_events(EventQuery(limit=1001))
        with pytest.raises(ValueError, match="cursor"):
            await store.list_events(EventQuery(cursor="nonsense"))

    async def test_old_events_go_in_steps_and_the_others_stay(self, store: CompleteStore) -> None:
        await store.add_events([event(f"{second}", at=NOW + second) for second in range(6)])
        results = [await store.purge(_purge(NOW + 4, limit=2)) for _ in range(3)]
        assert [(result.events, result.done) for result in results] == [(2, False), (2, False), (1, True)]
        assert await _found(store) == ["5"]

    async def test_events_stay_when_no_age_is_given(self, store: CompleteStore) -> None:
        await store.add_events([event("old", at=1)])
        assert (await store.purge(_purge(None))).events == 0
        assert await _found(store) == ["old"]
