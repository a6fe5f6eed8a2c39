"""Bodies and event streams over a plain socket, counted and not kept."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from .load import request_bytes

MIB = 2**20
_PIECE = b"x" * 65536


@dataclass(frozen=True, slots=True)
class Stream:
    """What a stream came to: bytes of its body, and how long it took in seconds."""

    size: int
    seconds: float

    @property
    def mib_per_second(self) -> float:
        """Its pace."""
        return self.size / MIB / self.seconds


@asynccontextmanager
async def _connection(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def download(port: int, mib: int, headers: dict[str, str]) -> Stream:
    """Fetch so many MiB. Raises RuntimeError if they are not all there."""
    started = time.perf_counter()
    async with _connection(port) as (reader, writer):
        writer.write(request_bytes("GET", f"/api/bytes?mib={mib}", headers))
        head = await reader.readuntil(b"\r\n\r\n")
        size = 0
        while size < mib * MIB and (piece := await reader.read(MIB)):
            size += len(piece)
    if not head.startswith(b"HTTP/1.1 200 ") or size != mib * MIB:
        raise RuntimeError(f"{size} bytes of {mib} MiB: {head!r}")
    return Stream(size, time.perf_counter() - started)


async def upload(port: int, mib: int, headers: dict[str, str]) -> Stream:
    """Send so many MiB. Raises RuntimeError if they have not all arrived."""
    started = time.perf_counter()
    size = mib * MIB
    async with _connection(port) as (reader, writer):
        writer.write(request_bytes("POST", "/api/count", {**headers, "Content-Length": str(size)}))
        for _ in range(size // len(_PIECE)):
            writer.write(_PIECE)
            await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        counted = await reader.read(len(str(size)))
    if not head.startswith(b"HTTP/1.1 200 ") or int(counted) != size:
        raise RuntimeError(f"{counted!r} bytes of {size} arrived: {head!r}")
    return Stream(size, time.perf_counter() - started)


async def listen(port: int, seconds: float, headers: dict[str, str], each_second: Callable[[], None]) -> int:
    """How many events came within this time; each must be there, in order. Raises RuntimeError."""
    loop = asyncio.get_running_loop()
    async with _connection(port) as (reader, writer):
        writer.write(request_bytes("GET", "/api/events", headers))
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"no stream of events: {head!r}")
        end, tick, number = loop.time() + seconds, 0.0, 0
        while loop.time() < end:
            async with asyncio.timeout(5):
                event = await reader.readuntil(b"\n\n\r\n")
            if f"\r\ndata: {number}\n\n".encode() not in b"\r\n" + event:
                raise RuntimeError(f"event {number} is missing: {event!r}")
            number += 1
            if loop.time() >= tick:
                tick = loop.time() + 1
                each_second()
    return number
