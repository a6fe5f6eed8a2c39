"""Websockets through the front (RFC 6455), between a client and a server of a library that knows nothing of ASGI."""

from __future__ import annotations

import asyncio
import http
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from tests.front.place import PATIENCE, Place, fronted
from tests.resource.host import Talk, hosted
from tests.wire.test_open_calls import recheck
from tests.wire.world import Conversation, asgi_scope

pytestmark = [pytest.mark.anyio, pytest.mark.system]
requirement = pytest.mark.requirement

MIB = 2**20
AT_ONCE = 1.0

Handler = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def talking(handler: Handler, parser: str = "httptools", **options: Any) -> AsyncIterator[Place]:
    """A front before a websocket server with this handler; `options` go to that server, `front` to the front."""
    front = options.pop("front", {})
    address = () if "sock" in options else ("127.0.0.1", 0)
    async with serve(handler, *address, **options) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with fronted(f"http://127.0.0.1:{port}", parser, websockets="auto", **front) as place:
            yield place


def dialled(place: Place, token: str | None = None, **options: Any) -> connect:
    """A client's websocket, yet to be opened."""
    headers = [("Authorization", f"Bearer {token or place.token}"), *options.pop("headers", [])]
    return Unmoved(
        f"ws://127.0.0.1:{place.port}/api/ws?a=%20", additional_headers=headers, proxy=None, max_size=None, **options
    )


