"""Where the pages meet the server around them: other scopes, browsers that leave, sessions that end meanwhile."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from grantwell import StoreUnavailable
from grantwell.signin import SignIn
from grantwell.store import NewInteraction
from grantwell_storage import MemoryStore
from tests.signin.browser import KEY, Browser, Place, check_page, form_of, read, running_place
from tests.wire.world import nothing_changes

pytestmark = pytest.mark.anyio


async def sent_by(app: SignIn, scope: Scope) -> list[Message]:
    """What an application sends for a scope whose body never comes."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


async def test_a_websocket_is_refused() -> None:
    scope = {"type": "websocket", "path": "/signin", "headers": []}
    assert await sent_by(SignIn(MemoryStore(), KEY), scope) == [{"type": "websocket.close"}]


async def test_a_websocket_goes_to_the_fallback() -> None:
    async def fallback(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})

    app = SignIn(MemoryStore(), KEY, fallback=fallback)
    assert await sent_by(app, {"type": "websocket", "path": "/signin", "headers": []}) == [{"type": "websocket.accept"}]


async def test_the_lifespan_of_the_fallback_is_run() -> None:
    events: list[str] = []

    async def fallback(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            return await PlainTextResponse(scope["state"]["made"])(scope, receive, send)
        for event in ("startup", "shutdown"):
            await receive()
            events.append(event)
            scope["state"]["made"] = "at start"
            await send({"type": f"lifespan.{event}.complete"})
        return None

    async with running_place(MemoryStore(), fallback=fallback) as place:
        assert events == ["startup"]
        assert (await place.browser().get("/")).text == "at start"
    assert events == ["startup", "shutdown"]


@pytest.mark.requirement("A-223")
async def test_a_browser_that_leaves_before_its_form_is_complete_gets_no_answer(place: Place, browser: Browser) -> None:
    page = await browser.asked(await place.client())
    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": "/consent",
        "query_string": b"",
        "headers": [(b"host", b"as.test"), (b"content-type", b"application/x-www-form-urlencoded")],
        "state": {"oauth": place.world.provider.helpers},
    }
    with nothing_changes(place.world):
        assert await sent_by(SignIn(place.store, KEY), scope) == []
    assert (await browser.answer(page)).status_code == 303


@pytest.mark.requirement("A-230")
async def test_a_session_that_ends_while_a_request_comes_in_is_a_matter_of_trying_again(
    place: Place, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await place.client()

    async def ended(new: NewInteraction) -> bool:
        return False

    with monkeypatch.context() as patched:
        patched.setattr(place.store, "add_interaction", ended)
        answer = await browser.authorize(client)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert (await browser.authorize(client)).status_code == 303


@pytest.mark.requirement("A-242")
@pytest.mark.parametrize("ending", ["session", "user"])
async def test_a_session_or_user_that_ends_during_the_sign_in_is_not_signed_in(
    place: Place, browser: Browser, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    page = await browser.get("/signin")
    authenticate = place.accounts.authenticate

    async def ended(*arguments: object) -> object:
        user = await authenticate(*arguments[1:])  # type: ignore[arg-type]
        if ending == "user":
            await place.accounts.disable("ada")
        else:
            await place.store.end_session(place.keyring.cookie_digests(browser.cookie)[0])
        return user

    monkeypatch.setattr("grantwell.signin.accounts.Accounts.authenticate", ended)
    answer = await browser.sign_in(page)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.requirement("A-230", "A-227")
async def test_a_request_that_was_answered_is_not_handed_over_at_sign_out(place: Place, browser: Browser) -> None:
    page = await browser.asked(await place.client())
    allowed, signed_out = await asyncio.gather(
        browser.answer(page), browser.post("/signout", form_of(page, "/signout"))
    )
    # Whoever was first: the request is either answered, or waits for somebody else, never both.
    waits = "i=" in signed_out.headers["location"]
    assert (allowed.status_code == 303) != waits
    assert len(await place.grants()) == (not waits)
    later = await browser.post("/signout", form_of(await browser.follow(await browser.sign_in()), "/signout"))
    assert later.headers["location"] == "/signin?signed_out=1"


@pytest.mark.requirement("A-249")
@pytest.mark.parametrize("address", ["testclient", "/run/app.sock", "fe80::1%eth0"])
async def test_an_address_of_another_kind_is_counted_as_it_is(place: Place, address: str) -> None:
    browser = place.browser(address)
    page = await browser.get("/signin")
    statuses = [(await browser.sign_in(page, password="wrong password")).status_code for _ in range(11)]
    assert statuses == [403] * 10 + [429]


@pytest.mark.requirement("S-155")
async def test_a_server_that_cannot_open_its_session_says_so_on_a_page(
    place: Place, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(*_: object) -> None:
        raise StoreUnavailable("locked")

    monkeypatch.setattr(place.store, "add_session", unavailable)
    answer: httpx.Response = check_page(await browser.get("/signin"))
    assert answer.status_code == 503
    assert "again in a moment" in read(answer).words
