"""Whoever wants to be signed in as somebody else, or to sign somebody else in, on the way to an upstream and back."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from urllib.parse import urlsplit

import httpx
import pytest

from grantwell.testing import FrozenClock
from grantwell_storage import MemoryStore, SQLStore
from tests.signin.browser import USER, Browser, form_of, read
from tests.upstream.conftest import Scene, corp, each_store, running_scene
from tests.upstream.issuer import SUBJECT, Issuer, parameter, running_issuer

pytestmark = [pytest.mark.anyio, pytest.mark.system]


def says(page: httpx.Response, words: str) -> bool:
    """Whether a page has these words."""
    return words in read(page).words


def nobody(page: httpx.Response, status: int = 403) -> None:
    """Check that an answer signs nobody in."""
    assert page.status_code == status, page.text
    assert "set-cookie" not in page.headers


@each_store
@pytest.mark.requirement("S-459", "G-560")
async def test_an_answer_counts_in_the_browser_that_asked_and_in_no_other(scene: Scene, browser: Browser) -> None:
    attacker, bystander = scene.place.browser(), scene.place.browser()
    await bystander.get("/signin")
    location = scene.issuer.approve(await scene.leave(attacker))
    for victim in (browser, bystander):
        nobody(await scene.come_back(victim, location))
        assert "corp:" not in await scene.signed_in_as(victim)
    # It was not spent by that: it is still the attacker's own.
    assert (await scene.come_back(attacker, location)).status_code == 303


@pytest.mark.requirement("S-459")
@pytest.mark.parametrize(
    "state", [None, "", "x", "A" * 32, "\u00e4" * 32, "../../signin"], ids=["none", "empty", "x", "A", "ae", "path"]
)
async def test_an_answer_without_the_state_that_was_sent_counts_for_nothing(
    scene: Scene, browser: Browser, state: str | None
) -> None:
    location = await scene.leave(browser)
    nobody(await scene.come_back(browser, scene.issuer.approve(location, state=state)))
    assert scene.issuer.forms == []


@pytest.mark.requirement("S-459")
async def test_a_state_works_once_whatever_came_of_it(scene: Scene, browser: Browser) -> None:
    location = scene.issuer.approve(await scene.leave(browser))
    assert (await scene.come_back(browser, location)).status_code == 303
    nobody(await scene.come_back(browser, location))
    assert [form["grant_type"] for form in scene.issuer.forms] == ["authorization_code"]


@pytest.mark.requirement("S-459")
async def test_a_state_that_came_back_with_an_error_does_not_work_again(scene: Scene, browser: Browser) -> None:
    location = await scene.leave(browser)
    refused = await scene.come_back(browser, scene.issuer.approve(location, code=None, error="access_denied"))
    nobody(refused)
    assert says(refused, "You or Corp refused the sign-in")
    nobody(await scene.come_back(browser, scene.issuer.approve(location)))
    assert scene.issuer.forms == []


@pytest.mark.requirement("S-459")
async def test_a_state_runs_out_after_ten_minutes(scene: Scene, browser: Browser) -> None:
    location, late = await scene.leave(browser), await scene.leave(browser)
    scene.clock.advance(599)
    assert (await scene.come_back(browser, scene.issuer.approve(location))).status_code == 303
    scene.clock.advance(1)
    nobody(await scene.come_back(browser, scene.issuer.approve(late)))


@each_store
@pytest.mark.requirement("S-459", "A-319")
async def test_nothing_that_is_stored_of_an_attempt_lets_anybody_make_its_answer(
    scene: Scene, browser: Browser
) -> None:
    location = await scene.leave(browser)
    if isinstance(scene.place.store, SQLStore):
        stored = "".join(_dump(scene.place.store))
    else:
        stored = repr(scene.place.store._tables.interactions)
    for name in ("state", "nonce", "code_challenge"):
        assert parameter(location, name) not in stored


def _dump(store: SQLStore) -> list[str]:
    with closing(sqlite3.connect(store._database._url.database or "")) as database:
        return list(database.iterdump())


@pytest.mark.requirement("S-459", "G-560")
async def test_an_attempt_is_no_request_of_a_client_and_a_request_no_attempt(scene: Scene, browser: Browser) -> None:
    page = await browser.follow(await browser.authorize(await scene.place.client()))
    location = await scene.leave(browser, page)
    state, asked = parameter(location, "state"), form_of(page, "/signin/with/corp")["i"]
    for path in (f"/consent?i={state}", f"/signin?i={state}", f"/signin/back/corp?code=x&state={asked}"):
        nobody(await browser.get(path))
    assert (await scene.come_back(browser, scene.issuer.approve(location))).status_code == 303


@pytest.mark.requirement("G-560")
async def test_the_way_there_begins_on_our_own_page_alone(scene: Scene, browser: Browser) -> None:
    form = form_of(await browser.get("/signin"), "/signin/with/corp")
    other = form_of(await scene.place.browser().get("/signin"), "/signin/with/corp")
    for forged in ({}, form | {"csrf": "0" * 64}, form | {"csrf": other["csrf"]}, form | {"i": "A" * 32}):
        nobody(await browser.post("/signin/with/corp", forged))
    nobody(await browser.post("/signin/with/corp", form, headers={"Sec-Fetch-Site": "cross-site"}))
    nobody(await browser.get("/signin/with/corp"), 405)
    nobody(await browser.post("/signin/with/nobody", form), 404)
    assert scene.issuer.asked == []


@pytest.mark.requirement("G-560")
@pytest.mark.parametrize("to", ["https://evil.test/", "//evil.test", "/authorize?client_id=x", "/signin/back/corp"])
async def test_the_way_there_leads_on_to_pages_of_ours_alone(scene: Scene, browser: Browser, to: str) -> None:
    form = form_of(await browser.get("/signin"), "/signin/with/corp")
    nobody(await browser.post("/signin/with/corp", form | {"to": to}), 400)


@pytest.mark.requirement("G-560")
async def test_a_session_that_was_planted_before_the_sign_in_is_worth_nothing_after_it(
    scene: Scene, browser: Browser
) -> None:
    location = scene.issuer.approve(await scene.leave(browser))
    planted = browser.cookie
    await scene.come_back(browser, location)
    assert f"corp:{SUBJECT}" in await scene.signed_in_as(browser)
    attacker = scene.place.browser()
    page = await attacker.get("/signin", headers={"Cookie": f"__Host-grantwell={planted}"})
    assert not says(page, "corp:")


@pytest.mark.requirement("S-460")
@pytest.mark.parametrize("iss", ["https://evil.test", "", "HTTP://127.0.0.1", None])
async def test_an_answer_that_names_another_issuer_never_spends_its_code(
    scene: Scene, browser: Browser, iss: str | None
) -> None:
    page = await scene.sign_in(browser, iss=iss)
    nobody(page)
    assert says(page, "The sign-in with Corp did not work")
    assert scene.issuer.forms == []


@pytest.mark.requirement("S-460")
async def test_an_issuer_that_promises_no_iss_need_not_send_one_and_may_not_send_another(
    scene: Scene, browser: Browser
) -> None:
    scene.issuer.says_issuer = False
    nobody(await scene.sign_in(browser, iss="https://evil.test"))
    assert (await scene.sign_in(browser)).status_code == 303


@pytest.fixture
async def evil(clock: FrozenClock) -> AsyncIterator[Issuer]:
    """Another issuer, which the operator trusts for its own people."""
    async with running_issuer(clock) as evil:
        yield evil


@pytest.mark.requirement("S-460")
async def test_of_two_upstreams_neither_can_speak_for_the_other(
    store: MemoryStore | SQLStore, issuer: Issuer, evil: Issuer, clock: FrozenClock
) -> None:
    async with running_scene(store, issuer, clock, provider={"more": [corp(evil, name="evil")]}) as scene:
        browser = scene.place.browser()
        # The answer to a question to one, on the way back of the other: the mix-up attack. Without `iss` as well.
        for iss in (issuer.issuer, None):
            evil.says_issuer = iss is not None
            location = urlsplit(issuer.approve(await scene.leave(browser), iss=iss))
            nobody(await browser.get(f"/signin/back/evil?{location.query}"))
            assert evil.forms == []
            assert issuer.forms == []
            scene.clock.advance(3600)
        # The ID token of one, from the other, about its own people.
        evil.claims = {"sub": SUBJECT, "name": "Ada", "iss": issuer.issuer}
        nobody(await scene.come_back(browser, evil.approve(await scene.leave(browser, name="evil"))))
        evil.claims = {"sub": SUBJECT, "name": "Ada"}
        await scene.come_back(browser, evil.approve(await scene.leave(browser, name="evil")))
        assert f"evil:{SUBJECT}" in await scene.signed_in_as(browser)
        assert await scene.place.accounts.get(f"corp:{SUBJECT}") is None


@pytest.mark.requirement("G-561")
@pytest.mark.parametrize("name", ["iss", "aud", "exp", "iat", "nonce", "sub"])
async def test_an_id_token_without_a_claim_that_it_must_have_signs_nobody_in(
    scene: Scene, browser: Browser, name: str
) -> None:
    scene.issuer.claims[name] = None
    nobody(await scene.sign_in(browser))


@pytest.mark.requirement("S-460", "G-561")
@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": 1},
        {"iss": "https://evil.test"},
        {"aud": "somebody-else"},
        {"aud": ["grantwell", "somebody-else"]},
        {"aud": ["grantwell", "somebody-else"], "azp": "somebody-else"},
        {"azp": "somebody-else"},
        {"aud": [["grantwell"]]},
        {"exp": 0},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": "9999999999"},
        {"exp": True},
        {"iat": 0},
        {"iat": 9999999999},
        {"nbf": 9999999999},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
        {"at_hash": 5},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
    ],
    ids=repr,
)
async def test_an_id_token_with_a_claim_that_does_not_fit_signs_nobody_in(
    scene: Scene, browser: Browser, claims: dict[str, object]
) -> None:
    scene.issuer.claims |= claims
    page = await scene.sign_in(browser)
    nobody(page)
    assert says(page, "The sign-in with Corp did not work")
    assert (await scene.place.accounts.list()).items[0].user_id == USER


@pytest.mark.requirement("G-561")
async def test_an_id_token_counts_while_the_clocks_differ_by_a_minute_at_most(scene: Scene, browser: Browser) -> None:
    now = int(scene.clock())
    for claims, status in (
        ({"exp": now - 59}, 303),
        ({"exp": now - 60}, 403),
        ({"exp": now + 99, "iat": now + 60}, 303),
        ({"exp": now + 99, "iat": now + 61}, 403),
        ({"exp": now + 99, "nbf": now + 60}, 303),
        ({"aud": ["grantwell", "x"], "azp": "grantwell"}, 303),
    ):
        scene.issuer.claims = {"sub": SUBJECT, "name": "Ada"} | claims
        assert (await scene.sign_in(scene.place.browser())).status_code == status, claims


@pytest.mark.requirement("G-562")
async def test_the_words_of_an_upstream_reach_nobody_as_markup(scene: Scene, browser: Browser) -> None:
    text = '<script>alert("x")</script>'
    location = await scene.leave(browser)
    page = await scene.come_back(
        browser,
        scene.issuer.approve(location, code=None, error=text, error_description=text, error_uri="https://evil.test"),
    )
    nobody(page)
    assert "alert" not in page.text
    assert "evil.test" not in page.text
    scene.issuer.claims["name"] = f"{text}\u202e\n{'x' * 200}"
    consent = await scene.asked(browser, await scene.place.client())
    assert "<script" not in consent.text
    user = await scene.place.accounts.get(f"corp:{SUBJECT}")
    assert user is not None
    assert user.name == (text + "x" * 200)[:100]


@pytest.mark.requirement("G-562")
async def test_an_answer_with_a_name_twice_is_none(scene: Scene, browser: Browser) -> None:
    location = scene.issuer.approve(await scene.leave(browser))
    nobody(await scene.come_back(browser, f"{location}&code=another"), 400)
    assert scene.issuer.forms == []
    # What an upstream adds of its own does no harm.
    assert (await scene.come_back(browser, f"{location}&session_state=1&hd=example.com")).status_code == 303


@pytest.mark.requirement("G-562")
async def test_whoever_tries_made_up_codes_is_slowed_down(scene: Scene, browser: Browser) -> None:
    for _ in range(10):
        nobody(await scene.sign_in(browser, code="made-up"))
    nobody(await scene.sign_in(browser, code="made-up"), 429)
    assert len(scene.issuer.forms) == 10
    elsewhere = scene.place.browser("198.51.100.7")
    assert (await scene.sign_in(elsewhere)).status_code == 303


@pytest.mark.requirement("G-562")
async def test_a_page_about_a_sign_in_that_failed_has_a_reference_for_the_operator(
    scene: Scene, browser: Browser
) -> None:
    helpers = scene.place.world.provider.helpers
    for changes, reason in (
        ({"code": "made-up"}, "upstream corp: invalid_grant: the token endpoint refused"),
        ({"iss": "https://evil.test"}, "upstream corp: invalid_issuer: the answer is of another issuer"),
        ({"code": None, "error": "access_denied"}, "upstream corp: access_denied"),
    ):
        page = await scene.sign_in(browser, **changes)
        (kept, *_) = (await helpers.list_events(name="refused")).items
        assert kept.reference in read(page).words
        assert kept.reason.startswith(reason)
