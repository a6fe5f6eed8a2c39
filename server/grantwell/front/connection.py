"""One HTTP/1.1 connection to the upstream, read and written no faster than somebody takes what came (RFC 9112)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import h11

from .failures import ConnectionLost, NoAnswer

MAX_HEAD_BYTES = 64 * 1024
MAX_UNREAD_BYTES = 256 * 1024

Sendable = h11.Request | h11.Data | h11.EndOfMessage
Received = h11.InformationalResponse | h11.Response | h11.Data | h11.EndOfMessage


class Connection(asyncio.Protocol):
    """Carries one request at a time. It is given up when the upstream speaks out of turn.

    `on_lost` is called with it once it has ended, whoever ended it.
    """

    def __init__(self, on_lost: Callable[[Connection], None]) -> None:
        self._on_lost = on_lost
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._transport: asyncio.Transport | None = None
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._unread = 0
        self._is_paused = False
        self._is_idle = True
        self._has_answer = False
        self._trouble: Exception | None = None
        self._expiry: asyncio.TimerHandle | None = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._is_idle:
            # Nobody has asked: it would be taken for the answer to somebody else's next request.
            self.abort()
            return
        self._has_answer = True
        self._http.receive_data(data)
        self._unread += len(data)
        if self._unread > MAX_UNREAD_BYTES and self._transport is not None and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        self._readable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None and self._trouble is None:
            # An answer that has no other end than this one is whole.
            self._http.receive_data(b"")
        self._lose(f"the upstream ended the connection ({'EOF' if exc is None else type(exc).__name__})")
        self._on_lost(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # What the front calls.

    @property
    def is_open(self) -> bool:
        """Whether another request can be sent."""
        return self._is_idle and self._transport is not None and not self._transport.is_closing()

    def lend(self) -> None:
        """Take it for one request."""
        self._is_idle = False
        self._has_answer = False
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def give_back(self, keep_seconds: float) -> bool:
        """Whether it can be kept for another request, for so many seconds; otherwise it is closed."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE and not self._http.trailing_data[0]:
            self._http.start_next_cycle()
            self._is_idle = True
        if not self.is_open or self._trouble is not None:
            self.abort()
            return False
        self._resume()
        self._expiry = asyncio.get_running_loop().call_later(keep_seconds, self.abort)
        return True

    def write(self, event: Sendable) -> None:
        """Send a part of a request; `drain` has to follow before the next one.

        Raises NoAnswer when the connection has ended, and h11.LocalProtocolError for what is not HTTP.
        """
        pieces = self._http.send_with_data_passthrough(event) or []
        if self._trouble is not None:
            raise self._trouble
        if self._transport is not None and pieces:
            # Not `writelines`, which in Python 3.12.0 to 3.13.1 never tells to wait (CVE-2024-12254).
            self._transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    @property
    def is_congested(self) -> bool:
        """Whether the upstream is slow to take what was written."""
        return not self._writable.is_set()

    async def drain(self) -> None:
        """Wait until the upstream has taken most of what was written. Raises NoAnswer when the connection has ended."""
        await self._writable.wait()
        if self._trouble is not None:
            raise self._trouble

    def take(self) -> Received | None:
        """The next part of the answer, if it has come. Raises NoAnswer when there is none, or none that is HTTP."""
        try:
            event = self._http.next_event()
        except h11.RemoteProtocolError as error:
            if self._trouble is None:
                self._trouble = NoAnswer(f"the answer is not well-formed HTTP/1.1: {error}")
            self.abort()
            raise self._trouble from error
        if not isinstance(event, type) and not isinstance(event, h11.ConnectionClosed | h11.Request):
            return cast("Received", event)
        if self._trouble is not None:
            raise self._trouble
        if event is not h11.NEED_DATA:
            raise NoAnswer("the upstream changes to another protocol, which it was not asked for")
        return None

    async def receive(self) -> Received:
        """The next part of the answer, when it comes. Raises NoAnswer as `take` does."""
        while (event := self.take()) is None:
            self._readable.clear()
            self._resume()
            await self._readable.wait()
        return event

    def fail(self, trouble: Exception) -> None:
        """End it, so that whoever waits for it raises `trouble`."""
        if self._trouble is None:
            self._trouble = trouble
        self.abort()

    def abort(self) -> None:
        """End it at once."""
        if self._transport is not None:
            self._transport.abort()
        self._lose("the connection was given up")

    def _lose(self, reason: str) -> None:
        if self._trouble is None:
            self._trouble = ConnectionLost(reason, is_unanswered=not self._has_answer)
        self._readable.set()
        self._writable.set()

    def _resume(self) -> None:
        self._unread = 0
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
