"""The lifespans of the wrapped applications, run as a server would run them (ASGI lifespan protocol)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Send

from ..errors import GrantwellError

log = logging.getLogger("grantwell")


class LifespanFailed(Exception):
    """A wrapped application could not start or stop; the message is its own."""


class Lifespan:
    """One application's lifespan. `state` is what it leaves for its requests."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self.state: dict[str, Any] = {}

    async def start(self) -> None:
        """Start the application, and wait until it is ready; one that knows no lifespan is ready at once."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(_retrieve)
        await self._tell(self._task, "lifespan.startup")

    async def stop(self) -> None:
        """Tell the application to stop, and wait until it has."""
        task, self._task = self._task, None
        if task is not None and not task.done():
            await self._tell(task, "lifespan.shutdown")
            await task

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        await self._app(scope, self._to_app.get, self._from_app.put)

    async def _tell(self, task: asyncio.Task[None], event: str) -> None:
        await self._to_app.put({"type": event})
        answer = asyncio.ensure_future(self._from_app.get())
        await asyncio.wait({answer, task}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            if (error := task.exception()) is not None:
                # As servers do: an application that raises on the lifespan scope does not know it.
                log.debug("an application does not support lifespans: %r", error)
            return
        message = answer.result()
        if message["type"] == f"{event}.failed":
            raise LifespanFailed(message.get("message", "") or f"{event} failed")


def _retrieve(task: asyncio.Task[None]) -> None:
    """Look at how an application's lifespan ended, so that asyncio does not complain that nobody did."""
    if not task.cancelled():
        task.exception()


class Lifespans:
    """The lifespans of several applications, started in order and stopped in reverse; each application once."""

    def __init__(self, apps: Iterable[ASGIApp]) -> None:
        self._lifespans: dict[int, Lifespan] = {}
        for app in apps:
            self._lifespans.setdefault(id(app), Lifespan(app))
        self._started: list[Lifespan] = []

    async def start(self) -> None:
        """Start all; when one fails, those that had started are stopped. Raises LifespanFailed."""
        try:
            for lifespan in self._lifespans.values():
                await lifespan.start()
                self._started.append(lifespan)
        except LifespanFailed:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop those that had started. Raises what the first that failed raised, after all were told to stop."""
        first: Exception | None = None
        while self._started:
            try:
                await self._started.pop().stop()
            except Exception as error:
                log.error("an application did not stop as it should: %r", error)
                first = first or error
        if first is not None:
            raise first

    def state_of(self, app: ASGIApp) -> dict[str, Any]:
        """What the application's lifespan left for its requests."""
        return self._lifespans[id(app)].state


async def serve_lifespan(running: AbstractAsyncContextManager[object], receive: Receive, send: Send) -> None:
    """Be running for as long as a server's lifespan lasts; an expected trouble is told to it in one sentence."""
    await receive()
    phase = "startup"
    try:
        async with running:
            await send({"type": "lifespan.startup.complete"})
            await receive()
            phase = "shutdown"
    except (GrantwellError, LifespanFailed) as error:
        await send({"type": f"lifespan.{phase}.failed", "message": str(error)})
        return
    await send({"type": "lifespan.shutdown.complete"})
