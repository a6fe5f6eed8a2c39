"""Signing in and out in a real browser: what a person sees, what the browser keeps, and what other pages can't do."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.accessibility import Axe
from tests.browser.clients import Client, Listener, listening
from tests.browser.conftest import MakeWindow
from tests.browser.window import LOOKS, USER, Window
from tests.cli.processes import DEMO_PASSWORD, Demo

requirement = pytest.mark.requirement


@requirement("G-642")
def test_a_wrong_password_is_told_and_the_right_one_lets_in(window: Window) -> None:
    window.open("/signin")
    expect(window.page.locator("input[name=username]")).to_be_focused()
    window.sign_in(password="not the password")
    alert = window.page.get_by_role("alert")
    expect(alert).to_contain_text("not signed in")
    assert window.path() == "/signin"
    expect(window.page.locator("input[name=username]")).to_have_value(USER)
    expect(window.page.locator("input[name=password]")).to_have_value("")
    window.sign_in()
    expect(window.page.locator("main")).to_contain_text(USER)
    expect(alert).to_have_count(0)


@requirement("G-642")
def test_the_keyboard_alone_signs_in(window: Window) -> None:
    window.open("/signin")
    keyboard = window.page.keyboard
    expect(window.page.locator("input[name=username]")).to_be_focused()
    keyboard.type(USER)
    keyboard.press("Tab")
    expect(window.page.locator("input[name=password]")).to_be_focused()
    keyboard.type(DEMO_PASSWORD)
    keyboard.press("Enter")
    expect(window.page.locator("main")).to_contain_text(USER)
    expect(window.page.locator("input[name=password]")).to_have_count(0)


@requirement("G-643")
def test_every_look_of_the_sign_in_page_passes_axe(window: Window, axe: Axe, client: Client) -> None:
    window.open(client.request())
    window.sign_in(password="not the password")
    expect(window.page.get_by_role("alert")).to_be_visible()
    for scheme, size in LOOKS:
        window.look(scheme, size)
        assert axe.findings(window.page) == []
        assert not window.scrolls_sideways()
    window.sign_in()
    window.page.wait_for_url("**/consent**")
    window.open("/signin")
    for scheme, size in LOOKS:
        window.look(scheme, size)
        assert axe.findings(window.page) == []
        assert not window.scrolls_sideways()


@requirement("A-244")
def test_the_browser_keeps_one_cookie_that_no_script_reads(window: Window) -> None:
    window.open("/signin")
    window.sign_in()
    expect(window.page.locator("input[name=password]")).to_have_count(0)
    (cookie,) = window.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    assert cookie["path"] == "/"
    assert cookie["domain"] == "127.0.0.1", "host-only: no dot in front"
    assert not cookie["name"].startswith("__"), "http on loopback has another name"
    assert len(cookie["value"]) < 1024
    window.open("/")
    assert window.page.evaluate("document.cookie") == ""


@requirement("A-242", "G-642")
def test_signing_in_changes_the_session_and_signing_out_ends_it(window: Window, client: Client) -> None:
    window.open(client.request())
    (before,) = window.context.cookies()
    window.sign_in()
    window.page.wait_for_url("**/consent**")
    (after,) = window.context.cookies()
    assert before["value"] != after["value"]
    window.open("/signin")
    window.page.get_by_role("button", name="Sign out").click()
    expect(window.page.get_by_role("heading", name="signed out")).to_be_visible()
    window.context.clear_cookies()
    window.context.add_cookies([{"name": after["name"], "value": after["value"], "url": window.url}])
    window.open("/signin")
    expect(window.page.locator("input[name=password]")).to_be_visible()


@requirement("A-254")
def test_the_back_button_shows_nothing_after_signing_out(window: Window, client: Client) -> None:
    window.open(client.request())
    window.sign_in()
    window.page.wait_for_url("**/consent**")
    window.open("/signin")
    assert USER in window.text()
    window.page.get_by_role("button", name="Sign out").click()
    expect(window.page.get_by_role("heading", name="signed out")).to_be_visible()
    for _ in range(3):
        window.page.go_back()
        assert window.page.locator("button[value=allow]").count() == 0
        assert not re.search(rf"\b{USER}\b", window.text())
    window.page.go_forward()
    assert not re.search(rf"\b{USER}\b", window.text())


@requirement("A-253", "A-254")
def test_no_password_and_no_code_stay_in_the_history(window: Window, client: Client, listener: Listener) -> None:
    window.open(client.request())
    window.sign_in()
    window.page.wait_for_url("**/consent**")
    window.press("allow")
    code = listener.answer()["code"]
    urls = [url for url in window.requests if url.startswith(window.url)]
    assert not [url for url in urls if DEMO_PASSWORD.replace(" ", "+") in url or "password" in url]
    assert [url for url in window.requests if code in url] == [window.page.url], "the client's address alone"


# A page of somebody else that sends a form or a request at once, with the cookies of whoever looks at it.
_FORM = """<!doctype html><title>x</title><form method=post action="{url}" enctype="{type}">{fields}</form>
<script>document.forms[0].submit()</script>"""
_FETCH = """<!doctype html><title>x</title><script>
fetch("{url}", {{method: "POST", mode: "no-cors", credentials: "include", headers: {{"Content-Type": "text/plain"}},
  body: '{{"decision": "allow"}}'}}).finally(() => {{ document.title = "sent"; }})</script>"""


def _fields(**fields: str) -> str:
    return "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())


def _evil(window: Window, page: str, *, host: str) -> tuple[int, str]:
    """Look at a page of somebody else; the status and the text of what its form brought about."""
    with listening(page.encode()) as place:
        origin = place.origin.replace("127.0.0.1", host)
        window.known |= {origin}
        with window.page.expect_response(lambda answer: answer.request.method == "POST") as posted:
            window.page.goto(f"{origin}/evil")
        status = posted.value.status
        window.page.wait_for_load_state()
        return status, window.text()


# Of another site, and of another origin of the same site, whose requests carry the cookie.
_HOSTS = pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
_TYPES = pytest.mark.parametrize("type_", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"])


@requirement("A-243")
@_HOSTS
def test_another_page_cannot_sign_anybody_in(window: Window, demo: Demo, host: str) -> None:
    window.open("/signin")
    fields = _fields(username=USER, password=DEMO_PASSWORD, i="", csrf="x" * 43)
    page = _FORM.format(url=f"{demo.url}/signin", type="application/x-www-form-urlencoded", fields=fields)
    status, _ = _evil(window, page, host=host)
    assert status == 403
    window.open("/signin")
    expect(window.page.locator("input[name=password]")).to_be_visible()


@requirement("A-223")
@_HOSTS
@_TYPES
def test_another_page_cannot_allow_anything(window: Window, demo: Demo, client: Client, host: str, type_: str) -> None:
    window.open(client.request())
    window.sign_in()
    window.page.wait_for_url("**/consent**")
    # Even with everything that the person's own page holds.
    own = {
        name: window.page.locator(f"form:has([name=decision]) [name={name}]").input_value() for name in ("i", "csrf")
    }
    for fields in (own, {"i": own["i"]}, {"i": own["i"], "csrf": "A" * 43}):
        page = _FORM.format(url=f"{demo.url}/consent", type=type_, fields=_fields(decision="allow", **fields))
        status, text = _evil(window, page, host=host)
        assert status in (400, 403, 415)
        assert "gwc_" not in text
    assert demo.run("grants", "list", "--json").strip().find(client.client_id) == -1


@requirement("A-223")
@_HOSTS
def test_a_request_by_script_of_another_page_cannot_either(
    window: Window, demo: Demo, client: Client, host: str
) -> None:
    window.open(client.request())
    window.sign_in()
    window.page.wait_for_url("**/consent**")
    status, _ = _evil(window, _FETCH.format(url=f"{demo.url}/consent"), host=host)
    assert status in (400, 403, 415)
    assert client.client_id not in demo.run("grants", "list", "--json")


@requirement("A-226")
def test_a_request_that_waits_in_one_browser_cannot_be_answered_in_another(
    window: Window, new_window: MakeWindow, client: Client, demo: Demo
) -> None:
    window.open(client.request())
    window.sign_in()
    window.page.wait_for_url("**/consent**")
    other = new_window()
    other.page.goto(window.page.url)
    assert other.page.locator("button[value=allow]").count() == 0
    other.open("/signin")
    other.sign_in()
    expect(other.page.locator("input[name=password]")).to_have_count(0)
    other.page.goto(window.page.url)
    assert other.page.locator("button[value=allow]").count() == 0
    assert client.client_id not in demo.run("grants", "list", "--json")
