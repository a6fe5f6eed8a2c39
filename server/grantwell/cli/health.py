"""`/healthz` and `/readyz`: whether the process answers, and whether it can serve."""

from __future__ import annotations

import asyncio

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import GrantwellError
from ..store import Store

_DATABASE_SECONDS = 2.0
_NO_STORE = {"Cache-Control": "no-store"}


class Health:
    """Answers the two paths before the server sees them, whatever their Host: probes call by address.

    Neither tells anything but yes or no, so anybody may ask.
    """

    def __init__(self, app: ASGIApp, store: Store) -> None:
        self._app = app
        self._store = store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] != "http" or scope["path"] not in ("/healthz", "/readyz"):
            return await self._app(scope, receive, send)
        if scope["method"] not in ("GET", "HEAD"):
            answer = PlainTextResponse("method not allowed\n", 405, {**_NO_STORE, "Allow": "GET, HEAD"})
        elif scope["path"] == "/healthz" or await self._has_database():
            answer = PlainTextResponse("ok\n", 200, _NO_STORE)
        else:
            answer = PlainTextResponse("the database does not answer\n", 503, {**_NO_STORE, "Retry-After": "2"})
        return await answer(scope, receive, send)

    async def _has_database(self) -> bool:
        try:
            async with asyncio.timeout(_DATABASE_SECONDS):
                await self._store.get_client("")
        except (GrantwellError, TimeoutError):
            return False
        return True
