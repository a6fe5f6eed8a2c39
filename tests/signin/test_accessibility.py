"""The pages in the hands of people who cannot see them, use no mouse, or have no stylesheet: read from their markup."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import httpx
import pytest

from grantwell import Resource
from grantwell_storage import MemoryStore
from tests.signin.browser import Place, read, running_place

pytestmark = pytest.mark.anyio

PAGES = ("signin", "failed", "consent", "none chosen", "problem", "signed in", "signed out", "not found")
VOID = {"meta", "link", "input", "br", "hr", "img"}


@pytest.fixture
async def pages() -> AsyncIterator[dict[str, httpx.Response]]:
    """Every page that somebody comes by on the way to a client, or off it."""
    async with running_place(MemoryStore()) as place:
        yield await _pages_of(place)


async def _pages_of(place: Place) -> dict[str, httpx.Response]:
    browser = place.browser()
    client = await place.client()
    found = {"signin": await browser.follow(await browser.authorize(client, scope="read write offline_access"))}
    found["failed"] = await browser.sign_in(found["signin"], password="wrong password")
    found["consent"] = await browser.follow(await browser.sign_in(found["signin"]))
    found["none chosen"] = await browser.answer(found["consent"], ticked=[])
    found["problem"] = await browser.authorize(client, client_id="unheard-of")
    found["signed in"] = await browser.get("/signin")
    found["not found"] = await browser.get("/nowhere")
    form = dict(read(found["signed in"]).forms)["/signout"]
    found["signed out"] = await browser.follow(await browser.post("/signout", form))
    return found


@pytest.mark.requirement("G-532")
async def test_every_page_has_a_language_a_title_one_main_part_and_headings_without_gaps(
    pages: dict[str, httpx.Response],
) -> None:
    assert set(pages) == set(PAGES)
    titles = set()
    for name, page in pages.items():
        shown = read(page)
        assert [html["lang"] for html in shown.named("html")] == ["en"], name
        assert len(shown.named("main")) == len(shown.named("header")) == len(shown.named("h1")) == 1, name
        levels = [int(tag[1]) for tag, _ in shown.elements if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1, name
        assert all(after <= before + 1 for before, after in pairwise(levels)), name
        assert shown.named("meta")[1]["content"] == "width=device-width, initial-scale=1", "so that people can zoom"
        titles.add(re.findall(r"<title>(.*?)</title>", page.text)[0])
    assert len(titles) == len(PAGES), "each page can be told from the others in a list of windows"


@pytest.mark.requirement("G-532")
async def test_every_field_has_a_label_and_every_group_of_boxes_a_legend(pages: dict[str, httpx.Response]) -> None:
    seen = 0
    for name, page in pages.items():
        labels = {label.get("for") for label in read(page).named("label")}
        wrapped = re.findall(r"<label><input type=\"checkbox\"", page.text)
        boxes = [field for field in read(page).named("input") if field.get("type") == "checkbox"]
        assert len(wrapped) == len(boxes), name
        assert len(read(page).named("fieldset")) == len(read(page).named("legend")), name
        assert not boxes or page.text.index("<legend>") < page.text.index('type="checkbox"'), name
        for field in read(page).named("input"):
            if field.get("type") not in ("hidden", "checkbox"):
                assert field["id"] in labels, (name, field)
                seen += 1
    assert seen == 4


@pytest.mark.requirement("G-532")
async def test_what_is_wrong_is_announced_and_tied_to_its_field(pages: dict[str, httpx.Response]) -> None:
    failed = read(pages["failed"])
    (alert,) = (attributes for _, attributes in failed.elements if attributes.get("role") == "alert")
    wrong = [field for field in failed.named("input") if field.get("aria-invalid") == "true"]
    assert [field["name"] for field in wrong] == ["username", "password"]
    assert {field["aria-describedby"] for field in wrong} == {alert["id"]}
    assert [a.get("role") for _, a in read(pages["none chosen"]).elements if a.get("role")] == ["alert"]
    for name in set(PAGES) - {"failed", "none chosen"}:
        assert not [a for _, a in read(pages[name]).elements if a.get("role") == "alert"], name


@pytest.mark.requirement("G-532")
async def test_nothing_needs_a_mouse_or_a_stylesheet(pages: dict[str, httpx.Response]) -> None:
    for name, page in pages.items():
        shown = read(page)
        assert {tag for tag, _ in shown.elements} & {"script", "style"} == set(), name
        attributes = [(tag, *item) for tag, element in shown.elements for item in element.items()]
        taboo = [
            (tag, key, value) for tag, key, value in attributes if key in ("tabindex", "accesskey", "style", "hidden")
        ]
        assert taboo == [], name
        assert not [button for button in shown.named("button") if button.get("type") not in (None, "submit")], name
        assert _unclosed(page.text) == [], name


@pytest.mark.requirement("G-532")
async def test_what_can_be_pressed_is_large_enough(pages: dict[str, httpx.Response]) -> None:
    async with running_place(MemoryStore()) as place:
        style = (await place.browser().http.get("/signin.css")).text
    heights = dict(re.findall(r"^(button(?:\.link)?) \{[^}]*min-height: ([\d.]+)rem", style, re.MULTILINE))
    assert {name: float(height) * 16 >= 24 for name, height in heights.items()} == {"button": True, "button.link": True}
    assert re.search(r"\.permissions input \{[^}]*width: 1\.5rem; height: 1\.5rem", style)
    assert "outline: none" not in style
    assert ":focus-visible { outline: 3px solid var(--link)" in style


@pytest.mark.requirement("A-240")
async def test_five_hundred_permissions_can_be_looked_through_and_allowed() -> None:
    scopes = {f"scope-{number}": f"Do the thing number {number}" for number in range(500)}
    async with running_place(MemoryStore(), resources={"/api": Resource(scopes=scopes), "/other": Resource()}) as place:
        browser = place.browser()
        client = await place.client(client_name="Z\u0351\u0343" * 33)
        page = await browser.asked(client, scope=None)
        assert "… and 492 more" in read(page).words
        actions = page.text.index('<div class="actions">')
        assert (
            page.text.index("</details>") < actions < page.text.index("Signed in as") < page.text.index('value="deny"')
        )
        style = (await browser.http.get("/signin.css")).text
        assert re.search(r"^\.actions \{\s*position: sticky;\s*bottom: 0;", style, re.MULTILINE)
        assert re.search(r"^\.name \{[^}]*max-height: 3em; overflow: hidden;", style, re.MULTILINE)
        await browser.answer(page, ticked=[scope for scope in scopes if scope != "scope-7"])
        (grant,) = await place.grants()
        assert len(grant.scopes) == 499


def _unclosed(text: str) -> list[str]:
    """The elements that begin and do not end, as a strict reader sees them."""
    open_elements: list[str] = []
    for closing, tag in re.findall(r"<(/?)([a-z][a-z0-9]*)\b", text):
        if tag in VOID:
            continue
        if not closing:
            open_elements.append(tag)
        elif not open_elements or open_elements.pop() != tag:
            return [tag]
    return open_elements


def test_the_reader_of_markup_finds_what_is_not_closed() -> None:
    cases: dict[str, Any] = {"<p><b></b></p>": [], "<p><b></p></b>": ["p"], "<ul><li></ul>": ["ul"], "<p><hr>": ["p"]}
    assert {text: _unclosed(text) for text in cases} == cases
