"""Names to addresses and addresses to sockets, without blocking the event loop."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import Executor
from ipaddress import IPv6Address, ip_address

from .targets import Address


async def resolve(host: str, executor: Executor) -> list[Address]:
    """Every address of a name, best first (RFC 6724), each once. Raises OSError.

    A name server that does not answer holds a thread of `executor` longer than anybody waits for it.
    """
    name = host.encode("ascii")  # as bytes, so that it is not taken for an internationalised name
    answers = await asyncio.get_running_loop().run_in_executor(
        executor, lambda: socket.getaddrinfo(name, None, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    )
    inet = (socket.AF_INET, socket.AF_INET6)
    return list(dict.fromkeys(ip_address(str(sockaddr[0])) for family, *_, sockaddr in answers if family in inet))


async def connect(address: Address, port: int) -> socket.socket:
    """A connected TCP socket, non-blocking, which the caller closes. Raises OSError."""
    family = socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
    except BaseException:
        sock.close()
        raise
    return sock
