"""Bodies on their way: both directions at once, each at the pace of whoever takes it, and ended with its other end."""

from __future__ import annotations

import asyncio
import time

import pytest

from grantwell.front.failures import AnswerBroken
from tests.front.place import PATIENCE, Peer, Place, behind
from tests.resource.host import Talk, answering, http
from tests.wire.world import Conversation, asgi_scope

pytestmark = [pytest.mark.anyio, pytest.mark.system]
requirement = pytest.mark.requirement

MIB = 2**20
AT_ONCE = 1.0
"""Seconds in which the other side has to be let go."""


async def pieces(peer: Peer, size: int) -> None:
    """Send a body of this size in chunks of a MiB."""
    for _ in range(size // MIB):
        await peer.say(b"100000\r\n" + b"x" * MIB + b"\r\n")
    await peer.say(b"0\r\n\r\n")


async def everything(peer: Peer) -> None:
    """Read a body in chunks up to its end."""
    while await peer.piece():
        continue


@requirement("G-584")
async def test_an_upstream_may_answer_while_the_request_is_still_being_sent(place: Place) -> None:
    async with place.peer() as peer:
        await peer.say(place.request("POST /api/echo", "Transfer-Encoding: chunked"))
        sending = asyncio.create_task(pieces(peer, 32 * MIB))
        answer = await peer.answer()
        await sending
    assert (len(answer.body), answer.is_whole) == (32 * MIB, True)


@requirement("G-580", "G-585")
@pytest.mark.parametrize("framing", ["Transfer-Encoding: chunked", f"Content-Length: {8 * MIB}"])
async def test_large_bodies_arrive_whole(place: Place, framing: str) -> None:
    async with place.peer() as peer:
        await peer.say(place.request("POST /api/count", framing))
        if "chunked" in framing:
            await pieces(peer, 8 * MIB)
        else:
            await peer.say(b"x" * 8 * MIB)
        assert (await peer.answer()).body == str(8 * MIB).encode()
    down = await place.ask("GET /api/bytes?mib=32")
    assert (len(down.body), down.is_whole) == (32 * MIB, True)


@requirement("G-584")
async def test_an_event_arrives_before_the_next_one_exists(parser: str) -> None:
    wanted = asyncio.Queue[bytes]()

    async def events(talk: Talk) -> None:
        await talk.heard()
        await talk.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        while event := await wanted.get():
            await talk.say(b"%x\r\n%b\r\n" % (len(event), event))
        await talk.say(b"0\r\n\r\n")

    async with behind(events, parser) as (place, _), place.peer() as peer:
        await peer.say(place.request("GET /api/events"))
        status, headers = await peer.head()
        assert (status, dict(headers)["content-type"]) == (200, "text/event-stream")
        for number in range(3):
            event = f"data: {number}\n\n".encode()
            wanted.put_nowait(event)
            assert await peer.piece() == event
        wanted.put_nowait(b"")
        assert await peer.piece() == b""


@requirement("G-585")
async def test_a_client_sends_no_faster_than_the_upstream_reads(parser: str) -> None:
    go_on = asyncio.Event()
    size = 64 * MIB

    async def reading_late(talk: Talk) -> None:
        await talk.head()
        await go_on.wait()
        await talk.exactly(size)
        await talk.say(http(b"all"))

    async with behind(reading_late, parser) as (place, _), place.peer() as peer:
        await peer.say(place.request("PUT /api/x", f"Content-Length: {size}"))
        sending = asyncio.create_task(peer.say(b"x" * size))
        done, _ = await asyncio.wait({sending}, timeout=AT_ONCE)
        assert not done
        go_on.set()
        await sending
        assert (await peer.answer()).body == b"all"


@requirement("G-585")
async def test_the_upstream_is_read_no_faster_than_the_client_reads(parser: str) -> None:
    size = 64 * MIB
    sent = asyncio.Event()

    async def sending(talk: Talk) -> None:
        await talk.heard()
        await talk.say(http(b"x" * size))
        sent.set()

    async with behind(sending, parser) as (place, _), place.peer() as peer:
        await peer.say(place.request("GET /api/x"))
        waiting = asyncio.create_task(sent.wait())
        done, _ = await asyncio.wait({waiting}, timeout=AT_ONCE)
        assert not done
        assert len((await peer.answer()).body) == size
        await waiting


@requirement("G-586")
@pytest.mark.parametrize("moment", ["before the answer", "in the answer", "in the request"])
async def test_a_client_that_goes_takes_its_request_with_it(parser: str, moment: str) -> None:
    reached, gone = asyncio.Event(), asyncio.Event()

    async def waiting(talk: Talk) -> None:
        await talk.head()
        if moment == "in the answer":
            await talk.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
        reached.set()
        await talk.ended()
        gone.set()

    async with behind(waiting, parser) as (place, _):
        async with place.peer() as peer:
            await peer.say(place.request("POST /api/x", f"Content-Length: {4 if moment == 'in the request' else 0}"))
            if moment == "in the answer":
                await peer.head()
                assert await peer.piece() == b"hi"
            async with asyncio.timeout(PATIENCE):
                await reached.wait()
        async with asyncio.timeout(AT_ONCE):
            await gone.wait()


@requirement("G-586")
async def test_an_event_stream_ends_in_the_upstream_when_its_client_is_killed(place: Place) -> None:
    async with place.peer() as peer:
        await peer.say(place.request("GET /api/events"))
        await peer.head()
        assert await peer.piece() == b"data: 0\n\n"
    assert place.upstream is not None
    started = time.monotonic()
    await place.upstream.noticed("gone")
    assert time.monotonic() - started < AT_ONCE


@requirement("G-586")
async def test_an_event_stream_ends_for_the_client_when_the_upstream_is_killed(place: Place) -> None:
    assert place.upstream is not None
    async with place.peer() as peer:
        await peer.say(place.request("GET /api/events"))
        await peer.head()
        assert await peer.piece() == b"data: 0\n\n"
        place.upstream.process.kill()
        started = time.monotonic()
        with pytest.raises(asyncio.IncompleteReadError):
            await everything(peer)
        assert time.monotonic() - started < AT_ONCE


CUT_OFF = {
    "by its length": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
    "in chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    "within a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf",
    "by a chunk that is none": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
}


@requirement("G-586")
@pytest.mark.parametrize("raw", CUT_OFF.values(), ids=CUT_OFF)
async def test_an_answer_that_was_cut_off_does_not_end_as_if_it_were_whole(
    parser: str, raw: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def dying(talk: Talk) -> None:
        await talk.heard()
        await talk.say(raw)

    async with behind(dying, parser) as (place, _):
        answer = await place.ask("GET /api/x")
        assert (answer.status, answer.is_whole) == (200, False)
        # No middleware between front and server can take the end of the call for the end of the answer.
        headers = {"authorization": f"Bearer {place.token}"}
        talk = Conversation(place.world.provider, asgi_scope("/api/x", headers=headers))
        talk.say("http.request")
        with pytest.raises(AnswerBroken):
            await talk.answered()
    lines = [record.getMessage() for record in caplog.records if record.name == "grantwell"]
    assert len([line for line in lines if line.startswith("an answer of the upstream 127.0.0.1:")]) == 2


@requirement("G-584", "G-586")
async def test_an_upstream_may_refuse_a_body_that_it_has_not_read(parser: str) -> None:
    refusal = http(b"too large", "Connection: close", status="413 Payload Too Large")

    async def refusing(talk: Talk) -> None:
        await talk.head()
        await talk.say(refusal)

    async with behind(refusing, parser) as (place, _), place.peer() as peer:
        await peer.say(place.request("POST /api/x", f"Content-Length: {64 * MIB}"))
        sending = asyncio.create_task(peer.say(b"x" * 64 * MIB))
        answer = await peer.answer()
        assert (answer.status, answer.body) == (413, b"too large")
        assert answer.header("connection") == "close"
        sending.cancel()
        await asyncio.wait({sending})


@requirement("G-586", "A-273")
async def test_a_token_that_is_revoked_ends_its_stream_on_both_sides(parser: str) -> None:
    gone = asyncio.Event()

    async def endless(talk: Talk) -> None:
        await talk.heard()
        await talk.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
        await talk.ended()
        gone.set()

    async with behind(endless, parser) as (place, _), place.peer() as peer:
        await peer.say(place.request("GET /api/x"))
        await peer.head()
        assert await peer.piece() == b"hi"
        await place.world.revoke(place.client, place.token)
        calls = place.world.provider._guard.open_calls
        for opened in calls._open:
            opened.opened_at = 0.0
        await calls.recheck()
        async with asyncio.timeout(PATIENCE):
            await gone.wait()
        with pytest.raises(asyncio.IncompleteReadError):
            await peer.piece()


@requirement("G-588")
async def test_connections_are_kept_and_used_again(parser: str) -> None:
    async with behind(answering(http(b"ok")), parser) as (place, host):
        for _ in range(3):
            assert (await place.ask("POST /api/x", "Content-Length: 4", body=b"body")).body == b"ok"
        assert (host.connections, len(host.requests)) == (1, 3)
