"""A server of a test's own: many scopes, long names, and whatever else the demonstration has not."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from tests.interop.tls import HOST, Certificates

_SECONDS = 30


@contextmanager
def serving(make: Callable[[str], Awaitable[ASGIApp]], certificates: Certificates | None = None) -> Iterator[str]:
    """Serve what `make` makes of its own URL, in a thread with an event loop of its own; gives the URL."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    origin = "http://127.0.0.1" if certificates is None else f"https://{HOST}"
    url = f"{origin}:{bound.getsockname()[1]}"
    certificate, key = (certificates.certificate, certificates.key) if certificates else (None, None)
    ready = threading.Event()
    servers: list[uvicorn.Server] = []

    async def serve() -> None:
        app = await make(url)
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            lifespan="on",
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        servers.append(uvicorn.Server(config))
        task = asyncio.create_task(servers[0].serve(sockets=[bound]))
        # The socket listens once the lifespan has begun; a browser that comes earlier waits in its queue.
        bound.listen()
        ready.set()
        await task

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    try:
        if not ready.wait(_SECONDS):
            raise RuntimeError("the server of the test did not start")
        yield url
    finally:
        for server in servers:
            server.should_exit = True
        thread.join(_SECONDS)
        bound.close()
