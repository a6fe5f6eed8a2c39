"""Token introspection (RFC 7662): for resource servers that live elsewhere, about tokens that are meant for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from grantwell import Resource
from grantwell_storage import MemoryStore
from tests.assertions.signing import authenticated, client_assertion, jwks, new_key
from tests.wire.world import ISSUER, R1, SCOPES, STORES, World, api, new_store, nothing_changes, parsed, refused
from tests.wire.world import running_world as plain_world

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

FILES = "https://files.test/v1"
MAIL = "https://mail.test"
RESOURCES = {
    "/api": Resource(scopes=SCOPES),
    FILES: Resource(
        scopes={"files": "Everything", "files:read": "Read files"}, name="Files", implies={"files": ["files:read"]}
    ),
    MAIL: Resource(scopes={"mail": "Read mail"}),
}


def options(**changes: Any) -> dict[str, Any]:
    """A server with one resource of its own, and two that live elsewhere."""
    return {"introspection_endpoint": "/introspect", "api_handlers": {"/api": api}, "resources": RESOURCES} | changes


@pytest.fixture(params=STORES)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A world with resources elsewhere."""
    async with plain_world(new_store(request.param, tmp_path), **options()) as world:
        yield world


async def resource_server(world: World, *resources: str, **changes: Any) -> dict[str, Any]:
    """A client that is a resource server."""
    metadata = {
        "client_name": "Files",
        "grant_types": [],
        "token_endpoint_auth_method": "client_secret_basic",
        "introspects": list(resources or [FILES]),
    } | changes
    client, secret = await world.provider.helpers.create_client(metadata)
    return metadata | {"client_id": client.client_id, "client_secret": secret, "redirect_uris": ["https://x.test"]}


async def introspect(world: World, server: dict[str, Any], token: str | None, **form: Any) -> httpx.Response:
    """Ask about a token."""
    return await world.post("/introspect", server, {"token": token} | form)


def inactive(answer: httpx.Response) -> None:
    """The one answer about everything that is not for the caller."""
    assert (answer.status_code, answer.json()) == (200, {"active": False})
    assert answer.headers["cache-control"] == "no-store"


