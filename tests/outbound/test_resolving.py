"""Names: each is resolved once, and every address it has must be one that may be connected to (A-119 to A-122)."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any

import pytest

from grantwell._outbound import fetcher as fetching
from grantwell._outbound import sockets
from grantwell._outbound.budgets import MAX_CONCURRENT
from grantwell._outbound.failures import FetchFailed
from grantwell._outbound.fetcher import Fetcher
from grantwell._outbound.targets import MAX_ADDRESSES
from tests.outbound.internet import MOST_BYTES, OTHER_PUBLIC, PUBLIC, URL, Host, Internet, http, silent

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

LOOPBACK_NETWORKS = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@pytest.fixture
async def canary() -> AsyncIterator[Host]:
    """Something that listens on loopback, where nobody may connect to."""
    host = Host(silent, None)
    await host.open()
    yield host
    await host.close()


NOT_PUBLIC = [
    *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "192.0.0.1"),
    *("198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.88.99.1"),
    *("::", "::1", "fc00::1", "fe80::1", "fe80::1%lo", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::127.0.0.1"),
    *("::ffff:0:127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2001:0:1::1"),
    *("2606:4700::5efe:192.168.1.1", "2606:4700::200:5efe:192.168.1.1"),
]


@requirement("S-430", "S-431", "S-464", "A-119", "A-120", "A-121", "D-30")
@pytest.mark.parametrize("bad", NOT_PUBLIC)
async def test_a_name_with_an_address_that_is_not_public_is_refused_without_a_connection(
    bad: str, internet: Internet
) -> None:
    host = await internet.serve(address=bad, name="m0.test")
    await internet.serve()
    for number, addresses in enumerate(([bad], [PUBLIC, bad], [bad, PUBLIC], [OTHER_PUBLIC, PUBLIC, bad])):
        internet.name(f"n{number}.test", addresses)
        with pytest.raises(FetchFailed, match="must not be connected to"):
            await internet.get(f"https://n{number}.test/c.json")
    assert internet.queries == ["n0.test", "n1.test", "n2.test", "n3.test"]
    assert (internet.connections, host.connections) == ([], 0)


@requirement("S-430", "A-119", "D-30")
async def test_with_the_real_network_too_nothing_is_connected_to_on_this_machine(
    canary: Host, internet: Internet
) -> None:
    internet.name("m1.test", ["127.0.0.1"])
    # An operator who allows another network, so that ports are free, has not allowed this one.
    for allowed in ((), (ip_network("127.0.0.2/32"),)):
        fetcher = Fetcher(resolve=internet.resolve, allowed_networks=allowed)
        for host in ("m1.test", "127.0.0.1", "localhost", "[::ffff:127.0.0.1]"):
            with pytest.raises(FetchFailed):
                await fetcher.get(f"https://{host}:{canary.port}/c", most_bytes=MOST_BYTES, on_behalf_of=None)
    assert canary.connections == 0


@requirement("S-430", "A-122", "D-30")
async def test_a_name_is_resolved_once_and_the_checked_address_is_connected_to(internet: Internet) -> None:
    host = await internet.serve()
    internet.name("m1.test", [PUBLIC], ["127.0.0.1"])
    await internet.get()
    assert internet.queries == ["m1.test"]
    assert internet.connections == [f"{PUBLIC} 443"]
    assert host.connections == 1
    with pytest.raises(FetchFailed, match="must not be connected to"):
        await internet.get()
    assert len(internet.connections) == 1


@requirement("S-464", "D-30")
async def test_where_one_checked_address_does_not_answer_the_next_is_tried_up_to_three(internet: Internet) -> None:
    dead = ["2606:4700::1", "1.1.1.1", "1.0.0.1"]
    await internet.serve(http(b"here"))
    internet.name("m1.test", [*dead[:2], PUBLIC])
    assert (await internet.get()).body == b"here"
    assert internet.connections == ["2606:4700::1 443", "1.1.1.1 443", f"{PUBLIC} 443"]
    internet.connections.clear()
    internet.name("m1.test", [*dead, PUBLIC])
    with pytest.raises(FetchFailed, match="no connection was made: Connection refused"):
        await internet.get()
    assert internet.connections == [f"{address} 443" for address in dead]


@requirement("S-464")
async def test_an_address_that_drops_packets_leaves_time_for_the_next(
    internet: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "CONNECT_SECONDS", 0.05)
    await internet.serve(http(b"here"))
    internet.name("m1.test", ["1.1.1.1", PUBLIC])

    async def connect(address: Any, port: int) -> socket.socket:
        if str(address) == "1.1.1.1":
            await asyncio.Event().wait()
        return await internet.connect(address, port)

    assert (await internet.get(connect=connect)).body == b"here"


@requirement("A-138")
async def test_a_host_whose_certificate_fails_is_not_tried_at_its_next_address(internet: Internet) -> None:
    await internet.serve(address="1.1.1.1", context=internet.authority.context("other.test"))
    await internet.serve()
    internet.name("m1.test", ["1.1.1.1", PUBLIC])
    with pytest.raises(FetchFailed, match="certificate is not accepted"):
        await internet.get()
    assert internet.connections == ["1.1.1.1 443"]


@requirement("A-121", "D-30")
async def test_a_name_without_an_address_or_with_a_flood_of_them_is_refused(internet: Internet) -> None:
    await internet.serve()
    internet.name("none.test", [])
    internet.name("most.test", [PUBLIC] * MAX_ADDRESSES)
    internet.name("flood.test", [PUBLIC] * (MAX_ADDRESSES + 1))
    for name, reason in (("unknown", "was not found"), ("none", "no address"), ("flood", "more than 64 addresses")):
        with pytest.raises(FetchFailed, match=reason):
            await internet.get(f"https://{name}.test/c")
    assert internet.connections == []
    with pytest.raises(FetchFailed, match="certificate"):
        await internet.get("https://most.test/c")


# ── what an operator allows ────────────────────────────────────────────────────────────────────────────────────────


@requirement("S-430", "S-464")
async def test_an_allowed_network_may_be_reached_by_any_name_port_and_literal(internet: Internet) -> None:
    names = ("m1.test", "clients", "x.internal", "127.0.0.1")
    host = await internet.serve(http(b"here"), name="m1.test", context=internet.authority.context(*names))
    for name in names[:-1]:
        internet.name(name, ["127.0.0.1"])
    fetcher = Fetcher(allowed_networks=LOOPBACK_NETWORKS, resolve=internet.resolve)
    for name in names:
        url = f"https://{name}:{host.port}/c"
        assert (await fetcher.get(url, most_bytes=MOST_BYTES, on_behalf_of=None)).body == b"here"
    assert f"Host: 127.0.0.1:{host.port}\r\n".encode() in host.requests[-1]
    assert internet.queries == ["m1.test", "clients", "x.internal"]


@requirement("S-430", "S-464", "A-117", "A-118", "A-121", "C-070")
@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        ("https://m1.test/c", ["10.0.0.1"]),
        ("https://m1.test/c", [PUBLIC, "10.0.0.1"]),
        ("https://m1.test:8443/c", [PUBLIC]),
        ("https://m1.test:8443/c", ["127.0.0.1", PUBLIC]),
        ("https://localhost/c", [PUBLIC]),
        ("https://clients/c", [PUBLIC]),
        ("https://x.internal/c", ["127.0.0.1", PUBLIC]),
        ("https://8.8.8.8/c", []),
        ("https://10.0.0.1/c", []),
        ("https://[2606:4700::1111]/c", []),
        ("https://[::ffff:127.0.0.1]/c", []),
    ],
)
async def test_what_is_allowed_for_one_network_is_not_allowed_for_others(
    url: str, addresses: list[str], internet: Internet
) -> None:
    internet.name(url.split("/")[2].split(":")[0], addresses)
    with pytest.raises(FetchFailed, match="must not be connected to"):
        await internet.get(url, allowed_networks=LOOPBACK_NETWORKS)
    assert internet.connections == []


@requirement("S-464")
async def test_public_names_stay_reachable_next_to_an_allowed_network(internet: Internet) -> None:
    await internet.serve(http(b"here"))
    internet.name("m1.test", [PUBLIC, "127.0.0.1"])
    assert (await internet.get(allowed_networks=LOOPBACK_NETWORKS)).body == b"here"


# ── the name system of the machine ─────────────────────────────────────────────────────────────────────────────────


@requirement("S-464", "D-30")
async def test_the_system_resolves_names_and_the_real_network_is_reached(internet: Internet) -> None:
    host = await internet.serve(http(b"here"), context=internet.authority.context("localhost"))
    fetcher = Fetcher(allowed_networks=LOOPBACK_NETWORKS)
    url = f"https://localhost:{host.port}/c"
    assert (await fetcher.get(url, most_bytes=MOST_BYTES, on_behalf_of=None)).body == b"here"
    with pytest.raises(FetchFailed):
        await Fetcher().get(url, most_bytes=MOST_BYTES, on_behalf_of=None)


def answers(*addresses: tuple[socket.AddressFamily, str]) -> list[Any]:
    """What getaddrinfo makes of these."""
    return [(family, socket.SOCK_STREAM, 6, "", (address, 0)) for family, address in addresses]


@requirement("S-430", "A-121", "D-30")
async def test_both_families_are_asked_for_and_every_address_is_looked_at(
    internet: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, ...]] = []

    def getaddrinfo(*arguments: Any, **options: Any) -> list[Any]:
        asked.append(arguments)
        return answers(
            (socket.AF_INET6, OTHER_PUBLIC),
            (socket.AF_INET, PUBLIC),
            (socket.AF_INET, PUBLIC),
            (socket.AF_INET6, "fe80::1%lo"),
        )

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    fetcher = Fetcher(connect=internet.connect)
    with pytest.raises(FetchFailed, match="fe80::1%lo, which must not be connected to"):
        await fetcher.get(URL, most_bytes=MOST_BYTES, on_behalf_of=None)
    # As bytes, a name is not put through the rules for internationalised ones, which fail in their own ways.
    assert asked == [(b"m1.test", None)]
    assert internet.connections == []


@requirement("S-464", "D-30")
async def test_each_address_is_answered_once_in_the_order_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    found = answers((socket.AF_INET6, OTHER_PUBLIC), (socket.AF_INET, PUBLIC), (socket.AF_INET6, OTHER_PUBLIC))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    resolved = await sockets.resolve("m1.test", ThreadPoolExecutor(1))
    assert resolved == [IPv6Address(OTHER_PUBLIC), IPv4Address(PUBLIC)]


@requirement("A-135", "D-30")
async def test_a_name_server_that_does_not_answer_holds_a_few_threads_and_nobody_else(
    internet: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering = threading.Event()
    begun: list[bytes] = []

    def getaddrinfo(name: bytes, *_: Any, **__: Any) -> list[Any]:
        begun.append(name)
        answering.wait(10)
        return answers((socket.AF_INET, PUBLIC))

    await internet.serve()
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    fetcher = Fetcher(connect=internet.connect, deadline=0.1)

    async def refused(number: int) -> None:
        with pytest.raises(FetchFailed, match=r"within 0\.1 s"):
            await fetcher.get(f"https://n{number}.test/c", most_bytes=MOST_BYTES, on_behalf_of=None)

    try:
        async with asyncio.timeout(5):
            await asyncio.gather(*(refused(number) for number in range(40)))
            assert len(begun) == MAX_CONCURRENT
            # What this loop gives to threads of its own is not held up.
            assert await asyncio.to_thread(lambda: "served") == "served"
    finally:
        answering.set()
    assert internet.connections == []
