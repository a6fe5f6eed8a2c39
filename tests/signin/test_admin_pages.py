"""The operator pages: what an operator finds there, and that to everybody else they are not there at all."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from grantwell import ConfigurationError, StoreUnavailable
from grantwell.records import Digest, Session
from grantwell.signin.admin import ROUTES
from grantwell_storage import MemoryStore
from tests.signin.browser import Browser, Place, read, running_place
from tests.signin.granting import SAFARI, add_grant, signed_in
from tests.wire.world import nothing_changes

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

DAY = 86_400
XSS = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


async def operator(place: Place, username: str = "root") -> Browser:
    """A browser on which an operator is signed in."""
    if await place.accounts.get(username) is None:
        await place.accounts.add(username, "correct horse", is_admin=True)
    return await signed_in(place, username)


def words(answer: httpx.Response) -> str:
    """What a page says, on one line."""
    return " ".join(read(answer).words.split())


def links(answer: httpx.Response, beginning: str) -> list[str]:
    """Where a page leads, of the addresses that begin so."""
    return [href for a in read(answer).named("a") if (href := a.get("href") or "").startswith(beginning)]


@requirement("G-549")
@pytest.mark.parametrize("path", sorted(ROUTES))
async def test_to_everybody_else_there_is_no_such_page(place: Place, path: str) -> None:
    await operator(place)
    disabled = await operator(place, "former")
    await place.accounts.set_admin("former", False)
    for browser in (place.browser(), await signed_in(place), disabled):
        nothing = path.replace("/admin", "/nothing")
        for method in ("GET", "HEAD", "POST", "PUT", "OPTIONS"):
            form = {"csrf": "x"} if method == "POST" else None
            here, nowhere = [
                await browser.http.request(method, target, params={"x": "y"}, data=form) for target in (path, nothing)
            ]
            assert (here.status_code, here.content) == (nowhere.status_code, nowhere.content)
            assert dict(here.headers) == dict(nowhere.headers)
            assert here.status_code == 404


@requirement("G-549")
async def test_where_there_is_another_application_it_answers_for_the_operator_pages_as_well() -> None:
    async def fallback(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await PlainTextResponse(f"another application at {scope['path']}")(scope, receive, send)

    async with running_place(MemoryStore(), fallback=fallback) as place:
        browser = await signed_in(place)
        assert (await browser.http.post("/admin/grants/end")).text == "another application at /admin/grants/end"
        assert "Operator pages" in words(await (await operator(place)).get("/admin"))


@requirement("G-549")
async def test_nobody_is_an_operator_while_nobody_can_tell() -> None:
    class Away(MemoryStore):
        is_away = False

        async def get_session(self, digest: Digest, now: int) -> Session | None:
            if self.is_away:
                raise StoreUnavailable("away")
            return await super().get_session(digest, now)

    store = Away()
    async with running_place(store) as place:
        browser = await operator(place)
        store.is_away = True
        away = await browser.get("/admin")
        assert (away.status_code, away.text) == (404, (await browser.get("/nothing")).text)


@requirement("G-549")
async def test_the_pages_of_an_operator_are_not_the_authorization_endpoint() -> None:
    with pytest.raises(ConfigurationError, match="is a page of"):
        async with running_place(MemoryStore(), authorize_endpoint="/admin") as place:
            await place.browser().http.get("/admin")


@requirement("G-550")
async def test_an_operator_finds_clients_by_name_id_host_and_origin(place: Place) -> None:
    browser = await operator(place)
    notes = await place.client(client_name="Notes", redirect_uris=["https://notes.test/cb"])
    ours = await place.trusted_client(client_name="Ours", redirect_uris=["https://ours.test/cb"])
    for user in ("ada", "root"):
        await add_grant(place, f"of-{user}", notes, user_id=user)
    page = words(await browser.get("/admin/clients"))
    assert "Notes" in page
    assert "Ours" in page
    for query in ({"q": "noTES"}, {"q": notes["client_id"]}, {"q": "notes.test"}, {"origin": "registration"}):
        found = words(await browser.get("/admin/clients", params=query | {"after": ""}))
        assert "Notes" in found, query
        assert "Ours" not in found, query
    assert "nothing that fits" in words(await browser.get("/admin/clients", params={"q": "elsewhere"}))
    one = await browser.get("/admin/client", params={"id": notes["client_id"]})
    assert "https://notes.test/cb" in words(one)
    assert "Not verified" in words(one)
    assert len(links(one, "/admin/grants/end?grant=")) == 2
    assert "Registered by the operator" in words(await browser.get("/admin/client", params={"id": ours["client_id"]}))
    assert (await browser.get("/admin/client", params={"id": "no-such"})).status_code == 404
    assert (await browser.get("/admin/clients", params={"after": "nonsense"})).status_code == 400


@requirement("G-550")
async def test_a_search_through_many_clients_goes_on_where_it_stopped(place: Place) -> None:
    browser = await operator(place)
    await place.trusted_client(client_name="The oldest")
    place.world.clock.advance(1)
    for n in range(0, 420, 20):
        await asyncio.gather(*(place.trusted_client(client_name=f"Client {n + m}") for m in range(20)))
        place.world.clock.advance(1)
    seen: set[str] = set()
    page = await browser.get("/admin/clients", params={"q": "client"})
    while True:
        seen |= set(links(page, "/admin/client?id="))
        further = [a["href"] for a in read(page).named("a") if a.get("rel") == "next"]
        if not further:
            break
        page = await browser.get(str(further[0]))
    assert len(seen) == 420


@requirement("G-550")
async def test_an_operator_finds_grants_by_user_client_age_and_last_use(place: Place) -> None:
    browser = await operator(place)
    now = int(place.world.clock())
    client, other = await place.client(client_name="Notes"), await place.client(client_name="Other")
    phone = {"installation": {"user_agent": SAFARI, "address": "198.51.100.7"}}
    await add_grant(place, "old", client, created_at=now - 40 * DAY, last_used_at=now - 35 * DAY, metadata=phone)
    await add_grant(place, "used", client, created_at=now - 40 * DAY, last_used_at=now - DAY)
    await add_grant(place, "new", client, user_id="root")
    await add_grant(place, "other", other)
    queries: list[tuple[dict[str, str], set[str]]] = [
        ({}, {"old", "used", "new", "other"}),
        ({"user": "ada", "client": "", "older": "", "unused": ""}, {"old", "used", "other"}),
        ({"client": client["client_id"]}, {"old", "used", "new"}),
        ({"older": "30"}, {"old", "used"}),
        ({"unused": "30"}, {"old"}),
        ({"user": "root", "older": "30"}, set()),
    ]
    for query, expected in queries:
        found = await browser.get("/admin/grants", params=query)
        assert {link.partition("grant=")[2] for link in links(found, "/admin/grants/end?grant=")} == expected, query
    assert "Safari on iPhone" in words(await browser.get("/admin/grants", params={"unused": "30"}))
    for wrong in ({"older": "soon"}, {"older": "-1"}, {"unused": "99999"}, {"after": "nonsense"}, {"revoke": "old"}):
        assert (await browser.get("/admin/grants", params=wrong)).status_code == 400


@requirement("G-550")
async def test_an_operator_sees_users_and_what_they_let_in(place: Place) -> None:
    browser = await operator(place)
    await add_grant(place, "one", await place.client(client_name="Notes"))
    page = await browser.get("/admin/users")
    assert set(links(page, "/admin/user?")) == {"/admin/user?id=ada", "/admin/user?id=root"}
    assert links(await browser.get("/admin/users", params={"q": "ada"}), "/admin/user?") == ["/admin/user?id=ada"]
    assert "nothing that fits" in words(await browser.get("/admin/users", params={"q": "nobody"}))
    assert "Notes" in words(await browser.get("/admin/user", params={"id": "ada"}))
    assert (await browser.get("/admin/user", params={"id": "nobody"})).status_code == 404
    assert (await browser.get("/admin/users", params={"after": "nonsense"})).status_code == 400


@requirement("G-550", "S-473")
async def test_an_operator_finds_events_by_what_they_tell_of(place: Place) -> None:
    oauth, client = place.world.provider.helpers, await place.client()
    reference = oauth.note_refusal(
        endpoint="/authorize", code="invalid_scope", description="No.", reason="unknown scope", status=400
    )
    for n in range(60):
        await oauth.tell("grant_issued", user_id=f"u{n}", client_id=client["client_id"], grant_id=f"g{n}")
    place.world.clock.advance(3 * DAY)
    await oauth.tell("user_added", user_id="late", actor="operator", address="198.51.100.7", details={"is_admin": 1})
    browser = await operator(place)
    latest = await browser.get("/admin/events", params={"days": "1", "name": ""})
    for said in ("By operator", "User late", "From 198.51.100.7", "is_admin 1"):
        assert said in words(latest)
    assert "grant_issued" not in words(latest)
    for query in ({"user": "u7"}, {"grant": "g7"}):
        found = await browser.get("/admin/events", params=query)
        assert links(found, "/admin/user?id=") == ["/admin/user?id=u7"]
    written_down = reference.replace("-", " ").replace("0", "o").lower()
    explained = words(await browser.get("/admin/events", params={"reference": written_down}))
    assert "unknown scope" in explained
    assert f"Reference {reference}" in explained
    page = await browser.get("/admin/events", params={"name": "grant_issued"})
    seen = links(page, "/admin/user?id=")
    further = [str(a["href"]) for a in read(page).named("a") if a.get("rel") == "next"]
    seen += links(await browser.get(further[0]), "/admin/user?id=")
    assert sorted(seen) == sorted(f"/admin/user?id=u{n}" for n in range(60))
    for wrong in ({"days": "x"}, {"after": "nonsense"}, {"delete": "1"}):
        assert (await browser.get("/admin/events", params=wrong)).status_code == 400


@requirement("G-550", "A-236", "A-237")
async def test_nothing_on_an_operator_page_becomes_markup(place: Place) -> None:
    browser = await operator(place)
    client = await place.client(client_name=XSS, **{"client_name#de": XSS})
    await add_grant(place, "one", client, metadata={"installation": {"user_agent": XSS, "address": XSS}}, scopes=(XSS,))
    id_ = client["client_id"]
    await place.world.provider.helpers.tell("refused", reason=XSS, actor=XSS, address=XSS, details={"scope": XSS})
    for path, parameters in (
        ("/admin/clients", {"q": XSS}),
        ("/admin/clients", {}),
        ("/admin/client", {"id": id_}),
        ("/admin/client/delete", {"id": id_}),
        ("/admin/grants", {"user": XSS}),
        ("/admin/grants", {}),
        ("/admin/grants/end", {"client": id_}),
        ("/admin/grants/end", {"user": XSS}),
        ("/admin/users", {"q": XSS}),
        ("/admin/user", {"id": "ada"}),
        ("/admin", {"done": XSS}),
        ("/admin/events", {}),
        ("/admin/events", {"name": XSS, "user": XSS, "reference": XSS}),
    ):
        page = await browser.get(path, params=parameters)
        assert page.status_code == 200, path
        assert "<script" not in page.text
        assert "<img" not in page.text


@requirement("G-550")
async def test_looking_changes_nothing(place: Place) -> None:
    browser = await operator(place)
    client = await place.client()
    await add_grant(place, "one", client)
    with nothing_changes(place.world):
        for path, parameters in (
            ("/admin/client/delete", {"id": client["client_id"]}),
            ("/admin/grants/end", {"client": client["client_id"]}),
            ("/admin/user/access", {"id": "ada"}),
        ):
            assert (await browser.get(path, params=parameters)).status_code == 200
