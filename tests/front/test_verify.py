"""`/verify`, where a proxy asks before it passes a request on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from grantwell import Resource
from grantwell_storage import MemoryStore
from tests.front.place import DESCRIBED
from tests.wire.test_client_credentials import service
from tests.wire.world import (
    ISSUER,
    Conversation,
    World,
    altered,
    api,
    asgi_scope,
    running_world,
    serving,
    spoken,
)

pytestmark = [pytest.mark.anyio, pytest.mark.system]
requirement = pytest.mark.requirement

OPTIONS: dict[str, Any] = {
    "verify_endpoint": "/verify",
    "api_handlers": {"/api": api, "/api/inner": api},
    "resources": {"/api": DESCRIBED, "/api/inner": Resource(scopes={"inner": "The inner one"})},
}
API = f"{ISSUER}/api"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A server that answers proxies, with one prefix within another."""
    async with running_world(MemoryStore(), **OPTIONS) as world:
        yield world


async def token_for(world: World, scope: str = "notes:read", resource: str = API) -> str:
    """A token of a new client."""
    return (await world.tokens(await world.register(), scope=scope, resource=resource)).access


async def asked(
    world: World, token: str | None, uri: str | None = "/api/x", path: str = "/verify", **options: Any
) -> Any:
    """The answer to a proxy that was sent this URI with this token."""
    headers = {"X-Original-URI": uri} if uri is not None else {}
    return await world.call(token, path, headers=headers | options.pop("headers", {}), **options)


@requirement("G-593", "G-581")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_good_token_is_a_204_with_who_calls(world: World, method: str) -> None:
    client = await world.register()
    tokens = await world.tokens(client, scope="notes", resource=API)
    answer = await asked(world, tokens.access, "/api/x?a=b", method=method)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["cache-control"] == "no-store"
    identity = {name: value for name, value in answer.headers.items() if name.startswith("x-grantwell-")}
    called = (await world.call(tokens.access)).json()
    assert identity == {
        "x-grantwell-user": called["user"],
        "x-grantwell-client": client["client_id"],
        "x-grantwell-grant": called["grant"],
        "x-grantwell-scopes": "notes notes:read notes:write",
    }
    assert identity["x-grantwell-scopes"].split(" ") == called["scopes"]


@requirement("G-593")
async def test_where_there_is_no_user_the_header_is_there_and_empty(world: World) -> None:
    client = await service(world, token_endpoint_auth_method="client_secret_post", scope="notes:read")
    answer = await world.post("/token", client, {"grant_type": "client_credentials", "resource": API})
    verdict = await asked(world, answer.json()["access_token"])
    assert verdict.status_code == 204
    assert verdict.headers["x-grantwell-user"] == ""
    assert verdict.headers["x-grantwell-client"] == client["client_id"]


@requirement("G-593", "S-095")
async def test_every_refusal_is_that_of_a_direct_call(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client, scope="notes:read", resource=API)
    for credential in (None, "x", altered(tokens.access), tokens.refresh):
        direct, verdict = await world.call(credential, "/api/x"), await asked(world, credential)
        assert (verdict.status_code, verdict.content) == (direct.status_code, direct.content)
        assert verdict.headers["www-authenticate"] == direct.headers["www-authenticate"]
        assert not [name for name in verdict.headers if name.startswith("x-grantwell-")]
    assert (await asked(world, tokens.access)).status_code == 204
    await world.revoke(client, tokens.access)
    assert (await asked(world, tokens.access)).status_code == 401


@requirement("G-593")
async def test_a_malformed_credential_is_a_401_because_nginx_knows_no_400(world: World) -> None:
    token = await token_for(world)
    direct = await world.call("a b", "/api/x")
    verdict = await asked(world, "a b")
    assert (direct.status_code, verdict.status_code) == (400, 401)
    assert verdict.headers["www-authenticate"] == direct.headers["www-authenticate"]
    assert (await asked(world, token, f"/api/x?access_token={token}")).status_code == 401
    twice = [("authorization", f"Bearer {token}"), ("authorization", f"Bearer {token}"), ("x-original-uri", "/api/x")]
    assert (await world.http.get("/verify", headers=twice)).status_code == 401


@requirement("G-593")
async def test_the_longest_prefix_of_the_original_path_decides(world: World) -> None:
    outer, inner = await token_for(world), await token_for(world, "inner", f"{ISSUER}/api/inner")
    for uri, opened_by in {
        "/api": outer,
        "/api/innermost": outer,
        "/%61pi/x": outer,
        "/api/inner": inner,
        "/api/inner/x": inner,
        "/api/%69nner?x": inner,
    }.items():
        for token in (outer, inner):
            assert (await asked(world, token, uri)).status_code == (204 if token == opened_by else 401), uri


