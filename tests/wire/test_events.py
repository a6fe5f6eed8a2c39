"""What `on_event` and `on_error` are told, when, and what their failures change: nothing."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from grantwell import ErrorEvent, Event, OAuthError
from grantwell.store import GrantQuery
from grantwell_storage import MemoryStore
from tests.wire.world import ISSUER, World, parsed, running_world

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement


@pytest.fixture
async def told() -> AsyncIterator[tuple[World, list[Event]]]:
    """A world with the events it told."""
    events: list[Event] = []

    async def note(event: Event) -> None:
        events.append(event)

    async with running_world(MemoryStore(), on_event=note) as world:
        yield world, events


@requirement("S-473", "A-344")
async def test_every_change_is_told_with_who_and_what_and_without_secrets(told: tuple[World, list[Event]]) -> None:
    world, events = told
    helpers = world.provider.helpers
    client = await world.register()
    first = await world.tokens(client)
    refreshed = parsed(await world.refresh(client, first.refresh))
    assert (await world.refresh(client, first.refresh)).status_code == 200
    await world.authorize(client, headers={"x-deny": "1"})
    await world.revoke(client, refreshed.access)
    await world.revoke(client, refreshed.refresh)
    created, _ = await helpers.create_client({"redirect_uris": ["https://c2.test/cb"]})
    await helpers.update_client(created.client_id, {"client_name": "B"})
    await helpers.delete_client(created.client_id)
    await world.tokens(client)
    await helpers.revoke_user_grants("u1", reason="user_request")
    await helpers.purge_expired()
    assert [event.name for event in events] == [
        "client_registered",
        "grant_issued",
        "code_exchanged",
        "token_refreshed",
        "refresh_replayed",
        "grant_denied",
        "token_revoked",
        "grant_revoked",
        "client_registered",
        "client_changed",
        "client_deleted",
        "grant_issued",
        "code_exchanged",
        "grant_revoked",
        "purged",
    ]
    issued = events[1]
    assert (issued.client_id, issued.user_id, issued.at) == (client["client_id"], "u1", int(world.clock()))
    assert all(event.grant_id == issued.grant_id for event in events[1:5])
    assert (events[6].reason, events[7].reason, events[13].reason) == (
        "client_request",
        "client_request",
        "user_request",
    )
    secrets = [first.access, first.refresh, refreshed.access, refreshed.refresh, "teal", world.pkce.verifier, "gws_"]
    assert not [secret for secret in secrets if secret in repr(events)]


@requirement("S-473", "C-231")
async def test_an_event_is_told_after_its_change_is_stored() -> None:
    store = MemoryStore()
    seen: list[tuple[str, object]] = []

    async def look(event: Event) -> None:
        state: object = None
        if event.name == "client_registered" and event.client_id:
            state = (await store.get_client(event.client_id)) is not None
        elif event.name == "client_deleted" and event.client_id:
            state = (await store.get_client(event.client_id)) is None
        elif event.grant_id:
            grant = await store.get_grant(event.grant_id)
            assert grant is not None
            state = (grant.exchanged_at is not None, grant.revoked_at is not None)
        seen.append((event.name, state))

    async with running_world(store, on_event=look) as world:
        client = await world.register()
        tokens = await world.tokens(client)
        await world.revoke(client, tokens.refresh)
        await world.provider.helpers.delete_client(client["client_id"])
    assert seen == [
        ("client_registered", True),
        ("grant_issued", (False, False)),
        ("code_exchanged", (True, False)),
        ("grant_revoked", (True, True)),
        ("client_deleted", True),
    ]


@requirement("S-473", "F-075")
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_an_observer_that_fails_changes_nothing(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    threads: set[threading.Thread] = set()

    async def fail(event: Event) -> None:
        raise RuntimeError("no room in the log")

    def fail_in_a_thread(event: Event) -> None:
        threads.add(threading.current_thread())
        raise RuntimeError("no room in the log")

    async with running_world(MemoryStore(), on_event=fail if kind == "async" else fail_in_a_thread) as world:
        tokens = await world.tokens(await world.register())
        assert (await world.call(tokens.access)).status_code == 200
    assert "on_event failed for grant_issued" in caplog.text
    assert threading.main_thread() not in threads


@requirement("S-473", "A-343", "S-466", "C-226")
async def test_a_refusal_leaves_one_log_line_whatever_was_sent(caplog: pytest.LogCaptureFixture) -> None:
    async with running_world(MemoryStore()) as world:
        with caplog.at_level(logging.DEBUG, logger="grantwell"):
            await world.http.post("/token", data={"grant_type": "x", "client_id": "a\u2028b\u202ec"})
            await world.http.post("/token", data={"grant_type": "x", "client_id": "nobody", "client_secret": "hunter2"})
            await world.register(client_name="A client")
    lines = [record.getMessage() for record in caplog.records if record.name == "grantwell"]
    assert len(lines) == 3
    assert all(line.isascii() and line.isprintable() for line in lines), lines
    assert "hunter2" not in caplog.text


# on_error ---------------------------------------------------------------------------------------------------------


@requirement("C-222", "C-223", "C-224", "S-108", "C-225")
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_on_error_hears_of_every_error_and_may_replace_it(kind: str) -> None:
    heard: list[ErrorEvent] = []

    def decide(event: ErrorEvent) -> OAuthError | None:
        heard.append(event)
        if event.code == "invalid_client":
            return OAuthError("invalid_client", "Register again.", status=401, headers={"X-Help": "1"}, reason="x")
        return None

    async def decide_later(event: ErrorEvent) -> OAuthError | None:
        await asyncio.sleep(0)
        return decide(event)

    async with running_world(MemoryStore(), on_error=decide if kind == "sync" else decide_later) as world:
        replaced = await world.http.post("/token", data={"grant_type": "refresh_token", "client_id": "nobody"})
        assert (replaced.status_code, replaced.json()) == (
            401,
            {"error": "invalid_client", "error_description": "Register again."},
        )
        assert replaced.headers["x-help"] == "1"
        kept = await world.http.post("/register", json={})
        assert kept.json()["error"] == "invalid_redirect_uri"
        refused = await world.call("nonsense")
        assert refused.json()["error"] == "invalid_token"
        await world.call(None)
    assert [(event.endpoint, event.code, event.status) for event in heard] == [
        ("/token", "invalid_client", 401),
        ("/register", "invalid_redirect_uri", 400),
        ("/api", "invalid_token", 401),
    ]
    assert heard[0].reason == "unknown client"
    assert "nonsense" not in repr(heard)


@requirement("C-223", "F-075", "S-024")
@pytest.mark.parametrize("answer", [RuntimeError("boom"), {"error": "mine"}, "text", 7, KeyError], ids=str)
async def test_an_on_error_that_fails_or_answers_nonsense_replaces_nothing(answer: Any) -> None:
    async def decide(event: ErrorEvent) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with running_world(MemoryStore(), on_error=decide) as world:
        for refused, status in [
            (await world.http.post("/token", data={"grant_type": "x", "client_id": "nobody"}), 401),
            (await world.call("nonsense"), 401),
            (await world.http.post("/register", json={}), 400),
        ]:
            assert refused.status_code == status
            assert refused.json()["error"] in ("invalid_client", "invalid_token", "invalid_redirect_uri")


@requirement("C-223", "S-105", "S-110", "A-275", "S-015")
async def test_a_replacement_cannot_break_the_answer() -> None:
    async def decide(event: ErrorEvent) -> OAuthError:
        return OAuthError(
            'my"code\n',
            'my "own" \\ words\r\nX: 1 €',
            status=event.status,
            headers={"X-Split": "a\r\nSet-Cookie: b", "X-Euro": "€", "X-Fine": "yes"},
        )

    async with running_world(MemoryStore(), on_error=decide) as world:
        for answer in (
            await world.call("nonsense"),
            await world.http.post("/token", data={"grant_type": "x", "client_id": "nobody"}),
        ):
            assert answer.status_code == 401
            assert answer.json() == {"error": "my?code?", "error_description": "my ?own? ? words??X: 1 ?"}
            assert "set-cookie" not in answer.headers
            assert "x-split" not in answer.headers
            assert "x-euro" not in answer.headers
            assert answer.headers["x-fine"] == "yes"
        challenge = (await world.call("nonsense")).headers["www-authenticate"]
        assert challenge.startswith(f'Bearer resource_metadata="{ISSUER}/')
        assert 'error="my?code?"' in challenge


@requirement("S-108", "S-473")
async def test_the_store_that_is_told_of_is_the_store_that_answers(told: tuple[World, list[Event]]) -> None:
    world, events = told
    await world.tokens(await world.register())
    page = await world.store.list_grants(GrantQuery(now=int(world.clock())))
    assert [grant.grant_id for grant in page.items] == [events[-1].grant_id]
