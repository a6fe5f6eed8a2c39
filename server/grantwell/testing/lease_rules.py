"""Leases: one runs the callback of a generation, and whoever vanishes is remembered."""

from __future__ import annotations

import asyncio

import pytest

from ..store import Lease, Revocation
from .samples import (
    CODE_TTL,
    GRANT,
    GRANT_TTL,
    NOW,
    CompleteStore,
    consent,
    given_consent,
    given_exchanged,
    lease,
    redemption,
    rotation,
)

FRESH = Lease(lapsed=False, refused=False)


class LeaseRules:
    """What a store must do with leases."""

    async def test_a_lease_has_one_holder(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        assert await store.take_lease(lease("first")) == FRESH
        assert await store.take_lease(lease("second")) is None
        assert await store.take_lease(lease("second", now=NOW + 14)) is None

    async def test_of_racers_for_a_lease_one_has_it(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        had = await asyncio.gather(*(store.take_lease(lease(f"racer-{number}")) for number in range(12)))
        assert sorted(had, key=lambda one: one is None) == [FRESH] + [None] * 11

    async def test_a_released_lease_can_be_taken_at_once(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        await store.take_lease(lease("first"))
        await store.release_lease(GRANT, "first", refused=False)
        assert await store.take_lease(lease("second")) == FRESH

    async def test_taking_over_a_lapsed_lease_tells_that_its_holder_vanished(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        await store.take_lease(lease("first", until=NOW + 15))
        taken = await store.take_lease(lease("second", now=NOW + 15, until=NOW + 30))
        assert taken == Lease(lapsed=True, refused=False)
        assert await store.take_lease(lease("third", now=NOW + 16)) is None

    async def test_a_lapse_and_a_refusal_are_remembered_for_the_generation(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        await store.take_lease(lease("first", until=NOW + 15))
        await store.take_lease(lease("second", now=NOW + 15, until=NOW + 30))
        await store.release_lease(GRANT, "second", refused=True)
        assert await store.take_lease(lease("third", now=NOW + 16)) == Lease(lapsed=True, refused=True)

    async def test_a_renewed_lease_is_held_for_longer(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        await store.take_lease(lease("first", until=NOW + 15))
        assert await store.renew_lease(GRANT, "first", NOW + 25)
        assert await store.take_lease(lease("second", now=NOW + 24)) is None
        assert await store.take_lease(lease("second", now=NOW + 25)) is not None

    async def test_a_late_renewal_does_not_shorten_a_lease(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        await store.take_lease(lease("first", until=NOW + 15))
        assert await store.renew_lease(GRANT, "first", NOW + 5)
        assert await store.take_lease(lease("second", now=NOW + 14)) is None

    async def test_only_the_holder_renews_or_releases(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        assert not await store.renew_lease(GRANT, "first", NOW + 25)
        await store.take_lease(lease("first", until=NOW + 15))
        assert not await store.renew_lease(GRANT, "second", NOW + 25)
        assert not await store.renew_lease("grant-2", "first", NOW + 25)
        await store.release_lease(GRANT, "second", refused=True)
        await store.release_lease("grant-2", "first", refused=True)
        assert await store.take_lease(lease("third")) is None
        await store.take_lease(lease("second", now=NOW + 15, until=NOW + 30))
        assert not await store.renew_lease(GRANT, "first", NOW + 40)
        await store.release_lease(GRANT, "first", refused=True)
        assert await store.take_lease(lease("third", now=NOW + 29)) is None

    async def test_a_rotation_ends_the_lease_and_its_history(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        await store.take_lease(lease("first", until=NOW + 1))
        await store.take_lease(lease("second", now=NOW + 1))
        await store.release_lease(GRANT, "second", refused=True)
        await store.take_lease(lease("third", now=NOW + 1))
        assert await store.rotate(rotation(1, now=NOW + 2)) == "rotated"
        assert not await store.renew_lease(GRANT, "third", NOW + 25)
        assert await store.take_lease(lease("fourth", generation=2, now=NOW + 2)) == FRESH

    async def test_an_exchange_runs_under_a_lease_and_ends_it(self, store: CompleteStore) -> None:
        await given_consent(store)
        await store.take_lease(lease("first", generation=0, until=NOW + 1))
        taken = await store.take_lease(lease("second", generation=0, now=NOW + 1))
        assert taken == Lease(lapsed=True, refused=False)
        assert await store.redeem_code(redemption(now=NOW + 2)) == "redeemed"
        assert not await store.renew_lease(GRANT, "second", NOW + 25)
        assert await store.take_lease(lease("third", now=NOW + 2)) == FRESH

    @pytest.mark.parametrize("generation", [0, 2])
    async def test_there_is_no_lease_for_another_generation(self, store: CompleteStore, generation: int) -> None:
        await given_exchanged(store)
        assert await store.take_lease(lease("first", generation=generation)) is None

    async def test_there_is_no_lease_on_a_grant_that_has_ended(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        assert await store.take_lease(lease("late", now=NOW + GRANT_TTL, until=NOW + GRANT_TTL + 9)) is None
        await store.take_lease(lease("first"))
        await store.revoke_grant(Revocation(grant_id=GRANT, now=NOW, reason="operator"))
        assert not await store.renew_lease(GRANT, "first", NOW + 25)
        for generation in range(4):
            assert await store.take_lease(lease("second", generation=generation, now=NOW + 20)) is None

    async def test_there_is_no_lease_on_an_unknown_or_late_code(self, store: CompleteStore) -> None:
        assert await store.take_lease(lease("first", generation=0)) is None
        await given_consent(store, consent())
        assert await store.take_lease(lease("first", generation=0, now=NOW + CODE_TTL)) is None
