"""The people who can sign in: what can be done with them, and that what ends for them ends at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from grantwell import StoreUnavailable
from grantwell.crypto import PasswordHasher
from grantwell.records import User
from grantwell.signin import Accounts
from grantwell.store import UserChange
from tests.signin.browser import PASSWORD, USER, Browser, Place, cheap_hasher, read
from tests.wire.world import parsed

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("A-251")
@pytest.mark.parametrize(
    "user_id", ["", " ", "a b", "é", "\u212aelvin", "-x", ".x", "a" * 129, "a\n", "a\x00", "a/b", "<b>", "a:b"]
)
async def test_an_id_that_could_be_taken_for_another_is_refused(place: Place, user_id: str) -> None:
    with pytest.raises(ValueError, match="user id"):
        await place.accounts.add(user_id, PASSWORD)
    assert await place.accounts.get(user_id) is None
    assert await place.accounts.delete(user_id) is False
    assert await place.accounts.authenticate(user_id, PASSWORD) is None
    with pytest.raises(LookupError):
        await place.accounts.disable(user_id)


@pytest.mark.parametrize("user_id", ["a", "0", "ada.lovelace+x@example.com", "a_b-c", "A" * 128])
async def test_ids_are_kept_in_lower_case(place: Place, user_id: str) -> None:
    added = await place.accounts.add(user_id, PASSWORD)
    assert added.user_id == user_id.lower()
    assert await place.accounts.get(user_id.upper()) == added
    assert await place.accounts.authenticate(user_id, PASSWORD) == added
    assert not added.is_admin


async def test_an_id_can_be_had_once(place: Place) -> None:
    outcomes = await asyncio.gather(
        *(place.accounts.add("Bob", f"password of {n}") for n in range(5)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes].count(ValueError) == 4
    with pytest.raises(ValueError, match="already"):
        await place.accounts.add("bob", PASSWORD)


@pytest.mark.requirement("A-251")
@pytest.mark.parametrize("password", ["", "seven c", "x" * 1025, "é" * 513, "e\u0301" * 7])
async def test_a_password_that_is_too_short_or_too_long_is_refused(place: Place, password: str) -> None:
    with pytest.raises(ValueError, match="password"):
        await place.accounts.add("bob", password)
    with pytest.raises(ValueError, match="password"):
        await place.accounts.set_password(USER, password)
    assert await place.accounts.get("bob") is None
    assert await place.accounts.authenticate(USER, PASSWORD) is not None


@pytest.mark.requirement("A-251")
async def test_a_password_is_one_in_each_of_its_unicode_forms(place: Place) -> None:
    await place.accounts.add("bob", "cafe\u0301 cafe\u0301")
    assert await place.accounts.authenticate("bob", "caf\u00e9 caf\u00e9") is not None
    assert await place.accounts.authenticate("bob", "cafe cafe") is None
    await place.accounts.set_password("bob", "null \x00 byte")
    assert await place.accounts.authenticate("bob", "null \x00 bite") is None
    assert await place.accounts.authenticate("bob", "null ") is None


async def tokens_of(place: Place, browser: Browser) -> tuple[dict[str, Any], Any]:
    """A client that the user of a browser allowed, and its tokens."""
    client = await place.client()
    allowed = await browser.answer(await browser.asked(client))
    code = allowed.headers["location"].partition("code=")[2].partition("&")[0]
    return client, parsed(await place.world.exchange(client, code))


@pytest.mark.requirement("S-169", "S-170")
@pytest.mark.parametrize("ending", ["disable", "delete", "set_password"])
async def test_what_ends_for_a_user_ends_at_once(place: Place, browser: Browser, ending: str) -> None:
    client, tokens = await tokens_of(place, browser)
    asked = await browser.asked(client)
    match ending:
        case "disable":
            await place.accounts.disable(USER)
        case "delete":
            assert await place.accounts.delete(USER)
        case "set_password":
            await place.accounts.set_password(USER, "another password")
    assert (await place.world.call(tokens.access)).status_code == 401
    assert (await place.world.refresh(client, tokens.refresh)).status_code == 400
    assert (await browser.answer(asked)).status_code == 403
    assert USER not in read(await browser.get("/signin")).words
    assert await place.accounts.authenticate(USER, PASSWORD) is None


async def test_a_change_that_takes_nothing_away_ends_nothing(place: Place, browser: Browser) -> None:
    _, tokens = await tokens_of(place, browser)
    assert (await place.accounts.set_admin(USER, True)).is_admin
    assert (await place.accounts.enable(USER)).disabled_at is None
    assert (await place.world.call(tokens.access)).status_code == 200
    assert USER in read(await browser.get("/signin")).words


async def test_a_user_who_is_enabled_again_can_sign_in(place: Place, browser: Browser) -> None:
    disabled = await place.accounts.disable(USER)
    place.world.clock.advance(5)
    assert (await place.accounts.disable(USER)).disabled_at == disabled.disabled_at
    assert (await browser.sign_in()).status_code == 403
    await place.accounts.enable(USER)
    assert (await browser.sign_in()).status_code == 303


async def test_a_user_who_is_not_there_cannot_be_changed(place: Place) -> None:
    for change in (
        place.accounts.set_password("nobody", PASSWORD),
        place.accounts.enable("nobody"),
        place.accounts.disable("nobody"),
        place.accounts.set_admin("nobody", True),
    ):
        with pytest.raises(LookupError, match="nobody"):
            await change
    assert await place.accounts.delete("nobody") is False


async def test_changes_at_the_same_time_are_all_made(place: Place) -> None:
    await asyncio.gather(
        place.accounts.set_password(USER, "another password"),
        place.accounts.set_admin(USER, True),
        place.accounts.disable(USER),
    )
    user = await place.accounts.get(USER)
    assert user is not None
    assert (user.is_admin, user.disabled_at is None, user.version) == (True, False, 4)
    await place.accounts.enable(USER)
    assert await place.accounts.authenticate(USER, "another password") is not None


async def test_a_change_that_never_gets_its_turn_is_given_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(change: UserChange) -> bool:
        return False

    monkeypatch.setattr(place.store, "replace_user", never)
    with pytest.raises(StoreUnavailable):
        await place.accounts.disable(USER)


async def test_users_are_listed_a_page_at_a_time(place: Place) -> None:
    for name in ("bob", "cy"):
        await place.accounts.add(name, PASSWORD)
    first = await place.accounts.list(limit=2)
    rest = await place.accounts.list(limit=2, cursor=first.cursor)
    assert [user.user_id for user in (*first.items, *rest.items)] == ["ada", "bob", "cy"]
    assert rest.cursor is None


async def test_a_hash_of_yesterdays_cost_is_made_anew_at_sign_in(place: Place, browser: Browser) -> None:
    _, tokens = await tokens_of(place, browser)
    before = await place.accounts.get(USER)
    dearer = PasswordHasher(memory_kib=128, passes=2, lanes=1)
    today = Accounts(place.store, place.keyring, dearer, clock=place.world.clock)
    assert await today.authenticate(USER, "wrong password") is None
    assert await today.get(USER) == before
    user = await today.authenticate(USER, PASSWORD)
    assert user is not None
    assert before is not None
    assert not dearer.is_outdated(user.password_hash)
    assert user == await today.get(USER)
    assert (await place.world.call(tokens.access)).status_code == 200
    assert await today.authenticate(USER, PASSWORD) == user


async def test_a_hash_that_cannot_be_made_anew_now_is_good_for_today(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = PasswordHasher(memory_kib=128, passes=2, lanes=1)
    today = Accounts(place.store, place.keyring, busy, clock=place.world.clock)

    async def refuse(password: str) -> str:
        raise StoreUnavailable("busy")

    async def lose(change: UserChange) -> bool:
        return False

    with monkeypatch.context() as patched:
        patched.setattr(busy, "hash", refuse)
        assert await today.authenticate(USER, PASSWORD) is not None
    monkeypatch.setattr(place.store, "replace_user", lose)
    assert await today.authenticate(USER, PASSWORD) is not None


async def write(place: Place, user: User) -> None:
    """Write a row as somebody would who has the database alone."""
    await place.store.delete_user(user.user_id, 0)
    assert await place.store.add_user(user)


@pytest.mark.requirement("A-323")
@pytest.mark.parametrize(
    "changes", [{"is_admin": True}, {"password_hash": ""}, {"created_at": 1}, {"version": 2}, {"mac": b""}]
)
async def test_a_row_that_was_altered_in_the_database_is_nobody(place: Place, changes: dict[str, Any]) -> None:
    if "password_hash" in changes:
        changes = {"password_hash": await cheap_hasher().hash("mallory's own")}
    user = await place.accounts.get(USER)
    assert user is not None
    await write(place, replace(user, **changes))
    assert await place.accounts.get(USER) is None
    assert (await place.accounts.list()).items == ()
    for password in (PASSWORD, "mallory's own"):
        assert await place.accounts.authenticate(USER, password) is None
    with pytest.raises(LookupError):
        await place.accounts.set_admin(USER, True)
    with pytest.raises(ValueError, match="already"):
        await place.accounts.add(USER, PASSWORD)
    assert await place.accounts.delete(USER)
    await place.accounts.add(USER, PASSWORD)


@pytest.mark.requirement("A-323")
async def test_a_disabled_user_cannot_be_let_in_again_by_writing_to_the_database(
    place: Place, browser: Browser
) -> None:
    await place.accounts.disable(USER)
    disabled = await place.accounts.get(USER)
    assert disabled is not None
    await write(place, replace(disabled, disabled_at=None))
    assert await place.accounts.authenticate(USER, PASSWORD) is None
    assert (await browser.sign_in()).status_code == 403


@pytest.mark.requirement("A-323")
async def test_a_row_of_somebody_else_under_another_name_is_nobody(place: Place, browser: Browser) -> None:
    await place.accounts.add("root", "the password of root", is_admin=True)
    user = await place.accounts.get(USER)
    assert user is not None
    assert await place.store.delete_user("root", 0)
    assert await place.store.add_user(replace(user, user_id="root"))
    assert await place.accounts.get("root") is None
    assert (await browser.sign_in(username="root", password=PASSWORD)).status_code == 403
