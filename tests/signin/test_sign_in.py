"""Signing in: cookies, session ids, and the attacks on both."""

from __future__ import annotations

import secrets

import pytest

from grantwell import SecretKey
from grantwell.store import SignIn
from grantwell_storage import MemoryStore, SQLStore
from tests.signin.browser import COOKIE, PASSWORD, USER, Browser, Place, form_of, read, running_place
from tests.wire.world import nothing_changes

pytestmark = pytest.mark.anyio


async def is_signed_in(browser: Browser, cookie: str | None = None) -> bool:
    """Whether somebody is, with what the browser has or with this Cookie header alone."""
    if cookie is None:
        return USER in read(await browser.get("/signin")).words
    browser.http.cookies.clear()
    return USER in read(await browser.get("/signin", headers={"Cookie": cookie})).words


@pytest.mark.requirement("A-244", "S-167")
async def test_the_cookie_is_as_strict_as_cookies_can_be(place: Place, browser: Browser) -> None:
    page = await browser.get("/signin")
    signed_in = await browser.sign_in(page)
    for answer in (page, signed_in):
        name_and_value, *attributes = answer.headers["set-cookie"].split("; ")
        assert name_and_value.startswith(f"{COOKIE}=")
        assert sorted(attributes) == ["HttpOnly", "Path=/", "SameSite=Lax", "Secure"]
        assert len(name_and_value) == len(COOKIE) + 1 + 43


@pytest.mark.requirement("A-244")
async def test_on_this_machine_without_tls_the_cookie_has_another_name() -> None:
    async with running_place(MemoryStore(), issuer="http://localhost:8000") as place:
        browser = place.browser()
        answer = await browser.get("/signin")
        name, *attributes = answer.headers["set-cookie"].split("; ")
        assert name.startswith("grantwell-dev=")
        assert sorted(attributes) == ["HttpOnly", "Path=/", "SameSite=Lax"]
        assert (await browser.sign_in(answer)).status_code == 303
        assert await is_signed_in(browser)
        with_other_host = await browser.http.get("/signin", headers={"Host": "evil.test"})
        assert with_other_host.status_code == 421


@pytest.mark.requirement("A-242", "S-170", "D-29")
async def test_the_session_id_changes_at_sign_in_and_the_old_one_is_dead(place: Place, browser: Browser) -> None:
    page = await browser.get("/signin")
    planted = browser.cookie
    await browser.sign_in(page)
    assert browser.cookie != planted
    assert await is_signed_in(browser)
    attacker = place.browser()
    assert not await is_signed_in(attacker, f"{COOKIE}={planted}")
    again = await attacker.post("/signin", form_of(page, "/signin"), headers={"Cookie": f"{COOKIE}={planted}"})
    assert again.status_code == 403


@pytest.mark.requirement("S-170", "A-242")
async def test_the_session_ends_at_sign_out(place: Place, browser: Browser) -> None:
    await browser.sign_in()
    cookie = browser.cookie
    page = await browser.get("/signin")
    out = await browser.post("/signout", form_of(page, "/signout"))
    assert out.status_code == 303
    assert "Max-Age=0" in out.headers["set-cookie"]
    assert browser.cookie == ""
    assert not await is_signed_in(place.browser(), f"{COOKIE}={cookie}")


@pytest.mark.requirement("A-223", "S-474")
async def test_nobody_is_signed_out_from_another_site(place: Place, browser: Browser) -> None:
    await browser.sign_in()
    theirs = place.browser()
    await theirs.sign_in()
    foreign = form_of(await theirs.get("/signin"), "/signout")
    for form in ({}, {"csrf": ""}, {"csrf": secrets.token_hex(32)}, foreign):
        assert (await browser.post("/signout", form)).status_code == 403
    assert (await browser.http.get("/signout")).status_code == 405
    assert await is_signed_in(browser)


@pytest.mark.requirement("A-243", "S-158")
async def test_a_stranger_cannot_sign_my_browser_in_as_himself(place: Place, browser: Browser) -> None:
    attacker = place.browser()
    await place.accounts.add("mallory", PASSWORD)
    theirs = form_of(await attacker.get("/signin"), "/signin") | {"username": "mallory", "password": PASSWORD}
    with nothing_changes(place.world):
        assert (await browser.post("/signin", theirs)).status_code == 403
    await browser.get("/signin")
    with nothing_changes(place.world):
        assert (await browser.post("/signin", theirs)).status_code == 403
        assert (await browser.post("/signin", theirs | {"csrf": ""})).status_code == 403
    assert "mallory" not in read(await browser.get("/signin")).words


