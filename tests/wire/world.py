"""A whole server for the wire tests: two protected applications, a person who says yes, and clients that speak HTTP."""

from __future__ import annotations

import asyncio
import base64
import copy
import hashlib
import secrets
import socket
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

import httpx
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from grantwell import AuthorizationError, OAuthProvider, Resource, SecretKey, require_scopes
from grantwell.testing import FrozenClock
from grantwell_migrations import upgrade
from grantwell_storage import MemoryStore, SQLStore

ISSUER = "https://as.test"
R1 = f"{ISSUER}/api"
R2 = f"{ISSUER}/other"
REDIRECT = "https://c1.test/cb"
SCOPES = {"read": "Read things", "write": "Write things"}


async def api(scope: Scope, receive: Receive, send: Send) -> None:
    """The protected application: says who calls; `/write` below its prefix needs the scope `write`."""
    request = Request(scope, receive)
    if scope["path"].endswith("/write"):
        require_scopes("write")
    user = request.user
    await JSONResponse(
        {
            "user": user.user_id,
            "client": user.client_id,
            "grant": user.grant_id,
            "scopes": list(request.auth.scopes),
            "audience": list(user.audience),
            "props": user.props,
            "expires_at": user.expires_at,
        }
    )(scope, receive, send)


async def site(scope: Scope, receive: Receive, send: Send) -> None:
    """The default application. A person who is asked at /authorize says yes, as the header x-user says."""
    request = Request(scope, receive)
    if scope["path"] != "/authorize":
        return await PlainTextResponse("the site")(scope, receive, send)
    oauth = request.state.oauth
    response: Response
    try:
        asked = await oauth.parse_authorization_request(request)
        if request.headers.get("x-deny"):
            location = await oauth.deny_authorization(asked)
        else:
            location = await oauth.complete_authorization(
                asked,
                user_id=request.headers.get("x-user", "u1"),
                props={"color": "teal", "user": request.headers.get("x-user", "u1")},
                scopes=request.headers["x-scopes"].split(" ") if "x-scopes" in request.headers else None,
            )
        response = Response(status_code=303, headers={"Location": location})
    except AuthorizationError as error:
        if error.redirect_to is None:
            response = PlainTextResponse(f"local error: {error.code}", status_code=400)
        else:
            response = Response(status_code=303, headers={"Location": error.redirect_to})
    await response(scope, receive, send)
    return None


@dataclass
class Pkce:
    """A verifier with its challenge (RFC 7636)."""

    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @property
    def challenge(self) -> str:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@dataclass
class Tokens:
    """What the token endpoint answered."""

    access: str
    refresh: str
    raw: dict[str, Any]


