"""Consents: a pending grant with its code, for an interaction that is answered once; and the listing of grants."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Literal

import pytest

from ..records import Grant
from ..store import GrantQuery, NewGrant, Revocation, Use, UserChange
from .samples import (
    CLIENT,
    CODE_TTL,
    GRANT,
    GRANT_TTL,
    NOW,
    USER,
    CompleteStore,
    client,
    consent,
    digest,
    given_browser,
    given_consent,
    given_exchanged,
    key,
    redemption,
    session,
    user,
    waiting,
)

REQUEST = key("request", "browser")


def _of_document(version: int = 1, grant_id: str = GRANT, **changes: Any) -> NewGrant:
    document = client(origin="document", name="As fetched", version=version, last_used_at=NOW, **changes)
    return replace(consent(grant_id), document=document)


class ConsentRules:
    """What a store must do with consents."""

    async def test_a_consent_is_found_as_it_was_stored(self, store: CompleteStore) -> None:
        new = await given_consent(store)
        assert await store.get_grant(GRANT) == new.grant
        found = await store.get_code(GRANT, new.code.digest)
        assert found is not None
        assert (found.grant, found.code, found.props, found.generation) == (new.grant, new.code, new.props, 0)

    async def test_a_code_is_found_only_with_its_grant_and_its_digest(self, store: CompleteStore) -> None:
        first = await given_consent(store)
        second = await given_consent(store, consent("grant-2"))
        assert await store.get_code(GRANT, second.code.digest) is None
        assert await store.get_code("grant-2", first.code.digest) is None
        assert await store.get_code("grant-3", first.code.digest) is None

    async def test_a_consent_for_a_client_that_is_gone_is_refused(self, store: CompleteStore) -> None:
        await given_browser(store)
        assert await store.add_grant(consent(interaction=REQUEST)) == "client_gone"
        assert await store.get_grant(GRANT) is None
        assert await store.get_interaction(REQUEST, NOW) is not None

    async def test_a_consent_closes_its_interaction(self, store: CompleteStore) -> None:
        await given_browser(store)
        await given_consent(store, consent(interaction=REQUEST))
        assert await store.get_interaction(REQUEST, NOW) is None
        assert not await store.close_interaction(REQUEST, NOW)

    async def test_of_racing_consents_to_one_interaction_one_is_stored(self, store: CompleteStore) -> None:
        await store.add_client(client())
        await given_browser(store)
        outcomes = await asyncio.gather(
            *(store.add_grant(consent(f"grant-{number}", interaction=REQUEST)) for number in range(8))
        )
        assert sorted(outcomes) == ["added"] + ["interaction_closed"] * 7
        assert len((await store.list_grants(GrantQuery(now=NOW))).items) == 1

    async def test_a_closed_interaction_takes_no_consent(self, store: CompleteStore) -> None:
        await store.add_client(client())
        await given_browser(store)
        assert await store.close_interaction(REQUEST, NOW)
        await _assert_refused(store, NOW)

    @pytest.mark.parametrize("now", [NOW + 600, NOW + 601])
    async def test_an_interaction_past_its_end_takes_no_consent(self, store: CompleteStore, now: int) -> None:
        await store.add_client(client())
        await given_browser(store)
        await _assert_refused(store, now)

    async def test_an_interaction_of_another_browser_takes_no_consent(self, store: CompleteStore) -> None:
        await store.add_client(client())
        await given_browser(store)
        await store.add_session(session("other browser", user_id=USER))
        other = key("request", "other browser")
        assert await store.add_grant(consent(interaction=other)) == "interaction_closed"
        assert await store.get_grant(GRANT) is None
        assert await store.get_interaction(REQUEST, NOW) is not None

    async def test_a_browser_past_its_end_gives_no_consent(self, store: CompleteStore) -> None:
        await store.add_client(client())
        await given_browser(store)
        await store.add_session(session("old browser", user_id=USER, expires_at=NOW + 30))
        assert await store.add_interaction(waiting("late request", "old browser"))
        late = key("late request", "old browser")
        assert await store.add_grant(consent(interaction=late, now=NOW + 30)) == "interaction_closed"
        assert await store.add_grant(consent(interaction=late, now=NOW + 29)) == "added"

    async def test_a_browser_on_which_nobody_signed_in_gives_no_consent(self, store: CompleteStore) -> None:
        await store.add_client(client())
        await given_browser(store, user_id=None)
        await _assert_refused(store, NOW)
        assert await store.add_grant(consent(interaction=REQUEST, user_id=None)) == "interaction_closed"

    async def test_nobody_consents_for_another_user(self, store: CompleteStore) -> None:
        await store.add_client(client())
        await store.add_user(user())
        await given_browser(store, user_id="mallory")
        await _assert_refused(store, NOW)

    async def test_a_disabled_user_gives_no_consent(self, store: CompleteStore) -> None:
        await store.add_client(client())
        await given_browser(store)
        assert await store.replace_user(UserChange(user=user(version=2, disabled_at=NOW), revokes=None, now=NOW))
        await _assert_refused(store, NOW)

    async def test_a_grant_that_a_client_holds_for_itself_has_no_user(self, store: CompleteStore) -> None:
        new = await given_consent(store, consent(user_id=None, redirect_uri=None))
        assert await store.get_grant(GRANT) == new.grant

    async def test_a_consent_stores_the_document_of_a_client_that_was_not_known(self, store: CompleteStore) -> None:
        new = _of_document()
        assert await store.add_grant(new) == "added"
        assert await store.get_client(CLIENT) == new.document
        assert await store.get_grant(GRANT) == new.grant
        assert await store.redeem_code(redemption()) == "redeemed"

    async def test_a_consent_replaces_the_document_before_it_and_leaves_its_last_use(
        self, store: CompleteStore
    ) -> None:
        await store.add_client(client(origin="document"))
        await store.record_use(Use(grant_ids=(), client_ids=(CLIENT,), now=NOW - 5))
        new = _of_document(2, created_at=NOW + 1, jwks=None, introspects=(), scopes=None, mac=b"other")
        assert await store.add_grant(new) == "added"
        assert new.document is not None
        assert await store.get_client(CLIENT) == replace(new.document, last_used_at=NOW - 5)

    @pytest.mark.parametrize("version", [1, 2, 4, 5])
    async def test_a_document_that_has_moved_on_stays_and_the_consent_holds(
        self, store: CompleteStore, version: int
    ) -> None:
        stored = client(origin="document", version=3 if version < 4 else version - 2)
        await store.add_client(stored)
        assert await store.add_grant(_of_document(version)) == "added"
        assert await store.get_client(CLIENT) == stored
        assert await store.get_grant(GRANT) is not None

    async def test_a_document_whose_client_has_gone_is_stored_as_a_new_client(self, store: CompleteStore) -> None:
        new = _of_document(7)
        assert await store.add_grant(new) == "added"
        assert await store.get_client(CLIENT) == new.document

    async def test_a_refused_consent_stores_no_document(self, store: CompleteStore) -> None:
        await given_browser(store)
        assert await store.close_interaction(REQUEST, NOW)
        assert await store.add_grant(replace(_of_document(), interaction=REQUEST)) == "interaction_closed"
        assert await store.get_client(CLIENT) is None
        await store.add_client(client())
        assert await store.add_grant(replace(_of_document(2), interaction=REQUEST)) == "interaction_closed"
        assert await store.get_client(CLIENT) == client()

    async def test_racing_consents_with_one_document_are_all_stored(self, store: CompleteStore) -> None:
        racers = [_of_document(1, f"grant-{number}", mac=digest(f"racer-{number}")) for number in range(6)]
        assert await asyncio.gather(*(store.add_grant(new) for new in racers)) == ["added"] * 6
        assert await store.get_client(CLIENT) in [new.document for new in racers]
        assert len((await store.list_grants(GrantQuery(now=NOW))).items) == 6

    async def test_grants_are_listed_newest_first_each_on_one_page(self, store: CompleteStore) -> None:
        for number in range(7):
            await given_consent(store, consent(f"grant-{number}", now=NOW + number // 3))
        listed: list[Grant] = []
        cursor = None
        while not listed or cursor is not None:
            page = await store.list_grants(GrantQuery(now=NOW, limit=3, cursor=cursor))
            listed += page.items
            cursor = page.cursor
        assert [grant.created_at - NOW for grant in listed] == [2, 1, 1, 1, 0, 0, 0]
        assert len({grant.grant_id for grant in listed}) == 7

    async def test_grants_are_listed_by_user_and_by_client(self, store: CompleteStore) -> None:
        await given_consent(store, consent("ada-1"))
        await given_consent(store, consent("ada-2", client_id="client-2"))
        await given_consent(store, consent("bob-1", user_id="bob"))
        await given_consent(store, consent("own", user_id=None))

        async def listed(user_id: str | None, client_id: str | None) -> set[str]:
            page = await store.list_grants(GrantQuery(now=NOW, user_id=user_id, client_id=client_id))
            return {grant.grant_id for grant in page.items}

        assert await listed(USER, None) == {"ada-1", "ada-2"}
        assert await listed(None, "client-1") == {"ada-1", "bob-1", "own"}
        assert await listed(USER, "client-1") == {"ada-1"}
        assert await listed("nobody", None) == set()

    @pytest.mark.parametrize(
        ("state", "at", "expected"),
        [
            ("active", 0, {"active", "endless"}),
            ("pending", 0, {"pending"}),
            ("ended", 0, {"revoked"}),
            (None, 0, {"active", "endless", "pending"}),
            ("pending", CODE_TTL, set()),
            ("ended", CODE_TTL, {"revoked", "pending"}),
            ("active", GRANT_TTL - 1, {"active", "endless"}),
            ("active", GRANT_TTL, {"endless"}),
            (None, GRANT_TTL, {"endless"}),
            ("ended", GRANT_TTL, {"revoked", "pending", "active"}),
        ],
    )
    async def test_grants_are_listed_by_their_state(
        self, store: CompleteStore, state: Literal["active", "pending", "ended"] | None, at: int, expected: set[str]
    ) -> None:
        await given_exchanged(store, consent("active"))
        await given_exchanged(store, consent("endless"), redemption("endless", expires_at=None))
        await given_consent(store, consent("pending"))
        await given_exchanged(store, consent("revoked"))
        assert await store.revoke_grant(Revocation(grant_id="revoked", now=NOW, reason="operator"))
        page = await store.list_grants(GrantQuery(now=NOW + at, state=state))
        assert {grant.grant_id for grant in page.items} == expected

    async def test_grants_are_listed_by_age_and_by_last_use(self, store: CompleteStore) -> None:
        await given_consent(store, consent("never used", now=NOW))
        await given_consent(store, consent("used", now=NOW))
        await given_consent(store, consent("young", now=NOW + 10))
        await store.record_use(Use(grant_ids=("used",), client_ids=(), now=NOW + 20))

        async def listed(**filters: Any) -> set[str]:
            page = await store.list_grants(GrantQuery(now=NOW + 20, **filters))
            return {grant.grant_id for grant in page.items}

        assert await listed(created_before=NOW) == set()
        assert await listed(created_before=NOW + 1) == {"never used", "used"}
        assert await listed(unused_since=NOW - 1) == set()
        assert await listed(unused_since=NOW) == {"never used"}
        assert await listed(unused_since=NOW + 10) == {"never used", "young"}
        assert await listed(unused_since=NOW + 19, created_before=NOW + 10) == {"never used"}
        assert await listed(unused_since=NOW + 20) == {"never used", "used", "young"}


async def _assert_refused(store: CompleteStore, now: int) -> None:
    assert await store.add_grant(consent(interaction=REQUEST, now=now)) == "interaction_closed"
    assert await store.get_grant(GRANT) is None
    assert await store.get_code(GRANT, digest(f"code of {GRANT}")) is None
