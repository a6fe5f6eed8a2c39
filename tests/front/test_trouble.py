"""An upstream that is down, slow, full or mad: what the client is told, and what is tried again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable

import pytest

from tests.front.place import Answer, behind, fronted
from tests.resource.host import Talk, answering, http, until

pytestmark = [pytest.mark.anyio, pytest.mark.system]
requirement = pytest.mark.requirement

SHORT = 0.2


def told(answer: Answer, status: int, code: str) -> None:
    """Check that an answer is the front's own, and says nothing about the upstream."""
    assert (answer.status, answer.is_whole) == (status, True)
    assert answer.header("content-type") == "application/json"
    assert answer.header("cache-control") == "no-store"
    assert f'"error":"{code}","error_description":"' in answer.body.decode()
    assert b"127.0.0.1" not in answer.body


@requirement("G-587")
async def test_an_upstream_that_is_down_is_a_502_and_named_in_the_log(
    parser: str, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with fronted(f"http://127.0.0.1:{port}", parser) as place:
        with caplog.at_level(logging.WARNING, "grantwell"):
            told(await place.ask("GET /api/x"), 502, "bad_gateway")
            told(await place.ask("POST /api/x", "Content-Length: 4", body=b"body"), 502, "bad_gateway")
    lines = [record.getMessage() for record in caplog.records if record.name == "grantwell"]
    assert [line.startswith(f"the upstream 127.0.0.1:{port}: no connection (") for line in lines] == [True, True]


@requirement("G-587")
async def test_an_upstream_that_does_not_accept_is_a_504(parser: str) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
        port = deaf.getsockname()[1]
        # The kernel lets nobody in once those wait that nobody accepts.
        waiting = [socket.socket() for _ in range(2)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        async with fronted(f"http://127.0.0.1:{port}", parser, connect_timeout=SHORT) as place:
            told(await place.ask("GET /api/x"), 504, "gateway_timeout")
        for one in waiting:
            one.close()


async def silent(talk: Talk) -> None:
    """A host that never answers."""
    await talk.head()
    await talk.ended()


@requirement("G-587")
async def test_an_upstream_that_does_not_answer_is_a_504_and_let_go(parser: str) -> None:
    async with behind(silent, parser, response_timeout=SHORT) as (place, host):
        told(await place.ask("GET /api/x"), 504, "gateway_timeout")
        await until(lambda: host.open == 0)


@requirement("G-587")
async def test_the_time_to_answer_begins_when_the_request_was_sent(parser: str) -> None:
    answered = answering(http(b"ok"))
    async with behind(answered, parser, response_timeout=SHORT) as (place, _), place.peer() as peer:
        await peer.say(place.request("POST /api/x", "Content-Length: 4"))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * SHORT):
                await peer.head()
        await peer.say(b"body")
        assert (await peer.answer()).body == b"ok"


async def stalling(talk: Talk) -> None:
    """A host that stops in the middle of its answer, and does not read a body."""
    head = await talk.head()
    if head.startswith(b"GET"):
        await talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
    await asyncio.Event().wait()


@requirement("G-587")
async def test_whoever_stalls_within_a_body_is_waited_for_no_longer_than_configured(parser: str) -> None:
    async with behind(stalling, parser, idle_timeout=SHORT) as (place, _), place.peer() as peer:
        assert not (await place.ask("GET /api/x")).is_whole
        told(await place.ask("POST /api/x", "Content-Length: 4", body=b"ha"), 408, "invalid_request")
        await peer.say(place.request("POST /api/x", f"Content-Length: {2**26}"))
        sending = asyncio.create_task(peer.say(b"x" * 2**26))
        told(await peer.answer(), 504, "gateway_timeout")
        sending.cancel()
        await asyncio.wait({sending})


@requirement("G-587")
async def test_more_requests_than_may_be_open_are_told_to_try_again(parser: str) -> None:
    async with behind(silent, parser, max_connections=1, connect_timeout=SHORT) as (place, host):
        async with place.peer() as first:
            await first.say(place.request("GET /api/x"))
            await until(lambda: host.open == 1)
            answer = await place.ask("GET /api/x")
            told(answer, 503, "temporarily_unavailable")
            assert answer.header("retry-after") == "2"
        await until(lambda: host.open == 0)
        host.script = answering(http(b"ok"))
        assert (await place.ask("GET /api/x")).body == b"ok"


MAD = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "nothing": b"",
    "a status of its own": b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "an unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
    "control bytes": b"HTTP/1.1 200 OK\r\nX-A: a\x01b\r\nContent-Length: 0\r\n\r\n",
    "headers without an end": b"HTTP/1.1 200 OK\r\nX-A: " + b"x" * 100_000,
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
}