@pytest.mark.requirement("A-245")
@pytest.mark.parametrize(
    "template",
    [
        "{name}={good}; {name}={other}",
        "{name}={other}; {name}={good}",
        "{name}={good}; {name}=",
        "{name}={good}; {name}={good}",
        "{lower}={good}",
        "={name}={good}",
        '{name}="{good}"',
        "{name}={good}x",
        "{name} ={good}",
        "{name}",
        "x={name}={good}",
    ],
)
async def test_a_cookie_that_may_have_been_planted_is_none(place: Place, browser: Browser, template: str) -> None:
    await browser.sign_in()
    good = browser.cookie
    other = place.browser()
    await other.get("/signin")
    cookie = template.format(name=COOKIE, lower=COOKIE.lower(), good=good, other=other.cookie)
    assert not await is_signed_in(place.browser(), cookie)
    assert await is_signed_in(place.browser(), f'a=b; {COOKIE}={good}; c="d')


@pytest.mark.requirement("A-245")
async def test_two_cookie_headers_with_our_cookie_are_none(place: Place, browser: Browser) -> None:
    await browser.sign_in()
    good = f"{COOKIE}={browser.cookie}"
    http = place.browser().http
    answer = await http.get("/signin", headers=[("Cookie", good), ("Cookie", good)])
    assert USER not in read(answer).words
    http.cookies.clear()
    answer = await http.get("/signin", headers=[("Cookie", "a=b"), ("Cookie", good)])
    assert USER in read(answer).words


@pytest.mark.requirement("A-247")
async def test_a_forged_cookie_signs_nobody_in(place: Place, browser: Browser) -> None:
    await browser.sign_in()
    good = browser.cookie
    flipped = [good[:n] + ("A" if good[n] != "A" else "B") + good[n + 1 :] for n in (0, 20, 41)]
    page = await browser.asked(await place.client())
    other_purpose = [form_of(page, "/consent")["csrf"], form_of(page, "/consent")["i"], good.lower(), good + "="]
    for forged in [
        *flipped,
        *other_purpose,
        *(digest.hex() for digest in place.keyring.cookie_digests(good)),
        "",
        "x" * 4000,
    ]:
        assert not await is_signed_in(place.browser(), f"{COOKIE}={forged}")
    assert await is_signed_in(place.browser(), f"{COOKIE}={good}")


@pytest.mark.requirement("A-247")
async def test_a_cookie_of_another_deployment_signs_nobody_in() -> None:
    store = MemoryStore()
    async with running_place(store) as place:
        browser = place.browser()
        await browser.sign_in()
        cookie = f"{COOKIE}={browser.cookie}"
    async with running_place(MemoryStore(), secret_key=SecretKey(b"o" * 32)) as other:
        assert not await is_signed_in(other.browser(), cookie)


@pytest.mark.requirement("A-334")
async def test_sessions_and_forms_live_on_while_the_deployment_key_is_replaced(
    store: MemoryStore | SQLStore,
) -> None:
    async with running_place(store) as place:
        browser = place.browser()
        client = await place.trusted_client()
        form = form_of(await browser.asked(client), "/consent")
        cookie = f"{COOKIE}={browser.cookie}"
    async with running_place(store, secret_key=SecretKey(b"n" * 32, older=b"k" * 32)) as place:
        assert await is_signed_in(place.browser(), cookie)
        headers = {"Cookie": cookie}
        answer = await place.browser().post("/consent", form | {"decision": "allow"}, headers=headers)
        assert answer.status_code == 303
    async with running_place(store, secret_key=SecretKey(b"x" * 32), new_user="eve") as place:
        assert not await is_signed_in(place.browser(), cookie)


@pytest.mark.requirement("A-247", "A-246")
async def test_a_session_ends_after_twelve_hours(place: Place, browser: Browser) -> None:
    await browser.sign_in()
    place.world.clock.advance(12 * 3600 - 1)
    assert await is_signed_in(browser)
    place.world.clock.advance(1)
    assert not await is_signed_in(browser)


@pytest.mark.requirement("A-253", "S-168")
async def test_nobody_signs_in_by_an_address(place: Place, browser: Browser) -> None:
    page = await browser.get("/signin")
    fields = form_of(page, "/signin") | {"username": USER, "password": PASSWORD}
    with nothing_changes(place.world):
        assert (await browser.get("/signin", params=fields)).status_code == 400
        for method in ("PUT", "PATCH", "DELETE"):
            answer = await browser.http.request(method, "/signin", data=fields)
            assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST, HEAD")
    assert not await is_signed_in(browser)


