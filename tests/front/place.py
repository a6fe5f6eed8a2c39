"""A server with a front, on a real socket, before an upstream of the test's; and a client of bytes."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from grantwell import Resource
from grantwell.front import Front
from grantwell_storage import MemoryStore
from tests.resource.host import Host, Script, hosted
from tests.wire.world import World, running_world, serving

UPSTREAM = Path(__file__).with_name("upstream.js")
SCOPES = {"notes": "Everything with notes", "notes:read": "Read notes", "notes:write": "Change notes"}
DESCRIBED = Resource(scopes=SCOPES, implies={"notes": ["notes:read", "notes:write"]})
PATIENCE = 10.0


@dataclass
class Answer:
    """A whole HTTP/1.1 answer: `is_whole` unless the connection ended before the body did."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    is_whole: bool

    def header(self, name: str) -> str | None:
        """The only header of this name."""
        values = self.header_list(name)
        assert len(values) <= 1, values
        return values[0] if values else None

    def header_list(self, name: str) -> list[str]:
        """Every header of this name."""
        return [value for key, value in self.headers if key == name]


class Peer:
    """A connection to the server, of a client that says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> tuple[int, list[tuple[str, str]]]:
        """Status and headers of the next answer, informational ones included."""
        async with asyncio.timeout(PATIENCE):
            text = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = text[:-4].split("\r\n")
        pairs = [line.split(":", 1) for line in lines]
        return int(first.split(" ")[1]), [(name.lower(), value.strip()) for name, value in pairs]

    async def answer(self, *, method: str = "GET") -> Answer:
        """The next answer, up to its end or that of the connection."""
        status, headers = await self.head()
        while status < 200:
            status, headers = await self.head()
        fields = dict(headers)
        async with asyncio.timeout(PATIENCE):
            try:
                body = await self._body(fields, status, method)
            except (asyncio.IncompleteReadError, ConnectionError):
                return Answer(status, headers, b"", is_whole=False)
        return Answer(status, headers, body, is_whole=True)

    async def _body(self, fields: dict[str, str], status: int, method: str) -> bytes:
        if method == "HEAD" or status in (204, 304):
            return b""
        if "content-length" in fields:
            return await self.reader.readexactly(int(fields["content-length"]))
        assert fields.get("transfer-encoding") == "chunked", fields
        pieces = []
        while piece := await self.piece():
            pieces.append(piece)
        return b"".join(pieces)

    async def piece(self) -> bytes:
        """The next chunk; nothing at the end of the body. Raises IncompleteReadError if the connection ends first."""
        async with asyncio.timeout(PATIENCE):
            size = int((await self.reader.readuntil(b"\r\n")).strip(), 16)
            return (await self.reader.readexactly(size + 2))[:-2]

    async def ended(self) -> None:
        """Wait until the server has ended the connection."""
        async with asyncio.timeout(PATIENCE):
            try:
                while await self.reader.read(65536):
                    continue
            except ConnectionError:
                return


@dataclass
class Place:
    """A server whose `/api` is a front, and a token that opens it."""

    world: World
    port: int
    client: dict[str, Any]
    token: str
    upstream: Node | None = None

    @asynccontextmanager
    async def peer(self) -> AsyncIterator[Peer]:
        """A connection of a client."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**20)
        try:
            yield Peer(reader, writer)
        finally:
            writer.transport.abort()

    def request(self, line: str, *fields: str, body: bytes = b"") -> bytes:
        """A request with the token, as `GET /api/x` and header lines."""
        head = [f"{line} HTTP/1.1", "Host: as.test", f"Authorization: Bearer {self.token}", *fields]
        return "\r\n".join([*head, "", ""]).encode("latin-1") + body

    async def ask(self, line: str, *fields: str, body: bytes = b"") -> Answer:
        """The answer to one request on a connection of its own."""
        async with self.peer() as peer:
            await peer.say(self.request(line, *fields, body=body))
            return await peer.answer(method=line.split(" ")[0])


@asynccontextmanager
async def fronted(
    upstream: str, parser: str = "httptools", *, websockets: Literal["auto", "none"] = "none", **options: Any
) -> AsyncIterator[Place]:
    """A server before this upstream; `options` go to the front, those in `provider` to the server."""
    provider: dict[str, Any] = {"resources": {"/api": DESCRIBED}} | options.pop("provider", {})
    apps = {"/api": Front(upstream, **options)}
    async with (
        running_world(MemoryStore(), api_handlers=apps, **provider) as world,
        serving(world.provider, parser, websockets=websockets) as port,
    ):
        client = await world.register()
        token = (await world.tokens(client, scope="notes:read notes:write")).access
        yield Place(world, port, client, token)


@asynccontextmanager
async def behind(script: Script, parser: str = "httptools", **options: Any) -> AsyncIterator[tuple[Place, Host]]:
    """A server before an upstream that runs this script for each connection; `options` go to the front."""
    async with hosted(script) as host, fronted(host.url.removesuffix("/introspect"), parser, **options) as place:
        yield place, host


@dataclass
class Node:
    """The upstream in JavaScript, in a process of its own."""

    process: asyncio.subprocess.Process
    url: str

    async def noticed(self, line: str) -> None:
        """Wait until it has written this line."""
        assert self.process.stderr is not None
        async with asyncio.timeout(PATIENCE):
            while (await self.process.stderr.readline()).decode().strip() != line:
                continue


@asynccontextmanager
async def node() -> AsyncIterator[Node]:
    """The upstream in JavaScript, running; skips the test where there is no Node."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("node is not installed")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(program, str(UPSTREAM), stdout=pipe, stderr=pipe)
    assert process.stdout is not None
    try:
        port = int(await process.stdout.readline())
        yield Node(process, f"http://127.0.0.1:{port}")
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
