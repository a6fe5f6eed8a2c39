"""Tells whoever started the server that it serves: the terminal, and systemd."""

from __future__ import annotations

import os
import socket
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

STARTUP_FAILURE = 3
"""The exit code that tells uvicorn that another try would fail too."""


class Ready(Protocol):
    """An event, of a thread or of a process."""

    def set(self) -> None:
        """Let those go on who wait."""

    def is_set(self) -> bool:
        """Whether it was set."""

    def wait(self) -> object:
        """Wait until it is set."""


def announcing(app: ASGIApp, ready: Ready) -> ASGIApp:
    """The application, which sets `ready` once its start is complete."""

    async def announced(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            return await app(scope, receive, send)

        async def told(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                ready.set()

        return await app(scope, receive, told)

    return announced


def notify(state: str) -> None:
    """Tell systemd, where it asked to be told (sd_notify(3)): `READY=1`, `STOPPING=1`."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notifying:
        try:
            # A socket in the abstract namespace begins with a zero byte, which is written as @.
            notifying.connect("\0" + address[1:] if address.startswith("@") else address)
            notifying.sendall(state.encode())
        except OSError:
            # Serving matters more than that somebody knows of it.
            return
