"""HTTP/1.1 over a real socket, spoken by hand: what is sent need not be what a client library would send."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

DEADLINE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; the names of its headers are in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header, None if it is not there; the values of one that is there twice, joined."""
        values = [value for key, value in self.headers if key == name.lower()]
        return ", ".join(values) if values else None


class NoAnswer(Exception):
    """The server closed the connection without a whole answer."""


class Connection:
    """A connection to a server on this machine; it is opened again after it was closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def exchange(self, request: bytes, *, has_body: bool = True, ends: bool = False) -> Answer:
        """Send bytes and read the answer, which has a body unless the request was a HEAD; `ends` closes our side.

        Raises NoAnswer, and TimeoutError after ten seconds.
        """
        was_used = self._streams is not None
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                return await self._exchange(request, has_body=has_body, ends=ends)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            await self.close()
            # A server may close a connection between two requests (RFC 9112 section 9.3.1): then it is sent anew.
            if was_used and not getattr(error, "partial", b""):
                return await self.exchange(request, has_body=has_body, ends=ends)
            raise NoAnswer(str(error)) from error
        except TimeoutError:
            await self.close()
            raise

    async def close(self) -> None:
        """Close it."""
        if self._streams is not None:
            writer = self._streams[1]
            self._streams = None
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _exchange(self, request: bytes, *, has_body: bool, ends: bool) -> Answer:
        if self._streams is not None and self._streams[0].at_eof():
            await self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
        reader, writer = self._streams
        writer.write(request)
        await writer.drain()
        if ends:
            writer.write_eof()
        answer = await self._read(reader, has_body=has_body)
        if ends or answer.header("connection") == "close":
            await self.close()
        return answer

    async def _read(self, reader: asyncio.StreamReader, *, has_body: bool) -> Answer:
        head = await reader.readuntil(b"\r\n\r\n")
        status_line, *lines = head[:-4].decode("latin-1").split("\r\n")
        pairs = [line.partition(":") for line in lines]
        headers = tuple((name.lower(), value.strip(" ")) for name, _, value in pairs)
        status = int(status_line.split(" ")[1])
        if status == 100:
            return await self._read(reader, has_body=has_body)
        answer = Answer(status, headers, b"")
        if not has_body or status in (204, 304):
            return answer
        return Answer(status, headers, await _body(reader, answer))


async def _body(reader: asyncio.StreamReader, answer: Answer) -> bytes:
    length = answer.header("content-length")
    if length is not None:
        return await reader.readexactly(int(length))
    if answer.header("transfer-encoding") != "chunked":
        return await reader.read()
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body
