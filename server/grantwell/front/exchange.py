"""One HTTP request through the front: sent on, and its answer sent back, both while they are under way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import h11
from starlette.types import Message, Receive, Scope, Send

from .client_body import ClientBody, ClientLeft
from .connection import Connection
from .connections import Connections
from .failures import AnswerBroken, ConnectionLost, NoAnswer, TooSlow, Unacceptable
from .headers import Headers, answer_headers

_REPEATABLE = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PUT"})
_STATUSES = range(200, 600)

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: until the answer begins once the request was sent, and between two pieces of a body; None for no end."""

    response: float
    idle: float | None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The head of a request as the upstream gets it, but for how its body is framed."""

    method: str
    target: bytes
    headers: Headers


class Exchange:
    """Sends one request on, and answers it as the upstream does; `rewrite` makes the last change to its headers."""

    def __init__(
        self,
        connections: Connections,
        timeouts: Timeouts,
        rewrite: Callable[[Headers], Headers],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._connections = connections
        self._timeouts = timeouts
        self._rewrite = rewrite
        self._body = ClientBody(scope, receive, idle_timeout=timeouts.idle)
        self._send = send
        self._has_begun = False

    async def run(self, outgoing: Outgoing) -> None:
        """Take the request through. Raises NoAnswer while nothing was answered, AnswerBroken after that."""
        try:
            async with self._connections.slot():
                await self._attempt(outgoing)
        except ClientLeft:
            return
        except NoAnswer as error:
            if self._has_begun:
                raise AnswerBroken(str(error)) from error
            await self._body.drop()
            error.is_body_left = not self._body.is_complete
            raise

    async def _attempt(self, outgoing: Outgoing) -> None:
        framing = await self._body.framing()
        try:
            request = h11.Request(method=outgoing.method, target=outgoing.target, headers=[*outgoing.headers, *framing])
        except h11.LocalProtocolError as error:
            raise Unacceptable(f"the request cannot be sent on: {error}") from error
        is_repeatable = outgoing.method in _REPEATABLE and framing in ([], [(b"content-length", b"0")])
        async with self._connections.idle() as kept:
            if kept is not None:
                try:
                    return await self._talk(kept, request)
                except ConnectionLost as error:
                    # As a server may do with an idle connection at any moment: that says nothing about the request.
                    if not (error.is_unanswered and is_repeatable):
                        raise
        async with self._connections.fresh() as connection:
            return await self._talk(connection, request)

    async def _talk(self, connection: Connection, request: h11.Request) -> None:
        try:
            connection.write(request)
            async with self._pumped(connection) as pumping:
                await self._answer(connection, pumping)
        except asyncio.CancelledError:
            connection.abort()
            raise

    @asynccontextmanager
    async def _pumped(self, connection: Connection) -> AsyncIterator[asyncio.Task[None]]:
        """The time in which the request's body goes to the upstream, and the client is watched."""
        loop = asyncio.get_running_loop()
        trouble = TooSlow(f"no answer within {self._timeouts.response:g} s")
        deadlines: list[asyncio.TimerHandle] = []

        def arm() -> None:
            if not self._has_begun:
                deadlines.append(loop.call_later(self._timeouts.response, self._give_up, connection, trouble))

        pumping = loop.create_task(self._body.pump(connection, arm))
        try:
            yield pumping
        finally:
            for deadline in deadlines:
                deadline.cancel()
            await _stopped(pumping)

    def _give_up(self, connection: Connection, trouble: Exception) -> None:
        if not self._has_begun:
            connection.fail(trouble)

    async def _answer(self, connection: Connection, pumping: asyncio.Task[None]) -> None:
        head = await self._head(connection)
        headers = self._rewrite(answer_headers(head.headers.raw_items(), head.status_code))
        if not self._body.is_complete:
            # Nobody can tell whether all of it will be read, and the next request would begin somewhere in it.
            headers.append((b"connection", b"close"))
        self._has_begun = True
        await self._say({"type": "http.response.start", "status": head.status_code, "headers": headers})
        while isinstance(event := connection.take() or await self._in_time(connection.receive(), "upstream"), h11.Data):
            await self._say({"type": "http.response.body", "body": bytes(event.data), "more_body": True})
        await _stopped(pumping)
        await self._body.drop()
        await self._say({"type": "http.response.body", "body": b"", "more_body": False})

    async def _head(self, connection: Connection) -> h11.Response:
        while True:
            event = await connection.receive()
            if isinstance(event, h11.Response):
                if event.status_code not in _STATUSES:
                    raise NoAnswer(f"the answer has the status {event.status_code}")
                return event
            if isinstance(event, h11.InformationalResponse) and event.status_code == 100:
                self._body.is_wanted()

    async def _say(self, message: Message) -> None:
        await self._in_time(self._send(message), "client")

    async def _in_time(self, step: Awaitable[R], who: str) -> R:
        try:
            async with asyncio.timeout(self._timeouts.idle):
                return await step
        except TimeoutError as error:
            raise TooSlow(f"the {who} has stalled in the middle of the answer") from error


async def _stopped(task: asyncio.Task[None]) -> None:
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
