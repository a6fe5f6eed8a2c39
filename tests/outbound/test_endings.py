"""However a fetch ends, by a deadline, a cancellation or a fault, its socket is closed; on either event loop."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from grantwell._outbound import sockets
from grantwell._outbound.failures import FetchFailed
from grantwell._outbound.targets import Address
from tests.outbound.certificates import Authority
from tests.outbound.internet import (
    LOOPBACK,
    MOST_BYTES,
    URL,
    Answer,
    Internet,
    cut_off,
    dripping,
    endless,
    http,
    silent,
)

requirement = pytest.mark.requirement

LOOPS = ["asyncio", "uvloop"]


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Runs a coroutine on a new event loop of one of the two kinds that serve."""
    factory = None
    if request.param == "uvloop":
        uvloop: ModuleType = pytest.importorskip("uvloop", reason="uvloop is not made for this platform")
        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        yield runner.run


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """The authority, believed."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return authority


@asynccontextmanager
async def opened(authority: Authority) -> AsyncIterator[Internet]:
    """An internet for a while; a socket that a fetch leaves open is found out at the end."""
    internet = Internet(authority)
    try:
        yield internet
        assert internet.sockets
        assert [sock for sock in internet.sockets if sock.fileno() != -1] == []
    finally:
        await internet.close()


async def until(condition: Callable[[], object]) -> None:
    """Let the others go on until it is so."""
    deadline = asyncio.get_running_loop().time() + 5
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0)


ANSWERS: dict[str, Answer | bytes] = {
    "whole": http(b"here"),
    "another status": http(b"", status="404 Not Found"),
    "not HTTP": b"canary\r\n\r\n",
    "too large": endless(http(b"")[:17], b"a"),
    "cut off": cut_off(http(b"here")[:-1]),
    "slow": dripping(http(b"here")),
    "silent": silent,
}


@requirement("S-464", "A-124")
@pytest.mark.parametrize("answer", [pytest.param(answer, id=id_) for id_, answer in ANSWERS.items()])
def test_the_socket_is_closed_after_every_answer(
    answer: Answer | bytes, run: Callable[..., Any], trusted: Authority
) -> None:
    async def main() -> bytes:
        async with opened(trusted) as internet:
            await internet.serve(answer)
            try:
                return (await internet.get(deadline=0.5)).body
            except FetchFailed:
                return b"failed"

    assert run(main()) == (b"here" if answer == ANSWERS["whole"] else b"failed")


@requirement("S-464", "A-138")
def test_the_socket_is_closed_when_the_certificate_is_refused(run: Callable[..., Any], trusted: Authority) -> None:
    async def main() -> None:
        async with opened(trusted) as internet:
            await internet.serve(context=trusted.context("m2.test"))
            with pytest.raises(FetchFailed, match="certificate"):
                await internet.get()

    run(main())


@requirement("S-464", "A-124")
@pytest.mark.parametrize("plain", [True, False], ids=["in the handshake", "in the answer"])
def test_a_fetch_that_is_cancelled_ends_at_once_and_closes_its_socket(
    plain: bool, run: Callable[..., Any], trusted: Authority
) -> None:
    async def main() -> None:
        async with opened(trusted) as internet:
            host = await internet.serve(silent, plain=plain)
            fetch = asyncio.create_task(internet.get())
            await until(lambda: host.connections if plain else host.requests)
            fetch.cancel()
            with pytest.raises(asyncio.CancelledError):
                await fetch

    run(main())


@pytest.fixture
def full() -> Iterator[int]:
    """A port on loopback that takes no more connections: whoever tries waits."""
    with socket.create_server((str(LOOPBACK), 0), backlog=0) as listener, socket.socket() as filling:
        filling.connect(listener.getsockname())
        yield listener.getsockname()[1]


@requirement("S-464")
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="a full backlog makes connections wait on Linux alone")
def test_a_connection_that_is_not_made_in_time_leaves_no_socket_behind(full: int, run: Callable[..., Any]) -> None:
    def open_sockets() -> int:
        return sum("socket" in str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink())

    async def main() -> None:
        before = open_sockets()
        connection = asyncio.create_task(sockets.connect(LOOPBACK, full))
        await until(lambda: open_sockets() == before + 1)
        for _ in range(10):
            await asyncio.sleep(0)
        assert not connection.done()
        connection.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connection
        assert open_sockets() == before
        gc.collect()

    run(main())


@requirement("S-464")
def test_a_connection_that_is_refused_leaves_no_socket_behind(run: Callable[..., Any]) -> None:
    with socket.create_server((str(LOOPBACK), 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        run(sockets.connect(LOOPBACK, port))
    gc.collect()


@requirement("S-464")
def test_several_fetches_at_once_do_not_disturb_each_other(run: Callable[..., Any], trusted: Authority) -> None:
    async def main() -> None:
        async with opened(trusted) as internet:
            for number in range(10):
                answer = http(b"%d" % number * 4_000) if number % 2 else cut_off(b"HTTP/1.1 200 OK\r\n")
                await internet.serve(answer, name=f"n{number}.test", address=f"1.1.1.{number}")
            fetcher = internet.fetcher()
            fetches = (
                fetcher.get(f"https://n{number}.test/c", most_bytes=MOST_BYTES, on_behalf_of=None)
                for number in range(10)
            )
            results = await asyncio.gather(*fetches, return_exceptions=True)
        bodies = [None if isinstance(result, BaseException) else result.body for result in results]
        assert bodies == [b"%d" % number * 4_000 if number % 2 else None for number in range(10)]

    run(main())


@requirement("S-464")
def test_a_connector_that_hands_over_a_dead_socket_is_a_failed_fetch(
    run: Callable[..., Any], trusted: Authority
) -> None:
    async def main() -> None:
        async with opened(trusted) as internet:
            internet.name("m1.test", ["8.8.8.8"])

            async def connect(address: Address, port: int) -> socket.socket:
                ours, theirs = socket.socketpair()
                theirs.close()
                ours.setblocking(False)
                internet.sockets.append(ours)
                return ours

            with pytest.raises(FetchFailed):
                await internet.get(URL, connect=connect)

    run(main())
