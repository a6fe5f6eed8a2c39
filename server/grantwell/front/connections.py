"""The connections to one upstream: how many there may be, and which are kept for the next request."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

from .connection import Connection
from .failures import TooBusy, TooSlow, Unreachable
from .target import Target

KEEP_SECONDS = 4.0
"""How long an idle connection is kept: less than the five seconds after which Node and uvicorn end theirs."""


class Connections:
    """At most `most` at a time, each for one request or one websocket."""

    def __init__(self, target: Target, *, most: int, connect_timeout: float) -> None:
        self._target = target
        self._connect_timeout = connect_timeout
        self._slots = asyncio.Semaphore(most)
        # In the order in which they were given back: the one used last is used next, and the others run out.
        self._idle: dict[Connection, None] = {}
        self._used: set[Connection] = set()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """The right to one connection. Raises TooBusy where none comes free within the connect timeout."""
        try:
            # A free one is had at once, without a timer.
            async with asyncio.timeout(self._connect_timeout) if self._slots.locked() else nullcontext():
                await self._slots.acquire()
        except TimeoutError as error:
            raise TooBusy("every connection to the upstream is in use") from error
        try:
            yield
        finally:
            self._slots.release()

    @asynccontextmanager
    async def idle(self) -> AsyncIterator[Connection | None]:
        """A connection that was kept from an earlier request, if there is one."""
        connection = None
        while self._idle and connection is None:
            kept, _ = self._idle.popitem()
            connection = kept if kept.is_open else None
        if connection is None:
            yield None
            return
        async with self._lent(connection):
            yield connection

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[Connection]:
        """A new connection. Raises Unreachable, TooSlow."""
        loop = asyncio.get_running_loop()
        target = self._target
        name = target.host if target.tls is not None else None
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, connection = await loop.create_connection(
                    lambda: Connection(self._forget), target.host, target.port, ssl=target.tls, server_hostname=name
                )
        except TimeoutError as error:
            raise TooSlow(f"no connection within {self._connect_timeout:g} s") from error
        except ssl.SSLCertVerificationError as error:
            raise Unreachable(f"its certificate is not acceptable: {error.verify_message}") from error
        except OSError as error:
            raise Unreachable(f"no connection ({type(error).__name__}: {error.strerror or error})") from error
        async with self._lent(connection):
            yield connection

    @asynccontextmanager
    async def _lent(self, connection: Connection) -> AsyncIterator[None]:
        connection.lend()
        self._used.add(connection)
        try:
            yield
        finally:
            self._used.discard(connection)
            if connection.give_back(KEEP_SECONDS):
                self._idle[connection] = None

    def _forget(self, connection: Connection) -> None:
        self._idle.pop(connection, None)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The time of serving; at its end all of them are ended."""
        try:
            yield
        finally:
            self._close()

    def _close(self) -> None:
        for connection in (*self._idle, *self._used):
            connection.abort()
        self._idle.clear()
