"""A sign-in that another page asked for leads back to it, and only ever to a page of ours."""

from __future__ import annotations

import pytest

from grantwell.signin.returning import FRESH_SECONDS, destination
from tests.signin.browser import Browser, Place, form_of, read

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement


@requirement("G-540")
@pytest.mark.parametrize(
    ("text", "leads_to"),
    [
        ("/account/connections", "/account/connections"),
        ("/account/connections?after=W1t", "/account/connections?after=W1t"),
        ("/admin/grants?user=a%26b&client=https%3A%2F%2Fx", "/admin/grants?user=a%26b&client=https%3A%2F%2Fx"),
        ("/admin/grants?user=%0d%0aLocation:%20x", "/admin/grants?user=%0D%0ALocation%3A+x"),
        ("/admin/grants?user=", "/admin/grants?user="),
    ],
)
def test_a_page_of_ours_is_a_destination(text: str, leads_to: str) -> None:
    assert destination(text) == leads_to


FOREIGN = (
    "https://evil.test/",
    "//evil.test/account",
    "/\\evil.test",
    "\\\\evil.test",
    "/account/../../evil",
    "/account//evil.test",
    "/account#x",
    "/account/connections/",
    "/ACCOUNT",
    " /account",
    "/account\r\nSet-Cookie: x=y",
    "/account@evil.test",
    "/authorize?client_id=x",
    "/signout",
    "account",
    "javascript:alert(1)",
    "/account?novalue",
    "/account?" + "a=b&" * 21 + "a=b",
    "/account?a=" + "b" * 2048,
    "?",
)


@requirement("G-540", "A-237")
@pytest.mark.parametrize("text", FOREIGN)
async def test_nothing_else_is_a_destination(place: Place, browser: Browser, text: str) -> None:
    assert destination(text) is None
    refused = await browser.get("/signin", params={"to": text})
    assert refused.status_code == 400
    assert "set-cookie" not in refused.headers
    form = form_of(await browser.get("/signin"), "/signin") | {"username": "ada", "password": "correct horse"}
    sent = await browser.post("/signin", form | {"to": text})
    assert sent.status_code in (400, 403)
    assert "location" not in sent.headers


@requirement("G-540")
async def test_who_signs_in_comes_back_to_the_page_that_asked(place: Place, browser: Browser) -> None:
    page = await browser.get("/signin", params={"to": "/account/connections?after=abc"})
    answer = await browser.sign_in(page)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account/connections?after=abc")
    again = await browser.get("/signin", params={"to": "/account/connections"})
    assert (again.status_code, again.headers["location"]) == (303, "/account/connections")


@requirement("G-540")
async def test_a_wrong_password_does_not_forget_the_page_that_asked(place: Place, browser: Browser) -> None:
    page = await browser.get("/signin", params={"to": "/account/sessions"})
    failed = await browser.sign_in(page, password="wrong password")
    assert failed.status_code == 403
    assert (await browser.sign_in(failed)).headers["location"] == "/account/sessions"


@requirement("G-541")
async def test_a_page_that_acts_for_an_operator_asks_again_a_quarter_of_an_hour_after_the_sign_in(
    place: Place, browser: Browser
) -> None:
    await browser.sign_in()
    acting = {"to": "/admin/grants/end?user=bob"}
    assert (await browser.get("/signin", params=acting)).headers["location"] == "/admin/grants/end?user=bob"
    place.world.clock.advance(FRESH_SECONDS)
    assert (await browser.get("/signin", params=acting)).status_code == 303
    place.world.clock.advance(1)
    page = await browser.get("/signin", params=acting)
    assert page.status_code == 200
    assert "once more" in read(page).words
    before = browser.cookie
    answer = await browser.sign_in(page)
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin/grants/end?user=bob")
    assert browser.cookie != before
