"""A bounded load over keep-alive connections, small enough not to be what is measured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

NextRequest = Callable[[bytes | None], bytes | None]
"""Given the body of the last answer (None at first), the bytes of the next request, or None when there is no more."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a load came to."""

    requests: int
    failures: int
    seconds: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


class _Connection(asyncio.Protocol):
    def __init__(self, next_request: NextRequest, done: asyncio.Future[tuple[int, int]]) -> None:
        self._next_request = next_request
        self._done = done
        self._buffer = b""
        self._requests = 0
        self._failures = 0
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.WriteTransport):
            self._transport = transport
            self._send(None)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or b"0")
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        self._requests += 1
        if not head.startswith(b"HTTP/1.1 2"):
            self._failures += 1
        self._send(rest[:length])

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_result((self._requests, self._failures + 1))

    def _send(self, body: bytes | None) -> None:
        request = self._next_request(body)
        if self._transport is None:
            return
        if request is None:
            self._done.set_result((self._requests, self._failures))
            self._transport.close()
        else:
            self._transport.write(request)


async def run(port: int, callers: Iterator[NextRequest] | list[NextRequest]) -> Load:
    """Let each caller speak on a connection of its own until it has no more to ask."""
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    pending: list[asyncio.Future[tuple[int, int]]] = []
    for caller in callers:
        done: asyncio.Future[tuple[int, int]] = loop.create_future()
        await loop.create_connection(lambda c=caller, d=done: _Connection(c, d), "127.0.0.1", port)  # type: ignore[misc]
        pending.append(done)
    outcomes = await asyncio.gather(*pending)
    seconds = time.perf_counter() - started
    return Load(sum(r for r, _ in outcomes), sum(f for _, f in outcomes), seconds)


def request_bytes(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """One HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{k}: {v}" for k, v in headers.items())]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def repeating(requests: list[bytes], times: int) -> NextRequest:
    """The same few requests over and over, `times` in all."""
    left = iter(range(times))

    def next_request(_: bytes | None) -> bytes | None:
        index = next(left, None)
        return None if index is None else requests[index % len(requests)]

    return next_request
