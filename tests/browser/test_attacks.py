"""What strangers put on pages and around them: texts that want to be markup, and frames that want a click."""

from __future__ import annotations

import re
from collections import Counter
from urllib.parse import quote, urlencode

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.clients import Client, Listener, listening
from tests.browser.payloads import PAYLOADS
from tests.browser.window import Window
from tests.cli.processes import Demo

requirement = pytest.mark.requirement

# Every element with the names of its attributes, and every address that a person can be led to.
_INVENTORY = """() => [...document.querySelectorAll("*")].map((element) =>
    [element.tagName, ...element.getAttributeNames().sort()].join(" "))"""
_ADDRESSES = """() => [...document.querySelectorAll("[href],[src],[action],[formaction]")].flatMap((element) =>
    ["href", "src", "action", "formaction"].filter((name) => element.hasAttribute(name)).map((name) =>
        new URL(element.getAttribute(name), document.baseURI).href))"""


def inventory(window: Window) -> Counter[str]:
    """What a page is made of."""
    return Counter(window.page.evaluate(_INVENTORY))


def signed_in(window: Window) -> None:
    """Sign in, with nothing to go on to."""
    window.open("/signin")
    window.sign_in()
    expect(window.page.locator("input[name=password]")).to_have_count(0)


def test_there_are_sixty_payloads() -> None:
    assert len(set(PAYLOADS)) == len(PAYLOADS) == 60


def _registered(demo: Demo, redirect_uri: str, payload: str) -> Client | None:
    """A client whose every text is the payload, as far as the server takes it; None if it takes not even the name."""
    texts = {"client_name": payload, "client_name#de": payload, "software_id": payload, "contacts": [payload]}
    links = dict.fromkeys(("client_uri", "logo_uri", "tos_uri", "policy_uri"), payload)
    inside = dict.fromkeys(links, f"https://c.test/{payload}")
    basis = {"redirect_uris": [redirect_uri], "token_endpoint_auth_method": "none"}
    for metadata in (texts | links, texts | inside, texts, {"client_name": payload}):
        answer = httpx.post(f"{demo.url}/register", json=basis | metadata)
        if answer.status_code == 201:
            return Client(demo.url, answer.json()["client_id"], redirect_uri, "v" * 43, "s")
        assert answer.status_code == 400, answer.text
    return None


@requirement("A-236")
def test_metadata_of_a_client_stays_text_on_the_consent_page(window: Window, demo: Demo, listener: Listener) -> None:
    signed_in(window)
    plain = _registered(demo, listener.redirect_uri, "Plain")
    assert plain is not None
    window.open(plain.request())
    without_links = inventory(window)
    shown = 0
    for payload in PAYLOADS:
        client = _registered(demo, listener.redirect_uri, payload)
        if client is None:
            continue
        window.open(client.request())
        assert window.path() == "/consent"
        made_of = inventory(window)
        added = made_of - without_links
        assert set(added) <= {"UL", "LI", "DT", "DD", "A href rel"}, f"{payload!r} added {added}"
        for address in window.page.evaluate(_ADDRESSES):
            assert address.startswith((f"{window.url}/", "https://c.test/")), f"{payload!r} leads to {address}"
        # Blanks and characters without a shape apart, it is there to be read as it was written.
        name = window.page.locator(".name").first.text_content() or ""
        assert _visible(name) == _visible(payload)
        shown += 1
    assert shown >= 50, "most of the texts are taken as a name, and stay one"


def _visible(text: str) -> str:
    return re.sub(r"[\s\x00-\x1f\u2028\u2029\ufeff]+", "", text)


@requirement("A-237")
@pytest.mark.parametrize(
    "place",
    [
        "/authorize?client_id={}&redirect_uri={}&state={}&scope={}&resource={}&response_type={}",
        "/authorize?{known}&redirect_uri={}",
        "{request}&state={}&login_hint={}&ui_locales={}",
        "/signin?i={}&to={}",
        "/consent?i={}&error={}",
        "/account/connections?after={}&done={}",
        "/callback?error={}",
        "/callback?error={}&error_description={}&state={}&iss={}&code={}",
        "/{}",
        "/playground/{}",
    ],
)
def test_nothing_of_an_address_becomes_markup(window: Window, client: Client, place: str) -> None:
    signed_in(window)

    known, request = urlencode({"client_id": client.client_id}), client.request(state=None)

    def look(text: str) -> Counter[str]:
        value = quote(text, safe="")
        window.open(place.replace("{request}", request).replace("{known}", known).replace("{}", value))
        if place.startswith("/callback"):
            expect(window.page.locator("#steps li")).to_have_count(10)
        assert window.page.url.startswith(f"{window.url}/")
        return inventory(window)

    window.open("/")
    window.page.evaluate("sessionStorage.clear()")
    # A character that nothing may hold can make another page of it: one that says so.
    plain = [look("plain-text"), look("plain\x01text")]
    for payload in PAYLOADS:
        assert look(payload) in plain, f"{payload!r} made another page of {place}"


_FRAMES = """<!doctype html><title>x</title>{}"""
_FRAME = '<iframe src="{}" width=400 height=300></iframe>'
_OBJECT = '<object data="{}" width=400 height=300></object><embed src="{}" width=400 height=300>'


@requirement("A-234")
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_no_page_is_shown_in_a_frame_of_somebody_else(window: Window, client: Client, host: str) -> None:
    signed_in(window)
    window.open(client.request())
    question = window.page.url.removeprefix(window.url)
    paths = [
        question,
        client.request(),
        "/signin",
        "/consent",
        "/authorize?client_id=unknown",
        "/account",
        "/account/connections",
        "/account/sessions",
        "/account/password",
        "/admin",
        "/",
        "/callback?error=x",
        "/playground/icon.svg",
        "/signin.css",
    ]
    frames = "".join(_FRAME.format(f"{window.url}{path}") for path in paths)
    objects = _OBJECT.format(f"{window.url}{question}", f"{window.url}{question}")
    with listening(_FRAMES.format(frames + objects).encode()) as place:
        origin = place.origin.replace("127.0.0.1", host)
        window.known |= {origin, "chrome-error://chromewebdata"}
        window.page.goto(f"{origin}/framing")
        framed = window.page.frames[1:]
        assert len(framed) >= len(paths)
        for frame in framed:
            assert frame.url.startswith("chrome-error:"), f"{frame.url} is shown in a frame"
            assert frame.locator("form, input, main").count() == 0
        # Chromium says which header forbade it, for each of them; here it is what has to happen.
        refused = [said for said in window.violations if "frame-ancestors" in said]
        assert len(refused) >= len(paths)
        window.violations[:] = [said for said in window.violations if "frame-ancestors" not in said]


@requirement("A-234")
def test_not_even_a_page_of_the_server_frames_another(window: Window, client: Client) -> None:
    signed_in(window)
    window.open("/")
    # The page's own policy forbids to load frames, and that of the other page to be one.
    loaded = window.page.evaluate(
        """(path) => new Promise((resolve) => {
            const frame = document.createElement("iframe");
            document.addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective));
            frame.src = path;
            document.body.append(frame);
        })""",
        "/signin",
    )
    assert loaded == "frame-src"
    assert window.violations
    window.violations.clear()
