"""Forms of the account that come from somewhere else: refused, and nothing changes (threats A-223, A-225)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.signin.browser import PASSWORD, Browser, Place, form_of
from tests.signin.granting import connect, forms_to, signed_in
from tests.wire.world import nothing_changes

pytestmark = pytest.mark.anyio

Form = dict[str, str]
Filled = Callable[[Browser], Awaitable[tuple[str, Form]]]


async def one_connection(browser: Browser) -> tuple[str, Form]:
    return "/account/connections", forms_to(await browser.get("/account/connections"), "/account/connections")[0]


async def all_connections(browser: Browser) -> tuple[str, Form]:
    page = await browser.get("/account/connections/end")
    return "/account/connections/end", form_of(page, "/account/connections/end")


async def one_session(browser: Browser) -> tuple[str, Form]:
    return "/account/sessions", forms_to(await browser.get("/account/sessions"), "/account/sessions")[0]


async def other_sessions(browser: Browser) -> tuple[str, Form]:
    return "/account/sessions", forms_to(await browser.get("/account/sessions"), "/account/sessions")[-1]


async def password(browser: Browser) -> tuple[str, Form]:
    typed = {"current": PASSWORD, "new": "battery staple", "again": "battery staple"}
    return "/account/password", form_of(await browser.get("/account/password"), "/account/password") | typed


FORMS = (one_connection, all_connections, one_session, other_sessions, password)


@pytest.fixture
async def mine(place: Place) -> Browser:
    """A browser of a user who has a connection and another session."""
    browser = await signed_in(place)
    await connect(browser, await place.client())
    await signed_in(place)
    return browser


@pytest.mark.requirement("G-547", "S-474", "A-223")
@pytest.mark.parametrize("filled", FORMS)
async def test_a_form_without_its_token_or_from_another_site_changes_nothing(
    place: Place, mine: Browser, filled: Filled
) -> None:
    path, form = await filled(mine)
    with nothing_changes(place.world):
        for token in ("", "0" * 64, form["csrf"][:-1], form["csrf"].upper() + "x", form["csrf"] + "\ud800"):
            sent = {name: value.encode("utf-8", "surrogatepass") for name, value in (form | {"csrf": token}).items()}
            assert (await mine.post(path, sent)).status_code == 403
        assert (await mine.post(path, {k: v for k, v in form.items() if k != "csrf"})).status_code == 403
        for site in ("cross-site", "same-site"):
            assert (await mine.post(path, form, headers={"Sec-Fetch-Site": site})).status_code == 403
        assert (await mine.get(path, params=form)).status_code == 400
        json = await mine.http.post(path, json=dict(form))
        assert json.status_code in (403, 415)
    assert (await mine.post(path, form)).status_code == 303


@pytest.mark.requirement("G-547", "S-474", "A-223", "G-544")
@pytest.mark.parametrize("filled", FORMS)
async def test_a_form_of_another_session_another_user_or_another_page_changes_nothing(
    place: Place, mine: Browser, filled: Filled
) -> None:
    path, form = await filled(mine)
    again, bob = await signed_in(place), await signed_in(place, "bob")
    await connect(bob, await place.client())
    await signed_in(place, "bob")
    _, of_bob = await filled(bob)
    anonymous = place.browser()
    with nothing_changes(place.world):
        for browser in (again, bob, anonymous):
            assert (await browser.post(path, form)).status_code == 403
        # The token of another user's form, for this user's; and what another form of this user's was for.
        assert (await mine.post(path, form | {"csrf": of_bob["csrf"]})).status_code == 403
        assert (await mine.post(path, of_bob)).status_code == 403
    for other in set(FORMS) - {filled}:
        _, another = await other(mine)
        with nothing_changes(place.world):
            assert (await mine.post(path, form | {"csrf": another["csrf"]})).status_code == 403


@pytest.mark.requirement("G-547", "S-474", "A-223")
@pytest.mark.parametrize("filled", FORMS)
async def test_an_old_form_changes_nothing_after_the_sign_out_nor_after_the_next_sign_in(
    place: Place, mine: Browser, filled: Filled
) -> None:
    path, form = await filled(mine)
    cookie = mine.cookie
    await mine.post("/signout", form_of(await mine.get("/account"), "/signout"))
    left = place.browser()
    left.http.cookies.set("__Host-grantwell", cookie)
    with nothing_changes(place.world):
        assert (await left.post(path, form)).status_code == 403
        assert (await mine.post(path, form)).status_code == 403
    await mine.sign_in()
    with nothing_changes(place.world):
        assert (await mine.post(path, form)).status_code == 403
