"""The connections to an authorization server: few, kept, verified, and never a way to somebody else's answer."""

from __future__ import annotations

import asyncio
import gc
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from grantwell._urls import parse_http_url
from grantwell.resource import authorization_server, connections
from grantwell.testing import FrozenClock
from tests.outbound.certificates import Authority
from tests.resource.host import Host, Script, Talk, answering, claims, hosted, http, token_in, until
from tests.resource.place import Issuer, Place, place_of
from tests.resource.test_answers import assert_unavailable
from tests.wire.world import Conversation, asgi_scope

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

GOOD = http(claims())


@asynccontextmanager
async def asking(script: Script, **options: Any) -> AsyncIterator[tuple[Place, Host]]:
    """A resource server that asks a host with this script; `options` go to the host."""
    async with hosted(script, **options) as host, asking_at(host.url) as place:
        yield place, host


@asynccontextmanager
async def asking_at(url: str, **options: Any) -> AsyncIterator[Place]:
    """A resource server that asks at this URL."""
    nobody = Issuer(FrozenClock())
    nobody.url = "https://as.test"
    async with place_of(nobody, introspection_endpoint=url, **options) as place:
        yield place


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fraction of a second instead of five."""
    monkeypatch.setattr(authorization_server, "DEADLINE_SECONDS", 0.1)


@requirement("S-386", "S-090")
async def test_a_question_is_one_post_with_the_credentials_in_its_header() -> None:
    credentials = {"client_id": "a:b c", "client_secret": "é%"}
    async with hosted(answering(GOOD)) as host, asking_at(host.url + "?a=1", **credentials) as place:
        assert (await place.call("t~o/k.e+n==")).status_code == 200
    (request,) = host.requests
    head, _, body = request.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    assert line == b"POST /introspect?a=1 HTTP/1.1"
    assert body == b"token=t~o%2Fk.e%2Bn%3D%3D"
    assert {name.lower(): value for name, _, value in (field.partition(b": ") for field in fields)} == {
        b"host": host.url.split("/")[2].encode(),
        b"user-agent": b"grantwell",
        b"accept": b"application/json",
        b"accept-encoding": b"identity",
        b"content-length": str(len(body)).encode(),
        b"content-type": b"application/x-www-form-urlencoded",
        b"authorization": b"Basic " + b64encode(b"a%3Ab+c:%C3%A9%25"),
    }


async def test_one_connection_serves_calls_that_come_one_after_the_other() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = claims()
    pieces = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:5], body[5:])) + b"0\r\n\r\n"
    for answer in (GOOD, chunked + pieces, b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + GOOD):
        async with asking(answering(answer)) as (place, host):
            for _ in range(10):
                assert (await place.call("t")).status_code == 200
            assert (host.connections, len(host.requests)) == (1, 10)


async def test_however_many_call_at_once_the_connections_are_few_and_each_gets_its_own_answer() -> None:
    async def slowly(talk: Talk) -> None:
        while True:
            user = token_in(await talk.heard())
            await asyncio.sleep(0.001)
            await talk.say(http(claims(user)))

    async with asking(slowly) as (place, host):
        answers = await asyncio.gather(*(place.call(f"u{number}") for number in range(200)))
        assert [answer.json()["user"] for answer in answers] == [f"u{number}" for number in range(200)]
        assert 1 < host.most <= connections.MAX_CONNECTIONS
        assert host.connections == host.most


async def test_a_connection_that_the_server_has_closed_is_replaced() -> None:
    async def one_answer(talk: Talk) -> None:
        await talk.heard()
        await talk.say(GOOD)

    async def deaf_to_the_second(talk: Talk) -> None:
        await one_answer(talk)
        await talk.heard()

    async def said_so(talk: Talk) -> None:
        await talk.heard()
        await talk.say(http(claims(), "Connection: close"))
        await talk.ended()

    for script, requests in ((one_answer, 5), (deaf_to_the_second, 9), (said_so, 5)):
        async with asking(script) as (place, host):
            for _ in range(5):
                assert (await place.call("t")).status_code == 200, script
                await asyncio.sleep(0.005)
            assert (host.connections, len(host.requests)) == (5, requests), script


async def test_an_idle_connection_is_not_used_after_half_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_IDLE_SECONDS", 0.0)
    async with asking(answering(GOOD)) as (place, host):
        for number in range(3):
            await asyncio.sleep(0.001)
            assert (await place.call("t")).status_code == 200
            assert host.connections == number + 1


@requirement("A-276", "S-123")
async def test_a_question_without_any_answer_is_asked_once_on_a_new_connection() -> None:
    async def deaf(talk: Talk) -> None:
        await talk.heard()

    async def slammed(talk: Talk) -> None:
        return

    async def cut_off(talk: Talk) -> None:
        await talk.heard()
        await talk.say(GOOD[:-1])

    async def cut_off_later(talk: Talk) -> None:
        await talk.heard()
        await talk.say(GOOD)
        await cut_off(talk)

    for script in (deaf, cut_off):
        async with asking(script) as (place, host):
            assert_unavailable(await place.call("t"))
            assert (host.connections, len(host.requests)) == (1, 1), script
    async with asking(slammed) as (place, host):
        assert_unavailable(await place.call("t"))
        assert host.connections == 1
    async with asking(cut_off_later) as (place, host):
        assert (await place.call("t")).status_code == 200
        assert_unavailable(await place.call("t"))
        assert (host.connections, len(host.requests)) == (1, 2)


@requirement("A-271", "S-123")
async def test_what_the_server_says_unasked_is_never_taken_for_an_answer() -> None:
    inactive = http(b'{"active":false}')

    async def both_at_once(talk: Talk) -> None:
        while True:
            active = token_in(await talk.heard()) == "good"
            await talk.say(GOOD + GOOD if active else inactive)

    async def one_later(talk: Talk) -> None:
        while True:
            active = token_in(await talk.heard()) == "good"
            await talk.say(GOOD if active else inactive)
            await asyncio.sleep(0.002)
            await talk.say(GOOD)

    for script, lasting in ((both_at_once, True), (one_later, False)):
        async with asking(script) as (place, host):
            for _ in range(3):
                assert (await place.call("good")).status_code == 200
                await until(lambda: not host.open)
                assert (await place.call("bad")).status_code == 401
                if not lasting:
                    await until(lambda: not host.open)
            assert host.connections == (4 if lasting else 6)


@requirement("A-271", "S-123")
async def test_the_answer_to_a_call_that_was_given_up_is_nobodys() -> None:
    async def late(talk: Talk) -> None:
        while True:
            user = token_in(await talk.heard())
            if user == "slow":
                await talk.ended()
            await talk.say(http(claims(user)))

    async with asking(late) as (place, host):
        assert (await place.call("u0")).json()["user"] == "u0"
        given_up = Conversation(place.server, asgi_scope("/api", headers={"authorization": "Bearer slow"}))
        await until(lambda: len(host.requests) == 2)
        given_up.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up.task
        await until(lambda: not host.open)
        users = [(await place.call(f"u{number}")).json()["user"] for number in range(1, 4)]
        assert users == ["u1", "u2", "u3"]


async def silent(talk: Talk) -> None:
    await talk.heard()
    await talk.ended()


async def dripping(talk: Talk) -> None:
    await talk.heard()
    for byte in GOOD:
        await talk.say(bytes([byte]))
        await asyncio.sleep(0.005)


@requirement("A-276", "S-123")
@pytest.mark.parametrize("script", [silent, dripping])
@pytest.mark.usefixtures("hurried")
async def test_an_answer_that_does_not_come_in_time_is_not_waited_for(script: Script) -> None:
    async with asking(script) as (place, host):
        assert_unavailable(await place.call("t"))
        host.script = answering(GOOD)
        assert (await place.call("t")).status_code == 200


@requirement("A-276", "S-123")
async def test_where_nobody_listens_the_call_is_unavailable_until_somebody_does() -> None:
    async with hosted(answering(GOOD)) as host:
        url = host.url
    async with asking_at(url) as place:
        assert_unavailable(await place.call("t"))
        port = int(url.split(":")[2].split("/")[0])
        server = await asyncio.start_server(lambda reader, writer: host.serve(reader, writer), "127.0.0.1", port)
        try:
            assert (await place.call("t")).status_code == 200
        finally:
            server.close()
    # Only now: since Python 3.12 it waits for the connections, and the last one was kept alive for the next question.
    await server.wait_closed()


NO_LENGTH = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + claims()
NOT_HTTP = {
    "garbage": b"\x16\x03\x01" + b"x" * 500 + b"\r\n\r\n",
    "nothing but a line": b"OK\r\n\r\n",
    "HTTP/2": b"HTTP/2 200\r\ncontent-type: application/json\r\n\r\n",
    "no length": NO_LENGTH,
    "two lengths": http(claims(), "Content-Length: 5"),
    "a negative length": http(claims()).replace(b"Length: ", b"Length: -"),
    "a strange coding": http(claims(), "Transfer-Encoding: xchunked"),
    "a folded line": http(claims(), "X: a\r\n b\x00"),
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n" + GOOD,
    "two content types": http(claims(), "Content-Type: application/json"),
    "many headers": http(claims(), *[f"X-{number}: {'x' * 1000}" for number in range(70)]),
}


@requirement("S-123", "A-276")
@pytest.mark.parametrize("kind", NOT_HTTP)
@pytest.mark.usefixtures("hurried")
async def test_bytes_that_are_no_whole_http_answer_are_trouble(kind: str) -> None:
    async def script(talk: Talk) -> None:
        await talk.heard()
        await talk.say(NOT_HTTP[kind])

    async with asking(script) as (place, host):
        assert_unavailable(await place.call("t"))
        assert place.app.ran == 0
        assert len(host.requests) == 1


@requirement("S-123")
@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\nContent-Type: application/json\r\n\r\n{", b" " * 4096),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n",
            b"1\r\n \r\n" * 500,
        ),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x" * 4096),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    ],
    ids=["body", "chunks", "header", "interim answers"],
)
async def test_an_endless_answer_is_cut_off(start: bytes, piece: bytes) -> None:
    sent = 0

    async def script(talk: Talk) -> None:
        nonlocal sent
        await talk.heard()
        await talk.say(start)
        while True:
            await talk.say(piece)
            sent += len(piece)
            await asyncio.sleep(0)

    async with asking(script) as (place, host):
        assert_unavailable(await place.call("t"))
        await until(lambda: not host.open)
    assert sent < 8 * connections.MAX_ANSWER_BYTES, "what is beyond stays in the buffers of the system"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority whose certificates are believed."""
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """The authority, named by the environment as operators do it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    return authority


@requirement("S-386")
async def test_over_tls_the_certificate_is_verified_for_the_name(trusted: Authority, tmp_path: Path) -> None:
    day = timedelta(days=1)
    stranger = Authority(tmp_path, "Somebody else")
    good = [trusted.context("localhost"), trusted.context("x.test", "localhost")]
    bad = [
        stranger.context("localhost"),
        trusted.context("localhost", self_signed=True),
        trusted.context("localhost", starts=-2 * day, ends=-day),
        trusted.context("localhost", starts=day, ends=2 * day),
        trusted.context("other.test"),
        trusted.context("127.0.0.1"),
        trusted.context(common_name="localhost"),
    ]
    for context in good:
        async with asking(answering(GOOD), tls=context, name="localhost") as (place, host):
            for _ in range(3):
                assert (await place.call("t")).status_code == 200
            assert host.connections == 1
    for context in bad:
        async with asking(answering(GOOD), tls=context, name="localhost") as (place, host):
            assert_unavailable(await place.call("t"))
            assert host.requests == [], "no token is sent to whom it may not concern"


@requirement("S-386")
@pytest.mark.usefixtures("hurried")
async def test_https_is_not_spoken_to_a_server_without_it(trusted: Authority) -> None:
    async with hosted(answering(GOOD)) as host, asking_at(host.url.replace("http:", "https:")) as place:
        assert_unavailable(await place.call("t"))
        assert host.requests == []


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with asking(answering(GOOD)) as (place, host):
        assert (await place.call("t")).status_code == 200
        assert host.connections == 1


async def test_at_the_end_no_connection_is_left_and_a_second_start_makes_new_ones() -> None:
    async with hosted(answering(GOOD)) as host, asking_at(host.url) as place:
        await asyncio.gather(*(place.call("t") for _ in range(5)))
        assert host.open > 0
        async with place.server.running():
            assert (await place.call("t")).status_code == 200
        await until(lambda: not host.open)
        assert (await place.call("t")).status_code == 200
    gc.collect()


async def test_a_connection_that_is_made_while_they_are_ended_is_ended_too() -> None:
    async with hosted(answering(GOOD)) as host:
        url = parse_http_url(host.url)
        assert url is not None
        few = connections.Connections(url)
        question = asyncio.create_task(few.send("GET"))
        await asyncio.sleep(0)
        await few.close()
        assert (await question).status == 200
        await until(lambda: host.connections == 1 and not host.open)


async def test_under_uvloop_it_is_the_same(trusted: Authority) -> None:
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not made for every system")
    context = trusted.context("localhost")

    async def calls() -> list[int]:
        statuses = []
        for options in ({}, {"tls": context, "name": "localhost"}):
            async with asking(answering(GOOD), **options) as (place, host):
                statuses += [(await place.call("t")).status_code for _ in range(3)]
                assert host.connections == 1
                host.script = silent
        return statuses

    def run() -> list[int]:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(calls())

    assert await asyncio.to_thread(run) == [200] * 6
