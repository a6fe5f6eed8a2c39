"""What the reference provider does with tokens, routes and metadata, and what is done here instead."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from grantwell import CrossClientExchange, Resource, TokenExchange
from grantwell.crypto import digest_of
from grantwell_storage import MemoryStore
from tests.wire.world import (
    ISSUER,
    R1,
    SCOPES,
    World,
    asgi_scope,
    new_store,
    nothing_changes,
    parsed,
    refused,
    running_world,
    site,
)

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
SERVER = "/.well-known/oauth-authorization-server"


@requirement("C-137", "C-126", "S-240", "S-465")
async def test_a_spent_code_keeps_its_digest_and_loses_its_key(world: World) -> None:
    client = await world.register()
    code = await world.code(client)
    [grant] = (await world.provider.helpers.list_grants()).items
    before = await world.store.get_code(grant.grant_id, digest_of("code", code))
    assert before.code.wrapped_key
    assert before.grant.expires_at == world.clock() + 60
    parsed(await world.exchange(client, code))
    after = await world.store.get_code(grant.grant_id, digest_of("code", code))
    assert after.code.redeemed_at == world.clock()
    assert not after.code.wrapped_key
    assert after.grant.expires_at == world.clock() + 30 * 86_400


@requirement("C-161", "C-151", "C-166", "S-275", "S-009")
async def test_a_token_exchange_asks_no_callback_and_changes_nothing_of_the_grant() -> None:
    asked: list[str] = []

    def note(event: TokenExchange) -> None:
        asked.append(event.grant_type)

    async with running_world(MemoryStore(), allow_token_exchange=True, token_exchange_callback=note) as world:
        grant_types = ["authorization_code", "refresh_token", EXCHANGE]
        client = await world.register(grant_types=grant_types, token_endpoint_auth_method="client_secret_post")
        tokens = await world.tokens(client)
        [before] = (await world.provider.helpers.list_grants()).items
        world.clock.advance(600)
        form = {"grant_type": EXCHANGE, "subject_token": tokens.access, "subject_token_type": ACCESS_TOKEN}
        # The life of the new token is the server's and the subject token's to say; these are no parameters.
        for more in ({}, {"expires_in": "5"}, {"expires_in": "999999", "access_token_ttl": "x"}):
            raw = parsed(await world.post("/token", client, form | more)).raw
            assert raw["expires_in"] == 3000
        assert asked == ["authorization_code"]
        [after] = (await world.provider.helpers.list_grants()).items
        assert (after.scopes, after.resources, after.expires_at) == (before.scopes, before.resources, before.expires_at)
        assert (await world.refresh(client, tokens.refresh)).status_code == 200


@requirement("C-169", "C-163", "S-270", "A-183", "D-02")
async def test_a_token_whose_grant_ends_while_the_policy_decides_is_exchanged_for_nothing() -> None:
    worlds: list[World] = []

    async def change_of_mind(event: CrossClientExchange) -> bool:
        assert await worlds[0].provider.helpers.revoke_grant(event.grant_id, event.user_id or "")
        return True

    async with running_world(MemoryStore(), allow_token_exchange=True, token_exchange_policy=change_of_mind) as world:
        worlds.append(world)
        grant_types = ["authorization_code", "refresh_token", EXCHANGE]
        owner = await world.register(grant_types=grant_types, token_endpoint_auth_method="client_secret_post")
        gateway = await world.register(grant_types=grant_types, token_endpoint_auth_method="client_secret_post")
        tokens = await world.tokens(owner)
        form = {"grant_type": EXCHANGE, "subject_token": tokens.access, "subject_token_type": ACCESS_TOKEN}
        refused(await world.post("/token", gateway, form), "invalid_request")
        assert (await world.provider.helpers.list_grants(client_id=gateway["client_id"])).items == ()


@requirement("C-198", "S-113", "S-327")
@pytest.mark.parametrize("identifier", [f"{ISSUER}/api/", f"{ISSUER}/api", f"{ISSUER}/", ISSUER])
async def test_an_identifier_may_end_with_a_slash(identifier: str) -> None:
    resources = {"/api": Resource(scopes=SCOPES, identifier=identifier)}
    async with running_world(MemoryStore(), resources=resources) as world:
        tokens = await world.tokens(await world.register(), resource=identifier)
        assert tokens.raw["resource"] == identifier
        for path in ("/api", "/api/", "/api/x", "/api/x/y"):
            assert (await world.call(tokens.access, path)).status_code == 200
        other = await world.tokens(await world.register(), resource=f"{ISSUER}/other", scope=None)
        assert (await world.call(other.access, "/api/x")).status_code == 401


@requirement("C-240", "C-239", "S-465", "A-321")
async def test_who_granted_what_can_be_read_in_the_database_and_props_cannot(tmp_path: Path) -> None:
    async with running_world(new_store("sqlite", tmp_path)) as world:
        client = await world.register(client_name="Readable")
        await world.tokens(client, headers={"x-user": "ada-lovelace"})
        with closing(sqlite3.connect(tmp_path / "oauth.db")) as database:
            dump = "\n".join(database.iterdump())
    for readable in ("ada-lovelace", client["client_id"], "Readable", R1, "read", "write"):
        assert readable in dump
    assert "teal" not in dump
    assert b"teal".hex() not in dump.lower()


class Broken(Exception):
    """What a wrapped application raises."""


@requirement("C-015", "A-340", "S-108")
@pytest.mark.parametrize("where", ["/api", "/elsewhere"])
async def test_what_an_application_raises_goes_on_to_the_server(where: str) -> None:
    answered: list[Message] = []

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/authorize":
            return await site(scope, receive, send)
        raise Broken("secret detail")

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        answered.append(message)

    resources = {"/api": Resource(scopes=SCOPES)}
    handlers = {"/api": broken}
    async with running_world(MemoryStore(), api_handlers=handlers, resources=resources, default=broken) as world:
        token = (await world.tokens(await world.register())).access
        with pytest.raises(Broken):
            await world.provider(asgi_scope(where, headers={"Authorization": f"Bearer {token}"}), receive, send)
    assert answered == []


# What this server has not, in the words of the registry of RFC 8414 section 7.1.2 and its successors.
NOT_BUILT = {
    "jwks_uri",
    "pushed_authorization_request_endpoint",
    "require_pushed_authorization_requests",
    "device_authorization_endpoint",
    "dpop_signing_alg_values_supported",
    "tls_client_certificate_bound_access_tokens",
    "request_object_signing_alg_values_supported",
    "require_signed_request_object",
    "signed_metadata",
    "authorization_details_types_supported",
    "userinfo_endpoint",
    "id_token_signing_alg_values_supported",
    "subject_types_supported",
    "identity_chaining_requested_token_types_supported",
    "backchannel_authentication_endpoint",
    "end_session_endpoint",
}
SWITCHES: list[dict[str, Any]] = [
    {},
    {"introspection_endpoint": "/introspect", "allow_token_exchange": True, "allow_client_management": True},
    {"client_registration_endpoint": None, "client_id_metadata_documents": False, "refresh_token_ttl": 0},
]


@requirement("C-035", "C-029", "C-030", "C-031", "C-032", "C-033", "A-280", "S-034")
@pytest.mark.parametrize("options", SWITCHES, ids=str)
async def test_metadata_has_nothing_that_the_server_has_not(options: dict[str, Any]) -> None:
    async with running_world(MemoryStore(), **options) as world:
        content = (await world.http.get(SERVER)).json()
    assert not NOT_BUILT & content.keys()
    exchange = [EXCHANGE] if "allow_token_exchange" in options else []
    assert content["grant_types_supported"] == ["authorization_code", "refresh_token", "client_credentials", *exchange]
    assert content["code_challenge_methods_supported"] == ["S256"]
    assert content["authorization_response_iss_parameter_supported"] is True
    assert content["client_id_metadata_document_supported"] is ("client_id_metadata_documents" not in options)
    endpoints = {"token", "revocation"} | ({"introspection"} if "introspection_endpoint" in options else set())
    assert endpoints == {name.split("_", 1)[0] for name in content if name.endswith("_endpoint_auth_methods_supported")}


@requirement("C-098", "A-062", "S-176")
async def test_a_grant_that_waits_for_its_exchange_ends_with_its_code(world: World) -> None:
    client = await world.register()
    code = await world.code(client)
    assert len((await world.provider.helpers.list_grants(state="active")).items) <= 1
    world.clock.advance(60)
    refused(await world.exchange(client, code), "invalid_grant")
    assert (await world.provider.helpers.list_grants(state="active")).items == ()
    world.clock.advance(3700)
    while not (await world.provider.helpers.purge_expired()).done:
        continue
    assert (await world.provider.helpers.list_grants()).items == ()


@requirement("C-108", "S-033")
async def test_nothing_is_stored_for_a_request_that_wants_a_token_in_its_url(world: World) -> None:
    client = await world.register()
    with nothing_changes(world):
        answer = await world.authorize(client, response_type="token")
    assert "error=unsupported_response_type" in answer.headers["location"]
    assert "#" not in answer.headers["location"]
