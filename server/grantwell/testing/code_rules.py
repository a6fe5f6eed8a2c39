"""Codes: spent once, together with what is issued for them, and what the exchange pushes out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

import pytest

from ..records import Grant
from ..store import NewGrant, Revocation, Use
from .samples import (
    CODE_TTL,
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
    redemption,
    refresh,
    sealed,
)

CODE = digest(f"code of {GRANT}")


class CodeRules:
    """What a store must do with codes."""

    async def test_an_exchange_issues_tokens_and_starts_the_life_of_the_grant(self, store: CompleteStore) -> None:
        new = await given_consent(store)
        exchange = redemption(now=NOW + 3, expires_at=NOW + GRANT_TTL)
        assert await store.redeem_code(exchange) == "redeemed"
        found = await store.get_refreshable(GRANT)
        assert found is not None
        assert found.grant == replace(new.grant, exchanged_at=NOW + 3, expires_at=NOW + GRANT_TTL, last_used_at=NOW + 3)
        assert (found.refresh.generation, found.refresh.family) == (1, exchange.family)
        assert (found.refresh.current, found.refresh.previous) == (exchange.refresh, None)
        assert (found.refresh.seal, found.refresh.seal_until, found.refresh.retired) == (None, None, ())
        assert found.props == (sealed(1),)
        issued = await live(store, "a1", now=NOW + 3)
        assert issued is not None
        assert (issued.token, issued.grant, issued.props) == (exchange.access, found.grant, sealed(1))
        assert issued.generation == 1

    async def test_an_exchange_may_issue_no_refresh_token_and_no_end(self, store: CompleteStore) -> None:
        await given_consent(store)
        assert await store.redeem_code(redemption(refresh=None, family=None, expires_at=None)) == "redeemed"
        found = await store.get_refreshable(GRANT)
        assert found is not None
        assert (found.refresh.current, found.refresh.family, found.grant.expires_at) == (None, None, None)
        assert found.props == ()
        assert await live(store, "a1") is not None

    async def test_a_spent_code_is_remembered_without_its_key(self, store: CompleteStore) -> None:
        new = await given_consent(store)
        await store.redeem_code(redemption(now=NOW + 3))
        found = await store.get_code(GRANT, CODE)
        assert found is not None
        assert found.code == replace(new.code, redeemed_at=NOW + 3, wrapped_key=b"")
        assert found.generation == 1

    async def test_a_code_is_spent_once(self, store: CompleteStore) -> None:
        first = await given_exchanged(store)
        again = redemption(now=NOW + 1, access=access("a9"), refresh=refresh("r9"), new_props=(sealed(2),))
        assert await store.redeem_code(again) == "refused"
        assert await live(store, "a9") is None
        found = await store.get_refreshable(GRANT)
        assert found is not None
        assert (found.refresh.generation, found.refresh.current) == (1, first.refresh)

    async def test_of_racing_exchanges_one_wins_and_its_tokens_alone_are_good(self, store: CompleteStore) -> None:
        await given_consent(store)
        labels = [f"a{number}" for number in range(20)]
        outcomes = await asyncio.gather(
            *(store.redeem_code(redemption(access=access(label), refresh=refresh(f"r{label}"))) for label in labels)
        )
        assert sorted(outcomes) == ["redeemed"] + ["refused"] * 19
        winner = labels[outcomes.index("redeemed")]
        found = await store.get_refreshable(GRANT)
        assert found is not None
        assert found.refresh.current == refresh(f"r{winner}")
        assert [label for label in labels if await live(store, label)] == [winner]

    @pytest.mark.parametrize("now", [NOW + CODE_TTL, NOW + CODE_TTL + 1])
    async def test_a_code_past_its_end_is_refused(self, store: CompleteStore, now: int) -> None:
        await given_consent(store)
        assert await store.redeem_code(redemption(now=now)) == "refused"
        await _assert_unspent(store)

    async def test_a_code_is_good_in_its_last_second(self, store: CompleteStore) -> None:
        await given_consent(store)
        assert await store.redeem_code(redemption(now=NOW + CODE_TTL - 1)) == "redeemed"

    async def test_a_code_that_ends_before_its_grant_is_refused_at_its_own_end(self, store: CompleteStore) -> None:
        new = consent()
        await given_consent(store, replace(new, code=replace(new.code, expires_at=NOW + 10)))
        assert await store.redeem_code(redemption(now=NOW + 10)) == "refused"
        assert await live(store, "a1") is None
        assert await store.redeem_code(redemption(now=NOW + 9)) == "redeemed"

    async def test_a_code_of_a_grant_past_its_end_is_refused(self, store: CompleteStore) -> None:
        new = consent()
        await given_consent(store, replace(new, grant=replace(new.grant, expires_at=NOW + 10)))
        assert await store.redeem_code(redemption(now=NOW + 10)) == "refused"
        await _assert_unspent(store)

    async def test_a_forged_code_is_refused_and_changes_nothing(self, store: CompleteStore) -> None:
        await given_consent(store)
        await given_consent(store, consent("grant-2"))
        assert await store.redeem_code(redemption(code=digest("forged"))) == "refused"
        assert await store.redeem_code(redemption(code=digest("code of grant-2"))) == "refused"
        assert await store.redeem_code(redemption("grant-3")) == "refused"
        await _assert_unspent(store)

    async def test_a_code_of_a_revoked_grant_is_refused(self, store: CompleteStore) -> None:
        await given_consent(store)
        assert await store.revoke_grant(Revocation(grant_id=GRANT, now=NOW, reason="operator"))
        assert await store.redeem_code(redemption()) == "refused"
        assert await live(store, "a1") is None
        found = await store.get_code(GRANT, CODE)
        assert found is not None
        assert (found.code.redeemed_at, found.code.wrapped_key, found.props) == (None, b"", None)

    async def test_an_exchange_against_a_revocation_never_brings_the_grant_back(self, store: CompleteStore) -> None:
        for number in range(10):
            name = f"grant-{number}"
            await given_consent(store, consent(name))
            revocation = Revocation(grant_id=name, now=NOW, reason="operator")
            exchange = store.redeem_code(redemption(name))
            end = store.revoke_grant(revocation)
            outcomes = await asyncio.gather(*((exchange, end) if number % 2 else (end, exchange)))
            assert True in outcomes
            assert await live(store, "a1", name) is None
            found = await store.get_refreshable(name)
            assert found is not None
            assert (found.grant.revoked_at, found.refresh.current, found.props) == (NOW, None, ())

    async def test_a_cancelled_exchange_runs_to_its_end(self, store: CompleteStore) -> None:
        await given_consent(store)
        task = asyncio.create_task(store.redeem_code(redemption()))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for _ in range(500):
            if await live(store, "a1") is not None:
                break
            await asyncio.sleep(0.01)
        found = await store.get_code(GRANT, CODE)
        assert found is not None
        assert found.code.redeemed_at == NOW
        assert await live(store, "a1") is not None

    async def test_props_that_only_the_code_named_go_with_its_exchange(self, store: CompleteStore) -> None:
        await given_consent(store)
        exchange = redemption(
            refresh=refresh("r1", props_version=2),
            access=access("a1", props_version=3),
            new_props=(sealed(2), sealed(3)),
        )
        assert await store.redeem_code(exchange) == "redeemed"
        code, found, issued = await store.get_code(GRANT, CODE), await store.get_refreshable(GRANT), None
        issued = await live(store, "a1")
        assert code is not None
        assert found is not None
        assert issued is not None
        assert (code.props, found.props, issued.props) == (None, (sealed(2),), sealed(3))

    async def test_a_replacing_exchange_ends_the_older_grants_of_the_same_kind(self, store: CompleteStore) -> None:
        await given_exchanged(store, consent("older"))
        await given_consent(store, consent("older and pending"))
        await given_consent(store, consent("this"))
        await given_exchanged(store, consent("younger"))
        assert await store.redeem_code(redemption("this", replaces=True)) == "redeemed"
        assert await _revoked(store, ["older", "older and pending"]) == ["replaced", "replaced"]
        assert await _revoked(store, ["this", "younger"]) == [None, None]
        assert await live(store, "a1", "older") is None
        assert await live(store, "a1", "this") is not None

    @pytest.mark.parametrize(
        "other",
        [
            consent("other", user_id="bob"),
            consent("other", user_id=None),
            consent("other", client_id="client-2"),
            consent("other", redirect_uri="https://notes.example/other"),
            consent("other", redirect_uri=None),
            consent("other", resources=("https://api.example/other",)),
            consent("other", resources=()),
        ],
    )
    async def test_a_replacing_exchange_leaves_grants_of_another_kind(
        self, store: CompleteStore, other: NewGrant
    ) -> None:
        await given_exchanged(store, other)
        await given_exchanged(store, None, redemption(replaces=True, keep_newest=None))
        assert await _revoked(store, ["other"]) == [None]
        assert await live(store, "a1", "other") is not None

    async def test_an_exchange_that_does_not_replace_leaves_older_grants(self, store: CompleteStore) -> None:
        await given_exchanged(store, consent("older"))
        await given_exchanged(store, None, redemption(replaces=False))
        assert await _revoked(store, ["older"]) == [None]

    async def test_a_replacing_exchange_leaves_the_reason_of_what_had_ended(self, store: CompleteStore) -> None:
        await given_exchanged(store, consent("older"))
        await store.revoke_grant(Revocation(grant_id="older", now=NOW, reason="token_reuse"))
        await given_exchanged(store, None, redemption(now=NOW + 1, replaces=True))
        assert await _revoked(store, ["older"]) == ["token_reuse"]

    async def test_beyond_the_bound_the_least_recently_used_grants_end(self, store: CompleteStore) -> None:
        for number in range(4):
            await given_exchanged(store, consent(f"grant-{number}"))
        await store.record_use(Use(grant_ids=("grant-0",), client_ids=(), now=NOW + 9))
        await given_consent(store, consent("pending"))
        await given_exchanged(store, consent("bob's", user_id="bob"))
        await given_exchanged(store, consent("this"), redemption("this", keep_newest=3))
        ended = ["grant-1", "grant-2"]
        assert await _revoked(store, ended) == ["too_many", "too_many"]
        assert await _revoked(store, ["grant-0", "grant-3", "pending", "bob's", "this"]) == [None] * 5
        assert await live(store, "a1", "grant-1") is None

    async def test_the_bound_never_ends_the_grant_that_is_exchanged(self, store: CompleteStore) -> None:
        await given_exchanged(store, consent("older"))
        await store.record_use(Use(grant_ids=("older",), client_ids=(), now=NOW + 9))
        await given_exchanged(store, consent("this"), redemption("this", keep_newest=1))
        assert await _revoked(store, ["older", "this"]) == ["too_many", None]

    async def test_grants_past_their_end_do_not_count_for_the_bound(self, store: CompleteStore) -> None:
        await given_exchanged(store, consent("past"), redemption("past", expires_at=NOW + 5))
        await given_exchanged(store, consent("older"))
        await given_exchanged(store, consent("this"), redemption("this", now=NOW + 5, keep_newest=2))
        assert await _revoked(store, ["past", "older", "this"]) == [None] * 3


async def _revoked(store: CompleteStore, grant_ids: Iterable[str]) -> list[str | None]:
    found: list[Grant | None] = [await store.get_grant(grant_id) for grant_id in grant_ids]
    assert None not in found
    return [grant.revoked_reason for grant in found if grant is not None]


async def _assert_unspent(store: CompleteStore) -> None:
    found = await store.get_code(GRANT, CODE)
    assert found is not None
    assert (found.code, found.generation, found.props) == (consent().code, 0, sealed(1))
    assert await live(store, "a1") is None
    refreshable = await store.get_refreshable(GRANT)
    assert refreshable is not None
    assert refreshable.refresh.current is None
