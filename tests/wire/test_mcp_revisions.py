"""Clients of each revision of the Model Context Protocol: each finds the server by its own rules, and calls the API."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from grantwell import Resource, require_scopes
from grantwell_storage import MemoryStore
from tests.documents.conftest import authority, connected_world, internet
from tests.documents.publishing import CLIENT, publish
from tests.outbound.internet import Internet
from tests.wire.world import ISSUER, SCOPES, Pkce, World, answer_parameters, running_world, site

__all__ = ["authority", "internet"]

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

MCP = f"{ISSUER}/mcp"
REDIRECT = "http://127.0.0.1:33418/callback"
SERVER_METADATA = "/.well-known/oauth-authorization-server"
OPENID_METADATA = "/.well-known/openid-configuration"
RESOURCE_METADATA = "/.well-known/oauth-protected-resource"

FALLBACKS = {"authorization": "authorize", "token": "token", "registration": "register"}
SERVER: dict[str, Any] = {"resources": {"/mcp": Resource(scopes=SCOPES)}}


@dataclass
class Client:
    """A client on a user's machine; it knows the URL of an MCP server, and what its revision says."""

    http: httpx.AsyncClient
    revision: str
    url: str = MCP
    scope: str | None = None
    resource: str | None = None
    server: dict[str, Any] = field(default_factory=dict)
    client_id: str = ""

    async def call(self, token: str | None = None, url: str | None = None) -> httpx.Response:
        """Call the MCP server."""
        headers = {"MCP-Protocol-Version": self.revision}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return await self.http.post(url or self.url, headers=headers, json={})

    async def get(self, url: str) -> dict[str, Any] | None:
        """A metadata document; None where there is none. Anything but 200 and 404 stops a client."""
        answer = await self.http.get(url, headers={"MCP-Protocol-Version": self.revision})
        assert answer.status_code in (200, 404), url
        if answer.status_code == 404:
            return None
        assert answer.headers["content-type"] == "application/json"
        content: dict[str, Any] = answer.json()
        return content

    async def first(self, *urls: str) -> dict[str, Any]:
        """The first of these documents that is there."""
        for url in urls:
            if (content := await self.get(url)) is not None:
                return content
        raise AssertionError(urls)

    async def register(self, **changes: Any) -> None:
        """Register by itself."""
        metadata = {
            "redirect_uris": [REDIRECT],
            "client_name": "A client",
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
        } | changes
        answer = await self.http.post(self.server["registration_endpoint"], json=metadata)
        assert answer.status_code == 201, answer.text
        self.client_id = answer.json()["client_id"]

    async def tokens(self) -> dict[str, Any]:
        """Send the user to the authorization endpoint, and exchange the code."""
        pkce = Pkce()
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": REDIRECT,
            "code_challenge": pkce.challenge,
            "code_challenge_method": "S256",
            "state": "s1",
            "scope": self.scope,
            "resource": self.resource,
        }
        answer = await self.http.get(
            self.server["authorization_endpoint"], params={k: v for k, v in asked.items() if v is not None}
        )
        assert answer.headers["location"].startswith(REDIRECT)
        parameters = answer_parameters(answer)
        assert parameters["state"] == "s1"
        if self.server.get("authorization_response_iss_parameter_supported"):
            assert parameters["iss"] == self.server["issuer"]
        form = {"grant_type": "authorization_code", "code": parameters["code"], "redirect_uri": REDIRECT}
        return await self.granted(form | {"code_verifier": pkce.verifier})

    async def refreshed(self, tokens: Mapping[str, Any]) -> dict[str, Any]:
        """Refresh."""
        return await self.granted({"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]})

    async def granted(self, form: Mapping[str, str]) -> dict[str, Any]:
        """What the token endpoint grants."""
        sent = dict(form) | {"client_id": self.client_id}
        if self.resource is not None:
            sent["resource"] = self.resource
        answer = await self.http.post(self.server["token_endpoint"], data=sent)
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()
        assert content["token_type"] == "Bearer"
        return content


def challenged(answer: httpx.Response, status: int = 401) -> dict[str, str]:
    """The members of the challenge in an answer."""
    assert answer.status_code == status
    return dict(re.findall(r'(\w+)="([^"]*)"', answer.headers["www-authenticate"]))


def path_of(url: str) -> str:
    """The path of a URL of this server."""
    return url.removeprefix(ISSUER)


@asynccontextmanager
async def mcp_server(**options: Any) -> AsyncIterator[World]:
    """A world whose only protected application is the MCP server, unless `options` say otherwise."""
    async with running_world(MemoryStore(), **(prefixed("/mcp") | SERVER | options)) as world:
        yield world


def prefixed(*prefixes: str) -> dict[str, Any]:
    """The option that puts an application which says who calls behind each of these prefixes."""
    return {"api_handlers": dict.fromkeys(prefixes, hello)}


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """An MCP server, as far as its authorization goes; what it changes needs another scope than what it shows."""
    if scope["path"].endswith("/change"):
        require_scopes("read", "write")
    principal = scope["user"]
    await JSONResponse({"user": principal.user_id, "scopes": list(principal.scopes)})(scope, receive, send)


async def works(client: Client, tokens: Mapping[str, Any]) -> None:
    """Check that a client may call with what it was granted."""
    answer = await client.call(tokens["access_token"])
    assert (answer.status_code, answer.json()["user"]) == (200, "u1")


@requirement("S-057", "S-058", "S-324", "S-410", "S-025", "S-139")
@pytest.mark.parametrize("discovery", ["metadata", "default paths"])
async def test_a_client_of_2025_03_26_knows_the_origin_and_no_resource(discovery: str) -> None:
    async with mcp_server() as world:
        client = Client(world.http, "2025-03-26")
        assert (await client.call()).status_code == 401
        # The path of the MCP server is discarded; without metadata the client falls back on three paths.
        found = await client.get(f"{ISSUER}{SERVER_METADATA}")
        assert found is not None
        fallbacks = {f"{name}_endpoint": f"{ISSUER}/{path}" for name, path in FALLBACKS.items()}
        client.server = found if discovery == "metadata" else fallbacks
        assert {name: found[name] for name in fallbacks} == fallbacks
        await client.register()
        tokens = await client.tokens()
        await works(client, tokens)
        assert tokens["resource"] == MCP
        await works(client, await client.refreshed(tokens))


@requirement("S-066", "S-067", "S-069", "S-071", "S-098", "S-322", "S-323", "S-026", "S-113", "S-205")
async def test_a_client_of_2025_06_18_follows_the_challenge_and_always_names_the_resource() -> None:
    async with mcp_server(**prefixed("/mcp", "/other"), resources={}) as world:
        client = Client(world.http, "2025-06-18")
        url = challenged(await client.call())["resource_metadata"]
        resource = await client.first(url)
        assert resource["resource"] == MCP
        (issuer,) = resource["authorization_servers"]
        client.server = await client.first(f"{issuer}{SERVER_METADATA}")
        client.resource = MCP
        await client.register()
        tokens = await client.tokens()
        await works(client, tokens)
        await works(client, await client.refreshed(tokens))
        assert (await client.call(tokens["access_token"], f"{ISSUER}/other")).status_code == 401
        client.resource = f"{ISSUER}/elsewhere"
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": client.client_id}
        answer = await world.http.post("/token", data=form | {"resource": client.resource})
        assert answer.json()["error"] == "invalid_target"


@requirement("S-025", "S-026", "S-027", "S-030", "S-035", "S-054", "S-080", "S-099", "S-044", "S-410", "S-422")
@pytest.mark.parametrize("known_by", ["document", "registration"])
@pytest.mark.parametrize("prefix", ["", "/tenant"])
async def test_a_client_of_2025_11_25_probes_for_both_documents(internet: Internet, prefix: str, known_by: str) -> None:
    await publish(internet, redirect_uris=[REDIRECT])
    issuer = f"{ISSUER}{prefix}"
    options = SERVER | prefixed("/mcp") | {"issuer": issuer, "default": wherever_it_stands}
    async with connected_world(internet, MemoryStore(), **options) as world, below(prefix, world) as http:
        client = Client(http, "2025-11-25", url=f"{issuer}/mcp")
        challenge = challenged(await client.call())
        # Without `resource_metadata` in the challenge it probes: below the path of the server, then at the root.
        resource = await client.first(
            f"{ISSUER}{RESOURCE_METADATA}{path_of(client.url)}", f"{ISSUER}{RESOURCE_METADATA}"
        )
        assert challenge["resource_metadata"] == f"{ISSUER}{RESOURCE_METADATA}{path_of(client.url)}"
        assert resource["authorization_servers"] == [issuer]
        probes = [f"{ISSUER}{SERVER_METADATA}{prefix}", f"{ISSUER}{OPENID_METADATA}{prefix}"]
        probes += [f"{issuer}{OPENID_METADATA}"] if prefix else []
        documents = [await client.get(url) for url in probes]
        client.server = await client.first(*probes)
        assert all(found in (client.server, None) for found in documents)
        assert "S256" in client.server["code_challenge_methods_supported"]
        client.scope, client.resource = challenge["scope"], resource["resource"]
        if known_by == "document":
            assert client.server["client_id_metadata_document_supported"] is True
            client.client_id = CLIENT
        else:
            await client.register()
        tokens = await client.tokens()
        assert tokens["scope"] == challenge["scope"] == "read write"
        await works(client, tokens)
        await works(client, await client.refreshed(tokens))


async def wherever_it_stands(scope: Scope, receive: Receive, send: Send) -> None:
    """The person who says yes, below a prefix as at the root."""
    await site({**scope, "path": scope["path"].removeprefix(scope["root_path"])}, receive, send)


@asynccontextmanager
async def below(prefix: str, world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the world's server, which stands below a prefix of another application, or alone."""
    if not prefix:
        yield world.http
        return
    routes = [Mount("/.well-known", world.provider.well_known), Mount(prefix, world.provider)]
    transport = httpx.ASGITransport(app=Starlette(routes=routes))
    async with httpx.AsyncClient(transport=transport) as http:
        yield http


@requirement("S-029", "S-043", "S-173", "S-042", "S-259", "S-072", "S-102", "S-103", "S-203", "S-405", "S-204")
@pytest.mark.parametrize("known_by", ["document", "registration"])
async def test_a_client_of_2026_07_28_checks_the_issuer_stays_and_steps_up(internet: Internet, known_by: str) -> None:
    await publish(internet, redirect_uris=[REDIRECT], grant_types=["authorization_code"])
    options = prefixed("/mcp") | SERVER | {"default_scopes": ["read"]}
    async with connected_world(internet, MemoryStore(), **options) as world:
        client = Client(world.http, "2026-07-28", scope="read", resource=MCP)
        resource = await client.first(challenged(await client.call())["resource_metadata"])
        (issuer,) = resource["authorization_servers"]
        client.server = await client.first(f"{issuer}{SERVER_METADATA}")
        assert client.server["issuer"] == issuer
        assert client.server["authorization_response_iss_parameter_supported"] is True
        # Whoever wants to stay reads in the metadata of the server whether it may ask, and never in the resource's.
        assert "offline_access" in client.server["scopes_supported"]
        assert "offline_access" not in resource["scopes_supported"]
        if known_by == "document":
            client.client_id = CLIENT
        else:
            await client.register(application_type="native", grant_types=["authorization_code"])
        client.scope = "read offline_access"
        tokens = await client.tokens()
        assert tokens["scope"] == "read"
        await works(client, tokens)
        tokens = await client.refreshed(tokens)
        refused = challenged(await client.call(tokens["access_token"], f"{MCP}/change"), 403)
        assert (refused["error"], refused["scope"]) == ("insufficient_scope", "read write")
        assert refused["resource_metadata"] == f"{ISSUER}{RESOURCE_METADATA}/mcp"
        # The union of what it has and what is wanted, and the wish to stay.
        wanted = [*tokens["scope"].split(" "), *refused["scope"].split(" "), "offline_access"]
        client.scope = " ".join(dict.fromkeys(wanted))
        stepped_up = await client.tokens()
        assert stepped_up["scope"] == "read write"
        assert (await client.call(stepped_up["access_token"], f"{MCP}/change")).status_code == 200
        await works(client, await client.refreshed(stepped_up))
