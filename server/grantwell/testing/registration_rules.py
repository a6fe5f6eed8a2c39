"""Registration: within the quota of an address, and with an initial access token that is spent with it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ..store import ClientQuery, Use
from .samples import CLIENT, NOW, CompleteStore, client, digest, initial_access, registration

LATE = NOW + 600


class RegistrationRules:
    """What a store must do with clients that register themselves."""

    async def test_a_client_that_registers_is_found_as_it_was_stored(self, store: CompleteStore) -> None:
        new = registration(CLIENT)
        assert await store.register_client(new) == "registered"
        assert await store.get_client(CLIENT) == new.client
        without_quota = registration("client-2", most_unused=None)
        assert await store.register_client(without_quota) == "registered"
        assert await store.get_client("client-2") == without_quota.client

    async def test_of_an_address_only_so_many_unused_clients_are_stored(self, store: CompleteStore) -> None:
        outcomes = [await store.register_client(registration(f"client-{number}")) for number in range(5)]
        assert outcomes == ["registered"] * 3 + ["too_many"] * 2
        assert await _stored(store) == {"client-0", "client-1", "client-2"}

    @pytest.mark.parametrize("most", [0, 1, 4])
    async def test_of_racing_registrations_of_an_address_no_more_than_its_quota_win(
        self, store: CompleteStore, most: int
    ) -> None:
        racers = [registration(f"client-{number}", most_unused=most) for number in range(8)]
        outcomes = await asyncio.gather(*(store.register_client(racer) for racer in racers))
        assert sorted(outcomes) == ["registered"] * most + ["too_many"] * (8 - most)
        winners = {racer.client.client_id for racer, won in zip(racers, outcomes, strict=True) if won == "registered"}
        assert await _stored(store) == winners

    @pytest.mark.parametrize(
        ("changes", "counts"),
        [
            ({}, True),
            ({"created_at": NOW - 86_399}, True),
            ({"created_at": NOW - 86_400}, False),
            ({"registered_from": digest("other address")}, False),
            ({"registered_from": None}, False),
            ({"last_used_at": NOW}, False),
        ],
        ids=["unused", "young enough", "too old", "of another address", "of no address", "used"],
    )
    async def test_a_quota_counts_the_young_and_unused_clients_of_its_address(
        self, store: CompleteStore, changes: dict[str, Any], counts: bool
    ) -> None:
        for number in range(3):
            await store.add_client(client(f"other-{number}", **changes))
        assert await store.register_client(registration(CLIENT)) == ("too_many" if counts else "registered")
        assert (await store.get_client(CLIENT) is None) is counts

    async def test_the_first_use_of_a_client_makes_room_for_another(self, store: CompleteStore) -> None:
        for number in range(3):
            assert await store.register_client(registration(f"client-{number}")) == "registered"
        assert await store.register_client(registration("client-3")) == "too_many"
        await store.record_use(Use(grant_ids=(), client_ids=("client-1",), now=NOW))
        assert await store.register_client(registration("client-3")) == "registered"
        assert await store.delete_client("client-2")
        assert await store.register_client(registration("client-4")) == "registered"
        assert await store.register_client(registration("client-5")) == "too_many"

    async def test_a_client_of_no_address_has_no_quota(self, store: CompleteStore) -> None:
        for number in range(4):
            new = registration("", client=client(f"client-{number}", registered_from=None), most_unused=0)
            assert await store.register_client(new) == "registered"
        assert len(await _stored(store)) == 4

    async def test_an_initial_access_token_is_found_until_its_end(self, store: CompleteStore) -> None:
        await store.add_initial_access_token(initial_access("initial"))
        assert await store.get_initial_access_token(digest("initial"), LATE - 1) == initial_access("initial")
        assert await store.get_initial_access_token(digest("initial"), LATE) is None
        assert await store.get_initial_access_token(digest("other"), NOW) is None

    async def test_an_initial_access_token_is_spent_with_the_registration(self, store: CompleteStore) -> None:
        for label in ("initial", "other"):
            await store.add_initial_access_token(initial_access(label))
        assert await store.register_client(registration(CLIENT, initial_access="initial")) == "registered"
        assert await store.get_initial_access_token(digest("initial"), NOW) is None
        assert await store.register_client(registration("client-2", initial_access="initial")) == "spent"
        assert await store.get_initial_access_token(digest("other"), NOW) is not None
        assert await _stored(store) == {CLIENT}

    async def test_of_racers_with_one_initial_access_token_one_registers(self, store: CompleteStore) -> None:
        await store.add_initial_access_token(initial_access("initial"))
        racers = [registration(f"client-{number}", initial_access="initial") for number in range(8)]
        outcomes = await asyncio.gather(*(store.register_client(racer) for racer in racers))
        assert sorted(outcomes) == ["registered"] + ["spent"] * 7
        assert await _stored(store) == {f"client-{outcomes.index('registered')}"}

    @pytest.mark.parametrize("now", [LATE, LATE + 1])
    async def test_an_initial_access_token_past_its_end_registers_nobody(self, store: CompleteStore, now: int) -> None:
        await store.add_initial_access_token(initial_access("initial"))
        assert await store.register_client(registration(CLIENT, initial_access="initial", now=now)) == "spent"
        assert await store.get_client(CLIENT) is None
        in_time = registration(CLIENT, initial_access="initial", now=LATE - 1)
        assert await store.register_client(in_time) == "registered"

    async def test_an_unknown_initial_access_token_registers_nobody(self, store: CompleteStore) -> None:
        assert await store.register_client(registration(CLIENT, initial_access="unknown")) == "spent"
        assert await store.get_client(CLIENT) is None

    async def test_a_registration_beyond_the_quota_leaves_its_initial_access_token(self, store: CompleteStore) -> None:
        await store.add_initial_access_token(initial_access("initial"))
        await store.add_client(client("other"))
        beyond = registration(CLIENT, initial_access="initial", most_unused=1)
        assert await store.register_client(beyond) == "too_many"
        assert await store.get_client(CLIENT) is None
        assert await store.get_initial_access_token(digest("initial"), NOW) == initial_access("initial")
        assert await store.register_client(registration(CLIENT, initial_access="initial")) == "registered"

    async def test_a_spent_initial_access_token_is_told_before_the_quota(self, store: CompleteStore) -> None:
        assert await store.register_client(registration(CLIENT, initial_access="unknown", most_unused=0)) == "spent"

    async def test_a_registration_without_an_initial_access_token_spends_none(self, store: CompleteStore) -> None:
        await store.add_initial_access_token(initial_access("initial"))
        assert await store.register_client(registration(CLIENT)) == "registered"
        assert await store.get_initial_access_token(digest("initial"), NOW) is not None


async def _stored(store: CompleteStore) -> set[str]:
    return {one.client_id for one in (await store.list_clients(ClientQuery())).items}
