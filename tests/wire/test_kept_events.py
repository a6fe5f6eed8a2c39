"""The events that are kept: found again, never waited for, and bounded whoever causes them."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

from grantwell import OAuthProvider, SecretKey
from grantwell.config import DAY
from grantwell.records import Event
from grantwell.store import EventQuery
from grantwell_storage import MemoryStore, SQLStore
from tests.faults.stores import TroubledStore
from tests.wire.world import World, api, new_store, parsed, refused, running_world

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement


async def found(world: World, **filters: Any) -> list[Event]:
    """Every event that fits, the oldest first."""
    events: list[Event] = []
    cursor = None
    while True:
        page = await world.provider.helpers.list_events(limit=1000, cursor=cursor, **filters)
        events += page.items
        cursor = page.cursor
        if cursor is None:
            return events[::-1]


async def from_address(world: World, address: str, times: int = 1) -> list[httpx.Response]:
    """The answers to requests of a client that is not known, sent from an address."""
    transport = httpx.ASGITransport(app=world.provider, client=(address, 50_000))
    async with httpx.AsyncClient(transport=transport, base_url=world.provider.settings.issuer) as http:
        form = {"grant_type": "refresh_token", "client_id": "nobody", "refresh_token": "x"}
        return [await http.post("/token", data=form) for _ in range(times)]


@requirement("G-500", "S-473")
async def test_what_happened_is_found_again_with_who_did_it_and_from_where(store: MemoryStore | SQLStore) -> None:
    async with running_world(store) as world:
        helpers = world.provider.helpers
        client = await world.register()
        tokens = await world.tokens(client)
        tokens = parsed(await world.refresh(client, tokens.refresh))
        await world.authorize(client, headers={"x-deny": "1"})
        await world.revoke(client, tokens.refresh)
        await helpers.acting_as("operator", address="192.0.2.7").delete_client(client["client_id"])
        events = await found(world, client_id=client["client_id"])
        assert [(event.name, event.actor, event.address) for event in events] == [
            ("client_registered", "client", "127.0.0.1"),
            ("grant_issued", "user:u1", None),
            ("code_exchanged", "client", "127.0.0.1"),
            ("token_refreshed", "client", "127.0.0.1"),
            ("grant_denied", "", None),
            ("grant_revoked", "client", "127.0.0.1"),
            ("client_deleted", "operator", "192.0.2.7"),
        ]
        grant_id = events[1].grant_id
        assert grant_id is not None
        assert [event.name for event in await found(world, grant_id=grant_id, name="token_refreshed")] == [
            "token_refreshed"
        ]
        assert len(await found(world, user_id="u1")) == 3
        assert await found(world, since=int(world.clock()) + 1) == []
        assert await found(world, user_id="u2") == []


@requirement("G-500")
async def test_what_was_told_before_a_server_ends_is_there_when_the_next_one_begins(tmp_path: Path) -> None:
    async with running_world(new_store("sqlite", tmp_path)) as world:
        await world.tokens(await world.register())
        assert (await world.store.list_events(EventQuery())).items == ()
    async with running_world(new_store("sqlite", tmp_path)) as world:
        names = [event.name for event in (await world.store.list_events(EventQuery())).items]
    assert names == ["code_exchanged", "grant_issued", "client_registered"]


@requirement("G-500")
async def test_an_application_tells_of_what_happened_to_it_and_on_event_hears_the_same(
    store: MemoryStore | SQLStore,
) -> None:
    heard: list[Event] = []
    async with running_world(store, on_event=heard.append) as world:
        helpers = world.provider.helpers.acting_as("user:bob", address="2001:db8::1")
        await helpers.tell("signed_in", user_id="bob", details={"by": "passkey"})
        await helpers.tell("signed_in", user_id="eve", actor="user:eve", address="192.0.2.9", reason="é")
        events = await found(world)
        assert events == heard
        assert [(event.user_id, event.actor, event.address, event.reason) for event in events] == [
            ("bob", "user:bob", "2001:db8::1", ""),
            ("eve", "user:eve", "192.0.2.9", "é"),
        ]
        assert [event.details for event in events] == [{"by": "passkey"}, {}]
        for name in ("", "Signed_in", "signed in", "x" * 65, "_"):
            with pytest.raises(ValueError, match="name"):
                await helpers.tell(name)
        with pytest.raises(ValueError, match="printable"):
            await helpers.tell("signed_in", user_id="a\ud800")


@requirement("G-501", "F-075")
async def test_no_request_waits_for_an_event_or_fails_for_one(caplog: pytest.LogCaptureFixture) -> None:
    store = TroubledStore(MemoryStore())
    store.fails_always = {"add_events"}
    async with running_world(store) as world:
        client = await world.register()
        tokens = await world.tokens(client)
        assert (await world.call(tokens.access)).status_code == 200
        assert "add_events" not in store.calls, "nothing was written in front of an answer"
        refused(await world.exchange(client, "gwc_none"), "invalid_grant")
    assert store.calls.count("add_events") == 1
    assert "4 events are lost" in caplog.text


@requirement("G-501")
async def test_what_could_not_be_written_is_written_once_the_database_is_back() -> None:
    store = TroubledStore(MemoryStore())
    async with running_world(store) as world:
        client = await world.register()
        store.fails_always = {"add_events"}
        assert await found(world) == []
        await world.tokens(client)
        store.fails_always = set()
        # Its answer is lost: what is sent again is there once.
        store.watch(fails_at=1, moment="after")
        await found(world)
        assert [event.name for event in await found(world)] == ["client_registered", "grant_issued", "code_exchanged"]


@requirement("G-501")
async def test_events_are_written_by_themselves_a_moment_later() -> None:
    store = TroubledStore(MemoryStore())
    async with running_world(store) as world:
        await world.register()
        await store.until_called("add_events")
        assert [event.name for event in (await store.list_events(EventQuery())).items] == ["client_registered"]


@requirement("G-502")
async def test_a_flood_of_refusals_leaves_few_rows_and_room_for_the_others(
    store: MemoryStore | SQLStore, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_world(store) as world:
        answers = await from_address(world, "192.0.2.1", 200)
        assert {answer.content for answer in answers} == {answers[0].content}
        assert len(await found(world, name="refused")) == 10
        await from_address(world, "192.0.2.2")
        # One customer has 2^64 addresses.
        for number in range(40):
            await from_address(world, f"2001:db8::{number:x}")
        assert len(await found(world, name="refused")) == 21
        for number in range(100):
            await from_address(world, f"198.51.100.{number}")
        assert len(await found(world, name="refused")) == 60
        client = await world.register()
        await world.tokens(client)
        assert len(await found(world, client_id=client["client_id"])) == 3
        world.clock.advance(60)
        await from_address(world, "192.0.2.1", 20)
        assert len(await found(world, name="refused")) == 70
    assert "were told but not kept" in caplog.text


@requirement("G-502")
async def test_refusals_of_a_day_have_an_end_and_the_next_day_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grantwell._flows.audit.MOST_A_DAY", 25)
    async with running_world(MemoryStore()) as world:
        for _ in range(4):
            await from_address(world, "192.0.2.1", 12)
            world.clock.advance(60)
        assert len(await found(world, name="refused")) == 25
        world.clock.advance(DAY)
        await from_address(world, "192.0.2.1")
        assert len(await found(world, name="refused")) == 26


@requirement("G-502")
async def test_one_grant_fills_no_disk_with_its_refreshes_and_hides_no_theft() -> None:
    async with running_world(MemoryStore()) as world:
        client = await world.register()
        first = await world.tokens(client)
        tokens = first
        for _ in range(62):
            tokens = parsed(await world.refresh(client, tokens.refresh))
        others = await world.tokens(client, headers={"x-user": "u2"})
        await world.refresh(client, others.refresh)
        assert len(await found(world, name="token_refreshed", user_id="u1")) == 60
        assert len(await found(world, name="token_refreshed", user_id="u2")) == 1
        world.clock.advance(11)
        refused(await world.refresh(client, first.refresh), "invalid_grant")
        assert len(await found(world, name="refresh_reuse_detected")) == 1


@requirement("G-502")
async def test_a_flood_of_events_is_bounded_in_memory_while_the_database_is_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = TroubledStore(MemoryStore())
    store.fails_always = {"add_events"}
    async with running_world(store) as world:
        helpers = world.provider.helpers
        for number in range(10_050):
            await helpers.tell("signed_in", user_id=f"u{number}")
        store.fails_always = set()
        assert len(await found(world)) == 10_000
    assert "50 events were told but not kept" in caplog.text


@requirement("G-502")
async def test_others_write_between_the_batches_of_many_events(tmp_path: Path) -> None:
    store = TroubledStore(new_store("sqlite", tmp_path))
    async with running_world(store) as world:
        client = await world.register()
        helpers = world.provider.helpers
        for number in range(3000):
            await helpers.tell("signed_in", user_id=f"u{number}")
        store.watch()
        tokens, events = await asyncio.gather(world.tokens(client), found(world, name="signed_in"))
        assert (await world.call(tokens.access)).status_code == 200
        assert len(events) == 3000
        first, last = store.calls.index("add_events"), len(store.calls) - store.calls[::-1].index("add_events")
        assert "redeem_code" in store.calls[first:last]


@requirement("G-503")
async def test_a_refusal_is_found_by_its_reference_with_what_was_asked(store: MemoryStore | SQLStore) -> None:
    async with running_world(store) as world:
        client = await world.register()
        unregistered = await world.authorize(client, redirect_uri="https://c1.test/other?code=x", prompt="none")
        assert unregistered.status_code == 400
        (event,) = await found(world, name="refused")
        assert event.reference
        assert await found(world, reference=event.reference) == [event]
        assert (event.client_id, event.reason, event.address) == (client["client_id"], "redirect_uri", "127.0.0.1")
        assert event.details == {
            "endpoint": "/authorize",
            "code": "invalid_request",
            "description": "The redirect URI is not registered for this client.",
            "status": 400,
            "inputs": {
                "client_id": client["client_id"],
                "redirect_uri": "https://c1.test/other?code=x",
                "scope": "read write",
                "resource": "https://as.test/api",
                "response_type": "code",
                "code_challenge_method": "S256",
                "prompt": "none",
            },
        }


@requirement("G-503", "S-108")
async def test_an_error_answer_says_nothing_of_its_reference_and_log_and_hook_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    references: list[str] = []
    async with running_world(MemoryStore(), on_error=lambda event: references.append(event.reference)) as world:
        client = await world.register(token_endpoint_auth_method="client_secret_basic")
        form = {"grant_type": "refresh_token", "refresh_token": "gwr_x"}
        wrong = await world.post("/token", client, form, auth=(client["client_id"], "wrong"))
        refused(wrong, "invalid_client", 401)
        (event,) = await found(world, name="refused")
        assert (event.client_id, event.reason) == (client["client_id"], "wrong or expired secret")
        answer = await world.http.post("/register", json={"redirect_uris": ["http://c1.test/cb"], "scope": 7})
        assert answer.status_code == 400
        registration = (await found(world, name="refused"))[-1]
        assert registration.details["inputs"] == {"redirect_uri": "http://c1.test/cb"}
    assert references == [event.reference, registration.reference]
    for response in (wrong, answer):
        assert not any(reference in f"{response.text}{response.headers}" for reference in references)
    assert all(f"reference={reference}" in caplog.text for reference in references)


@requirement("G-503")
async def test_a_page_notes_a_refusal_and_gets_a_reference_that_can_be_read_out() -> None:
    async with running_world(MemoryStore()) as world:
        helpers = world.provider.helpers
        references = {
            helpers.note_refusal(
                endpoint="/consent",
                code="invalid_request",
                description="Too late.",
                reason="the interaction ran out",
                status=403,
                user_id="u1",
                client_id="c1",
                address=f"192.0.2.{number}",
                inputs={"scope": "read", "state": "s3cret", "code": "x"},
            )
            for number in range(50)
        }
        assert len(references) == 50
        for reference in references:
            first, dash, last = reference.partition("-")
            assert (len(first), dash, len(last)) == (4, "-", 4)
            assert set(first + last) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
        events = await found(world, user_id="u1")
        assert {event.reference for event in events} == references
        assert events[0].details["inputs"] == {"scope": "read"}
        assert events[0].actor == "user:u1"


@requirement("G-504")
@pytest.mark.parametrize(("ttl", "left"), [(None, 3), (100, 2), (DAY, 3)])
async def test_events_go_when_they_are_old(store: MemoryStore | SQLStore, ttl: int | None, left: int) -> None:
    async with running_world(store, event_ttl=ttl) as world:
        await world.provider.helpers.tell("signed_in", user_id="u1")
        world.clock.advance(99)
        await world.provider.helpers.tell("signed_out", user_id="u1")
        assert len(await found(world)) == 2
        world.clock.advance(1)
        await world.provider.helpers.purge_expired()
        assert len(await found(world)) == left


@requirement("G-500")
async def test_a_custom_store_that_breaks_loses_a_batch_and_no_request(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(MemoryStore):
        async def add_events(self, events: Any) -> None:
            raise RuntimeError("not written for this")

    async with running_world(Broken()) as world:
        await world.tokens(await world.register())
        assert await found(world) == []
    assert "3 events are lost" in caplog.text


@requirement("G-501")
async def test_whoever_leaves_while_events_are_written_takes_none_of_them_along() -> None:
    class Slow(MemoryStore):
        def __init__(self) -> None:
            super().__init__()
            self.called, self.may_go_on = asyncio.Event(), asyncio.Event()

        async def add_events(self, events: Any) -> None:
            self.called.set()
            await self.may_go_on.wait()
            await super().add_events(events)

    store = Slow()
    async with running_world(store) as world:
        await world.provider.helpers.tell("signed_in", user_id="u1")
        listing = asyncio.ensure_future(found(world))
        await store.called.wait()
        listing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listing
        store.may_go_on.set()
        assert [event.name for event in await found(world)] == ["signed_in"]


@requirement("G-501")
def test_events_are_written_by_themselves_in_each_of_several_loops() -> None:
    store = TroubledStore(MemoryStore())
    provider = OAuthProvider(
        issuer="https://as.test", store=store, secret_key=SecretKey(b"k" * 32), api_handlers={"/api": api}
    )

    async def tell(user_id: str, *, until_written: bool) -> None:
        await provider.helpers.tell("signed_in", user_id=user_id)
        if until_written:
            await store.until_called("add_events")

    asyncio.run(tell("u1", until_written=False))
    asyncio.run(tell("u2", until_written=True))
    assert len(store.store._tables.events) == 2
