"""Which path is protected (threats 1.12): whatever the spelling, the wrapped application runs for a principal alone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from grantwell import OAuthProvider, Resource, SecretKey
from grantwell.testing import FrozenClock
from grantwell_storage import MemoryStore
from tests.wire.world import (
    ISSUER,
    PARSERS,
    R1,
    Conversation,
    Pkce,
    World,
    asgi_scope,
    running_world,
    serving,
    spoken,
)

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement


class Wrapped:
    """A protected application that says its name and notes as whom it ran."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ran: list[object] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        self.ran.append(scope.get("user"))
        await PlainTextResponse(self.name)(scope, receive, send)


@pytest.fixture
async def guarded() -> AsyncIterator[tuple[World, Wrapped]]:
    """A world whose protected application notes its calls."""
    wrapped = Wrapped("wrapped")
    async with running_world(MemoryStore(), api_handlers={"/api": wrapped}, resources={}) as world:
        yield world, wrapped


TARGETS = [
    "/api",
    "/api/",
    "/api?x",
    "/api#x",
    "//api/x",
    "/api//x",
    "///api",
    "/./api/x",
    "/api/.",
    "/api/..",
    "/pub/../api/x",
    "/pub/%2e%2e/api/x",
    "/pub/..;/api/x",
    "/pub/..%2fapi/x",
    "/pub/%2e%2e%2fapi",
    "/pub%2f..%2fapi",
    "/%2e/api",
    "/%2fapi/x",
    "/api%2Fx",
    "/api%2fx",
    "/api%5cx",
    "/%61pi/x",
    "/%61%70%69",
    "/API/x",
    "/Api",
    "/api;a=b/x",
    "/;/api",
    "/api\\x",
    "\\api\\x",
    "/api/%00",
    "/api%00",
    "/%00api/x",
    "/%0aapi",
    "/api%20",
    "/api%09/x",
    "/api/%0d%0a",
    "/apis",
    "/ap",
    "/api%c0%afx",
    "/%e2%85%b0api",
    "/\u00e0pi",
    "http://as.test/api/x",
    "http://as.test//api/x",
    "https://as.test@evil.test/api",
    "//evil.test/api",
    "@evil/api",
    "*",
    "/authorize/../api/x",
    "/authorize/..%2fapi",
    "/token/../api",
    "/.well-known/../api/x",
    "/.well-known/oauth-protected-resource/../../api/x",
]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "Post", "M-SEARCH"]


@requirement("A-264", "A-267", "A-266", "S-095", "C-002", "C-004")
@pytest.mark.parametrize("parser", PARSERS)
async def test_without_credentials_no_spelling_of_a_path_reaches_the_application(
    guarded: tuple[World, Wrapped], parser: str
) -> None:
    world, wrapped = guarded
    async with serving(world.provider, parser) as port:
        for target in TARGETS:
            for line in (f"GET {target} HTTP/1.1", f"POST {target} HTTP/1.0"):
                request = f"{line}\r\nHost: as.test\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
                answer = await spoken(port, request.encode())
                status = answer.split(b"\r\n")[0]
                assert b" 500 " not in status, (target, status)
                assert b"\r\n\r\nwrapped" not in answer, target
    assert wrapped.ran == []


@requirement("A-268", "A-265", "A-287", "S-095")
@pytest.mark.parametrize("parser", PARSERS)
async def test_without_credentials_no_method_and_no_header_reaches_the_application(
    guarded: tuple[World, Wrapped], parser: str
) -> None:
    world, wrapped = guarded
    hosts = ["a/../pub?", "x@y", "evil/pub#", "as.test\r\nHost: other.test", "as.test:99999", ""]
    extras = [
        "X-HTTP-Method-Override: OPTIONS",
        "Origin: https://spa.example",
        "Access-Control-Request-Method: GET",
        "X-Original-URL: /public\r\nX-Rewrite-URL: /public\r\nX-Forwarded-Prefix: /public",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
        "Transfer-Encoding: xchunked",
        "Expect: 100-continue",
    ]
    requests = [f"{method} /api/x HTTP/1.1\r\nHost: as.test\r\n" for method in METHODS]
    requests += [f"GET /api/x HTTP/1.1\r\nHost: {host}\r\n" for host in hosts]
    requests += [f"OPTIONS /api/x HTTP/1.1\r\nHost: as.test\r\n{extra}\r\n" for extra in extras]
    requests += ["GET /api/x HTTP/1.1\r\n", "GET /api/x HTTP/1.0\r\n"]
    async with serving(world.provider, parser) as port:
        for request in requests:
            closing = "" if "Connection:" in request else "Connection: close\r\n"
            answer = await spoken(port, f"{request}{closing}Content-Length: 0\r\n\r\n".encode())
            status = answer.split(b"\r\n")[0]
            assert b" 500 " not in status, (request, status)
            assert b" 200 " not in status, (request, status)
        await spoken(port, b"CONNECT as.test:443 HTTP/1.1\r\nHost: as.test\r\nConnection: close\r\n\r\n")
    assert wrapped.ran == []


