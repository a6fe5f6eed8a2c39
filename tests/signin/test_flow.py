"""The whole way through the pages: from a client, over sign-in and consent, back to it."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from grantwell_storage import MemoryStore
from tests.signin.browser import COOKIE, USER, Browser, Place, form_of, interaction_of, read, running_place
from tests.wire.world import answer_parameters, parsed

pytestmark = pytest.mark.anyio


async def site(scope: Scope, receive: Receive, send: Send) -> None:
    """An application of the embedder's own."""
    await PlainTextResponse(f"the site at {scope['path']}")(scope, receive, send)


@pytest.mark.requirement("S-154", "S-003", "S-004")
async def test_a_user_who_signs_in_and_allows_gives_the_client_a_token(place: Place, browser: Browser) -> None:
    client = await place.client()
    to_sign_in = await browser.authorize(client)
    assert urlsplit(to_sign_in.headers["location"]).path == "/signin"
    signed_in = await browser.sign_in(await browser.follow(to_sign_in))
    assert signed_in.status_code == 303
    consent = await browser.follow(signed_in)
    assert await place.grants() == []
    allowed = await browser.answer(consent)
    assert allowed.status_code == 303
    assert urlsplit(allowed.headers["location"]).hostname == "c1.test"
    parameters = answer_parameters(allowed)
    assert (parameters["state"], parameters["iss"]) == ("xyz", "https://as.test")
    tokens = parsed(await place.world.exchange(client, parameters["code"]))
    called = (await place.world.call(tokens.access)).json()
    assert called["user"] == USER
    assert called["props"] == {"username": USER}
    assert called["scopes"] == ["read"]


@pytest.mark.requirement("S-159", "A-231", "A-132", "D-27")
async def test_a_user_is_asked_again_however_often_they_allowed_before(place: Place, browser: Browser) -> None:
    client = await place.client()
    await browser.answer(await browser.asked(client))
    for changes in ({}, {"scope": "read write"}, {"state": "other"}):
        again = await browser.authorize(client, **changes)
        assert urlsplit(again.headers["location"]).path == "/consent"
    assert len(await place.grants()) == 1


@pytest.mark.requirement("S-166")
@pytest.mark.parametrize("decision", ["allow", "deny"])
async def test_what_was_decided_is_in_no_cookie(place: Place, browser: Browser, decision: str) -> None:
    client = await place.client()
    page = await browser.asked(client)
    before = browser.cookie
    answered = await browser.answer(page, decision)
    assert "set-cookie" not in answered.headers
    assert [(cookie.name, cookie.value) for cookie in browser.http.cookies.jar] == [(COOKIE, before)]
    again = await browser.follow(await browser.authorize(client))
    assert "/consent" in [action for action, _ in read(again).forms]


@pytest.mark.requirement("A-233", "S-175")
async def test_denying_tells_the_client_and_grants_nothing(place: Place, browser: Browser) -> None:
    client = await place.client()
    page = await browser.asked(client)
    denied = await browser.answer(page, "deny")
    assert denied.status_code == 303
    parameters = answer_parameters(denied)
    assert (parameters["error"], parameters["state"], parameters["iss"]) == ("access_denied", "xyz", "https://as.test")
    assert "code" not in parameters
    assert await place.grants() == []
    assert (await browser.answer(page, "allow")).status_code == 403
    assert await place.grants() == []


@pytest.mark.requirement("S-171", "A-255")
@pytest.mark.parametrize(
    "redirect_uri",
    ["https://c1.test/cb?tenant=1&x=%2Fa~b", "com.example.app:/cb", "cursor://anysphere/cb", "http://127.0.0.1:7777/c"],
)
async def test_the_redirect_goes_to_the_very_bytes_that_were_registered(redirect_uri: str) -> None:
    async with running_place(MemoryStore()) as place:
        client = await place.client(redirect_uris=[redirect_uri])
        browser = place.browser()
        page = await browser.asked(client, state="a b%2F+é\"'")
        allowed = await browser.answer(page)
        assert allowed.headers["location"].startswith(redirect_uri + ("&" if "?" in redirect_uri else "?"))
        assert f'href="{redirect_uri.partition(":")[0]}' not in page.text
        assert parse_qs(allowed.headers["location"].partition("?")[2])["state"] == ["a b%2F+é\"'"]


