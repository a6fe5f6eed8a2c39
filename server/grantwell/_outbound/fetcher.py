"""Fetching a small public document over https without being led anywhere else (threats A-117 to A-144)."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from . import sockets
from .budgets import MAX_CONCURRENT, Budgets
from .exchange import MAX_HEADER_BYTES, Fetched, ask
from .failures import FetchFailed
from .targets import Address, Networks, Target, check_addresses, parse_target
from .tls import TlsStream, client_context

DEADLINE_SECONDS = 5.0
CONNECT_SECONDS = 1.5
MAX_ADDRESSES_TRIED = 3

# What TLS and HTTP may add to headers and body: certificates, records, chunks of a few bytes.
_MAX_HANDSHAKE_BYTES = 131_072
_MAX_BYTES_FOR_A_BYTE = 8

Resolve = Callable[[str], Awaitable[Sequence[Address]]]
Connect = Callable[[Address, int], Awaitable[socket.socket]]


class Fetcher:
    """Fetches over https from public hosts, and from `allowed_networks`, where names and ports are free.

    URLs of `refused_origins` (scheme, host and port in lower case, as `HttpUrl.origin` has them) are the server's own
    and are not fetched. Proxies named by the environment are not used. `clock` gives seconds that only grow,
    `deadline` is in seconds; `resolve` answers every address of a name, `connect` a connected non-blocking socket.
    """

    def __init__(
        self,
        *,
        allowed_networks: Networks = (),
        refused_origins: frozenset[str] = frozenset(),
        clock: Callable[[], float] = time.monotonic,
        deadline: float = DEADLINE_SECONDS,
        resolve: Resolve | None = None,
        connect: Connect = sockets.connect,
    ) -> None:
        self._allowed_networks = allowed_networks
        self._refused_origins = refused_origins
        self._deadline = deadline
        self._budgets = Budgets(clock)
        # Threads of our own: names that a stranger's server answers slowly must not hold up anybody else's work.
        self._threads = ThreadPoolExecutor(MAX_CONCURRENT, thread_name_prefix="grantwell-outbound")
        self._resolve: Resolve = resolve or partial(sockets.resolve, executor=self._threads)
        self._connect = connect
        self._context: ssl.SSLContext | None = None

    async def get(self, url: str, *, most_bytes: int, on_behalf_of: str | None) -> Fetched:
        """What a plain GET of `url` answers, with at most `most_bytes` of body, in at most 5 s.

        `on_behalf_of` is the address of the client whose request needs it, None if it is not known. Raises FetchFailed
        for everything that is not a whole 200, and FetchBudgetSpent, which it also is, before anything is sent.
        """
        target = parse_target(url, allowed_networks=self._allowed_networks, refused_origins=self._refused_origins)
        try:
            async with asyncio.timeout(self._deadline), self._budgets.turn(target.host, on_behalf_of):
                return await self._fetch(target, most_bytes)
        except TimeoutError:
            raise FetchFailed(f"there was no whole answer within {self._deadline:g} s") from None

    async def _fetch(self, target: Target, most_bytes: int) -> Fetched:
        addresses = await self._addresses(target)
        allowance = _MAX_HANDSHAKE_BYTES + MAX_HEADER_BYTES + _MAX_BYTES_FOR_A_BYTE * most_bytes
        try:
            context = await self._tls_context()
            with await self._connected(addresses, target.port) as sock:
                stream = TlsStream(sock, context, target.host, most_bytes=allowance)
                await stream.handshake()
                return await ask(stream, target, most_bytes)
        except ssl.SSLCertVerificationError as error:
            raise FetchFailed(f"its certificate is not accepted: {error.verify_message}") from None
        except OSError as error:
            raise FetchFailed(f"the connection failed: {_kind(error)}") from None

    async def _addresses(self, target: Target) -> Sequence[Address]:
        if target.address is not None:
            return [target.address]
        try:
            addresses = await self._resolve(target.host)
        except OSError as error:
            raise FetchFailed(f"its host was not found: {_kind(error)}") from None
        check_addresses(addresses, target, self._allowed_networks)
        return addresses

    async def _tls_context(self) -> ssl.SSLContext:
        if self._context is None:
            loop = asyncio.get_running_loop()
            self._context = await loop.run_in_executor(self._threads, client_context)
        return self._context

    async def _connected(self, addresses: Sequence[Address], port: int) -> socket.socket:
        """Connects to the very addresses that were checked, never to the name: it may mean another by now (A-122)."""
        reason = ""
        for address in addresses[:MAX_ADDRESSES_TRIED]:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await self._connect(address, port)
            except OSError as error:
                reason = _kind(error)
        raise FetchFailed(f"no connection was made: {reason}")


def _kind(error: OSError) -> str:
    """What happened, in the words of this system; messages of other sides are not quoted."""
    if isinstance(error, ssl.SSLError):
        return error.reason or type(error).__name__
    return error.strerror or type(error).__name__