@requirement("A-264", "A-267", "D-22")
async def test_of_any_path_whatever_the_application_runs_for_a_principal_alone() -> None:
    """The property behind the examples, on the decoded path and on the raw one."""
    wrapped = Wrapped("wrapped")
    async with running_world(
        MemoryStore(), api_handlers={"/api": wrapped, "/": wrapped, "/api/deep": wrapped}, resources={}
    ) as world:
        pieces = st.sampled_from(
            [
                "/",
                "//",
                "api",
                "deep",
                "..",
                ".",
                "%2e",
                "%2F",
                "\\",
                ";",
                "\x00",
                "\n",
                "x",
                "é",
                "API",
                "authorize",
                " ",
            ]
        )

        paths: list[str] = []

        @given(st.lists(pieces, max_size=8).map("".join))
        @settings(max_examples=1500)
        def collect(path: str) -> None:
            paths.append(path)

        collect()
        for path in paths:
            for raw in (path.encode(), None):
                talk = Conversation(world.provider, asgi_scope(path, raw_path=raw))
                status, _, body = await talk.answered()
                assert body != b"wrapped"
                assert status in (200, 400, 401, 404), (path, status)
    assert wrapped.ran == []


@requirement("A-264", "C-197")
async def test_paths_that_are_merely_unusual_are_served_to_whoever_may(guarded: tuple[World, Wrapped]) -> None:
    world, wrapped = guarded
    token = (await world.tokens(await world.register(), scope=None)).access
    for path in (
        "/api",
        "/api/",
        "/api/x.y/.well",
        "/api/...",
        "/api/a;b=c",
        "/api/%C3%A9",
        "/api/%25",
        "/api/a%20b",
        "/%61pi",
    ):
        answer = await world.call(token, path)
        assert (answer.status_code, answer.text) == (200, "wrapped"), path
    for path in ("/api//x", "/api/../x", "/api/%2e%2e/x", "/api/x%2Fy", "/api/\\x", "/api/%00", "//api"):
        scope = asgi_scope(unquote(path), raw_path=path.encode(), headers={"authorization": f"Bearer {token}"})
        status, headers, body = await Conversation(world.provider, scope).answered()
        assert (status, json.loads(body)["error"]) == (400, "invalid_request"), path
        assert headers["cache-control"] == "no-store"
    assert len(wrapped.ran) == 9


@requirement("C-197", "C-004", "C-005", "A-289", "S-079")
async def test_the_longest_prefix_on_a_path_boundary_decides_and_the_root_is_itself_alone() -> None:
    apps = {prefix: Wrapped(prefix) for prefix in ("/", "/a", "/a/b", "/a/b/c")}
    async with running_world(MemoryStore(), api_handlers=apps, resources={}) as world:
        token = (await world.tokens(await world.register(), scope=None, resource=None)).access
        for path, answerer in [
            ("/", "/"),
            ("/a", "/a"),
            ("/a/", "/a"),
            ("/a/x", "/a"),
            ("/a/bc", "/a"),
            ("/a/b", "/a/b"),
            ("/a/b/x/c", "/a/b"),
            ("/a/b/c", "/a/b/c"),
            ("/a/b/c/d", "/a/b/c"),
            ("/ab", "the site"),
            ("/x", "the site"),
            ("/A", "the site"),
        ]:
            assert (await world.call(token, path)).text == answerer, path
            assert (await world.call(None, path)).status_code == (200 if answerer == "the site" else 401), path


@requirement("C-001", "C-011", "C-014", "A-264")
async def test_endpoints_and_the_authorization_page_lie_before_a_prefix_that_covers_them() -> None:
    wrapped = Wrapped("wrapped")

    async def elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(f"default {scope['path']}")(scope, receive, send)

    async with running_world(
        MemoryStore(),
        default=elsewhere,
        api_handlers={"/o": wrapped},
        resources={},
        authorize_endpoint="/o/authorize",
        token_endpoint="/o/token",
    ) as world:
        assert (await world.http.get("/o/authorize")).text == "default /o/authorize"
        assert (await world.http.post("/o/token", data={"x": "y"})).json()["error"] == "invalid_client"
        for path in ("/o/authorize/", "/o/authorize/x", "/o/token/", "/o/authorizex", "/o/Authorize"):
            assert (await world.http.get(path)).status_code == 401, path
        assert (await world.http.get("/token")).text == "default /token"
    assert wrapped.ran == []


@requirement("C-197", "S-322")
async def test_one_application_may_stand_behind_several_prefixes() -> None:
    wrapped = Wrapped("wrapped")
    same = Resource(scopes={"read": ""}, identifier=ISSUER)
    async with running_world(
        MemoryStore(), api_handlers={"/api": wrapped, "/mcp": wrapped}, resources={"/api": same, "/mcp": same}
    ) as world:
        tokens = await world.tokens(await world.register(), scope=None, resource=ISSUER)
        assert tokens.raw["resource"] == ISSUER
        assert [(await world.call(tokens.access, path)).text for path in ("/api", "/mcp/x")] == ["wrapped"] * 2
    async with running_world(MemoryStore(), api_handlers={"/api": wrapped, "/mcp": wrapped}, resources={}) as world:
        token = (await world.tokens(await world.register(), scope=None, resource=R1)).access
        assert [(await world.call(token, path)).status_code for path in ("/api", "/mcp")] == [200, 401]


