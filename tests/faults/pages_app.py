"""A server process with the pages, on an inherited socket: `python -m tests.faults.pages_app FOLDER DESCRIPTOR`.

While there is a file `armed` in the folder, the process counts what it does: each SQL statement, each commit and each
beginning of an answer. Before the one whose number stands in the file, it is killed, and another one takes its place.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn
from sqlalchemy import Engine, event
from starlette.types import Message, Receive, Scope, Send

from grantwell import OAuthProvider, Resource, SecretKey
from grantwell.crypto import Keyring
from grantwell.signin import Accounts, SignIn
from grantwell_migrations import upgrade
from grantwell_storage import SQLStore
from tests.signin.browser import PASSWORD, USER, cheap_hasher
from tests.wire.world import SCOPES, api


class Doom:
    """Kills this process at the point that the folder names."""

    def __init__(self, folder: Path) -> None:
        self._armed = folder / "armed"
        self._passed = 0

    def point(self, *_: object) -> None:
        """One thing is about to be done."""
        if not self._armed.exists():
            self._passed = 0
            return
        if self._passed == int(self._armed.read_text()):
            self._armed.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        self._passed += 1


def made(folder: Path, issuer: str) -> OAuthProvider:
    """The server over what stands in the folder."""
    url = f"sqlite+aiosqlite:///{folder / 'oauth.db'}"
    store, key = SQLStore(url), SecretKey.file(folder / "oauth.key")
    return OAuthProvider(
        issuer=issuer,
        store=store,
        secret_key=key,
        api_handlers={"/api": api},
        resources={"/api": Resource(scopes=SCOPES)},
        default_handler=SignIn(store, key, hasher=cheap_hasher()),
    )


def prepare(folder: Path) -> None:
    """Make the database, with one user."""
    url = f"sqlite+aiosqlite:///{folder / 'oauth.db'}"
    upgrade(url)

    async def add() -> None:
        store = SQLStore(url)
        await store.open()
        keyring = Keyring("http://127.0.0.1", SecretKey.file(folder / "oauth.key"))
        await Accounts(store, keyring, cheap_hasher()).add(USER, PASSWORD)
        await store.close()

    asyncio.run(add())


def serve(place: Path, listening: socket.socket) -> None:
    """Be a server until somebody ends it."""
    doom = Doom(place)
    event.listen(Engine, "before_cursor_execute", doom.point)
    event.listen(Engine, "commit", doom.point)
    provider = made(place, f"http://127.0.0.1:{listening.getsockname()[1]}")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        """The provider, whose answers are points too."""

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                doom.point()
            await send(message)

        inner: Any = told if scope["type"] == "http" else send
        await provider(scope, receive, inner)

    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listening])


if __name__ == "__main__":
    folder, inherited = Path(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))
    # This process has loaded everything and done nothing, so that the next server is there at once.
    while (child := os.fork()) != 0:
        os.waitpid(child, 0)
    serve(folder, inherited)
