"""An upstream that does not answer, or answers nonsense: a page that says so, soon, and nobody else is held up."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse

from grantwell.signin.upstream import connection
from grantwell.testing import FrozenClock
from grantwell_storage import MemoryStore, SQLStore
from tests.signin.browser import Browser, form_of, read
from tests.upstream.conftest import Scene, running_scene
from tests.upstream.issuer import Issuer, endless

pytestmark = [pytest.mark.anyio, pytest.mark.system]

DISCOVERY = "/.well-known/openid-configuration"


def unavailable(page: httpx.Response) -> None:
    """Check that a page says that the upstream does not answer, and nobody is signed in."""
    assert (page.status_code, "retry-after" in page.headers, "set-cookie" in page.headers) == (503, True, False)
    assert "Corp does not answer as it should" in read(page).words


async def leave(browser: Browser) -> httpx.Response:
    """Press the button of the upstream."""
    return await browser.post("/signin/with/corp", form_of(await browser.get("/signin"), "/signin/with/corp"))


@pytest.mark.requirement("G-572")
async def test_an_issuer_that_is_not_there_is_a_page_and_no_trace(
    store: MemoryStore | SQLStore, issuer: Issuer, clock: FrozenClock
) -> None:
    issuer.origin = "http://127.0.0.1:9"
    async with running_scene(store, issuer, clock) as scene:
        unavailable(await leave(scene.place.browser()))
        assert (await scene.place.browser().sign_in()).status_code == 303


@pytest.mark.requirement("G-572")
@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://evil.test"},
        {"issuer": "http://127.0.0.1"},
        {"issuer": None},
        {"authorization_endpoint": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "http://evil.test/authorize"},
        {"token_endpoint": "http://evil.test/token"},
        {"token_endpoint": "https://user@evil.test/token"},
        {"token_endpoint": "/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": ["https://evil.test"]},
        {"jwks_uri": "https://evil.test/jwks#fragment"},
    ],
    ids=repr,
)
async def test_a_discovery_document_that_cannot_be_right_is_not_used(
    scene: Scene, browser: Browser, changes: dict[str, Any]
) -> None:
    scene.issuer.metadata = changes
    unavailable(await leave(browser))
    scene.issuer.metadata = {}
    # It is not asked again at once, but soon.
    unavailable(await leave(browser))
    assert scene.issuer.asked == [DISCOVERY]
    scene.clock.advance(5)
    assert (await leave(browser)).status_code == 303


LIES = {
    "500": lambda: PlainTextResponse("oops", 500),
    "404": lambda: PlainTextResponse("nothing here", 404),
    "redirect": lambda: RedirectResponse("/elsewhere", headers={"Connection": "close"}),
    "a page": lambda: PlainTextResponse("<h1>hello</h1>"),
    "a list": lambda: JSONResponse([1]),
    "a flood": endless,
    "large": lambda: JSONResponse({"keys": "x" * connection.MAX_ANSWER_BYTES}),
}


@pytest.mark.requirement("G-572", "S-464")
@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("path", [DISCOVERY, "/jwks", "/token"])
async def test_nonsense_from_any_endpoint_is_a_page_and_no_sign_in(
    scene: Scene, browser: Browser, path: str, lie: str
) -> None:
    if path == DISCOVERY:
        scene.issuer.lie[path] = LIES[lie]
        unavailable(await leave(browser))
    else:
        location = scene.issuer.approve(await scene.leave(browser))
        scene.issuer.lie[path] = LIES[lie]
        unavailable(await scene.come_back(browser, location))
    assert "/elsewhere" not in scene.issuer.asked
    scene.issuer.lie.clear()
    scene.clock.advance(5)
    assert (await scene.sign_in(browser)).status_code == 303


@pytest.mark.requirement("G-572", "S-464")
async def test_an_answer_that_would_be_right_is_not_taken_if_it_is_too_large(scene: Scene, browser: Browser) -> None:
    scene.issuer.metadata = {"padding": "x" * connection.MAX_ANSWER_BYTES}
    unavailable(await leave(browser))
    scene.clock.advance(5)
    scene.issuer.metadata = {"padding": "x" * (connection.MAX_ANSWER_BYTES - 2000)}
    assert (await leave(browser)).status_code == 303


@pytest.mark.requirement("G-572", "S-464")
async def test_an_answer_that_trickles_is_given_up(
    scene: Scene, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "DEADLINE_SECONDS", 0.3)
    location = scene.issuer.approve(await scene.leave(browser))
    scene.issuer.lie["/token"] = lambda: endless(pause=0.05)
    begun = time.monotonic()
    unavailable(await scene.come_back(browser, location))
    assert time.monotonic() - begun < 3


@pytest.mark.requirement("G-572")
async def test_while_an_issuer_is_away_what_it_said_before_serves_on(scene: Scene) -> None:
    assert (await scene.sign_in(scene.place.browser())).status_code == 303
    for path in (DISCOVERY, "/jwks"):
        scene.issuer.lie[path] = lambda: PlainTextResponse("oops", 500)
    for _ in range(3):
        scene.clock.advance(3601)
        assert (await scene.sign_in(scene.place.browser())).status_code == 303
    asked = scene.issuer.asked.count(DISCOVERY)
    assert (await scene.sign_in(scene.place.browser())).status_code == 303
    assert scene.issuer.asked.count(DISCOVERY) == asked == 4
    scene.clock.advance(86_400)
    unavailable(await leave(scene.place.browser()))


@pytest.mark.requirement("G-572")
@pytest.mark.parametrize("error", ["temporarily_unavailable", "server_error"])
async def test_an_issuer_that_sends_people_back_for_now_is_not_there_for_now(
    scene: Scene, browser: Browser, error: str
) -> None:
    for _ in range(11):
        unavailable(await scene.sign_in(browser, code=None, error=error))
    assert (await scene.sign_in(browser)).status_code == 303


@pytest.mark.requirement("G-572")
async def test_many_who_sign_in_at_once_ask_for_the_documents_once(scene: Scene) -> None:
    answers = await asyncio.gather(*(scene.sign_in(scene.place.browser()) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {303}
    assert (scene.issuer.asked.count(DISCOVERY), scene.issuer.asked.count("/jwks")) == (1, 1)
    scene.clock.advance(3600)
    await scene.sign_in(scene.place.browser())
    assert (scene.issuer.asked.count(DISCOVERY), scene.issuer.asked.count("/jwks")) == (2, 2)


@pytest.mark.requirement("G-572")
async def test_the_environment_names_no_proxy_for_upstreams(
    store: MemoryStore | SQLStore, issuer: Issuer, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with running_scene(store, issuer, clock) as scene:
        assert (await scene.sign_in(scene.place.browser())).status_code == 303


@pytest.mark.requirement("G-573")
@pytest.mark.parametrize(
    ("methods", "sends_header"),
    [(None, True), (["client_secret_basic"], True), (["client_secret_basic", "client_secret_post"], False)],
)
async def test_this_server_proves_itself_as_the_issuer_wants_it(
    scene: Scene, browser: Browser, methods: list[str] | None, sends_header: bool
) -> None:
    scene.issuer.metadata = {"token_endpoint_auth_methods_supported": methods}
    # The secret has characters that have to be encoded.
    assert (await scene.sign_in(browser)).status_code == 303
    (form,) = scene.issuer.forms
    assert ("client_secret" in form) is not sends_header


@pytest.mark.requirement("G-573")
async def test_a_public_client_of_an_issuer_sends_its_id_alone(
    store: MemoryStore | SQLStore, issuer: Issuer, clock: FrozenClock
) -> None:
    async with running_scene(store, issuer, clock, client_secret=None) as scene:
        assert (await scene.sign_in(scene.place.browser())).status_code == 403
    (form,) = issuer.forms
    assert (form["client_id"], "client_secret" in form) == ("grantwell", False)
    assert "authorization" not in issuer.headers[-1]
