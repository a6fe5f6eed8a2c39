"""A deployment with one thing wrong: a real server whose answers a table of the test changes on their way out."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from grantwell import OAuthProvider, Resource, SecretKey
from grantwell.signin import SignIn
from grantwell_storage import MemoryStore
from tests.resource.place import served
from tests.wire.world import SCOPES, api


@dataclass
class Passing:
    """A request, and the answer to it that may still be changed."""

    method: str
    path: str
    query: str
    asked: dict[str, str]
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def without(self, *names: str) -> None:
        """Drop headers of the answer."""
        for name in names:
            self.headers.pop(name, None)

    def say(self, status: int, body: bytes = b"", media_type: str = "application/json", **headers: str) -> None:
        """Another answer altogether."""
        self.status, self.body = status, body
        self.headers = {"content-type": media_type} | headers

    def replace(self, old: str, new: str) -> None:
        """Rewrite body and headers, as a proxy may."""
        self.body = self.body.replace(old.encode(), new.encode())
        self.headers = {name: value.replace(old, new) for name, value in self.headers.items()}


Fault = Callable[[Passing], None]


class Faulty:
    """Lets an application answer, and a fault change the answer."""

    def __init__(self, app: ASGIApp, fault: Fault) -> None:
        self._app = app
        self._fault = fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        asked = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        passing = Passing(scope["method"], scope["path"], scope["query_string"].decode(), asked)

        async def kept(message: Message) -> None:
            if message["type"] == "http.response.start":
                passing.status = message["status"]
                passing.headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
            else:
                passing.body += message.get("body", b"")

        await self._app(scope, receive, kept)
        self._fault(passing)
        passing.headers["content-length"] = str(len(passing.body))
        headers = [(name.encode(), value.encode("latin-1")) for name, value in passing.headers.items()]
        await send({"type": "http.response.start", "status": passing.status, "headers": headers})
        await send({"type": "http.response.body", "body": passing.body})


def nothing(_passing: Passing) -> None:
    """No fault."""


@asynccontextmanager
async def deployment(fault: Fault = nothing, *, tls: Any = None, **options: Any) -> AsyncIterator[str]:
    """The URL of an API that people would give their client; `tls` are certificates of `tests.interop.tls`."""
    listener = socket.create_server(("127.0.0.1", 0))
    scheme = "http" if tls is None else "https"
    origin = f"{scheme}://{'127.0.0.1' if tls is None else 'localhost'}:{listener.getsockname()[1]}"
    store, secret_key = MemoryStore(), SecretKey(b"k" * 32)
    settings: dict[str, Any] = {"client_id_metadata_documents": False} | options
    provider = OAuthProvider(
        issuer=origin,
        store=store,
        secret_key=secret_key,
        api_handlers={"/api": api},
        resources={"/api": Resource(scopes=SCOPES)},
        default_handler=SignIn(store, secret_key),
        **settings,
    )
    certificates = {} if tls is None else {"ssl_certfile": tls.certificate, "ssl_keyfile": tls.key}
    async with provider.running(), served(Faulty(provider, fault), listener, **certificates):
        yield f"{origin}/api"
