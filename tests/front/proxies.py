"""A real proxy before a server that it asks, configured as docs/front.md says."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from websockets.asyncio.server import ServerConnection, serve

from grantwell_storage import MemoryStore
from tests.front.place import DESCRIBED, PATIENCE, Place, node
from tests.wire.world import running_world, serving

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "front.md"
GRANTWELL, API, PROXY = "127.0.0.1:8000", "127.0.0.1:9000", 8080


def configurations(language: str) -> list[str]:
    """The blocks of the guide in this language that are said to be tested."""
    return re.findall(rf"<!-- tested: \S+ -->\n```{language}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


def installed(name: str) -> str:
    """The program of this name; skips the test where it is not installed."""
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip(f"{name} is not installed")
    return program


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def unreachable(scope: Scope, receive: Receive, send: Send) -> None:
    """What is behind a prefix that a proxy serves."""
    raise AssertionError("the proxy serves this, and not the server that it asks")


async def said(upstream: ServerConnection) -> None:
    """A websocket that says who it was told to be speaking with, and then everything again."""
    assert upstream.request is not None
    await upstream.send(upstream.request.headers.get("X-Grantwell-User", "nobody"))
    async for message in upstream:
        await upstream.send(message)


@asynccontextmanager
async def asked(api: str) -> AsyncIterator[tuple[Place, dict[str, str]]]:
    """A server with `/verify` before an API; the place's port is yet to be the proxy's, whose addresses are given."""
    options: dict[str, Any] = {"verify_endpoint": "/verify", "resources": {"/api": DESCRIBED}}
    async with (
        running_world(MemoryStore(), api_handlers={"/api": unreachable}, **options) as world,
        serving(world.provider, "httptools") as port,
    ):
        client = await world.register()
        token = (await world.tokens(client, scope="notes:read")).access
        proxy = free_port()
        addresses = {GRANTWELL: f"127.0.0.1:{port}", API: api, f":{PROXY}": f":{proxy}"}
        yield Place(world, proxy, client, token), addresses


def placed(text: str, addresses: dict[str, str]) -> str:
    """A configuration of the guide with the addresses of this test."""
    for written, here in addresses.items():
        assert written in text, written
        text = text.replace(written, here)
    return text


@asynccontextmanager
async def running(port: int, *command: str) -> AsyncIterator[None]:
    """A program that listens on this port."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
    try:
        async with asyncio.timeout(PATIENCE):
            while not await _listens(port):
                if process.returncode is not None and process.stdout is not None:
                    pytest.fail(f"{command[0]} ended: {(await process.stdout.read()).decode()}")
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        await asyncio.sleep(0.01)
        return False
    writer.close()
    return True


@asynccontextmanager
async def http_api() -> AsyncIterator[str]:
    """The address of the API in JavaScript."""
    async with node() as upstream:
        yield upstream.url.removeprefix("http://")


@asynccontextmanager
async def websocket_api() -> AsyncIterator[str]:
    """The address of an API that speaks websocket."""
    async with serve(said, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
