"""The MCP SDK's own client, with its own OAuth, in a real MCP session: from the 401 on, registering itself."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from mcp.client.client import ConnectMode

from tests.cli.processes import Demo
from tests.interop.person import Person
from tests.interop.sdk_client import Memory, session

pytestmark = [pytest.mark.anyio, pytest.mark.system]

CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "whoami", "arguments": {}}}
ACCEPT = {"Accept": "application/json, text/event-stream"}


@pytest.mark.requirement("G-321", "S-066", "S-098", "S-099", "S-322")
@pytest.mark.parametrize("mode", ["legacy", "auto", "2026-07-28"])
async def test_the_mcp_client_comes_from_the_401_to_its_tools(demo: Demo, person: Person, mode: ConnectMode) -> None:
    memory = Memory()
    async with session(f"{demo.url}/mcp", person, memory, mode) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == {"whoami", "add_note"}
        who: dict[str, Any] = (await client.call_tool("whoami", {})).structured_content or {}
        kept = await client.call_tool("add_note", {"text": "by the SDK"})
        assert not kept.is_error
        refused = await client.call_tool("add_note", {"text": " "})
        assert refused.is_error
    assert memory.client is not None
    assert who["user"] == "demo"
    assert who["client"] == memory.client.client_id
    assert who["audience"] == [f"{demo.url}/mcp"]
    assert set(who["scopes"]) == {"mcp:use", "notes:write"}


@pytest.mark.requirement("G-321", "S-088", "S-125")
async def test_a_session_is_nothing_without_its_token(demo: Demo, person: Person) -> None:
    memory = Memory()
    async with session(f"{demo.url}/mcp", person, memory, "legacy") as client:
        grant = ((await client.call_tool("whoami", {})).structured_content or {})["grant"]
    assert memory.tokens is not None
    async with httpx.AsyncClient(headers=ACCEPT) as http:
        headers = {"Authorization": f"Bearer {memory.tokens.access_token}"}
        assert (await http.post(f"{demo.url}/mcp", json=CALL, headers=headers)).status_code == 200
        elsewhere = await http.get(f"{demo.url}/api/me", headers=headers)
        assert elsewhere.status_code == 401
        demo.run("grants", "revoke", grant, "--yes")
        refused = await http.post(f"{demo.url}/mcp", json=CALL, headers=headers)
        assert refused.status_code == 401
        assert 'error="invalid_token"' in refused.headers["www-authenticate"]


@pytest.mark.requirement("A-285", "S-094")
async def test_another_origin_or_host_reaches_no_tool(demo: Demo, person: Person) -> None:
    memory = Memory()
    async with session(f"{demo.url}/mcp", person, memory, "legacy") as client:
        await client.list_tools()
    assert memory.tokens is not None
    token = {"Authorization": f"Bearer {memory.tokens.access_token}"}
    async with httpx.AsyncClient(headers=ACCEPT | token) as http:
        for version in ({}, {"MCP-Protocol-Version": "2025-11-25"}, {"MCP-Protocol-Version": "2026-07-28"}):
            foreign = version | {"Origin": "http://attacker.test"}
            assert (await http.post(f"{demo.url}/mcp", json=CALL, headers=foreign)).status_code == 403
        own = await http.post(f"{demo.url}/mcp", json=CALL, headers={"Origin": demo.url})
        assert own.status_code == 200
        rebound = await http.post(f"{demo.url}/mcp", json=CALL, headers={"Host": "attacker.test:8000"})
        assert rebound.status_code == 421
