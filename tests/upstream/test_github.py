"""Signing in with GitHub, as a made-up one on this machine plays it."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from grantwell.signin.upstream import GitHub, UpstreamTokens
from grantwell.testing import FrozenClock
from grantwell_storage import MemoryStore, SQLStore
from tests.signin.browser import Browser, Place, form_of, read, running_place
from tests.upstream.conftest import each_store
from tests.wire.world import answer_parameters, parsed, refused, serving

pytestmark = [pytest.mark.anyio, pytest.mark.system]


@dataclass
class Octo:
    """A GitHub: its account, its organizations with the state of the membership, and its tokens."""

    origin: str = ""
    account: dict[str, Any] = field(default_factory=lambda: {"id": 583231, "login": "Octocat", "name": "Mona"})
    organizations: dict[str, str] = field(default_factory=dict)
    expires_in: int | None = None
    refresh_tokens: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)
    _access_tokens: set[str] = field(default_factory=set)

    def approve(self, location: str) -> str:
        """Where the browser is sent by somebody who says yes."""
        url = urlsplit(location)
        assert (f"{url.scheme}://{url.netloc}", url.path) == (self.origin, "/login/oauth/authorize")
        asked = dict(parse_qsl(url.query))
        assert (asked["client_id"], asked["code_challenge_method"]) == ("Iv1.abc", "S256")
        code = secrets.token_hex(10)
        self._codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def app(self) -> Starlette:
        """The server, its API below `/api`."""
        return Starlette(
            routes=[
                Route("/login/oauth/access_token", self._token, methods=["POST"]),
                Route("/api/user", self._user),
                Route("/api/user/memberships/orgs/{name}", self._membership),
            ]
        )

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        assert "application/json" in request.headers["accept"]
        if (form["client_id"], form["client_secret"]) != ("Iv1.abc", "s"):
            return JSONResponse({"error": "incorrect_client_credentials"})
        if form["grant_type"] == "refresh_token":
            if form["refresh_token"] not in self.refresh_tokens:
                # With the status 200, as GitHub does.
                return JSONResponse({"error": "bad_refresh_token", "error_description": "…"})
            self.refresh_tokens.discard(form["refresh_token"])
            return JSONResponse(self._issued())
        asked = self._codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or (asked["redirect_uri"], asked["code_challenge"]) != (form["redirect_uri"], challenge):
            return JSONResponse({"error": "bad_verification_code"})
        return JSONResponse(self._issued())

    def _issued(self) -> dict[str, Any]:
        token = f"ghu_{secrets.token_hex(12)}"
        self._access_tokens.add(token)
        answer: dict[str, Any] = {"access_token": token, "token_type": "bearer", "scope": "read:user"}
        if self.expires_in is not None:
            refresh_token = f"ghr_{secrets.token_hex(12)}"
            self.refresh_tokens.add(refresh_token)
            answer |= {"expires_in": self.expires_in, "refresh_token": refresh_token}
        return answer

    def _knows(self, request: Request) -> bool:
        self.asked.append(request.scope["path"])
        return request.headers["authorization"].removeprefix("Bearer ") in self._access_tokens

    async def _user(self, request: Request) -> Response:
        return JSONResponse(self.account if self._knows(request) else {}, 200 if self.account else 401)

    async def _membership(self, request: Request) -> Response:
        state = self.organizations.get(request.path_params["name"])
        if not self._knows(request) or state is None:
            return JSONResponse({"message": "Not Found"}, 404)
        return JSONResponse({"state": state, "role": "member"})


@pytest.fixture
async def octo() -> AsyncIterator[Octo]:
    """A GitHub that listens."""
    octo = Octo()
    async with serving(octo.app(), "h11") as port:
        octo.origin = f"http://127.0.0.1:{port}"
        yield octo


@asynccontextmanager
async def running(
    store: MemoryStore | SQLStore, octo: Octo, clock: FrozenClock, **changes: Any
) -> AsyncIterator[Place]:
    """A place where people sign in with it, changed as written."""
    settings: dict[str, Any] = {"everybody": not {"allowed_users", "allowed_organizations"} & set(changes)} | changes
    upstreams = [GitHub("Iv1.abc", "s", web=octo.origin, api=f"{octo.origin}/api", **settings)]
    callback = UpstreamTokens(upstreams, clock=clock)
    async with running_place(store, upstreams=upstreams, clock=clock, token_exchange_callback=callback) as place:
        yield place


async def leave(browser: Browser, page: httpx.Response | None = None) -> str:
    """Press the button; where the browser is sent to."""
    form = form_of(page or await browser.get("/signin"), "/signin/with/github")
    location: str = (await browser.post("/signin/with/github", form)).headers["location"]
    return location


async def sign_in(browser: Browser, octo: Octo, page: httpx.Response | None = None) -> httpx.Response:
    """Go there, say yes, and come back."""
    url = urlsplit(octo.approve(await leave(browser, page)))
    return await browser.get(f"{url.path}?{url.query}")


@each_store
@pytest.mark.requirement("G-574")
async def test_somebody_signs_in_with_github_and_is_known_by_their_number(
    store: MemoryStore | SQLStore, octo: Octo, clock: FrozenClock
) -> None:
    async with running(store, octo, clock) as place:
        browser = place.browser()
        assert (await sign_in(browser, octo)).status_code == 303
        user = await place.accounts.get("github:583231")
        assert user is not None
        assert user.name == "Mona"
        octo.account |= {"login": "renamed", "name": None}
        assert (await sign_in(place.browser(), octo)).status_code == 303
        user = await place.accounts.get("github:583231")
        assert user is not None
        assert user.name == "renamed"
        assert octo.asked == ["/api/user", "/api/user"]


@pytest.mark.requirement("G-574", "S-460")
async def test_a_code_or_an_account_that_cannot_be_right_signs_nobody_in(
    store: MemoryStore | SQLStore, octo: Octo, clock: FrozenClock
) -> None:
    async with running(store, octo, clock) as place:
        browser = place.browser()
        url = urlsplit(octo.approve(await leave(browser)))
        assert (await browser.get(f"{url.path}?{url.query}x&code=made-up")).status_code == 400
        state = dict(parse_qsl(url.query))["state"]
        answer = await browser.get(f"{url.path}?state={state}&code=made-up")
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
        url = urlsplit(octo.approve(await leave(browser)))
        assert (await browser.get(f"{url.path}?{url.query}&iss=https%3A%2F%2Fevil.test")).status_code == 403
        for account in ({"id": "583231", "login": "x"}, {"id": True, "login": "x"}, {"login": "x"}, {"id": 5}, {}):
            octo.account = account
            assert (await sign_in(browser, octo)).status_code == 503
        assert [user.user_id for user in (await place.accounts.list()).items] == ["ada"]


@pytest.mark.requirement("G-574", "G-567")
@pytest.mark.parametrize(
    ("lists", "admitted"),
    [
        ({"allowed_users": ["octocat"]}, True),
        ({"allowed_users": ["OCTOCAT", "x"]}, True),
        ({"allowed_users": ["#583231"]}, True),
        ({"allowed_users": ["583231", "octo", "mona", "#5832311"]}, False),
        ({"allowed_organizations": ["github"]}, True),
        ({"allowed_organizations": ["other", "github"]}, True),
        ({"allowed_organizations": ["invited"]}, False),
        ({"allowed_organizations": ["other", "a/../github"]}, False),
        ({"allowed_organizations": ["other"], "allowed_users": ["octocat"]}, True),
    ],
    ids=repr,
)
async def test_members_and_users_that_are_listed_are_admitted(
    store: MemoryStore | SQLStore, octo: Octo, clock: FrozenClock, lists: dict[str, Any], admitted: bool
) -> None:
    octo.organizations = {"github": "active", "invited": "pending"}
    async with running(store, octo, clock, **lists) as place:
        browser = place.browser()
        location = await leave(browser)
        asks_for = dict(parse_qsl(urlsplit(location).query))["scope"]
        assert ("read:org" in asks_for) is ("allowed_organizations" in lists)
        url = urlsplit(octo.approve(location))
        answer = await browser.get(f"{url.path}?{url.query}")
        assert answer.status_code == (303 if admitted else 403)
        assert ("You are not admitted here" in read(answer).words) is not admitted


@pytest.mark.requirement("G-574", "G-569", "G-570")
async def test_tokens_of_a_github_app_are_renewed_and_end_with_the_sign_in(
    store: MemoryStore | SQLStore, octo: Octo, clock: FrozenClock
) -> None:
    octo.expires_in = 28_800
    async with running(store, octo, clock, keep_tokens=True, scopes=["repo"]) as place:
        browser, client = place.browser(), await place.client()
        page = await browser.follow(await browser.authorize(client))
        allowed = await browser.answer(await browser.follow(await sign_in(browser, octo, page)))
        tokens = parsed(await place.world.exchange(client, answer_parameters(allowed)["code"]))
        for _ in range(2):
            clock.advance(26_000)
            tokens = parsed(await place.world.refresh(client, tokens.refresh))
            upstream = (await place.world.call(tokens.access)).json()["props"]["upstream"]
            assert {upstream["refresh_token"]} == octo.refresh_tokens
        octo.refresh_tokens.clear()
        clock.advance(26_000)
        refused(await place.world.refresh(client, tokens.refresh), "invalid_grant")
        assert await place.grants("github:583231") == []


@pytest.mark.requirement("G-574", "G-564")
async def test_a_client_that_wants_a_fresh_sign_in_lets_the_person_choose_the_account(
    store: MemoryStore | SQLStore, octo: Octo, clock: FrozenClock
) -> None:
    async with running(store, octo, clock) as place:
        browser = place.browser()
        await sign_in(browser, octo)
        page = await browser.follow(await browser.authorize(await place.client(), prompt="login"))
        assert "prompt=select_account" in await leave(browser, page)