class Unmoved(connect):
    """A client that follows no redirect either."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def echo(upstream: ServerConnection) -> None:
    """Say everything again."""
    async for message in upstream:
        await upstream.send(message)


@requirement("G-590")
async def test_messages_of_both_kinds_go_both_ways(parser: str) -> None:
    async with talking(echo, parser) as place, dialled(place) as client:
        for message in ("text", b"bytes", "\u20ac", "", b"", "x" * MIB, b"\xff" * MIB):
            await client.send(message)
            assert await client.recv() == message
        await client.send(["a message ", "in ", "three frames"])
        assert await client.recv() == "a message in three frames"
        await (await client.ping())


@requirement("G-580", "G-581", "G-582", "G-583", "G-590")
async def test_the_handshake_arrives_as_a_request_does(parser: str) -> None:
    seen: list[Request] = []

    async def noting(upstream: ServerConnection) -> None:
        assert upstream.request is not None
        seen.append(upstream.request)

    def cookie(upstream: ServerConnection, request: Request, response: Response) -> None:
        response.headers["Set-Cookie"] = "a=1"

    headers = [
        ("X-Grantwell-User", "eve"),
        ("X_Grantwell_User", "eve"),
        ("X-Forwarded-For", "6.6.6.6"),
        ("X-One", "1"),
        ("Cookie", "a=1; __Host-grantwell=secret"),
        ("Origin", "https://spa.test"),
    ]
    options: dict[str, Any] = {"subprotocols": [Subprotocol("chat.v2")], "process_response": cookie}
    asked: dict[str, Any] = {"subprotocols": [Subprotocol("chat.v1"), Subprotocol("chat.v2")], "headers": headers}
    async with talking(noting, parser, **options) as place, dialled(place, user_agent_header="mine", **asked) as client:
        assert client.subprotocol == "chat.v2"
        assert client.response is not None
        assert client.response.headers["Set-Cookie"] == "a=1"
        await client.wait_closed()
    (request,) = seen
    assert request.path == "/api/ws?a=%20"
    assert request.headers["X-Grantwell-User"] == "u1"
    assert request.headers["X-Grantwell-Scopes"] == "notes:read notes:write"
    assert request.headers["X-Forwarded-For"] == "127.0.0.1"
    assert request.headers["X-One"] == "1"
    assert request.headers["Cookie"] == "a=1"
    assert request.headers["Origin"] == "https://spa.test"
    assert request.headers["User-Agent"] == "mine"
    assert not {"authorization", "x_grantwell_user"} & {name.lower() for name in request.headers}


@requirement("G-590")
@pytest.mark.parametrize(("code", "heard"), [(1000, 1000), (1001, 1001), (1008, 1008), (4321, 4321), (None, 1000)])
async def test_the_code_of_the_upstream_reaches_the_client(parser: str, code: int | None, heard: int) -> None:
    async def closing(upstream: ServerConnection) -> None:
        await upstream.send("last")
        if code is None:
            upstream.protocol.send_close()
            upstream.transport.writelines(upstream.protocol.data_to_send())
            await upstream.wait_closed()
        else:
            await upstream.close(code, "a reason")

    async with talking(closing, parser) as place, dialled(place) as client:
        assert await client.recv() == "last"
        await client.wait_closed()
        assert (client.close_code, client.close_reason) == (heard, "a reason" if code else "")


@requirement("G-590")
@pytest.mark.parametrize(("code", "heard"), [(1000, 1000), (3000, 3000), (4321, 4321)])
async def test_the_code_of_the_client_reaches_the_upstream(parser: str, code: int, heard: int) -> None:
    endings: asyncio.Queue[tuple[int | None, str | None]] = asyncio.Queue()

    async def listening(upstream: ServerConnection) -> None:
        await upstream.wait_closed()
        endings.put_nowait((upstream.close_code, upstream.close_reason))

    async with talking(listening, parser) as place:
        async with dialled(place) as client:
            await client.close(code, "a reason")
        async with asyncio.timeout(PATIENCE):
            assert await endings.get() == (heard, "a reason")


@requirement("G-586", "G-590")
@pytest.mark.parametrize("who", ["client", "upstream"])
async def test_whoever_is_killed_takes_the_other_with_it(parser: str, who: str) -> None:
    gone = asyncio.Event()

    async def waiting(upstream: ServerConnection) -> None:
        await upstream.send("hi")
        if who == "upstream":
            upstream.transport.abort()
        await upstream.wait_closed()
        gone.set()

    async with talking(waiting, parser) as place, dialled(place) as client:
        assert await client.recv() == "hi"
        async with asyncio.timeout(AT_ONCE):
            if who == "client":
                client.transport.abort()
            else:
                await client.wait_closed()
                assert client.close_code == 1011
            await gone.wait()


@requirement("G-591")
async def test_a_refusal_of_the_upstream_reaches_the_client(parser: str) -> None:
    def refuse(upstream: ServerConnection, request: Request) -> Response:
        response = upstream.respond(http.HTTPStatus.CONFLICT, "not now\n")
        response.headers["X-Why"] = "maintenance"
        return response

    async with talking(echo, parser, process_request=refuse) as place:
        with pytest.raises(InvalidStatus) as refusal:
            await dialled(place)
    response = refusal.value.response
    assert (response.status_code, response.headers["X-Why"], response.body) == (409, "maintenance", b"not now\n")


@requirement("G-591")
async def test_a_redirect_of_the_upstream_is_not_followed(parser: str) -> None:
    visited: list[str] = []

    def redirect(upstream: ServerConnection, request: Request) -> Response:
        visited.append(request.path)
        response = upstream.respond(http.HTTPStatus.FOUND, "")
        response.headers["Location"] = "/elsewhere"
        return response

    async with talking(echo, parser, process_request=redirect) as place:
        with pytest.raises(InvalidStatus) as refusal:
            await dialled(place)
    assert refusal.value.response.status_code == 302
    assert visited == ["/api/ws?a=%20"]


@requirement("G-587", "G-591")
@pytest.mark.parametrize(
    ("said", "status"), [(b"HTTP/1.1 101 Sure\r\n\r\n", 502), (b"garbage\r\n\r\n", 502), (None, 504)]
)
async def test_an_upstream_that_shakes_no_hands_is_a_502_or_a_504(parser: str, said: bytes | None, status: int) -> None:
    async def odd(talk: Talk) -> None:
        await talk.head()
        if said is not None:
            await talk.say(said)
        await talk.ended()

    async with hosted(odd) as host:
        upstream = host.url.removesuffix("/introspect")
        async with fronted(upstream, parser, websockets="auto", response_timeout=0.2) as place:
            with pytest.raises(InvalidStatus) as refusal:
                await dialled(place)
    assert refusal.value.response.status_code == status


@requirement("G-591", "A-266")
async def test_without_a_token_the_upstream_hears_nothing(parser: str) -> None:
    seen: list[str] = []

    def note(upstream: ServerConnection, request: Request) -> None:
        seen.append(request.path)

    async with talking(echo, parser, process_request=note) as place:
        with pytest.raises(InvalidStatus) as refusal:
            await dialled(place, token="x")
        assert refusal.value.response.status_code == 401
        assert seen == []


@requirement("G-591", "A-273")
async def test_a_token_that_ends_closes_its_websocket_on_both_sides(parser: str) -> None:
    gone = asyncio.Event()

    async def waiting(upstream: ServerConnection) -> None:
        await upstream.send("hi")
        await upstream.wait_closed()
        gone.set()

    async with talking(waiting, parser) as place, dialled(place) as client:
        assert await client.recv() == "hi"
        await place.world.revoke(place.client, place.token)
        await recheck(place.world.provider)
        async with asyncio.timeout(PATIENCE):
            await client.wait_closed()
            await gone.wait()
        assert client.close_code == 1008


@requirement("G-590")
async def test_a_message_beyond_the_bound_ends_the_websocket(parser: str) -> None:
    async def large(upstream: ServerConnection) -> None:
        await upstream.send(b"x" * (MIB + 1))
        await upstream.wait_closed()

    async with talking(large, parser, front={"max_message_bytes": MIB}) as place, dialled(place) as client:
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1009


def narrow() -> socket.socket:
    """A socket whose kernel keeps little of what nobody reads."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    return one