@requirement("G-587", "G-589")
@pytest.mark.parametrize("raw", MAD.values(), ids=MAD)
async def test_an_upstream_that_does_not_speak_http_is_a_502(parser: str, raw: bytes) -> None:
    async def mad(talk: Talk) -> None:
        await talk.heard()
        await talk.say(raw)

    async with behind(mad, parser) as (place, host):
        told(await place.ask("GET /api/x"), 502, "bad_gateway")
        assert host.connections == 1


def dying_at(second: Callable[[Talk], Awaitable[None]]) -> Callable[[Talk], Awaitable[None]]:
    """A host whose first connection answers one request, and treats the next one as it is told."""

    async def script(talk: Talk) -> None:
        await talk.heard()
        await talk.say(http(b"first"))
        await talk.heard()
        await second(talk)

    return script


async def without_a_word(talk: Talk) -> None:
    """The connection ends."""


async def after_a_word(talk: Talk) -> None:
    """The connection ends within an answer."""
    await talk.say(b"HTTP/1.1 200")


@requirement("G-588")
@pytest.mark.parametrize(
    ("line", "field", "body", "second", "status"),
    [
        ("GET /api/x", "X-A: b", b"", without_a_word, 200),
        ("DELETE /api/x", "Content-Length: 0", b"", without_a_word, 200),
        ("GET /api/x", "X-A: b", b"", after_a_word, 502),
        ("POST /api/x", "Content-Length: 0", b"", without_a_word, 502),
        ("PUT /api/x", "Content-Length: 4", b"body", without_a_word, 502),
    ],
)
async def test_a_kept_connection_that_ends_is_replaced_if_the_request_may_be_repeated(
    line: str, field: str, body: bytes, second: Callable[[Talk], Awaitable[None]], status: int
) -> None:
    async with behind(dying_at(second)) as (place, host):
        assert (await place.ask("GET /api/x")).body == b"first"
        assert (await place.ask(line, field, body=body)).status == status
        assert host.connections == (2 if status == 200 else 1)


@requirement("G-588")
async def test_a_fresh_connection_that_ends_is_not_tried_again() -> None:
    async def hanging_up(talk: Talk) -> None:
        await talk.heard()

    async with behind(hanging_up) as (place, host):
        told(await place.ask("GET /api/x"), 502, "bad_gateway")
        assert host.connections == 1


STOLEN = http(b"somebody else's answer")


@requirement("G-589")
@pytest.mark.parametrize("is_late", [False, True])
async def test_what_an_upstream_says_unasked_is_nobodys_answer(parser: str, is_late: bool) -> None:
    spoken = asyncio.Event()

    async def saying_more(talk: Talk) -> None:
        await talk.heard()
        if talk.number > 0:
            await talk.say(http(b"right"))
        elif is_late:
            await talk.say(http(b"right"))
            await spoken.wait()
            await talk.say(STOLEN)
        else:
            await talk.say(http(b"right") + STOLEN)
        await talk.ended()

    async with behind(saying_more, parser) as (place, host):
        assert (await place.ask("GET /api/x")).body == b"right"
        spoken.set()
        await until(lambda: host.open == 0)
        assert (await place.ask("GET /api/x")).body == b"right"
        assert host.connections == 2


@requirement("G-589")
async def test_a_body_that_an_answer_must_not_have_is_nobodys_answer() -> None:
    async def answering_with_a_body(talk: Talk) -> None:
        await talk.heard()
        await talk.say(http(b"right") if talk.number else b"HTTP/1.1 304 Not Modified\r\n\r\n" + STOLEN)
        await talk.ended()

    async with behind(answering_with_a_body) as (place, _):
        assert (await place.ask("GET /api/x")).status == 304
        assert (await place.ask("GET /api/x")).body == b"right"
