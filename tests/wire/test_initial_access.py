"""Registration by initial access token (RFC 7591 section 3): each lets one client register, and nothing else does."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from typing import Any

import httpx
import pytest

from grantwell import ClientMetadataError, ClientRegistration, Event, SecretKey
from grantwell.config import DAY, MAX_TTL
from grantwell.crypto import digest_of
from grantwell_storage import MemoryStore, SQLStore
from tests.wire.world import REDIRECT, World, altered, nothing_changes, parsed, refused, rows_of, running_world

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

BARE = 'Bearer realm="registration"'
CHALLENGE = BARE + ', error="invalid_token"'


@asynccontextmanager
async def protected(store: Any, **options: Any) -> AsyncIterator[World]:
    """A world in which nobody registers without an initial access token."""
    async with running_world(store, **({"require_initial_access_token": True} | options)) as world:
        yield world


@pytest.fixture
async def world(store: Any) -> AsyncIterator[World]:
    async with protected(store) as world:
        yield world


async def register(world: World, token: str | None, /, *, path: str = "/register", **changes: Any) -> httpx.Response:
    """Register a public client with an initial access token."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    metadata = {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"} | changes
    return await world.http.post(path, json=metadata, headers=headers)


def challenged(answer: httpx.Response, challenge: str = CHALLENGE) -> None:
    """Check that an answer is 401 with this challenge, which a page of any origin may read."""
    refused(answer, "invalid_token", 401)
    assert answer.json()["error_description"] == "Registration needs an initial access token."
    assert answer.headers["www-authenticate"] == challenge
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "WWW-Authenticate" in answer.headers["access-control-expose-headers"]


@requirement("A-107", "S-389", "S-209")
async def test_a_token_lets_one_client_register(world: World) -> None:
    token = await world.provider.helpers.create_initial_access_token()
    assert token.startswith("gwi_")
    assert token != await world.provider.helpers.create_initial_access_token()
    answer = await register(world, token)
    assert answer.status_code == 201
    assert token not in answer.text
    await world.tokens(answer.json())
    with nothing_changes(world):
        challenged(await register(world, token))


@requirement("A-107", "S-389", "S-024")
async def test_without_a_token_the_challenge_names_no_error(world: World) -> None:
    with nothing_changes(world):
        challenged(await register(world, None), BARE)
        for header in ("Basic eDp5", "Digest username=x", "Bearerless x"):
            answer = await world.http.post("/register", json={}, headers={"Authorization": header})
            challenged(answer, BARE)


@requirement("A-107", "S-105")
async def test_a_token_is_taken_from_the_header_alone(world: World) -> None:
    token = await world.provider.helpers.create_initial_access_token()
    with nothing_changes(world):
        for name in ("access_token", "initial_access_token", "token"):
            challenged(await register(world, None, path=f"/register?{name}={token}"), BARE)
            challenged(await register(world, None, **{name: token}), BARE)
    assert (await register(world, token)).status_code == 201


@requirement("A-107", "A-103")
@pytest.mark.parametrize("wrong", ["unknown", "altered", "cut", "prefix", "noise", "client_id"])
async def test_a_wrong_token_is_refused_whatever_is_wrong_with_it(world: World, wrong: str) -> None:
    token = await world.provider.helpers.create_initial_access_token()
    operator, _ = await world.provider.helpers.create_client({"redirect_uris": [REDIRECT]})
    sent = {
        "unknown": "gwi_" + "A" * 49,
        "altered": altered(token),
        "cut": token[:-1],
        "prefix": "gws_" + token[4:],
        "noise": "x",
        "client_id": operator.client_id,
    }[wrong]
    with nothing_changes(world):
        challenged(await register(world, sent))
    assert (await register(world, token)).status_code == 201


@requirement("A-107", "S-465")
async def test_no_other_kind_of_token_registers_a_client(store: Any) -> None:
    async with protected(store, allow_client_management=True) as world:
        helpers = world.provider.helpers
        answer = await register(
            world, await helpers.create_initial_access_token(), token_endpoint_auth_method="client_secret_basic"
        )
        client = answer.json()
        tokens = await world.tokens(client, scope="read offline_access")
        others = [
            tokens.access,
            tokens.refresh,
            await world.code(client),
            client["client_secret"],
            client["registration_access_token"],
        ]
        with nothing_changes(world):
            for other in filter(None, others):
                challenged(await register(world, other))


@requirement("A-107")
async def test_two_headers_and_broken_ones_are_malformed_requests(world: World) -> None:
    token = await world.provider.helpers.create_initial_access_token()
    good = ("Authorization", f"Bearer {token}")
    with nothing_changes(world):
        for headers in (
            [good, good],
            [good, ("Authorization", "Basic eDp5")],
            [("Authorization", f"Bearer {token} x")],
        ):
            answer = await world.http.post("/register", json={"redirect_uris": [REDIRECT]}, headers=headers)
            refused(answer, "invalid_request")


@requirement("A-107")
@pytest.mark.parametrize(("ttl", "seconds"), [(None, DAY), (1, 1), (90, 90)], ids=str)
async def test_a_token_is_good_until_its_end(world: World, ttl: int | None, seconds: int) -> None:
    options: dict[str, int] = {} if ttl is None else {"ttl": ttl}
    early, late = [await world.provider.helpers.create_initial_access_token(**options) for _ in range(2)]
    world.clock.advance(seconds - 1)
    assert (await register(world, early)).status_code == 201
    world.clock.advance(1)
    with nothing_changes(world):
        challenged(await register(world, late))
    # Nor does it come back to life when the clock is set back after it was purged.
    world.clock.advance(3600)
    await world.provider.helpers.purge_expired()
    world.clock.advance(-3600 - seconds)
    challenged(await register(world, late))


