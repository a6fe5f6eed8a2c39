"""Refresh: one rotation a generation, which leaves exactly what it was given."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from ..store import Revocation, Use
from .samples import (
    GRANT,
    GRANT_TTL,
    NOW,
    CompleteStore,
    access,
    consent,
    given_consent,
    given_exchanged,
    live,
    redemption,
    refresh,
    rotation,
    sealed,
)


class RefreshRules:
    """What a store must do with refresh tokens."""

    async def test_a_rotation_replaces_the_refresh_state(self, store: CompleteStore) -> None:
        exchange = await given_exchanged(store)
        step = rotation(1, now=NOW + 100, expires_at=NOW + 2 * GRANT_TTL)
        assert await store.rotate(step) == "rotated"
        found = await store.get_refreshable(GRANT)
        assert found is not None
        state = found.refresh
        assert (state.generation, state.family) == (2, exchange.family)
        assert (state.current, state.previous) == (step.current, step.previous)
        assert (state.seal, state.seal_until, state.retired) == (step.seal, step.seal_until, step.retired)
        assert found.grant == replace(
            consent().grant, exchanged_at=NOW, expires_at=NOW + 2 * GRANT_TTL, last_used_at=NOW + 100
        )
        issued = await live(store, "a2", now=NOW + 100)
        assert issued is not None
        assert (issued.token, issued.generation) == (step.access, 2)
        assert await live(store, "a1", now=NOW + 100) is not None

    async def test_a_refresh_state_without_ends_is_found_as_it_was_stored(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        step = rotation(1, expires_at=None, current=refresh("r2", expires_at=None), retired=())
        assert await store.rotate(step) == "rotated"
        found = await store.get_refreshable(GRANT)
        assert found is not None
        assert (found.refresh.current, found.grant.expires_at, found.refresh.retired) == (step.current, None, ())

    async def test_rotations_follow_each_other(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        for generation in range(1, 6):
            assert await store.rotate(rotation(generation)) == "rotated"
        found = await store.get_refreshable(GRANT)
        assert found is not None
        assert found.refresh.generation == 6
        assert found.refresh.current == refresh("r6")

    @pytest.mark.parametrize(
        "changes",
        [
            {"generation": 0},
            {"generation": 2},
            {"grant_id": "grant-2"},
            {"now": NOW + GRANT_TTL},
            {"now": NOW + GRANT_TTL + 1},
        ],
    )
    async def test_a_stale_rotation_changes_nothing(self, store: CompleteStore, changes: dict[str, Any]) -> None:
        await given_exchanged(store)
        before = await store.get_refreshable(GRANT)
        stale = replace(rotation(1, new_props=(sealed(2),)), **changes)
        assert await store.rotate(stale) == "stale"
        assert await store.get_refreshable(GRANT) == before
        assert await live(store, "a2") is None

    async def test_a_grant_whose_code_was_not_exchanged_is_not_rotated(self, store: CompleteStore) -> None:
        await given_consent(store)
        assert await store.rotate(rotation(0)) == "stale"
        assert await live(store, "a1") is None

    async def test_a_revoked_grant_is_not_rotated(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        await store.revoke_grant(Revocation(grant_id=GRANT, now=NOW, reason="operator"))
        for generation in range(4):
            assert await store.rotate(rotation(generation)) == "stale"
        assert await live(store, "a2") is None

    async def test_of_racing_rotations_of_a_generation_one_wins(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        steps = [rotation(1, current=refresh(f"r{n}"), access=access(f"a{n}")) for n in range(2, 22)]
        outcomes = await asyncio.gather(*(store.rotate(step) for step in steps))
        assert sorted(outcomes) == ["rotated"] + ["stale"] * 19
        winner = steps[outcomes.index("rotated")]
        found = await store.get_refreshable(GRANT)
        assert found is not None
        assert (found.refresh.generation, found.refresh.current) == (2, winner.current)
        good = [step for step in steps if await store.get_access_token(GRANT, step.access.digest, NOW)]
        assert good == [winner]

    async def test_a_rotation_against_a_revocation_never_brings_the_grant_back(self, store: CompleteStore) -> None:
        for number in range(10):
            name = f"grant-{number}"
            await given_exchanged(store, consent(name))
            step = store.rotate(rotation(1, name))
            end = store.revoke_grant(Revocation(grant_id=name, now=NOW, reason="operator"))
            await asyncio.gather(*((step, end) if number % 2 else (end, step)))
            found = await store.get_refreshable(name)
            assert found is not None
            assert (found.grant.revoked_at, found.refresh.current, found.refresh.previous) == (NOW, None, None)
            assert await live(store, "a1", name) is None
            assert await live(store, "a2", name) is None

    async def test_a_rotation_never_lowers_the_last_use(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        await store.record_use(Use(grant_ids=(GRANT,), client_ids=(), now=NOW + 50))
        assert await store.rotate(rotation(1, now=NOW + 10)) == "rotated"
        grant = await store.get_grant(GRANT)
        assert grant is not None
        assert grant.last_used_at == NOW + 50

    async def test_new_props_leave_those_that_live_tokens_name(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        step = rotation(
            1,
            current=refresh("r2", props_version=2),
            access=access("a2", props_version=2),
            new_props=(sealed(2),),
        )
        assert await store.rotate(step) == "rotated"
        found = await store.get_refreshable(GRANT)
        assert found is not None
        assert found.props == (sealed(1), sealed(2))
        old, new = await live(store, "a1"), await live(store, "a2")
        assert old is not None
        assert new is not None
        assert (old.props, new.props) == (sealed(1), sealed(2))

    async def test_props_go_with_the_last_token_that_names_them(self, store: CompleteStore) -> None:
        short = access("a1", expires_at=NOW + 5)
        await given_exchanged(store, None, redemption(access=short))
        second = refresh("r2", props_version=2)
        step = rotation(1, now=NOW + 5, current=second, access=access("a2", props_version=2), new_props=(sealed(2),))
        assert await store.rotate(step) == "rotated"
        assert [props.version for props in await _named(store)] == [1, 2]
        third = rotation(2, now=NOW + 6, current=refresh("r3", props_version=2), previous=second)
        assert await store.rotate(replace(third, access=access("a3", props_version=2))) == "rotated"
        assert [props.version for props in await _named(store)] == [2]
        # The first version is gone for good: a token that named it would find nothing.
        fourth = rotation(3, now=NOW + 7, previous=refresh("r3", props_version=1))
        assert await store.rotate(replace(fourth, current=second, access=access("a4", props_version=1))) == "rotated"
        assert await live(store, "a4", now=NOW + 7) is None


async def _named(store: CompleteStore) -> tuple[Any, ...]:
    found = await store.get_refreshable(GRANT)
    assert found is not None
    return found.props
