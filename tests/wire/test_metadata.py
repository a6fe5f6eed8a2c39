"""The two metadata documents (RFC 8414, RFC 9728): where they are, that they are true, that no request moves them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

from grantwell import Resource
from grantwell_storage import MemoryStore
from tests.wire.world import (
    ISSUER,
    PARSERS,
    R1,
    R2,
    Conversation,
    World,
    api,
    asgi_scope,
    parsed,
    running_world,
    serving,
    spoken,
)

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

METHODS = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]
# The public key of RFC 8037 appendix A.2.
KEYS = {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}

SERVER = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"
RESOURCE = "/.well-known/oauth-protected-resource"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running_world(MemoryStore()) as running:
        yield running


async def document(world: World, path: str) -> dict[str, Any]:
    """A metadata document, with everything that holds for all of them."""
    answer = await world.http.get(path)
    assert answer.status_code == 200, path
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "set-cookie" not in answer.headers
    content: dict[str, Any] = answer.json()
    assert None not in content.values()
    assert [] not in content.values()
    return content


@requirement(
    "S-025",
    "S-028",
    "S-029",
    "S-031",
    "S-032",
    "S-034",
    "S-037",
    "S-040",
    "S-042",
    "S-053",
    "S-055",
    "C-024",
    "C-026",
    "C-028",
    "C-031",
    "C-032",
)
async def test_the_server_document_says_what_the_server_is(world: World) -> None:
    assert await document(world, SERVER) == {
        "issuer": ISSUER,
        "authorization_endpoint": f"{ISSUER}/authorize",
        "token_endpoint": f"{ISSUER}/token",
        "revocation_endpoint": f"{ISSUER}/revoke",
        "registration_endpoint": f"{ISSUER}/register",
        "scopes_supported": ["read", "write", "offline_access"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "token_endpoint_auth_methods_supported": METHODS,
        "token_endpoint_auth_signing_alg_values_supported": ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"],
        "revocation_endpoint_auth_methods_supported": METHODS,
        "revocation_endpoint_auth_signing_alg_values_supported": ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"],
        "client_id_metadata_document_supported": True,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "protected_resources": [R1, R2],
    }


@requirement("S-025", "S-031", "S-133")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"issuer": f"{ISSUER}/tenant/1"},
        {"issuer": "https://as.test:8443"},
        {"client_registration_endpoint": None},
        {"resources": {}},
        {"api_handlers": {"/": api}, "resources": {}},
    ],
    ids=["plain", "path", "port", "no registration", "no scopes", "root"],
)
async def test_another_implementation_finds_the_server_document_valid(options: dict[str, Any]) -> None:
    async with running_world(MemoryStore(), **options) as world:
        content = await document(world, f"{world.provider.settings.issuer_url.origin}{SERVER}")
        AuthorizationServerMetadata(content).validate()
        assert all("?" not in value and "#" not in value for name, value in content.items() if "endpoint" in name[-9:])


@requirement("S-038", "S-040", "S-213", "A-280", "S-024", "C-030")
async def test_every_advertised_endpoint_and_method_works(world: World) -> None:
    content = await document(world, SERVER)
    for method in content["token_endpoint_auth_methods_supported"]:
        registered = await world.http.post(
            content["registration_endpoint"],
            json={
                "redirect_uris": ["https://c1.test/cb"],
                "token_endpoint_auth_method": method,
                "grant_types": content["grant_types_supported"],
                "response_types": content["response_types_supported"],
                "scope": " ".join(content["scopes_supported"]),
                "jwks": KEYS,
            },
        )
        client = registered.json()
        assert client["token_endpoint_auth_method"] == method
        if method == "private_key_jwt":
            continue  # its assertions are tested in test_private_key_jwt
        for resource in content["protected_resources"]:
            tokens = await world.tokens(client, scope=None, resource=resource)
            assert (await world.call(tokens.access, resource)).status_code == 200
            again = parsed(await world.refresh(client, tokens.refresh))
            assert (await world.revoke(client, again.refresh)).status_code == 200
            assert (await world.call(again.access, resource)).status_code == 401
    for grant in ("password", "implicit", "urn:ietf:params:oauth:grant-type:token-exchange"):
        refused = await world.post("/token", client, {"grant_type": grant})
        assert refused.json()["error"] == "unsupported_grant_type"


@requirement("S-026", "S-027", "S-030", "S-054", "S-057", "C-013")
async def test_the_server_document_is_where_clients_of_every_age_look() -> None:
    async with running_world(MemoryStore(), issuer=f"{ISSUER}/tenant/1", default=None) as world:
        content = await document(world, f"{ISSUER}{SERVER}/tenant/1")
        assert content["issuer"] == f"{ISSUER}/tenant/1"
        for path in (SERVER, OPENID, f"{OPENID}/tenant/1", f"/tenant/1{OPENID}"):
            assert await document(world, f"{ISSUER}{path}") == content, path
        for path in ("/tenant", "/tenant/2", "/tenant/1/", "/", "/Tenant/1", "/tenant/1/x", "//tenant/1", "x"):
            for base in (SERVER, OPENID):
                answer = await world.http.get(f"{ISSUER}{base}{path}")
                assert answer.status_code == 404, path
                assert answer.json()["error"] == "invalid_request"
        assert (await world.http.get(f"{ISSUER}/elsewhere{OPENID}")).status_code == 404


@requirement(
    "S-066", "S-067", "S-068", "S-069", "S-071", "S-072", "S-074", "S-076", "S-077", "S-079", "C-036", "C-040", "C-039"
)
async def test_each_resource_has_a_document_of_its_own(world: World) -> None:
    assert await document(world, f"{RESOURCE}/api") == {
        "resource": R1,
        "authorization_servers": [ISSUER],
        "scopes_supported": ["read", "write"],
        "bearer_methods_supported": ["header"],
        "resource_name": "The API",
    }
    assert await document(world, f"{RESOURCE}/other") == {
        "resource": R2,
        "authorization_servers": [ISSUER],
        "scopes_supported": ["read"],
        "bearer_methods_supported": ["header"],
    }


@requirement("S-080", "A-279", "C-038", "S-030", "C-037")
async def test_another_resource_path_is_404_and_so_is_the_root_of_several(world: World) -> None:
    for path in (
        "",
        "/",
        "/nope",
        "/api/",
        "/api/x",
        "/API",
        "//evil",
        "/api//",
        "/api/%2e%2e",
        "/%61pi/x",
        "/" + "x" * 8000,
    ):
        answer = await world.http.get(RESOURCE + path)
        assert answer.status_code == 404, path
        assert answer.headers["content-type"] == "application/json"
    assert (await world.http.get(f"{RESOURCE}/api?x")).json()["resource"] == R1


@requirement("S-080", "S-067", "S-073", "C-036")
async def test_the_root_document_is_there_for_the_only_resource_or_that_of_the_origin() -> None:
    one: dict[str, Any] = {
        "api_handlers": {"/mcp": api},
        "resources": {"/mcp": Resource(scopes={"offline_access": ""})},
    }
    async with running_world(MemoryStore(), **one) as world:
        content = await document(world, RESOURCE)
        assert content == await document(world, f"{RESOURCE}/mcp")
        assert content["resource"] == f"{ISSUER}/mcp"
        assert "scopes_supported" not in content
    origin = {"/mcp": Resource(identifier=ISSUER)}
    async with running_world(MemoryStore(), api_handlers={"/mcp": api, "/b": api}, resources=origin) as world:
        assert (await document(world, RESOURCE))["resource"] == ISSUER
        assert (await world.http.get(f"{RESOURCE}/mcp")).status_code == 404
        challenge = (await world.call(None, "/mcp")).headers["www-authenticate"]
        assert f'resource_metadata="{ISSUER}{RESOURCE}"' in challenge
    slash = {"/": Resource(identifier=f"{ISSUER}/")}
    async with running_world(MemoryStore(), api_handlers={"/": api, "/b": api}, resources=slash) as world:
        url = (await world.call(None, "/")).headers["www-authenticate"].split('"')[1]
        assert (await document(world, url))["resource"] == f"{ISSUER}/"
        assert (await document(world, RESOURCE))["resource"] == f"{ISSUER}/"
    async with running_world(MemoryStore(), api_handlers={}, resources={}) as world:
        assert (await world.http.get(RESOURCE)).status_code == 404
        assert "protected_resources" not in await document(world, SERVER)


@requirement("S-029", "S-069", "S-098", "S-001", "S-059")
@pytest.mark.parametrize("issuer", [ISSUER, f"{ISSUER}/tenant", "https://as.test:8443"])
async def test_one_spelling_of_issuer_and_resource_is_used_everywhere(issuer: str) -> None:
    async with running_world(MemoryStore(), issuer=issuer) as world:
        root = issuer.removeprefix("https://as.test:8443").removeprefix(ISSUER)
        talk = Conversation(world.provider, asgi_scope(f"{root}/api", root_path=root))
        _, headers, _ = await talk.answered()
        resource = await document(world, headers["www-authenticate"].split('"')[1])
        assert resource["resource"] == f"{issuer}/api"
        (server,) = resource["authorization_servers"]
        assert server == issuer == (await document(world, f"{issuer.removesuffix('/tenant')}{SERVER}{root}"))["issuer"]
        for value in (await document(world, f"{issuer.removesuffix('/tenant')}{SERVER}")).values():
            assert not str(value).startswith("http:")


@requirement("A-277", "A-281", "S-019", "S-020", "A-278", "D-21", "C-025")
@pytest.mark.parametrize("parser", PARSERS)
async def test_no_header_of_a_request_changes_a_document(world: World, parser: str) -> None:
    lines = [
        "Host: as.test",
        "Host: evil.test",
        "Host: as.test:1234",
        "Host: as.test\r\nX-Forwarded-Host: evil.test\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Prefix: /evil",
        "Host: as.test\r\nForwarded: host=evil.test;proto=http",
        "Host: as.test\r\nAccept: text/html\r\nAccept-Language: ja",
        "Host: as.test\r\nOrigin: https://evil.test",
        "Host: as.test\r\nAuthorization: Bearer x\r\nCookie: a=b",
        "Host: as.test\r\nMCP-Protocol-Version: 9999-99-99",
        "Host: as.test\r\nX-Original-URL: /evil",
    ]
    async with serving(world.provider, parser) as port:
        for path in (SERVER, f"{RESOURCE}/api", OPENID):
            answers = set()
            for line in lines:
                answer = await spoken(port, f"GET {path} HTTP/1.1\r\n{line}\r\nConnection: close\r\n\r\n".encode())
                head, _, body = answer.partition(b"\r\n\r\n")
                kept = [h for h in head.split(b"\r\n") if not h.lower().startswith((b"date:", b"server:"))]
                answers.add((tuple(kept), body))
            assert len(answers) == 1, path
            assert b"evil" not in body


@requirement("S-058", "S-006", "S-109", "C-219", "C-220")
@pytest.mark.parametrize("path", [SERVER, OPENID, f"{RESOURCE}/api"])
async def test_a_preflight_with_any_protocol_version_is_answered(world: World, path: str) -> None:
    answer = await world.http.options(
        path,
        headers={
            "Origin": "https://spa.example",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "mcp-protocol-version",
        },
    )
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers.get_list("access-control-allow-origin") == ["*"]
    assert "access-control-allow-credentials" not in answer.headers
    for version in ("2025-03-26", "9999-99-99", "\x7f"):
        assert (await world.http.get(path, headers={"MCP-Protocol-Version": version})).status_code == 200


@requirement("S-016", "C-012", "A-286", "S-068")
@pytest.mark.parametrize("path", [SERVER, OPENID, f"{RESOURCE}/api"])
async def test_metadata_is_read_only(world: World, path: str) -> None:
    whole = await world.http.get(path)
    head = await world.http.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))
    for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE", "M-SEARCH"):
        answer = await world.http.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
        assert answer.json()["error"] == "invalid_request"
