"""Accounts: users, browsers, waiting requests and throttles."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from ..records import Digest, Session, User
from ..store import MAX_OPEN_INTERACTIONS, Attempt, SignIn, UserChange, UserQuery
from .samples import NOW, USER, CompleteStore, digest, given_browser, key, session, user, waiting

REQUEST = key("request", "browser")


class AccountRules:
    """What a store must do for people who sign in."""

    async def test_a_user_is_found_as_stored(self, store: CompleteStore) -> None:
        assert await store.add_user(user("ada@é.example", is_admin=True, disabled_at=NOW + 1))
        assert await store.get_user("ada@é.example") == user("ada@é.example", is_admin=True, disabled_at=NOW + 1)

    @pytest.mark.parametrize("other", ["Ada", "ada ", "ad", ""])
    async def test_only_exactly_the_id_of_a_user_finds_it(self, store: CompleteStore, other: str) -> None:
        await store.add_user(user())
        assert await store.get_user(other) is None

    async def test_a_taken_id_is_refused_and_its_user_stays(self, store: CompleteStore) -> None:
        assert await store.add_user(user())
        assert not await store.add_user(user(password_hash="mallory's", is_admin=True))  # noqa: S106
        assert not await store.add_user(user())
        assert await store.get_user(USER) == user()

    async def test_of_racers_for_an_id_one_has_it(self, store: CompleteStore) -> None:
        users = [user(mac=digest(f"racer-{number}")) for number in range(8)]
        outcomes = await asyncio.gather(*(store.add_user(one) for one in users))
        assert sorted(outcomes) == [False] * 7 + [True]
        assert await store.get_user(USER) == users[outcomes.index(True)]

    async def test_a_changed_user_replaces_the_version_before_it(self, store: CompleteStore) -> None:
        await store.add_user(user())
        changed = user(version=2, password_hash="new", is_admin=True, disabled_at=NOW, mac=b"other")  # noqa: S106
        assert await store.replace_user(UserChange(user=changed, revokes=None, now=NOW))
        assert await store.get_user(USER) == changed
        assert not await store.replace_user(UserChange(user=user(version=2), revokes=None, now=NOW))
        assert not await store.replace_user(UserChange(user=user("bob", version=2), revokes=None, now=NOW))
        assert await store.get_user(USER) == changed

    async def test_users_are_listed_by_id_each_on_one_page(self, store: CompleteStore) -> None:
        names = ["eve", "ada", "Bob", "dan", "cy"]
        for name in names:
            await store.add_user(user(name))
        listed: list[User] = []
        cursor = None
        while not listed or cursor is not None:
            page = await store.list_users(UserQuery(limit=2, cursor=cursor))
            listed += page.items
            cursor = page.cursor
        assert [one.user_id for one in listed] == sorted(names)

    async def test_a_listing_of_users_refuses_odd_limits_and_cursors(self, store: CompleteStore) -> None:
        with pytest.raises(ValueError, match="1000"):
            await store.list_users(UserQuery(limit=0))
        with pytest.raises(ValueError, match="cursor"):
            await store.list_users(UserQuery(cursor="nonsense"))

    async def test_a_session_is_found_until_its_end(self, store: CompleteStore) -> None:
        stored = session("browser", expires_at=NOW + 10)
        await store.add_session(stored)
        assert await store.get_session(stored.digest, NOW + 9) == stored
        assert await store.get_session(stored.digest, NOW + 10) is None
        assert await store.get_session(digest("other"), NOW) is None

    async def test_a_session_is_good_only_while_its_user_is_there_and_enabled(self, store: CompleteStore) -> None:
        await given_browser(store)
        await store.add_session(session("stranger's", user_id="stranger"))
        assert await store.get_session(digest("browser"), NOW) == session("browser", user_id=USER)
        assert await store.get_session(digest("stranger's"), NOW) is None
        assert await store.replace_user(UserChange(user=user(version=2, disabled_at=NOW), revokes=None, now=NOW))
        assert await store.get_session(digest("browser"), NOW) is None

    async def test_signing_in_replaces_the_session_and_keeps_what_waits(self, store: CompleteStore) -> None:
        await store.add_user(user())
        await given_browser(store, "anonymous", user_id=None)
        signed_in = session("browser", user_id=USER)
        assert await store.sign_in(SignIn(session=signed_in, replaced=digest("anonymous"), now=NOW))
        assert await store.get_session(digest("anonymous"), NOW) is None
        assert await store.get_session(digest("browser"), NOW) == signed_in
        moved = await store.get_interaction(REQUEST, NOW)
        assert moved == replace(waiting("request", "browser").interaction)
        assert await store.get_interaction(key("request", "anonymous"), NOW) is None

    async def test_answered_requests_do_not_move_to_the_new_session(self, store: CompleteStore) -> None:
        await store.add_user(user())
        await given_browser(store, "anonymous", user_id=None)
        await store.close_interaction(key("request", "anonymous"), NOW)
        assert await store.sign_in(
            SignIn(session=session("browser", user_id=USER), replaced=digest("anonymous"), now=NOW)
        )
        assert await store.get_interaction(REQUEST, NOW) is None
        assert not await store.close_interaction(REQUEST, NOW)

    async def test_of_racing_sign_ins_on_one_browser_one_succeeds(self, store: CompleteStore) -> None:
        await store.add_user(user())
        await given_browser(store, "anonymous", user_id=None)
        signed_in = [session(f"browser-{number}", user_id=USER) for number in range(6)]
        outcomes = await asyncio.gather(
            *(store.sign_in(SignIn(session=one, replaced=digest("anonymous"), now=NOW)) for one in signed_in)
        )
        assert sorted(outcomes) == [False] * 5 + [True]
        found = [await store.get_session(one.digest, NOW) for one in signed_in]
        assert [one is not None for one in found] == outcomes

    @pytest.mark.parametrize(
        ("replaced", "new", "now"),
        [
            ("unknown", session("new", user_id=USER), NOW),
            ("anonymous", session("new", user_id=USER), NOW + 3600),
            ("anonymous", session("new", user_id="disabled"), NOW),
            ("anonymous", session("new", user_id="stranger"), NOW),
            ("anonymous", session("new"), NOW),
        ],
    )
    async def test_a_refused_sign_in_changes_nothing(
        self, store: CompleteStore, replaced: str, new: Session, now: int
    ) -> None:
        await store.add_user(user())
        await store.add_user(user("disabled", disabled_at=NOW))
        await given_browser(store, "anonymous", user_id=None)
        assert not await store.sign_in(SignIn(session=new, replaced=digest(replaced), now=now))
        assert await store.get_session(new.digest, NOW) is None
        assert await store.get_session(digest("anonymous"), NOW) is not None
        assert await store.get_interaction(key("request", "anonymous"), NOW) is not None

    async def test_ending_a_session_ends_what_waits_on_it(self, store: CompleteStore) -> None:
        await given_browser(store)
        assert await store.end_session(digest("browser"))
        assert await store.get_session(digest("browser"), NOW) is None
        assert await store.get_interaction(REQUEST, NOW) is None
        assert not await store.end_session(digest("browser"))

    async def test_an_interaction_is_found_while_it_is_open_on_its_browser(self, store: CompleteStore) -> None:
        await given_browser(store)
        assert await store.get_interaction(REQUEST, NOW + 599) == waiting("request", "browser").interaction
        assert await store.get_interaction(REQUEST, NOW + 600) is None
        assert await store.get_interaction(key("request", "other"), NOW) is None
        assert await store.get_interaction(key("other", "browser"), NOW) is None

    async def test_an_interaction_is_closed_once(self, store: CompleteStore) -> None:
        await given_browser(store)
        assert not await store.close_interaction(key("request", "other"), NOW)
        assert not await store.close_interaction(REQUEST, NOW + 600)
        outcomes = await asyncio.gather(*(store.close_interaction(REQUEST, NOW) for _ in range(5)))
        assert sorted(outcomes) == [False] * 4 + [True]
        assert await store.get_interaction(REQUEST, NOW) is None

    async def test_a_browser_that_is_gone_keeps_no_request(self, store: CompleteStore) -> None:
        assert not await store.add_interaction(waiting("request", "browser"))
        await store.add_session(session("browser", expires_at=NOW))
        assert not await store.add_interaction(waiting("request", "browser"))
        await store.add_session(session("stranger's", user_id="stranger"))
        assert not await store.add_interaction(waiting("request", "stranger's"))

    async def test_of_too_many_open_requests_of_a_browser_the_oldest_go(self, store: CompleteStore) -> None:
        await given_browser(store)
        await store.add_session(session("other"))
        await store.add_interaction(waiting("elsewhere", "other"))
        labels = ["request"] + [f"request-{number}" for number in range(MAX_OPEN_INTERACTIONS)]
        await store.add_interaction(waiting("answered", "browser"))
        await store.close_interaction(key("answered", "browser"), NOW)
        await store.add_interaction(waiting("late", "browser", expires_at=NOW))
        for label in labels[1:]:
            assert await store.add_interaction(waiting(label, "browser"))
        kept = [label for label in labels if await store.get_interaction(key(label, "browser"), NOW)]
        assert kept == labels[1:]
        assert await store.get_interaction(key("elsewhere", "other"), NOW) is not None

    async def test_tries_are_counted_in_a_window_that_starts_with_the_first(self, store: CompleteStore) -> None:
        throttle, other = digest("throttle"), digest("other")
        assert await store.count_attempts(throttle, NOW) == 0
        counts = [await store.count_attempt(_attempt(throttle, NOW + second)) for second in (0, 5, 59)]
        assert counts == [1, 2, 3]
        assert await store.count_attempts(throttle, NOW + 59) == 3
        assert await store.count_attempts(throttle, NOW + 60) == 0
        assert await store.count_attempt(_attempt(other, NOW)) == 1
        assert await store.count_attempt(_attempt(throttle, NOW + 60)) == 1
        assert await store.count_attempts(throttle, NOW + 119) == 1
        assert await store.count_attempts(throttle, NOW + 120) == 0

    async def test_racing_tries_are_all_counted(self, store: CompleteStore) -> None:
        counts = await asyncio.gather(*(store.count_attempt(_attempt(digest("throttle"), NOW)) for _ in range(20)))
        assert sorted(counts) == list(range(1, 21))

    async def test_forgotten_tries_are_not_counted(self, store: CompleteStore) -> None:
        for name in ("throttle", "other"):
            await store.count_attempt(_attempt(digest(name), NOW))
        await store.clear_attempts(digest("throttle"))
        await store.clear_attempts(digest("unknown"))
        assert await store.count_attempts(digest("throttle"), NOW) == 0
        assert await store.count_attempts(digest("other"), NOW) == 1


def _attempt(throttle: Digest, now: int) -> Attempt:
    return Attempt(key=throttle, window=60, now=now)
