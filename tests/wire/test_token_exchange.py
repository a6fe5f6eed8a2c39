"""Token exchange over HTTP (RFC 8693): narrowing only, owned by the caller, never across clients without a policy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from grantwell import CrossClientExchange
from grantwell_storage import MemoryStore
from tests.wire.world import (
    R1,
    R2,
    STORES,
    World,
    altered,
    new_store,
    nothing_changes,
    parsed,
    refused,
    running_world,
)

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


@pytest.fixture(params=STORES)
async def open_world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A world where tokens may be exchanged."""
    async with running_world(new_store(request.param, tmp_path), allow_token_exchange=True) as world:
        yield world


async def agent(world: World, **changes: Any) -> dict[str, Any]:
    """A confidential client that may exchange its tokens."""
    return await world.register(
        **(
            {
                "token_endpoint_auth_method": "client_secret_basic",
                "grant_types": ["authorization_code", "refresh_token", EXCHANGE],
            }
            | changes
        )
    )


async def exchange(world: World, client: dict[str, Any], token: str | None, **changes: Any) -> httpx.Response:
    """Exchange a token, with a valid request changed as written."""
    form: dict[str, Any] = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": ACCESS_TOKEN}
    return await world.post("/token", client, form | changes)


@requirement("S-268", "S-274", "S-275", "C-164", "C-165", "C-166", "C-167", "C-029")
async def test_a_token_is_narrowed_for_somebody_further_down(open_world: World) -> None:
    world = open_world
    metadata = (await world.http.get("/.well-known/oauth-authorization-server")).json()
    assert EXCHANGE in metadata["grant_types_supported"]
    client = await agent(world)
    tokens = await world.tokens(client, resource=[R1, R2])
    world.clock.advance(1000)
    raw = parsed(await exchange(world, client, tokens.access, scope="read", resource=R2)).raw
    assert sorted(raw) == ["access_token", "expires_in", "issued_token_type", "resource", "scope", "token_type"]
    assert (raw["issued_token_type"], raw["token_type"]) == (ACCESS_TOKEN, "Bearer")
    assert (raw["scope"], raw["resource"], raw["expires_in"]) == ("read", R2, 2600)
    who = (await world.call(raw["access_token"], "/other")).json()
    assert (who["user"], who["client"], who["scopes"]) == ("u1", client["client_id"], ["read"])
    assert (await world.call(raw["access_token"])).status_code == 401
    assert (await world.call(tokens.access)).status_code == 200
    refused(await exchange(world, client, raw["access_token"], scope="write"), "invalid_scope")
    refused(await exchange(world, client, raw["access_token"], resource=R1), "invalid_target")


@requirement("S-268", "S-269", "S-270", "S-271", "S-276", "C-162", "C-163", "S-272", "C-168")
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"subject_token": None}, "invalid_request"),
        ({"subject_token_type": None}, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:jwt"}, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"),
        ({"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"),
        ({"actor_token_type": ACCESS_TOKEN}, "invalid_request"),
        ({"actor_token": "x"}, "invalid_request"),
        ({"actor_token": "x", "actor_token_type": ACCESS_TOKEN}, "invalid_request"),
        ({"subject_token": "garbage"}, "invalid_request"),
        ({"subject_token": ["a", "b"]}, "invalid_request"),
        ({"scope": "read admin"}, "invalid_scope"),
        ({"scope": 'a"b'}, "invalid_scope"),
        ({"resource": "https://as.test/other"}, "invalid_target"),
        ({"resource": "/api"}, "invalid_target"),
        ({"resource": "https://as.test/api#f"}, "invalid_target"),
        ({"audience": "https://elsewhere.test"}, "invalid_target"),
        ({"audience": "somebody"}, "invalid_target"),
    ],
    ids=str,
)
async def test_a_request_that_is_not_right_changes_nothing(
    open_world: World, changes: dict[str, Any], code: str
) -> None:
    client = await agent(open_world)
    tokens = await open_world.tokens(client)
    with nothing_changes(open_world):
        refused(await exchange(open_world, client, tokens.access, **changes), code)


