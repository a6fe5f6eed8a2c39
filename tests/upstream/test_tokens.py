"""The tokens of an upstream: encrypted with the grant, kept fresh once a rotation, and gone with the sign-in there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.responses import JSONResponse, RedirectResponse, Response

from grantwell.errors import OAuthError
from grantwell.hooks import TokenExchange
from grantwell.signin.upstream import UpstreamTokens
from grantwell.testing import FrozenClock
from tests.signin.browser import Browser
from tests.upstream.conftest import Scene, corp, each_store
from tests.upstream.issuer import SUBJECT, Issuer
from tests.wire.world import R1, R2, Tokens, parsed, refused, rows_of

pytestmark = [pytest.mark.anyio, pytest.mark.system]

USER = f"corp:{SUBJECT}"
UNANSWERED = "http://127.0.0.1:9"


@pytest.fixture
def browser(keeping: Scene) -> Browser:
    """A browser without cookies."""
    return keeping.place.browser()


async def upstream_of(scene: Scene, tokens: Tokens) -> dict[str, Any]:
    """The upstream tokens that a call with these tokens has."""
    called = await scene.place.world.call(tokens.access)
    assert called.status_code == 200, called.text
    props = called.json()["props"]
    assert props["username"] == USER
    upstream: dict[str, Any] = props["upstream"]
    return upstream


async def ended(scene: Scene) -> bool:
    """Whether the user has no grant any more."""
    return await scene.place.grants(USER) == []


@each_store
@pytest.mark.requirement("S-461", "S-462", "G-568")
async def test_the_tokens_of_a_sign_in_are_in_the_props_of_the_grant_and_nowhere_else(
    keeping: Scene, browser: Browser
) -> None:
    client = await keeping.place.client()
    page = await keeping.asked(browser, client)
    (access,) = keeping.issuer.access_tokens
    (refresh,) = keeping.issuer.refresh_tokens
    before = "".join(rows_of(keeping.place.store))
    assert access not in page.text
    allowed = await browser.answer(page)
    answer = await keeping.place.world.exchange(client, allowed.headers["location"].split("code=")[1].split("&")[0])
    tokens = parsed(answer)
    assert await upstream_of(keeping, tokens) == {
        "provider": "corp",
        "access_token": access,
        "refresh_token": refresh,
        "token_type": "Bearer",
        "scope": None,
        "issued_at": keeping.clock(),
        "expires_at": keeping.clock() + 3600,
    }
    told = "".join([answer.text, str(answer.headers), str(allowed.headers), str(browser.http.cookies)])
    for secret in (access, refresh):
        assert secret not in before
        assert secret not in "".join(rows_of(keeping.place.store))
        assert secret not in told
        assert (await keeping.place.world.call(secret)).status_code == 401
    # Nor does the upstream see what is ours.
    heard = str([keeping.issuer.forms, keeping.issuer.headers])
    for ours in (tokens.access, tokens.refresh, browser.cookie):
        assert ours not in heard


@pytest.mark.requirement("S-463")
async def test_a_token_to_call_others_with_is_narrower_than_the_one_it_was_made_of(
    keeping: Scene, browser: Browser
) -> None:
    client = await keeping.place.client()
    tokens = await keeping.tokens(browser, client, resource=[R1, R2], scope="read write")
    narrow = await keeping.place.world.provider.helpers.exchange_token(tokens.access, scopes=["read"], resources=[R2])
    assert (await keeping.place.world.call(narrow["access_token"], "/api")).status_code == 401
    called = (await keeping.place.world.call(narrow["access_token"], "/other")).json()
    assert (called["audience"], called["scopes"]) == ([R2], ["read"])
    assert called["props"]["upstream"] == await upstream_of(keeping, tokens)


@each_store
@pytest.mark.requirement("G-568")
async def test_each_grant_has_upstream_tokens_of_its_own(keeping: Scene, browser: Browser) -> None:
    client, other = await keeping.place.client(), await keeping.place.client(redirect_uris=["https://c2.test/cb"])
    first = await upstream_of(keeping, await keeping.tokens(browser, client))
    answer = await browser.follow(await browser.authorize(other))
    # Through the upstream again, which has a session and asks nobody.
    assert answer.headers["location"].startswith(f"{keeping.issuer.origin}/authorize?")
    second = await upstream_of(keeping, await keeping.tokens(browser, other))
    assert first["refresh_token"] != second["refresh_token"]
    assert first["access_token"] != second["access_token"]
    assert len(keeping.issuer.refresh_tokens) == 2


@each_store
@pytest.mark.requirement("G-568")
async def test_of_two_answers_at_once_one_gets_the_upstream_tokens(keeping: Scene, browser: Browser) -> None:
    clients = [await keeping.place.client(redirect_uris=[f"https://c{number}.test/cb"]) for number in range(2)]
    pages = [await keeping.asked(browser, client) for client in clients[:1]]
    pages.append(await browser.follow(await browser.authorize(clients[1])))
    answers = await asyncio.gather(*(browser.answer(page) for page in pages))
    places = sorted(answer.headers["location"].partition("?")[0] for answer in answers)
    assert places[0] == "/consent"
    assert places[1] in {"https://c0.test/cb", "https://c1.test/cb"}
    assert len(await keeping.place.grants(USER)) == 1


@pytest.mark.requirement("G-568")
async def test_a_no_leaves_the_upstream_tokens_for_the_next_question(keeping: Scene, browser: Browser) -> None:
    client = await keeping.place.client()
    await browser.answer(await keeping.asked(browser, client), "deny")
    page = await browser.follow(await browser.authorize(client))
    assert page.status_code == 200
    assert (await browser.answer(page)).status_code == 303
    assert len(keeping.issuer.forms) == 1


@pytest.mark.requirement("G-568")
async def test_the_upstream_tokens_of_a_session_open_with_its_cookie_alone(keeping: Scene, browser: Browser) -> None:
    await keeping.sign_in(browser)
    thief = keeping.place.browser()
    await keeping.sign_in(thief)
    tables = keeping.place.store._tables  # type: ignore[union-attr]
    mine, stolen = sorted(tables.sessions.values(), key=lambda session: session.user_id or "")[-2:]
    assert mine.sealed != stolen.sealed
    from dataclasses import replace

    for session, sealed in ((mine, stolen.sealed), (stolen, mine.sealed)):
        tables.sessions[session.digest] = replace(session, sealed=sealed)
    client = await keeping.place.client()
    # They do not open, so new ones are fetched.
    for somebody in (browser, thief):
        answer = await somebody.follow(await somebody.authorize(client))
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(keeping.issuer.origin)


@each_store
@pytest.mark.requirement("S-461", "G-569")
async def test_a_refresh_renews_upstream_tokens_that_would_end_too_soon(keeping: Scene, browser: Browser) -> None:
    client = await keeping.place.client()
    tokens = await keeping.tokens(browser, client)
    first = await upstream_of(keeping, tokens)
    keeping.clock.advance(1799)
    tokens = parsed(await keeping.place.world.refresh(client, tokens.refresh))
    assert keeping.issuer.refreshes == 0
    # No token of ours outlives that of the upstream.
    assert tokens.raw["expires_in"] == 1801
    keeping.clock.advance(1700)
    tokens = parsed(await keeping.place.world.refresh(client, tokens.refresh))
    assert keeping.issuer.refreshes == 1
    second = await upstream_of(keeping, tokens)
    assert {second["access_token"], second["refresh_token"]} == {
        *(keeping.issuer.access_tokens - {first["access_token"]}),
        *keeping.issuer.refresh_tokens,
    }
    assert second["expires_at"] == keeping.clock() + 3600
    assert tokens.raw["expires_in"] == 3600


@pytest.mark.requirement("G-569")
async def test_upstream_tokens_that_waited_in_the_session_are_renewed_at_the_exchange(
    keeping: Scene, browser: Browser
) -> None:
    await keeping.sign_in(browser)
    keeping.clock.advance(4000)
    tokens = await keeping.tokens(browser, await keeping.place.client())
    assert keeping.issuer.refreshes == 1
    assert (await upstream_of(keeping, tokens))["expires_at"] == keeping.clock() + 3600


@pytest.mark.requirement("G-569")
@pytest.mark.parametrize(("expires_in", "refreshed_after"), [(36_000, 32_500), (600, 301)])
async def test_how_long_the_upstream_lets_its_tokens_live_decides_when_they_are_renewed(
    keeping: Scene, browser: Browser, expires_in: int, refreshed_after: int
) -> None:
    keeping.issuer.expires_in = expires_in
    client = await keeping.place.client()
    tokens = await keeping.tokens(browser, client)
    assert tokens.raw["expires_in"] == min(3600, expires_in)
    start = keeping.clock()
    for after, refreshes in ((refreshed_after - 102, 0), (refreshed_after, 1)):
        keeping.clock.advance(start + after - keeping.clock())
        tokens = parsed(await keeping.place.world.refresh(client, tokens.refresh))
        assert keeping.issuer.refreshes == refreshes


@pytest.mark.requirement("G-569")
async def test_upstream_tokens_without_an_end_are_left_alone(keeping: Scene, browser: Browser) -> None:
    keeping.issuer.expires_in = None
    client = await keeping.place.client()
    tokens = await keeping.tokens(browser, client)
    assert (tokens.raw["expires_in"], (await upstream_of(keeping, tokens))["expires_at"]) == (3600, None)
    keeping.clock.advance(86_400)
    parsed(await keeping.place.world.refresh(client, tokens.refresh))
    assert keeping.issuer.refreshes == 0


@each_store
@pytest.mark.requirement("G-569", "D-07", "A-358")
async def test_of_eight_refreshes_at_once_one_reaches_the_upstream(keeping: Scene, browser: Browser) -> None:
    client = await keeping.place.client()
    tokens = await keeping.tokens(browser, client)
    for _ in range(3):
        keeping.clock.advance(3000)
        before = keeping.issuer.refreshes
        answers = await asyncio.gather(*(keeping.place.world.refresh(client, tokens.refresh) for _ in range(8)))
        assert len({parsed(answer).refresh for answer in answers}) == 1
        assert keeping.issuer.refreshes == before + 1
        tokens = parsed(answers[0])
        assert (await upstream_of(keeping, tokens))["refresh_token"] in keeping.issuer.refresh_tokens


@each_store
@pytest.mark.requirement("S-461", "G-570")
async def test_a_sign_in_that_the_upstream_ended_ends_the_grant(keeping: Scene, browser: Browser) -> None:
    client = await keeping.place.client()
    tokens = await keeping.tokens(browser, client)
    keeping.issuer.refresh_tokens.clear()
    keeping.clock.advance(3000)
    refused(await keeping.place.world.refresh(client, tokens.refresh), "invalid_grant")
    assert await ended(keeping)
    assert (await keeping.place.world.call(tokens.access)).status_code == 401


@pytest.mark.requirement("S-461", "G-570")
async def test_upstream_tokens_that_cannot_be_renewed_serve_to_their_end_and_then_the_grant_ends(
    keeping: Scene, browser: Browser
) -> None:
    keeping.issuer.lie["/token"] = lambda: JSONResponse({})
    client = await keeping.place.client()
    answer = await keeping.sign_in(browser)
    assert answer.status_code == 503
    del keeping.issuer.lie["/token"]
    issued = keeping.issuer._tokens
    keeping.issuer._tokens = lambda: {k: v for k, v in issued().items() if k != "refresh_token"}  # type: ignore[method-assign]
    tokens = await keeping.tokens(browser, client)
    keeping.clock.advance(3000)
    tokens = parsed(await keeping.place.world.refresh(client, tokens.refresh))
    assert tokens.raw["expires_in"] == 600
    keeping.clock.advance(600)
    refused(await keeping.place.world.refresh(client, tokens.refresh), "invalid_grant")
    assert await ended(keeping)


def error(code: str, status: int = 400) -> Response:
    """An error answer of the token endpoint."""
    return JSONResponse({"error": code}, status)


TROUBLE = {
    "500": lambda: Response("<h1>oops</h1>", 500),
    "503": lambda: error("temporarily_unavailable", 503),
    "429": lambda: error("slow_down", 429),
    "transient code": lambda: error("temporarily_unavailable"),
    "our own credentials": lambda: error("invalid_client", 401),
    "no code": lambda: JSONResponse({"message": "invalid_grant"}, 400),
    "not found": lambda: error("invalid_grant", 404),
    "redirect": lambda: RedirectResponse("https://evil.test/token", 302),
    "redirect with tokens": lambda: JSONResponse({"access_token": "x", "token_type": "bearer"}, 302),
    "a page": lambda: Response("<h1>Sign in to the network</h1>"),
    "a list": lambda: JSONResponse([]),
    "nothing": lambda: JSONResponse({}),
    "another type": lambda: JSONResponse({"access_token": "x", "token_type": "mac"}),
    "numbers": lambda: JSONResponse({"access_token": 5, "token_type": "bearer"}),
    "bad refresh": lambda: JSONResponse({"access_token": "x", "token_type": "bearer", "refresh_token": ["y"]}),
    "compressed": lambda: Response(b"{}", headers={"Content-Encoding": "gzip"}),
    "deep": lambda: Response(b"[" * 200_000, media_type="application/json"),
    "not UTF-8": lambda: Response(b'{"access_token": "\xff"}', media_type="application/json"),
}


@pytest.mark.requirement("G-571")
@pytest.mark.parametrize("trouble", TROUBLE)
async def test_trouble_at_the_upstream_costs_nothing_but_a_retry(
    keeping: Scene, browser: Browser, trouble: str
) -> None:
    client = await keeping.place.client()
    tokens = await keeping.tokens(browser, client)
    keeping.clock.advance(3000)
    keeping.issuer.lie["/token"] = TROUBLE[trouble]
    for _ in range(2):
        refused(await keeping.place.world.refresh(client, tokens.refresh), "temporarily_unavailable", 503)
        assert (await keeping.place.world.call(tokens.access)).status_code == 200
    del keeping.issuer.lie["/token"]
    tokens = parsed(await keeping.place.world.refresh(client, tokens.refresh))
    assert (await upstream_of(keeping, tokens))["expires_at"] == keeping.clock() + 3600


@pytest.mark.requirement("G-571")
async def test_the_exchange_of_a_code_survives_trouble_at_the_upstream(keeping: Scene, browser: Browser) -> None:
    await keeping.sign_in(browser)
    keeping.clock.advance(4000)
    client = await keeping.place.client()
    allowed = await browser.answer(await keeping.asked(browser, client))
    code = allowed.headers["location"].split("code=")[1].split("&")[0]
    keeping.issuer.lie["/token"] = TROUBLE["503"]
    refused(await keeping.place.world.exchange(client, code), "temporarily_unavailable", 503)
    del keeping.issuer.lie["/token"]
    parsed(await keeping.place.world.exchange(client, code))


@pytest.mark.requirement("G-571")
async def test_tokens_of_an_upstream_that_was_taken_out_of_the_settings_are_not_thrown_away(
    keeping: Scene, browser: Browser
) -> None:
    tokens = await keeping.tokens(browser, await keeping.place.client())
    props = (await keeping.place.world.call(tokens.access)).json()["props"]
    with pytest.raises(OAuthError) as refusal:
        await UpstreamTokens([], clock=lambda: keeping.clock() + 3000)(exchange(props))
    assert refusal.value.code == "server_error"


@pytest.mark.requirement("G-571")
async def test_tokens_that_were_renewed_and_not_stored_are_not_renewed_twice(
    issuer: Issuer, clock: FrozenClock, keeping: Scene, browser: Browser
) -> None:
    tokens = await keeping.tokens(browser, await keeping.place.client())
    props = (await keeping.place.world.call(tokens.access)).json()["props"]
    clock.advance(3000)
    callback = UpstreamTokens([corp(issuer, keep_tokens=True)], clock=clock)
    first = await callback(exchange(props))
    again = await callback(exchange(props))
    assert issuer.refreshes == 1
    assert first == again
    assert first is not None
    # Another generation is another question.
    await callback(exchange(first.props, key="g.2"))
    clock.advance(3000)
    await callback(exchange(first.props, key="g.2"))
    assert issuer.refreshes == 2


@pytest.mark.requirement("G-571")
async def test_tokens_that_have_ended_when_they_are_issued_are_an_upstream_in_trouble(
    issuer: Issuer, clock: FrozenClock, keeping: Scene, browser: Browser
) -> None:
    tokens = await keeping.tokens(browser, await keeping.place.client())
    props = (await keeping.place.world.call(tokens.access)).json()["props"]
    clock.advance(3000)
    issuer.expires_in = 0
    with pytest.raises(OAuthError) as refusal:
        await UpstreamTokens([corp(issuer, keep_tokens=True)], clock=clock)(exchange(props))
    assert refusal.value.code == "temporarily_unavailable"


@pytest.mark.requirement("G-571")
@pytest.mark.parametrize("props", [None, 5, [], {}, {"upstream": None}, {"upstream": {"access_token": "x"}}], ids=repr)
async def test_grants_without_upstream_tokens_are_none_of_its_business(props: object) -> None:
    assert await UpstreamTokens([])(exchange(props)) is None


def exchange(props: Any, key: str = "g.1") -> TokenExchange:
    """A refresh of a grant with these props."""
    return TokenExchange(
        grant_type="refresh_token",
        client_id="c",
        user_id=USER,
        grant_id="g",
        generation=1,
        idempotency_key=key,
        scopes=(),
        requested_scopes=(),
        resources=(),
        props=props,
        metadata={},
        access_token_ttl=3600,
    )
