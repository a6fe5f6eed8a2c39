"""Whoever can write to the database, but has not the deployment key, opens nothing on the pages."""

from __future__ import annotations

import json
import sqlite3
from base64 import urlsafe_b64encode
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import pytest

from grantwell.records import Digest, Interaction, Session
from grantwell.store import NewInteraction
from grantwell_storage import MemoryStore, SQLStore
from tests.signin.browser import ADDRESS, COOKIE, PASSWORD, USER, Browser, Place, form_of, interaction_of, read

pytestmark = pytest.mark.anyio


async def session_of(place: Place, browser: Browser) -> Session:
    """The row behind the cookie of a browser."""
    digest = place.keyring.cookie_digests(browser.cookie)[0]
    session = await place.store.get_session(digest, int(place.world.clock()))
    assert session is not None
    return session


async def put_back(place: Place, session: Session) -> None:
    """Replace a row by another one of the same digest."""
    await place.store.end_session(session.digest)
    await place.store.add_session(session)


def rewrite_requests(store: MemoryStore | SQLStore, change: Callable[[str], str]) -> None:
    """Alter what every pending request asks for."""
    if isinstance(store, MemoryStore):
        for row in store._tables.interactions.values():
            row.interaction = replace(row.interaction, request=change(row.interaction.request))
        return
    with closing(sqlite3.connect(store._database._url.database or "")) as database, database:
        database.create_function("changed", 1, change)
        database.execute("UPDATE oauth_interactions SET request = changed(request)")


@pytest.mark.requirement("A-323", "A-247")
async def test_a_session_that_was_invented_in_the_database_opens_nothing(place: Place, browser: Browser) -> None:
    await browser.sign_in()
    real = await session_of(place, browser)
    await place.accounts.add("mallory", PASSWORD)
    thief = place.browser()
    await thief.sign_in(username="mallory")
    own = await session_of(place, thief)
    chosen = "m" * 43
    # A digest that needs no key, the row of another copied under one that is known, and one's own row re-pointed.
    for forged in (
        replace(real, digest=Digest(chosen.encode()[:32])),
        replace(own, user_id=USER),
        replace(own, user_id=USER, mac=real.mac),
        replace(real, digest=own.digest),
        replace(own, user_id=None, mac=b""),
        replace(own, user_id=USER, mac=b""),
    ):
        await put_back(place, forged)
        assert USER not in read(await thief.get("/signin", headers={"Cookie": f"{COOKIE}={thief.cookie}"})).words
        assert USER not in read(await thief.get("/signin", headers={"Cookie": f"{COOKIE}={chosen}"})).words
    assert USER in read(await browser.get("/signin")).words


@pytest.mark.requirement("A-323")
async def test_a_session_cannot_be_prolonged_in_the_database(place: Place, browser: Browser) -> None:
    await browser.sign_in()
    real = await session_of(place, browser)
    await put_back(place, replace(real, expires_at=real.expires_at + 1))
    assert USER not in read(await browser.get("/signin")).words


@pytest.mark.requirement("A-323")
async def test_where_a_session_came_from_cannot_be_rewritten_in_the_database(place: Place, browser: Browser) -> None:
    await browser.sign_in(headers={"User-Agent": "Browser/1.0\x7f " + "x" * 300})
    real = await session_of(place, browser)
    sent = {"Cookie": f"{COOKIE}={browser.cookie}"}
    assert (real.user_agent, real.address) == (("Browser/1.0 " + "x" * 300)[:256], ADDRESS)
    for forged in (
        replace(real, user_agent="Browser/2.0"),
        replace(real, address="203.0.113.6"),
        replace(real, user_agent=None, address=None),
        replace(real, user_agent=real.address, address=real.user_agent),
    ):
        await put_back(place, forged)
        assert USER not in read(await place.browser().get("/signin", headers=sent)).words
    await put_back(place, real)
    assert USER in read(await place.browser().get("/signin", headers=sent)).words