@requirement("G-594")
@pytest.mark.parametrize(
    "uri",
    ["/", "/ap", "/apix", "/token", "/verify", "/other/api", "", "api", "*", "http://as.test/api/x", "//api/x",
     "/api/../other", "/other/../api/x", "/api/%2e%2e/other", "/api/..%2fother", "/api/..;a/other", "/api\\x",
     "/api/x#/../y", "/api/x y", "/api/%00", "/api/%0d%0a", "/api/x\x01"],
)  # fmt: skip
async def test_a_path_that_is_not_plainly_below_a_prefix_is_refused(world: World, uri: str) -> None:
    for token in (await token_for(world), None):
        answer = await asked(world, token, uri)
        assert (answer.status_code, answer.json()["error"]) == (403, "invalid_request")
        assert "x-grantwell-user" not in answer.headers


@requirement("G-594", "A-270")
async def test_a_client_cannot_name_another_path_than_the_proxy(world: World) -> None:
    outer = await token_for(world)
    names = ("X-Original-URI", "X-Forwarded-Uri")
    assert (await asked(world, outer, None)).status_code == 403
    for mine, proxys in (names, names[::-1]):
        assert (await asked(world, outer, None, headers={proxys: "/api/x"})).status_code == 204
        assert (await asked(world, outer, None, headers={proxys: "/api/x", mine: "/api/x"})).status_code == 204
        assert (await asked(world, outer, None, headers={proxys: "/api/inner", mine: "/api/x"})).status_code == 403
    twice = [("authorization", f"Bearer {outer}"), ("x-original-uri", "/api/inner"), ("x-original-uri", "/api/x")]
    assert (await world.http.get("/verify", headers=twice)).status_code == 403


@requirement("G-593", "S-102")
async def test_a_scope_behind_the_endpoint_is_wanted_and_asked_for(world: World) -> None:
    reader, writer, owner = [
        await token_for(world, scope) for scope in ("notes:read", "notes:read notes:write", "notes")
    ]
    for query in ("?scope=notes:write", "?scope=notes:read%20notes:write", "?scope=notes:read&scope=notes:write"):
        assert (await asked(world, writer, path=f"/verify{query}")).status_code == 204
        assert (await asked(world, owner, path=f"/verify{query}")).status_code == 204
        refusal = await asked(world, reader, path=f"/verify{query}")
        assert (refusal.status_code, refusal.json()["error"]) == (403, "insufficient_scope")
        scopes = "notes:read notes:write" if "read" in query else "notes:write"
        assert f'error="insufficient_scope", scope="{scopes}"' in refusal.headers["www-authenticate"]
        assert (await asked(world, None, path=f"/verify{query}")).status_code == 401


@requirement("G-594")
@pytest.mark.parametrize(
    "query",
    ["scopes=notes:read", "scope=", "scope", "scope=notes:raed", "scope=inner", "scope=notes:read&x=1", "x", "&"],
)
async def test_a_misspelt_scope_opens_nothing(world: World, query: str) -> None:
    token = await token_for(world, "notes")
    answer = await asked(world, token, path=f"/verify?{query}")
    assert (answer.status_code, answer.json()["error"]) == (403, "invalid_request")


@requirement("G-593", "A-268")
async def test_no_other_method_is_answered_and_no_preflight_is_let_through(world: World) -> None:
    token = await token_for(world)
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        answer = await asked(world, token, method=method)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    preflight = {"Origin": "https://spa.test", "Access-Control-Request-Method": "GET", "X-Forwarded-Method": "OPTIONS"}
    answer = await asked(world, None, headers=preflight)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, "*")


@requirement("G-593")
async def test_without_the_setting_there_is_no_such_endpoint() -> None:
    async with running_world(MemoryStore()) as world:
        assert (await asked(world, None)).text == "the site"


@requirement("G-593")
async def test_below_a_mount_only_paths_below_it_are_known(world: World) -> None:
    token = await token_for(world)
    for uri, status in {"/auth/api/x": 204, "/api/x": 403, "/authapi/x": 403}.items():
        headers = {"authorization": f"Bearer {token}", "x-original-uri": uri}
        scope = asgi_scope("/auth/verify", headers=headers, root_path="/auth")
        assert (await Conversation(world.provider, scope).answered())[0] == status


@requirement("G-596")
async def test_what_traefik_sends_is_understood(parser: str, world: World) -> None:
    token = await token_for(world)
    async with serving(world.provider, parser) as port:
        asking = (
            "GET /verify HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nX-Forwarded-Method: POST\r\nX-Forwarded-Proto: https\r\n"
            "X-Forwarded-Host: as.test\r\nX-Forwarded-Uri: /api/x?a=%20b\r\nX-Forwarded-For: 203.0.113.9\r\n"
            f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n"
        )
        answer = await spoken(port, asking.encode())
        assert answer.startswith(b"HTTP/1.1 204 ")
        assert b"\r\nx-grantwell-user: u1\r\n" in answer
        assert answer.endswith(b"\r\n\r\n")
