"""Purge: bounded steps that remove what is over and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ..store import Attempt, Purge, PurgeResult, Revocation, Use
from .samples import (
    ACCESS_TTL,
    CLIENT,
    CODE_TTL,
    GRANT,
    GRANT_TTL,
    NOW,
    CompleteStore,
    access,
    claim,
    client,
    consent,
    digest,
    given_consent,
    given_exchanged,
    initial_access,
    key,
    live,
    more,
    redemption,
    refresh,
    rotation,
    sealed,
    session,
    waiting,
)

NOTHING = PurgeResult(
    clients=0,
    grants=0,
    access_tokens=0,
    seals=0,
    sessions=0,
    interactions=0,
    throttles=0,
    claims=0,
    initial_access_tokens=0,
    events=0,
    done=True,
)


def _step(at: int, **changes: Any) -> Purge:
    step = Purge(now=at, ended_before=at, unused_since=None, never_used_since=None, limit=100)
    return replace(step, **changes)


class PurgeRules:
    """What a store must do to stay small."""

    async def test_there_is_nothing_to_purge_while_everything_lives(self, store: CompleteStore) -> None:
        await _given_everything(store)
        assert await store.purge(_step(NOW)) == NOTHING
        assert await live(store, "a2") is not None

    async def test_purge_removes_what_is_over_and_then_finds_nothing(self, store: CompleteStore) -> None:
        await _given_everything(store)
        after = NOW + GRANT_TTL
        expected = replace(
            NOTHING,
            grants=2,
            access_tokens=2,
            sessions=1,
            interactions=2,
            throttles=1,
            claims=1,
            initial_access_tokens=1,
        )
        first = await store.purge(_step(after))
        # The seal of a grant that goes in the same step may be counted or not, and so may what waits on a session.
        assert replace(first, seals=0) == expected
        assert await store.get_grant(GRANT) is None
        assert await store.get_code(GRANT, digest(f"code of {GRANT}")) is None
        assert await store.get_client(CLIENT) is not None
        assert await store.purge(_step(after)) == NOTHING

    async def test_purge_keeps_what_ended_after_the_margin(self, store: CompleteStore) -> None:
        await _given_everything(store)
        await store.revoke_grant(Revocation(grant_id=GRANT, now=NOW + 10, reason="operator"))
        assert await store.purge(_step(NOW + 999, ended_before=NOW + 9)) == replace(NOTHING, interactions=1)
        assert (await store.purge(_step(NOW + 999, ended_before=NOW + 10))).grants == 1
        assert await store.get_grant(GRANT) is None
        assert await store.get_grant("pending") is not None

    async def test_dead_access_tokens_go_with_their_props_and_their_grant_stays(self, store: CompleteStore) -> None:
        short = redemption(access=access("a1", expires_at=NOW + 5, props_version=2), new_props=(sealed(2),))
        await given_exchanged(store, None, short)
        await store.add_access_token(more("long"))
        assert await store.purge(_step(NOW + 5)) == replace(NOTHING, access_tokens=1)
        assert await live(store, "a1", now=NOW) is None
        assert await live(store, "long") is not None
        assert await store.add_access_token(more("late", access=access("late", props_version=2))) == "added"
        assert await live(store, "late") is None

    async def test_seals_go_with_the_end_of_their_window(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        await store.rotate(rotation(1))
        assert await store.purge(_step(NOW + 59, ended_before=NOW)) == NOTHING
        assert await store.purge(_step(NOW + 60, ended_before=NOW)) == replace(NOTHING, seals=1)
        found = await store.get_refreshable(GRANT)
        assert found is not None
        assert (found.refresh.seal, found.refresh.seal_until) == (None, None)
        assert found.refresh.previous == refresh("r1")

    async def test_a_step_removes_no_more_than_its_limit_of_each_kind(self, store: CompleteStore) -> None:
        for number in range(5):
            await given_exchanged(store, consent(f"grant-{number}"))
            await store.add_session(session(f"browser-{number}"))
            await store.count_attempt(Attempt(key=digest(f"throttle-{number}"), window=60, now=NOW))
            assert await store.claim(claim(f"claim-{number}"), NOW)
            await store.add_initial_access_token(initial_access(f"initial-{number}"))
        results = [await store.purge(_step(NOW + GRANT_TTL, limit=2)) for _ in range(4)]
        assert [result.sessions for result in results] == [2, 2, 1, 0]
        assert [result.throttles for result in results] == [2, 2, 1, 0]
        assert [result.grants for result in results] == [2, 2, 1, 0]
        assert [result.claims for result in results] == [2, 2, 1, 0]
        assert [result.initial_access_tokens for result in results] == [2, 2, 1, 0]
        assert [result.done for result in results] == [False, False, True, True]

    async def test_claims_go_with_their_end_and_hold_until_then(self, store: CompleteStore) -> None:
        assert await store.claim(claim("short", expires_at=NOW + 5), NOW)
        assert await store.claim(claim("long", expires_at=NOW + 6), NOW)
        assert await store.purge(_step(NOW + 5)) == replace(NOTHING, claims=1)
        assert await store.claim(claim("short"), NOW)
        assert not await store.claim(claim("long"), NOW + 5)

    async def test_initial_access_tokens_go_with_their_end(self, store: CompleteStore) -> None:
        await store.add_initial_access_token(initial_access("short", expires_at=NOW + 5))
        await store.add_initial_access_token(initial_access("long", expires_at=NOW + 6))
        assert await store.purge(_step(NOW + 5)) == replace(NOTHING, initial_access_tokens=1)
        assert await store.get_initial_access_token(digest("short"), NOW) is None
        assert await store.get_initial_access_token(digest("long"), NOW) is not None

    async def test_a_step_without_a_limit_is_refused(self, store: CompleteStore) -> None:
        with pytest.raises(ValueError, match="at least 1"):
            await store.purge(_step(NOW, limit=0))

    @pytest.mark.parametrize("origin", ["registration", "document"])
    async def test_unused_clients_that_no_operator_made_go(self, store: CompleteStore, origin: str) -> None:
        made: dict[str, dict[str, Any]] = {
            "never used": {},
            "never used but young": {"created_at": NOW + 1},
            "long unused": {"created_at": NOW - 999, "last_used_at": NOW - 100},
            "used since": {"created_at": NOW - 999, "last_used_at": NOW - 99},
            "operator's": {"origin": "operator", "created_at": NOW - 999},
            "operator's, long unused": {"origin": "operator", "last_used_at": NOW - 999},
        }
        for name, changes in made.items():
            await store.add_client(client(name, **{"origin": origin, **changes}))
        step = _step(NOW, unused_since=NOW - 100, never_used_since=NOW)
        assert await store.purge(step) == replace(NOTHING, clients=2)
        assert await store.get_client("never used") is None
        assert await store.get_client("long unused") is None
        for name in ("never used but young", "used since", "operator's", "operator's, long unused"):
            assert await store.get_client(name) is not None

    async def test_clients_stay_when_no_age_is_given(self, store: CompleteStore) -> None:
        await store.add_client(client("never used"))
        await store.add_client(client("long unused", last_used_at=NOW - 999))
        assert await store.purge(_step(NOW)) == NOTHING
        assert (await store.purge(_step(NOW, unused_since=NOW))).clients == 1
        assert await store.get_client("never used") is not None
        assert (await store.purge(_step(NOW, never_used_since=NOW))).clients == 1

    async def test_a_client_with_a_live_grant_stays(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        await given_exchanged(store, consent("other", client_id="client-2"))
        await store.record_use(Use(grant_ids=(), client_ids=("client-2",), now=NOW))
        step = _step(NOW + 100, ended_before=NOW, unused_since=NOW + 99, never_used_since=NOW + 99)
        assert await store.purge(step) == NOTHING
        await store.revoke_grant(Revocation(grant_id=GRANT, now=NOW + 50, reason="operator"))
        assert (await store.purge(step)).clients == 1
        assert await store.get_client(CLIENT) is None
        assert await store.get_grant(GRANT) is None
        assert await live(store, "a1", "other") is not None


async def _given_everything(store: CompleteStore) -> None:
    await given_exchanged(store)
    await store.rotate(rotation(1))
    await given_consent(store, consent("pending"))
    await store.add_session(session("browser"))
    await store.add_interaction(waiting("open", "browser"))
    await store.add_interaction(waiting("closed", "browser"))
    await store.close_interaction(key("closed", "browser"), NOW + 1)
    await store.count_attempt(Attempt(key=digest("throttle"), window=60, now=NOW))
    assert await store.claim(claim("claim"), NOW)
    await store.add_initial_access_token(initial_access("initial"))
    assert CODE_TTL < ACCESS_TTL < GRANT_TTL
