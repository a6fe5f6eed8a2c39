"""MCP servers of both SDKs: the examples in processes of their own, and the SDK's client from the 401 to the tools."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from pydantic import AnyHttpUrl
from starlette.types import Receive, Scope, Send

from grantwell import current_principal
from grantwell.integrations.mcp import Authenticated, GuardedTokenVerifier, get_access_token
from tests.docs.first_client import bearer, tokens_for
from tests.integrations.own_process import provider_with
from tests.integrations.running import PASSWORD, served_example
from tests.interop.person import Person
from tests.interop.sdk_client import Memory, session
from tests.interop.test_mcp import ACCEPT, CALL

pytestmark = [pytest.mark.anyio, pytest.mark.system]

PROPS = {"plan": "free"}
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "by hand", "version": "1"},
    },
}


@pytest.mark.requirement("G-620")
@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_a_tool_of_the_sdk_gets_the_access_token_of_its_caller(tmp_path: Path, mode: str) -> None:
    memory = Memory()
    with served_example("mcp_server", tmp_path, "alice") as origin:
        async with Person("alice", PASSWORD) as alice, session(f"{origin}/mcp", alice, memory, mode) as client:
            told = await client.call_tool("whoami", {})
    assert memory.client is not None
    assert told.structured_content == {"result": f"alice, by {memory.client.client_id}"}


@pytest.mark.requirement("G-621", "S-088")
async def test_a_session_answers_nobody_but_the_user_who_began_it(tmp_path: Path) -> None:
    with served_example("mcp_server", tmp_path, "alice", "bob") as origin:
        async with (
            httpx.AsyncClient(base_url=origin, headers=ACCEPT) as http,
            Person("alice", PASSWORD) as alice,
            Person("bob", PASSWORD) as bob,
        ):
            hers, his = await tokens_for(http, alice), await tokens_for(http, bob)
            begun = await http.post("/mcp", json=INITIALIZE, headers=bearer(hers))
            assert begun.status_code == 200, begun.text
            in_it = {"Mcp-Session-Id": begun.headers["mcp-session-id"], "MCP-Protocol-Version": "2025-06-18"}
            assert (await http.post("/mcp", json=CALL, headers=in_it | bearer(hers))).status_code == 200
            stolen = await http.post("/mcp", json=CALL, headers=in_it | bearer(his))
            assert stolen.status_code == 404, stolen.text


@pytest.mark.requirement("G-622")
async def test_fastmcp_knows_the_caller_and_hides_what_the_token_is_not_good_for(tmp_path: Path) -> None:
    memory = Memory()
    with served_example("fastmcp_server", tmp_path, "alice") as origin:
        async with Person("alice", PASSWORD) as alice:
            async with session(f"{origin}/mcp", alice, memory, "legacy") as client:
                assert {tool.name for tool in (await client.list_tools()).tools} == {"read_notes", "add_note"}
                await client.call_tool("add_note", {"text": "milk"})
                kept = await client.call_tool("read_notes", {})
                assert (kept.structured_content or {})["result"] == ["milk"]
            async with httpx.AsyncClient(base_url=origin, headers=ACCEPT) as http:
                reader = await tokens_for(http, alice, scope="notes:read")
                writer = await tokens_for(http, alice, scope="notes:write")
                listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
                refused = await http.post("/mcp", json=listing, headers=bearer(writer))
                assert refused.status_code == 403
                challenge = refused.headers["www-authenticate"]
                assert 'error="insufficient_scope"' in challenge
                assert 'scope="notes:read"' in challenge
                assert f'resource_metadata="{origin}/.well-known/oauth-protected-resource/mcp"' in challenge
                begun = await http.post("/mcp", json=INITIALIZE, headers=bearer(reader))
                in_it = {"Mcp-Session-Id": begun.headers["mcp-session-id"], "MCP-Protocol-Version": "2025-06-18"}
                shown = await http.post("/mcp", json=listing, headers=in_it | bearer(reader))
                assert "read_notes" in shown.text
                assert "add_note" not in shown.text


async def _claims(http: httpx.AsyncClient, token: dict[str, str]) -> Any:
    call = CALL | {"params": {"name": "claims", "arguments": {}}}
    answer = await http.post("/mcp", json=call, headers=ACCEPT | {"MCP-Protocol-Version": "2025-11-25"} | token)
    return answer.raise_for_status().json()["result"]["structuredContent"]


@pytest.mark.requirement("G-620", "S-088")
async def test_a_server_with_the_settings_of_the_sdk_believes_the_guard_and_nothing_else() -> None:
    server: MCPServer[Any] = MCPServer(
        "strict",
        token_verifier=GuardedTokenVerifier(),
        auth=AuthSettings(
            issuer_url=AnyHttpUrl("http://127.0.0.1:8000"),
            resource_server_url=AnyHttpUrl("http://127.0.0.1:8000/mcp"),
            required_scopes=["mcp:use"],
            validate_token_resource=True,
        ),
    )

    @server.tool()
    async def claims() -> dict[str, Any]:
        """All that is known of the caller."""
        token = get_access_token()
        assert token is not None
        assert current_principal().user_id == token.subject
        return token.model_dump(exclude={"token", "client_id"})

    app = server.streamable_http_app(stateless_http=True, json_response=True)
    async with provider_with("/mcp", app, {"mcp:use": "Use", "mcp:all": "All"}, {"mcp:all": ["mcp:use"]}) as world:
        token = await world.token("alice", "mcp:all", PROPS)
        told = await _claims(world.http, {"Authorization": f"Bearer {token}"})
        grant = (await world.provider.helpers.list_user_grants("alice")).items[0]
        assert told.pop("claims") == {
            "sub": "alice",
            "aud": ["http://127.0.0.1:8000/mcp"],
            "grant_id": grant.grant_id,
            "props": PROPS,
        }
        assert told.pop("expires_at") > time.time()
        assert told == {
            "scopes": ["mcp:all", "mcp:use"],
            "resource": "http://127.0.0.1:8000/mcp",
            "subject": "alice",
        }
    alone = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=alone, base_url="http://127.0.0.1:8000") as http:
        with pytest.raises(LookupError, match="not behind a guard"):
            await http.post("/mcp", json=CALL, headers=ACCEPT | {"Authorization": f"Bearer {token}"})


@pytest.mark.requirement("G-620")
async def test_calls_at_the_same_time_each_know_their_own_caller() -> None:
    server: MCPServer[Any] = MCPServer("busy")
    all_are_here = asyncio.Barrier(8)

    @server.tool()
    async def whoami() -> str | None:
        """Who calls, after everybody else has come too."""
        await all_are_here.wait()
        token = get_access_token()
        return None if token is None else token.subject

    app = Authenticated(server.streamable_http_app(stateless_http=True, json_response=True))
    headers = ACCEPT | {"MCP-Protocol-Version": "2025-11-25"}
    async with provider_with("/mcp", app, {"mcp:use": "Use"}) as world:
        users = [f"user-{number % 4}" for number in range(8)]
        tokens = [await world.token(user) for user in users]
        async with asyncio.timeout(30):
            answers = await asyncio.gather(
                *(
                    world.http.post("/mcp", json=CALL, headers=headers | {"Authorization": f"Bearer {token}"})
                    for token in tokens
                )
            )
        assert [answer.json()["result"]["structuredContent"]["result"] for answer in answers] == users


@pytest.mark.requirement("G-621")
async def test_nobody_reaches_an_authenticated_server_around_the_guard() -> None:
    async def reached(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("reached without a token")

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=Authenticated(reached)), base_url="http://127.0.0.1:8000"
    ) as http:
        with pytest.raises(LookupError, match="not behind a guard"):
            await http.post("/mcp", json=CALL, headers={"Authorization": "Bearer made-up"})