async def test_someone_else_can_take_over_a_request_on_the_same_browser(place: Place, browser: Browser) -> None:
    await place.accounts.add("bob", "battery staple")
    client = await place.client()
    page = await browser.asked(client)
    signed_out = await browser.post("/signout", form_of(page, "/signout"))
    form = await browser.follow(signed_out)
    assert interaction_of(signed_out) != form_of(page, "/consent")["i"]
    consent = await browser.follow(await browser.sign_in(form, username="bob", password="battery staple"))
    assert "bob" in read(consent).words
    assert (await browser.answer(consent)).status_code == 303
    assert await place.grants() == []
    assert len(await place.grants("bob")) == 1


@pytest.mark.requirement("A-230")
async def test_a_request_that_is_handed_over_gets_no_more_time(place: Place, browser: Browser) -> None:
    page = await browser.asked(await place.client())
    place.world.clock.advance(300)
    form = await browser.follow(await browser.post("/signout", form_of(page, "/signout")))
    place.world.clock.advance(299)
    consent = await browser.follow(await browser.sign_in(form))
    assert consent.status_code == 200
    place.world.clock.advance(1)
    assert (await browser.answer(consent)).status_code == 403


@pytest.mark.requirement("A-227")
async def test_a_request_that_was_handed_over_cannot_be_answered_by_the_one_who_left(
    place: Place, browser: Browser
) -> None:
    page = await browser.asked(await place.client())
    await browser.post("/signout", form_of(page, "/signout"))
    assert (await browser.answer(page)).status_code == 403
    assert await place.grants() == []


async def test_signing_in_without_a_request_says_who_is_signed_in(place: Place, browser: Browser) -> None:
    page = await browser.follow(await browser.sign_in())
    assert USER in read(page).words
    signed_out = await browser.follow(await browser.post("/signout", form_of(page, "/signout")))
    assert read(signed_out).forms == []
    assert "Sign in again" in read(signed_out).words
    assert form_of(await browser.get("/signin"), "/signin")["i"] == ""


async def test_everything_else_goes_to_the_fallback() -> None:
    async with running_place(MemoryStore(), fallback=site) as place:
        browser = place.browser()
        assert (await browser.get("/")).text == "the site at /"
        assert (await browser.get("/signin/more")).text == "the site at /signin/more"
        assert (await browser.get("/signin")).status_code == 200


async def test_without_a_fallback_everything_else_is_a_page_that_says_so(browser: Browser) -> None:
    assert (await browser.get("/nothing")).status_code == 404


async def test_the_pages_work_below_a_mounted_prefix() -> None:
    async with running_place(MemoryStore(), issuer="https://as.test/auth") as place:
        transport = httpx.ASGITransport(app=place.world.provider, root_path="/auth")
        async with httpx.AsyncClient(transport=transport, base_url="https://as.test") as http:
            browser = Browser(place.world, http)
            client = await place.trusted_client()
            request = browser.request(client, resource="https://as.test/auth/api")
            page = await browser.follow(await browser.get("/auth/authorize", params=request))
            fields = form_of(page, "/auth/signin") | {"username": USER, "password": "correct horse"}
            consent = await browser.follow(await browser.post("/auth/signin", fields))
            fields = form_of(consent, "/auth/consent") | {"decision": "allow"}
            assert "code" in answer_parameters(await browser.post("/auth/consent", fields))
            assert (await browser.get(str(read(page).named("link")[0]["href"]))).status_code == 200
