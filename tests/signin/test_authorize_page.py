"""The authorization endpoint as a browser meets it: no open redirector, no silent codes, nothing kept without need."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from grantwell import StoreUnavailable
from grantwell.signin import SignIn
from grantwell.signin.texts import TEXTS
from grantwell_storage import MemoryStore
from tests.signin.browser import KEY, PASSWORD, USER, Browser, Place, form_of, interaction_of, read, running_place
from tests.wire.world import R1, answer_parameters, nothing_changes

pytestmark = pytest.mark.anyio

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"scope": "unheard-of"}, "invalid_scope"),
    ({"code_challenge": None}, "invalid_request"),
    ({"resource": "https://elsewhere.test"}, "invalid_target"),
    ({"request": "x"}, "request_not_supported"),
]


@pytest.mark.requirement("S-152")
@pytest.mark.parametrize(("changes", "code"), WRONG)
async def test_an_error_of_a_stranger_is_not_redirected_before_somebody_signs_in(
    place: Place, browser: Browser, changes: dict[str, Any], code: str
) -> None:
    client = await place.client()
    with nothing_changes(place.world):
        answer = await browser.authorize(client, **changes)
    assert answer.status_code == 400
    (link,) = read(answer).named("a")
    assert (link["href"] or "").startswith(f"https://c1.test/cb?error={code}&")
    assert link["rel"] == "noopener noreferrer"
    assert "c1.test" in read(answer).words
    assert "set-cookie" not in answer.headers


@pytest.mark.requirement("S-152")
async def test_the_host_is_named_however_long_the_rest_of_the_link(place: Place, browser: Browser) -> None:
    answer = await browser.authorize(await place.client(), state="s" * 2048, scope="unheard-of")
    assert answer.status_code == 400
    assert f"{TEXTS['problem.back_to_client']} c1.test\n" in read(answer).words


@pytest.mark.requirement("S-152")
@pytest.mark.parametrize(("changes", "code"), WRONG)
async def test_an_error_is_redirected_for_a_client_of_the_operator_or_a_user_who_is_there(
    place: Place, browser: Browser, changes: dict[str, Any], code: str
) -> None:
    trusted = await browser.authorize(await place.trusted_client(), **changes)
    await browser.sign_in()
    signed_in = await browser.authorize(await place.client(), **changes)
    for answer in (trusted, signed_in):
        assert answer.status_code == 303
        parameters = answer_parameters(answer)
        assert (parameters["error"], parameters["state"], parameters["iss"]) == (code, "xyz", "https://as.test")


@pytest.mark.requirement("S-152", "A-298")
@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": "nobody"},
        {"redirect_uri": "https://evil.test/"},
        {"redirect_uri": "https://c1.test/cb/"},
        {"redirect_uri": "javascript:alert(1)"},
    ],
)
async def test_without_a_proven_client_and_redirect_uri_nobody_is_sent_anywhere(
    place: Place, browser: Browser, changes: dict[str, Any]
) -> None:
    client = await place.client()
    await browser.sign_in()
    with nothing_changes(place.world):
        answer = await browser.authorize(client, **changes)
    assert answer.status_code == 400
    assert read(answer).named("a") == []


@pytest.mark.requirement("A-232", "S-154", "S-151")
@pytest.mark.parametrize("prompt", ["none", "none login", "consent none"])
async def test_a_silent_request_never_gets_a_code(place: Place, browser: Browser, prompt: str) -> None:
    stranger, trusted = await place.client(), await place.trusted_client()
    with nothing_changes(place.world):
        assert (await browser.authorize(stranger, prompt=prompt)).status_code == 400
        unknown = answer_parameters(await browser.authorize(trusted, prompt=prompt))
    assert (unknown["error"], unknown["state"], unknown["iss"]) == ("login_required", "xyz", "https://as.test")
    await browser.answer(await browser.asked(stranger))
    await browser.answer(await browser.asked(trusted))
    with nothing_changes(place.world):
        assert (await browser.authorize(stranger, prompt=prompt)).status_code == 400
        known = answer_parameters(await browser.authorize(trusted, prompt=prompt))
    assert known["error"] == "interaction_required"
    assert "code" not in known


@pytest.mark.requirement("S-154", "S-151")
async def test_a_client_may_want_the_user_to_sign_in_anew(place: Place, browser: Browser) -> None:
    await browser.sign_in()
    answer = await browser.authorize(await place.client(), prompt="login")
    interaction = interaction_of(answer)
    assert urlsplit(answer.headers["location"]).path == "/signin"
    around = await browser.get(f"/consent?i={interaction}")
    assert urlsplit(around.headers["location"]).path == "/signin"
    page = await browser.follow(answer)
    consent = await browser.follow(await browser.sign_in(page))
    assert (await browser.answer(consent)).status_code == 303


@pytest.mark.requirement("S-154", "A-230")
async def test_a_form_cannot_be_answered_before_the_sign_in_that_was_asked_for(place: Place, browser: Browser) -> None:
    await browser.sign_in()
    first = form_of(await browser.asked(await place.client()), "/consent")
    interaction = interaction_of(await browser.authorize(await place.client(), prompt="login"))
    answer = await browser.post("/consent", {"i": interaction, "csrf": first["csrf"], "decision": "allow"})
    assert answer.status_code == 403
    assert await place.grants() == []


async def test_signing_in_is_skipped_for_whoever_did(place: Place, browser: Browser) -> None:
    answer = await browser.authorize(await place.client())
    await browser.sign_in(await browser.get("/signin"))
    back = await browser.follow(answer)
    assert urlsplit(back.headers["location"]).path == "/consent"
    assert (await browser.follow(back)).status_code == 200


@pytest.mark.requirement("A-246")
async def test_a_browser_has_at_most_twenty_open_requests_and_a_small_cookie(place: Place, browser: Browser) -> None:
    await browser.sign_in()
    client = await place.client()
    opened = [interaction_of(await browser.authorize(client)) for _ in range(60)]
    statuses = [(await browser.get(f"/consent?i={i}")).status_code for i in opened]
    assert statuses == [403] * 40 + [200] * 20
    assert sum(len(cookie.name + (cookie.value or "")) for cookie in browser.http.cookies.jar) < 1024
    assert (await browser.answer(await browser.asked(client))).status_code == 303


@pytest.mark.requirement("A-246")
async def test_a_request_always_has_its_ten_minutes_before_the_session_ends(place: Place, browser: Browser) -> None:
    client = await place.client()
    first = await browser.authorize(client)
    place.world.clock.advance(590)
    second = await browser.authorize(client)
    assert "set-cookie" not in second.headers
    assert (await browser.follow(first)).status_code == 200
    place.world.clock.advance(590)
    page = await browser.follow(second)
    assert (await browser.follow(await browser.sign_in(page))).status_code == 200
    place.world.clock.advance(12 * 3600 - 300)
    late = await browser.authorize(client)
    assert urlsplit(late.headers["location"]).path == "/signin"
    assert "set-cookie" in late.headers


@pytest.mark.requirement("S-003")
async def test_other_methods_are_refused_and_head_does_nothing(place: Place, browser: Browser) -> None:
    request = browser.request(await place.client())
    with nothing_changes(place.world):
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            answer = await browser.http.request(method, "/authorize", data=request)
            assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
        answer = await browser.http.head("/authorize", params=request)
        assert (answer.status_code, answer.content) == (200, b"")
        assert "set-cookie" not in answer.headers
        for path in ("/signin", "/consent"):
            assert "set-cookie" not in (await browser.http.head(path)).headers


@pytest.mark.requirement("S-005", "A-223", "D-25")
async def test_pages_have_no_cors(place: Place, browser: Browser) -> None:
    headers = {"Origin": "https://evil.test"}
    for path in ("/authorize", "/signin", "/consent", "/signin.css"):
        for answer in (await browser.get(path, headers=headers), await browser.http.options(path, headers=headers)):
            assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.requirement("A-244", "S-167", "D-25")
async def test_no_endpoint_sets_or_reads_a_cookie(place: Place, browser: Browser) -> None:
    await browser.sign_in()
    client = await place.client()
    code = answer_parameters(await browser.answer(await browser.asked(client)))["code"]
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "code_verifier": place.world.pkce.verifier,
        "client_id": client["client_id"],
        "redirect_uri": client["redirect_uris"][0],
    }
    answers: list[httpx.Response] = [
        await browser.http.post("/token", data=form),
        await browser.http.post("/register", json={}),
        await browser.http.post("/revoke", data={"token": "x", "client_id": client["client_id"]}),
        await browser.http.get("/.well-known/oauth-authorization-server"),
        await browser.http.get("/.well-known/oauth-protected-resource/api"),
        await browser.http.get("/api"),
    ]
    assert [answer.status_code for answer in answers] == [200, 400, 200, 200, 200, 401]
    assert not [answer for answer in answers if "set-cookie" in answer.headers]


@pytest.mark.requirement("A-228")
async def test_trouble_with_the_database_is_a_page_to_try_again(
    place: Place, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(*_: object) -> None:
        raise StoreUnavailable("locked")

    page = await browser.asked(await place.client(), resource=R1)
    with monkeypatch.context() as patched:
        patched.setattr(place.store, "add_grant", unavailable)
        answer = await browser.answer(page)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert (await browser.answer(page)).status_code == 303


async def test_the_pages_say_when_they_are_put_in_a_wrong_place() -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=SignIn(MemoryStore(), KEY)), base_url="https://as.test"
    ) as http:
        with pytest.raises(RuntimeError, match="OAuthProvider"):
            await http.get("/signin")


async def test_an_authorization_endpoint_that_is_one_of_the_pages_is_refused() -> None:
    async with running_place(MemoryStore(), authorize_endpoint="/signin") as place:
        with pytest.raises(ValueError, match="authorize_endpoint"):
            await place.browser().get("/signin")


@pytest.mark.requirement("S-154")
async def test_the_authorization_endpoint_may_be_elsewhere() -> None:
    async with running_place(MemoryStore(), authorize_endpoint="/oauth/authorize") as place:
        browser = place.browser()
        request = browser.request(await place.client())
        page = await browser.follow(await browser.get("/oauth/authorize", params=request))
        consent = await browser.follow(await browser.sign_in(page, username=USER, password=PASSWORD))
        assert (await browser.answer(consent)).status_code == 303
        assert (await browser.get("/authorize", params=request)).status_code == 404
