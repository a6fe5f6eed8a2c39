"""Connected applications: what has access is seen by its user alone, and ended with effect on the next request."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from grantwell._http import calls
from grantwell_storage import MemoryStore
from tests.signin.browser import Browser, Place, form_of, read, running_place
from tests.signin.granting import FIREFOX, SAFARI, add_grant, connect, forms_to, signed_in
from tests.wire.test_open_calls import begun, endless, open_call, recheck
from tests.wire.world import nothing_changes

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

HERE = "/account/connections"
XSS = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


@requirement("S-169", "G-543")
async def test_what_is_disconnected_is_refused_by_the_next_request(place: Place, browser: Browser) -> None:
    client = await place.client(client_name="Notes")
    tokens, other = await connect(browser, client), await connect(browser, await place.client())
    assert (await place.world.call(tokens.access)).status_code == 200
    page = await browser.get(HERE)
    assert "Notes" in read(page).words
    [grant] = [g for g in await place.grants() if g.client_id == client["client_id"]]
    [form] = [form for form in forms_to(page, HERE) if form["grant"] == grant.grant_id]
    answer = await browser.post(HERE, form)
    assert (await place.world.call(tokens.access)).status_code == 401
    assert (await place.world.refresh(client, tokens.refresh)).status_code == 400
    assert (await place.world.call(other.access)).status_code == 200
    done = await browser.follow(answer)
    assert "1 connection has ended" in read(done).words
    assert "Notes" not in read(done).words
    ended = await place.world.provider.helpers.lookup_grant(grant.grant_id)
    assert ended is not None
    assert ended.revoked_reason == "user_request"
    again = await browser.follow(await browser.post(HERE, form))
    assert "0 connections have ended" in read(again).words


@requirement("S-169", "A-273", "G-543")
async def test_an_open_stream_ends_with_its_connection() -> None:
    async with running_place(MemoryStore(), api_handlers={"/api": endless}, resources={}) as place:
        browser = place.browser()
        tokens = await connect(browser, await place.client(), scope=None)
        stream = await begun(open_call(place.world, tokens.access))
        await recheck(place.world.provider)
        assert not stream.task.done()
        [form] = forms_to(await browser.get(HERE), HERE)
        await browser.post(HERE, form)
        await recheck(place.world.provider)
        assert await stream.hear() is None
    assert calls.RECHECK_SECONDS <= 5


@requirement("G-543")
async def test_a_connection_says_what_it_may_do_from_where_and_since_when(place: Place, browser: Browser) -> None:
    browser.http.headers["User-Agent"] = FIREFOX
    client = await place.client(client_name="Notes", redirect_uris=["http://127.0.0.1/cb"])
    await connect(browser, client, redirect_uri="http://127.0.0.1:4711/cb")
    elsewhere = {"user_agent": SAFARI, "address": "198.51.100.7"}
    used = int(place.world.clock())
    await add_grant(place, "phone", client, metadata={"installation": elsewhere}, last_used_at=used + 60)
    await add_grant(place, "bare", client, metadata={}, scopes=(), resources=())
    words = " ".join(read(await browser.get(HERE)).words.split())
    for said in ("Read things", "read", "At The API https://as.test/api", "Safari on iPhone", "198.51.100.7"):
        assert said in words, said
    assert "Answers go to 127.0.0.1:4711, a program on the computer it was connected from" in words
    assert "Not verified" in words
    assert "Browser not recorded" in words
    assert "with no particular permission" in words
    assert "Last used 20" in words
    assert "Never used" in words


@requirement("G-543", "A-241")
async def test_a_connection_is_marked_as_its_client_is(place: Place) -> None:
    browser = await signed_in(place)
    await add_grant(place, "one", await place.trusted_client(client_name="Ours"))
    assert "Registered by the operator" in read(await browser.get(HERE)).words
    client = await place.client(client_name="Claude")
    await add_grant(place, "two", client)
    assert "Not verified" in read(await browser.get(HERE)).words
    row = await place.store.get_client(client["client_id"])
    assert row is not None
    await place.store.replace_client(replace(row, name="Changed in the database", version=row.version + 1))
    page = await browser.get(HERE)
    assert "is not known any more" in read(page).words
    assert "Changed in the database" not in page.text


@requirement("A-236", "G-543")
async def test_whatever_a_client_or_a_browser_calls_itself_stays_text(place: Place, browser: Browser) -> None:
    browser.http.headers["User-Agent"] = XSS
    await connect(browser, await place.client(client_name=XSS))
    strange: list[object] = [
        XSS,
        7,
        None,
        ["x"],
        {"user_agent": 7, "address": ["x"]},
        {"user_agent": XSS, "address": XSS},
    ]
    for n, installation in enumerate(strange):
        await add_grant(place, f"g{n}", await place.client(client_name=XSS), metadata={"installation": installation})
    for path in (HERE, f"{HERE}/end", "/account/sessions", "/account"):
        page = await browser.get(path)
        assert page.status_code == 200
        assert "<script" not in page.text
        assert "<img" not in page.text
    ending = await browser.get(f"{HERE}/end", params={"client": (await place.grants())[0].client_id})
    assert "&lt;script&gt;" in ending.text
    assert "<script" not in ending.text


@requirement("G-543")
async def test_all_connections_of_a_client_end_together_and_no_others(place: Place, browser: Browser) -> None:
    client = await place.client(client_name="Notes")
    tokens = await connect(browser, client)
    await add_grant(place, "elsewhere", client)
    kept = await connect(browser, await place.client(client_name="Kept"))
    bob = await signed_in(place, "bob")
    of_bob = await connect(bob, client)
    page = await browser.get(f"{HERE}/end", params={"client": client["client_id"]})
    assert "Notes loses its access" in " ".join(read(page).words.split())
    with nothing_changes(place.world):
        await browser.get(f"{HERE}/end", params={"client": client["client_id"]})
    done = await browser.follow(await browser.post(f"{HERE}/end", form_of(page, f"{HERE}/end")))
    assert "2 connections have ended" in read(done).words
    assert (await place.world.call(tokens.access)).status_code == 401
    assert [(await place.world.call(t.access)).status_code for t in (kept, of_bob)] == [200, 200]


@requirement("G-543")
async def test_all_connections_end_together(place: Place, browser: Browser) -> None:
    tokens = [await connect(browser, await place.client()) for _ in range(2)]
    of_bob = await connect(await signed_in(place, "bob"), await place.client())
    page = await browser.get(f"{HERE}/end")
    done = await browser.follow(await browser.post(f"{HERE}/end", form_of(page, f"{HERE}/end")))
    assert "2 connections have ended" in read(done).words
    assert "No application has access" in read(done).words
    assert {(await place.world.call(t.access)).status_code for t in tokens} == {401}
    assert (await place.world.call(of_bob.access)).status_code == 200
    assert "nothing to disconnect" in read(await browser.get(f"{HERE}/end")).words


@requirement("G-544")
async def test_nobody_sees_what_is_not_theirs_nor_whether_it_exists(place: Place, browser: Browser) -> None:
    client = await place.client(client_name="Secret project")
    await connect(browser, client)
    bob = await signed_in(place, "bob")
    assert "Secret project" not in (await bob.get(HERE)).text
    theirs = await bob.get(f"{HERE}/end", params={"client": client["client_id"]})
    nobodys = await bob.get(f"{HERE}/end", params={"client": "no-such-client"})
    assert theirs.text == nobodys.text
    assert "Secret project" not in theirs.text


@requirement("G-543")
async def test_many_connections_are_shown_in_pages_of_twenty(place: Place) -> None:
    browser = await signed_in(place)
    client = await place.client()
    await asyncio.gather(*(add_grant(place, f"g{n:03}", client) for n in range(45)))
    seen: list[str] = []
    page = await browser.get(HERE)
    while True:
        forms = forms_to(page, HERE)
        assert len(forms) <= 20
        seen += [form["grant"] for form in forms]
        further = [a["href"] for a in read(page).named("a") if a.get("rel") == "next"]
        if not further:
            break
        page = await browser.get(str(further[0]))
    assert sorted(seen) == [f"g{n:03}" for n in range(45)]
    assert "45 connections" in read(await browser.get("/account")).words
    assert (await browser.get(HERE, params={"after": "nonsense"})).status_code == 400
    assert (await browser.get(HERE, params={"revoke": "g001"})).status_code == 400


@requirement("G-540", "G-543")
@pytest.mark.parametrize("path", [HERE, "/account", "/account/sessions", "/account/password", f"{HERE}/end?client=x"])
async def test_who_is_not_signed_in_signs_in_and_comes_back(place: Place, browser: Browser, path: str) -> None:
    answer = await browser.get(path)
    assert answer.status_code == 303
    page = await browser.follow(answer)
    back = await browser.sign_in(page)
    assert back.headers["location"] == path
    assert (await browser.follow(back)).status_code == 200


@requirement("G-543")
async def test_a_notice_is_shown_only_to_the_browser_it_was_meant_for(place: Place) -> None:
    browser, other = await signed_in(place), await signed_in(place)
    await add_grant(place, "one", await place.client())
    [form] = forms_to(await browser.get(HERE), HERE)
    location = (await browser.post(HERE, form)).headers["location"]
    assert "has ended" in read(await browser.get(location)).words
    assert "has ended" not in read(await other.get(location)).words
    assert "have ended" not in read(await browser.get(location.replace("ended-1-", "ended-9-"))).words
