"""Scopes that include others, and offline_access, which asks for a refresh token and is no scope of any."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from grantwell import Resource, require_scopes
from grantwell_storage import MemoryStore
from tests.wire.test_bearer import challenge_in
from tests.wire.world import R1, R2, World, answer_parameters, parsed, refused, running_world

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

FILES = {"all": "Everything", "files": "Files", "files:read": "Read files", "notes": "Notes"}
IMPLIES = {"all": ["files", "notes"], "files": ["files:read"]}
SERVER = "/.well-known/oauth-authorization-server"


@requires("files:read")
async def by_decorator(request: Request) -> JSONResponse:
    """What Starlette lets through."""
    return JSONResponse(sorted(request.auth.scopes))


async def by_call(request: Request) -> JSONResponse:
    """What `require_scopes` lets through; the principal has the scopes of the token as they are."""
    return JSONResponse(list(require_scopes("files:read").scopes))


async def by_both(request: Request) -> JSONResponse:
    """What needs more."""
    return JSONResponse(list(require_scopes("files", "notes").scopes))


@asynccontextmanager
async def library(**options: Any) -> AsyncIterator[World]:
    """A world where scopes of /api include others, while those of /other, of the same names, do not."""
    tools = [("decorator", by_decorator), ("call", by_call), ("both", by_both)]
    apps = {
        prefix: Starlette(routes=[Route(f"{prefix}/{name}", endpoint) for name, endpoint in tools])
        for prefix in ("/api", "/other")
    }
    settings: dict[str, Any] = {
        "api_handlers": apps,
        "resources": {"/api": Resource(scopes=FILES, implies=IMPLIES), "/other": Resource(scopes=FILES)},
    }
    async with running_world(MemoryStore(), **(settings | options)) as world:
        yield world


@requirement("S-092", "S-091", "S-102", "S-103", "C-204")
@pytest.mark.parametrize(
    ("scope", "statuses"),
    [
        ("files:read", {"decorator": 200, "call": 200, "both": 403}),
        ("files", {"decorator": 200, "call": 200, "both": 403}),
        ("all", {"decorator": 200, "call": 200, "both": 200}),
        ("files notes", {"decorator": 200, "call": 200, "both": 200}),
        ("notes", {"decorator": 403, "call": 403, "both": 403}),
    ],
)
async def test_a_scope_stands_for_those_that_it_includes(scope: str, statuses: dict[str, int]) -> None:
    async with library() as world:
        token = (await world.tokens(await world.register(), scope=scope)).access
        for tool, status in statuses.items():
            answer = await world.call(token, f"/api/{tool}")
            assert answer.status_code == status, (tool, answer.text)
        if statuses["call"] == 403:
            assert challenge_in(await world.call(token, "/api/call"))["scope"] == "files:read"


@requirement("S-092", "S-203", "S-319", "C-008")
async def test_what_is_included_is_held_but_not_granted() -> None:
    async with library() as world:
        client = await world.register()
        tokens = await world.tokens(client, scope="all")
        assert tokens.raw["scope"] == "all"
        assert (await world.call(tokens.access, "/api/call")).json() == ["all"]
        assert (await world.call(tokens.access, "/api/decorator")).json() == ["all", "files", "files:read", "notes"]
        assert parsed(await world.refresh(client, tokens.refresh)).raw["scope"] == "all"
        [grant] = (await world.provider.helpers.list_grants()).items
        assert grant.scopes == ("all",)


@requirement("S-092", "S-079", "S-102")
async def test_what_one_resource_includes_another_does_not() -> None:
    async with library() as world:
        tokens = await world.tokens(await world.register(), scope="all", resource=[R1, R2])
        assert (await world.call(tokens.access, "/api/decorator")).status_code == 200
        assert (await world.call(tokens.access, "/other/call")).status_code == 403
        assert (await world.call(tokens.access, "/other/decorator")).status_code == 403
        assert challenge_in(await world.call(tokens.access, "/other/both"))["scope"] == "files notes"


@requirement("S-092", "S-070")
@pytest.mark.parametrize(
    "implies",
    [{"files": ["files:write"]}, {"images": ["files"]}, {"files": "files:read"}, {"files": ["offline_access"]}],
    ids=str,
)
async def test_a_scope_that_cannot_include_another_is_refused_at_start(implies: Any) -> None:
    with pytest.raises(ValueError, match=r"^resources: .*impl"):
        async with library(resources={"/api": Resource(scopes=FILES, implies=implies)}):
            raise AssertionError("it started")


@requirement("S-204", "S-259", "S-042", "C-125", "A-090")
@pytest.mark.parametrize(
    ("grant_types", "scope", "granted", "stays"),
    [
        (["authorization_code"], "read offline_access", None, True),
        (["authorization_code"], "offline_access", None, True),
        (["authorization_code"], "read", None, False),
        (["authorization_code"], None, None, False),
        (["authorization_code"], "read offline_access", "read", False),
        (["authorization_code", "refresh_token"], "read", None, True),
        (["authorization_code", "refresh_token"], "read offline_access", None, True),
        (["authorization_code", "refresh_token"], "read offline_access", "read", False),
    ],
)
async def test_who_asks_to_stay_and_is_allowed_gets_a_refresh_token(
    world: World, grant_types: list[str], scope: str | None, granted: str | None, stays: bool
) -> None:
    client = await world.register(grant_types=grant_types)
    headers = {} if granted is None else {"x-scopes": granted}
    tokens = await world.tokens(client, scope=scope, headers=headers)
    assert bool(tokens.refresh) == stays
    assert ("refresh_token_expires_in" in tokens.raw) == stays
    assert "offline_access" not in tokens.raw["scope"]
    assert "offline_access" not in (await world.call(tokens.access)).json()["scopes"]
    if stays:
        again = parsed(await world.refresh(client, tokens.refresh))
        assert again.raw["scope"] == tokens.raw["scope"]
        assert again.refresh


@requirement("S-200", "S-204", "A-090")
async def test_a_client_that_was_not_allowed_to_stay_cannot_refresh(world: World) -> None:
    asked = await world.register(grant_types=["authorization_code"])
    other = await world.register(grant_types=["authorization_code"])
    refresh = (await world.tokens(asked, scope="read offline_access")).refresh
    refused(await world.refresh(other, refresh), "unauthorized_client")
    refused(await world.refresh(asked, "nonsense"), "unauthorized_client")
    assert (await world.refresh(asked, refresh)).status_code == 200


@requirement("S-251", "S-259")
async def test_narrowing_at_a_refresh_may_name_it_and_takes_nothing_away(world: World) -> None:
    client = await world.register(grant_types=["authorization_code"])
    tokens = await world.tokens(client, scope="read write offline_access")
    for scope, got in [("read offline_access", "read"), ("offline_access", "read write"), ("write", "write")]:
        tokens = parsed(await world.refresh(client, tokens.refresh, scope=scope))
        assert tokens.raw["scope"] == got
        assert tokens.refresh


@requirement("A-188", "S-042", "S-259", "C-027")
async def test_where_there_are_no_refresh_tokens_nobody_can_ask_to_stay() -> None:
    async with running_world(MemoryStore(), refresh_token_ttl=0) as world:
        assert (await world.http.get(SERVER)).json()["scopes_supported"] == ["read", "write"]
        client = await world.register(grant_types=["authorization_code", "refresh_token"])
        tokens = await world.tokens(client, scope="read offline_access")
        assert "refresh_token" not in tokens.raw
        assert tokens.raw["scope"] == "read"
        [grant] = (await world.provider.helpers.list_grants()).items
        assert grant.scopes == ("read",)


@requirement("A-221", "S-073", "S-100", "S-042", "S-099", "C-027", "C-212", "C-040")
async def test_it_is_the_servers_scope_and_no_resources() -> None:
    async def careless(request: Request) -> JSONResponse:
        require_scopes("read", "write", "offline_access")
        raise AssertionError("it was let through")

    handlers = {"/api": Starlette(routes=[Route("/api", careless)])}
    resources = {"/api": Resource(scopes={"read": "Read", "write": "Write", "offline_access": "Stay"})}
    async with running_world(MemoryStore(), api_handlers=handlers, resources=resources) as world:
        assert (await world.http.get(SERVER)).json()["scopes_supported"] == ["read", "write", "offline_access"]
        path = "/.well-known/oauth-protected-resource/api"
        assert (await world.http.get(path)).json()["scopes_supported"] == ["read", "write"]
        assert challenge_in(await world.call(None))["scope"] == "read write"
        client = await world.register(grant_types=["authorization_code"])
        tokens = await world.tokens(client, scope="read offline_access")
        assert challenge_in(await world.call(tokens.access))["scope"] == "read write"
        assert tokens.refresh
        assert tokens.raw["scope"] == "read"
        assert parsed(await world.refresh(client, tokens.refresh)).raw["scope"] == "read"


@requirement("S-259", "S-146")
async def test_it_is_required_of_nobody_and_no_error_where_it_is_all_that_is_asked(world: World) -> None:
    client = await world.register(scope="read")
    parameters = answer_parameters(await world.authorize(client, scope="offline_access"))
    assert "code" in parameters
    tokens = parsed(await world.exchange(client, parameters["code"]))
    assert tokens.raw["scope"] == "read"
