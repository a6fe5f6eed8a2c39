"""Keep-alive connections to a server that the operator names: HTTP/1.1, TLS verified, small answers, no redirects."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import h11

from .._outbound.tls import client_context
from .._urls import HttpUrl

MAX_CONNECTIONS = 32
MAX_IDLE_SECONDS = 30.0
MAX_ANSWER_BYTES = 64 * 1024

Headers = tuple[tuple[str, str], ...]


class NoAnswer(Exception):
    """There was no usable answer. `str()` is a reason for the log; it quotes no header and no body."""


class ConnectionLost(NoAnswer):
    """The connection ended before the first byte of an answer."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A complete answer. `content_type` is None unless it is there exactly once."""

    status: int
    content_type: str | None
    body: bytes = field(repr=False)


class Connections:
    """At most 32 connections to the origin of a URL. A request has no deadline but its caller's."""

    def __init__(self, url: HttpUrl) -> None:
        self._authority = url.origin.partition("://")[2]
        self._host = url.host.strip("[]")
        self._port = url.port or (443 if url.is_https else 80)
        self._tls = client_context() if url.is_https else None
        self._target = (url.path or "/") + ("" if url.query is None else f"?{url.query}")
        self._slots = asyncio.Semaphore(MAX_CONNECTIONS)
        self._open: set[_Connection] = set()
        self._idle: list[_Connection] = []
        self._is_closed = False

    async def send(self, method: str, headers: Headers = (), body: bytes = b"") -> HttpAnswer:
        """The answer to a request that changes nothing, so that it may be sent twice. Raises NoAnswer."""
        request = h11.Request(
            method=method,
            target=self._target,
            headers=[
                ("Host", self._authority),
                ("User-Agent", "grantwell"),
                ("Accept", "application/json"),
                ("Accept-Encoding", "identity"),
                *([("Content-Length", str(len(body)))] if body else []),
                *headers,
            ],
        )
        try:
            async with self._slots:
                return await self._send(request, body)
        except ssl.SSLCertVerificationError as error:
            raise NoAnswer(f"the certificate of {self._authority} is not acceptable: {error.verify_message}") from error
        except OSError as error:
            raise NoAnswer(f"no connection to {self._authority} ({type(error).__name__})") from error

    async def _send(self, request: h11.Request, body: bytes) -> HttpAnswer:
        connection = self._idle_connection()
        if connection is not None:
            try:
                return await self._exchange(connection, request, body)
            except ConnectionLost:
                # As a server may do with an idle connection at any moment: that says nothing about the request.
                connection = None
        return await self._exchange(await self._connected(), request, body)

    async def close(self) -> None:
        """End every connection for good; requests that wait for an answer fail."""
        self._is_closed = True
        while self._open:
            connection = next(iter(self._open))
            connection.abort()
            await connection.lost.wait()

    def _idle_connection(self) -> _Connection | None:
        oldest = asyncio.get_running_loop().time() - MAX_IDLE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_since >= oldest:
                return connection
            connection.abort()
        return None

    async def _connected(self) -> _Connection:
        loop = asyncio.get_running_loop()
        name = self._host if self._tls is not None else None
        make = partial(_Connection, self._open)
        _, connection = await loop.create_connection(make, self._host, self._port, ssl=self._tls, server_hostname=name)
        return connection

    async def _exchange(self, connection: _Connection, request: h11.Request, body: bytes) -> HttpAnswer:
        try:
            return await connection.exchange(request, body)
        finally:
            if connection.is_reusable and not self._is_closed:
                connection.idle_since = asyncio.get_running_loop().time()
                self._idle.append(connection)
            else:
                # Also after a cancelled request: its answer may still come, and nobody else may read it.
                connection.abort()


class _Connection(asyncio.Protocol):
    """One connection: it carries one request at a time, and ends when the server speaks out of turn."""

    def __init__(self, open_connections: set[_Connection]) -> None:
        self._open_connections = open_connections
        self._transport: asyncio.Transport | None = None
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_ANSWER_BYTES)
        self._answer: asyncio.Future[HttpAnswer] | None = None
        self._received = 0
        self._head: h11.Response | None = None
        self._body = b""
        self.idle_since = 0.0
        self.lost = asyncio.Event()

    @property
    def is_reusable(self) -> bool:
        """Whether it is open and nothing is under way on it."""
        is_open = self._transport is not None and not self._transport.is_closing()
        return is_open and self._http.our_state is h11.IDLE and self._http.their_state is h11.IDLE

    async def exchange(self, request: h11.Request, body: bytes) -> HttpAnswer:
        """Send a request and wait for its whole answer. Raises NoAnswer."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionLost("the connection ended before the request")
        self._answer = asyncio.get_running_loop().create_future()
        self._received, self._head, self._body = 0, None, b""
        events = (request, h11.Data(data=body), h11.EndOfMessage())
        self._transport.write(b"".join(self._http.send(event) or b"" for event in events))
        try:
            return await self._answer
        finally:
            self._answer = None

    def abort(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._open_connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._answer is None or self._answer.done():
            self.abort()
        elif self._received > MAX_ANSWER_BYTES:
            self._fail(NoAnswer(f"the answer has more than {MAX_ANSWER_BYTES} bytes"))
        else:
            self._read(data)

    def connection_lost(self, exc: Exception | None) -> None:
        kind = NoAnswer if self._received else ConnectionLost
        self._fail(kind("the connection ended before the answer did"))
        self._open_connections.discard(self)
        self.lost.set()

    def _read(self, data: bytes) -> None:
        try:
            self._http.receive_data(data)
            while (event := self._http.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Response):
                    self._head = event
                elif isinstance(event, h11.Data):
                    self._body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    self._finish()
                    break
        except h11.RemoteProtocolError:
            self._fail(NoAnswer("the answer is not well-formed HTTP/1.1"))

    def _finish(self) -> None:
        if self._answer is None or self._answer.done() or self._head is None:
            return
        types = [value for name, value in self._head.headers if name == b"content-type"]
        content_type = types[0].decode("ascii", "replace") if len(types) == 1 else None
        self._answer.set_result(HttpAnswer(self._head.status_code, content_type, self._body))
        if self._http.trailing_data[0]:
            self.abort()
        elif self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()

    def _fail(self, reason: NoAnswer) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(reason)
        self.abort()
