"""Sessions and passwords: a browser that is signed out is out, and a new password leaves nothing of the old one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.signin.browser import PASSWORD, Browser, Place, form_of, read
from tests.signin.granting import SAFARI, connect, forms_to, signed_in

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

HERE = "/account/sessions"
CHANGE = "/account/password"
NEW = "battery staple"


async def is_in(browser: Browser) -> bool:
    """Whether somebody is signed in on a browser."""
    return (await browser.get("/account")).status_code == 200


@requirement("G-545")
async def test_a_session_is_listed_with_its_browser_and_ended_by_itself(place: Place) -> None:
    laptop = await signed_in(place)
    phone = await signed_in(place, address="198.51.100.7", agent=SAFARI)
    third = await signed_in(place, address="192.0.2.1", agent="curl/8.0")
    page = await laptop.get(HERE)
    words = " ".join(read(page).words.split())
    for said in ("Firefox on Linux", "Safari on iPhone", "198.51.100.7", "curl/8.0", "This browser"):
        assert said in words, said
    one, two, others = forms_to(page, HERE)
    assert others["sessions"] == "others"
    ended_phone = await laptop.post(HERE, one)
    assert "signed out on 1 other browser" in read(await laptop.follow(ended_phone)).words
    assert await is_in(laptop)
    assert [await is_in(phone), await is_in(third)].count(False) == 1
    assert (await laptop.post(HERE, one)).status_code == 403
    await laptop.post(HERE, two)
    assert not await is_in(phone)
    assert not await is_in(third)
    assert forms_to(await laptop.get(HERE), HERE) == []


@requirement("G-545")
async def test_all_other_sessions_end_together_and_those_of_others_stay(place: Place) -> None:
    mine = [await signed_in(place) for _ in range(3)]
    bob = await signed_in(place, "bob")
    [*_, form] = forms_to(await mine[1].get(HERE), HERE)
    done = await mine[1].follow(await mine[1].post(HERE, form))
    assert "signed out on 2 other browsers" in read(done).words
    assert [await is_in(browser) for browser in (*mine, bob)] == [False, True, False, True]


@requirement("G-544", "G-545")
async def test_a_session_of_somebody_else_is_neither_seen_nor_ended(place: Place) -> None:
    ada, _, bob = await signed_in(place), await signed_in(place), await signed_in(place, "bob", agent=SAFARI)
    form = forms_to(await ada.get(HERE), HERE)[0]
    assert "Safari" not in (await ada.get(HERE)).text
    assert forms_to(await bob.get(HERE), HERE) == []
    assert (await bob.post(HERE, form)).status_code == 403


@requirement("G-545")
async def test_a_session_that_was_written_into_the_database_is_not_listed(place: Place) -> None:
    browser = await signed_in(place)
    [genuine] = await place.store.list_sessions("ada", int(place.world.clock()))
    await place.store.add_session(replace(genuine, digest=type(genuine.digest)(b"x" * 32), address="203.0.113.99"))
    assert "203.0.113.99" not in (await browser.get(HERE)).text


@requirement("G-546")
async def test_a_new_password_ends_every_connection_and_session_but_this_browser(place: Place) -> None:
    browser, other = await signed_in(place), await signed_in(place)
    tokens = await connect(browser, await place.client())
    page = await browser.get(CHANGE)
    words = " ".join(read(page).words.split())
    assert "This ends every connection that an application has in your name" in words
    before = browser.cookie
    form = form_of(page, CHANGE) | {"current": PASSWORD, "new": NEW, "again": NEW}
    done = await browser.follow(await browser.post(CHANGE, form))
    assert "Your password is changed" in read(done).words
    assert browser.cookie != before
    assert not await is_in(other)
    assert (await place.world.call(tokens.access)).status_code == 401
    stolen = place.browser()
    stolen.http.cookies.set("__Host-grantwell", before)
    assert not await is_in(stolen)
    assert (await place.browser().sign_in(password=PASSWORD)).status_code == 403
    assert (await place.browser().sign_in(password=NEW)).status_code == 303


@requirement("G-545", "G-546", "S-473")
async def test_what_a_user_ends_and_changes_is_kept_with_who_did_it_and_from_where(place: Place) -> None:
    browser, _ = await signed_in(place), await signed_in(place)
    await connect(browser, await place.client())
    await browser.post(HERE, forms_to(await browser.get(HERE), HERE)[-1])
    form = form_of(await browser.get(CHANGE), CHANGE) | {"new": NEW, "again": NEW}
    await browser.post(CHANGE, form | {"current": "wrong password"})
    await browser.post(CHANGE, form | {"current": PASSWORD})
    await connect(browser, await place.client())
    connections = "/account/connections"
    await browser.post(connections, forms_to(await browser.get(connections), connections)[0])
    kept = (await place.world.provider.helpers.list_events(user_id="ada")).items
    told = [(e.name, e.actor, e.address, e.reason) for e in kept if not e.name.startswith(("grant_issued", "code_"))]
    me = ("user:ada", "203.0.113.5")
    assert told[:-2] == [
        ("grant_revoked", *me, "user_request"),
        ("signed_in", *me, ""),
        ("password_changed", *me, ""),
        ("sign_in_failed", "", "203.0.113.5", "wrong current password, at a change of it"),
        ("session_ended", *me, "user_request"),
    ]


@requirement("G-546")
@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ({"current": "wrong password"}, "current password is not right"),
        ({"again": "something else"}, "are not the same"),
        ({"new": "short", "again": "short"}, "too short"),
        ({"new": "x" * 2000, "again": "x" * 2000}, "too long"),
    ],
)
async def test_a_change_that_will_not_do_changes_nothing(place: Place, typed: dict[str, str], complaint: str) -> None:
    browser, other = await signed_in(place), await signed_in(place)
    form = form_of(await browser.get(CHANGE), CHANGE) | {"current": PASSWORD, "new": NEW, "again": NEW}
    refused = await browser.post(CHANGE, form | typed)
    assert refused.status_code == 403
    assert complaint in read(refused).words
    assert NEW not in refused.text
    assert PASSWORD not in refused.text
    assert await is_in(other)
    assert (await place.browser().sign_in(password=PASSWORD)).status_code == 303


@requirement("G-546", "A-249")
async def test_guessing_the_current_password_is_slowed_down_with_the_sign_ins(place: Place) -> None:
    browser = await signed_in(place)
    form = form_of(await browser.get(CHANGE), CHANGE) | {"new": NEW, "again": NEW}
    for _ in range(5):
        assert (await browser.post(CHANGE, form | {"current": "wrong password"})).status_code == 403
    for _ in range(5):
        assert (await place.browser().sign_in(password="wrong password")).status_code == 403
    waiting = await browser.post(CHANGE, form | {"current": PASSWORD})
    assert (waiting.status_code, waiting.headers["retry-after"]) == (429, "600")
    assert "wait ten minutes" in read(waiting).words
    place.world.clock.advance(600)
    assert (await browser.post(CHANGE, form | {"current": PASSWORD})).status_code == 303


@requirement("G-546")
async def test_who_has_no_password_is_told_so(place: Place) -> None:
    browser = await signed_in(place)
    await place.accounts._change("ada", lambda user: replace(user, password_hash=""), None)
    page = await browser.get(CHANGE)
    assert "without a password" in read(page).words
    assert forms_to(page, CHANGE) == []
    assert "Change the password that you sign in with" not in read(await browser.get("/account")).words
