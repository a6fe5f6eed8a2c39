"""Floods: what others get while somebody sends too much, too slowly or too often, and what is left of it."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from grantwell.crypto import PasswordHasher
from tests.races.fleet import Fleet
from tests.signin.browser import USER
from tests.threats.arena import Arena, not_holding_up, running_arena
from tests.threats.browsers import Visitor
from tests.threats.catalogue import Variant
from tests.threats.hands import Hand
from tests.threats.rows import copy_rows, count_of, pages_of
from tests.wire.world import PARSERS, api, spoken

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

DAY = 86_400


def new_hand(arena: Arena, client: str = "C1") -> Hand:
    """Somebody with a client, and with tokens as soon as they are asked for."""
    return Hand(arena, Variant(label="", it="", members={"client": client}))


async def refreshed(hand: Hand) -> float:
    """The seconds that a good client waits for a refresh."""
    began = time.perf_counter()
    await hand.rotate()
    return time.perf_counter() - began


# Rows by the ten thousand -------------------------------------------------------------------------------------------


async def given_grants(hand: Hand, count: int, *, tokens_each: int = 0, more: dict[str, str] | None = None) -> None:
    """Copies of the grant of a hand, of the same user and client, each with access tokens."""
    grant_id = (await hand.tokens()).access[0][4:20]
    where = f"grant_id = '{grant_id}'"
    database, new_id = hand.arena.database, {"grant_id": "printf('copy%012d', n)"}
    copy_rows(database, "oauth_grants", count, {**new_id, "serial": "serial + n", **(more or {})}, where=where)
    if tokens_each:
        tokens = {**new_id, "digest": "randomblob(32)", "serial": "k"}
        copy_rows(database, "oauth_access_tokens", count, tokens, where=where, each=tokens_each)


@requirement("A-200")
async def test_ending_ten_thousand_grants_of_a_user_takes_seconds_and_nothing_from_others(server: Arena) -> None:
    victim, other = new_hand(server), new_hand(server, "C2")
    await given_grants(victim, 10_000, tokens_each=10)
    await other.tokens()
    helpers = server.place.world.provider.helpers
    lasting = await server.approved_code(
        {
            "client_id": (await other.client())["client_id"],
            "redirect_uri": "https://c2.test/cb",
            "code_challenge": other.pkce.challenge,
        },
        user_id="u3",
    )
    began = time.process_time()
    revoking = asyncio.create_task(helpers.revoke_user_grants("u2", client_id=(await victim.client())["client_id"]))
    called = await other.call((await other.tokens()).access[0])
    assert await revoking == 10_001
    assert time.process_time() - began < 60
    assert called.status == 200
    assert count_of(server.database, "oauth_access_tokens", "grant_id LIKE 'copy%'") == 0
    assert (await victim.call((await victim.tokens()).access[0])).status == 401
    assert (await other.call((await other.tokens()).access[0])).status == 200
    assert (await other.exchange("C2", lasting)).status == 200
    # Who signs in afterwards is not caught by it.
    again = new_hand(server)
    assert (await again.call((await again.tokens()).access[0])).status == 200


@requirement("A-308")
async def test_a_purge_of_many_rows_stops_nobody(server: Arena) -> None:
    hand = new_hand(server)
    ended = str(int(server.place.world.clock()) - 200 * DAY)
    await given_grants(hand, 20_000, tokens_each=1, more={"expires_at": ended, "revoked_at": ended})
    helpers = server.place.world.provider.helpers

    async def purge() -> int:
        steps = 1
        while not (await helpers.purge_expired()).done:
            steps += 1
        return steps

    purging, waited = asyncio.create_task(purge()), [await refreshed(hand)]
    while not purging.done():
        waited.append(await refreshed(hand))
    assert await purging > 1, "a purge goes in slices"
    assert count_of(server.database, "oauth_grants") == 1
    assert len(waited) > 2, "others were served in between"
    assert max(waited) < 60
    assert (await hand.call((await hand.tokens()).access[-1])).status == 200


FLOODED = (
    "oauth_clients",
    "oauth_grants",
    "oauth_codes",
    "oauth_access_tokens",
    "oauth_sessions",
    "oauth_interactions",
)


async def flood(arena: Arena, client: dict[str, Any], count: int) -> None:
    """Registrations, authorization requests, codes and tokens."""
    for number in range(count):
        stranger = Visitor(arena)
        await stranger.get(stranger.request(client, state=str(number)))
        hand = new_hand(arena, "S1")
        await hand.code()
        if number % 3 == 0:
            await hand.tokens()


@requirement("A-306")
async def test_what_a_flood_leaves_behind_goes_and_its_place_is_used_again(server: Arena) -> None:
    helpers, client = server.place.world.provider.helpers, await Visitor(server).client()
    sizes = []
    for _ in range(2):
        await flood(server, client, 40)
        full = {table: count_of(server.database, table) for table in FLOODED}
        assert min(full.values()) >= 14
        await helpers.list_events(limit=1)  # which writes those that wait
        sizes.append(pages_of(server.database))
        server.place.world.clock.advance(100 * DAY)
        while not (await helpers.purge_expired()).done:
            continue
        left = {table: count_of(server.database, table) for table in FLOODED}
        # What the operator registered stays.
        assert left == {**dict.fromkeys(FLOODED, 0), "oauth_clients": 1}
    assert sizes[1] <= 1.1 * sizes[0] + 2


# Connections --------------------------------------------------------------------------------------------------------


async def opened(port: int, count: int, stack: AsyncExitStack, wire: bytes) -> list[asyncio.StreamReader]:
    """Connections on which these bytes were sent and nothing was read."""
    readers = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        stack.callback(writer.close)
        writer.write(wire)
        readers.append(reader)
    return readers


@requirement("A-303")
@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"G",
        b"GET /api HTTP/1.1\r\nHost: as",
        b"POST /token HTTP/1.1\r\nHost: as.test\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: 100\r\n\r\ngrant_type=",
    ],
    ids=["nothing", "a letter", "half a header", "half a body"],
)
async def test_hundreds_of_unfinished_requests_hold_up_nobody_else(arena: Arena, wire: bytes) -> None:
    hand = new_hand(arena)
    await hand.tokens()
    async with AsyncExitStack() as stack:
        await opened(arena.port, 200, stack, wire)
        for _ in range(5):
            assert await refreshed(hand) < 60
            assert (await hand.call((await hand.tokens()).access[-1])).status == 200


LARGE = b"x" * 8_000_000


async def talkative(scope: Scope, receive: Receive, send: Send) -> None:
    """A protected application with a large answer, but for `/api`."""
    if scope["path"] == "/api":
        return await api(scope, receive, send)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": LARGE})
    return None


@pytest.fixture(params=PARSERS)
async def large(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Arena]:
    """A server in front of that application."""
    handlers = {"/api": talkative, "/other": talkative}
    async with running_arena(tmp_path, request.param, api_handlers=handlers) as arena:
        yield arena


@requirement("A-304")
async def test_readers_who_never_read_hold_no_connection_to_the_database(large: Arena) -> None:
    hand = new_hand(large)
    access = (await hand.tokens()).access[0]
    wire = f"GET /api/large HTTP/1.1\r\nHost: as.test\r\nAuthorization: Bearer {access}\r\n\r\n".encode()
    async with AsyncExitStack() as stack:
        readers = await opened(large.port, 60, stack, wire)
        assert all([(await reader.readline()).startswith(b"HTTP/1.1 200") for reader in readers])
        for _ in range(5):
            assert await refreshed(hand) < 60
            assert (await hand.call((await hand.tokens()).access[-1])).status == 200
        assert (await Visitor(large).get("/signin")).status == 200


@requirement("A-318")
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="the limit of another process can be set on Linux alone")
async def test_a_server_without_descriptors_left_recovers_when_the_connections_go(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, 1)
    try:
        fleet.start()
        port = fleet._sockets[0].getsockname()[1]
        assert await status_of_a_call(port) == 401
        process = fleet._processes[0]
        assert process is not None
        descriptors = descriptors_of(process.pid)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (descriptors + 20, descriptors + 20))
        async with AsyncExitStack() as stack:
            await opened(port, 120, stack, b"GET /api HTTP/1.1\r\n")
            await until(lambda: descriptors_of(process.pid) >= descriptors + 19)
        await until(lambda: status_of_a_call(port))
        assert process.poll() is None
    finally:
        fleet.stop()


def descriptors_of(process_id: int) -> int:
    """How many descriptors a process has open."""
    return len(list(Path(f"/proc/{process_id}/fd").iterdir()))


async def until(holds: Callable[[], Any]) -> None:
    """Wait until another process is so far; fails the test after some seconds."""
    for _ in range(200):
        result = holds()
        if await result if isinstance(result, Awaitable) else result:
            return
        await asyncio.sleep(0.05)
    pytest.fail("the other process did not get so far")


async def status_of_a_call(port: int) -> int | None:
    """The status of a call without a token; None where the connection is closed instead."""
    try:
        answer = await spoken(port, b"GET /api HTTP/1.1\r\nHost: as.test\r\nConnection: close\r\n\r\n")
    except ConnectionError:
        return None
    return int(answer.split(b" ")[1]) if answer else None


# Guesses, and what is written about them ----------------------------------------------------------------------------


@pytest.fixture(params=PARSERS)
async def behind_a_proxy(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Arena]:
    """A server that learns the addresses of its visitors from a proxy in front of it."""
    async with running_arena(tmp_path, request.param, trusted_proxies=["127.0.0.1"]) as arena:
        yield arena
        arena.check_files()


@requirement("A-315", "A-249")
async def test_whoever_guesses_locks_out_nobody_but_himself(behind_a_proxy: Arena) -> None:
    arena = behind_a_proxy
    attacker, owner = Visitor(arena, "198.51.100.66"), Visitor(arena, "203.0.113.7")
    hand = new_hand(arena, "K3")
    held, client = await hand.tokens(), await hand.client()
    code = await hand.code()
    page = await attacker.get("/signin")
    statuses = [(await attacker.sign_in(page, password=f"guess {number}")).status for number in range(15)]
    assert statuses[0] == 403
    assert statuses[-1] == 429
    line = "X-Forwarded-For: 198.51.100.66"
    for number in range(40):
        # The secret of the client, then tokens and codes of its grant.
        credentials = {"client_id": client["client_id"], "client_secret": f"guess {number}"}
        forms = [
            {"grant_type": "refresh_token", "refresh_token": held.refresh[-1], **credentials},
            {"grant_type": "authorization_code", "code": code, "code_verifier": "x" * 43, **credentials},
        ]
        for form in forms:
            answer = await arena.ask("POST", "/token", line, form=form)
            assert answer.status in (401, 429)
        forged = {"token": await hand.fill("«forged refresh»"), **credentials}
        assert (await arena.ask("POST", "/revoke", line, form=forged)).status in (401, 429)
    assert (await owner.sign_in()).status == 303
    proper = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    theirs = "X-Forwarded-For: 203.0.113.7"
    exchange = {"grant_type": "authorization_code", "code": code, "code_verifier": hand.pkce.verifier, **proper}
    refresh = {"grant_type": "refresh_token", "refresh_token": held.refresh[-1], **proper}
    for form in (exchange, refresh):
        assert (await arena.ask("POST", "/token", theirs, form=form)).status == 200
    assert (await hand.call(held.access[-1])).status == 200


@requirement("A-316", "A-343")
async def test_a_bad_request_is_worth_one_short_line_of_the_log(arena: Arena) -> None:
    hand = new_hand(arena)
    client_id = (await hand.client())["client_id"]
    long = "x" * 20_000
    first, requests = len(arena.log.lines), 0
    for _ in range(5):
        for form in (
            {"grant_type": long, "client_id": client_id},
            {"grant_type": "refresh_token", "refresh_token": long, "client_id": client_id},
            {"grant_type": "refresh_token", "refresh_token": "x", "client_id": long},
            {"grant_type": "authorization_code", "code": "\r\nFORGED", "client_id": client_id},
            {long: "\u2028", "client_id": "\x1b[2J"},
        ):
            for path in ("/token", "/revoke", "/register"):
                await arena.ask("POST", path, form=form)
                requests += 1
        for target in (f"/api/{long}", f"/authorize?client_id={long}", f"/{long}", "/authorize?client_id=%0aFORGED"):
            await arena.ask("GET", target, f"User-Agent: {long[:9000]}")
            requests += 1
        await arena.ask("GET", "/api", f"Authorization: Bearer {long}")
        requests += 1
    lines = arena.log.lines[first:]
    assert 0 < len(lines) <= requests
    assert max(map(len, lines)) <= 1024
    assert not [line for line in lines if not line.isprintable() or line.startswith("FORGED")]


@pytest.fixture
async def slow_to_hash(tmp_path: Path) -> AsyncIterator[Arena]:
    """A server on which hashing a password takes a good part of a second, of nobody else's time."""
    async with running_arena(tmp_path, PARSERS[0], hasher=PasswordHasher(passes=30)) as arena:
        yield arena


@requirement("A-317", "A-301")
async def test_the_event_loop_is_held_up_by_nothing_that_is_sent(slow_to_hash: Arena) -> None:
    arena = slow_to_hash
    visitors = [Visitor(arena) for _ in range(2)]
    pages = [await visitor.get("/signin") for visitor in visitors]
    form = "&".join(f"x{number}=%41" for number in range(12_000))[:65_000]
    spent = time.process_time()
    async with not_holding_up(0.25):
        signing_in = [asyncio.create_task(visitor.sign_in(page)) for visitor, page in zip(visitors, pages, strict=True)]
        for path, kind, body in (
            ("/token", "application/x-www-form-urlencoded", form),
            ("/register", "application/json", "[" * 65_000),
            ("/register", "application/json", '"a":1,' * 10_000),
            ("/token", "application/x-www-form-urlencoded", "&" * 65_000),
        ):
            head = f"POST {path} HTTP/1.1\r\nHost: as.test\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}"
            (answer,) = await arena.talk(f"{head}\r\n\r\n{body}".encode(), path)
            assert answer.status == 400
        assert {(await task).status for task in signing_in} == {303}
    assert time.process_time() - spent > 0.3, "the hashing would have been noticed"
    assert USER in (await visitors[0].get("/signin")).text
