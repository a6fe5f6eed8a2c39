"""What is kept of sign-ins and of what happens to users: who, by whom, from where; and no password."""

from __future__ import annotations

import httpx
import pytest

from grantwell.records import Event
from grantwell.signin import Accounts
from tests.signin.browser import ADDRESS, PASSWORD, USER, Browser, Place, cheap_hasher, form_of

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement


async def kept(place: Place, name: str | None = None) -> list[Event]:
    """Every event of that name, the oldest first."""
    page = await place.world.provider.helpers.list_events(name=name, limit=1000)
    return list(page.items[::-1])


@requirement("G-500", "S-473")
async def test_signing_in_and_out_is_kept_with_the_browser_and_its_address(place: Place, browser: Browser) -> None:
    page = await browser.follow(await browser.sign_in(headers={"User-Agent": "Browser/1.0"}))
    await browser.post("/signout", form_of(page, "/signout"))
    signed_in, signed_out = await kept(place)
    for event, name in ((signed_in, "signed_in"), (signed_out, "signed_out")):
        assert (event.name, event.user_id, event.actor, event.address) == (name, USER, f"user:{USER}", ADDRESS)
    assert signed_in.details == {"user_agent": "Browser/1.0"}


@requirement("G-500", "A-319")
async def test_a_failed_sign_in_names_whom_it_was_aimed_at_if_there_is_such_a_user(
    place: Place, browser: Browser
) -> None:
    await browser.sign_in(password="wrong password")
    await browser.sign_in(username=PASSWORD, password=USER)
    await browser.sign_in(username="nobody", password="hunter2hunter2")
    failures = await kept(place, "sign_in_failed")
    assert [(event.user_id, event.actor, event.address) for event in failures] == [
        (USER, "", ADDRESS),
        (None, "", ADDRESS),
        (None, "", ADDRESS),
    ]
    assert not [secret for secret in (PASSWORD, "wrong password", "nobody", "hunter2") if secret in repr(failures)]


@requirement("G-502")
async def test_whoever_guesses_passwords_fills_no_disk(place: Place) -> None:
    for number in range(3):
        guesser = place.browser(f"198.51.100.{number}")
        form = form_of(await guesser.get("/signin"), "/signin")
        for _ in range(15):
            answer = await guesser.post("/signin", form | {"username": USER, "password": "guess me"})
            assert answer.status_code in (403, 429)
    failures = await kept(place, "sign_in_failed")
    assert len(failures) == 30
    assert {event.reason for event in failures} == {"wrong name or password, or disabled"}
    place.world.clock.advance(60)
    await guesser.post("/signin", form | {"username": USER, "password": "guess me"})
    assert (await kept(place, "sign_in_failed"))[-1].reason == "too many failures; the password was not looked at"


@requirement("G-500")
async def test_what_is_done_to_a_user_is_kept_with_who_did_it(place: Place) -> None:
    oauth = place.world.provider.helpers
    accounts = Accounts(place.store, place.keyring, cheap_hasher(), clock=place.world.clock, oauth=oauth)
    accounts = accounts.acting_as("user:root", address="192.0.2.7")
    await accounts.add("bob", PASSWORD, is_admin=True)
    await accounts.set_password("bob", PASSWORD + "2")
    await accounts.disable("bob")
    await accounts.enable("bob")
    await accounts.set_admin("bob", False)
    assert await accounts.delete("bob")
    assert not await accounts.delete("bob")
    with pytest.raises(LookupError):
        await accounts.disable("bob")
    events = await kept(place)
    assert [(event.name, event.details) for event in events] == [
        ("user_added", {"is_admin": True}),
        ("password_changed", {}),
        ("user_disabled", {}),
        ("user_enabled", {}),
        ("admin_changed", {"is_admin": False}),
        ("user_deleted", {}),
    ]
    assert {(event.user_id, event.actor, event.address) for event in events} == {("bob", "user:root", "192.0.2.7")}


@requirement("G-503")
async def test_a_page_that_refuses_an_unknown_client_keeps_what_was_asked(place: Place, browser: Browser) -> None:
    answer: httpx.Response = await browser.authorize(
        {"client_id": "unknown-client", "redirect_uris": ["https://c1.test/cb"]}
    )
    assert answer.status_code == 400
    (event,) = await kept(place, "refused")
    assert (event.client_id, event.reason, event.address) == ("unknown-client", "unknown client", ADDRESS)
    assert event.details["inputs"]["redirect_uri"] == "https://c1.test/cb"
