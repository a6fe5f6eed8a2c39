"""Claims, and grants that begin with an access token: what they were issued for is used once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from ..store import Claim, DirectGrant, GrantQuery, ParentToken, Revocation, Use
from .samples import (
    ACCESS_TTL,
    CLIENT,
    GRANT,
    NOW,
    USER,
    CompleteStore,
    access,
    claim,
    client,
    consent,
    digest,
    direct,
    given_consent,
    given_exchanged,
    live,
    more,
    redemption,
)


class DirectRules:
    """What a store must do with claims and direct grants."""

    async def test_what_was_claimed_is_not_claimed_again_before_its_end(self, store: CompleteStore) -> None:
        assert await store.claim(claim("assertion"), NOW)
        assert not await store.claim(claim("assertion"), NOW)
        assert not await store.claim(claim("assertion", expires_at=NOW + 999), NOW + 59)
        assert await store.claim(claim("other"), NOW)

    async def test_what_was_claimed_may_be_claimed_again_after_its_end(self, store: CompleteStore) -> None:
        assert await store.claim(claim("assertion"), NOW)
        assert await store.claim(claim("assertion", expires_at=NOW + 120), NOW + 60)
        assert not await store.claim(claim("assertion", expires_at=NOW + 120), NOW + 119)
        assert await store.claim(claim("assertion", expires_at=NOW + 180), NOW + 120)

    async def test_of_racers_for_a_claim_one_has_it(self, store: CompleteStore) -> None:
        for start in (NOW, NOW + 60):
            racer = claim("assertion", expires_at=start + 60)
            outcomes = await asyncio.gather(*(store.claim(racer, start) for _ in range(16)))
            assert sorted(outcomes) == [False] * 15 + [True]

    async def test_a_direct_grant_is_as_good_as_one_whose_code_was_exchanged(self, store: CompleteStore) -> None:
        new = await _given_direct(store)
        assert await store.get_grant(GRANT) == new.grant
        found = await live(store, "a1")
        assert found is not None
        assert (found.grant, found.token, found.props) == (new.grant, new.access, new.props)
        assert (found.generation, found.client_last_used_at) == (1, None)
        page = await store.list_grants(GrantQuery(now=NOW, state="active"))
        assert page.items == (new.grant,)

    async def test_a_direct_grant_is_exchanged_and_used_from_its_beginning(self, store: CompleteStore) -> None:
        pending = replace(direct().grant, exchanged_at=None, last_used_at=None)
        await store.add_client(client())
        assert await store.add_direct_grant(direct(grant=pending)) == "added"
        assert await store.get_grant(GRANT) == replace(pending, exchanged_at=NOW, last_used_at=NOW)

    async def test_a_direct_grant_has_no_code_and_no_refresh_token(self, store: CompleteStore) -> None:
        await _given_direct(store)
        found = await store.get_refreshable(GRANT)
        assert found is not None
        assert (found.refresh.generation, found.refresh.family, found.props) == (1, None, ())
        assert (found.refresh.current, found.refresh.previous, found.refresh.retired) == (None, None, ())
        assert await store.get_code(GRANT, digest(f"code of {GRANT}")) is None
        assert await store.redeem_code(redemption()) == "refused"
        assert await live(store, "a1") is not None

    async def test_a_direct_grant_takes_more_access_tokens(self, store: CompleteStore) -> None:
        await _given_direct(store)
        assert await store.add_access_token(more("child", parent=digest("a1"))) == "added"
        assert await live(store, "child") is not None
        assert await store.add_access_token(more("extra", generation=0)) == "stale"

    async def test_a_direct_grant_ends_with_its_time(self, store: CompleteStore) -> None:
        await _given_direct(store)
        assert await live(store, "a1", now=NOW + ACCESS_TTL - 1) is not None
        assert await live(store, "a1", now=NOW + ACCESS_TTL) is None

    async def test_a_revoked_direct_grant_is_erased(self, store: CompleteStore) -> None:
        await _given_direct(store)
        assert await store.revoke_grant(Revocation(grant_id=GRANT, now=NOW + 5, reason="operator"))
        assert await live(store, "a1") is None
        found = await store.get_refreshable(GRANT)
        assert found is not None
        assert (found.grant.revoked_at, found.refresh.generation, found.props) == (NOW + 5, 2, ())
        for generation in range(4):
            assert await store.add_access_token(more("extra", generation=generation)) == "stale"

    async def test_the_props_of_a_direct_grant_go_with_its_last_token(self, store: CompleteStore) -> None:
        await store.add_client(client())
        assert await store.add_direct_grant(direct(access=access("a1", expires_at=NOW + 5))) == "added"
        other = access("other", props_version=2)
        assert await store.add_access_token(more("other", access=other, now=NOW + 5)) == "added"
        assert await store.add_access_token(more("late", now=NOW + 5)) == "added"
        assert await live(store, "late", now=NOW + 5) is None

    async def test_a_direct_grant_for_a_client_that_is_gone_is_refused_and_claims_nothing(
        self, store: CompleteStore
    ) -> None:
        assert await store.add_direct_grant(direct(claim=claim("assertion"))) == "client_gone"
        assert await store.get_grant(GRANT) is None
        assert await store.claim(claim("assertion"), NOW)

    async def test_what_was_used_before_makes_no_direct_grant(self, store: CompleteStore) -> None:
        await _given_direct(store, claim("assertion"))
        again = direct("grant-2", claim=claim("assertion"), now=NOW + 59)
        assert await store.add_direct_grant(again) == "claimed"
        assert await store.get_grant("grant-2") is None
        assert await live(store, "a1", "grant-2") is None
        assert not await store.claim(claim("assertion"), NOW)

    async def test_what_was_claimed_alone_makes_no_direct_grant(self, store: CompleteStore) -> None:
        await store.add_client(client())
        assert await store.claim(claim("assertion"), NOW)
        assert await store.add_direct_grant(direct(claim=claim("assertion"))) == "claimed"
        assert await store.get_grant(GRANT) is None
        late = direct(claim=claim("assertion", expires_at=NOW + 120), now=NOW + 60)
        assert await store.add_direct_grant(late) == "added"

    async def test_of_racing_direct_grants_with_one_claim_one_is_stored(self, store: CompleteStore) -> None:
        await store.add_client(client())
        racers = [direct(f"grant-{number}", claim=claim("assertion")) for number in range(8)]
        outcomes = await asyncio.gather(*(store.add_direct_grant(racer) for racer in racers))
        assert sorted(outcomes) == ["added"] + ["claimed"] * 7
        page = await store.list_grants(GrantQuery(now=NOW))
        assert [grant.grant_id for grant in page.items] == [f"grant-{outcomes.index('added')}"]

    async def test_a_direct_grant_is_issued_for_a_live_parent_alone(self, store: CompleteStore) -> None:
        await _given_direct(store)
        parent = ParentToken(grant_id=GRANT, digest=digest("a1"))
        assert await store.add_direct_grant(direct("grant-2", parent=parent)) == "added"
        for other in (replace(parent, digest=digest("x")), replace(parent, grant_id="x")):
            assert await store.add_direct_grant(direct("grant-3", parent=other)) == "stale"
        assert await store.add_direct_grant(direct("grant-3", parent=parent, now=NOW + ACCESS_TTL)) == "stale"
        assert await store.revoke_grant(Revocation(grant_id=GRANT, now=NOW, reason="operator"))
        late = direct("grant-3", parent=parent, claim=claim("assertion"))
        assert await store.add_direct_grant(late) == "stale"
        assert await store.get_grant("grant-3") is None
        assert await store.claim(claim("assertion"), NOW)
        assert await live(store, "a1", "grant-2") is not None

    async def test_a_client_may_hold_a_direct_grant_for_itself(self, store: CompleteStore) -> None:
        await store.add_client(client())
        own = direct(user_id=None)
        assert await store.add_direct_grant(own) == "added"
        assert await store.get_grant(GRANT) == own.grant

    @pytest.mark.parametrize("user_id", [USER, None])
    async def test_beyond_the_bound_a_direct_grant_ends_the_least_recently_used(
        self, store: CompleteStore, user_id: str | None
    ) -> None:
        await given_exchanged(store, consent("by code", user_id=user_id))
        for number in range(3):
            assert await store.add_direct_grant(direct(f"grant-{number}", user_id=user_id)) == "added"
        await store.record_use(Use(grant_ids=("by code",), client_ids=(), now=NOW + 9))
        await given_consent(store, consent("pending", user_id=user_id))
        await given_exchanged(store, consent("bob's", user_id="bob"))
        await given_exchanged(store, consent("elsewhere", user_id=user_id, client_id="client-2"))
        assert await store.add_direct_grant(direct("this", user_id=user_id, keep_newest=3)) == "added"
        ended = [await _reason(store, name) for name in ("grant-0", "grant-1")]
        assert ended == ["too_many", "too_many"]
        for name in ("by code", "grant-2", "pending", "bob's", "elsewhere", "this"):
            assert await _reason(store, name) is None
        assert await live(store, "a1", "grant-0") is None
        assert await live(store, "a1", "this") is not None

    async def test_deleting_a_client_deletes_its_direct_grants(self, store: CompleteStore) -> None:
        await _given_direct(store)
        assert await store.delete_client(CLIENT)
        assert await store.get_grant(GRANT) is None
        assert await live(store, "a1") is None


async def _given_direct(store: CompleteStore, claimed: Claim | None = None) -> DirectGrant:
    await store.add_client(client())
    new = direct(claim=claimed)
    assert await store.add_direct_grant(new) == "added"
    return new


async def _reason(store: CompleteStore, grant_id: str) -> str | None:
    grant = await store.get_grant(grant_id)
    assert grant is not None
    return grant.revoked_reason
