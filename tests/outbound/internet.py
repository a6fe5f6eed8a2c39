"""A small internet on this machine: names, addresses, and hosts that answer as they like. Nothing leaves loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from ipaddress import IPv4Address, ip_address
from typing import Any

from grantwell._outbound import sockets
from grantwell._outbound.exchange import Fetched
from grantwell._outbound.fetcher import Fetcher
from grantwell._outbound.targets import Address
from tests.outbound.certificates import Authority

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]

LOOPBACK = IPv4Address("127.0.0.1")
PUBLIC = "8.8.8.8"
OTHER_PUBLIC = "2606:4700::1111"

URL = "https://m1.test/c.json"
MOST_BYTES = 5_120


def http(body: bytes = b"{}", *fields: str, status: str = "200 OK") -> bytes:
    """A whole HTTP/1.1 answer."""
    head = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def raw(*lines: str, body: bytes = b"") -> bytes:
    """These lines as the head of an answer, and what follows."""
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def cut_off(data: bytes) -> Answer:
    """Sends the bytes, then ends the connection without the goodbye of TLS."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        writer.transport.abort()

    return answer


def endless(head: bytes, piece: bytes) -> Answer:
    """Sends the head, then the same piece for as long as it is taken."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()

    return answer


def dripping(data: bytes) -> Answer:
    """Sends one byte in a hundredth of a second."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        for byte in data:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.01)

    return answer


async def silent(writer: asyncio.StreamWriter) -> None:
    """Sends nothing, and stays."""
    await asyncio.Event().wait()


class Host:
    """A server on loopback. It notes each connection and each request; without TLS it waits for no request."""

    def __init__(self, answer: Answer | bytes, context: ssl.SSLContext | None) -> None:
        self._answer = answer
        self._context = context
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0
        self.requests: list[bytes] = []
        self.port = 0

    async def open(self) -> None:
        """Listen on a port of the system's choice."""
        self._listener = socket.create_server((str(LOOPBACK), 0))
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self._start(self._accept())

    async def close(self) -> None:
        """End everything that is under way."""
        while tasks := tuple(self._tasks):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._listener.close()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self) -> None:
        while True:
            sock, _ = await asyncio.get_running_loop().sock_accept(self._listener)
            self.connections += 1
            self._start(self._serve(sock))

    async def _serve(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock, ssl=self._context)
            writer = asyncio.StreamWriter(transport, protocol, reader, loop)
            try:
                if self._context is not None:
                    self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                if isinstance(self._answer, bytes):
                    writer.write(self._answer)
                else:
                    await self._answer(writer)
                writer.close()
                await writer.wait_closed()
            finally:
                transport.abort()


class Internet:
    """What a fetcher sees of the world. `queries`, `connections` and `sockets` tell what it did there."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.names: dict[str, list[list[str]]] = {}
        self.queries: list[str] = []
        self.connections: list[str] = []
        self.sockets: list[socket.socket] = []
        self._hosts: dict[str, Host] = {}
        self._opened: list[Host] = []

    def name(self, name: str, *answers: list[str]) -> None:
        """What a name resolves to; several answers are given one after the other, the last for ever."""
        self.names[name] = list(answers)

    async def serve(
        self,
        answer: Answer | bytes = b"",
        *,
        name: str = "m1.test",
        address: str = PUBLIC,
        context: ssl.SSLContext | None = None,
        plain: bool = False,
    ) -> Host:
        """A host at an address, with a name that leads there and, unless told otherwise, a certificate for it."""
        host = Host(answer or http(), None if plain else context or self.authority.context(name))
        await host.open()
        self._opened.append(host)
        self._hosts[address] = host
        self.names.setdefault(name, [[address]])
        return host

    async def resolve(self, host: str) -> list[Address]:
        """The name system."""
        self.queries.append(host)
        answers = self.names.get(host)
        if answers is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [ip_address(text) for text in (answers.pop(0) if len(answers) > 1 else answers[0])]

    async def connect(self, address: Address, port: int) -> socket.socket:
        """The network: every port 443 is the one that the host at the address listens on."""
        self.connections.append(f"{address} {port}")
        host = self._hosts.get(str(address))
        if host is None:
            raise ConnectionRefusedError(111, "Connection refused")
        sock = await sockets.connect(LOOPBACK, host.port)
        self.sockets.append(sock)
        return sock

    def fetcher(self, **options: Any) -> Fetcher:
        """A fetcher that lives here."""
        return Fetcher(**({"resolve": self.resolve, "connect": self.connect} | options))

    async def get(self, url: str = URL, **options: Any) -> Fetched:
        """One fetch by a new fetcher."""
        return await self.fetcher(**options).get(url, most_bytes=MOST_BYTES, on_behalf_of="192.0.2.7")

    async def close(self) -> None:
        """Close the hosts."""
        for host in self._opened:
            await host.close()
