"""What passes the front, byte for byte, and what does not (RFC 9110 sections 7.6, 10.1, 15.2)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from grantwell import ConfigurationError, ExternalToken, ExternalTokenCheck
from grantwell.front import Front
from tests.front.place import Place, behind, fronted, node
from tests.resource.host import Talk, answering, hosted, http
from tests.wire.world import Conversation, asgi_scope

pytestmark = [pytest.mark.anyio, pytest.mark.system]
requirement = pytest.mark.requirement


async def seen(place: Place, line: str, *fields: str, body: bytes = b"") -> tuple[dict[str, Any], dict[str, list[str]]]:
    """What the upstream saw of a request: the whole of it, and its headers by lower-case name."""
    answer = await place.ask(line, *fields, body=body)
    assert answer.status == 200, answer
    document = json.loads(answer.body)
    headers: dict[str, list[str]] = {}
    for name, value in zip(document["headers"][::2], document["headers"][1::2], strict=True):
        headers.setdefault(name.lower(), []).append(value)
    return document, headers


@requirement("G-580")
async def test_method_path_query_and_headers_arrive_as_they_were_sent(place: Place) -> None:
    fields = (
        "Accept: text/*;q=0.5",
        "X-One: 1",
        "X-One: 2",
        "My_Header: kept",
        "X-Latin: caf\u00e9",
        "Cookie: a=1; b=2",
    )
    document, headers = await seen(place, "PATCH /api/seen?a=%2F+%zz&&=;x=%E2%82%AC", *fields, "Content-Length: 0")
    assert (document["method"], document["url"]) == ("PATCH", "/api/seen?a=%2F+%zz&&=;x=%E2%82%AC")
    assert headers["accept"] == ["text/*;q=0.5"]
    assert headers["x-one"] == ["1", "2"]
    assert headers["my_header"] == ["kept"]
    assert headers["x-latin"] == ["caf\u00e9"]
    assert headers["cookie"] == ["a=1; b=2"]
    assert headers["content-length"] == ["0"]


@requirement("G-581")
async def test_who_calls_arrives_in_headers_and_the_token_does_not(place: Place) -> None:
    document, headers = await seen(place, "GET /api/seen")
    assert headers["x-grantwell-user"] == ["u1"]
    assert headers["x-grantwell-client"] == [place.client["client_id"]]
    assert len(headers["x-grantwell-grant"]) == 1
    assert headers["x-grantwell-scopes"] == ["notes:read notes:write"]
    assert "authorization" not in headers
    assert place.token not in json.dumps(document)


SPOOFS = (
    "X-Grantwell-User: eve",
    "x-grantwell-user: eve",
    "X_Grantwell_User: eve",
    "X-Grantwell_User: eve",
    "X.Grantwell.User: eve",
    "X-GRANTWELL-ANYTHING: eve",
    "X_GRANTWELL-SCOPES: eve",
)


@requirement("G-581", "A-270")
@pytest.mark.parametrize("trick", ["", "x-grantwell-user", "x-grantwell-user, x-grantwell-scopes, close"])
async def test_nobody_else_can_say_who_calls(place: Place, trick: str) -> None:
    fields = [*SPOOFS, *([f"Connection: {trick}"] if trick else [])]
    document, headers = await seen(place, "GET /api/seen", *fields)
    assert "eve" not in json.dumps(document)
    assert headers["x-grantwell-user"] == ["u1"]
    assert headers["x-grantwell-scopes"] == ["notes:read notes:write"]


@requirement("G-581")
async def test_a_user_id_cannot_leave_its_header_or_pass_for_another(parser: str) -> None:
    users = {
        "github:j\u00f6rg": "github:j%C3%B6rg",
        "eve\r\nX-Admin: 1": "eve%0D%0AX-Admin:%201",
        " u1 ": "%20u1%20",
        "100%": "100%25",
        "\ud800": "%ED%A0%80",
    }
    ids = list(users)

    def resolve(check: ExternalTokenCheck) -> ExternalToken:
        return ExternalToken(user_id=ids[int(check.token)], props=None, audience=[check.resource], scopes=["notes"])

    provider = {"resolve_external_token": resolve}
    async with node() as upstream, fronted(upstream.url, parser, provider=provider) as place:
        for number, user in enumerate(ids):
            place.token = str(number)
            _, headers = await seen(place, "GET /api/seen")
            assert headers["x-grantwell-user"] == [users[user]]
            assert headers["x-grantwell-scopes"] == ["notes notes:read notes:write"]
            assert not {"x-admin", "x-grantwell-client", "x-grantwell-grant"} & set(headers)


@requirement("G-581")
async def test_the_cookies_of_the_sign_in_pages_stay_here(place: Place) -> None:
    cookie = "Cookie: a=1; __Host-grantwell=secret; grantwell-dev=secret;b=2;__host-Grantwell-x=secret"
    _, headers = await seen(place, "GET /api/seen", cookie)
    assert headers["cookie"] == ["a=1; b=2"]
    _, headers = await seen(place, "GET /api/seen", "Cookie: __Host-grantwell=secret")
    assert "cookie" not in headers


@requirement("G-582")
async def test_what_is_for_one_hop_alone_stays_on_it(place: Place) -> None:
    fields = (
        "Connection: keep-alive, X-Mine , te",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: x",
        "Proxy-Authorization: Basic eA==",
        "TE: trailers",
        "Trailer: x",
        "Upgrade: h2c",
        "HTTP2-Settings: x",
        "X-Mine: x",
        "X-Yours: y",
    )
    _, headers = await seen(place, "GET /api/seen", *fields)
    # Node writes no Connection header of the front's: there is none.
    assert set(headers) == {
        "host",
        "x-yours",
        *("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded"),
        *("x-grantwell-user", "x-grantwell-client", "x-grantwell-grant", "x-grantwell-scopes"),
    }


@requirement("G-583")
async def test_where_a_request_came_from_is_what_the_server_knows(place: Place) -> None:
    lies = (
        "X-Forwarded-For: 6.6.6.6",
        "X_Forwarded_For: 6.6.6.6",
        "X-Forwarded-Proto: gopher",
        "X-Forwarded-Host: evil.test",
        "X-Forwarded-Prefix: /evil",
        "Forwarded: for=6.6.6.6",
        "X-Real-IP: 6.6.6.6",
        "X-Original-URL: /evil",
        "X-Rewrite-URL: /evil",
    )
    document, headers = await seen(place, "GET /api/seen", *lies)
    assert place.upstream is not None
    assert headers["host"] == [place.upstream.url.removeprefix("http://")]
    assert headers["x-forwarded-for"] == ["127.0.0.1"]
    assert headers["x-forwarded-proto"] == ["https"]
    assert headers["x-forwarded-host"] == ["as.test"]
    assert headers["forwarded"] == ['for=127.0.0.1;host="as.test";proto=https']
    assert not [word for word in ("evil", "6.6.6.6", "gopher") if word in json.dumps(document)]


@requirement("G-583")
async def test_a_trusted_proxy_tells_the_address(parser: str) -> None:
    provider = {"trusted_proxies": ["127.0.0.1"]}
    async with node() as upstream, fronted(upstream.url, parser, provider=provider) as place:
        _, headers = await seen(place, "GET /api/seen", "X-Forwarded-For: 6.6.6.6, 2001:db8::1")
        assert headers["x-forwarded-for"] == ["2001:db8::1"]
        assert headers["forwarded"] == ['for="[2001:db8::1]";host="as.test";proto=https']


@requirement("G-580")
async def test_the_prefix_is_kept_or_stripped_as_configured(parser: str) -> None:
    async with hosted(answering(http(b"ok"))) as host:
        upstream = host.url.removesuffix("/introspect")
        cases: list[tuple[str, dict[str, Any], dict[str, str]]] = [
            ("", {}, {"/api/x?q": "/api/x?q", "/api": "/api", "/%61pi/%78": "/%61pi/%78"}),
            ("/v2", {}, {"/api/x": "/v2/api/x"}),
            ("/v2/", {"strip_prefix": True}, {"/api/x?q": "/v2/x?q", "/api": "/v2/", "/%61p%69/%78": "/v2/%78"}),
        ]
        for base, options, lines in cases:
            async with fronted(upstream + base, parser, **options) as place:
                for sent, expected in lines.items():
                    host.requests.clear()
                    assert (await place.ask(f"GET {sent}")).body == b"ok"
                    assert host.requests[0].startswith(f"GET {expected} HTTP/1.1\r\n".encode())
                    assert (b"\r\nx-forwarded-prefix: /api\r\n" in host.requests[0]) == bool(options)


@requirement("G-580")
async def test_answers_come_back_as_the_upstream_gave_them(place: Place) -> None:
    answer = await place.ask("GET /api/bytes?mib=1")
    assert (answer.status, len(answer.body)) == (200, 2**20)
    assert answer.header("content-length") == str(2**20)
    assert answer.header("transfer-encoding") is None
    assert len(answer.header_list("date")) == 1
    moved = await place.ask("GET /api/moved")
    assert (moved.status, moved.header("location")) == (302, "https://as.test/api/seen?a=b")
    assert moved.header_list("set-cookie") == ["a=1", "b=2"]
    assert (await place.ask("GET /api/nowhere")).body == b"nothing"


@requirement("G-592")
async def test_ranges_heads_and_trailers(place: Place) -> None:
    part = await place.ask("GET /api/file", "Range: bytes=2-4")
    assert (part.status, part.body, part.header("content-range")) == (206, b"234", "bytes 2-4/10")
    head = await place.ask("HEAD /api/bytes?mib=3")
    assert (head.status, head.header("content-length"), head.body) == (200, str(3 * 2**20), b"")
    trailers = await place.ask("GET /api/trailers")
    assert (trailers.body, trailers.is_whole) == (b"body", True)
    assert trailers.header("trailer") is None


@requirement("G-592")
@pytest.mark.parametrize(
    ("raw", "status", "body"),
    [
        (b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 900\r\nETag: x\r\n\r\n", 304, b""),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
        (b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nup to the end", 200, b"up to the end"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x00", 200, b"\x1f\x8b\x00"),
        (b"HTTP/1.1 200 OK\r\nX-Big: " + b"x" * 60_000 + b"\r\nContent-Length: 0\r\n\r\n", 200, b""),
    ],
    ids=["204", "304 with a length", "informational", "up to the end", "encoded", "a large header"],
)
async def test_answers_of_every_shape_are_passed_on(parser: str, raw: bytes, status: int, body: bytes) -> None:
    async def once(talk: Talk) -> None:
        await talk.heard()
        await talk.say(raw)

    async with behind(once, parser) as (place, _):
        answer = await place.ask("GET /api/x")
        assert (answer.status, answer.body, answer.is_whole) == (status, body, True)


@requirement("G-592")
async def test_a_body_that_waits_to_be_asked_for_is_sent_when_the_upstream_asks(parser: str) -> None:
    async def asking(talk: Talk) -> None:
        head = await talk.head()
        assert b"\r\nexpect: 100-continue\r\n" in head
        if b"/api/no" in head:
            await talk.say(http(b"too large", "Connection: close", status="413 Payload Too Large"))
            return
        await talk.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        await talk.say(http(await talk.exactly(4)))

    async with behind(asking, parser) as (place, _):
        async with place.peer() as peer:
            await peer.say(place.request("POST /api/yes", "Content-Length: 4", "Expect: 100-continue"))
            assert (await peer.head())[0] == 100
            await peer.say(b"body")
            assert (await peer.answer()).body == b"body"
        async with place.peer() as peer:
            await peer.say(place.request("POST /api/no", "Content-Length: 4", "Expect: 100-continue"))
            status, headers = await peer.head()
            assert (status, ("connection", "close") in headers) == (413, True)


def called(place: Place, headers: Mapping[str, str], **changes: Any) -> Conversation:
    """A call of a server that is not bound to what HTTP/1.1 wants."""
    whole = {"authorization": f"Bearer {place.token}", **headers}
    scope = asgi_scope("/api/count", headers=whole)
    return Conversation(place.world.provider, {**scope, "method": "POST", **changes})


@requirement("G-580", "G-589")
async def test_a_body_of_http_2_needs_no_length(place: Place) -> None:
    talk = called(place, {}, http_version="2", raw_path=None)
    for piece in (b"one", b"two"):
        talk.say("http.request", body=piece, more_body=piece == b"one")
    status, _, body = await talk.answered()
    assert (status, body) == (200, b"6")


@requirement("G-589")
@pytest.mark.parametrize(
    ("headers", "changes"),
    [
        ({"content-length": "2"}, {}),
        ({"content-length": "8"}, {}),
        ({"x-a": "b\nc"}, {}),
        ({"x a": "b"}, {}),
        ({}, {"method": "P OST"}),
        ({}, {"raw_path": b"/api/count\n"}),
        ({}, {"query_string": b"a b"}),
    ],
)
async def test_a_server_that_breaks_the_rules_of_http_is_not_believed(
    place: Place, headers: dict[str, str], changes: dict[str, Any]
) -> None:
    talk = called(place, headers, **changes)
    talk.say("http.request", body=b"body")
    assert (await talk.answered())[0] == 400


@requirement("G-597")
async def test_tunnels_and_echoes_are_refused(place: Place) -> None:
    answer = await place.ask("TRACE /api/seen")
    assert (answer.status, answer.header("allow")) == (405, "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT")
    assert b"u1" not in answer.body


@requirement("G-597")
async def test_a_front_without_a_guard_serves_nobody() -> None:
    with pytest.raises(RuntimeError, match="below a guard"):
        await Conversation(Front("http://127.0.0.1:9"), asgi_scope("/api")).answered()


@requirement("G-597")
@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("upstream", {"upstream": "127.0.0.1:9000"}),
        ("upstream", {"upstream": "unix:/run/api.sock"}),
        ("upstream", {"upstream": "http://127.0.0.1:9000/?q"}),
        ("upstream", {"upstream": "http://user@127.0.0.1:9000"}),
        ("upstream", {"upstream": "http://127.0.0.1:9000/a/../b"}),
        ("connect_timeout", {"connect_timeout": 0}),
        ("response_timeout", {"response_timeout": -1}),
        ("idle_timeout", {"idle_timeout": "60"}),
        ("max_connections", {"max_connections": True}),
        ("max_message_bytes", {"max_message_bytes": 0}),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_name(field: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Front(options.pop("upstream", "http://127.0.0.1:9000"), **options)
    assert refusal.value.field == field
