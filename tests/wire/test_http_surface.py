"""The HTTP of our own endpoints: methods, bodies, hosts, CORS and caches (checklist group 1)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from grantwell import Client, ErrorEvent, StoreUnavailable
from grantwell._http import requests
from grantwell_storage import MemoryStore
from tests.wire.test_lifespan import unopened
from tests.wire.world import (
    PARSERS,
    Conversation,
    World,
    asgi_scope,
    nothing_changes,
    running_world,
    serving,
    spoken,
)

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

ENDPOINTS = ["/token", "/revoke", "/register"]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running_world(MemoryStore()) as running:
        yield running


@requirement("S-016", "S-196", "A-286", "A-292", "S-024", "S-003", "A-289", "A-197")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", ENDPOINTS)
async def test_endpoints_answer_post_and_nothing_else(world: World, path: str, method: str) -> None:
    with nothing_changes(world):
        answer = await world.http.request(method, f"{path}?grant_type=refresh_token&token=x", headers=FORM)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"] == "application/json"
        if method == "HEAD":
            assert answer.content == b""
        else:
            assert set(answer.json()) == {"error", "error_description"}
        for slash in (f"{path}/", f"/{path}", f"{path}//", path.upper()):
            answer = await world.http.post(f"https://as.test{slash}", data={"grant_type": "x"})
            assert answer.status_code in (200, 404)
            assert answer.text == "the site"


@requirement("S-006", "S-058", "C-219", "C-220", "C-221", "A-268")
@pytest.mark.parametrize("path", [*ENDPOINTS, "/api/x"])
async def test_scripts_of_any_origin_may_call_without_credentials_of_the_browser(world: World, path: str) -> None:
    preflight = {
        "Origin": "https://spa.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,mcp-protocol-version",
    }
    answer = await world.http.options(path, headers=preflight)
    assert (answer.status_code, answer.content) == (204, b"")
    names = [name for name, _ in answer.headers.raw]
    assert len(names) == len(set(names)), "a browser refuses an origin that is allowed twice"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "*"
    assert "Authorization" in answer.headers["access-control-allow-headers"]
    answer = await world.http.post(path, headers={"Origin": "https://spa.example"})
    assert answer.status_code in (400, 401)
    assert answer.headers.get_list("access-control-allow-origin") == ["*"]
    assert answer.headers["access-control-expose-headers"] == "WWW-Authenticate, Retry-After"
    assert "access-control-allow-credentials" not in answer.headers


@requirement("S-006", "C-221", "S-109")
async def test_a_wrapped_application_is_opened_to_scripts_unless_it_has_a_policy_of_its_own() -> None:
    async def strict(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"Access-Control-Allow-Origin", b"https://only.example")] if scope["path"] == "/api/own" else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    async with running_world(MemoryStore(), api_handlers={"/api": strict}, resources={}) as world:
        token = (await world.tokens(await world.register(), scope=None)).access
        origin = {"Origin": "https://spa.example"}
        opened = await world.call(token, headers=origin)
        assert opened.headers.get_list("access-control-allow-origin") == ["*"]
        own = await world.call(token, "/api/own", headers=origin)
        assert own.headers.get_list("access-control-allow-origin") == ["https://only.example"]
        assert "access-control-allow-origin" not in (await world.call(token)).headers
        preflight = {"Origin": "https://spa.example", "Access-Control-Request-Method": "GET"}
        assert (await world.http.options("/api", headers=preflight)).status_code == 204
        assert (await world.http.get("/api", headers=preflight)).status_code == 401
        assert (await world.call(token, headers=preflight)).text == "ok"
        assert (await world.http.options("/api", headers=origin)).status_code == 401
        assert (await world.http.options("/api")).status_code == 401


@requirement("S-007", "S-008", "S-024", "A-350", "A-165")
async def test_nothing_of_ours_is_cached_or_says_what_runs_here(world: World) -> None:
    client = await world.register(token_endpoint_auth_method="client_secret_post")
    code = await world.code(client)
    for answer in [
        await world.exchange(client, code),
        await world.exchange(client, code),
        await world.post("/token", client, {"grant_type": "nonsense"}),
        await world.http.post("/token", data={"client_id": "nobody"}),
        await world.revoke(client, "x"),
        await world.http.post("/register", json={}),
        await world.call(None),
        await world.call("x"),
    ]:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["pragma"] == "no-cache"
        assert not {"server", "x-powered-by", "set-cookie", "location"} & set(answer.headers)
        if answer.status_code >= 400 and answer.content:
            assert set(answer.json()) == {"error", "error_description"}
            assert all(" " <= c <= "~" and c not in '"\\' for value in answer.json().values() for c in value)


@requirement("S-017", "S-018", "A-147", "S-023", "A-340")
@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "multipart/form-data; boundary=x",
        "text/plain",
        "application/x-www-form-urlencoded; charset=utf-16",
        "application/x-www-form-urlencoded, text/plain",
        "",
    ],
)
async def test_only_a_form_is_read_as_a_form(world: World, content_type: str) -> None:
    client = await world.register()
    body = f"grant_type=authorization_code&client_id={client['client_id']}&code={await world.code(client)}"
    with nothing_changes(world):
        for path in ("/token", "/revoke"):
            for headers in ({"Content-Type": content_type}, [("Content-Type", FORM["Content-Type"])] * 2):
                answer = await world.http.post(path, content=body, headers=headers)
                assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
            answer = await world.http.post(f"{path}?{body}", headers=FORM)
            assert answer.json()["error"] == "invalid_client"


@requirement("S-023", "A-105", "A-160", "A-055", "F-086", "D-20")
@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("parser", PARSERS)
async def test_a_body_that_is_too_large_is_refused_on_the_wire(world: World, parser: str, path: str) -> None:
    kind = "application/json" if path == "/register" else FORM["Content-Type"]
    head = f"POST {path} HTTP/1.1\r\nHost: as.test\r\nContent-Type: {kind}\r\n"
    async with serving(world.provider, parser) as port:
        declared = await spoken(port, f"{head}Content-Length: {2**40}\r\n\r\nx".encode())
        assert b" 413 " in declared.split(b"\r\n")[0]
        sent = await spoken(port, f"{head}Content-Length: 65537\r\n\r\n".encode() + b"x" * 65537)
        assert b" 413 " in sent.split(b"\r\n")[0]
        assert json.loads(sent.partition(b"\r\n\r\n")[2])["error"] == "invalid_request"
        chunks = b"2000\r\n" + b"x" * 8192 + b"\r\n"
        endless = await spoken(port, f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks * 9)
        assert b" 413 " in endless.split(b"\r\n")[0]
        for lie in ("-1", "0x10", "1, 2", "٣", "9" * 400):
            answer = await spoken(port, f"{head}Content-Length: {lie}\r\n\r\nx".encode())
            assert b" 4" in answer.split(b"\r\n")[0] or answer == b"", lie


@requirement("S-023", "A-283", "D-20")
@pytest.mark.parametrize("parser", PARSERS)
async def test_a_body_that_never_ends_is_refused_in_time(
    world: World, parser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "BODY_DEADLINE_SECONDS", 0.05)
    head = "POST /token HTTP/1.1\r\nHost: as.test\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    async with serving(world.provider, parser) as port:
        for framing in ("Content-Length: 100\r\n\r\ngrant", "Transfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n"):
            answer = await spoken(port, f"{head}{framing}".encode())
            assert b" 408 " in answer.split(b"\r\n")[0]
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"] == "invalid_request"


@requirement("A-283", "F-086", "S-022")
@pytest.mark.parametrize("parser", PARSERS)
async def test_requests_that_proxies_could_read_otherwise_have_one_answer_each(world: World, parser: str) -> None:
    inner = "POST /token HTTP/1.1\r\nHost: as.test\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    smuggled = "GET /api HTTP/1.1\r\nHost: as.test\r\n\r\n"
    async with serving(world.provider, parser) as port:
        for request in [
            f"{inner}Content-Length: 3\r\nContent-Length: 30\r\n\r\na=b{smuggled}",
            f"{inner}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{smuggled}",
            f"{inner}Content-Length : 3\r\n\r\na=b{smuggled}",
            f"{inner}Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n{smuggled}",
        ]:
            answer = await spoken(port, request.encode())
            assert b" 200 " not in answer
            assert b" 500 " not in answer
            assert answer.count(b"HTTP/1.1 ") <= 1


@requirement("F-085", "S-023")
async def test_a_client_that_leaves_before_its_request_is_complete_gets_nothing(world: World) -> None:
    for path in ENDPOINTS:
        kind = "application/json" if path == "/register" else FORM["Content-Type"]
        talk = Conversation(world.provider, asgi_scope(path, method="POST", headers={"content-type": kind}))
        talk.say("http.request", body=b'{"a', more_body=True)
        talk.say("http.disconnect")
        assert await talk.hear() is None


@requirement("A-285", "A-290", "S-020")
@pytest.mark.parametrize("issuer", ["http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]"])
async def test_a_server_of_this_machine_answers_to_names_of_this_machine_alone(issuer: str) -> None:
    paths = ["/", "/authorize", "/token", "/api", "/.well-known/oauth-authorization-server"]
    async with running_world(MemoryStore(), issuer=issuer) as world:
        for path in paths:
            for host in ("127.0.0.1", "127.0.0.1:8000", "localhost:9", "[::1]", "[::1]:8000"):
                assert (await world.http.get(path, headers={"Host": host})).status_code != 421, host
            for host in (
                "attacker.test",
                "attacker.test:8000",
                "127.0.0.1.attacker.test",
                "localhost.attacker.test:8000",
                "localhost@attacker.test",
                "attacker.test/127.0.0.1",
                "127.0.0.1:99999",
                "127.0.0.2",
                "127.1",
                "0.0.0.0",
                "",
                "localhost.",
            ):
                answer = await world.http.get(path, headers=[("Host", host), ("Origin", "http://attacker.test:8000")])
                assert answer.status_code == 421, host
            for hosts in ([], [b"localhost", b"localhost"], [b"\xe9"], [b"localhost\x00"]):
                scope = asgi_scope(path)
                scope["headers"] = [(b"host", host) for host in hosts]
                assert (await Conversation(world.provider, scope).answered())[0] == 421


@requirement("A-285")
async def test_a_public_server_does_not_care_for_the_host(world: World) -> None:
    for host in ("as.test", "internal:8080", "10.0.0.7", ""):
        assert (await world.http.get("/", headers={"Host": host})).text == "the site"


@requirement("S-246", "A-276", "S-024", "A-339", "A-343")
@pytest.mark.parametrize("path", [*ENDPOINTS, "/api", "/", "/x%0d%0ay", "/.well-known/oauth-authorization-server"])
async def test_while_the_store_cannot_be_opened_everything_is_503_and_later_it_works(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Closed(MemoryStore):
        failures = 1

        async def open(self) -> None:
            if self.failures:
                self.failures -= 1
                raise StoreUnavailable("no route to hunter2")

    provider = unopened(Closed())
    transport = httpx.ASGITransport(app=provider)
    async with httpx.AsyncClient(transport=transport, base_url="https://as.test") as http:
        with caplog.at_level("INFO"):
            answer = await http.get(path)
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        assert answer.headers["retry-after"] == "2"
        assert "hunter2" not in answer.text
        assert all("\n" not in record.getMessage() for record in caplog.records)
        assert (await http.get(path)).status_code != 503


@requirement("S-246", "S-473", "C-226")
async def test_an_error_is_told_with_the_client_it_concerns() -> None:
    heard: list[ErrorEvent] = []

    def note(event: ErrorEvent) -> None:
        heard.append(event)

    async with running_world(MemoryStore(), on_error=note) as world:
        client = await world.register(token_endpoint_auth_method="client_secret_basic")
        await world.exchange(client | {"client_secret": "x"}, "x")
        await world.exchange(client, "x")
    assert [(event.code, event.client_id) for event in heard][1] == ("invalid_grant", client["client_id"])


@requirement("A-054", "A-157", "S-009", "S-022")
async def test_hostile_forms_are_refused_and_never_an_error_of_the_server(world: World) -> None:
    bodies: list[Any] = [
        b"&".join(b"a%d=1" % n for n in range(2000)),
        b"=" * 60_000,
        b"%" * 1000,
        b"\x00",
        b"a=%00",
        b"a=\xff",
        b"grant_type=\xf0\x9f",
        b"a[]=1&a[__proto__]=2&client_id[$ne]=1",
        b"client_id=" + b"x" * 60_000,
        b"client_id=%F0%9F%A6%8A&grant_type=%F0%9F%A6%8A",
        b";" * 100,
    ]
    for path in ENDPOINTS:
        for body in bodies:
            answer = await world.http.post(path, content=body, headers=FORM)
            assert answer.status_code in (400, 401), (path, body[:20])


@requirement("S-246")
async def test_a_store_that_breaks_in_the_middle_is_a_503_at_every_endpoint() -> None:
    class Broken(MemoryStore):
        async def get_client(self, client_id: str) -> Client | None:
            raise StoreUnavailable("SELECT secret FROM oauth_clients")

    async with running_world(Broken()) as world:
        for path in ("/token", "/revoke"):
            answer = await world.http.post(path, data={"client_id": "x", "grant_type": "x", "token": "x"})
            assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
            assert answer.headers["retry-after"] == "2"
            assert "SELECT" not in answer.text
            assert answer.headers["access-control-allow-origin"] == "*"


@requirement("F-086")
@pytest.mark.parametrize("parser", PARSERS)
async def test_pipelined_requests_are_answered_in_order_each_as_itself(parser: str) -> None:
    async with running_world(MemoryStore()) as world:
        client = await world.register()
        users = [f"user-{number}" for number in range(8)]
        tokens = [(await world.tokens(client, headers={"x-user": user})).access for user in users]
        async with serving(world.provider, parser) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for token in tokens:
                writer.write(f"GET /api HTTP/1.1\r\nHost: as.test\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
            async with asyncio.timeout(10):
                said = await reader.read()
            writer.close()
        places = [said.find(f'"user":"{user}"'.encode()) for user in users]
        assert places == sorted(places)
        assert -1 not in places


@requirement("S-023", "A-158", "A-302", "D-20")
@pytest.mark.parametrize("parser", PARSERS)
async def test_a_body_that_was_too_large_leaves_no_connection_open(world: World, parser: str) -> None:
    head = f"POST /token HTTP/1.1\r\nHost: as.test\r\nContent-Type: {FORM['Content-Type']}\r\n"
    async with serving(world.provider, parser) as port:
        whole = await spoken(port, f"{head}Content-Length: 300010\r\n\r\n".encode() + b"x" * 300010)
        assert b" 413 " in whole.split(b"\r\n")[0]
        halted = await spoken(port, f"{head}Content-Length: 300010\r\n\r\n".encode() + b"x" * 100_000)
        assert b" 413 " in halted.split(b"\r\n")[0]
        assert b"connection: close" in halted.lower()
        giant = await spoken(port, f"{head}Content-Length: 5000000\r\n\r\n".encode())
        assert b" 413 " in giant.split(b"\r\n")[0]
        assert b"connection: close" in giant.lower()
