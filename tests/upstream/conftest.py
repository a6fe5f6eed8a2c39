"""What the tests of upstream sign-in are given: an issuer, and a place where people sign in with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from grantwell.signin.upstream import OIDC, UpstreamTokens
from grantwell.testing import FrozenClock
from grantwell_storage import MemoryStore, SQLStore
from tests.signin.browser import Browser, Place, form_of, read, running_place
from tests.upstream.issuer import CLIENT_ID, CLIENT_SECRET, Issuer, running_issuer
from tests.wire.world import STORES, Tokens, answer_parameters, new_store, parsed


@dataclass
class Scene:
    """A place where people sign in with an issuer, which is called `corp` there."""

    place: Place
    issuer: Issuer
    clock: FrozenClock

    async def leave(self, browser: Browser, page: httpx.Response | None = None, name: str = "corp") -> str:
        """Press the button of an upstream on a page, or on `/signin`; where the browser is sent to."""
        action = f"/signin/with/{name}"
        answer = await browser.post(action, form_of(page or await browser.get("/signin"), action))
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    async def come_back(self, browser: Browser, location: str) -> httpx.Response:
        """Follow the issuer's answer back."""
        url = urlsplit(location)
        return await browser.get(f"{url.path}?{url.query}", headers={"Sec-Fetch-Site": "cross-site"})

    async def sign_in(self, browser: Browser, page: httpx.Response | None = None, **changes: Any) -> httpx.Response:
        """Go there and come back, with the answer changed as written."""
        return await self.come_back(browser, self.issuer.approve(await self.leave(browser, page), **changes))

    async def asked(self, browser: Browser, client: dict[str, Any], **changes: Any) -> httpx.Response:
        """Come from a client, sign in elsewhere, and stop before the question."""
        answer = await browser.authorize(client, **changes)
        page = await browser.follow(answer)
        if "/signin/with/corp" in [action for action, _ in read(page).forms]:
            page = await browser.follow(await self.sign_in(browser, page))
        if page.status_code == 303:
            page = await browser.follow(await self.come_back(browser, self.issuer.approve(page.headers["location"])))
        assert page.status_code == 200, page.text
        return page

    async def tokens(self, browser: Browser, client: dict[str, Any], **changes: Any) -> Tokens:
        """The whole way to tokens."""
        answer = await browser.answer(await self.asked(browser, client, **changes))
        assert answer.status_code == 303, answer.text
        return parsed(await self.place.world.exchange(client, answer_parameters(answer)["code"]))

    async def signed_in_as(self, browser: Browser) -> str:
        """What `/signin` says of who has signed in on a browser."""
        return read(await browser.get("/signin")).words


def corp(issuer: Issuer, **changes: Any) -> OIDC:
    """The issuer as an upstream that lets everybody in, changed as written."""
    lists = {"allowed_domains", "allowed_groups"} & set(changes)
    settings: dict[str, Any] = {
        "name": "corp",
        "issuer": issuer.issuer,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "label": "Corp",
        "everybody": not lists,
    } | changes
    return OIDC(**settings)


@asynccontextmanager
async def running_scene(
    store: MemoryStore | SQLStore, issuer: Issuer, clock: FrozenClock, **changes: Any
) -> AsyncIterator[Scene]:
    """A scene over a store; `changes` go to the upstream, and `provider` to the provider."""
    provider = changes.pop("provider", {})
    passwords = changes.pop("passwords", True)
    upstreams = [corp(issuer, **changes), *provider.pop("more", ())]
    callback = UpstreamTokens(upstreams, clock=clock)
    options = {"clock": clock, "token_exchange_callback": callback} | provider
    async with running_place(store, upstreams=upstreams, passwords=passwords, **options) as place:
        yield Scene(place, issuer, clock)


each_store = pytest.mark.parametrize("store", STORES, indirect=True)


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> MemoryStore | SQLStore:
    """An empty store in memory, or with `each_store` in turn of each kind."""
    return new_store(getattr(request, "param", "memory"), tmp_path)


@pytest.fixture
def clock() -> FrozenClock:
    """The clock of everybody."""
    return FrozenClock()


@pytest.fixture
async def issuer(clock: FrozenClock) -> AsyncIterator[Issuer]:
    """An issuer that tells the truth."""
    async with running_issuer(clock) as issuer:
        yield issuer


@pytest.fixture
async def scene(store: MemoryStore | SQLStore, issuer: Issuer, clock: FrozenClock) -> AsyncIterator[Scene]:
    """A scene where everybody is let in, and the issuer's tokens are not kept."""
    async with running_scene(store, issuer, clock) as scene:
        yield scene


@pytest.fixture
async def keeping(store: MemoryStore | SQLStore, issuer: Issuer, clock: FrozenClock) -> AsyncIterator[Scene]:
    """The same, where they are."""
    async with running_scene(store, issuer, clock, keep_tokens=True) as scene:
        yield scene


@pytest.fixture
def browser(scene: Scene) -> Browser:
    """A browser without cookies."""
    return scene.place.browser()
