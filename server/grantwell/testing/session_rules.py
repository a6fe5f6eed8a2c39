"""The sessions of a user: listed, ended one by one or all but one, and what is sealed in them."""

from __future__ import annotations

import asyncio

from ..store import MAX_LISTED_SESSIONS
from .samples import NOW, USER, CompleteStore, digest, given_browser, key, session, user, waiting


async def _given_sessions(store: CompleteStore) -> None:
    await given_browser(store)
    await store.add_user(user("bob"))
    await store.add_session(session("phone", user_id=USER, created_at=NOW + 5))
    await store.add_session(session("bob's", user_id="bob"))
    await store.add_session(session("nobody's"))


async def _labels(store: CompleteStore, now: int = NOW) -> list[str]:
    labels = {digest(label): label for label in ("browser", "phone", "bob's", "nobody's", "short")}
    return [labels[one.digest] for one in await store.list_sessions(USER, now)]


class SessionRules:
    """What a store must do with the sessions of a user."""

    async def test_the_sessions_of_a_user_are_listed_as_stored_the_newest_first(self, store: CompleteStore) -> None:
        await _given_sessions(store)
        expected = (session("phone", user_id=USER, created_at=NOW + 5), session("browser", user_id=USER))
        assert await store.list_sessions(USER, NOW) == expected
        assert await store.list_sessions("stranger", NOW) == ()

    async def test_a_session_past_its_end_is_not_listed(self, store: CompleteStore) -> None:
        await _given_sessions(store)
        await store.add_session(session("short", user_id=USER, created_at=NOW + 9, expires_at=NOW + 10))
        assert await _labels(store, NOW + 9) == ["short", "phone", "browser"]
        assert await _labels(store, NOW + 10) == ["phone", "browser"]

    async def test_a_listing_of_sessions_is_bounded(self, store: CompleteStore) -> None:
        await given_browser(store)
        for number in range(MAX_LISTED_SESSIONS):
            await store.add_session(session(f"new {number}", user_id=USER, created_at=NOW + 1))
        listed = await store.list_sessions(USER, NOW)
        assert len(listed) == MAX_LISTED_SESSIONS
        assert all(one.created_at == NOW + 1 for one in listed)

    async def test_a_user_ends_a_session_of_theirs_with_what_waits_on_it(self, store: CompleteStore) -> None:
        await _given_sessions(store)
        assert await store.end_user_session(USER, digest("browser"))
        assert await store.get_session(digest("browser"), NOW) is None
        assert await store.get_interaction(key("request", "browser"), NOW) is None
        assert not await store.end_user_session(USER, digest("browser"))
        assert await _labels(store) == ["phone"]

    async def test_nobody_ends_the_session_of_another_or_of_nobody(self, store: CompleteStore) -> None:
        await _given_sessions(store)
        for label in ("bob's", "nobody's", "unknown"):
            assert not await store.end_user_session(USER, digest(label))
        assert await store.get_session(digest("bob's"), NOW) is not None
        assert await store.get_session(digest("nobody's"), NOW) is not None

    async def test_all_sessions_of_a_user_but_one_end(self, store: CompleteStore) -> None:
        await _given_sessions(store)
        await store.add_session(session("short", user_id=USER))
        assert await store.add_interaction(waiting("another", "phone"))
        assert await store.end_other_sessions(USER, digest("browser")) == 2
        assert await _labels(store) == ["browser"]
        assert await store.get_interaction(key("request", "browser"), NOW) is not None
        assert await store.get_interaction(key("another", "phone"), NOW) is None
        assert await store.get_session(digest("bob's"), NOW) is not None
        assert await store.get_session(digest("nobody's"), NOW) is not None
        assert await store.end_other_sessions(USER, digest("browser")) == 0
        assert await store.end_other_sessions(USER, digest("bob's")) == 1

    async def test_what_is_sealed_in_a_session_is_replaced_if_it_has_not_moved(self, store: CompleteStore) -> None:
        await _given_sessions(store)
        browser, before = digest("browser"), session("browser").sealed
        assert not await store.seal_session(browser, b"other", None)
        assert not await store.seal_session(browser, b"other", b"another")
        assert await store.seal_session(browser, b"\x00new", before)
        assert not await store.seal_session(browser, b"other", before)
        assert await store.seal_session(browser, None, b"\x00new")
        assert not await store.seal_session(browser, b"other", b"\x00new")
        assert await store.seal_session(browser, b"again", None)
        found = await store.get_session(browser, NOW)
        assert found == session("browser", user_id=USER, sealed=b"again")
        assert not await store.seal_session(digest("unknown"), b"other", None)

    async def test_of_racers_for_what_is_sealed_one_wins(self, store: CompleteStore) -> None:
        await _given_sessions(store)
        browser, before = digest("browser"), session("browser").sealed
        seals = [b"racer %d" % number for number in range(6)]
        outcomes = await asyncio.gather(*(store.seal_session(browser, seal, before) for seal in seals))
        assert sorted(outcomes) == [False] * 5 + [True]
        found = await store.get_session(browser, NOW)
        assert found is not None
        assert found.sealed == seals[outcomes.index(True)]
