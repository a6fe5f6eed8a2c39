"""Clients that act for themselves (OAuth 2.1 section 4.2, the MCP extension for client credentials)."""

from __future__ import annotations

from typing import Any

import pytest

from grantwell import ClientMetadataError
from grantwell_storage import MemoryStore
from tests.assertions.signing import authenticated, client_assertion, jwks, new_key
from tests.wire.world import R1, R2, World, nothing_changes, parsed, refused, running_world

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

GRANT = {"grant_type": "client_credentials"}


async def service(world: World, **changes: Any) -> dict[str, Any]:
    """An operator's client that acts for itself."""
    metadata = {
        "client_name": "Nightly report",
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "client_secret_basic",
    } | changes
    client, secret = await world.provider.helpers.create_client(metadata)
    return metadata | {"client_id": client.client_id, "client_secret": secret, "redirect_uris": client.redirect_uris}


@requirement("S-261", "S-262", "S-263", "S-264", "S-129", "S-052", "S-315")
@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_a_client_gets_an_access_token_of_its_own_and_nothing_else(world: World, method: str) -> None:
    metadata = (await world.http.get("/.well-known/oauth-authorization-server")).json()
    assert "client_credentials" in metadata["grant_types_supported"]
    client = await service(world, token_endpoint_auth_method=method)
    raw = parsed(await world.post("/token", client, GRANT | {"scope": "read", "resource": R1})).raw
    assert "refresh_token" not in raw
    assert (raw["scope"], raw["resource"], raw["expires_in"], raw["token_type"]) == ("read", R1, 3600, "Bearer")
    who = (await world.call(raw["access_token"])).json()
    assert (who["user"], who["client"], who["scopes"], who["props"]) == (None, client["client_id"], ["read"], None)
    world.clock.advance(3600)
    assert (await world.call(raw["access_token"])).status_code == 401


@requirement("S-264", "S-219")
async def test_an_assertion_needs_no_client_id_beside_it(world: World) -> None:
    key = new_key()
    client = await service(world, token_endpoint_auth_method="private_key_jwt", jwks=jwks(key))
    form = authenticated(client_assertion(key, client["client_id"], world.clock()), **GRANT, resource=R1, scope="read")
    raw = parsed(await world.http.post("/token", data=form)).raw
    assert (await world.call(raw["access_token"])).json()["client"] == client["client_id"]


@requirement("S-266", "S-267", "S-320", "S-321", "S-326")
async def test_scope_and_resource_are_held_to_the_rules_of_every_grant(world: World) -> None:
    client = await service(world, scope="read")
    assert parsed(await world.post("/token", client, GRANT)).raw["scope"] == "read"
    assert parsed(await world.post("/token", client, GRANT)).raw["resource"] == [R1, R2]
    assert parsed(await world.post("/token", client, GRANT | {"resource": R2})).raw["resource"] == R2
    with nothing_changes(world):
        refused(await world.post("/token", client, GRANT | {"scope": "write"}), "invalid_scope")
        refused(await world.post("/token", client, GRANT | {"scope": "admin"}), "invalid_scope")
        refused(await world.post("/token", client, GRANT | {"scope": 'a"b'}), "invalid_scope")
        refused(await world.post("/token", client, GRANT | {"resource": "https://x.test"}), "invalid_target")
        refused(await world.post("/token", client, GRANT | {"resource": "/api"}), "invalid_target")
    both = parsed(await world.post("/token", client, GRANT | {"resource": [R1, R2]})).raw
    assert both["resource"] == [R1, R2]


@requirement("S-261", "S-200", "S-265", "A-156", "S-216", "A-074")
async def test_nobody_else_gets_one(world: World) -> None:
    for method in ("none", "client_secret_basic", "client_secret_post"):
        registered = await world.register(
            token_endpoint_auth_method=method, grant_types=["authorization_code", "client_credentials"]
        )
        assert registered["grant_types"] == ["authorization_code"]
        with nothing_changes(world):
            refused(await world.post("/token", registered, GRANT), "unauthorized_client")
    client = await service(world)
    with nothing_changes(world):
        refused(await world.http.post("/token", data=GRANT | {"client_id": client["client_id"]}), "invalid_client", 401)
        refused(await world.http.post("/token", data=GRANT), "invalid_client", 401)
        refused(await world.http.post("/token", data=GRANT, auth=(client["client_id"], "x")), "invalid_client", 401)


@requirement("S-261", "S-218", "S-454")
@pytest.mark.parametrize(
    "changes",
    [
        {"token_endpoint_auth_method": "none"},
        {"application_type": "native"},
        {"grant_types": ["client_credentials", "refresh_token"]},
        {"grant_types": ["password"]},
        {"response_types": ["code"]},
        {"grant_types": ["authorization_code"]},
    ],
    ids=str,
)
async def test_an_operator_cannot_make_a_client_that_makes_no_sense(world: World, changes: dict[str, Any]) -> None:
    with nothing_changes(world), pytest.raises(ClientMetadataError):
        await service(world, **changes)


@requirement("S-148")
async def test_a_client_without_the_code_flow_cannot_send_anybody_to_the_authorization_endpoint(world: World) -> None:
    client = await service(world)
    answer = await world.authorize(client | {"redirect_uris": ["https://c1.test/cb"]})
    assert (answer.status_code, answer.text) == (400, "local error: invalid_request")


@requirement("S-169", "A-201", "S-125", "S-254")
async def test_such_a_token_is_listed_and_taken_back_like_every_other(world: World) -> None:
    client = await service(world)
    raw = parsed(await world.post("/token", client, GRANT)).raw
    helpers = world.provider.helpers
    [grant] = (await helpers.list_grants(client_id=client["client_id"])).items
    assert (grant.user_id, grant.redirect_uri, grant.exchanged_at) == (None, None, int(world.clock()))
    assert (await world.revoke(client, raw["access_token"])).status_code == 200
    assert (await world.call(raw["access_token"])).status_code == 401
    second = parsed(await world.post("/token", client, GRANT)).raw
    assert await helpers.revoke_grant(grant.grant_id)
    [left] = (await helpers.list_grants(client_id=client["client_id"])).items
    assert await helpers.revoke_grant(left.grant_id)
    assert (await world.call(second["access_token"])).status_code == 401
    third = parsed(await world.post("/token", client, GRANT)).raw
    assert await helpers.delete_client(client["client_id"])
    assert (await world.call(third["access_token"])).status_code == 401
    refused(await world.post("/token", client, GRANT), "invalid_client", 401)


@requirement("A-306", "S-208")
async def test_what_has_ended_is_purged(world: World) -> None:
    client = await service(world)
    for _ in range(30):
        parsed(await world.post("/token", client, GRANT))
    assert len((await world.provider.helpers.list_grants(client_id=client["client_id"])).items) == 30
    world.clock.advance(2 * 3600 + 1)
    result = await world.provider.helpers.purge_expired()
    assert (result.grants + result.access_tokens, result.done) == (60, True)


@requirement("C-151")
async def test_the_callback_is_not_asked_because_there_is_no_grant_to_renew() -> None:
    async def refuse(event: object) -> None:
        raise AssertionError(f"asked about {event!r}")

    async with running_world(MemoryStore(), token_exchange_callback=refuse) as world:
        parsed(await world.post("/token", await service(world), GRANT))
