"""When grants and clients were last used: at most one write an hour each, batched, and never waited for."""

from __future__ import annotations

import asyncio
import logging

from ..errors import StoreUnavailable
from ..store import Store, Use

log = logging.getLogger("grantwell")

HOUR = 3600
_FLUSH_AFTER_SECONDS = 2.0
_MOST_REMEMBERED = 10_000


class Uses:
    """Collects uses and writes them behind the requests that caused them."""

    def __init__(self) -> None:
        self._pending: dict[tuple[str, str], int] = {}
        self._noted: dict[tuple[str, str], int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._writes: set[asyncio.Task[None]] = set()

    def note_grant(self, store: Store, grant_id: str, last_used_at: int | None, now: int) -> None:
        """Note that a grant was used, if the last note is an hour old."""
        self._note(store, ("grant", grant_id), last_used_at, now)

    def note_client(self, store: Store, client_id: str, last_used_at: int | None, now: int) -> None:
        """Note that a client was used, if the last note is an hour old."""
        self._note(store, ("client", client_id), last_used_at, now)

    def _note(self, store: Store, key: tuple[str, str], last_used_at: int | None, now: int) -> None:
        if last_used_at is not None and now - last_used_at < HOUR:
            return
        if now - self._noted.get(key, now - HOUR) < HOUR:
            return
        if len(self._noted) >= _MOST_REMEMBERED:
            self._noted.clear()
        self._noted[key] = self._pending[key] = now
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_FLUSH_AFTER_SECONDS, self._start_write, store)

    def _start_write(self, store: Store) -> None:
        task = asyncio.get_running_loop().create_task(self.flush(store))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    async def flush(self, store: Store) -> None:
        """Write what was noted; what cannot be written now is forgotten, for it is not worth a failure."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        pending, self._pending = self._pending, {}
        if not pending:
            return
        use = Use(
            grant_ids=tuple(name for kind, name in pending if kind == "grant"),
            client_ids=tuple(name for kind, name in pending if kind == "client"),
            now=max(pending.values()),
        )
        try:
            await store.record_use(use)
        except StoreUnavailable:
            log.warning("the last use of %d rows could not be written", len(pending))