@requirement("S-375", "S-378", "S-383", "S-387", "S-384", "S-040", "S-053", "S-092")
async def test_a_resource_server_learns_what_a_token_for_it_stands_for(place: World) -> None:
    metadata = (await place.http.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["introspection_endpoint"] == f"{ISSUER}/introspect"
    assert metadata["introspection_endpoint_auth_methods_supported"] == [
        "client_secret_basic",
        "client_secret_post",
        "private_key_jwt",
    ]
    assert metadata["protected_resources"] == [R1, FILES, MAIL]
    client = await place.register()
    tokens = await place.tokens(client, resource=[R1, FILES], scope="read files")
    answer = await introspect(place, await resource_server(place), tokens.access)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    grant_id = (await place.call(tokens.access)).json()["grant"]
    assert answer.json() == {
        "active": True,
        "scope": "files files:read",
        "client_id": client["client_id"],
        "sub": "u1",
        "username": "u1",
        "aud": FILES,
        "iss": ISSUER,
        "exp": int(place.clock()) + 3600,
        "iat": int(place.clock()),
        "token_type": "Bearer",
        "grant_id": grant_id,
        "props": {"color": "teal", "user": "u1"},
    }


@requirement("S-379", "S-380", "S-381", "S-382", "A-161")
async def test_everything_else_is_inactive_and_nothing_more(place: World) -> None:
    server, client = await resource_server(place), await place.register()
    tokens = await place.tokens(client, resource=FILES, scope="files")
    elsewhere = await place.tokens(await place.register(), resource=MAIL, scope="mail")
    code = await place.code(await place.register())
    for text in (
        tokens.refresh,
        elsewhere.access,
        code,
        server["client_secret"],
        "garbage",
        "x" * 5000,
        tokens.access[:-1] + ("A" if tokens.access[-1] != "A" else "B"),
    ):
        for hint in (None, "access_token", "refresh_token", "odd"):
            inactive(await introspect(place, server, text, token_type_hint=hint))
    for hint in (None, "refresh_token", "odd"):
        assert (await introspect(place, server, tokens.access, token_type_hint=hint)).json()["active"] is True
    place.clock.advance(3600)
    inactive(await introspect(place, server, tokens.access))


@requirement("S-125", "S-381", "S-367", "A-201")
async def test_a_token_is_inactive_as_soon_as_it_is_revoked(place: World) -> None:
    server = await resource_server(place)

    async def ended_by(end: Any) -> None:
        client = await place.register()
        tokens = await place.tokens(client, resource=FILES, scope="files")
        assert (await introspect(place, server, tokens.access)).json()["active"] is True
        await end(client, tokens)
        inactive(await introspect(place, server, tokens.access))

    await ended_by(lambda client, tokens: place.revoke(client, tokens.access))
    await ended_by(lambda client, tokens: place.revoke(client, tokens.refresh))
    await ended_by(lambda client, tokens: place.provider.helpers.delete_client(client["client_id"]))
    await ended_by(lambda client, tokens: place.provider.helpers.revoke_user_grants("u1"))


@requirement("S-376", "S-377", "S-206", "S-228", "S-216")
async def test_who_does_not_authenticate_is_told_nothing(place: World) -> None:
    server, public = await resource_server(place), await place.register()
    tokens = await place.tokens(public, resource=FILES, scope="files")
    with nothing_changes(place):
        refused(await place.http.post("/introspect", data={"token": tokens.access}), "invalid_client", 401)
        wrong = await place.http.post("/introspect", data={"token": tokens.access}, auth=(server["client_id"], "x"))
        refused(wrong, "invalid_client", 401)
        assert wrong.headers["www-authenticate"].startswith("Basic ")
        bare = {"token": tokens.access, "client_id": server["client_id"]}
        refused(await place.http.post("/introspect", data=bare), "invalid_client", 401)
        refused(await introspect(place, public, tokens.access), "unauthorized_client", 403)
        refused(await introspect(place, server, None), "invalid_request")
        refused(await introspect(place, server, ["a", "b"]), "invalid_request")  # type: ignore[arg-type]


@requirement("S-376", "S-379", "S-384")
async def test_a_client_may_ask_about_its_own_tokens_and_learns_no_props(place: World) -> None:
    own = await place.register(token_endpoint_auth_method="client_secret_basic")
    other = await place.register(token_endpoint_auth_method="client_secret_basic")
    tokens = await place.tokens(own, resource=[R1, FILES], scope="read files")
    described = (await introspect(place, own, tokens.access)).json()
    assert (described["active"], described["aud"]) == (True, [R1, FILES])
    assert "props" not in described
    inactive(await introspect(place, other, tokens.access))


@requirement("S-263", "S-129", "S-383")
async def test_a_clients_own_token_names_no_user(place: World) -> None:
    service, secret = await place.provider.helpers.create_client({"grant_types": ["client_credentials"]})
    form = {"grant_type": "client_credentials", "resource": FILES}
    answer = await place.http.post("/token", data=form, auth=(service.client_id, secret or ""))
    described = (await introspect(place, await resource_server(place), parsed(answer).access)).json()
    assert (described["sub"], described["client_id"]) == (service.client_id, service.client_id)
    assert "username" not in described
    assert "props" not in described


@requirement("S-219", "S-228")
async def test_a_resource_server_may_authenticate_by_assertion(place: World) -> None:
    key = new_key()
    server = await resource_server(place, token_endpoint_auth_method="private_key_jwt", jwks=jwks(key))
    tokens = await place.tokens(await place.register(), resource=FILES, scope="files")
    assertion = client_assertion(key, server["client_id"], place.clock())
    answer = await place.http.post("/introspect", data=authenticated(assertion, token=tokens.access))
    assert answer.json()["active"] is True


@requirement("S-385", "S-386", "S-016", "S-017", "S-006")
async def test_it_is_a_post_with_a_form(place: World) -> None:
    server = await resource_server(place)
    auth = (server["client_id"], server["client_secret"])
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        answer = await place.http.request(method, "/introspect?token=x", auth=auth)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")
    refused(await place.http.post("/introspect?token=x", auth=auth), "invalid_request")
    refused(await place.http.post("/introspect", json={"token": "x"}, auth=auth), "invalid_request")
    preflight = await place.http.options(
        "/introspect", headers={"Origin": "https://x.test", "Access-Control-Request-Method": "POST"}
    )
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, "*")


@requirement("S-375", "S-045", "A-280")
async def test_without_the_endpoint_there_is_no_introspection() -> None:
    async with plain_world(MemoryStore(), default=None) as world:
        metadata = (await world.http.get("/.well-known/oauth-authorization-server")).json()
        assert "introspection_endpoint" not in metadata
        assert (await world.http.post("/introspect", data={"token": "x"})).status_code == 404


@requirement("S-113", "S-079", "S-080", "S-082", "S-322")
async def test_a_resource_elsewhere_is_not_served_here(place: World) -> None:
    tokens = await place.tokens(await place.register(), resource=FILES, scope="files")
    assert (await place.call(tokens.access)).status_code == 401
    assert (await place.http.get("/.well-known/oauth-protected-resource/v1")).status_code == 404
    document = (await place.http.get("/.well-known/oauth-protected-resource")).json()
    assert document["resource"] == R1


@requirement("A-323", "A-324", "D-13")
async def test_what_a_client_may_introspect_cannot_be_widened_in_the_database(place: World) -> None:

    server = await resource_server(place, MAIL)
    tokens = await place.tokens(await place.register(), resource=FILES, scope="files")
    inactive(await introspect(place, server, tokens.access))
    row = await place.store.get_client(server["client_id"])
    assert await place.store.replace_client(replace(row, introspects=(MAIL, FILES), version=row.version + 1))
    refused(await introspect(place, server, tokens.access), "invalid_client", 401)
