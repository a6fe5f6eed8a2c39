"""Names, hosts and scopes that want to push the question out of sight, and people who see pages in their own way."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect
from starlette.types import ASGIApp

from grantwell import OAuthProvider, Resource, SecretKey
from grantwell.crypto import Keyring
from grantwell.signin import Accounts, SignIn
from grantwell_storage import MemoryStore
from tests.browser.accessibility import Axe
from tests.browser.clients import Client
from tests.browser.conftest import MILLISECONDS
from tests.browser.serving import serving
from tests.browser.window import DESKTOP, PHONE, USER, Window
from tests.cli.processes import DEMO_PASSWORD
from tests.signin.browser import cheap_hasher
from tests.wire.world import api

requirement = pytest.mark.requirement

MANY = 500
LONG_WORDS = "Read " + "and write everything that there is " * 8
SCOPES = {f"thing{number}:use": f"{LONG_WORDS}{number}" for number in range(MANY)}
LONG_USER = f"{'ada' * 40}"

NAMES = {
    "long": "x" * 100,
    "words": "Allow " * 16,
    "combining": "e" + "\u0301" * 90,
    "right-to-left": "\u05d0\u05d1 " * 33,
    "arabic": "\u0627" * 100,
    "emoji": "\U0001f468" * 100,
    "blank": "\u3164" * 40,
    "spoof": "Claude (verified by Grantwell)",
}
HOSTS = {
    "long": "https://" + ".".join(["a" * 60] * 4) + "/back",
    "punycode": "https://xn--80ak6aa92e.com/back",
    "lookalike": "https://accounts.example.com.evil.test/back",
}


async def _app(url: str) -> ASGIApp:
    store, key = MemoryStore(), SecretKey(b"k" * 32)
    accounts = Accounts(store, Keyring(url, key), hasher=cheap_hasher())
    for user in (USER, LONG_USER):
        await accounts.add(user, DEMO_PASSWORD)
    return OAuthProvider(
        issuer=url,
        store=store,
        secret_key=key,
        api_handlers={"/api": api},
        resources={"/api": Resource(name="Things", scopes=SCOPES)},
        default_scopes=tuple(SCOPES),
        default_handler=SignIn(store, key, hasher=cheap_hasher()),
    )


@pytest.fixture(scope="module")
def url(chromium: Browser) -> Iterator[str]:
    """A server with five hundred scopes."""
    with serving(_app) as place:
        yield place


@pytest.fixture
def window(chromium: Browser, url: str) -> Iterator[Window]:
    """A window that is looking at that server."""
    context = chromium.new_context()
    window = Window(context, context.new_page(), url)
    context.set_default_timeout(MILLISECONDS)
    window.watch(window.page)
    yield window
    context.close()
    window.check()


def in_sight(window: Window, what: Locator) -> bool:
    """Whether an element is wholly inside the window, and nothing lies over it."""
    what.wait_for()
    return bool(
        what.evaluate("""(element) => {
            const box = element.getBoundingClientRect();
            const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
            const inside = box.x >= 0 && box.y >= 0 && box.right <= innerWidth && box.bottom <= innerHeight;
            const top = document.elementFromPoint(x, y);
            return inside && box.width > 0 && box.height > 0 && (element.contains(top) || top.contains(element));
        }""")
    )


def question(window: Window, client: Client, *, user: str = USER, scope: str | None = None) -> None:
    """Come from a client, sign in, and look at the question; one that names no scope asks for all of them."""
    window.open(client.request(scope=scope))
    if window.path() == "/signin":
        window.sign_in(user)
    assert window.path() == "/consent", window.text()
    expect(window.page.locator("button[value=allow]")).to_be_visible()


def check_question(window: Window, *, at_once: bool = True) -> None:
    """Buttons and user are in sight at once, or can be scrolled to as the host can, whole and uncovered."""
    for look in (PHONE, DESKTOP):
        window.look("light", look)
        window.page.evaluate("scrollTo(0, 0)")
        for what in ("button[value=allow]", "button[value=deny]", ".actions bdi"):
            element = window.page.locator(what)
            if not at_once:
                element.evaluate("(element) => element.scrollIntoView({block: 'center'})")
            assert in_sight(window, element)
        host = window.page.locator(".host")
        host.evaluate("(element) => element.scrollIntoView({block: 'start'})")
        assert in_sight(window, host)
        assert not host.evaluate("(element) => element.scrollWidth > element.clientWidth")
        assert not window.scrolls_sideways()


@requirement("A-240", "A-241")
@pytest.mark.parametrize("name", NAMES)
def test_no_name_pushes_the_question_out_of_sight(window: Window, url: str, name: str) -> None:
    client = Client.registered(url, "https://client.example/back", client_name=NAMES[name])
    question(window, client)
    check_question(window)
    host = window.page.locator(".host")
    assert host.inner_text() == "client.example"
    size = "(element) => parseFloat(getComputedStyle(element).fontSize)"
    shown = window.page.locator("main .name").first
    assert host.evaluate(size) > shown.evaluate(size), "the host is larger than the name"
    # What marks a name does to the letters around it ends with its box.
    assert shown.evaluate("(element) => element.tagName") == "BDI"
    box = shown.bounding_box()
    assert box is not None
    assert box["height"] <= 3.1 * shown.evaluate(size)


@requirement("A-240", "A-241")
@pytest.mark.parametrize("name", ["combining", "right-to-left", "arabic", "emoji"])
def test_no_name_draws_over_what_stands_beside_it(window: Window, url: str, name: str) -> None:
    window.look("light", PHONE)
    seen = []
    for client_name in ("x" * 100, NAMES[name]):
        question(window, Client.registered(url, "https://client.example/back", client_name=client_name))
        window.come_to_rest()
        box = window.page.locator(".to")
        box.evaluate("(element) => element.scrollIntoView({block: 'start'})")
        seen.append(box.screenshot())
    assert seen[0] == seen[1], f"{unicodedata.name(NAMES[name][1])} changed the picture of the host"


@requirement("A-240", "A-241")
@pytest.mark.parametrize("host", HOSTS)
def test_every_host_is_shown_whole(window: Window, url: str, host: str) -> None:
    client = Client.registered(url, HOSTS[host])
    question(window, client)
    # The longest that there can be fills a phone; the buttons come after it.
    check_question(window, at_once=host != "long")
    assert window.page.locator(".host").inner_text().replace("\n", "") == HOSTS[host].split("/")[2]


@requirement("A-240")
def test_hundreds_of_scopes_are_folded_and_counted(window: Window, url: str, axe: Axe) -> None:
    client = Client.registered(url, "https://client.example/back")
    question(window, client, user=LONG_USER)
    check_question(window)
    folded = window.page.locator("fieldset details")
    shown = window.page.locator("fieldset input[name=scope]")
    assert shown.count() == MANY
    visible = sum(box.is_visible() for box in shown.all())
    assert visible < 20
    assert str(shown.count() - visible) in folded.locator("summary").inner_text()
    assert axe.findings(window.page) == []
    folded.locator("summary").click()
    check_question(window)


@requirement("G-643")
def test_at_twice_the_size_everything_is_there(window: Window, url: str) -> None:
    client = Client.registered(url, "https://client.example/back", client_name="A desktop client")
    question(window, client, scope="thing1:use thing2:use")
    # Twice the letters in the same window, and half the window, which is what zooming to 200 % makes of it.
    for size, style in ((DESKTOP, "html { font-size: 200%; }"), ((640, 400), "")):
        window.look("light", size)
        sheet = window.page.evaluate_handle(
            """(text) => {
                const sheet = new CSSStyleSheet();
                sheet.replaceSync(text);
                document.adoptedStyleSheets = [sheet];
                return sheet;
            }""",
            style,
        )
        check_question_scrolls(window)
        sheet.dispose()


def check_question_scrolls(window: Window) -> None:
    """Everything of the question can be brought into sight, and nothing is cut off."""
    assert not window.scrolls_sideways()
    for what in ("h1", ".host", "fieldset label", ".actions bdi", "button[value=deny]", "button[value=allow]"):
        element = window.page.locator(what).first
        element.evaluate("(element) => element.scrollIntoView({block: 'center'})")
        assert in_sight(window, element), what


@requirement("G-643", "A-241")
def test_without_a_stylesheet_the_page_is_read_in_the_right_order(window: Window, url: str) -> None:
    window.context.route("**/signin.css", lambda route: route.fulfill(body="", content_type="text/css"))
    client = Client.registered(url, "https://client.example/back", client_name="A desktop client")
    question(window, client, scope="thing1:use")
    text = window.text()
    places = [text.find(words) for words in ("A desktop client", "client.example", "thing1:use", f"as {USER}")]
    places.append(text.rfind("Allow"))
    assert -1 not in places
    assert places == sorted(places)
    for decision in ("deny", "allow"):
        expect(window.page.locator(f"button[value={decision}]")).to_be_visible()


@requirement("G-643")
def test_colours_that_a_person_forces_leave_everything_to_be_seen(window: Window, url: str) -> None:
    client = Client.registered(url, "https://client.example/back")
    question(window, client, scope="thing1:use")
    window.page.emulate_media(forced_colors="active", reduced_motion="reduce")
    for decision in ("deny", "allow"):
        button = window.page.locator(f"button[value={decision}]")
        assert button.evaluate("(element) => getComputedStyle(element).borderTopWidth") != "0px"
