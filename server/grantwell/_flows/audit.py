"""The events that are kept: written in batches behind the requests that caused them, and never waited for."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter, deque
from itertools import count

from .._urls import network_of
from ..config import DAY
from ..errors import StoreUnavailable
from ..records import Event
from ..store import Store

log = logging.getLogger("grantwell")

MOST_A_MINUTE = 60
"""How many events of one name a process keeps of one grant, client or user; of those that anybody can cause, in all."""

MOST_A_MINUTE_FROM_A_NETWORK = 10
"""How many of those that anybody can cause come from one network, so that nobody takes the room of all others."""

MOST_A_DAY = 5000
"""How many of those that anybody can cause are kept in a day: at most some 10 MB."""

_BY_ANYBODY = frozenset({"refused", "sign_in_failed"})
_WRITE_AFTER_SECONDS = 2.0
# Few enough that other writers wait for milliseconds.
_ROWS_A_WRITE = 200
_MOST_WAITING = 10_000

_numbers = count()


def new_event_id(at: int) -> str:
    """An id that sorts behind those which this process made in the same second."""
    return f"{at:010x}{next(_numbers) & 0xFFFFFF:06x}{secrets.token_hex(6)}"


class Audit:
    """Keeps events, within limits: nobody fills the disk with them, or keeps the other writers waiting.

    With `at_once`, for commands that may end at any moment, whoever tells an event also flushes it.
    """

    def __init__(self, *, at_once: bool = False) -> None:
        self.at_once = at_once
        self._waiting: deque[Event] = deque()
        self._room = _Room()
        self._left_out = 0
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writes: set[asyncio.Task[None]] = set()
        self._writing = asyncio.Lock()

    def note(self, store: Store, event: Event) -> None:
        """Keep an event, soon, if there is room for it."""
        if len(self._waiting) >= _MOST_WAITING or not self._room.take(event):
            self._left_out += 1
        else:
            self._waiting.append(event)
        if self.at_once:
            return
        if len(self._waiting) >= _ROWS_A_WRITE and not self._writes:
            self._start_write(store)
        else:
            self._write_later(store)

    async def flush(self, store: Store) -> None:
        """Write what waits; what the database does not take now goes on waiting."""
        async with self._writing:
            if self._left_out:
                log.warning("%d events were told but not kept: there were too many", self._left_out)
                self._left_out = 0
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(_ROWS_A_WRITE, len(self._waiting)))]
                try:
                    await store.add_events(batch)
                except (StoreUnavailable, asyncio.CancelledError) as error:
                    # Their ids make it harmless if they were written after all.
                    self._waiting.extendleft(reversed(batch))
                    log.warning("%d events could not be written yet", len(self._waiting))
                    if isinstance(error, asyncio.CancelledError):
                        raise
                    return
                except Exception:
                    log.exception("%d events are lost", len(batch))

    async def close(self, store: Store) -> None:
        """Write what waits, for the last time."""
        await self.flush(store)
        self._cancel_timer()
        if self._waiting:
            log.error("%d events are lost: the database did not take them", len(self._waiting))
            self._waiting.clear()

    def _write_later(self, store: Store) -> None:
        loop = asyncio.get_running_loop()
        # The timer of a loop that has ended never rings; a program may have one after the other.
        if self._timer is None or self._loop is not loop:
            self._loop = loop
            self._timer = loop.call_later(_WRITE_AFTER_SECONDS, self._start_write, store)

    def _start_write(self, store: Store) -> None:
        self._cancel_timer()
        task = asyncio.get_running_loop().create_task(self._write(store))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    async def _write(self, store: Store) -> None:
        await self.flush(store)
        if self._waiting:
            self._write_later(store)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Room:
    """How many more events of a kind may be kept."""

    def __init__(self) -> None:
        self._minute = self._day = 0
        self._in_minute: Counter[tuple[str, str]] = Counter()
        self._in_day: Counter[str] = Counter()

    def take(self, event: Event) -> bool:
        """Whether there is room for one more; then it is taken."""
        if event.at // 60 != self._minute:
            self._minute = event.at // 60
            self._in_minute.clear()
        if event.at // DAY != self._day:
            self._day = event.at // DAY
            self._in_day.clear()
        if event.name not in _BY_ANYBODY:
            about = event.grant_id or event.client_id or event.user_id or ""
            return self._take((event.name, about), MOST_A_MINUTE)
        if self._in_minute[event.name, ""] >= MOST_A_MINUTE or self._in_day[event.name] >= MOST_A_DAY:
            return False
        network = network_of(event.address or "") or event.address or "unknown"
        if not self._take((event.name, network), MOST_A_MINUTE_FROM_A_NETWORK):
            return False
        self._in_minute[event.name, ""] += 1
        self._in_day[event.name] += 1
        return True

    def _take(self, key: tuple[str, str], most: int) -> bool:
        if self._in_minute[key] >= most:
            return False
        self._in_minute[key] += 1
        return True
