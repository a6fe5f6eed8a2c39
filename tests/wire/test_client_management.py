"""Client configuration (RFC 7592): a client that registered itself reads, changes and deletes itself, and no other."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from typing import Any

import httpx
import pytest

from grantwell import ClientMetadataError, ClientRegistration, Event
from grantwell._protocol.tokens import format_registration_access_token
from grantwell.config import DAY
from grantwell.crypto import digest_of
from grantwell.store import GrantQuery
from grantwell_storage import MemoryStore
from tests.wire.world import ISSUER, REDIRECT, World, altered, nothing_changes, parsed, refused, rows_of, running_world

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

BARE = 'Bearer realm="registration"'
CHALLENGE = BARE + ', error="invalid_token"'
SECRET_METHODS = ("client_secret_basic", "client_secret_post")


@asynccontextmanager
async def managed(store: Any, **options: Any) -> AsyncIterator[World]:
    """A world whose clients may manage what they registered."""
    async with running_world(store, **({"allow_client_management": True} | options)) as world:
        yield world


@pytest.fixture
async def world(store: Any) -> AsyncIterator[World]:
    async with managed(store) as world:
        yield world


async def send(world: World, method: str, client: dict[str, Any], /, **options: Any) -> httpx.Response:
    """A request to the configuration endpoint of a client, with its own token unless `token` gives another."""
    token = options.pop("token", client.get("registration_access_token"))
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    answer = await world.http.request(method, client["registration_client_uri"], headers=headers, **options)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["access-control-allow-origin"] == "*"
    return answer


def document(client: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The least that replaces a client, changed as written (None removes a member)."""
    members: dict[str, Any] = {
        "client_id": client["client_id"],
        "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": client["token_endpoint_auth_method"],
    } | changes
    return {name: value for name, value in members.items() if value is not None}


def challenged(answer: httpx.Response, challenge: str = CHALLENGE) -> None:
    """Check that an answer is 401 and says no more than that the token is not valid."""
    refused(answer, "invalid_token", 401)
    assert answer.json()["error_description"] == "The registration access token is not valid."
    assert answer.headers["www-authenticate"] == challenge


# What a client is told of itself ------------------------------------------------------------------------------------


@requirement("S-412", "S-001", "S-209")
async def test_a_registration_says_where_it_is_managed_and_with_what(world: World) -> None:
    client, other = await world.register(), await world.register()
    assert client["registration_client_uri"] == f"{ISSUER}/register/{client['client_id']}"
    assert client["registration_access_token"].startswith("gwm_")
    assert len(client["registration_access_token"]) == 53
    assert client["registration_access_token"] != other["registration_access_token"]


@requirement("S-412")
async def test_the_place_follows_the_registration_endpoint(store: Any) -> None:
    async with managed(store, client_registration_endpoint="/oauth/clients") as world:
        answer = await world.http.post("/oauth/clients", json={"redirect_uris": [REDIRECT]})
        client = answer.json()
        assert client["registration_client_uri"] == f"{ISSUER}/oauth/clients/{client['client_id']}"
        assert (await send(world, "GET", client)).status_code == 200


@requirement("S-414", "S-421", "S-391", "A-111")
@pytest.mark.parametrize("method", ["none", *SECRET_METHODS])
async def test_a_client_reads_all_that_is_registered_but_its_secret(world: World, method: str) -> None:
    client = await world.register(
        token_endpoint_auth_method=method,
        scope="read",
        client_uri="https://c1.test/",
        contacts=["a@c1.test"],
        **{"client_name#ja": "クライアント"},
    )
    shown = {name: value for name, value in client.items() if not name.startswith("client_secret")}
    for _ in range(2):
        answer = await send(world, "GET", client)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert answer.json() == shown


@requirement("S-419")
async def test_a_token_lives_as_long_as_its_client_and_reading_is_no_use(world: World) -> None:
    client = await world.register()
    await world.tokens(client)
    await world.provider._context.uses.flush(world.store)
    used = (await world.store.get_client(client["client_id"])).last_used_at
    world.clock.advance(89 * DAY)
    await world.provider.helpers.purge_expired()
    assert (await send(world, "GET", client)).status_code == 200
    await world.provider._context.uses.flush(world.store)
    assert (await world.store.get_client(client["client_id"])).last_used_at == used


# Who may ------------------------------------------------------------------------------------------------------------