@pytest.mark.requirement("A-253")
async def test_neither_password_nor_name_of_a_failed_sign_in_is_logged(
    place: Place, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await browser.sign_in(username="my-secret-by-mistake", password="canary-password")
    await browser.sign_in(password=PASSWORD)
    assert "my-secret-by-mistake" not in caplog.text
    assert "canary-password" not in caplog.text
    assert PASSWORD not in caplog.text
    assert browser.cookie not in caplog.text


@pytest.mark.requirement("A-251")
async def test_passwords_of_every_kind_are_read_as_they_were_typed(place: Place) -> None:
    passwords = {
        "space": "  leading and trailing  ",
        "emoji": "pass🐎word🔋",
        "composed": "Zürcher Käse",
        "plus": "a+b&c=d%41;e",
        "longest": "x" * 1024,
    }
    for name, password in passwords.items():
        await place.accounts.add(name, password)
        assert (await place.browser().sign_in(username=name, password=password)).status_code == 303
        assert (await place.browser().sign_in(username=name, password=password.strip() + "x")).status_code == 403
    decomposed = "Zu\u0308rcher Ka\u0308se"
    assert (await place.browser().sign_in(username="composed", password=decomposed)).status_code == 303


@pytest.mark.requirement("A-251")
async def test_a_password_without_end_costs_nothing(place: Place, browser: Browser) -> None:
    page = await browser.get("/signin")
    assert (await browser.sign_in(page, password="x" * 1025)).status_code == 403
    assert (await browser.sign_in(page, password="x" * 1_048_576)).status_code == 413
    form = form_of(page, "/signin")
    nul = f"i=&csrf={form['csrf']}&username={USER}&password={PASSWORD.replace(' ', '+')}%00x"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await browser.http.post("/signin", content=nul, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_a_name_is_read_in_any_case(place: Place, browser: Browser) -> None:
    assert (await browser.sign_in(username="ADA")).status_code == 303
    assert await is_signed_in(browser)


@pytest.mark.requirement("A-242")
async def test_a_password_that_changes_during_the_sign_in_leaves_no_session(
    place: Place, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = await browser.get("/signin")
    sign_in = place.store.sign_in

    async def changed_first(transition: SignIn) -> bool:
        await place.accounts.set_password(USER, "another password")
        return await sign_in(transition)

    monkeypatch.setattr(place.store, "sign_in", changed_first)
    assert (await browser.sign_in(page)).status_code == 403
    assert not await is_signed_in(browser)


@pytest.mark.requirement("S-003", "S-004")
async def test_an_interaction_that_is_not_ours_stops_the_sign_in(place: Place, browser: Browser) -> None:
    page = await browser.get("/signin")
    form = form_of(page, "/signin") | {"i": "A" * 32, "username": USER, "password": PASSWORD}
    assert (await browser.post("/signin", form)).status_code == 403
    assert (await browser.get("/signin", params={"i": "A" * 32})).status_code == 403
    assert not await is_signed_in(browser)


@pytest.mark.requirement("A-230")
async def test_a_request_that_has_run_out_stops_the_sign_in(place: Place, browser: Browser) -> None:
    page = await browser.follow(await browser.authorize(await place.client()))
    place.world.clock.advance(600)
    assert (await browser.sign_in(page)).status_code == 403
    assert not await is_signed_in(browser)


@pytest.mark.requirement("A-227", "S-158")
async def test_a_sign_in_form_is_good_for_its_own_request_alone(place: Place, browser: Browser) -> None:
    client = await place.client()
    one = form_of(await browser.follow(await browser.authorize(client)), "/signin")
    two = form_of(await browser.follow(await browser.authorize(client)), "/signin")
    for fields in ({"csrf": two["csrf"]}, {"i": two["i"]}, {"i": ""}):
        form = one | fields | {"username": USER, "password": PASSWORD}
        assert (await browser.post("/signin", form)).status_code == 403
    assert not await is_signed_in(browser)


@pytest.mark.requirement("A-254")
async def test_pages_are_not_kept_by_anybody(place: Place, browser: Browser) -> None:
    page = await browser.asked(await place.client())
    assert page.headers["cache-control"] == "no-store"
    allowed = await browser.answer(page)
    assert allowed.headers["cache-control"] == "no-store"
    assert allowed.headers["referrer-policy"] == "no-referrer"
    assert allowed.content == b""
