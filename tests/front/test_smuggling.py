"""Requests that two programs could read differently (RFC 9112 section 11.2): the upstream sees one of them, or none."""

from __future__ import annotations

from dataclasses import dataclass, field

import h11
import pytest

from tests.front.place import Place, behind
from tests.resource.host import Talk, http
from tests.wire.world import spoken

pytestmark = [pytest.mark.anyio, pytest.mark.system]
requirement = pytest.mark.requirement


@dataclass
class Strict:
    """An upstream that notes each request as a strict reader takes it, and every byte that no such reader would."""

    requests: list[tuple[bytes, bytes, dict[bytes, bytes], bytes]] = field(default_factory=list)
    mad: list[str] = field(default_factory=list)

    async def script(self, talk: Talk) -> None:
        """One connection."""
        connection = h11.Connection(h11.SERVER)
        request, body = None, b""
        while True:
            try:
                event = connection.next_event()
            except h11.RemoteProtocolError as error:
                if not str(error).startswith("peer closed connection"):
                    # A request that ends with its connection is none.
                    self.mad.append(str(error))
                return
            if event is h11.NEED_DATA:
                connection.receive_data(await talk.some())
            elif isinstance(event, h11.Request):
                request, body = event, b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                self.requests.append((request.method, request.target, dict(request.headers), body))
                await talk.say(http(b"ok"))
                for part in (h11.Response(status_code=200, headers=[("Content-Length", "0")]), h11.EndOfMessage()):
                    connection.send(part)
                connection.start_next_cycle()
            else:
                return


SMUGGLED = "GET /api/smuggled HTTP/1.1\r\nHost: as.test\r\n\r\n"

NASTY = {
    "length and chunks": ("POST", ["Content-Length: 6", "Transfer-Encoding: chunked"], "0\r\n\r\n" + SMUGGLED),
    "chunks and length": ("POST", ["Transfer-Encoding: chunked", "Content-Length: 60"], "0\r\n\r\n" + SMUGGLED),
    "an unknown coding": ("POST", ["Transfer-Encoding: xchunked", "Content-Length: 0"], SMUGGLED),
    "two codings": ("POST", ["Transfer-Encoding: chunked, identity"], "0\r\n\r\n" + SMUGGLED),
    "chunked twice": ("POST", ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], "0\r\n\r\n" + SMUGGLED),
    "identity": ("POST", ["Transfer-Encoding: identity", "Content-Length: 0"], SMUGGLED),
    "a vertical tab": ("POST", ["Transfer-Encoding: \x0bchunked"], "0\r\n\r\n" + SMUGGLED),
    "a folded coding": ("POST", ["Transfer-Encoding:\r\n chunked"], "0\r\n\r\n" + SMUGGLED),
    "two lengths": ("POST", ["Content-Length: 0", "Content-Length: 48"], SMUGGLED),
    "a list of lengths": ("POST", ["Content-Length: 0, 48"], SMUGGLED),
    "a length with a sign": ("POST", ["Content-Length: +0"], SMUGGLED),
    "a length in hexadecimal": ("POST", ["Content-Length: 0x0"], SMUGGLED),
    "a length with a blank": ("POST", ["Content-Length : 48"], SMUGGLED),
    "an underscore": ("POST", ["Content_Length: 48", "Transfer_Encoding: chunked", "Content-Length: 0"], SMUGGLED),
    "a nominated length": ("POST", ["Connection: content-length", "Content-Length: 4"], "body" + SMUGGLED),
    "a nominated coding": ("POST", ["Connection: transfer-encoding", "Transfer-Encoding: chunked"], "0\r\n\r\n"),
    "a folded header": ("GET", ["X-A: b\r\n X-Grantwell-User: eve"], ""),
    "a line feed alone": ("GET", ["X-A: b\nX-Grantwell-User: eve"], ""),
    "a carriage return alone": ("GET", ["X-A: b\rX-Grantwell-User: eve"], ""),
    "a zero": ("GET", ["X-A: b\x00X-Grantwell-User: eve"], ""),
    "a control byte": ("GET", ["X-A: b\x01c"], ""),
    "a name with a blank": ("GET", ["X-Grantwell-User : eve"], ""),
    "a name that is none": ("GET", ["X-Grantwell-\xdcser: eve"], ""),
    "a chunk without an end": ("POST", ["Transfer-Encoding: chunked"], "4\r\nbodyX\r\n0\r\n\r\n"),
    "a chunk too large": ("POST", ["Transfer-Encoding: chunked"], "f" * 30 + "\r\nx"),
    "a chunk with an extension": ("POST", ["Transfer-Encoding: chunked"], "4;a=\nb\r\nbody\r\n0\r\n\r\n"),
    "a trailer": ("POST", ["Transfer-Encoding: chunked"], "0\r\nX-Grantwell-User: eve\r\n\r\n"),
    "a body of a get": ("GET", [f"Content-Length: {len(SMUGGLED)}"], SMUGGLED),
}


@requirement("G-589", "A-283")
@pytest.mark.parametrize(("method", "fields", "rest"), NASTY.values(), ids=NASTY)
async def test_of_a_request_that_can_be_read_twice_nothing_else_arrives(
    parser: str, method: str, fields: list[str], rest: str
) -> None:
    strict = Strict()
    async with behind(strict.script, parser) as (place, _):
        answer = await spoken(place.port, _bytes(place, f"{method} /api/x", fields, rest))
        assert answer.startswith(b"HTTP/1.1 ") or answer == b""
    assert strict.mad == []
    assert len(strict.requests) <= 1
    for request_method, target, headers, body in strict.requests:
        assert (request_method, target) == (method.encode(), b"/api/x")
        assert headers[b"x-grantwell-user"] == b"u1"
        assert not {b"content-length", b"transfer-encoding"} <= set(headers)
        # A body is there only if the server in front took it for one.
        assert body in (b"", b"body") or method == "GET"


def _bytes(place: Place, line: str, fields: list[str], rest: str) -> bytes:
    return place.request(line, *fields, body=rest.encode("latin-1"))


TARGETS = {
    "raw bytes": "/api/caf\xe9",
    "a blank": "/api/a b",
    "a fragment": "/api/a#b",
    "a backslash": "/api/..\\x",
    "a whole URL": "http://evil.test/api/x",
    "another host": "//evil.test/api/x",
    "a way out": "/api/../x",
    "a hidden way out": "/api/%2e%2e/x",
    "a hidden slash": "/api/..%2fx",
    "parameters": "/api/..;a=b/x",
    "a line end": "/api/%0d%0aX-Grantwell-User:eve",
}


@requirement("G-589", "A-264")
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
async def test_no_target_reaches_a_path_outside_of_the_prefix(parser: str, target: str) -> None:
    strict = Strict()
    async with behind(strict.script, parser) as (place, _):
        await spoken(place.port, _bytes(place, f"GET {target}", [], ""))
    assert strict.mad == []
    for _, seen, headers, _ in strict.requests:
        assert seen.startswith(b"/api/")
        assert not [way for way in (b"..", b"%2e", b"%0d", b"#", b"\\") if way in seen.lower()]
        assert headers[b"x-grantwell-user"] == b"u1"
