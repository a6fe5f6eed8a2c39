"""Authorization server and resource server, each behind a socket of its own, as operators put them together."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from grantwell import OAuthProvider, Resource, SecretKey
from grantwell._http import calls
from grantwell.resource import ResourceServer
from grantwell.testing import FrozenClock
from tests.resource.place import SCOPES, Files, served
from tests.wire.world import STORES, Tokens, World, altered, api, new_store, parsed, site

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement


def listening() -> tuple[socket.socket, str]:
    """A socket on a free port, and the origin that it will have."""
    listener = socket.create_server(("127.0.0.1", 0))
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


class Streaming(Files):
    """The application of the other tests; below `/stream` it answers for ever."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].endswith("/stream"):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                await send({"type": "http.response.body", "body": b"tick\n", "more_body": True})
                await asyncio.sleep(0.005)
        await super().__call__(scope, receive, send)


@dataclass
class Both:
    """The two servers. `world` is the authorization server's, `files` reaches the resource server."""

    world: World
    files: httpx.AsyncClient
    resource: str
    client_id: str

    async def tokens(self, client: dict[str, Any], **changes: Any) -> Tokens:
        """Tokens for the resource, asked for as its challenge says."""
        asked = {"resource": self.resource, "scope": "files:read files:write"} | changes
        return await self.world.tokens(client, **asked)

    async def call(self, token: str, path: str = "/api") -> httpx.Response:
        """Call the resource server."""
        return await self.files.get(path, headers={"Authorization": f"Bearer {token}"})


@asynccontextmanager
async def both_running(store: Any, **options: Any) -> AsyncIterator[Both]:
    """Both servers, which know of each other what an operator tells them; `options` go to the resource server."""
    clock = FrozenClock()
    async with AsyncExitStack() as stack:
        listener, issuer = listening()
        stack.enter_context(listener)
        resource_listener, origin = listening()
        stack.enter_context(resource_listener)
        provider = OAuthProvider(
            issuer=issuer,
            store=store,
            secret_key=SecretKey(b"k" * 32),
            api_handlers={"/own": api},
            default_handler=site,
            introspection_endpoint="/introspect",
            resources={
                f"{origin}/api": Resource(scopes=SCOPES, name="Files"),
                "/own": Resource(scopes={"files:read": "Read"}),
            },
            clock=clock,
        )
        await stack.enter_async_context(provider.running())
        await stack.enter_async_context(served(provider, listener))
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=issuer))
        files = await stack.enter_async_context(httpx.AsyncClient(base_url=origin))
        client, secret = await provider.helpers.create_client(
            {
                "client_name": "Files",
                "token_endpoint_auth_method": "client_secret_basic",
                "grant_types": ["client_credentials"],
                "introspects": [f"{origin}/api"],
            }
        )
        settings: dict[str, Any] = {
            "resource": f"{origin}/api",
            "issuer": issuer,
            "client_id": client.client_id,
            "client_secret": secret,
            "scopes": SCOPES,
            "clock": clock,
        } | options
        server = ResourceServer(Streaming(), **settings)
        await stack.enter_async_context(server.running())
        await stack.enter_async_context(served(server, resource_listener))
        yield Both(World(provider, http, clock, store=store), files, f"{origin}/api", client.client_id)


@pytest.fixture(params=STORES)
async def both(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Both]:
    """The two servers, over each kind of store."""
    async with both_running(new_store(request.param, tmp_path)) as running:
        yield running


def assert_refused(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@requirement("S-123", "S-083", "S-098", "S-069", "S-099")
async def test_a_client_that_knows_the_resource_alone_finds_its_way(both: Both) -> None:
    challenge = (await both.files.get("/api")).headers["www-authenticate"]
    document = (await both.files.get(challenge.split('"')[1])).json()
    assert (document["resource"], document["authorization_servers"]) == (
        both.resource,
        [both.world.provider.settings.issuer],
    )
    client = await both.world.register()
    scope = challenge.split('scope="')[1].split('"')[0]
    tokens = await both.tokens(client, resource=document["resource"], scope=scope)
    answer = await both.call(tokens.access)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "user": "u1",
        "client": client["client_id"],
        "grant": (await both.world.provider.helpers.list_grants()).items[0].grant_id,
        "scopes": ["files:read", "files:write"],
        "audience": [both.resource],
        "props": {"color": "teal", "user": "u1"},
        "expires_at": int(both.world.clock()) + 3600,
    }


