"""Housekeeping beside the requests: what has ended goes away by itself, a bounded step at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..errors import StoreUnavailable
from .admin import purge_step
from .context import Context

log = logging.getLogger("grantwell")

EVERY_SECONDS = 600.0
_STEP_ROWS = 200
# Between the steps of a long purge the requests have the database to themselves.
_PAUSE_SECONDS = 0.2


@asynccontextmanager
async def going_on(context: Context) -> AsyncIterator[None]:
    """While this lasts, purge every ten minutes. Several processes may do so: each step finds what is left."""
    task = asyncio.get_running_loop().create_task(_keep(context))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _keep(context: Context) -> None:
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        try:
            await _purge(context)
        except StoreUnavailable as error:
            log.warning("housekeeping is put off: %s", error)
        except Exception:
            log.exception("housekeeping failed")


async def _purge(context: Context) -> None:
    while True:
        step = await purge_step(context, limit=_STEP_ROWS)
        if step.removed:
            await context.tell("purged", context.now(), reason=str(step))
        if step.done:
            return
        await asyncio.sleep(_PAUSE_SECONDS)
