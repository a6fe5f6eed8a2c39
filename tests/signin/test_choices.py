"""The boxes of the consent page: what is left ticked is granted, what is not is neither granted nor issued."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from grantwell import Resource
from grantwell.signin.texts import TEXTS
from grantwell_storage import MemoryStore
from tests.signin.browser import ADDRESS, USER, Browser, Place, form_of, read, running_place
from tests.wire.world import R1, Tokens, answer_parameters, nothing_changes, parsed

pytestmark = pytest.mark.anyio


def boxes_of(page: httpx.Response) -> list[tuple[str | None, bool]]:
    """The boxes of a page, in order: what each is for, and whether it is ticked."""
    inputs = read(page).named("input")
    return [(box["value"], "checked" in box) for box in inputs if box.get("type") == "checkbox"]


async def tokens_of(place: Place, client: dict[str, Any], answered: httpx.Response) -> Tokens:
    """What the client gets for the code of an answer."""
    return parsed(await place.world.exchange(client, answer_parameters(answered)["code"]))


@pytest.mark.requirement("G-520")
async def test_what_is_left_unticked_is_neither_granted_nor_issued(place: Place, browser: Browser) -> None:
    client = await place.client()
    page = await browser.asked(client, scope="read write")
    assert boxes_of(page) == [("read", True), ("write", True)]
    tokens = await tokens_of(place, client, await browser.answer(page, ticked=["read"]))
    assert tokens.raw["scope"] == "read"
    assert (await place.world.call(tokens.access)).json()["scopes"] == ["read"]
    assert (await place.world.call(tokens.access, "/api/write")).status_code == 403
    (grant,) = await place.grants()
    assert grant.scopes == ("read",)
    refreshed = parsed(await place.world.refresh(client, tokens.refresh))
    assert refreshed.raw["scope"] == "read"
    wider = await place.world.refresh(client, refreshed.refresh, scope="read write")
    assert (wider.status_code, wider.json()["error"]) == (400, "invalid_scope")


@pytest.mark.requirement("G-520")
async def test_everything_is_granted_where_every_box_stays_ticked(place: Place, browser: Browser) -> None:
    client = await place.client()
    page = await browser.asked(client, scope="write read")
    tokens = await tokens_of(place, client, await browser.answer(page))
    assert tokens.raw["scope"] == "write read"


@pytest.mark.requirement("G-520")
async def test_a_single_permission_has_no_box(place: Place, browser: Browser) -> None:
    client = await place.client()
    page = await browser.asked(client)
    assert boxes_of(page) == []
    tokens = await tokens_of(place, client, await browser.answer(page))
    assert tokens.raw["scope"] == "read"


@pytest.mark.requirement("G-521")
@pytest.mark.parametrize("ticked", [[], ["offline_access"]])
async def test_nothing_ticked_grants_nothing_and_asks_again(place: Place, browser: Browser, ticked: list[str]) -> None:
    client = await place.client()
    page = await browser.asked(client, scope="read write offline_access")
    with nothing_changes(place.world):
        again = await browser.answer(page, ticked=ticked)
    assert again.status_code == 403
    assert TEXTS["consent.none_chosen"] in read(again).words
    assert {"role": "alert", "class": "danger"} in read(again).named("p")
    assert boxes_of(again) == [("read", False), ("write", False), ("offline_access", bool(ticked))]
    tokens = await tokens_of(place, client, await browser.answer(again, ticked=["write"]))
    assert tokens.raw["scope"] == "write"


@pytest.mark.requirement("G-522", "S-204", "S-259")
@pytest.mark.parametrize("grant_types", [["authorization_code"], ["authorization_code", "refresh_token"]])
async def test_a_client_that_may_not_stay_gets_no_refresh_token(grant_types: list[str]) -> None:
    async with running_place(MemoryStore()) as place:
        browser = place.browser()
        client = await place.client(grant_types=grant_types)
        page = await browser.asked(client, scope="read offline_access")
        assert boxes_of(page) == [("offline_access", True)]
        assert "Without this, the access ends after 1 hour." in read(page).words
        tokens = await tokens_of(place, client, await browser.answer(page, ticked=[]))
        assert (tokens.raw["scope"], "refresh_token" in tokens.raw) == ("read", False)
        (grant,) = await place.grants()
        assert grant.expires_at == place.world.clock() + 3600
        stays = await tokens_of(
            place, client, await browser.answer(await browser.asked(client, scope="read offline_access"))
        )
        assert stays.refresh


@pytest.mark.requirement("G-523", "A-227")
@pytest.mark.parametrize("sent", [["read", "admin"], ["write"], ["read", "offline_access"], ["read write"]])
async def test_a_box_that_was_not_on_the_page_grants_nothing(place: Place, browser: Browser, sent: list[str]) -> None:
    page = await browser.asked(await place.client())
    with nothing_changes(place.world):
        assert (await browser.answer(page, ticked=sent)).status_code == 403


@pytest.mark.requirement("G-520", "S-160")
async def test_what_a_permission_brings_along_is_said_beside_it() -> None:
    scopes = {"files": "Everything with your files", "files:read": "Read your files", "mail": "Read your mail"}
    resources = {"/api": Resource(scopes=scopes, implies={"files": ["files:read"]}), "/other": Resource()}
    async with running_place(MemoryStore(), resources=resources) as place:
        page = await place.browser().asked(await place.client(), scope="files files:read mail")
        words = read(page).words
        assert words.count("Includes: Read your files") == 1
        assert "Includes" not in words[words.index("Read your mail") :]


@pytest.mark.requirement("G-524")
async def test_the_enter_key_in_a_box_denies(place: Place, browser: Browser) -> None:
    page = await browser.asked(await place.client(), scope="read write")
    text = page.text[page.text.index('<form id="consent"') :]
    own = [attributes for attributes in read(page).named("button") if "form" not in attributes]
    # The first button of a form is the one that the key presses.
    assert [button["value"] for button in own] == ["deny", "allow"]
    assert text.index('value="deny"') < text.index('value="allow"') < text.index("</form>")


@pytest.mark.requirement("G-525")
@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("Mozilla/5.0 (X11) Firefox/140.0", "Mozilla/5.0 (X11) Firefox/140.0"),
        ("a\tb", "ab"),
        ("x" * 1000, "x" * 256),
        ("", None),
    ],
)
async def test_a_grant_remembers_from_where_it_was_given(
    place: Place, browser: Browser, sent: str, kept: str | None
) -> None:
    client = await place.client()
    page = await browser.asked(client)
    await browser.answer(page, headers={"User-Agent": sent})
    (grant,) = await place.grants(USER)
    assert dict(grant.metadata) == {"installation": {"user_agent": kept, "address": ADDRESS}}


@pytest.mark.requirement("A-228", "G-521")
async def test_a_question_that_was_answered_with_nothing_is_the_same_question(place: Place, browser: Browser) -> None:
    client = await place.client()
    page = await browser.asked(client, scope="read write", resource=R1)
    again = await browser.answer(page, ticked=[])
    assert form_of(again, "/consent")["csrf"] == form_of(page, "/consent")["csrf"]
    assert (await browser.answer(page)).status_code == 303
    assert (await browser.answer(again, ticked=["read"])).status_code == 403
    assert len(await place.grants()) == 1


@pytest.mark.requirement("S-160", "A-236")
async def test_somebody_with_a_name_is_called_by_it_and_by_the_id_that_nobody_chooses() -> None:
    async with running_place(MemoryStore()) as place:
        await place.accounts._change(USER, lambda user: replace(user, name="<b>Ada</b> Lovelace"), None)
        page = await place.browser().asked(await place.client())
        assert "Signed in as <b>Ada</b> Lovelace (ada)" in " ".join(read(page).words.split())
