"""A server of the transport alone: it speaks bytes, as HTTP wants them or not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.resource.place import RESOURCE

FAR_FUTURE = 4_000_000_000


def claims(user: str = "u1", **changes: Any) -> bytes:
    """The JSON text of a right introspection answer."""
    document = {"active": True, "sub": user, "username": user, "aud": RESOURCE, "exp": FAR_FUTURE}
    return json.dumps(document | changes).encode()


def http(body: bytes, *fields: str, status: str = "200 OK") -> bytes:
    """A whole HTTP/1.1 answer."""
    head = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join([*head, "", ""]).encode() + body


class Talk:
    """One connection of a host. `number` counts them, from 0."""

    def __init__(self, host: Host, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._host = host
        self._reader = reader
        self._writer = writer
        self.number = number

    async def heard(self) -> bytes:
        """The next request: head and body, which the host notes. Raises IncompleteReadError at the end."""
        head = await self.head()
        length = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        request = head + await self.exactly(int(length[0].split(b":")[1]) if length else 0)
        self._host.requests.append(request)
        return request

    async def head(self) -> bytes:
        """The head of the next request alone. Raises IncompleteReadError at the end."""
        return await self._reader.readuntil(b"\r\n\r\n")

    async def some(self) -> bytes:
        """What has come; nothing at the end."""
        return await self._reader.read(65536)

    async def exactly(self, count: int) -> bytes:
        """So many bytes. Raises IncompleteReadError if the connection ends first."""
        return await self._reader.readexactly(count)

    async def ended(self) -> None:
        """Wait until the other side has ended the connection."""
        while await self._reader.read(65536):
            pass

    async def say(self, data: bytes) -> None:
        """Send these bytes."""
        self._writer.write(data)
        await self._writer.drain()


Script = Callable[[Talk], Awaitable[None]]


class Host:
    """Runs its script for each connection, which ends with it. `most` is how many were open at once."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.url = ""
        self.requests: list[bytes] = []
        self.connections = 0
        self.open = 0
        self.most = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        talk = Talk(self, self.connections, reader, writer)
        self.connections += 1
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self.script(talk)
        finally:
            self.open -= 1
            writer.transport.abort()


@asynccontextmanager
async def hosted(script: Script, tls: ssl.SSLContext | None = None, name: str = "127.0.0.1") -> AsyncIterator[Host]:
    """A host that listens on this machine; `name` stands in its URL."""
    host = Host(script)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(host.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    host.url = f"{'http' if tls is None else 'https'}://{name}:{port}/introspect"
    try:
        yield host
    finally:
        server.close()
        # A connection that was accepted a moment ago reaches its script only now.
        for _ in range(10):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def answering(answer: bytes | Callable[[bytes], bytes]) -> Script:
    """A script that answers every request alike, or as a function of it."""

    async def script(talk: Talk) -> None:
        while True:
            request = await talk.heard()
            await talk.say(answer if isinstance(answer, bytes) else answer(request))

    return script


def token_in(request: bytes) -> str:
    """The token that an introspection request asks about."""
    return request.rpartition(b"token=")[2].decode()


async def until(happened: Callable[[], bool]) -> None:
    """Wait for what a socket has to bring first."""
    async with asyncio.timeout(10):
        while not happened():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
