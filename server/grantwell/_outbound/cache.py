"""A bounded memory of what was loaded, which loads nothing twice at the same time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

MAX_ENTRIES = 256

T = TypeVar("T")


class Cache(Generic[T]):
    """Values by key, the least recently used forgotten first. `clock` gives seconds; only differences are used."""

    def __init__(self, clock: Callable[[], float], *, max_entries: int = MAX_ENTRIES) -> None:
        self._clock = clock
        self._max_entries = max_entries
        self._entries: OrderedDict[str, _Entry[T]] = OrderedDict()
        self._flights: dict[str, asyncio.Task[T]] = {}

    async def get(self, key: str, load: Callable[[], Awaitable[tuple[T, int]]]) -> T:
        """The value of `key`: kept from earlier, or from `load`, which answers with it and the seconds to keep it.

        Whoever asks while a load is under way waits for it and shares what comes of it, an exception too; a caller
        that is cancelled leaves it to the others. Exceptions are not kept, nor a value with no seconds to keep it.
        """
        entry = self._entries.get(key)
        if entry is not None:
            # A clock that was set back must not make a value live longer.
            if entry.kept_at <= self._clock() < entry.expires_at:
                self._entries.move_to_end(key)
                return entry.value
            del self._entries[key]
        flight = self._flights.get(key) or self._start(key, load)
        # Waiting, unlike awaiting, does not hand a caller's cancellation on to the task.
        await asyncio.wait((flight,))
        return flight.result()

    async def renew(self, key: str, load: Callable[[], Awaitable[tuple[T, int]]]) -> T:
        """The value of `key` from a load that begins now, or is under way, though one is kept.

        Until it lands, `get` answers with the kept value; if it fails, that stays.
        """
        flight = self._flights.get(key) or self._start(key, load)
        await asyncio.wait((flight,))
        return flight.result()

    def _start(self, key: str, load: Callable[[], Awaitable[tuple[T, int]]]) -> asyncio.Task[T]:
        # Not create_task: where the loop starts tasks eagerly, the flight would be over before it is written down.
        flight = asyncio.Task(self._fly(key, load))
        self._flights[key] = flight
        flight.add_done_callback(partial(self._landed, key))
        return flight

    async def _fly(self, key: str, load: Callable[[], Awaitable[tuple[T, int]]]) -> T:
        value, seconds = await load()
        self._keep(key, value, seconds)
        return value

    def _keep(self, key: str, value: T, seconds: int) -> None:
        self._entries.pop(key, None)
        if seconds > 0:
            now = self._clock()
            self._entries[key] = _Entry(value, now, now + seconds)
            if len(self._entries) > self._max_entries:
                self._entries.popitem(last=False)

    def _landed(self, key: str, flight: asyncio.Task[T]) -> None:
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # looked at, for nobody else does if all who waited were cancelled


@dataclass(frozen=True, slots=True)
class _Entry(Generic[T]):
    value: T
    kept_at: float
    expires_at: float
