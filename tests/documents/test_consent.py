"""What a person is shown of a client that is known by its document, and that the answer is about just that."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from grantwell import AuthorizationError
from grantwell_storage import SQLStore
from tests.documents.publishing import CLIENT, client, publish, republish
from tests.outbound.internet import Internet
from tests.signin.browser import Place, form_of, read, running_place
from tests.wire.world import asgi_scope, new_store, parsed

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement


@asynccontextmanager
async def connected_place(internet: Internet, store: Any, **options: Any) -> AsyncIterator[Place]:
    """The default pages, of a server that fetches from this internet."""
    async with running_place(store, **options) as place:
        object.__setattr__(place.world.provider._context, "fetcher", internet.fetcher())
        yield place


@pytest.fixture
async def place(internet: Internet, tmp_path: Path) -> AsyncIterator[Place]:
    """The default pages over a database."""
    async with connected_place(internet, new_store("sqlite", tmp_path)) as found:
        yield found


@requirement("S-160", "S-161", "S-163", "S-436", "A-131", "A-142", "S-437")
async def test_the_page_names_the_site_of_the_document_and_loads_nothing_from_it(
    place: Place, internet: Internet
) -> None:
    await publish(internet, logo_uri="https://tracker.test/logo.png", client_name="<script>alert(1)</script>")
    page = await place.browser().asked(client())
    words = read(page).words
    assert "Not verified by this server" in words
    assert "m1.test" in words
    assert "<script>alert(1)</script>" in words
    assert "tracker.test" not in page.text


@requirement("S-162", "S-436", "A-131", "S-161")
async def test_a_loopback_client_is_warned_of_however_well_known_its_site(place: Place, internet: Internet) -> None:
    await publish(internet, redirect_uris=["http://127.0.0.1/cb"], client_name="Claude")
    page = await place.browser().asked(client(), redirect_uri="http://127.0.0.1:6666/cb")
    words = read(page).words
    assert "127.0.0.1:6666" in words
    assert "a program on this computer" in words


@requirement("A-133", "A-227", "D-26")
async def test_the_answer_is_about_what_was_shown(place: Place, internet: Internet) -> None:
    host = await publish(internet, "Cache-Control: no-store")
    browser = place.browser()
    page = await browser.asked(client())
    republish(host, "Cache-Control: no-store", redirect_uris=["https://m1.test/other"], client_name="Somebody else")
    fetched = len(host.requests)
    location = (await browser.answer(page)).headers["location"]
    assert location.startswith("https://m1.test/cb?code=")
    assert len(host.requests) == fetched
    code = location.partition("code=")[2].partition("&")[0]
    tokens = parsed(await place.world.exchange(client(), code))
    assert (await place.world.call(tokens.access)).json()["client"] == CLIENT


@requirement("A-216", "D-13", "A-323")
async def test_a_snapshot_that_was_altered_in_the_database_is_not_believed(place: Place, internet: Internet) -> None:
    await publish(internet)
    browser = place.browser()
    page = await browser.asked(client())
    store = place.world.store
    assert isinstance(store, SQLStore)
    with closing(sqlite3.connect(store._database._url.database or "")) as database:
        [(request,)] = database.execute("SELECT request FROM oauth_interactions WHERE closed_at IS NULL").fetchall()
        members = json.loads(request)
        assert "m1.test/cb" in members["request"]
        members["request"] = members["request"].replace("https://m1.test/cb", "https://evil.test/cb")
        database.execute("UPDATE oauth_interactions SET request = ?", (json.dumps(members),))
        database.commit()
    answer = await browser.answer(page)
    assert answer.status_code == 403
    assert "location" not in answer.headers


@requirement("A-216", "D-13")
async def test_a_request_that_an_application_kept_in_the_open_cannot_be_altered(
    place: Place, internet: Internet
) -> None:
    await publish(internet)
    helpers = place.world.provider.helpers
    query = str(place.world.http.build_request("GET", "/", params=place.browser().request(client())).url.query, "ascii")
    asked = await helpers.parse_authorization_request(Request(asgi_scope("/authorize", query_string=query.encode())))
    kept = json.loads(asked.encoded())
    assert (await helpers.load_authorization_request(json.dumps(kept))).client.name == "Notes on the go"
    for changes in (
        {"document": kept["document"].replace("m1.test/cb", "evil.test/cb"), "redirect_uri": "https://evil.test/cb"},
        {"document": kept["document"].replace("Notes", "Votes")},
        {"document": "[]"},
        {"document": "x"},
        {"document": json.dumps([1, 2, 3])},
        {"client_id": "https://m2.test/client.json"},
    ):
        with pytest.raises(AuthorizationError):
            await helpers.load_authorization_request(json.dumps(kept | changes))
    with pytest.raises(AuthorizationError):
        await helpers.load_authorization_request(json.dumps(kept | {"document": None}))


@requirement("A-135", "S-023", "S-435")
async def test_too_many_fetches_are_a_page_that_says_so(place: Place, internet: Internet) -> None:
    browser = place.browser()
    answers = [await browser.authorize(client(client_id=f"https://h{n}.test/c.json")) for n in range(200)]
    assert {answer.status_code for answer in answers} == {400, 429}
    assert answers[-1].headers["retry-after"]
    assert "location" not in answers[-1].headers


@requirement("S-259", "S-160")
async def test_staying_connected_is_asked_in_words(place: Place) -> None:
    registered = await place.world.register(grant_types=["authorization_code"])
    browser = place.browser()
    page = await browser.asked(registered, scope="read offline_access")
    assert "Stay connected while you are away" in read(page).words
    assert form_of(page, "/consent")
    code = (await browser.answer(page)).headers["location"].partition("code=")[2].partition("&")[0]
    tokens = parsed(await place.world.exchange(registered, code))
    assert tokens.refresh
    assert tokens.raw["scope"] == "read"
    page = await browser.asked(registered, scope="read")
    assert "Stay connected" not in read(page).words
