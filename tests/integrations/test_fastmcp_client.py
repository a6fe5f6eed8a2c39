"""FastMCP's own client: it finds everything by itself, waits for its browser on loopback, and calls the tools."""

from __future__ import annotations

import asyncio
import webbrowser
from pathlib import Path

import httpx
import pytest
from fastmcp import Client

from tests.integrations.running import PASSWORD, served_example
from tests.interop.person import Person

pytestmark = [pytest.mark.anyio, pytest.mark.system]


@pytest.mark.requirement("G-622")
@pytest.mark.filterwarnings("ignore:Using in-memory token storage:UserWarning")
async def test_the_client_of_fastmcp_comes_from_the_401_to_the_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errands: list[asyncio.Task[None]] = []

    async def back_to_the_client(url: str) -> None:
        location = await alice.answer(url, httpx.URL(url).params["redirect_uri"])
        # Its listener may not be there yet; the transport tries again.
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(retries=8)) as browser:
            (await browser.get(location)).raise_for_status()

    def open_browser(url: str) -> bool:
        errands.append(asyncio.get_running_loop().create_task(back_to_the_client(url)))
        return True

    monkeypatch.setattr(webbrowser, "open", open_browser)
    with served_example("fastmcp_server", tmp_path, "alice") as origin:
        async with Person("alice", PASSWORD) as alice, Client(f"{origin}/mcp", auth="oauth") as client:
            assert {tool.name for tool in await client.list_tools()} == {"read_notes", "add_note"}
            assert (await client.call_tool("add_note", {"text": "milk"})).data == 1
            assert (await client.call_tool("read_notes", {})).data == ["milk"]
            await asyncio.gather(*errands)
    assert len(errands) == 1
