"""Attacks on the consent form: whoever did not see the page, in that browser, as that user, changes nothing."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping

import httpx
import pytest

from grantwell.store import InteractionKey
from tests.signin.browser import COOKIE, PASSWORD, USER, Browser, Place, form_of, interaction_of, read
from tests.wire.world import answer_parameters, nothing_changes

pytestmark = pytest.mark.anyio


async def refused(place: Place, browser: Browser, form: Mapping[str, object], **options: object) -> None:
    """Check that a form changes nothing."""
    with nothing_changes(place.world):
        answer = await browser.post("/consent", form, **options)
    assert answer.status_code == 403
    assert "location" not in answer.headers


@pytest.mark.requirement("A-223", "S-158", "S-474")
async def test_a_form_without_the_right_token_is_refused(place: Place, browser: Browser) -> None:
    page = await browser.asked(await place.client())
    good = form_of(page, "/consent") | {"decision": "allow"}
    other = place.browser()
    foreign = form_of(await other.asked(await place.client()), "/consent")["csrf"]
    signin = form_of(await place.browser().get("/signin"), "/signin")["csrf"]
    signout = form_of(page, "/signout")["csrf"]
    flipped = good["csrf"][:-1] + ("0" if good["csrf"][-1] != "0" else "1")
    for csrf in ("", "0", secrets.token_hex(32), foreign, signin, signout, flipped, good["csrf"].upper() + " ", "é"):
        await refused(place, browser, good | {"csrf": csrf})
    await refused(place, browser, {name: value for name, value in good.items() if name != "csrf"})
    assert (await browser.post("/consent", good)).status_code == 303


@pytest.mark.requirement("A-223", "S-474")
@pytest.mark.parametrize("media_type", ["text/plain", "application/json", "multipart/form-data; boundary=x", None])
async def test_a_body_that_is_no_form_is_refused(place: Place, browser: Browser, media_type: str | None) -> None:
    page = await browser.asked(await place.client())
    good = form_of(page, "/consent") | {"decision": "allow"}
    body = str(httpx.QueryParams(good))
    headers = {} if media_type is None else {"Content-Type": media_type}
    with nothing_changes(place.world):
        answer = await browser.http.post("/consent", content=body, headers=headers)
    assert answer.status_code == 403


@pytest.mark.requirement("A-223", "S-474")
@pytest.mark.parametrize("site", ["cross-site", "same-site", "SAME-ORIGIN ", "null"])
async def test_a_form_that_came_from_another_site_is_refused(place: Place, browser: Browser, site: str) -> None:
    page = await browser.asked(await place.client())
    good = form_of(page, "/consent") | {"decision": "allow"}
    await refused(place, browser, good, headers={"Sec-Fetch-Site": site})
    signin = form_of(await place.browser().get("/signin"), "/signin")
    answer = await browser.post("/signin", signin, headers={"Sec-Fetch-Site": site})
    assert answer.status_code == 403
    signout = form_of(page, "/signout")
    assert (await browser.post("/signout", signout, headers={"Sec-Fetch-Site": site})).status_code == 403


@pytest.mark.requirement("S-158")
async def test_a_browser_too_old_to_tell_the_site_of_a_form_can_still_answer(place: Place, browser: Browser) -> None:
    page = await browser.asked(await place.client())
    form = form_of(page, "/consent") | {"decision": "allow"}
    assert (await browser.http.post("/consent", data=form)).status_code == 303


@pytest.mark.requirement("A-223", "S-170")
async def test_a_form_is_worth_nothing_after_signing_out_or_signing_in_anew(place: Place, browser: Browser) -> None:
    page = await browser.asked(await place.client())
    cookie = browser.cookie
    await browser.post("/signout", {"csrf": form_of(page, "/signout")["csrf"]})
    await refused(place, browser, form_of(page, "/consent") | {"decision": "allow"})
    await browser.sign_in()
    await refused(place, browser, form_of(page, "/consent") | {"decision": "allow"})
    # The old cookie, put back.
    old = place.browser()
    await refused(
        place, old, form_of(page, "/consent") | {"decision": "allow"}, headers={"Cookie": f"{COOKIE}={cookie}"}
    )


@pytest.mark.requirement("A-225", "S-158")
async def test_opening_an_address_grants_nothing(place: Place, browser: Browser) -> None:
    page = await browser.asked(await place.client())
    form = form_of(page, "/consent")
    with nothing_changes(place.world):
        for extra in ({"approve": "1"}, {"decision": "allow"}, {"decision": "allow", "csrf": form["csrf"]}):
            assert (await browser.get("/consent", params={"i": form["i"], **extra})).status_code == 400
        assert (await browser.get("/consent", params=[("i", form["i"]), ("i", form["i"])])).status_code == 400
        assert (await browser.get("/consent", params={"i": form["i"]})).status_code == 200
        assert (await browser.http.head("/consent", params={"i": form["i"]})).status_code == 200
        for method in ("PUT", "PATCH", "DELETE", "OPTIONS"):
            answer = await browser.http.request(method, "/consent", data=form | {"decision": "allow"})
            assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST, HEAD")


@pytest.mark.requirement("A-226", "S-158")
async def test_a_request_is_answered_in_the_browser_that_brought_it(place: Place) -> None:
    attacker, victim = place.browser(), place.browser()
    client = await place.client()
    begun = await attacker.authorize(client)
    await victim.sign_in()
    lure = f"/consent?i={interaction_of(begun)}"
    with nothing_changes(place.world):
        assert (await victim.get(lure)).status_code == 403
        assert (await victim.get(lure.replace("consent", "signin"))).status_code == 403
    # The reverse: the page of the victim, answered in the attacker's browser, signed in or not.
    page = await victim.asked(client)
    form = form_of(page, "/consent") | {"decision": "allow"}
    await refused(place, attacker, form)
    await place.accounts.add("mallory", PASSWORD)
    await attacker.sign_in(username="mallory")
    await refused(place, attacker, form)
    assert (await victim.post("/consent", form)).status_code == 303


@pytest.mark.requirement("A-227", "S-158")
async def test_each_tab_answers_its_own_request_alone(place: Place, browser: Browser) -> None:
    first, second = await place.client(), await place.client(redirect_uris=["https://c2.test/cb"])
    await browser.sign_in()
    one = form_of(await browser.asked(first), "/consent") | {"decision": "allow"}
    two = form_of(await browser.asked(second, scope="write"), "/consent") | {"decision": "allow"}
    await refused(place, browser, one | {"csrf": two["csrf"]})
    await refused(place, browser, two | {"csrf": one["csrf"]})
    await refused(place, browser, one | {"i": two["i"]})
    to_first = await browser.post("/consent", one)
    to_second = await browser.post("/consent", two)
    assert to_first.headers["location"].startswith("https://c1.test/cb?")
    assert to_second.headers["location"].startswith("https://c2.test/cb?")
    granted = {(grant.client_id, grant.scopes) for grant in await place.grants()}
    assert granted == {(first["client_id"], ("read",)), (second["client_id"], ("write",))}


@pytest.mark.requirement("A-227")
async def test_a_form_for_one_user_is_not_good_for_the_next_on_the_same_browser(place: Place, browser: Browser) -> None:
    await place.accounts.add("bob", PASSWORD)
    page = await browser.asked(await place.client())
    form = form_of(page, "/consent")
    moved = await browser.follow(await browser.post("/signout", form_of(page, "/signout")))
    theirs = form_of(await browser.follow(await browser.sign_in(moved, username="bob")), "/consent")
    assert theirs["csrf"] != form["csrf"]
    await refused(place, browser, {"i": theirs["i"], "csrf": form["csrf"], "decision": "allow"})


@pytest.mark.requirement("A-227", "S-158")
async def test_a_form_is_not_good_once_the_client_was_changed(place: Place, browser: Browser) -> None:
    client = await place.trusted_client(client_name="Notes")
    page = await browser.asked(client)
    await place.world.provider.helpers.update_client(client["client_id"], {"client_name": "Everything"})
    await refused(place, browser, form_of(page, "/consent") | {"decision": "allow"})
    assert "Everything" in read(await browser.get(f"/consent?i={form_of(page, '/consent')['i']}")).words


@pytest.mark.requirement("A-227", "S-158")
async def test_a_form_is_not_good_once_anything_of_the_client_was_changed(place: Place, browser: Browser) -> None:
    client = await place.trusted_client()
    page = await browser.asked(client)
    helpers = place.world.provider.helpers
    await helpers.update_client(client["client_id"], {"client_uri": "https://elsewhere.test"})
    await refused(place, browser, form_of(page, "/consent") | {"decision": "allow"})


@pytest.mark.requirement("A-227", "S-170")
async def test_a_form_is_not_good_under_the_next_session_of_the_same_user(place: Place, browser: Browser) -> None:
    client = await place.client()
    page = await browser.asked(client)
    anew = await browser.follow(await browser.authorize(client, prompt="login"))
    await browser.sign_in(anew)
    await refused(place, browser, form_of(page, "/consent") | {"decision": "allow"})
    again = await browser.get(f"/consent?i={form_of(page, '/consent')['i']}")
    assert (await browser.answer(again)).status_code == 303


@pytest.mark.requirement("A-230", "A-233")
async def test_a_request_that_was_answered_a_moment_ago_is_neither_denied_nor_handed_over(
    place: Place, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = await browser.asked(await place.client())

    async def answered(key: InteractionKey, now: int) -> bool:
        return False

    monkeypatch.setattr(place.store, "close_interaction", answered)
    await refused(place, browser, form_of(page, "/consent") | {"decision": "deny"})
    signed_out = await browser.post("/signout", form_of(page, "/signout"))
    assert signed_out.headers["location"] == "/signin?signed_out=1"


@pytest.mark.requirement("A-228")
async def test_the_first_of_two_renders_still_works(place: Place, browser: Browser) -> None:
    page = await browser.asked(await place.client())
    for _ in range(7):
        await browser.get(f"/consent?i={form_of(page, '/consent')['i']}")
    assert (await browser.answer(page)).status_code == 303


@pytest.mark.requirement("A-230", "S-158")
async def test_a_request_is_answered_once(place: Place, browser: Browser) -> None:
    page = await browser.asked(await place.client())
    assert "code" in answer_parameters(await browser.answer(page))
    for decision in ("allow", "deny"):
        await refused(place, browser, form_of(page, "/consent") | {"decision": decision})
    assert (await browser.get(f"/consent?i={form_of(page, '/consent')['i']}")).status_code == 403
    assert len(await place.grants()) == 1


@pytest.mark.requirement("A-230", "S-158")
async def test_of_answers_that_are_sent_at_once_one_is_taken(place: Place, browser: Browser) -> None:
    page = await browser.asked(await place.client())
    answers = await asyncio.gather(*(browser.answer(page, "deny" if n % 3 == 2 else "allow") for n in range(12)))
    assert sorted(answer.status_code for answer in answers) == [303] + [403] * 11
    taken = answer_parameters(next(answer for answer in answers if answer.status_code == 303))
    assert len(await place.grants()) == ("code" in taken)


@pytest.mark.requirement("A-230")
async def test_a_request_runs_out_after_ten_minutes(place: Place, browser: Browser) -> None:
    page = await browser.asked(await place.client())
    place.world.clock.advance(599)
    assert (await browser.get(f"/consent?i={form_of(page, '/consent')['i']}")).status_code == 200
    place.world.clock.advance(1)
    await refused(place, browser, form_of(page, "/consent") | {"decision": "allow"})


@pytest.mark.requirement("A-230", "A-237")
@pytest.mark.parametrize("guess", ["", "x", "A" * 32, "A" * 5000, "../../x", "%00", "é", "<b>"])
async def test_a_guessed_request_is_a_page_that_says_so(place: Place, browser: Browser, guess: str) -> None:
    await browser.sign_in()
    with nothing_changes(place.world):
        answer = await browser.get("/consent", params={"i": guess})
        assert answer.status_code == 403
        assert guess == "" or guess not in answer.text or guess == "x"
        await refused(place, browser, {"i": guess.replace("%00", "0"), "decision": "allow", "csrf": "x"})


@pytest.mark.requirement("A-230")
async def test_ids_of_requests_have_192_random_bits(place: Place, browser: Browser) -> None:
    client = await place.client()
    ids = {interaction_of(await browser.authorize(client)) for _ in range(20)}
    assert len(ids) == 20
    assert {len(i) for i in ids} == {32}


@pytest.mark.requirement("A-227", "S-158", "D-26")
async def test_the_answer_decides_nothing_but_yes_no_and_fewer_scopes(place: Place, browser: Browser) -> None:
    client = await place.client()
    page = await browser.asked(client, scope="read write")
    form = form_of(page, "/consent")
    for decision in ("", "maybe", "ALLOW", "allow "):
        await refused(place, browser, form | {"decision": decision})
    await refused(place, browser, form)
    await refused(place, browser, form | {"decision": "allow", "scope": "admin"})
    await refused(place, browser, form | {"decision": "allow", "scope": "read write"})
    more = {"client_id": "x", "redirect_uri": "https://evil.test/", "user_id": "bob", "resource": "https://x.test"}
    allowed = await browser.post("/consent", form | more | {"decision": "allow", "scope": "write"})
    assert allowed.headers["location"].startswith("https://c1.test/cb?code=")
    (grant,) = await place.grants()
    assert (grant.user_id, grant.scopes, grant.client_id) == (USER, ("write",), client["client_id"])


@pytest.mark.requirement("A-227")
async def test_a_field_that_is_there_twice_is_refused(place: Place, browser: Browser) -> None:
    page = await browser.asked(await place.client())
    await refused(place, browser, form_of(page, "/consent") | {"decision": ["deny", "allow"]})


@pytest.mark.requirement("A-227")
async def test_scopes_beyond_those_of_the_page_are_refused(place: Place, browser: Browser) -> None:
    page = await browser.asked(await place.client(), scope="read")
    await refused(place, browser, form_of(page, "/consent") | {"decision": "allow", "scope": ["read", "write"]})


@pytest.mark.requirement("A-233")
@pytest.mark.parametrize("decision", ["allow", "deny"])
async def test_a_redirect_uri_that_was_withdrawn_is_not_gone_to(place: Place, browser: Browser, decision: str) -> None:
    client = await place.trusted_client()
    page = await browser.asked(client)
    helpers = place.world.provider.helpers
    await helpers.update_client(client["client_id"], {"redirect_uris": ["https://elsewhere.test/cb"]})
    # As the page shows it now, so that the form fits again.
    page = await browser.get(f"/consent?i={form_of(page, '/consent')['i']}")
    answer = await browser.answer(page, decision)
    assert answer.status_code == 403
    assert await place.grants() == []


@pytest.mark.requirement("A-233")
async def test_a_client_that_was_deleted_meanwhile_gets_nothing(place: Place, browser: Browser) -> None:
    client = await place.client()
    page = await browser.asked(client)
    await place.world.provider.helpers.delete_client(client["client_id"])
    assert (await browser.answer(page)).status_code == 403
    assert (await browser.get(f"/consent?i={form_of(page, '/consent')['i']}")).status_code == 403


@pytest.mark.requirement("A-247", "S-154")
async def test_a_user_who_was_disabled_meanwhile_grants_nothing(place: Place, browser: Browser) -> None:
    page = await browser.asked(await place.client())
    await place.accounts.disable(USER)
    await refused(place, browser, form_of(page, "/consent") | {"decision": "allow"})
    assert await place.grants() == []
