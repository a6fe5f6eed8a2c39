"""A resource server as an ASGI application: its metadata, its place among others, its start and end, its settings."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route
from starlette.types import Message, Receive, Scope, Send

from grantwell import ConfigurationError, require_scopes
from grantwell.resource import ResourceServer
from grantwell.testing import FrozenClock
from tests.resource.place import (
    CLIENT,
    METADATA,
    RESOURCE,
    SCOPES,
    Files,
    Place,
    place_of,
    running_issuer,
    running_place,
)
from tests.wire.world import Conversation, asgi_scope

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

WELL_KNOWN = "/.well-known/oauth-protected-resource"


@requirement("S-066", "S-067", "S-068", "S-069", "S-071", "S-072", "S-074", "S-077", "A-277", "A-281", "C-041")
async def test_the_resource_says_of_itself_what_clients_need_to_know(place: Place) -> None:
    expected = {
        "resource": RESOURCE,
        "authorization_servers": [place.issuer.url],
        "scopes_supported": ["files:read", "files:write"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Files",
    }
    for headers in ({}, {"Host": "evil.test", "X-Forwarded-Host": "evil.test"}, {"Origin": "https://spa.test"}):
        answer = await place.http.get(METADATA, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert answer.json() == expected
        assert answer.headers["access-control-allow-origin"] == "*"
    assert (await place.http.head(METADATA)).status_code == 200
    assert (await place.http.options(METADATA)).status_code == 204
    refused = await place.http.post(METADATA)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


@requirement("S-073", "S-076", "S-100")
async def test_offline_access_and_what_is_empty_are_left_out() -> None:
    for scopes in ({"offline_access": ""}, {}, None):
        async with running_place(scopes=scopes, name=None) as place:
            document = (await place.http.get(METADATA)).json()
            assert sorted(document) == ["authorization_servers", "bearer_methods_supported", "resource"]
            challenge = (await place.call(None)).headers["www-authenticate"]
            assert challenge == f'Bearer resource_metadata="{METADATA}"'


@requirement("S-080", "A-279")
async def test_metadata_of_anything_else_is_not_found(place: Place) -> None:
    for path in ("", "/", "/nope", "/apix", "/api/", "/api/x", "//api", "/api/%2e%2e", "/api;x"):
        answer = await place.http.get(WELL_KNOWN + path)
        assert (answer.status_code, answer.json()["error"]) == (404, "invalid_request"), path
    for path in ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"):
        assert (await place.http.get(path)).status_code == 404
    assert place.app.ran == 0


@requirement("S-067", "S-070", "C-205")
@pytest.mark.parametrize("resource", ["https://files.test", "https://files.test/"])
async def test_a_resource_without_a_path_is_the_whole_host_and_its_metadata_lies_at_the_root(resource: str) -> None:
    async with running_place(resource=resource) as place:
        document = (await place.http.get(WELL_KNOWN)).json()
        assert document["resource"] == resource
        token = place.issuer.token(aud=resource)
        for path in ("/", "/x", "/x/y/", "/.well-known/x", "/.well-knownx/oauth-"):
            assert (await place.call(token, path)).status_code == 200, path
            refused = await place.call(None, path)
            assert refused.status_code == 401
            assert f'resource_metadata="https://files.test{WELL_KNOWN}"' in refused.headers["www-authenticate"]
        for path in (f"{WELL_KNOWN}/x", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"):
            assert (await place.call(token, path)).status_code == 404, path
        assert (await place.call(token, "/x//y")).status_code == 400
        other = place.issuer.token(aud="https://files.test/" if resource.endswith("test") else "https://files.test")
        assert (await place.call(other, "/")).status_code == 401


@requirement("A-267")
async def test_below_a_mount_and_behind_a_root_path_the_path_that_clients_use_decides() -> None:
    app = Files()
    async with running_issuer(FrozenClock()) as issuer, place_of(issuer, app) as place:
        outer = Starlette(
            routes=[
                Route("/", lambda request: PlainTextResponse("outer")),
                Mount("/api", app=place.server),
                Mount("/.well-known", app=place.server),
            ]
        )
        transport = httpx.ASGITransport(app=outer)
        async with httpx.AsyncClient(transport=transport, base_url="https://files.test") as http:
            bearer = {"Authorization": f"Bearer {issuer.token()}"}
            assert (await http.get("/")).text == "outer"
            assert (await http.get(METADATA)).json()["resource"] == RESOURCE
            for path, status in (("/api/x", 200), ("/api/api", 200), ("/apix", 404), ("/.well-known/api", 404)):
                assert (await http.get(path, headers=bearer)).status_code == status, path
            assert (await http.get("/api/x")).status_code == 401
        ran = app.ran
        for path, root, status in (
            ("/api/x", "/api", 200),
            ("/api/x", "/x", 200),
            ("/x", "/api", 404),
            ("/x/api", "/x", 404),
        ):
            talk = Conversation(place.server, asgi_scope(path, headers=bearer, root_path=root))
            assert (await talk.answered())[0] == status, (path, root)
        assert app.ran == ran + 2


@requirement("C-008", "S-091", "S-102")
async def test_in_a_starlette_application_the_usual_tools_work() -> None:
    @requires("files:write")
    async def change(request: Request) -> JSONResponse:
        return JSONResponse(request.user.display_name)

    def see(request: Request) -> JSONResponse:
        return JSONResponse([require_scopes("files:read").user_id, request.state.started])

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        yield {"started": True}

    app = Starlette(routes=[Route("/api/change", change), Route("/api/see", see)], lifespan=lifespan)
    async with running_place(app) as place:
        reader = place.issuer.token(scope="files:read")
        assert (await place.call(reader, "/api/see")).json() == ["u1", True]
        assert (await place.call(reader, "/api/change")).status_code == 403
        refused = await place.call(place.issuer.token(scope="files:write"), "/api/see")
        assert refused.status_code == 403
        assert 'scope="files:read"' in refused.headers["www-authenticate"]
        assert (await place.call(place.issuer.token(), "/api/change")).json() == "u1"


class Lived:
    """An application that notes its start and its end, and may fail at either."""

    def __init__(self, fails: str = "") -> None:
        self.fails = fails
        self.events: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "lifespan"
        while True:
            event = (await receive())["type"]
            self.events.append(event)
            outcome = "failed" if event.endswith(self.fails or "never") else "complete"
            await send({"type": f"{event}.{outcome}", **({"message": "broken"} if outcome == "failed" else {})})
            if event == "lifespan.shutdown":
                return


async def lived(app: ResourceServer) -> list[Message]:
    """What the server is told when it starts and ends the application."""
    talk = Conversation(app, {"type": "lifespan", "state": {}})
    talk.say("lifespan.startup")
    told = [await talk.hear()]
    talk.say("lifespan.shutdown")
    told += [await talk.hear(), await talk.hear()]
    return [message for message in told if message is not None]


@requirement("A-267")
async def test_the_lifespan_of_the_application_is_run_by_the_protocol() -> None:
    complete = [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]
    failed = {
        "startup": [{"type": "lifespan.startup.failed", "message": "broken"}],
        "shutdown": [complete[0], {"type": "lifespan.shutdown.failed", "message": "broken"}],
    }
    for fails, told in (("", complete), *failed.items()):
        app = Lived(fails)
        assert await lived(made(app)) == told
        assert app.events == ["lifespan.startup", "lifespan.shutdown"][: 1 if fails == "startup" else 2]

    async def without(scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError

    assert await lived(made(without)) == complete


@requirement("A-267")
async def test_a_scope_of_an_unknown_type_reaches_nobody(place: Place) -> None:
    with pytest.raises(RuntimeError, match="unknown ASGI scope type"):
        await Conversation(place.server, {"type": "webtransport", "path": "/api"}).hear()
    assert place.app.ran == 0


@requirement("A-276")
async def test_a_server_that_runs_no_lifespan_can_use_it_too() -> None:
    async with running_issuer(FrozenClock()) as issuer, place_of(issuer) as place:
        server = made(place.app, issuer=issuer.url, clock=issuer.clock)
        try:
            talk = Conversation(server, asgi_scope("/api", headers={"authorization": f"Bearer {issuer.token()}"}))
            assert (await talk.answered())[0] == 200
        finally:
            await server._tokens.close()


def made(app: Any = None, **changes: Any) -> ResourceServer:
    """A resource server with these settings, which asks nobody at its start."""
    settings: dict[str, Any] = {
        "resource": RESOURCE,
        "issuer": "http://127.0.0.1:1",
        "client_id": CLIENT[0],
        "client_secret": CLIENT[1],
    } | changes
    return ResourceServer(Files() if app is None else app, **settings)


BAD = [
    ("app", "text"),
    *[
        ("resource", value)
        for value in (
            "files.test/api",
            "http://files.test/api",
            "https://files.test/api#x",
            "https://files.test/api?x",
            "https://Files.test/api",
            "https://files.test:443/api",
            "https://a@files.test/api",
            "https://files.test/a/../b",
            "https://files.test/a//b",
            "https://files.test/%61pi",
            "https://files.test/.well-known/x",
            "",
        )
    ],
    *[
        ("issuer", value)
        for value in ("as.test", "http://as.test", "https://as.test?x", "https://as.test#x", "https://a:b@as.test", "")
    ],
    *[
        ("introspection_endpoint", value)
        for value in ("/introspect", "http://as.test/introspect", "https://as.test/i#x", "ftp://as.test/i", "")
    ],
    ("client_id", ""),
    ("client_id", None),
    ("client_secret", ""),
    ("client_secret", b"secret"),
    ("scopes", ["files:read"]),
    ("scopes", {"files read": ""}),
    ("scopes", {'"': ""}),
    *[("cache_seconds", value) for value in (-1, 61, 1.0, True, "5", None)],
]


@requirement("S-070", "A-290", "S-124")
@pytest.mark.parametrize(("field", "value"), BAD, ids=[f"{field}-{number}" for number, (field, _) in enumerate(BAD)])
def test_a_setting_that_cannot_work_is_refused_at_once_and_by_its_name(field: str, value: Any) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        made(**{field: value})
    assert refusal.value.field == field
    assert str(refusal.value).startswith(f"{field}: ")
    assert CLIENT[1] not in str(refusal.value)


@requirement("S-070")
def test_loopback_addresses_may_be_plain_http_and_a_cache_may_last_a_minute() -> None:
    for host in ("127.0.0.1:8001", "[::1]:8001", "localhost"):
        made(
            resource=f"http://{host}/api",
            issuer=f"http://{host}",
            introspection_endpoint=f"http://{host}/introspect?a=b",
            scopes=SCOPES,
            cache_seconds=60,
        )


@requirement("S-090", "S-108")
async def test_no_secret_reaches_a_log_or_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with running_place() as place:
        shown = [repr(place.server), str(vars(place.server))]
        props = {"upstream": "upstream-secret"}
        tokens = [
            place.issuer.token(props=props, **claims) for claims in ({}, {"aud": "x"}, {"exp": "x"}, {"iss": "x"})
        ]
        for token in [*tokens, "unknown-token-of-somebody"]:
            answer = await place.call(token, "/api/write")
            shown += [str(answer.headers), answer.text if answer.status_code != 200 else ""]
        place.issuer.answer = lambda form: JSONResponse(props | {"token": form["token"]}, 500)
        shown.append((await place.call(tokens[0])).text)
        place.issuer.credentials = ("x", "y")
        shown.append((await place.call(tokens[0])).text)
    logged = "\n".join([*shown, *(str(vars(record)) for record in caplog.records), caplog.text])
    assert "introspection failed" in logged
    assert f"refused at '{RESOURCE}'" in logged
    for secret in [*tokens, "unknown-token-of-somebody", CLIENT[1], "s%253A", "upstream-secret"]:
        assert secret not in logged


def test_it_needs_neither_a_database_nor_an_http_client_library() -> None:
    program = "import sys, grantwell.resource; print(*{'sqlalchemy', 'alembic', 'httpx', 'requests'} & {*sys.modules})"
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == ""