@requirement("S-270", "S-126", "S-273")
async def test_only_a_live_access_token_is_a_subject(open_world: World) -> None:
    world = open_world
    client = await agent(world)
    tokens = await world.tokens(client)
    code = await world.code(client)
    with nothing_changes(world):
        for text in (tokens.refresh, code, client["client_secret"], altered(tokens.access), "x" * 600):
            refused(await exchange(world, client, text), "invalid_request")
    assert parsed(await exchange(world, client, tokens.access, audience=[R1, R1], resource=R1)).raw["resource"] == R1
    await world.revoke(client, tokens.access)
    refused(await exchange(world, client, tokens.access), "invalid_request")
    fresh = parsed(await world.refresh(client, tokens.refresh))
    world.clock.advance(3600)
    refused(await exchange(world, client, fresh.access), "invalid_request")


@requirement("S-277", "S-278", "S-200", "C-169")
async def test_a_client_exchanges_its_own_tokens_alone(open_world: World) -> None:
    world = open_world
    owner, thief, public = await agent(world), await agent(world), await agent(world, token_endpoint_auth_method="none")
    assert public["grant_types"] == ["authorization_code", "refresh_token"]
    tokens = await world.tokens(owner)
    with nothing_changes(world):
        refused(await exchange(world, thief, tokens.access), "invalid_request")
        refused(await exchange(world, public, tokens.access), "unauthorized_client")
        form = {"grant_type": EXCHANGE, "subject_token": tokens.access, "subject_token_type": ACCESS_TOKEN}
        refused(await world.http.post("/token", data=form), "invalid_client", 401)
        refused(await world.http.post("/token", data=form | {"client_id": owner["client_id"]}), "invalid_client", 401)
    plain = await world.register(token_endpoint_auth_method="client_secret_basic")
    refused(await exchange(world, plain, (await world.tokens(plain)).access), "unauthorized_client")


@requirement("S-275", "S-367", "S-368", "A-194")
async def test_what_was_exchanged_dies_with_its_grant_and_can_be_revoked_alone(open_world: World) -> None:
    world = open_world
    client = await agent(world)
    tokens = await world.tokens(client)
    first = parsed(await exchange(world, client, tokens.access)).raw["access_token"]
    second = parsed(await exchange(world, client, tokens.access)).raw["access_token"]
    assert (await world.revoke(client, first)).status_code == 200
    assert (await world.call(first)).status_code == 401
    assert (await world.call(second)).status_code == 200
    assert (await world.revoke(client, tokens.refresh)).status_code == 200
    assert (await world.call(second)).status_code == 401


@requirement("S-278", "S-128", "C-169", "S-275")
async def test_a_policy_may_let_one_client_exchange_the_tokens_of_another() -> None:
    seen: list[CrossClientExchange] = []
    answers: list[Any] = [False, None, "yes", 1, True]

    async def policy(event: CrossClientExchange) -> bool:
        seen.append(event)
        answer: bool = answers.pop(0)
        return answer

    async with running_world(MemoryStore(), allow_token_exchange=True, token_exchange_policy=policy) as world:
        owner, gateway = await agent(world), await agent(world)
        tokens = await world.tokens(owner)
        for _ in range(4):
            refused(await exchange(world, gateway, tokens.access, scope="read"), "invalid_request")
        raw = parsed(await exchange(world, gateway, tokens.access, scope="read")).raw
        event = seen[-1]
        assert (event.client_id, event.subject_client_id) == (gateway["client_id"], owner["client_id"])
        assert (event.user_id, event.scopes, event.resources) == ("u1", ("read",), (R1,))
        who = (await world.call(raw["access_token"])).json()
        assert (who["user"], who["client"], who["scopes"]) == ("u1", gateway["client_id"], ["read"])
        assert who["props"] == {"color": "teal", "user": "u1"}
        assert raw["expires_in"] <= 3600
        assert "refresh_token" not in raw
        assert (await world.revoke(gateway, raw["access_token"])).status_code == 200
        assert (await world.call(raw["access_token"])).status_code == 401
        assert (await world.call(tokens.access)).status_code == 200


@requirement("A-351", "S-198", "C-124")
async def test_where_it_is_switched_off_there_is_no_such_grant() -> None:
    async with running_world(MemoryStore()) as world:
        client = await agent(world)
        assert client["grant_types"] == ["authorization_code", "refresh_token"]
        tokens = await world.tokens(client)
        refused(await exchange(world, client, tokens.access), "unsupported_grant_type")
        metadata = (await world.http.get("/.well-known/oauth-authorization-server")).json()
        assert EXCHANGE not in metadata["grant_types_supported"]