@pytest.mark.requirement("A-323", "D-10")
async def test_rows_from_before_there_were_names_and_browsers_in_them_stay_genuine(
    place: Place, browser: Browser
) -> None:
    await browser.sign_in()
    session = await session_of(place, browser)
    mac = place.keyring.row_mac("session", [session.digest, session.user_id, session.created_at, session.expires_at])
    await put_back(place, replace(session, mac=mac, user_agent=None, address=None))
    assert USER in read(await browser.get("/signin")).words
    user = await place.accounts.get(USER)
    assert user is not None
    row = (user.user_id, user.password_hash, user.is_admin, user.created_at, user.disabled_at, user.version)
    assert user.mac == place.keyring.row_mac("user", row)


@pytest.mark.requirement("A-319", "A-320")
async def test_nothing_in_the_database_is_a_cookie_a_form_or_a_request(place: Place, browser: Browser) -> None:
    page = await browser.asked(await place.client())
    form = form_of(page, "/consent")
    session = await session_of(place, browser)
    for value in (session.digest, session.mac, *place.keyring.cookie_digests(f"interaction:{form['i']}")):
        for text in (value.hex(), urlsafe_b64encode(value).rstrip(b"=").decode()):
            thief = place.browser()
            assert USER not in read(await thief.get("/signin", headers={"Cookie": f"{COOKIE}={text}"})).words
            assert (await browser.post("/consent", form | {"csrf": text, "decision": "allow"})).status_code == 403
            assert (await browser.get("/consent", params={"i": text})).status_code == 403


@pytest.mark.requirement("A-323", "A-227")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("https://c1.test/cb", "https://c1.test/other"),
        ('\\"scopes\\":[\\"read\\"]', '\\"scopes\\":[\\"read\\",\\"write\\"]'),
        ("xyz", "zyx"),
        ("https://as.test/api", "https://as.test/other"),
        ('"stale_session":null', '"stale_session":"00"'),
        ('"mac":"', '"mac":"00'),
        ('"mac"', '"Mac"'),
        ("{", "["),
    ],
)
@pytest.mark.parametrize("shown_before", [True, False])
async def test_a_request_that_was_altered_in_the_database_is_none(
    place: Place, browser: Browser, old: str, new: str, shown_before: bool
) -> None:
    client = await place.client(redirect_uris=["https://c1.test/cb", "https://c1.test/other"])
    await browser.sign_in()
    opened = await browser.authorize(client)
    form: dict[str, str] = {"i": interaction_of(opened), "csrf": "x"}
    if shown_before:
        form = form_of(await browser.follow(opened), "/consent")
    altered: list[bool] = []

    def change(text: str) -> str:
        altered.append(old in text)
        return text.replace(old, new)

    rewrite_requests(place.store, change)
    assert altered == [True]
    assert (await browser.get("/consent", params={"i": form["i"]})).status_code == 403
    for decision in ("allow", "deny"):
        assert (await browser.post("/consent", form | {"decision": decision})).status_code == 403
    assert await place.grants() == []


@pytest.mark.requirement("A-323")
@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '"x"', "1", '{"mac":1,"request":{},"stale_session":null}'])
async def test_a_request_that_was_replaced_by_nonsense_is_none(place: Place, browser: Browser, text: str) -> None:
    page = await browser.asked(await place.client())
    rewrite_requests(place.store, lambda _: text)
    assert (await browser.answer(page)).status_code == 403
    assert (await browser.get("/consent", params={"i": form_of(page, "/consent")["i"]})).status_code == 403


@pytest.mark.requirement("A-323")
async def test_a_request_that_was_invented_in_the_database_is_none(place: Place, browser: Browser) -> None:
    page = await browser.asked(await place.client())
    session = await session_of(place, browser)
    now = int(place.world.clock())
    stored: list[str] = []

    def note(text: str) -> str:
        stored.append(text)
        return text

    rewrite_requests(place.store, note)
    for digest in (place.keyring.cookie_digests("interaction:" + "m" * 32)[0], Digest(b"m" * 32)):
        invented = Interaction(
            digest=digest,
            session=session.digest,
            request=stored[0],
            created_at=now,
            expires_at=now + 600,
            closed_at=None,
        )
        await place.store.add_interaction(NewInteraction(interaction=invented, now=now))
    assert json.loads(stored[0])["stale_session"] is None
    assert (await browser.get("/consent", params={"i": "m" * 32})).status_code == 403
    assert (await browser.answer(page)).status_code == 303