@requirement("A-109", "A-289", "C-042")
async def test_where_it_is_not_allowed_the_application_answers(store: Any) -> None:
    async with running_world(store) as world:
        client = await world.register()
        assert not [name for name in client if name.startswith("registration_")]
        for method in ("GET", "PUT", "DELETE", "OPTIONS"):
            answer = await world.http.request(method, f"/register/{client['client_id']}")
            assert answer.text == "the site"


@requirement("S-413", "S-024")
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_without_a_token_the_challenge_names_no_error(world: World, method: str) -> None:
    client = await world.register()
    token = client["registration_access_token"]
    with nothing_changes(world):
        challenged(await send(world, method, client, token=None, json=document(client)), BARE)
        elsewhere = {"params": {"access_token": token}, "json": document(client, access_token=token)}
        challenged(await send(world, method, client, token=None, **elsewhere), BARE)
        basic = await world.http.request(
            method, client["registration_client_uri"], auth=(client["client_id"], token), json=document(client)
        )
        challenged(basic, BARE)


async def other_credentials(world: World, client: dict[str, Any]) -> dict[str, str]:
    """Everything else that a client or somebody else may hold."""
    other = await world.register()
    tokens = await world.tokens(client)
    return {
        "of another client": other["registration_access_token"],
        "never given out": format_registration_access_token(b"x" * 32),
        "altered": altered(client["registration_access_token"]),
        "access token": tokens.access,
        "refresh token": tokens.refresh,
        "client secret": client["client_secret"],
        "initial access token": await world.provider.helpers.create_initial_access_token(),
        "noise": "x",
    }


@requirement("S-413", "S-418", "S-473")
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_no_other_credential_will_do(world: World, method: str) -> None:
    client = await world.register(token_endpoint_auth_method="client_secret_basic")
    others = await other_credentials(world, client)
    bodies = set()
    with nothing_changes(world):
        for token in others.values():
            answer = await send(world, method, client, token=token, json=document(client))
            challenged(answer)
            bodies.add(answer.content)
    assert len(bodies) == 1
    assert (await send(world, "GET", client)).status_code == 200


@requirement("S-418", "S-246")
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_client_that_is_not_there_is_refused_like_a_wrong_token(world: World, method: str) -> None:
    client, deleted = await world.register(), await world.register()
    operator, _ = await world.provider.helpers.create_client({"redirect_uris": [REDIRECT]})
    await world.provider.helpers.delete_client(deleted["client_id"])
    wrong = await send(world, method, client, token=altered(client["registration_access_token"]), json={})
    challenged(wrong)
    with nothing_changes(world):
        for client_id in (deleted["client_id"], operator.client_id, "unknown", "%00", "x" * 600, "%C3%A9", "a%20b"):
            place = {"registration_client_uri": f"{ISSUER}/register/{client_id}"}
            for token in (client["registration_access_token"], deleted["registration_access_token"]):
                answer = await send(world, method, place, token=token, json={})
                challenged(answer)
                assert answer.content == wrong.content


@requirement("S-413")
async def test_broken_and_doubled_headers_are_malformed_requests(world: World) -> None:
    client = await world.register()
    good = ("Authorization", f"Bearer {client['registration_access_token']}")
    with nothing_changes(world):
        for headers in ([good, good], [("Authorization", "Bearer")], [(good[0], good[1] + " x")]):
            refused(await world.http.delete(client["registration_client_uri"], headers=headers), "invalid_request")


@requirement("S-418", "S-016", "A-292", "S-421")
@pytest.mark.parametrize("method", ["HEAD", "PATCH", "POST", "TRACE"])
async def test_other_methods_are_not_allowed(world: World, method: str) -> None:
    client = await world.register()
    with nothing_changes(world):
        answer = await send(world, method, client)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, PUT, DELETE, OPTIONS")
        assert (answer.content == b"") == (method == "HEAD")


@requirement("S-006", "S-421", "C-219")
async def test_a_page_of_any_origin_may_manage_its_client(world: World) -> None:
    client = await world.register()
    answer = await world.http.options(
        client["registration_client_uri"],
        headers={"Origin": "https://app.test", "Access-Control-Request-Method": "PUT"},
    )
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "*"
    assert "Authorization" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers


@requirement("S-418")
async def test_nothing_lies_around_the_place_of_a_client(world: World) -> None:
    client = await world.register()
    headers = {"Authorization": f"Bearer {client['registration_access_token']}"}
    with nothing_changes(world):
        for path in ("/register/", f"/register/{client['client_id']}/", f"/register/{client['client_id']}/x"):
            answer = await world.http.delete(path, headers=headers)
            assert answer.text == "the site"
        assert (await world.http.delete("/register", headers=headers)).status_code == 405


