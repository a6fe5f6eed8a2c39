"""Clients that are known by a metadata document: fetched when a user is asked, and bound to the grant."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from grantwell import ClientRegistration, OAuthError
from grantwell_storage import MemoryStore
from tests.documents.conftest import connected_world
from tests.documents.publishing import CLIENT, REDIRECT, client, document, publish, republish
from tests.outbound.internet import Internet, http
from tests.wire.world import World, answer_parameters, new_store, nothing_changes, parsed, refused

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement


def shown_locally(answer: Any, code: str = "invalid_request", status: int = 400) -> None:
    """An error page of the application, and no redirect."""
    assert (answer.status_code, answer.text) == (status, f"local error: {code}")
    assert "location" not in answer.headers


@requirement("S-422", "S-442", "S-044", "S-428", "C-033")
async def test_a_client_that_published_itself_gets_through_without_registering(
    world: World, internet: Internet
) -> None:
    host = await publish(internet)
    metadata = (await world.http.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["client_id_metadata_document_supported"] is True
    assert "none" in metadata["token_endpoint_auth_methods_supported"]
    tokens = await world.tokens(client())
    assert (await world.call(tokens.access)).json()["client"] == CLIENT
    again = parsed(await world.refresh(client(), tokens.refresh))
    assert (await world.revoke(client(), again.refresh)).status_code == 200
    assert (await world.call(again.access)).status_code == 401
    assert len(host.requests) == 1


@requirement("A-133", "D-30", "C-079", "C-081")
async def test_only_the_authorization_endpoint_fetches(world: World, internet: Internet) -> None:
    host = await publish(internet)
    for path, form in [
        ("/token", {"grant_type": "authorization_code", "code": "x", "code_verifier": "x"}),
        ("/token", {"grant_type": "refresh_token", "refresh_token": "x"}),
        ("/revoke", {"token": "x"}),
    ]:
        refused(await world.post(path, client(), form), "invalid_client", 401)
    tokens = await world.tokens(client())
    fetched = len(host.requests)
    await world.refresh(client(), tokens.refresh)
    await world.call(tokens.access)
    assert (fetched, len(host.requests)) == (1, 1)


@requirement("A-133", "S-440")
async def test_what_was_shown_is_what_is_granted_though_the_document_changes(world: World, internet: Internet) -> None:
    host = await publish(internet, "Cache-Control: no-store")
    code = await world.code(client())
    republish(host, "Cache-Control: no-store", redirect_uris=["https://m1.test/elsewhere"], client_name="Another")
    tokens = parsed(await world.exchange(client(), code))
    parsed(await world.refresh(client(), tokens.refresh))
    known = await world.provider.helpers.lookup_client(CLIENT)
    assert known is not None
    assert (known.origin, known.name) == ("document", "Notes on the go")
    shown_locally(await world.authorize(client()))
    await world.tokens(client(redirect_uris=["https://m1.test/elsewhere"]))
    changed = await world.provider.helpers.lookup_client(CLIENT)
    assert changed is not None
    assert (changed.name, changed.version) == ("Another", 2)
    parsed(
        await world.refresh(client(), (await world.tokens(client(redirect_uris=["https://m1.test/elsewhere"]))).refresh)
    )


@requirement("A-133", "A-216")
async def test_a_request_that_was_kept_is_believed_only_as_it_was_sealed(world: World, internet: Internet) -> None:
    await publish(internet)
    helpers = world.provider.helpers
    asked: list[Any] = []
    original = helpers._context.store.add_grant

    async def note(new: Any) -> Any:
        asked.append(new)
        return await original(new)

    world.store.add_grant = note
    await world.code(client())
    assert asked[0].document.origin == "document"
    again = await world.code(client())
    assert again
    assert asked[1].document is None  # the stored snapshot says the same


@requirement("A-143", "C-103")
async def test_one_installation_does_not_log_out_another(world: World, internet: Internet) -> None:
    await publish(internet, "Cache-Control: max-age=600")
    first = await world.tokens(client())
    second = await world.tokens(client())
    for tokens in (first, second):
        assert (await world.call(tokens.access)).status_code == 200
        parsed(await world.refresh(client(), tokens.refresh))


@requirement("S-423", "A-115", "A-116", "A-117", "A-118", "A-140", "S-435", "S-134", "C-069", "C-071")
@pytest.mark.parametrize(
    "client_id",
    [
        "http://m1.test/client.json",
        "https://m1.test",
        "https://m1.test/",
        "https://m1.test?x=/c",
        "https://m1.test/a/../client.json",
        "https://m1.test/%2e%2e/client.json",
        "https://m1.test/client.json#f",
        "https://user:pass@m1.test/client.json",
        "https://m1.test\\client.json",
        "https://M1.test/client.json",
        "https://m1.test:443/client.json",
        "https://m1.test:8443/client.json",
        "https://m1.test./client.json",
        "https://127.0.0.1/client.json",
        "https://[::1]/client.json",
        "https://8.8.8.8/client.json",
        "https://2130706433/client.json",
        "https://localhost/client.json",
        "https://intranet/client.json",
        "https://metadata.google.internal/client.json",
        "https://as.test/client.json",
        "https://m1.test/" + "x" * 2048,
        "ftp://m1.test/client.json",
        "//m1.test/client.json",
    ],
    ids=lambda text: text[:60],
)
async def test_what_is_no_url_of_a_document_is_refused_without_a_look_at_the_network(
    world: World, internet: Internet, client_id: str
) -> None:
    await publish(internet)
    with nothing_changes(world):
        shown_locally(await world.authorize(client(client_id=client_id)))
    assert (internet.queries, internet.connections) == ([], [])


@requirement("S-430", "S-464", "A-119", "A-120", "A-121", "A-122", "C-070")
@pytest.mark.parametrize(
    "answers",
    [
        ["10.0.0.1"],
        ["127.0.0.1"],
        ["169.254.169.254"],
        ["8.8.8.8", "192.168.1.1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::a9fe:a9fe"],
        ["2002:7f00:1::"],
        ["fe80::1"],
        [],
    ],
    ids=str,
)
async def test_a_name_that_leads_inside_is_refused_without_a_connection(
    world: World, internet: Internet, answers: list[str]
) -> None:
    internet.name("m1.test", answers)
    shown_locally(await world.authorize(client()))
    assert internet.connections == []


REFUSED: list[dict[str, Any]] = [
    {"client_id": None},
    {"client_id": CLIENT + "/"},
    {"client_id": "https://M1.test/client.json"},
    {"client_name": None},
    {"client_name": " "},
    {"client_name": 7},
    {"redirect_uris": None},
    {"redirect_uris": []},
    {"redirect_uris": REDIRECT},
    {"redirect_uris": [REDIRECT, "javascript:alert(1)"]},
    {"redirect_uris": [REDIRECT, "http://c1.test/cb"]},
    {"client_secret": "s"},
    {"client_secret_expires_at": 0},
    {"token_endpoint_auth_method": "client_secret_basic"},
    {"token_endpoint_auth_method": "client_secret_post"},
    {"token_endpoint_auth_method": "client_secret_jwt"},
    {"token_endpoint_auth_method": "private_key_jwt"},
    {"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}},
    {"jwks": {"keys": []}, "jwks_uri": "https://m1.test/jwks"},
    {"logo_uri": "javascript:alert(1)"},
    {"grant_types": ["client_credentials"]},
]


@requirement(
    "S-424",
    "S-425",
    "S-426",
    "S-427",
    "S-443",
    "A-123",
    "A-125",
    "A-126",
    "A-127",
    "A-129",
    "S-429",
    "C-073",
    "C-074",
    "C-085",
)
@pytest.mark.parametrize(
    "answer",
    [
        http(b"", "Location: https://m1.test/other.json", status="302 Found"),
        http(b"{}", status="404 Not Found"),
        http(b"not json"),
        http(b"[]"),
        http(b'{"client_id":"https://m1.test/client.json"}'),
        *(http(json.dumps(document(**changes)).encode()) for changes in REFUSED),
    ],
    ids=str,
)
async def test_a_document_that_is_none_is_refused_and_not_kept(world: World, internet: Internet, answer: bytes) -> None:
    host = await internet.serve(answer)
    with nothing_changes(world):
        got = await world.authorize(client())
        assert got.status_code == 400
        assert got.text.startswith("local error: ")
        assert "location" not in got.headers
    republish(host)
    await world.tokens(client())
    assert await world.provider.helpers.lookup_client(CLIENT) is not None


@requirement("S-432", "A-124", "C-072")
async def test_a_document_has_5_kib_at_most(world: World, internet: Internet) -> None:
    host = await publish(internet, client_uri="https://m1.test/" + "x" * 2000, padding="x" * 2500)
    await world.code(client())
    republish(host, padding="x" * 5200)
    shown_locally(await world.authorize(client()))


@requirement("S-433", "A-134", "C-078")
@pytest.mark.parametrize(
    ("fields", "fetches"),
    [
        ([], 3),
        (["Cache-Control: no-store"], 3),
        (["Cache-Control: private, max-age=600"], 3),
        (["Cache-Control: max-age=0"], 3),
        (["Cache-Control: max-age=60"], 2),
        (["Cache-Control: max-age=31536000"], 1),
    ],
    ids=str,
)
async def test_a_document_is_kept_as_long_as_it_allows_and_a_day_at_most(
    world: World, internet: Internet, fields: list[str], fetches: int
) -> None:
    host = await publish(internet, *fields)
    await world.code(client())
    world.clock.advance(59)
    await world.code(client())
    world.clock.advance(1)
    await world.code(client())
    assert len(host.requests) == fetches
    world.clock.advance(86_400)
    await world.code(client())
    assert len(host.requests) == fetches + 1


@requirement("S-434", "A-134", "C-078")
async def test_a_failure_is_not_remembered(world: World, internet: Internet) -> None:
    host = await internet.serve(http(b"{}", "Cache-Control: max-age=600", status="500 Oops"))
    shown_locally(await world.authorize(client()))
    republish(host, "Cache-Control: max-age=600")
    await world.code(client())


@requirement("A-135")
async def test_many_requests_for_one_document_share_one_fetch(world: World, internet: Internet) -> None:
    host = await publish(internet, "Cache-Control: max-age=600")
    answers = await asyncio.gather(*(world.authorize(client()) for _ in range(30)))
    assert {answer.status_code for answer in answers} == {303}
    assert len(host.requests) == 1


@requirement("A-135", "S-023")
async def test_fetches_for_one_sender_are_bounded(internet: Internet) -> None:
    async with connected_world(internet, MemoryStore()) as world:
        statuses = [
            (await world.authorize(client(client_id=f"https://host{n}.test/client.json"))).status_code
            for n in range(200)
        ]
        assert statuses[:120] == [400] * 120
        assert statuses[-1] == 400
        answer = await world.http.get("/authorize", params={"client_id": "https://one-more.test/client.json"})
        assert answer.text == "local error: temporarily_unavailable"
        assert len(internet.queries) < 200


@requirement("A-137")
async def test_every_failure_of_the_network_looks_the_same(world: World, internet: Internet) -> None:
    texts = set()
    internet.name("closed.test", ["8.8.4.4"])
    internet.name("inside.test", ["10.0.0.1"])
    await internet.serve(http(b"", status="404 Not Found"), name="open.test", address="8.8.8.9")
    await internet.serve(b"garbage", name="odd.test", address="8.8.8.10", plain=True)
    for host in ("closed", "inside", "open", "odd", "unknown"):
        answer = await world.authorize(client(client_id=f"https://{host}.test/client.json"))
        texts.add((answer.status_code, answer.text, tuple(sorted(answer.headers))))
    assert len(texts) == 1


@requirement("A-141", "S-044", "C-068", "C-033")
async def test_where_documents_are_switched_off_a_url_is_an_unknown_client(internet: Internet) -> None:
    await publish(internet)
    async with connected_world(internet, MemoryStore(), client_id_metadata_documents=False) as world:
        metadata = (await world.http.get("/.well-known/oauth-authorization-server")).json()
        assert metadata["client_id_metadata_document_supported"] is False
        shown_locally(await world.authorize(client()))
    assert (internet.queries, internet.connections) == ([], [])


@requirement("S-438", "C-063")
async def test_the_registration_callback_judges_documents_too(internet: Internet, tmp_path: Path) -> None:
    seen: list[ClientRegistration] = []

    async def only_m2(event: ClientRegistration) -> None:
        seen.append(event)
        if not event.client.client_id.startswith("https://m2.test/"):
            raise OAuthError("invalid_client_metadata", "This site is not welcome.")

    await publish(internet)
    async with connected_world(internet, MemoryStore(), client_registration_callback=only_m2) as world:
        shown_locally(await world.authorize(client()), "invalid_client_metadata")
        assert (seen[0].client.origin, seen[0].metadata, seen[0].headers) == ("document", document(), {})
        assert await world.provider.helpers.lookup_client(CLIENT) is None


@requirement("S-152", "S-163")
async def test_errors_of_a_published_client_are_those_of_a_stranger(world: World, internet: Internet) -> None:
    await publish(internet)
    answer = await world.authorize(client(), code_challenge=None)
    parameters = answer_parameters(answer)
    assert (parameters["error"], parameters["state"]) == ("invalid_request", "xyz")


@requirement("S-445", "S-428", "A-131")
async def test_a_published_loopback_uri_takes_any_port(world: World, internet: Internet) -> None:
    await publish(internet, redirect_uris=["http://127.0.0.1/cb", "http://localhost/cb"])
    for uri in ("http://127.0.0.1:51004/cb", "http://localhost:8765/cb"):
        code = await world.code(client(), redirect_uri=uri)
        parsed(await world.exchange(client(), code, redirect_uri=uri))
    shown_locally(await world.authorize(client(), redirect_uri="http://127.0.0.1:51004/cb/"))


@requirement("S-439", "A-110")
async def test_ids_that_the_server_makes_are_never_urls(world: World) -> None:
    for _ in range(50):
        assert "/" not in (await world.register())["client_id"]


@requirement("S-407", "S-440")
async def test_a_published_client_that_nobody_uses_any_more_is_forgotten(world: World, internet: Internet) -> None:
    await publish(internet)
    tokens = await world.tokens(client())
    await world.revoke(client(), tokens.refresh)
    world.clock.advance(91 * 86_400)
    while not (await world.provider.helpers.purge_expired()).done:
        continue
    assert await world.provider.helpers.lookup_client(CLIENT) is None
    await world.tokens(client())


@requirement("C-228", "C-229")
async def test_nobody_but_its_site_changes_a_published_client(world: World, internet: Internet) -> None:
    await publish(internet)
    await world.tokens(client())
    with pytest.raises(OAuthError, match="document"):
        await world.provider.helpers.update_client(CLIENT, {"client_name": "Mine"})
    assert await world.provider.helpers.delete_client(CLIENT)


@requirement("A-141", "C-068", "S-254")
async def test_switching_documents_off_lets_nobody_begin_and_ends_nothing(internet: Internet, tmp_path: Path) -> None:
    await publish(internet)
    store = new_store("sqlite", tmp_path)
    async with connected_world(internet, store) as world:
        tokens = await world.tokens(client())
    async with connected_world(internet, store, client_id_metadata_documents=False) as world:
        shown_locally(await world.authorize(client()))
        again = parsed(await world.refresh(client(), tokens.refresh))
        assert (await world.call(again.access)).status_code == 200
