"""How much may be fetched: by everybody, from one host, and for one client address (threat A-135)."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from .._urls import network_of
from .failures import FetchBudgetSpent

MAX_CONCURRENT = 16
MAX_CONCURRENT_OF_HOST = 2
MAX_PENDING = 64
MAX_PER_MINUTE_OF_HOST = 120
MAX_PER_MINUTE_OF_CLIENT = 120
MAX_COUNTED_KEYS = 4_096

_MINUTE = 60.0
_PENDING_RETRY_SECONDS = 5
_UNKNOWN = "unknown"


class Budgets:
    """The counts of one process. `clock` gives seconds that only grow."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._of_hosts = _LastMinute(MAX_PER_MINUTE_OF_HOST)
        self._of_clients = _LastMinute(MAX_PER_MINUTE_OF_CLIENT)
        self._pending = 0
        self._all = asyncio.Semaphore(MAX_CONCURRENT)
        self._hosts: dict[str, _Line] = {}

    @asynccontextmanager
    async def turn(self, host: str, client: str | None) -> AsyncIterator[None]:
        """Wait for a turn to fetch from `host` for the client at the address `client`, and hold it.

        Raises FetchBudgetSpent, at once and without counting, if 64 fetches are under way or wait, or if the last
        minute saw as many as it may for this host or this client (an IPv6 address counts by its /64, None as one).
        """
        self._spend(host, network_of(client or "") or _UNKNOWN)
        line = self._hosts.setdefault(host, _Line())
        line.length += 1
        self._pending += 1
        try:
            # First the host's own line, so that many fetches from one host keep only two places of all.
            async with line.turns, self._all:
                yield
        finally:
            self._pending -= 1
            line.length -= 1
            if not line.length:
                del self._hosts[host]

    def _spend(self, host: str, client: str) -> None:
        now = self._clock()
        if self._pending >= MAX_PENDING:
            raise FetchBudgetSpent(f"{MAX_PENDING} fetches are under way", _PENDING_RETRY_SECONDS)
        host_wait, client_wait = self._of_hosts.wait(host, now), self._of_clients.wait(client, now)
        if host_wait or client_wait:
            whose = "from this host" if host_wait else "for this client address"
            raise FetchBudgetSpent(f"too many fetches {whose} in a minute", math.ceil(max(host_wait, client_wait)))
        self._of_hosts.note(host, now)
        self._of_clients.note(client, now)


@dataclass(slots=True)
class _Line:
    """Those who fetch from one host, or wait to."""

    length: int = 0
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_CONCURRENT_OF_HOST))


class _LastMinute:
    """When each key was noted within the last minute; of too many keys the one noted longest ago is forgotten."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, key: str, now: float) -> float:
        """Seconds until one more may be noted; 0 if it may be now."""
        times = self._times.get(key)
        if times is None:
            return 0
        while times and times[0] <= now - _MINUTE:
            times.popleft()
        return times[0] + _MINUTE - now if len(times) >= self._most else 0

    def note(self, key: str, now: float) -> None:
        self._times.setdefault(key, deque()).append(now)
        self._times.move_to_end(key)
        if len(self._times) > MAX_COUNTED_KEYS:
            self._times.popitem(last=False)