# PUT ----------------------------------------------------------------------------------------------------------------


@requirement("S-415", "S-421", "S-391", "C-229")
async def test_what_a_replacement_leaves_out_is_gone(world: World) -> None:
    client = await world.register(
        scope="read", client_uri="https://c1.test/", contacts=["a@c1.test"], **{"client_name#ja": "クライアント"}
    )
    answer = await send(world, "PUT", client, json=document(client, redirect_uris=["https://c1.test/new"]))
    assert answer.status_code == 200
    assert answer.json() == {
        "client_id": client["client_id"],
        "client_id_issued_at": client["client_id_issued_at"],
        "redirect_uris": ["https://c1.test/new"],
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "registration_client_uri": client["registration_client_uri"],
        "registration_access_token": client["registration_access_token"],
    }
    assert (await send(world, "GET", client)).json() == answer.json()
    assert (await world.authorize(client)).text == "local error: invalid_request"
    tokens = parsed(await world.exchange(answer.json(), await world.code(answer.json(), scope="read write")))
    assert tokens.refresh == ""


@requirement("S-415", "S-392", "S-402")
@pytest.mark.parametrize("method", SECRET_METHODS)
async def test_a_secret_stays_what_it_is(world: World, method: str) -> None:
    client = await world.register(token_endpoint_auth_method=method)
    for secret in ({}, {"client_secret": client["client_secret"]}):
        answer = await send(world, "PUT", client, json=document(client, client_name="B", extra={"a": 1}, **secret))
        assert answer.status_code == 200
        assert client["client_secret"] not in answer.text
        assert "client_secret_expires_at" not in answer.json()
        assert "extra" not in answer.json()
    await world.tokens(client)


@requirement("S-415", "S-416", "S-403")
@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": ""},
        {"client_id": "other"},
        {"client_id": 7},
        {"client_secret": "mine"},
        {"client_secret": ""},
        {"client_secret": 7},
        {"client_secret": ["x"]},
        {"registration_access_token": "gwm_mine"},
        {"registration_client_uri": "https://evil.test"},
        {"client_secret_expires_at": 0},
        {"client_id_issued_at": 0},
    ],
    ids=str,
)
async def test_a_client_cannot_set_what_is_the_servers(world: World, changes: dict[str, Any]) -> None:
    client = await world.register(token_endpoint_auth_method="client_secret_post")
    with nothing_changes(world):
        answer = await send(world, "PUT", client, json=document(client, client_name="B", **changes))
        refused(answer, "invalid_client_metadata")


@requirement("S-415", "S-213")
async def test_the_secret_of_another_client_is_not_its_own(world: World) -> None:
    client, other = [await world.register(token_endpoint_auth_method="client_secret_basic") for _ in range(2)]
    public = await world.register()
    with nothing_changes(world):
        for one in (client, public):
            answer = await send(world, "PUT", one, json=document(one, client_secret=other["client_secret"]))
            refused(answer, "invalid_client_metadata")