@requirement("A-107")
@pytest.mark.parametrize("ttl", [0, -1, MAX_TTL + 1, 1.5, True, "60", None], ids=repr)
async def test_a_lifetime_that_is_none_is_refused(world: World, ttl: Any) -> None:
    with nothing_changes(world), pytest.raises(ValueError, match="whole number of seconds"):
        await world.provider.helpers.create_initial_access_token(ttl=ttl)


@requirement("A-107", "S-399")
async def test_a_registration_that_is_refused_leaves_the_token(store: Any) -> None:
    async def refuse(event: ClientRegistration) -> None:
        if event.client.name == "Evil":
            raise ClientMetadataError("Not that name.")

    async with protected(store, client_registration_callback=refuse, max_unused_clients=1) as world:
        token, second = [await world.provider.helpers.create_initial_access_token() for _ in range(2)]
        with nothing_changes(world):
            refused(await register(world, token, redirect_uris=["javascript:x"]), "invalid_redirect_uri")
            refused(await register(world, token, grant_types=["password"]), "invalid_client_metadata")
            refused(await register(world, token, client_name="Evil"), "invalid_client_metadata")
            broken = await world.http.post("/register", content=b"[]", headers={"Authorization": f"Bearer {token}"})
            refused(broken, "invalid_client_metadata")
        assert (await register(world, token)).status_code == 201
        with nothing_changes(world):
            refused(await register(world, second), "temporarily_unavailable", 429)
        world.clock.advance(3600)
        assert (await register(world, second)).status_code == 201


@requirement("A-107", "A-108")
async def test_the_callback_is_not_asked_about_somebody_without_a_token(store: Any) -> None:
    asked: list[ClientRegistration] = []

    async with protected(store, client_registration_callback=asked.append) as world:
        for token in (None, "gwi_" + "A" * 49):
            await register(world, token)
        assert asked == []
        assert (await register(world, await world.provider.helpers.create_initial_access_token())).status_code == 201
        assert len(asked) == 1


@requirement("A-107")
async def test_of_two_registrations_at_once_with_one_token_one_is_made(world: World) -> None:
    token = await world.provider.helpers.create_initial_access_token()
    answers = await asyncio.gather(*(register(world, token) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [401] * 7
    for answer in answers:
        if answer.status_code == 401:
            challenged(answer)
    assert len((await world.provider.helpers.list_clients()).items) == 1


@requirement("A-107", "A-323", "S-465")
async def test_a_row_that_the_deployment_did_not_write_registers_nobody(world: World) -> None:
    helpers = world.provider.helpers
    token = await helpers.create_initial_access_token(ttl=60)
    async with protected(MemoryStore(), secret_key=SecretKey(b"o" * 32)) as other:
        foreign = await other.provider.helpers.create_initial_access_token()
        row = await other.store.get_initial_access_token(digest_of("initial_access", foreign), 0)
    await world.store.add_initial_access_token(row)
    with nothing_changes(world):
        challenged(await register(world, foreign))
    await longer(world.store, token)
    world.clock.advance(60)
    with nothing_changes(world):
        challenged(await register(world, token))


async def longer(store: MemoryStore | SQLStore, token: str) -> None:
    """Give the row of a token another end behind the server's back."""
    digest = digest_of("initial_access", token)
    if isinstance(store, MemoryStore):
        tokens = store._tables.initial_access_tokens
        tokens[digest] = replace(tokens[digest], expires_at=tokens[digest].expires_at + DAY)
        return
    with closing(sqlite3.connect(store._database._url.database or "")) as database, database:
        changed = database.execute(
            "UPDATE oauth_initial_access_tokens SET expires_at = expires_at + ? WHERE digest = ?", (DAY, digest)
        )
        assert changed.rowcount == 1


@requirement("A-107", "S-465", "S-466", "S-473")
async def test_a_token_is_shown_once_and_making_it_is_told(store: Any, caplog: pytest.LogCaptureFixture) -> None:
    events: list[Event] = []

    async def note(event: Event) -> None:
        events.append(event)

    async with protected(store, on_event=note) as world:
        with caplog.at_level(logging.DEBUG):
            token = await world.provider.helpers.create_initial_access_token()
            written = repr(rows_of(world.store))
            await register(world, token, redirect_uris=[])
            await register(world, token)
            await register(world, token)
        assert [event.name for event in events] == ["initial_access_token_created", "client_registered"]
        assert token[4:-6] not in caplog.text + repr(events) + written
        assert "spent" in caplog.text


@requirement("A-107", "S-389", "S-246")
async def test_registration_that_is_open_ignores_the_header(store: Any) -> None:
    async with running_world(store) as world:
        token = await world.provider.helpers.create_initial_access_token()
        for header in (f"Bearer {token}", "Bearer x", "Bearer", "Basic x"):
            answer = await world.http.post(
                "/register", json={"redirect_uris": [REDIRECT]}, headers={"Authorization": header}
            )
            assert answer.status_code == 201
        # And spends nothing.
        assert await store.get_initial_access_token(digest_of("initial_access", token), int(world.clock())) is not None


@requirement("A-107", "S-467")
async def test_an_operator_needs_no_token_and_tokens_are_issued_without_one(world: World) -> None:
    client, _ = await world.provider.helpers.create_client(
        {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"}
    )
    registered = {"client_id": client.client_id, "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"}
    parsed(await world.exchange(registered, await world.code(registered)))
