"""The operator's pages in a real browser: find, see what an end would hit, end it; and nobody else sees anything."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from tests.browser.accessibility import Axe
from tests.browser.clients import Client, Listener
from tests.browser.conftest import MakeWindow
from tests.browser.window import TWO_LOOKS, Window
from tests.cli.processes import Demo, run

requirement = pytest.mark.requirement

PASSWORD = "of somebody who is no operator"
Connect = Callable[..., tuple[Client, dict[str, str]]]


@pytest.fixture(scope="module", autouse=True)
def people(demo: Demo) -> None:
    """Two people who are no operators."""
    for name in ("ada", "bob"):
        done = run(demo.folder, "users", "add", name, GRANTWELL_PASSWORD=PASSWORD)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def connect(new_window: MakeWindow, demo: Demo, listener: Listener) -> Connect:
    """Lets somebody allow a new client everything; the client and its tokens."""

    def go(user: str, name: str) -> tuple[Client, dict[str, str]]:
        theirs = new_window()
        theirs.known.add(listener.origin)
        client = Client.registered(demo.url, listener.redirect_uri, client_name=name)
        theirs.open(client.request())
        theirs.sign_in(user, PASSWORD)
        theirs.page.wait_for_url("**/consent**")
        theirs.press("allow")
        return client, client.exchanged(listener.answer())

    return go


def operator(window: Window, path: str = "/admin") -> None:
    """Open a page as the operator."""
    window.open(f"/signin?{urlencode({'to': path})}")
    if window.path() == "/signin":
        window.sign_in()
    expect(window.page.locator("h1")).to_be_visible()
    assert window.path() == path.partition("?")[0]


def works(client: Client, tokens: dict[str, str]) -> bool:
    """Whether a token is good for a call."""
    return client.call(tokens, "GET", "/api/me").status_code == 200


@requirement("G-645")
def test_an_operator_sees_what_an_end_would_hit_and_ends_it(window: Window, connect: Connect) -> None:
    of_ada, of_bob = connect("ada", "App of Ada"), connect("bob", "App of Bob")
    operator(window, f"/admin/grants?{urlencode({'user': 'ada'})}")
    table = window.page.locator("table")
    expect(table).to_contain_text("App of Ada")
    expect(table).not_to_contain_text("App of Bob")
    window.page.locator("a[href*='/admin/grants/end']").last.click()
    if window.path() == "/signin":
        window.sign_in()
    expect(window.page.locator("main")).to_contain_text("App of Ada")
    assert works(*of_ada), "looking changes nothing"
    window.page.locator(".buttons a").click()
    assert works(*of_ada), "cancelling changes nothing"
    operator(window, f"/admin/grants/end?{urlencode({'user': 'ada'})}")
    window.page.locator("button.destroy").click()
    expect(window.page.get_by_role("status")).to_be_visible()
    assert not works(*of_ada)
    assert works(*of_bob)


@requirement("G-645")
def test_a_user_who_is_disabled_is_out_at_once(window: Window, new_window: MakeWindow, connect: Connect) -> None:
    theirs = new_window()
    theirs.open("/account/sessions")
    theirs.sign_in("bob", PASSWORD)
    expect(theirs.page.locator("table")).to_be_visible()
    access = connect("bob", "Another app of Bob")
    operator(window, "/admin/users")
    window.page.locator("table a", has_text="bob").click()
    window.page.locator("a[href*='/admin/user/access']").click()
    if window.path() == "/signin":
        window.sign_in()
    window.page.locator("button.destroy").click()
    expect(window.page.get_by_role("status")).to_be_visible()
    assert not works(*access)
    theirs.open("/account/sessions")
    expect(theirs.page.locator("input[name=password]")).to_be_visible()
    theirs.sign_in("bob", PASSWORD)
    expect(theirs.page.get_by_role("alert")).to_be_visible()


@requirement("G-645")
def test_the_reference_of_an_error_page_leads_the_operator_to_what_happened(
    window: Window, new_window: MakeWindow
) -> None:
    theirs = new_window()
    theirs.open("/authorize?client_id=nobody-knows-it")
    (reference,) = re.findall(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}\b", theirs.text())
    operator(window)
    window.page.locator("input[name=reference]").fill(reference)
    window.page.keyboard.press("Enter")
    expect(window.page).to_have_url(re.compile("/admin/events"))
    # What happens is written down within two seconds.
    deadline = time.monotonic() + 20
    while "nobody-knows-it" not in window.text() and time.monotonic() < deadline:
        window.page.reload()
    expect(window.page.locator("main")).to_contain_text("nobody-knows-it")


@requirement("G-645")
@pytest.mark.parametrize("path", ["/admin", "/admin/clients", "/admin/grants", "/admin/users", "/admin/grants/end"])
def test_to_who_is_no_operator_there_are_no_such_pages(window: Window, path: str) -> None:
    for _ in ("signed out", "signed in"):
        assert window.open("/no-such-page") == 404
        nothing = window.page.content()
        assert window.open(path) == 404
        assert window.page.content() == nothing
        window.open("/account")
        if window.path() == "/signin":
            window.sign_in("ada", PASSWORD)
        assert window.page.locator("a[href*='/admin']").count() == 0


@requirement("G-643", "G-645")
def test_every_look_of_the_operators_pages_passes_axe(window: Window, connect: Connect, axe: Axe) -> None:
    client, _ = connect("ada", "An app")
    one, name = urlencode({"id": client.client_id}), urlencode({"id": "ada"})
    operator(window)
    for path in (
        "/admin",
        "/admin/clients",
        f"/admin/client?{one}",
        f"/admin/client/delete?{one}",
        "/admin/grants",
        "/admin/grants/end?user=ada",
        "/admin/users",
        f"/admin/user?{name}",
        f"/admin/user/access?{name}",
        "/admin/events",
        "/admin/client?id=none",
        "/admin/grants?user=nobody",
    ):
        window.open(path)
        assert window.page.locator("main h1").count() == 1, path
        for scheme, size in TWO_LOOKS:
            window.look(scheme, size)
            assert axe.findings(window.page) == [], path
            assert not window.scrolls_sideways(), path