@requirement("S-113", "S-126", "S-102", "S-103", "S-112", "S-129")
async def test_what_is_not_good_here_is_refused(both: Both) -> None:
    client = await both.world.register()
    tokens = await both.tokens(client)
    elsewhere = await both.tokens(client, resource=f"{both.world.provider.settings.issuer}/own", scope="files:read")
    code = await both.world.code(client, resource=both.resource, scope="files:read")
    for token in (elsewhere.access, tokens.refresh, code, "x", altered(tokens.access), tokens.access.swapcase()):
        assert_refused(await both.call(token))
    reader = await both.tokens(await both.world.register(), scope="files:read")
    refused = await both.call(reader.access, "/api/write")
    assert (refused.status_code, refused.json()["error"]) == (403, "insufficient_scope")
    assert 'scope="files:read files:write"' in refused.headers["www-authenticate"]
    assert (await both.call(tokens.access, "/api/write")).status_code == 200
    both.world.clock.advance(3599)
    assert (await both.call(tokens.access)).status_code == 200
    both.world.clock.advance(1)
    assert_refused(await both.call(tokens.access))


@requirement("S-129")
async def test_a_token_that_a_client_has_for_itself_is_no_users(both: Both) -> None:
    metadata = {"token_endpoint_auth_method": "client_secret_basic", "grant_types": ["client_credentials"]}
    client, secret = await both.world.provider.helpers.create_client(metadata)
    form = {"grant_type": "client_credentials", "resource": both.resource, "scope": "files:read"}
    tokens = parsed(await both.world.http.post("/token", data=form, auth=(client.client_id, secret or "")))
    answer = (await both.call(tokens.access)).json()
    assert (answer["user"], answer["client"], answer["scopes"]) == (None, client.client_id, ["files:read"])


Ending = Callable[[Both, dict[str, Any], Tokens], Awaitable[object]]


async def revoke_token(both: Both, client: dict[str, Any], tokens: Tokens) -> None:
    await both.world.revoke(client, tokens.access)


async def revoke_refresh_token(both: Both, client: dict[str, Any], tokens: Tokens) -> None:
    await both.world.revoke(client, tokens.refresh)


async def revoke_grants(both: Both, client: dict[str, Any], tokens: Tokens) -> None:
    assert await both.world.provider.helpers.revoke_user_grants("u1") == 1


async def delete_client(both: Both, client: dict[str, Any], tokens: Tokens) -> None:
    assert await both.world.provider.helpers.delete_client(client["client_id"])


@requirement("S-125", "A-262", "D-09")
@pytest.mark.parametrize("end", [revoke_token, revoke_refresh_token, revoke_grants, delete_client])
async def test_whatever_ends_a_token_ends_it_for_the_next_call_elsewhere(both: Both, end: Ending) -> None:
    client = await both.world.register()
    tokens = await both.tokens(client)
    assert (await both.call(tokens.access)).status_code == 200
    await end(both, client, tokens)
    assert_refused(await both.call(tokens.access))


@requirement("S-125", "A-273")
async def test_an_open_stream_elsewhere_ends_after_a_revocation(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "RECHECK_SECONDS", 0.02)
    client = await both.world.register()
    tokens = await both.tokens(client)
    headers = {"Authorization": f"Bearer {tokens.access}"}
    ticks = 0
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):  # noqa: PT012
        async with both.files.stream("GET", "/api/stream", headers=headers) as answer:
            async for _ in answer.aiter_lines():
                ticks += 1
                if ticks == 20:
                    await both.world.revoke(client, tokens.access)
    assert ticks >= 20


async def rotate_its_secret(both: Both) -> None:
    assert await both.world.provider.helpers.rotate_client_secret(both.client_id, overlap=0)


async def delete_its_client(both: Both) -> None:
    assert await both.world.provider.helpers.delete_client(both.client_id)


@requirement("A-276", "S-377")
@pytest.mark.parametrize("end", [rotate_its_secret, delete_its_client])
async def test_a_resource_server_whose_credentials_are_not_good_any_more_says_nothing_about_tokens(
    both: Both, end: Callable[[Both], Awaitable[None]]
) -> None:
    tokens = await both.tokens(await both.world.register())
    assert (await both.call(tokens.access)).status_code == 200
    await end(both)
    refused = await both.call(tokens.access)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    assert "www-authenticate" not in refused.headers


@requirement("A-271", "S-125")
async def test_many_users_are_served_and_refused_at_once(tmp_path: Path) -> None:
    async with both_running(new_store("sqlite", tmp_path)) as both:
        client = await both.world.register()
        tokens = [await both.tokens(client, headers={"x-user": f"u{number}"}) for number in range(20)]
        answers = await asyncio.gather(*(both.call(token.access) for token in tokens * 2))
        assert [answer.json()["user"] for answer in answers] == [f"u{number}" for number in range(20)] * 2
        for ended in tokens[::2]:
            await both.world.revoke(client, ended.access)
        answers = await asyncio.gather(*(both.call(token.access) for token in tokens))
        assert [answer.status_code for answer in answers] == [401, 200] * 10
