"""TLS over a connected socket, as a client that believes nobody (RFC 8446, RFC 9525).

Not asyncio's streams: they end an answer that was cut off as if it were whole, buffer what nobody asked for, and wait
half a minute for a silent peer to say goodbye.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

from .failures import FetchFailed

_READ_BYTES = 16_384

R = TypeVar("R")


def client_context() -> ssl.SSLContext:
    """TLS 1.2 or later, certificates verified for the name, by the authorities of the system or of $SSL_CERT_FILE.

    It reads files: some milliseconds.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    context.set_alpn_protocols(["http/1.1"])
    return context


class TlsStream:
    """Bytes to and from a host that has proven its name. Takes at most `most_bytes` from the network, all told."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, host: str, *, most_bytes: int) -> None:
        self._sock = sock
        self._received = ssl.MemoryBIO()
        self._to_send = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._to_send, server_hostname=host)
        self._bytes_left = most_bytes

    async def handshake(self) -> None:
        """Agree on keys and verify the certificate. Raises OSError (ssl.SSLError) and FetchFailed."""
        await self._run(self._tls.do_handshake)

    async def send(self, data: bytes) -> None:
        """Send all of it. Raises OSError and FetchFailed."""
        await self._run(lambda: self._tls.write(data))

    async def receive(self, most: int) -> bytes:
        """The next bytes, at most `most`; none once the host has said that nothing follows (close_notify).

        Raises OSError and FetchFailed; also if the connection ends without that word, for anybody can end it so.
        """
        return await self._run(lambda: self._tls.read(most))

    async def _run(self, step: Callable[[], R]) -> R:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self._send_pending()
                await self._receive_more()
            else:
                await self._send_pending()
                return result

    async def _send_pending(self) -> None:
        if data := self._to_send.read():
            await asyncio.get_running_loop().sock_sendall(self._sock, data)

    async def _receive_more(self) -> None:
        data = await asyncio.get_running_loop().sock_recv(self._sock, _READ_BYTES)
        if not data:
            raise FetchFailed("the connection was cut off")
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            raise FetchFailed("it sent more than any such answer needs")
        self._received.write(data)
