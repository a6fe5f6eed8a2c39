"""A resource server of its own, and an authorization server somewhere else, between them a real socket."""

from __future__ import annotations

import asyncio
import secrets
import socket
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import httpx
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from grantwell import require_scopes
from grantwell.resource import ResourceServer
from grantwell.testing import FrozenClock

RESOURCE = "https://files.test/api"
METADATA = "https://files.test/.well-known/oauth-protected-resource/api"
SCOPES = {"files:read": "Read files", "files:write": "Write files"}
# With characters that Basic must not carry as they are (RFC 6749 section 2.3.1).
CLIENT = ("files: the server", "s%3A+é/secret")

Answer = Callable[[dict[str, str]], Response]


class Issuer:
    """An authorization server reduced to its metadata and to introspection: it knows the claims of its tokens.

    `answer` is called with the form in the place of the right answer, which waits for `hold`; `asked` are the tokens
    it was asked about.
    """

    def __init__(self, clock: FrozenClock) -> None:
        self.clock = clock
        self.url = ""
        self.claims: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.answer: Answer | None = None
        self.metadata_answer: Callable[[], Response] | None = None
        self.metadata_read = 0
        self.credentials = CLIENT
        self.hold: asyncio.Event | None = None
        self.endpoint = "/introspect"
        self.path = ""

    def forget(self) -> None:
        """Know no token, be asked by the right client, and answer as it should."""
        self.claims.clear()
        self.asked.clear()
        self.answer = self.metadata_answer = None
        self.credentials = CLIENT

    @property
    def introspection_endpoint(self) -> str:
        """The URL of the endpoint."""
        return self.url.rstrip("/") + self.endpoint

    def token(self, user: str | None = "u1", **changes: Any) -> str:
        """A live token of a user, or of the client itself; `changes` to its claims (None removes one)."""
        token = secrets.token_urlsafe(24)
        now = int(self.clock())
        claims: dict[str, Any] = {
            "active": True,
            "scope": "files:read files:write",
            "client_id": "c1",
            "sub": user or "c1",
            "username": user,
            "aud": RESOURCE,
            "iss": self.url,
            "exp": now + 3600,
            "iat": now,
            "token_type": "Bearer",
            "props": {"color": "teal", "user": user},
            "grant_id": "g1",
        }
        self.claims[token] = {name: value for name, value in (claims | changes).items() if value is not None}
        return token

    def revoke(self, token: str) -> None:
        """From now on the token is not active."""
        del self.claims[token]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        request = Request(scope, receive)
        if scope["path"] == f"/.well-known/oauth-authorization-server{self.path}":
            self.metadata_read += 1
            response = self.metadata_answer() if self.metadata_answer else JSONResponse(self.metadata())
        elif (scope["path"], scope["method"]) == (self.path + self.endpoint, "POST"):
            response = self._introspected(request, (await request.body()).decode())
            if self.hold is not None:
                await self.hold.wait()
        else:
            response = Response(status_code=404)
        await response(scope, receive, send)

    def metadata(self) -> dict[str, Any]:
        """What it says of itself."""
        return {"issuer": self.url, "introspection_endpoint": self.introspection_endpoint}

    def _introspected(self, request: Request, body: str) -> Response:
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        form = dict(parse_qsl(body, strict_parsing=True))
        scheme, _, encoded = request.headers["authorization"].partition(" ")
        client_id, _, secret = b64decode(encoded).decode().partition(":")
        if scheme != "Basic" or (unquote_plus(client_id), unquote_plus(secret)) != self.credentials:
            return JSONResponse({"error": "invalid_client"}, 401, {"WWW-Authenticate": 'Basic realm="OAuth"'})
        self.asked.append(form["token"])
        if self.answer is not None:
            return self.answer(form)
        return JSONResponse(self.claims.get(form["token"], {"active": False}))


class Files:
    """The protected application: says who calls; `/write` needs two scopes. It counts how often it ran."""

    def __init__(self) -> None:
        self.ran = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        self.ran += 1
        if scope["path"].endswith("/write"):
            require_scopes("files:read", "files:write")
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": 1000})
            return
        user = scope["user"]
        answer = {
            "user": user.user_id,
            "client": user.client_id,
            "grant": user.grant_id,
            "scopes": scope["auth"].scopes,
            "audience": user.audience,
            "props": user.props,
            "expires_at": user.expires_at,
        }
        await JSONResponse(answer)(scope, receive, send)


@dataclass
class Place:
    """A resource server that is running, and everybody around it."""

    issuer: Issuer
    server: ResourceServer
    http: httpx.AsyncClient
    clock: FrozenClock
    app: Any = field(default=None)

    async def call(self, token: str | None, path: str = "/api", **options: Any) -> httpx.Response:
        """Call the protected application."""
        headers = dict(options.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return await self.http.request(options.pop("method", "GET"), path, headers=headers, **options)


@asynccontextmanager
async def served(app: ASGIApp, listener: socket.socket | None = None, **options: Any) -> AsyncIterator[str]:
    """The origin of a real server for the application, at `listener` if there is one; `options` go to uvicorn."""
    with listener or socket.create_server(("127.0.0.1", 0)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        settings: dict[str, Any] = {"log_config": None, "access_log": False, "lifespan": "off", "proxy_headers": False}
        config = uvicorn.Config(app, **settings | options)
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve(sockets=[sock]))
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


@asynccontextmanager
async def running_issuer(clock: FrozenClock) -> AsyncIterator[Issuer]:
    """An issuer behind a real socket."""
    issuer = Issuer(clock)
    async with served(issuer) as issuer.url:
        yield issuer


@asynccontextmanager
async def running_place(app: Any = None, **options: Any) -> AsyncIterator[Place]:
    """A resource server in front of `app`, with an issuer of its own; `options` are its settings."""
    async with running_issuer(FrozenClock()) as issuer, place_of(issuer, app, **options) as place:
        yield place


@asynccontextmanager
async def place_of(issuer: Issuer, app: Any = None, /, **options: Any) -> AsyncIterator[Place]:
    """A resource server in front of `app`, for the tokens of this issuer; `options` are its settings."""
    app = app or Files()
    settings: dict[str, Any] = {
        "resource": RESOURCE,
        "issuer": issuer.url,
        "introspection_endpoint": issuer.introspection_endpoint,
        "client_id": CLIENT[0],
        "client_secret": CLIENT[1],
        "scopes": SCOPES,
        "name": "Files",
        "clock": issuer.clock,
    } | options
    server = ResourceServer(app, **settings)
    transport = httpx.ASGITransport(app=server)
    async with server.running(), httpx.AsyncClient(transport=transport, base_url="https://files.test") as http:
        yield Place(issuer, server, http, issuer.clock, app)
