"""Access tokens: good until they, their grant or their client end, and bounded in number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ..store import MAX_LIVE_ACCESS_TOKENS, Revocation, Use
from .samples import (
    ACCESS_TTL,
    CLIENT,
    GRANT,
    GRANT_TTL,
    NOW,
    CompleteStore,
    access,
    consent,
    digest,
    given_consent,
    given_exchanged,
    live,
    more,
    redemption,
    refresh,
    rotation,
    sealed,
)


class AccessRules:
    """What a store must do with access tokens."""

    async def test_an_access_token_is_good_until_its_end(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        assert await live(store, "a1", now=NOW + ACCESS_TTL - 1) is not None
        assert await live(store, "a1", now=NOW + ACCESS_TTL) is None

    async def test_an_access_token_does_not_outlive_its_grant(self, store: CompleteStore) -> None:
        await given_exchanged(store, None, redemption(expires_at=NOW + 10))
        assert await live(store, "a1", now=NOW + 9) is not None
        assert await live(store, "a1", now=NOW + 10) is None

    async def test_an_access_token_is_found_only_with_its_grant_and_its_digest(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        await given_exchanged(store, consent("grant-2"), redemption("grant-2", access=access("b1")))
        assert await live(store, "b1") is None
        assert await live(store, "a1", "grant-2") is None
        assert await live(store, "a1", "grant-3") is None
        assert await live(store, "r1") is None
        assert await live(store, f"code of {GRANT}") is None

    async def test_a_live_token_tells_when_its_client_was_last_used(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        before = await live(store, "a1")
        await store.record_use(Use(grant_ids=(), client_ids=(CLIENT,), now=NOW + 7))
        after = await live(store, "a1")
        assert before is not None
        assert after is not None
        assert (before.client_last_used_at, after.client_last_used_at) == (None, NOW + 7)

    async def test_a_revoked_access_token_is_dead_and_the_others_live(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        assert await store.add_access_token(more("extra")) == "added"
        assert await store.revoke_access_token(GRANT, digest("a1"))
        assert await live(store, "a1") is None
        assert await live(store, "extra") is not None
        assert not await store.revoke_access_token(GRANT, digest("a1"))
        assert not await store.revoke_access_token("grant-2", digest("extra"))

    async def test_props_that_a_revoked_token_alone_named_stay_for_the_seal_until_the_next_rotation(
        self, store: CompleteStore
    ) -> None:
        only = redemption(refresh=refresh("r1"), access=access("a1", props_version=2), new_props=(sealed(2),))
        await given_exchanged(store, None, only)
        assert await store.revoke_access_token(GRANT, digest("a1"))
        assert await store.add_access_token(more("again", access=access("again", props_version=2))) == "added"
        assert await live(store, "again") is not None
        assert await store.revoke_access_token(GRANT, digest("again"))
        assert await store.rotate(rotation(1)) == "rotated"
        late = more("late", generation=2, access=access("late", props_version=2))
        assert await store.add_access_token(late) == "added"
        assert await live(store, "late") is None

    async def test_one_more_access_token_is_good_and_counts_as_use(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        new = more("extra", now=NOW + 5)
        assert await store.add_access_token(new) == "added"
        found = await live(store, "extra", now=NOW + 5)
        assert found is not None
        assert (found.token, found.generation, found.grant.last_used_at) == (new.access, 1, NOW + 5)

    @pytest.mark.parametrize(
        "changes",
        [
            {"generation": 0},
            {"generation": 2},
            {"grant_id": "grant-2"},
            {"now": NOW + GRANT_TTL},
            {"parent": digest("unknown")},
            {"parent": digest("a1"), "now": NOW + ACCESS_TTL},
        ],
    )
    async def test_a_stale_access_token_is_not_added(self, store: CompleteStore, changes: dict[str, Any]) -> None:
        await given_exchanged(store)
        assert await store.add_access_token(replace(more("extra"), **changes)) == "stale"
        assert await live(store, "extra") is None

    async def test_a_child_is_added_while_its_parent_lives(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        child = more("child", parent=digest("a1"), now=NOW + ACCESS_TTL - 1)
        assert await store.add_access_token(child) == "added"
        await store.revoke_access_token(GRANT, digest("a1"))
        assert await store.add_access_token(more("late child", parent=digest("a1"))) == "stale"

    async def test_no_access_token_is_added_to_a_pending_or_revoked_grant(self, store: CompleteStore) -> None:
        await given_consent(store)
        assert await store.add_access_token(more("extra", generation=0)) == "stale"
        await store.redeem_code(redemption())
        await store.revoke_grant(Revocation(grant_id=GRANT, now=NOW, reason="operator"))
        for generation in range(4):
            assert await store.add_access_token(more("extra", generation=generation)) == "stale"
        assert await live(store, "extra") is None

    async def test_of_too_many_live_access_tokens_the_oldest_go(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        labels = ["a1"]
        for number in range(MAX_LIVE_ACCESS_TOKENS):
            labels.append(f"extra-{number}")
            assert await store.add_access_token(more(labels[-1])) == "added"
        assert [label for label in labels if await live(store, label)] == labels[1:]
        assert await store.rotate(rotation(1)) == "rotated"
        assert [label for label in labels if await live(store, label)] == labels[2:]
        assert await live(store, "a2") is not None

    async def test_dead_access_tokens_push_no_live_one_out(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        for number in range(MAX_LIVE_ACCESS_TOKENS - 1):
            short = access(f"short-{number}", expires_at=NOW + 10)
            assert await store.add_access_token(more("short", access=short)) == "added"
        for number in range(3):
            assert await store.revoke_access_token(GRANT, digest(f"short-{number}"))
        assert await store.add_access_token(more("one", now=NOW + 9)) == "added"
        assert await store.add_access_token(more("two", now=NOW + 10)) == "added"
        assert await store.add_access_token(more("three", now=NOW + 10)) == "added"
        for label in ("a1", "one", "two", "three"):
            assert await live(store, label, now=NOW + 10) is not None
        # Not only past its end, but gone: it would not live again if the clock were set back.
        assert await live(store, "short-9", now=NOW) is None