@requirement("G-585", "G-590")
@pytest.mark.parametrize("who", ["client", "upstream"])
async def test_neither_side_sends_faster_than_the_other_reads(parser: str, who: str) -> None:
    go_on, all_sent = asyncio.Event(), asyncio.Event()
    count = 96

    async def send(side: ServerConnection | ClientConnection) -> None:
        for _ in range(count):
            await side.send(b"x" * MIB)
        all_sent.set()

    async def handler(upstream: ServerConnection) -> None:
        if who == "upstream":
            await send(upstream)
        else:
            await go_on.wait()
            for _ in range(count):
                assert len(await upstream.recv()) == MIB
            await upstream.send("all")
        await upstream.wait_closed()

    with narrow() as listener, narrow() as connected:
        listener.bind(("127.0.0.1", 0))
        async with talking(handler, parser, sock=listener, max_queue=1) as place:
            connected.connect(("127.0.0.1", place.port))
            async with dialled(place, sock=connected, max_queue=1, compression=None) as client:
                sending = asyncio.create_task(send(client) if who == "client" else all_sent.wait())
                done, _ = await asyncio.wait({sending}, timeout=AT_ONCE)
                go_on.set()
                assert not done
                async with asyncio.timeout(3 * PATIENCE):
                    if who == "client":
                        await sending
                        assert await client.recv() == "all"
                    else:
                        assert [len(await client.recv()) for _ in range(count)] == [MIB] * count
                        await sending


@requirement("G-587", "G-590")
async def test_a_server_that_cannot_refuse_a_websocket_by_http_closes_it() -> None:
    async with fronted("http://127.0.0.1:9") as place:
        headers = {"authorization": f"Bearer {place.token}"}
        scope = asgi_scope("/api/ws", type_="websocket", headers=headers, subprotocols=[])
        talk = Conversation(place.world.provider, scope)
        talk.say("websocket.connect")
        assert await talk.hear() == {"type": "websocket.close", "code": 1008}
        assert await talk.hear() is None