@dataclass
class World:
    """The server and everybody around it."""

    provider: OAuthProvider
    http: httpx.AsyncClient
    clock: FrozenClock
    pkce: Pkce = field(default_factory=Pkce)
    store: Any = None

    async def register(self, **changes: Any) -> dict[str, Any]:
        """Register a client: public, with the code and refresh grants, unless `changes` differ (None removes)."""
        metadata: dict[str, Any] = {
            "redirect_uris": [REDIRECT],
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
            "client_name": "A client",
        } | changes
        answer = await self.http.post("/register", json={k: v for k, v in metadata.items() if v is not None})
        assert answer.status_code == 201, answer.text
        registered: dict[str, Any] = answer.json()
        return registered

    async def authorize(
        self, client: dict[str, Any], *, headers: dict[str, str] | None = None, **changes: Any
    ) -> httpx.Response:
        """Send the user's browser to /authorize with a valid request changed as written (None removes a parameter)."""
        parameters: dict[str, Any] = {
            "response_type": "code",
            "client_id": client["client_id"],
            "redirect_uri": client["redirect_uris"][0],
            "code_challenge": self.pkce.challenge,
            "code_challenge_method": "S256",
            "state": "xyz",
            "scope": "read write",
            "resource": R1,
        } | changes
        return await self.http.get(
            "/authorize", params={k: v for k, v in parameters.items() if v is not None}, headers=headers
        )

    async def code(self, client: dict[str, Any], *, headers: dict[str, str] | None = None, **changes: Any) -> str:
        """A code for a client, approved."""
        answer = await self.authorize(client, headers=headers, **changes)
        assert answer.status_code == 303, answer.text
        return answer_parameters(answer)["code"]

    async def post(
        self, path: str, client: dict[str, Any], form: dict[str, Any], *, auth: tuple[str, str] | None = None
    ) -> httpx.Response:
        """POST a form as a client: by the method it registered, unless `auth` gives Basic credentials."""
        method = client.get("token_endpoint_auth_method", "none")
        data = dict(form)
        if auth is None and method == "client_secret_basic":
            auth = (client["client_id"], client["client_secret"])
        elif auth is None:
            data.setdefault("client_id", client["client_id"])
            if method == "client_secret_post":
                data.setdefault("client_secret", client["client_secret"])
        data = {k: v for k, v in data.items() if v is not None}
        return await self.http.post(path, data=data, auth=auth or httpx.USE_CLIENT_DEFAULT)

    async def exchange(self, client: dict[str, Any], code: str, **changes: Any) -> httpx.Response:
        """Exchange a code, with a valid request changed as written."""
        form: dict[str, Any] = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": self.pkce.verifier,
            "redirect_uri": client["redirect_uris"][0],
        }
        return await self.post("/token", client, form | changes)

    async def refresh(self, client: dict[str, Any], token: str, **changes: Any) -> httpx.Response:
        """Exchange a refresh token, with a valid request changed as written."""
        return await self.post("/token", client, {"grant_type": "refresh_token", "refresh_token": token} | changes)

    async def revoke(self, client: dict[str, Any], token: str | None, **changes: Any) -> httpx.Response:
        """Revoke a token."""
        return await self.post("/revoke", client, {"token": token} | changes)

    async def tokens(self, client: dict[str, Any], **changes: Any) -> Tokens:
        """The whole way to tokens; `changes` go to the authorization request."""
        return parsed(await self.exchange(client, await self.code(client, **changes)))

    async def call(self, token: str | None, path: str = "/api", **options: Any) -> httpx.Response:
        """Call a protected application."""
        headers = dict(options.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return await self.http.request(options.pop("method", "GET"), path, headers=headers, **options)


def parsed(answer: httpx.Response) -> Tokens:
    """The tokens of a successful answer."""
    assert answer.status_code == 200, answer.text
    raw = answer.json()
    return Tokens(raw["access_token"], raw.get("refresh_token", ""), raw)


def answer_parameters(answer: httpx.Response) -> dict[str, str]:
    """The parameters of the redirect that an authorization ended with; each must be there once."""
    pairs = parse_qsl(urlsplit(answer.headers["location"]).query, keep_blank_values=True)
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), names
    return dict(pairs)


@asynccontextmanager
async def running_world(store: Any, *, default: ASGIApp | None = site, **options: Any) -> AsyncIterator[World]:
    """A world over a store; `options` go to the provider."""
    clock = options.pop("clock", None) or FrozenClock()
    settings: dict[str, Any] = {
        "issuer": ISSUER,
        "secret_key": SecretKey(b"k" * 32),
        "api_handlers": {"/api": api, "/other": api},
        "resources": {"/api": Resource(scopes=SCOPES, name="The API"), "/other": Resource(scopes={"read": "Read"})},
    } | options
    provider = OAuthProvider(store=store, default_handler=default, clock=clock, **settings)
    transport = httpx.ASGITransport(app=provider, raise_app_exceptions=True)
    async with provider.running(), httpx.AsyncClient(transport=transport, base_url=provider.settings.issuer) as http:
        yield World(provider, http, clock, store=store)


STORES = ("memory", "sqlite")


@cache
def _migrated_database() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "oauth.db")
        upgrade(f"sqlite+aiosqlite:///{path}")
        return path.read_bytes()


