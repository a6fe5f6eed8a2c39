"""A web site over TLS that holds JSON documents: where clients publish their metadata and their keys."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tests.interop.tls import HOST, Certificates


class Site:
    """Documents by their paths; everything else is a 404."""

    def __init__(self) -> None:
        self.origin = ""
        self.asked: list[str] = []
        self._documents: dict[str, bytes] = {}

    def publish(self, path: str, document: Mapping[str, Any]) -> str:
        """Put a document at a path; returns its URL."""
        self._documents[path] = json.dumps(document).encode()
        return self.origin + path

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ", 2)[1].decode()
        self.asked.append(path)
        status, body = (b"200 OK", self._documents[path]) if path in self._documents else (b"404 Not Found", b"{}")
        fields = b"Content-Type: application/json\r\nContent-Length: %d\r\nConnection: close" % len(body)
        writer.write(b"HTTP/1.1 %b\r\n%b\r\n\r\n%b" % (status, fields, body))
        await writer.drain()
        writer.close()


@asynccontextmanager
async def published(certificates: Certificates) -> AsyncIterator[Site]:
    """A site on a free port while the body runs."""
    site = Site()
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0, ssl=certificates.server_context())
    site.origin = f"https://{HOST}:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield site
