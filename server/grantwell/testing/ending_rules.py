"""Endings: ended is ended, and nothing is left that could open or continue the grant."""

from __future__ import annotations

import pytest

from ..records import RevocationReason
from ..store import Revocation, UserChange, UserRevocation
from .samples import (
    GRANT,
    GRANT_TTL,
    NOW,
    USER,
    CompleteStore,
    consent,
    digest,
    given_browser,
    given_consent,
    given_exchanged,
    lease,
    live,
    redemption,
    rotation,
    session,
    user,
)


class EndingRules:
    """What a store must do when grants end."""

    async def test_revoking_a_grant_erases_what_could_open_or_continue_it(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        assert await store.rotate(rotation(1)) == "rotated"
        await store.take_lease(lease("holder", generation=2))
        assert await store.revoke_grant(Revocation(grant_id=GRANT, now=NOW + 5, reason="operator"))
        await _assert_erased(store, GRANT, NOW + 5, "operator")
        found = await store.get_refreshable(GRANT)
        assert found is not None
        assert found.refresh.generation == 3
        code = await store.get_code(GRANT, digest(f"code of {GRANT}"))
        assert code is not None
        assert (code.code.redeemed_at, code.generation) == (NOW, 3)

    async def test_revoking_a_pending_grant_erases_the_key_of_its_code(self, store: CompleteStore) -> None:
        await given_consent(store)
        assert await store.revoke_grant(Revocation(grant_id=GRANT, now=NOW, reason="user_request"))
        code = await store.get_code(GRANT, digest(f"code of {GRANT}"))
        assert code is not None
        assert (code.code.wrapped_key, code.props, code.generation) == (b"", None, 1)

    async def test_a_grant_ends_once(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        assert await store.revoke_grant(Revocation(grant_id=GRANT, now=NOW, reason="operator"))
        assert not await store.revoke_grant(Revocation(grant_id=GRANT, now=NOW + 1, reason="token_reuse"))
        await _assert_erased(store, GRANT, NOW, "operator")

    async def test_a_grant_without_an_end_ends_as_any_other(self, store: CompleteStore) -> None:
        await given_exchanged(store, None, redemption(expires_at=None))
        assert await store.revoke_grant(Revocation(grant_id=GRANT, now=NOW, reason="operator"))
        await given_exchanged(store, consent("grant-2"), redemption("grant-2", expires_at=None))
        assert await store.revoke_user_grants(UserRevocation(user_id=USER, now=NOW, reason="operator")) == 1

    async def test_an_unknown_grant_does_not_end(self, store: CompleteStore) -> None:
        assert not await store.revoke_grant(Revocation(grant_id=GRANT, now=NOW, reason="operator"))

    async def test_a_grant_past_its_end_had_ended_and_stays_so_when_the_clock_is_set_back(
        self, store: CompleteStore
    ) -> None:
        await given_exchanged(store)
        late = Revocation(grant_id=GRANT, now=NOW + GRANT_TTL, reason="operator")
        assert not await store.revoke_grant(late)
        assert await live(store, "a1", now=NOW) is None
        assert await store.rotate(rotation(1, now=NOW)) == "stale"

    @pytest.mark.parametrize(
        ("user_id", "client_id", "ends"),
        [
            (USER, None, True),
            (None, "client-1", True),
            (USER, "client-1", True),
            ("bob", None, False),
            (None, "client-2", False),
            (USER, "client-2", False),
            ("bob", "client-1", False),
        ],
    )
    async def test_a_grant_ends_only_if_it_is_theirs(
        self, store: CompleteStore, user_id: str | None, client_id: str | None, ends: bool
    ) -> None:
        await given_exchanged(store)
        revocation = Revocation(grant_id=GRANT, now=NOW, reason="client_request", user_id=user_id, client_id=client_id)
        assert await store.revoke_grant(revocation) is ends
        assert (await live(store, "a1") is None) is ends

    async def test_the_grants_of_a_user_end_together(self, store: CompleteStore) -> None:
        await given_exchanged(store, consent("one"))
        await given_consent(store, consent("two", client_id="client-2"))
        await given_exchanged(store, consent("three"), redemption("three", expires_at=NOW + 5))
        await given_exchanged(store, consent("bob's", user_id="bob"))
        await given_exchanged(store, consent("own", user_id=None))
        revocation = UserRevocation(user_id=USER, now=NOW + 5, reason="user_request")
        assert await store.revoke_user_grants(revocation) == 2
        assert await store.revoke_user_grants(revocation) == 0
        for name in ("one", "two", "three"):
            await _assert_erased(store, name, NOW + 5, "user_request")
        assert await live(store, "a1", "bob's") is not None
        assert await live(store, "a1", "own") is not None

    async def test_the_grants_of_a_user_with_one_client_end_together(self, store: CompleteStore) -> None:
        await given_exchanged(store, consent("one"))
        await given_exchanged(store, consent("two", client_id="client-2"))
        revocation = UserRevocation(user_id=USER, now=NOW, reason="user_request", client_id="client-2")
        assert await store.revoke_user_grants(revocation) == 1
        assert await live(store, "a1", "one") is not None
        assert await live(store, "a1", "two") is None

    async def test_a_change_that_revokes_ends_grants_codes_and_sessions(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        await given_consent(store, consent("pending"))
        await given_exchanged(store, consent("bob's", user_id="bob"))
        await given_browser(store)
        await store.add_user(user("bob"))
        await store.add_session(session("bob's browser", user_id="bob"))
        change = UserChange(user=user(version=2, password_hash="new"), revokes="password_changed", now=NOW + 5)  # noqa: S106
        assert await store.replace_user(change)
        await _assert_erased(store, GRANT, NOW + 5, "password_changed")
        await _assert_erased(store, "pending", NOW + 5, "password_changed")
        assert await store.redeem_code(redemption("pending")) == "refused"
        assert await store.get_session(digest("browser"), NOW) is None
        assert not await store.end_session(digest("browser"))
        assert await live(store, "a1", "bob's") is not None
        assert await store.get_session(digest("bob's browser"), NOW) is not None

    async def test_a_refused_change_revokes_nothing(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        await given_browser(store)
        assert not await store.replace_user(UserChange(user=user(version=3), revokes="user_disabled", now=NOW))
        assert await live(store, "a1") is not None
        assert await store.get_session(digest("browser"), NOW) is not None

    async def test_a_change_that_does_not_revoke_leaves_grants_and_sessions(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        await given_browser(store)
        assert await store.replace_user(UserChange(user=user(version=2, is_admin=True), revokes=None, now=NOW))
        assert await live(store, "a1") is not None
        assert await store.get_session(digest("browser"), NOW) is not None

    async def test_deleting_a_user_ends_grants_and_sessions(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        await given_browser(store)
        assert await store.delete_user(USER, NOW + 5)
        await _assert_erased(store, GRANT, NOW + 5, "user_deleted")
        assert await store.get_user(USER) is None
        await store.add_user(user())
        assert await store.get_session(digest("browser"), NOW) is None
        assert not await store.delete_user("bob", NOW)


async def _assert_erased(store: CompleteStore, grant_id: str, now: int, reason: RevocationReason) -> None:
    found = await store.get_refreshable(grant_id)
    assert found is not None
    assert (found.grant.revoked_at, found.grant.revoked_reason) == (now, reason)
    state = found.refresh
    assert (state.family, state.current, state.previous, state.seal, state.seal_until) == (None,) * 5
    assert (state.retired, found.props) == ((), ())
    assert await live(store, "a1", grant_id) is None
    assert await live(store, "a2", grant_id) is None
    code = await store.get_code(grant_id, digest(f"code of {grant_id}"))
    assert code is not None
    assert (code.code.wrapped_key, code.props) == (b"", None)
    assert not await store.renew_lease(grant_id, "holder", now + 100)