def new_store(kind: str, folder: Path) -> MemoryStore | SQLStore:
    """An empty store of one of the kinds in STORES; a database is the file `oauth.db` in the folder."""
    if kind == "memory":
        return MemoryStore()
    path = folder / "oauth.db"
    if not path.exists():
        path.write_bytes(_migrated_database())
        path.chmod(0o600)
    return SQLStore(f"sqlite+aiosqlite:///{path}")


def rows_of(store: MemoryStore | SQLStore) -> set[str]:
    """Everything that a store holds but counts of failures and events, to be compared with what it holds later.

    Events are written at a time of their own.
    """
    if isinstance(store, SQLStore):
        with closing(sqlite3.connect(store._database._url.database or "")) as database:
            others = ('"oauth_throttles" VALUES', '"oauth_events" VALUES')
            return {line for line in database.iterdump() if not any(other in line for other in others)}
    tables = copy.deepcopy(store._tables)
    for grant in tables.grants.values():
        # Without a lease its end means nothing.
        grant.lease_until = grant.lease_until if grant.lease_id else 0
    kept = [table.name for table in fields(tables) if table.name not in ("throttles", "events")]
    return {f"{name} {row!r}" for name in kept for row in getattr(tables, name).items()}


@contextmanager
def nothing_changes(world: World) -> Iterator[None]:
    """Check that what happens inside leaves every row as it was."""
    before = rows_of(world.store)
    yield
    changed = rows_of(world.store) ^ before
    assert not changed, "\n".join(sorted(changed))


def refused(answer: httpx.Response, code: str, status: int = 400) -> httpx.Response:
    """Check that an answer is an error of the token or revocation endpoint, as RFC 6749 section 5.2 has it."""
    assert (answer.status_code, answer.json()["error"]) == (status, code), answer.text
    assert sorted(answer.json()) == ["error", "error_description"]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    assert "set-cookie" not in answer.headers
    assert ("retry-after" in answer.headers) == (status in (429, 503))
    return answer


PARSERS = ("h11", "httptools")


@asynccontextmanager
async def serving(app: ASGIApp, parser: str, *, websockets: Literal["auto", "none"] = "none") -> AsyncIterator[int]:
    """The port of a real uvicorn with this HTTP parser; the lifespan of `app` is the caller's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            app,
            http=parser,
            ws=websockets,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=0,  # so that an answer ends with its connection
        )
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await running


async def spoken(port: int, request: bytes) -> bytes:
    """What the server on a port of this machine answers to these bytes, up to the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


def asgi_scope(
    path: str = "/api",
    *,
    type_: Literal["http", "websocket"] = "http",
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    **changes: Any,
) -> Scope:
    """The scope of a call, as a server would make it."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    scope: Scope = {
        "type": type_,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "https" if type_ == "http" else "wss",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"as.test"), *((name.lower().encode(), value.encode()) for name, value in pairs)],
        "server": ("as.test", 443),
        "client": ("203.0.113.7", 50000),
        "extensions": {},
    }
    if type_ == "http":
        scope["method"] = "GET"
    scope.update(changes)
    return scope


class Conversation:
    """One ASGI call, message by message: for streams and websockets, which a client of whole answers cannot see."""

    def __init__(self, app: ASGIApp, scope: Scope) -> None:
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()
        self.task = asyncio.ensure_future(app(scope, self._to_app.get, self._from_app.put))

    def say(self, type_: str, **members: Any) -> None:
        """Give the application a message."""
        self._to_app.put_nowait({"type": type_, **members})

    async def hear(self) -> Message | None:
        """The application's next message; None once its call has ended, without an exception."""
        heard = asyncio.ensure_future(self._from_app.get())
        async with asyncio.timeout(10):
            await asyncio.wait({heard, self.task}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0)
        if heard.done():
            return heard.result()
        heard.cancel()
        await self.task
        return None

    async def answered(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of a whole http answer, the call's end awaited."""
        start = await self.hear()
        assert start is not None
        assert start["type"] == "http.response.start", start
        body = b""
        while (message := await self.hear()) is not None:
            body += message.get("body", b"")
        return start["status"], {k.decode(): v.decode() for k, v in start["headers"]}, body


def altered(token: str, at: int = 30) -> str:
    """The token with one character changed."""
    return token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
