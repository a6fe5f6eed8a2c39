"""The body of a client's request on its way to the upstream, and the moment in which the client leaves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import h11
from starlette.types import Message, Receive, Scope

from .connection import Connection
from .failures import ClientStalled, NoAnswer, TooSlow, Unacceptable
from .headers import Headers

LINGER_SECONDS = 1.0
CONTINUE_SECONDS = 1.0

_CHUNKED = (b"transfer-encoding", b"chunked")


class ClientLeft(NoAnswer):
    """The client has gone; nobody waits for an answer."""


class ClientBody:
    """Reads the client's messages, one by one, and only as fast as the upstream takes them."""

    def __init__(self, scope: Scope, receive: Receive, *, idle_timeout: float | None) -> None:
        self._headers: Headers = [(name.lower(), value.strip()) for name, value in scope["headers"]]
        self._receive = receive
        self._idle_timeout = idle_timeout
        self._first: Message | None = None
        self._has_started = False
        self._wanted = asyncio.Event()
        self.is_complete = False

    async def framing(self) -> Headers:
        """How the body is told from what follows it (RFC 9112 section 6.3); no header where there is none.

        Raises Unacceptable where two programs could read it differently.
        """
        codings = [value.lower() for name, value in self._headers if name == b"transfer-encoding"]
        lengths = {value for name, value in self._headers if name == b"content-length"}
        if codings not in ([], [b"chunked"]) or len(lengths) > 1 or not all(value.isdigit() for value in lengths):
            raise Unacceptable("the length of the body is not told in one way")
        expectation = [(b"expect", b"100-continue")] if self._waits_to_be_asked else []
        if codings:
            # Where there is a length as well, the server in front has ignored it, and nobody else hears of it.
            return [_CHUNKED, *expectation]
        if lengths:
            return [(b"content-length", lengths.pop()), *expectation]
        # HTTP/2 needs neither.
        self._first = await self._next()
        return [_CHUNKED] if self._first.get("body") or self._first.get("more_body") else []

    @property
    def _waits_to_be_asked(self) -> bool:
        return any(name == b"expect" and value.lower() == b"100-continue" for name, value in self._headers)

    def is_wanted(self) -> None:
        """The upstream asks for the body (RFC 9110 section 10.1.1)."""
        self._wanted.set()

    async def pump(self, connection: Connection, on_complete: Callable[[], None]) -> None:
        """Send the body on, call `on_complete`, and wait for the client to leave; then end the connection.

        What goes wrong is raised where somebody waits for the answer.
        """
        try:
            await self._send_all(connection)
            on_complete()
            while True:
                self._heard(await self._receive())
        except h11.LocalProtocolError as error:
            connection.fail(Unacceptable(f"the body is not as long as was said: {error}"))
        except (ClientLeft, ClientStalled, TooSlow) as error:
            connection.fail(error)
        except NoAnswer:
            # The upstream takes no more. What it has answered may still be on its way, and tells why.
            return
        except Exception as error:
            connection.fail(error)

    async def _send_all(self, connection: Connection) -> None:
        if self._waits_to_be_asked and not self.is_complete:
            # The server in front asks the client as soon as somebody reads; the upstream need not ask at all.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CONTINUE_SECONDS):
                    await self._wanted.wait()
        while not self.is_complete:
            self._has_started = True
            message, self._first = self._first or await self._next(), None
            if body := message.get("body"):
                await self._send(connection, h11.Data(data=body))
            self.is_complete = not message.get("more_body", False)
        await self._send(connection, h11.EndOfMessage())

    async def drop(self) -> None:
        """Read what is left of the body for a second, so that a client that still sends comes to read its answer."""
        if self._waits_to_be_asked and not self._has_started:
            return
        with contextlib.suppress(TimeoutError, NoAnswer):
            async with asyncio.timeout(LINGER_SECONDS):
                while not self.is_complete:
                    message, self._first = self._first or await self._next(), None
                    self.is_complete = not message.get("more_body", False)

    async def _send(self, connection: Connection, event: h11.Data | h11.EndOfMessage) -> None:
        connection.write(event)
        if not connection.is_congested:
            return
        try:
            async with asyncio.timeout(self._idle_timeout):
                await connection.drain()
        except TimeoutError as error:
            raise TooSlow("the upstream takes no more of the request") from error

    async def _next(self) -> Message:
        """The client's next message. Raises ClientLeft, and ClientStalled where none comes in time."""
        try:
            async with asyncio.timeout(self._idle_timeout):
                return self._heard(await self._receive())
        except TimeoutError as error:
            raise ClientStalled("the client does not go on with its request") from error

    def _heard(self, message: Message) -> Message:
        if message["type"] == "http.disconnect":
            raise ClientLeft("the client has left")
        return message
