"""A store whose calls are watched, and may fail before or after they were done."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from grantwell.errors import StoreUnavailable

Moment = Literal["before", "after"]


class TroubledStore:
    """Passes calls on to another store. `calls` are the names of those that were begun since `watch`.

    The call with the number `fails_at` (from 1) fails: *before* it did anything, or *after* it was done, as when the
    answer of a commit is lost. Calls whose name is in `fails_always` fail before they did anything.
    """

    def __init__(self, store: Any) -> None:
        self.store = store
        self.calls: list[str] = []
        self.fails_at = 0
        self.moment: Moment = "before"
        self.fails_always: set[str] = set()
        self._called = asyncio.Condition()

    def watch(self, *, fails_at: int = 0, moment: Moment = "before") -> None:
        """Count calls from here on."""
        self.calls.clear()
        self.fails_at, self.moment = fails_at, moment

    async def until_called(self, name: str, times: int = 1) -> None:
        """Wait until a method was called that often since `watch`."""
        async with asyncio.timeout(20), self._called:
            await self._called.wait_for(lambda: self.calls.count(name) >= times)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)

        async def call(*arguments: Any, **named: Any) -> Any:
            self.calls.append(name)
            number = len(self.calls)
            async with self._called:
                self._called.notify_all()
            if name in self.fails_always or (number, self.moment) == (self.fails_at, "before"):
                raise StoreUnavailable("the test has taken the database away")
            result = await method(*arguments, **named)
            if (number, self.moment) == (self.fails_at, "after"):
                raise StoreUnavailable("the test has lost the answer of the database")
            return result

        return call
