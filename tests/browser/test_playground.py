"""The playground in a real browser: a whole life of a token, by hand and by itself, and what it does not believe."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from tests.browser.accessibility import Axe
from tests.browser.conftest import MakeWindow
from tests.browser.window import LOOKS, PHONE, TWO_LOOKS, Window
from tests.cli.processes import Demo

requirement = pytest.mark.requirement

STEPS = ("discover", "register", "authorize", "exchange", "call", "narrow", "refresh", "replay", "revoke", "steal")
# The server forgives a retired token for ten seconds, and the page waits for eleven.
WHOLE_LIFE_MILLISECONDS = 60_000


def step(window: Window, name: str) -> None:
    """Press the button of a step, and see it done."""
    window.page.locator(f"#{name} .actions button:not(.step-up)").click()
    expect(window.page.locator(f"#{name}")).to_have_attribute("data-state", "done")


def through_consent(window: Window, *, without: str = "") -> None:
    """Sign in where that is asked, and allow, with a scope unticked if it is named."""
    window.page.wait_for_url(re.compile("/(signin|consent)"))
    if window.path() == "/signin":
        window.sign_in()
        window.page.wait_for_url("**/consent**")
    if without:
        window.page.locator(f"input[name=scope][value='{without}']").uncheck()
    window.press("allow")
    window.page.wait_for_url(f"{window.url}/")


@requirement("G-641")
def test_run_all_goes_from_a_401_to_a_dead_grant(window: Window, demo: Demo, axe: Axe) -> None:
    window.open("/")
    window.page.get_by_role("button", name="Run all").click()
    through_consent(window)
    expect(window.page.locator("#finished")).to_be_visible(timeout=WHOLE_LIFE_MILLISECONDS)
    for name in STEPS:
        expect(window.page.locator(f"#{name}")).to_have_attribute("data-state", "done")
    statuses = [
        [
            text.partition(" ")[0]
            for text in window.page.locator(f"#{name} .exchange > summary .badge").all_inner_texts()
        ]
        for name in STEPS
    ]
    assert statuses == [
        ["401", "200", "200"],
        ["201"],
        ["303"],
        ["200", "400"],
        ["200", "201"],
        ["200", "403"],
        ["200"],
        ["200"],
        ["200", "401"],
        ["200", "400", "401", "400"],
    ]
    assert {state for _, state in _holdings(window)} == {"dead"}
    assert "active" not in demo.run("grants", "list")
    # Every exchange is unfolded and every part of the page is looked at, in every look.
    window.page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    for scheme, size in LOOKS:
        window.look(scheme, size)
        assert axe.findings(window.page) == []
        assert not window.scrolls_sideways()


def _holdings(window: Window) -> list[tuple[str, str]]:
    items = window.page.locator("#holdings li[data-state]")
    return [(item.locator("strong").inner_text(), item.get_attribute("data-state") or "") for item in items.all()]


@requirement("G-641")
def test_a_person_goes_step_by_step_with_the_keyboard_alone(new_window: MakeWindow) -> None:
    window = new_window("dark", PHONE)
    keyboard = window.page.keyboard
    window.open("/")
    first = window.page.locator("#discover .actions button")
    for _ in range(20):
        keyboard.press("Tab")
        if first.evaluate("(button) => button === document.activeElement"):
            break
    for name in ("discover", "register"):
        # The focus moves on to the next button by itself.
        expect(window.page.locator(f"#{name} .actions button")).to_be_focused()
        keyboard.press("Enter")
        expect(window.page.locator(f"#{name}")).to_have_attribute("data-state", "done")
        expect(window.page.get_by_role("status")).to_contain_text("Done:")
    expect(window.page.locator("#authorize .actions button")).to_be_focused()
    keyboard.press("Enter")
    through_consent(window)
    for name in STEPS[3:9]:
        expect(window.page.locator(f"#{name} .actions button:not([hidden])").first).to_be_focused()
        keyboard.press("Enter")
        expect(window.page.locator(f"#{name}")).to_have_attribute("data-state", "done")
    assert ("Access token 3", "revoked") in _holdings(window)


@requirement("G-641", "G-640")
def test_the_page_explains_every_value_and_what_the_server_keeps_of_it(window: Window, demo: Demo) -> None:
    window.open("/")
    for name in ("discover", "register"):
        step(window, name)
    window.page.locator("#authorize .actions button").click()
    through_consent(window)
    assert window.page.url == f"{demo.url}/", "the code is out of the address bar"
    step(window, "exchange")
    parts = window.page.locator("#exchange .anatomy")
    expect(parts).to_have_count(2)
    for token, names in (
        (parts.nth(0), ["kind", "grant id", "secret", "checksum"]),
        (parts.nth(1), ["kind", "grant id", "family", "secret", "checksum"]),
    ):
        assert [part.get_attribute("data-part") for part in token.locator(".token span").all()] == names
        assert len(token.locator("dd").all()) == len(names) + 1
    database = b"".join(file.read_bytes() for file in demo.folder.glob("grantwell.db*"))
    assert window.page.locator(".kept").count() == 3
    for kept in window.page.locator(".kept").all():
        digest = bytes.fromhex(kept.text_content() or "")
        assert len(digest) == 32
        assert digest in database, "what the page says the server keeps is in its database"
    for shown in window.page.locator("#exchange .token").all_inner_texts():
        assert shown.encode() not in database
    sent = window.page.locator("#authorize .values dt").all_text_contents()
    assert {"state", "code_challenge", "resource", "iss"} <= set(sent)


@requirement("G-641")
@pytest.mark.parametrize("without", ["", "notes:write"])
def test_a_403_leads_back_to_the_person_and_on(window: Window, without: str) -> None:
    window.open("/")
    for name in ("discover", "register"):
        step(window, name)
    window.page.locator("#authorize .actions button").click()
    through_consent(window, without=without)
    for name in ("exchange", "call", "narrow"):
        step(window, name)
    expect(window.page.locator("#narrow .outcome")).to_contain_text("notes:write")
    refused = window.page.locator("#narrow .exchange").last
    expect(refused.locator(".badge").first).to_contain_text("403")
    window.page.get_by_role("button", name="Or ask the person for notes:write").click()
    through_consent(window)
    expect(window.page.locator("#narrow .outcome")).to_contain_text("asked again")
    assert (
        window.page.locator("#narrow > .exchanges > .exchange").last.locator(".badge").first.inner_text()[:3] == "201"
    )
    expect(window.page.locator("#narrow .step-up")).to_have_count(0)
    for name in ("refresh", "replay", "revoke"):
        step(window, name)


@requirement("G-641")
def test_a_step_up_that_is_denied_leaves_the_way_on(window: Window) -> None:
    window.open("/")
    for name in ("discover", "register"):
        step(window, name)
    window.page.locator("#authorize .actions button").click()
    through_consent(window)
    for name in ("exchange", "call", "narrow"):
        step(window, name)
    window.page.locator("#narrow .step-up").click()
    window.page.wait_for_url("**/consent**")
    window.press("deny")
    window.page.wait_for_url(f"{window.url}/")
    expect(window.page.locator("#narrow .outcome")).to_contain_text("access_denied")
    step(window, "refresh")


@requirement("G-641")
def test_a_denial_is_shown_and_can_be_tried_again(window: Window) -> None:
    window.open("/")
    window.page.get_by_role("button", name="Run all").click()
    window.page.wait_for_url("**/signin**")
    window.sign_in()
    window.page.wait_for_url("**/consent**")
    window.press("deny")
    window.page.wait_for_url(f"{window.url}/")
    expect(window.page.locator("#authorize")).to_have_attribute("data-state", "failed")
    expect(window.page.locator("#authorize .outcome")).to_contain_text("access_denied")
    expect(window.page.get_by_role("status")).to_contain_text("Not done")
    window.page.get_by_role("button", name="Try again").click()
    through_consent(window)
    expect(window.page.locator("#authorize")).to_have_attribute("data-state", "done")


@requirement("G-641", "G-640")
@pytest.mark.parametrize(
    "query",
    [
        "code=gwc_stolen&state=another",
        "code=gwc_stolen&state=",
        "error=<img src=x onerror=alert(1)>&error_description=<script>alert(1)</script>&state=x",
        "error=access_denied&error_description=%22%3E%3Csvg/onload=alert(1)%3E&state=__proto__",
    ],
)
def test_an_answer_that_nobody_asked_for_is_thrown_away(window: Window, query: str) -> None:
    window.open("/")
    for name in ("discover", "register"):
        step(window, name)
    window.page.goto(f"{window.url}/callback?{query}")
    expect(window.page.locator("#authorize")).to_have_attribute("data-state", "failed")
    expect(window.page.locator("#authorize .outcome")).to_contain_text("did not ask for")
    assert window.page.url == f"{window.url}/"
    assert window.page.locator("main img, main script, main svg").count() == 0
    assert "token" not in [request.rpartition("/")[2] for request in window.requests]


@requirement("G-641", "G-640")
@pytest.mark.parametrize(
    ("state", "iss", "words"),
    [
        ("{state}", "https://evil.test", "another server"),
        ("{state}", "", "another server"),
        ("another", "{iss}", "did not ask for"),
        ("{state}x", "{iss}", "did not ask for"),
    ],
)
def test_an_answer_to_another_question_or_of_another_server_is_thrown_away(
    window: Window, state: str, iss: str, words: str
) -> None:
    window.open("/")
    for name in ("discover", "register"):
        step(window, name)
    window.page.locator("#authorize .actions button").click()
    window.page.wait_for_url("**/signin**")
    own = window.page.evaluate("JSON.parse(sessionStorage.getItem('grantwell-playground')).flow.state")
    query = urlencode({"code": "gwc_x", "state": state.format(state=own), "iss": iss.format(iss=window.url)})
    window.page.goto(f"{window.url}/callback?{query}")
    expect(window.page.locator("#authorize .outcome")).to_contain_text(words)
    assert window.page.url == f"{window.url}/"
    assert not [request for request in window.requests if request.endswith("/token")]


@requirement("G-641")
def test_tokens_are_in_this_tab_alone_and_go_with_it(window: Window) -> None:
    window.open("/")
    for name in ("discover", "register"):
        step(window, name)
    window.page.locator("#authorize .actions button").click()
    through_consent(window)
    step(window, "exchange")
    other = window.context.new_page()
    other.goto(window.url)
    expect(other.locator("#holdings")).to_contain_text("Nothing yet.")
    assert window.page.evaluate("localStorage.length") == 0
    assert "gw" not in window.page.evaluate("document.cookie")
    window.page.reload()
    expect(window.page.locator("#holdings")).to_contain_text("Refresh token 1")
    window.page.get_by_role("button", name="Start over").click()
    expect(window.page.locator("#holdings")).to_contain_text("Nothing yet.")
    assert window.page.evaluate("sessionStorage.length") == 0
    assert window.page.locator("#discover .actions button").is_enabled()


@requirement("G-641")
def test_tabs_follow_the_arrow_keys_and_without_script_there_is_curl(new_window: MakeWindow, axe: Axe) -> None:
    window = new_window()
    window.open("/")
    play, curl = window.page.get_by_role("tab").all()
    play.focus()
    window.page.keyboard.press("ArrowRight")
    expect(curl).to_be_focused()
    expect(window.page.get_by_text("Register a client:")).to_be_visible()
    expect(window.page.locator("#steps")).to_be_hidden()
    for scheme, size in TWO_LOOKS:
        window.look(scheme, size)
        assert axe.findings(window.page) == []
        assert not window.scrolls_sideways()
    window.page.keyboard.press("ArrowLeft")
    expect(window.page.locator("#steps")).to_be_visible()
    plain = new_window(script=False)
    plain.open("/")
    expect(plain.page.get_by_text("Register a client:")).to_be_visible()
    expect(plain.page.locator("#run-all")).to_be_hidden()
    plain.open(f"/callback?code=gwc_{'A' * 65}")
    expect(plain.page.get_by_text("Get the tokens:")).to_be_visible()
