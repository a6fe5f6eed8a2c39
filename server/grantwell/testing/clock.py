"""A clock for tests."""

from __future__ import annotations

from .samples import NOW


class FrozenClock:
    """A clock that stands still until it is moved; give it to a provider as `clock`.

    `now` is its first reading, in seconds since 1970 UTC.
    """

    def __init__(self, now: float = NOW) -> None:
        self._now = float(now)

    def __call__(self) -> float:
        """What it reads, in seconds since 1970 UTC."""
        return self._now

    def advance(self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        """Move it forward, or back by negative numbers."""
        self._now += seconds + 60 * minutes + 3600 * hours + 86400 * days
