"""What the pages say and show, and that no name, address or parameter becomes markup."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import grantwell.signin
from grantwell import Resource
from grantwell.signin.texts import TEXTS
from grantwell_storage import MemoryStore
from tests.signin.browser import USER, Browser, PageReader, Place, check_page, form_of, read, running_place
from tests.wire.world import SCOPES

pytestmark = pytest.mark.anyio

PAYLOADS = [
    "<script>alert(1)</script>",
    '"><script>alert(1)</script>',
    "'><img src=x onerror=alert(1)>",
    "</title><svg onload=alert(1)>",
    '" autofocus onfocus=alert(1) x="',
    "' onmouseover='alert(1)",
    "</main></body><iframe srcdoc='<script>alert(1)</script>'>",
    "javascript:alert(1)",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;",
    "<!--",
    "]]>",
    "{{7*7}}${7*7}<%= 7*7 %>{% x %}",
    "\\u003cscript\\u003e",
    "<bdi></bdi></dd></dl><form action=https://evil.test><input name=password>",
    "<meta http-equiv=refresh content=0;url=https://evil.test>",
    "<link rel=stylesheet href=//evil.test>",
    "<base href=//evil.test>",
    "`'\"<>&;/",
]


@pytest.mark.requirement("A-236", "S-164")
@pytest.mark.parametrize("payload", PAYLOADS)
async def test_a_name_is_a_name_whatever_is_in_it(payload: str) -> None:
    async with running_place(MemoryStore()) as place:
        browser = place.browser()
        client = await place.client(client_name=payload)
        sign_in = await browser.follow(await browser.authorize(client))
        page = await browser.asked(client)
        for shown, forms in ((read(sign_in), ["/signin"]), (read(page), ["/consent", "/signout"])):
            assert payload in shown.words
            assert [action for action, _ in shown.forms] == forms
            assert {tag for tag, _ in shown.elements} <= HARMLESS


HARMLESS = {
    "html", "head", "meta", "title", "link", "body", "main", "h1", "p", "dl", "dt", "dd", "bdi", "code", "ul", "li",
    "span", "form", "input", "button", "a", "label", "div", "details", "summary", "header",
    "hr", "h2", "fieldset", "legend", "strong",
}  # fmt: skip


@pytest.mark.requirement("A-236", "S-164")
@pytest.mark.parametrize("link", ["client_uri", "tos_uri", "policy_uri", "logo_uri"])
async def test_a_link_of_a_client_is_https_even_if_the_database_says_otherwise(
    link: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_place(MemoryStore()) as place:
        browser = place.browser()
        client = await place.client()
        helpers = place.world.provider.helpers
        load = helpers.load_authorization_request

        async def altered(encoded: str) -> Any:
            request = await load(encoded)
            metadata = {link: "javascript:alert(1)//https://"}
            return replace(request, client=replace(request.client, metadata=metadata))

        monkeypatch.setattr(helpers, "load_authorization_request", altered)
        page = await browser.asked(client)
        assert "javascript:" not in page.text


@pytest.mark.requirement("A-237", "S-164")
@pytest.mark.parametrize("payload", PAYLOADS)
async def test_no_parameter_becomes_markup(place: Place, browser: Browser, payload: str) -> None:
    client = await place.client()
    for name in ("client_id", "redirect_uri", "state", "scope", "resource", "login_hint", "error", "prompt", payload):
        answer = await browser.authorize(client, **{"response_type": "token", name: payload})
        assert {tag for tag, _ in read(answer).elements} <= HARMLESS
        assert payload not in answer.text or payload in ("javascript:alert(1)", "\\u003cscript\\u003e")
        assert not [a for a in read(answer).named("a") if not (a["href"] or "").startswith("https://c1.test/cb?")]
    for path in ("/signin", "/consent", f"/signin/{payload}", f"/{payload}"):
        answer = await browser.get(path, params={"i": payload, "signed_out": payload, payload: payload})
        assert {tag for tag, _ in read(answer).elements} <= HARMLESS
        assert payload not in answer.text
    failed = await browser.sign_in(username=payload, password="wrong password")
    assert form_of(failed, "/signin")["username"] == payload
    assert {tag for tag, _ in read(failed).elements} <= HARMLESS


@pytest.mark.requirement("S-160", "S-161", "S-163", "A-241", "D-28")
async def test_the_question_says_who_asks_for_what_and_where_the_answer_goes(place: Place, browser: Browser) -> None:
    client = await place.client(client_name="AS administrator", redirect_uris=["https://xn--80ak6aa92e.com:8443/cb"])
    page = await browser.asked(client, scope="read write")
    shown = read(page)
    for text in (
        "AS administrator",
        client["client_id"],
        "The API",
        "https://as.test/api",
        SCOPES["read"],
        SCOPES["write"],
        "30 days at most",
        USER,
        TEXTS["consent.not_verified"],
    ):
        assert text in shown.words
    assert TEXTS["consent.verified"] not in shown.words
    assert '<p class="host">xn--80ak6aa92e.com:8443</p>' in page.text
    assert '<bdi class="name">AS administrator</bdi>' in page.text
    assert TEXTS["consent.loopback"] not in shown.words


@pytest.mark.requirement("S-163", "A-241")
async def test_a_client_of_the_operator_is_marked_as_such(place: Place, browser: Browser) -> None:
    shown = read(await browser.asked(await place.trusted_client(client_name="Notes")))
    assert TEXTS["consent.verified"] in shown.words
    assert TEXTS["consent.not_verified"] not in shown.words


@pytest.mark.requirement("S-161", "S-162", "A-241")
@pytest.mark.parametrize(
    ("redirect_uri", "host", "is_local"),
    [
        ("http://127.0.0.1:7777/cb", "127.0.0.1:7777", True),
        ("http://localhost/cb", "localhost", True),
        ("http://[::1]/cb", "[::1]", True),
        ("com.example.app:/cb", "com.example.app", False),
        ("https://127.0.0.1.evil.test/cb", "127.0.0.1.evil.test", False),
    ],
)
async def test_an_answer_to_this_computer_is_warned_of(redirect_uri: str, host: str, is_local: bool) -> None:
    async with running_place(MemoryStore()) as place:
        page = await place.browser().asked(await place.client(redirect_uris=[redirect_uri]))
        assert f'<p class="host">{host}</p>' in page.text
        assert (TEXTS["consent.loopback"] in read(page).words) == is_local


@pytest.mark.requirement("S-165", "S-157", "A-142")
async def test_links_of_a_client_open_without_a_trace(place: Place, browser: Browser) -> None:
    links = {
        "client_uri": "https://c1.test/?a=1&b=2",
        "tos_uri": "https://c1.test/tos",
        "logo_uri": "https://c1.test/logo",
    }
    page = await browser.asked(await place.client(**links))
    anchors = read(page).named("a")
    assert [a["href"] for a in anchors] == ["https://c1.test/?a=1&b=2", "https://c1.test/tos"]
    assert {a["rel"] for a in anchors} == {"noopener noreferrer"}
    assert "logo" not in page.text


@pytest.mark.requirement("S-160")
@pytest.mark.parametrize(
    ("options", "grant_types", "text"),
    [
        ({}, ["authorization_code"], "1 hour at most."),
        ({"refresh_token_ttl": 0, "access_token_ttl": 90}, None, "90 seconds at most."),
        ({"refresh_token_ttl": None}, None, "Until you or the operator ends it."),
        ({"refresh_token_idle_ttl": 86_400}, None, "30 days at most, less if it is not used for 1 day."),
        ({"refresh_token_ttl": 600}, None, "10 minutes at most."),
    ],
)
async def test_the_question_says_for_how_long(
    options: dict[str, Any], grant_types: list[str] | None, text: str
) -> None:
    async with running_place(MemoryStore(), **options) as place:
        changes = {} if grant_types is None else {"grant_types": grant_types}
        assert text in read(await place.browser().asked(await place.client(**changes))).words


@pytest.mark.requirement("A-240")
async def test_a_flood_of_scopes_and_a_long_name_leave_the_buttons_in_sight() -> None:
    scopes = {f"scope{n}": f"Do thing number {n}" for n in range(60)}
    resources = {"/api": Resource(scopes=scopes), "/other": Resource()}
    async with running_place(MemoryStore(), resources=resources) as place:
        browser = place.browser()
        client = await place.client(client_name="Z\u0351\u0343" * 33)
        page = await browser.asked(client, scope=" ".join(scopes))
        shown = read(page)
        assert all(text in shown.words for text in scopes.values())
        folded = page.text[page.text.index("<details>") : page.text.index("</details>")]
        assert folded.count("<li>") == 52
        assert "… and 52 more" in folded
        assert page.text.index("</details>") < page.text.index('value="allow"')


async def test_scopes_and_resources_without_words_are_called_by_their_names() -> None:
    resources = {"/api": Resource(scopes={"read": ""}), "/other": Resource()}
    async with running_place(MemoryStore(), resources=resources) as place:
        browser = place.browser()
        client = await place.client(client_name=None)
        page = await browser.asked(client, scope="read")
        assert '<div class="plain"><span>read' in page.text.replace("\n", "")
        assert TEXTS["consent.nameless"] in read(page).words
        other = await browser.asked(client, scope=None, resource="https://as.test/other")
        assert TEXTS["consent.no_scopes"] in read(other).words


@pytest.mark.requirement("A-235")
async def test_no_button_of_the_question_has_the_focus(place: Place, browser: Browser) -> None:
    page = await browser.asked(await place.client())
    assert "autofocus" not in page.text
    buttons = read(page).named("button")
    assert [(b.get("name"), b.get("value")) for b in buttons] == [
        (None, None),
        ("decision", "deny"),
        ("decision", "allow"),
    ]


@pytest.mark.requirement("A-235")
async def test_a_click_that_was_meant_for_another_page_finds_no_allow_button(place: Place, browser: Browser) -> None:
    page = await browser.asked(await place.client())
    late = [button["value"] for button in read(page).named("button") if "late" in (button.get("class") or "").split()]
    assert late == ["allow"]
    style = (await browser.http.get("/signin.css")).text
    assert "@keyframes arriving { from, 99% { visibility: hidden; } }" in style
    assert "@keyframes holding { from, 99% { pointer-events: none; } }" in style
    assert ".late { animation: arriving 600ms step-end; }" in style
    assert "html:hover .late { animation: arriving 600ms step-end, holding 600ms step-end; }" in style


@pytest.mark.requirement("A-299")
async def test_the_question_tells_nothing_about_other_users(place: Place) -> None:
    await place.accounts.add("bob", "battery staple")
    client = await place.client()
    first = place.browser()
    before = read(await first.asked(client)).words
    other = place.browser()
    page = await other.follow(await other.authorize(client))
    await other.answer(await other.follow(await other.sign_in(page, username="bob", password="battery staple")))
    assert read(await first.asked(client)).words == before


@pytest.mark.requirement("S-155", "S-156", "S-157", "A-234", "A-238", "A-239", "D-28")
async def test_every_page_forbids_frames_scripts_and_what_comes_from_elsewhere(place: Place, browser: Browser) -> None:
    client = await place.client()
    consent = await browser.asked(client)
    pages = [
        await place.browser().get("/signin"),
        await browser.get("/signin"),
        consent,
        await browser.get("/signin?signed_out=1"),
        await place.browser().get("/signin?signed_out=1"),
        await browser.get("/authorize"),
        await browser.get("/consent"),
        await browser.get("/nowhere"),
        await browser.get("/signout"),
        await browser.post("/signin", {}),
        await browser.post("/consent", form_of(consent, "/consent") | {"csrf": "x"}),
        await browser.post("/consent", {"x": "y" * 70_000}),
        await place.browser().sign_in(password="wrong password"),
        await browser.http.head("/signin"),
    ]
    for page in pages:
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        check_page(page)
        assert "form-action" not in page.headers["content-security-policy"]
        for link in read(page).named("link"):
            assert link == {"rel": "stylesheet", "href": "/signin.css"}
    sheet = await browser.get("/signin.css")
    assert sheet.headers["content-type"] == "text/css; charset=utf-8"
    assert sheet.headers["x-content-type-options"] == "nosniff"
    assert "url(" not in sheet.text
    assert "@import" not in sheet.text


@pytest.mark.requirement("S-156", "A-239")
def test_the_sources_of_the_pages_hold_no_script() -> None:
    folder = Path(grantwell.signin.__file__).parent
    sources = [*folder.rglob("*.py"), *folder.rglob("*.html"), *folder.rglob("*.css")]
    assert len({path.suffix for path in sources}) == 3
    for path in sources:
        text = path.read_text(encoding="utf-8")
        for forbidden in ("<script", "http-equiv", "location=", "innerHTML", "onclick", "unsafe-inline", "| safe"):
            assert forbidden not in text


def test_a_page_reader_sees_what_it_is_to_find() -> None:
    reader = PageReader("<p onclick=x>a<script>alert(1)</script><form action=/x><input name=a value=b></form>")
    assert ("script", {}) in reader.elements
    assert reader.forms == [("/x", {"a": "b"})]


@pytest.mark.requirement("S-160")
async def test_a_scope_is_called_what_the_resources_of_the_request_call_it(place: Place, browser: Browser) -> None:
    client = await place.client()
    await browser.sign_in()
    both = ["https://as.test/api", "https://as.test/other"]
    for resource, words in (([both[0]], ["Read things"]), ([both[1]], ["Read"]), (both, ["Read things", "Read"])):
        page = await browser.asked(client, resource=resource)
        assert f"<span>{'; '.join(words)} <code>read</code>" in page.text
