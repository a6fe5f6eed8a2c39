"""Answering a client in a real browser: allow, deny, allow less, allow more later; and the way back to the client."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.accessibility import Axe
from tests.browser.clients import Client, Listener
from tests.browser.conftest import MakeWindow
from tests.browser.window import LOOKS, PHONE, TWO_LOOKS, USER, Window
from tests.cli.processes import Demo

requirement = pytest.mark.requirement


@requirement("G-642", "A-238")
def test_allowing_leads_to_a_loopback_client_with_a_code_that_works(
    window: Window, client: Client, listener: Listener
) -> None:
    window.ask(client)
    for shown in ("A desktop client", "127.0.0.1", USER, "notes:read", "notes:write"):
        assert shown in window.text()
    window.press("allow")
    expect(window.page.get_by_role("heading", name="You are back")).to_be_visible()
    tokens = client.exchanged(listener.answer())
    assert tokens["scope"] == "notes:read notes:write"
    assert client.call(tokens, "POST", "/api/notes", json={"text": "x"}).status_code == 201


@requirement("G-642", "A-233")
def test_denying_leads_to_the_client_without_a_code(window: Window, client: Client, listener: Listener) -> None:
    window.ask(client)
    window.press("deny")
    expect(window.page.get_by_role("heading", name="You are back")).to_be_visible()
    answer = listener.answer()
    assert answer["error"] == "access_denied"
    assert answer["state"] == client.state
    assert "code" not in answer


@requirement("G-642")
def test_a_scope_that_is_unticked_is_not_in_the_token(window: Window, client: Client, listener: Listener) -> None:
    window.ask(client)
    window.page.locator("input[name=scope][value='notes:write']").uncheck()
    window.press("allow")
    tokens = client.exchanged(listener.answer())
    assert tokens["scope"] == "notes:read"
    assert client.call(tokens, "GET", "/api/notes").status_code == 200
    assert client.call(tokens, "POST", "/api/notes", json={"text": "x"}).status_code == 403


@requirement("G-642")
def test_unticking_everything_gives_nothing_and_is_told(window: Window, client: Client, demo: Demo, axe: Axe) -> None:
    window.ask(client)
    for box in window.page.locator("input[name=scope]").all():
        box.uncheck()
    window.press("allow")
    expect(window.page.get_by_role("alert")).to_be_visible()
    assert axe.findings(window.page) == []
    assert client.client_id not in demo.run("grants", "list", "--json")


@requirement("G-642", "S-102")
def test_a_client_that_lacks_a_scope_comes_back_for_it(window: Window, client: Client, listener: Listener) -> None:
    window.ask(client, scope="notes:read")
    assert "notes:write" not in window.text()
    window.press("allow")
    first = client.exchanged(listener.answer())
    refused = client.call(first, "POST", "/api/notes", json={"text": "x"})
    assert refused.status_code == 403
    assert 'scope="notes:write"' in refused.headers["www-authenticate"]
    window.ask(client, scope="notes:read notes:write")
    window.press("allow")
    more = client.exchanged(listener.answer())
    assert client.call(more, "POST", "/api/notes", json={"text": "x"}).status_code == 201
    assert client.call(first, "GET", "/api/notes").status_code == 401, "the earlier grant was replaced"


@requirement("A-238", "A-255")
@pytest.mark.parametrize("uri", ["com.example.app:/back", "com.example.app://host/back"])
@pytest.mark.parametrize("decision", ["allow", "deny"])
def test_the_answer_reaches_an_app_by_its_own_scheme(window: Window, demo: Demo, uri: str, decision: Any) -> None:
    client = Client.registered(demo.url, uri, application_type="native")
    window.ask(client)
    window.known.add(uri.partition("/")[0] + "//" + ("host" if "//" in uri else ""))
    # Chromium goes there; a policy with form-action would hold it back, and say so.
    going = window.page.expect_request(lambda request: request.url.startswith("com.example.app:"))
    with going as gone, window.page.expect_response("**/consent") as answered:
        window.press(decision)
    assert answered.value.status == 303
    assert gone.value.url == answered.value.headers["location"]
    assert gone.value.url.startswith(f"{uri}?")
    assert ("code=gwc_" in gone.value.url) == (decision == "allow")


@requirement("G-642")
def test_the_keyboard_alone_answers_and_nothing_is_focused_before(
    new_window: MakeWindow, demo: Demo, listener: Listener
) -> None:
    window = new_window("dark", PHONE)
    window.known.add(listener.origin)
    client = Client.registered(demo.url, listener.redirect_uri)
    window.ask(client)
    keyboard = window.page.keyboard
    assert window.page.evaluate("document.activeElement === document.body")
    allow = window.page.locator("button[value=allow]")
    expect(allow).to_be_visible()
    reached = []
    for _ in range(30):
        keyboard.press("Tab")
        reached.append(window.page.evaluate("document.activeElement.value ?? document.activeElement.textContent"))
        assert window.page.evaluate("""() => {
            const {outlineStyle, outlineWidth, boxShadow} = getComputedStyle(document.activeElement);
            return outlineStyle !== "none" && outlineWidth !== "0px" || boxShadow !== "none";
        }"""), f"the focus on {reached[-1]} is not to be seen"
        if allow.evaluate("(button) => button === document.activeElement"):
            break
    assert reached[-1] == "allow"
    assert "deny" in reached
    assert "notes:write" in reached
    keyboard.press("Enter")
    assert "code" in listener.answer()


@requirement("A-235")
def test_a_click_that_was_on_its_way_when_the_page_came_does_nothing(
    new_window: MakeWindow, demo: Demo, listener: Listener
) -> None:
    window = new_window()
    window.known.add(listener.origin)
    client = Client.registered(demo.url, listener.redirect_uri)
    window.ask(client)
    allow = window.page.locator("button[value=allow]")
    allow.scroll_into_view_if_needed()
    box = allow.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    scrolled = window.page.evaluate("scrollY")

    # Both clicks of a pair, at the place where the button is about to be, as soon as there is a page at all.
    window.page.goto(f"{window.url}/")
    window.page.mouse.move(x, y)
    window.page.goto(window.url + client.request(), wait_until="commit")
    window.page.wait_for_selector("h1", state="attached")
    window.page.evaluate(f"scrollTo(0, {scrolled})")
    window.page.mouse.dblclick(x, y)
    window.page.keyboard.press("Enter")
    assert window.path() == "/consent"
    assert listener.arrivals.empty()
    expect(allow).to_be_visible()
    # And when another window lay over it: the pointer is new to the page with the second click.
    other = new_window()
    other.known.add(listener.origin)
    other.ask(client)
    expect(other.page.locator("button[value=allow]")).to_be_visible()
    other.come_to_rest()
    place = other.page.locator("button[value=allow]").bounding_box()
    assert place is not None
    other.page.mouse.click(place["x"] + 10, place["y"] + 10)
    assert other.path() == "/consent"
    assert listener.arrivals.empty()
    other.press("allow")
    assert "code" in listener.answer()


@requirement("G-643")
def test_every_look_of_the_consent_page_passes_axe(window: Window, axe: Axe, client: Client) -> None:
    window.ask(client)
    for scheme, size in LOOKS:
        window.look(scheme, size)
        expect(window.page.locator("button[value=allow]")).to_be_visible()
        assert axe.findings(window.page) == []
        assert not window.scrolls_sideways()


@requirement("G-643")
@pytest.mark.parametrize(
    "path",
    ["/consent", "/authorize", "/authorize?client_id=unknown", "/signout", "/signin?i=x"],
)
def test_a_page_that_says_what_is_wrong_passes_axe_and_says_what_to_do(window: Window, axe: Axe, path: str) -> None:
    assert window.open(path) >= 400 or path == "/signin?i=x"
    for scheme, size in TWO_LOOKS:
        window.look(scheme, size)
        assert axe.findings(window.page) == []
        assert not window.scrolls_sideways()
    assert window.page.get_by_role("heading", level=1).count() == 1
