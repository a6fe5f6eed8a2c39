"""A person's own pages in a real browser: what has access, where they are signed in, their password."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.accessibility import Axe
from tests.browser.clients import Client, Listener
from tests.browser.conftest import MakeWindow
from tests.browser.window import TWO_LOOKS, USER, Window
from tests.cli.processes import DEMO_PASSWORD, Demo

requirement = pytest.mark.requirement

NEW_PASSWORD = "another password"


def connected(window: Window, client: Client, listener: Listener) -> dict[str, str]:
    """Allow a client everything it asks; its tokens."""
    window.allow(client)
    return client.exchanged(listener.answer())


def row(window: Window, client: Client) -> Locator:
    """What the list of connections has of a client."""
    return window.page.locator("tbody tr", has=window.page.locator("form[action$='/account/connections']")).filter(
        has_text=client.name
    )


def works(client: Client, tokens: dict[str, str]) -> bool:
    """Whether a token is good for a call."""
    status = client.call(tokens, "GET", "/api/me").status_code
    assert status in (200, 401)
    return status == 200


@requirement("G-644")
def test_what_has_access_is_shown_and_ended_with_effect_on_the_next_call(
    window: Window, demo: Demo, listener: Listener, axe: Axe
) -> None:
    window.known.add(listener.origin)
    kept, ended = (Client.registered(demo.url, listener.redirect_uri, client_name=name) for name in ("Kept", "Ended"))
    kept_tokens, ended_tokens = connected(window, kept, listener), connected(window, ended, listener)
    assert works(kept, kept_tokens)
    assert works(ended, ended_tokens)
    window.open("/account/connections")
    entry = row(window, ended)
    for shown in ("Ended", "127.0.0.1", "notes:write", "Chrom", "Linux"):
        expect(entry).to_contain_text(shown)
    for scheme, size in TWO_LOOKS:
        window.look(scheme, size)
        assert axe.findings(window.page) == []
        assert not window.scrolls_sideways()
    entry.get_by_role("button").click()
    expect(window.page.get_by_role("status")).to_be_visible()
    expect(row(window, ended)).to_have_count(0)
    assert not works(ended, ended_tokens)
    assert works(kept, kept_tokens)
    assert window.page.evaluate("performance.getEntriesByType('navigation')[0].type") == "navigate"
    window.page.reload()
    expect(row(window, kept)).to_have_count(1)


@requirement("G-644")
def test_everything_is_ended_after_one_look_at_what_that_hits(
    window: Window, demo: Demo, listener: Listener, axe: Axe
) -> None:
    window.known.add(listener.origin)
    clients = [Client.registered(demo.url, listener.redirect_uri, client_name=f"App {n}") for n in range(3)]
    tokens = [connected(window, client, listener) for client in clients]
    window.open("/account/connections")
    window.page.locator(f"a[href*='/account/connections/end?client={clients[0].client_id}']").click()
    expect(window.page.locator("main")).to_contain_text("App 0")
    for scheme, size in TWO_LOOKS:
        window.look(scheme, size)
        assert axe.findings(window.page) == []
        assert not window.scrolls_sideways()
    # Looking changes nothing.
    assert all(works(client, token) for client, token in zip(clients, tokens, strict=True))
    window.page.locator("button.destroy").click()
    assert window.path() == "/account/connections"
    assert [works(client, token) for client, token in zip(clients, tokens, strict=True)] == [False, True, True]
    window.open("/account/connections/end")
    window.page.locator("button.destroy").click()
    assert not any(works(client, token) for client, token in zip(clients, tokens, strict=True))
    window.open("/account/connections")
    expect(window.page.locator("tbody tr")).to_have_count(0)
    assert axe.findings(window.page) == []


@requirement("G-644")
def test_a_session_elsewhere_is_ended_from_here(window: Window, new_window: MakeWindow, axe: Axe) -> None:
    elsewhere = new_window()
    for each in (window, elsewhere):
        each.open("/account")
        each.sign_in()
        expect(each.page.locator("main")).to_contain_text(USER)
    window.open("/account/sessions")
    for scheme, size in TWO_LOOKS:
        window.look(scheme, size)
        assert axe.findings(window.page) == []
        assert not window.scrolls_sideways()
    expect(window.page.locator("tbody tr").filter(has_text="Chrom").first).to_be_visible()
    window.page.locator("button", has_text="others").or_(
        window.page.locator("form:has([name=sessions][value=others]) button")
    ).first.click()
    expect(window.page.locator("tbody tr")).to_have_count(1)
    elsewhere.open("/account/sessions")
    expect(elsewhere.page.locator("input[name=password]")).to_be_visible()
    window.open("/account/sessions")
    expect(window.page.locator("input[name=password]")).to_have_count(0)


@requirement("G-644")
def test_a_person_finds_the_way_with_the_keyboard_and_comes_back_to_where_they_wanted(window: Window) -> None:
    window.open("/account/sessions")
    assert window.path() == "/signin"
    window.sign_in()
    expect(window.page.locator("table")).to_be_visible()
    assert window.path() == "/account/sessions"
    window.open("/account")
    keyboard = window.page.keyboard
    for _ in range(20):
        keyboard.press("Tab")
        if window.page.evaluate("document.activeElement.getAttribute('href')") == "/account/connections":
            break
    keyboard.press("Enter")
    window.page.wait_for_url("**/account/connections")
    expect(window.page.locator("[aria-current=page]")).to_have_attribute("href", "/account/connections")


@requirement("A-223", "G-644")
@pytest.mark.parametrize("path", ["/account", "/account/connections", "/account/sessions", "/account/password"])
def test_every_page_of_the_account_is_for_who_signed_in(window: Window, axe: Axe, path: str) -> None:
    window.open(path)
    assert window.path() == "/signin"
    window.sign_in()
    assert window.path() == path
    for scheme, size in TWO_LOOKS:
        window.look(scheme, size)
        assert axe.findings(window.page) == []
        assert not window.scrolls_sideways()


def change_password(window: Window, current: str) -> None:
    """Fill in the form for a new password and send it."""
    for name, value in (("current", current), ("new", NEW_PASSWORD), ("again", NEW_PASSWORD)):
        window.page.locator(f"input[name={name}]").fill(value)
    window.page.locator("form:has([name=new]) button").click()


@requirement("G-644")
def test_a_new_password_ends_what_the_old_one_had_begun(
    window: Window, new_window: MakeWindow, demo: Demo, listener: Listener, axe: Axe
) -> None:
    window.known.add(listener.origin)
    elsewhere = new_window()
    elsewhere.open("/account")
    elsewhere.sign_in()
    client = Client.registered(demo.url, listener.redirect_uri, client_name="Old")
    tokens = connected(window, client, listener)
    window.open("/account/password")
    change_password(window, "not the old one")
    expect(window.page.get_by_role("alert")).to_be_visible()
    for scheme, size in TWO_LOOKS:
        window.look(scheme, size)
        assert axe.findings(window.page) == []
        assert not window.scrolls_sideways()
    assert works(client, tokens)
    change_password(window, DEMO_PASSWORD)
    expect(window.page.get_by_role("status")).to_be_visible()
    assert not works(client, tokens)
    elsewhere.open("/account/sessions")
    expect(elsewhere.page.locator("input[name=password]")).to_be_visible()
    elsewhere.sign_in()
    expect(elsewhere.page.get_by_role("alert")).to_be_visible()
    elsewhere.sign_in(password=NEW_PASSWORD)
    expect(elsewhere.page.locator("table")).to_be_visible()
    window.open("/account")
    expect(window.page.locator("input[name=password]")).to_have_count(0)