# Mounted below a prefix of another application ------------------------------------------------------------------


def mounted(outer_prefix: str, wrapped: ASGIApp) -> Starlette:
    """A provider below a prefix of a Starlette application, which runs it and routes the metadata to it."""

    async def approve(request: Request) -> RedirectResponse:
        oauth = request.state.oauth
        asked = await oauth.parse_authorization_request(request)
        return RedirectResponse(await oauth.complete_authorization(asked, user_id="u1"), 303)

    provider = OAuthProvider(
        issuer=f"{ISSUER}{outer_prefix}",
        store=MemoryStore(),
        api_handlers={"/api": wrapped},
        default_handler=Starlette(routes=[Route("/authorize", approve)]),
        secret_key=SecretKey(b"k" * 32),
        clock=FrozenClock(),
    )

    async def hello(request: Request) -> PlainTextResponse:
        return PlainTextResponse("outer")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with provider.running():
            yield

    return Starlette(
        routes=[
            Route("/", hello),
            Mount("/.well-known", app=provider.well_known),
            Mount(outer_prefix, app=provider),
        ],
        lifespan=lifespan,
    )


@requirement("A-267", "S-026", "S-067", "S-098", "C-013")
async def test_mounted_below_a_prefix_the_whole_way_works() -> None:
    wrapped = Wrapped("wrapped")
    outer = mounted("/auth", wrapped)
    transport = httpx.ASGITransport(app=outer)
    async with outer.router.lifespan_context(outer), httpx.AsyncClient(transport=transport, base_url=ISSUER) as http:
        assert (await http.get("/")).text == "outer"
        challenge = await http.get("/auth/api/x")
        assert challenge.status_code == 401
        url = challenge.headers["www-authenticate"].split('"')[1]
        assert url == f"{ISSUER}/.well-known/oauth-protected-resource/auth/api"
        resource = (await http.get(url)).json()
        assert resource["resource"] == f"{ISSUER}/auth/api"
        server = (await http.get("/.well-known/oauth-authorization-server/auth")).json()
        assert server["issuer"] == resource["authorization_servers"][0] == f"{ISSUER}/auth"
        client = (
            await http.post(
                server["registration_endpoint"],
                json={"redirect_uris": ["https://c1.test/cb"], "token_endpoint_auth_method": "none"},
            )
        ).json()
        pkce = Pkce()
        asked = {
            "response_type": "code",
            "client_id": client["client_id"],
            "code_challenge": pkce.challenge,
            "code_challenge_method": "S256",
        }
        location = (await http.get(server["authorization_endpoint"], params=asked)).headers["location"]
        answer = parse_qs(urlsplit(location).query)
        assert answer["iss"] == [f"{ISSUER}/auth"]
        form = {
            "grant_type": "authorization_code",
            "client_id": client["client_id"],
            "code": answer["code"][0],
            "code_verifier": pkce.verifier,
        }
        tokens = (await http.post(server["token_endpoint"], data=form)).json()
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert (await http.get("/auth/api/x", headers=bearer)).text == "wrapped"
        assert (await http.get("/auth/auth/api", headers=bearer)).status_code == 404
        wrapped.ran.clear()
        for path in ("/auth/auth/api", "/auth//api", "/auth/api/..", "/auth/%2e/api", "/auth/./api/x"):
            talk = Conversation(outer, asgi_scope(unquote(path), raw_path=path.encode()))
            assert (await talk.answered())[2] != b"wrapped"
        assert (await http.get("/authapi")).status_code == 404
        assert (await http.get("/api")).status_code == 404
    assert wrapped.ran == []


@requirement("A-267", "A-264", "A-285")
@pytest.mark.parametrize("root", ["/auth", "/api", "/api/api"])
async def test_behind_any_root_path_the_guard_and_the_application_see_the_same_path(root: str) -> None:
    wrapped = Wrapped("wrapped")
    async with running_world(MemoryStore(), api_handlers={"/api": wrapped}, resources={}) as world:
        token = (await world.tokens(await world.register(), scope=None)).access
        for path, protected in [
            (f"{root}/api", True),
            (f"{root}/api/x", True),
            (f"{root}/apix", False),
            (f"{root}/x", False),
            (root, False),
            (f"{root}/", False),
        ]:
            for headers in ({}, {"authorization": f"Bearer {token}"}):
                talk = Conversation(world.provider, asgi_scope(path, headers=headers, root_path=root))
                status, _, body = await talk.answered()
                assert (body == b"wrapped") == bool(protected and headers), (path, headers)
                assert (status == 401) == (protected and not headers), (path, headers)