@requirement("S-420", "S-394", "S-399", "A-014", "A-095", "A-098", "A-100", "S-265")
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"redirect_uris": None}, "invalid_redirect_uri"),
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"redirect_uris": ["http://evil.test/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
        ({"redirect_uris": [REDIRECT + "#x"]}, "invalid_redirect_uri"),
        ({"grant_types": ["client_credentials"]}, "invalid_client_metadata"),
        ({"grant_types": ["password"]}, "invalid_client_metadata"),
        ({"response_types": ["token"]}, "invalid_client_metadata"),
        ({"client_name": "a\u202eb"}, "invalid_client_metadata"),
        ({"logo_uri": "http://169.254.169.254/"}, "invalid_client_metadata"),
        ({"scope": "admin"}, "invalid_client_metadata"),
        ({"jwks": {"keys": [{"kty": "oct", "k": "x"}]}}, "invalid_client_metadata"),
        ({"jwks": {"keys": []}, "jwks_uri": "https://c1.test/jwks"}, "invalid_client_metadata"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_a_replacement_is_held_to_the_rules_of_registration(
    world: World, changes: dict[str, Any], code: str
) -> None:
    client = await world.register()
    with nothing_changes(world):
        refused(await send(world, "PUT", client, json=document(client, **changes)), code)


@requirement("S-420", "S-388", "A-102", "A-104", "A-105")
async def test_a_replacement_is_an_object_in_json(world: World) -> None:
    client = await world.register()
    json_type = "application/json"
    bodies = [
        (b"[]", json_type, 400),
        (b"", json_type, 400),
        (b'{"client_id":"a","client_id":"b"}', json_type, 400),
        (b"{}", "text/plain", 400),
        (b" " * 65_537, json_type, 413),
    ]
    with nothing_changes(world):
        for content, type_, status in bodies:
            answer = await world.http.put(
                client["registration_client_uri"],
                content=content,
                headers={"Content-Type": type_, "Authorization": f"Bearer {client['registration_access_token']}"},
            )
            refused(answer, "invalid_request" if status == 413 else "invalid_client_metadata", status)


@requirement("S-404", "S-420", "S-206")
@pytest.mark.parametrize(
    ("method", "other"),
    [("none", "client_secret_basic"), ("none", None), ("client_secret_basic", "none"), *[SECRET_METHODS]],
    ids=str,
)
async def test_how_a_client_authenticates_cannot_be_changed(world: World, method: str, other: str | None) -> None:
    client = await world.register(token_endpoint_auth_method=method)
    with nothing_changes(world):
        answer = await send(world, "PUT", client, json=document(client, token_endpoint_auth_method=other))
        refused(answer, "invalid_client_metadata")
        assert "cannot be changed" in answer.json()["error_description"]


@requirement("S-420", "A-108", "A-199", "C-064")
async def test_the_registration_callback_decides_about_what_would_be_stored(store: Any) -> None:
    asked: list[ClientRegistration] = []

    async def decide(event: ClientRegistration) -> None:
        asked.append(event)
        if event.client.redirect_uris != (REDIRECT,):
            raise ClientMetadataError("Not there.", code="invalid_redirect_uri")

    async with managed(store, client_registration_callback=decide) as world:
        client = await world.register(token_endpoint_auth_method="client_secret_post", scope="read")
        with nothing_changes(world):
            answer = await send(world, "PUT", client, json=document(client, redirect_uris=["https://c1.test/2"]))
            refused(answer, "invalid_redirect_uri")
            assert answer.json()["error_description"] == "Not there."
        secret = client["client_secret"]
        answer = await send(
            world, "PUT", client, json=document(client, software_statement="x.y.z", client_secret=secret)
        )
        assert answer.status_code == 200
        with nothing_changes(world):
            refused(await send(world, "PUT", client, json=document(client, client_id="x")), "invalid_client_metadata")
            challenged(await send(world, "PUT", client, token="x", json=document(client)))
        assert len(asked) == 3
        event = asked[-1]
        assert event.metadata == document(client, software_statement="x.y.z")
        assert (event.client.client_id, event.client.name, event.client.scopes) == (client["client_id"], None, None)
        assert (event.client.secrets, event.client.registration_access, event.client.mac) == ((), None, b"")
        assert event.address == "127.0.0.1"


# DELETE -------------------------------------------------------------------------------------------------------------


@requirement("S-417", "S-418", "A-182", "S-246", "S-421")
@pytest.mark.parametrize("method", ["none", "client_secret_basic"])
async def test_with_a_client_goes_everything_that_it_had(world: World, method: str) -> None:
    client, other = [await world.register(token_endpoint_auth_method=method) for _ in range(2)]
    tokens, kept = await world.tokens(client), await world.tokens(other)
    code = await world.code(client, headers={"x-user": "u2"})
    answer = await send(world, "DELETE", client)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-length" not in answer.headers
    for again in ("GET", "PUT", "DELETE"):
        challenged(await send(world, again, client, json=document(client)))
    assert (await world.call(tokens.access)).status_code == 401
    refused(await world.refresh(client, tokens.refresh), "invalid_client", 401)
    refused(await world.exchange(client, code), "invalid_client", 401)
    refused(await world.revoke(client, tokens.refresh), "invalid_client", 401)
    assert (await world.authorize(client)).text == "local error: invalid_request"
    grants = await world.store.list_grants(GrantQuery(now=int(world.clock())))
    assert {grant.client_id for grant in grants.items} == {other["client_id"]}
    assert (await world.call(kept.access)).status_code == 200


# At once ------------------------------------------------------------------------------------------------------------


@requirement("S-417", "S-418")
async def test_deletions_at_once_delete_once_and_are_told_once(store: Any) -> None:
    events: list[Event] = []

    async def note(event: Event) -> None:
        events.append(event)

    async with managed(store, on_event=note) as world:
        client = await world.register()
        answers = await asyncio.gather(*(send(world, "DELETE", client) for _ in range(6)))
        assert {answer.status_code for answer in answers} <= {204, 401}
        assert 204 in {answer.status_code for answer in answers}
        assert [event.name for event in events] == ["client_registered", "client_deleted"]


@requirement("S-415", "C-229")
async def test_of_replacements_at_once_one_stands_as_it_was_sent(world: World) -> None:
    client = await world.register()
    sent = [document(client, client_name=f"N{n}", client_uri=f"https://c1.test/{n}") for n in range(6)]
    answers = await asyncio.gather(*(send(world, "PUT", client, json=one) for one in sent))
    assert [answer.status_code for answer in answers] == [200] * 6
    stands = (await send(world, "GET", client)).json()
    assert stands in [answer.json() for answer in answers]
    assert (await world.store.get_client(client["client_id"])).version == 7


Meanwhile = Callable[[str], Awaitable[object]]


@asynccontextmanager
async def interrupted(store: Any) -> AsyncIterator[tuple[World, dict[str, Meanwhile]]]:
    """A world, and a place for what is to happen between the check of a replacement and its end."""
    meanwhile: dict[str, Meanwhile] = {}

    async def interrupt(event: ClientRegistration) -> None:
        if "now" in meanwhile:
            await meanwhile["now"](event.client.client_id)

    async with managed(store, client_registration_callback=interrupt) as world:
        yield world, meanwhile


@requirement("S-418")
async def test_a_client_that_is_deleted_meanwhile_stays_deleted(store: Any) -> None:
    async with interrupted(store) as (world, meanwhile):
        client = await world.register()
        meanwhile["now"] = world.provider.helpers.delete_client
        challenged(await send(world, "PUT", client, json=document(client, client_name="B")))
        assert await world.store.get_client(client["client_id"]) is None


@requirement("S-415", "S-470")
async def test_a_secret_that_is_rotated_meanwhile_is_not_lost(store: Any) -> None:
    async with interrupted(store) as (world, meanwhile):
        client = await world.register(token_endpoint_auth_method="client_secret_basic")
        fresh: list[str] = []

        async def rotate(client_id: str) -> None:
            rotated = await world.provider.helpers.rotate_client_secret(client_id)
            assert rotated is not None
            fresh.append(rotated[1])

        meanwhile["now"] = rotate
        answer = await send(world, "PUT", client, json=document(client, client_name="B"))
        assert answer.json()["client_name"] == "B"
        meanwhile.clear()
        for secret in (client["client_secret"], *fresh):
            await world.tokens(client | {"client_secret": secret})
            again = await send(world, "PUT", client, json=document(client, client_secret=secret))
            assert again.status_code == 200


# What is kept -------------------------------------------------------------------------------------------------------


@requirement("S-465", "S-466", "A-319", "S-473")
async def test_the_token_is_kept_as_a_digest_and_told_to_nobody(store: Any, caplog: pytest.LogCaptureFixture) -> None:
    events: list[Event] = []

    async def note(event: Event) -> None:
        events.append(event)

    async with managed(store, on_event=note) as world:
        with caplog.at_level(logging.DEBUG, logger="grantwell"):
            client = await world.register()
            await send(world, "PUT", client, json=document(client))
            await send(world, "GET", client, token=altered(client["registration_access_token"]))
            shown = await world.provider.helpers.lookup_client(client["client_id"])
            listed = (await world.provider.helpers.list_clients()).items
            written = repr(rows_of(world.store))
            await send(world, "DELETE", client)
        random = client["registration_access_token"][4:-6]
        assert random not in written + caplog.text + repr(events)
        assert [one.registration_access for one in (shown, *listed) if one is not None] == [None, None]
    assert [event.name for event in events] == ["client_registered", "client_changed", "client_deleted"]
    assert {event.client_id for event in events} == {client["client_id"]}


@requirement("A-323", "S-413")
async def test_a_token_that_was_written_into_the_database_opens_nothing(world: World) -> None:
    client = await world.register()
    forged = format_registration_access_token(b"y" * 32)
    digest = digest_of("registration_access", forged)
    if isinstance(world.store, MemoryStore):
        rows = world.store._tables.clients
        rows[client["client_id"]] = replace(rows[client["client_id"]], registration_access=digest)
    else:
        with closing(sqlite3.connect(world.store._database._url.database)) as database, database:
            database.execute("UPDATE oauth_clients SET registration_access = ?", (digest,))
    with nothing_changes(world):
        for token in (forged, client["registration_access_token"]):
            for method in ("GET", "PUT", "DELETE"):
                challenged(await send(world, method, client, token=token, json=document(client)))
