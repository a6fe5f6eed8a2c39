"""Rotating the secret of a client: for a while the one before works too, so that nobody is cut off."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from grantwell import Client, ClientMetadataError, Event, OAuthError
from grantwell.config import DAY, MAX_TTL
from grantwell_storage import MemoryStore, SQLStore
from tests.assertions.signing import jwks, new_key
from tests.wire.world import REDIRECT, World, nothing_changes, refused, rows_of, running_world

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

METHODS = ("client_secret_basic", "client_secret_post")


async def rotated(world: World, client: dict[str, Any], **options: int) -> dict[str, Any]:
    """The client with its next secret."""
    answer = await world.provider.helpers.rotate_client_secret(client["client_id"], **options)
    assert answer is not None
    assert answer[0].client_id == client["client_id"]
    assert answer[1].startswith("gws_")
    return client | {"client_secret": answer[1]}


async def works(world: World, client: dict[str, Any]) -> bool:
    """Whether the secret of this client authenticates it, at both endpoints alike."""
    refresh = await world.refresh(client, "unknown")
    revocation = await world.revoke(client, "unknown")
    if revocation.status_code == 200:
        refused(refresh, "invalid_grant")
        return True
    refused(refresh, "invalid_client", 401)
    refused(revocation, "invalid_client", 401)
    return False


@requirement("S-470", "A-088", "S-228")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("options", "overlap"), [({}, DAY), ({"overlap": 90}, 90), ({"overlap": 1}, 1)], ids=str)
async def test_both_secrets_work_until_the_overlap_ends(
    world: World, method: str, options: dict[str, int], overlap: int
) -> None:
    old = await world.register(token_endpoint_auth_method=method)
    new = await rotated(world, old, **options)
    assert new["client_secret"] != old["client_secret"]
    assert [await works(world, old), await works(world, new)] == [True, True]
    world.clock.advance(overlap - 1)
    assert [await works(world, old), await works(world, new)] == [True, True]
    world.clock.advance(1)
    assert [await works(world, old), await works(world, new)] == [False, True]
    world.clock.advance(1000 * DAY)
    assert await works(world, new)


@requirement("S-470", "A-088")
async def test_without_an_overlap_the_secret_before_ends_at_once(world: World) -> None:
    old = await world.register(token_endpoint_auth_method="client_secret_basic")
    new = await rotated(world, old, overlap=0)
    assert [await works(world, old), await works(world, new)] == [False, True]
    world.clock.advance(-10)
    assert not await works(world, old)


@requirement("S-470", "A-088")
async def test_no_more_than_two_secrets_are_ever_valid(world: World) -> None:
    first = await world.register(token_endpoint_auth_method="client_secret_post")
    second = await rotated(world, first, overlap=1000)
    third = await rotated(world, second, overlap=10)
    assert [await works(world, one) for one in (first, second, third)] == [False, True, True]
    world.clock.advance(10)
    assert [await works(world, one) for one in (second, third)] == [False, True]
    fourth = await rotated(world, third, overlap=0)
    assert [await works(world, one) for one in (second, third, fourth)] == [False, False, True]
    assert len((await world.store.get_client(first["client_id"])).secrets) == 1


@requirement("S-470", "C-229")
async def test_a_rotation_changes_nothing_but_the_secret(world: World) -> None:
    old = await world.register(token_endpoint_auth_method="client_secret_basic", client_uri="https://c1.test/")
    tokens = await world.tokens(old)
    before = await world.provider.helpers.lookup_client(old["client_id"])
    new = await rotated(world, old)
    after = await world.provider.helpers.lookup_client(old["client_id"])
    assert before is not None
    assert after == replace(before, version=2)
    assert (await world.call(tokens.access)).status_code == 200
    assert (await world.refresh(old, tokens.refresh)).status_code == 200
    changed = await world.provider.helpers.update_client(old["client_id"], {"client_name": "B"})
    assert changed is not None
    assert [await works(world, old), await works(world, new)] == [True, True]
    third = await rotated(world, new)
    assert [await works(world, one) for one in (old, new, third)] == [False, True, True]


@requirement("S-470", "S-467")
async def test_the_secret_of_an_operators_client_is_rotated_too(world: World) -> None:
    created, secret = await world.provider.helpers.create_client(
        {"token_endpoint_auth_method": "client_secret_post", "grant_types": ["client_credentials"]}
    )
    old = {
        "client_id": created.client_id,
        "client_secret": secret,
        "token_endpoint_auth_method": "client_secret_post",
    }
    new = await rotated(world, old, overlap=60)
    for seconds, statuses in ((0, [200, 200]), (60, [401, 200])):
        world.clock.advance(seconds)
        answers = [await world.post("/token", one, {"grant_type": "client_credentials"}) for one in (old, new)]
        assert [answer.status_code for answer in answers] == statuses


@requirement("S-470", "S-404", "S-230")
async def test_a_client_without_a_secret_gets_none(world: World) -> None:
    helpers = world.provider.helpers
    public = await world.register()
    keyed, none = await helpers.create_client(
        {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks(new_key())}
    )
    assert none is None
    with nothing_changes(world):
        for client_id in (public["client_id"], keyed.client_id):
            with pytest.raises(ClientMetadataError, match="no secret"):
                await helpers.rotate_client_secret(client_id)
        for client_id in ("unknown", "", public["client_id"].upper(), "https://m1.test/client.json", "x" * 600):
            assert await helpers.rotate_client_secret(client_id) is None


@requirement("S-470")
@pytest.mark.parametrize("overlap", [-1, MAX_TTL + 1, 1.5, True, "60", None], ids=repr)
async def test_an_overlap_that_is_none_is_refused(world: World, overlap: Any) -> None:
    client = await world.register(token_endpoint_auth_method="client_secret_basic")
    with nothing_changes(world), pytest.raises(ValueError, match="whole number of seconds"):
        await world.provider.helpers.rotate_client_secret(client["client_id"], overlap=overlap)


@requirement("S-470", "C-229")
@pytest.mark.parametrize("overlap", [0, 60])
async def test_of_rotations_at_once_each_succeeds_and_the_last_one_stands(world: World, overlap: int) -> None:
    client = await world.register(token_endpoint_auth_method="client_secret_basic")
    rotate = world.provider.helpers.rotate_client_secret
    answers = await asyncio.gather(*(rotate(client["client_id"], overlap=overlap) for _ in range(4)))
    by_version = {answer[0].version: answer[1] for answer in answers if answer is not None}
    assert sorted(by_version) == [2, 3, 4, 5]
    works_of = [await works(world, client | {"client_secret": by_version[version]}) for version in (2, 3, 4, 5)]
    assert works_of == [False, False, overlap > 0, True]
    assert not await works(world, client)


@requirement("S-470", "S-246")
async def test_a_client_that_keeps_changing_keeps_its_secret() -> None:
    class Busy(MemoryStore):
        async def replace_client(self, client: Client) -> bool:
            return False

    async with running_world(Busy()) as world:
        client = await world.register(token_endpoint_auth_method="client_secret_basic")
        with nothing_changes(world), pytest.raises(OAuthError) as caught:
            await world.provider.helpers.rotate_client_secret(client["client_id"])
        assert (caught.value.code, caught.value.status) == ("temporarily_unavailable", 503)
        assert await works(world, client)


def put_off(store: MemoryStore | SQLStore, client_id: str) -> None:
    """Let every secret of a client work for ever, behind the server's back."""
    if isinstance(store, MemoryStore):
        row = store._tables.clients[client_id]
        longer = tuple(replace(secret, expires_at=None) for secret in row.secrets)
        store._tables.clients[client_id] = replace(row, secrets=longer)
        return
    with closing(sqlite3.connect(store._database._url.database or "")) as database, database:
        ((stored,),) = database.execute("SELECT secrets FROM oauth_clients").fetchall()
        secrets = json.dumps([[digest, None] for digest, _ in json.loads(stored)])
        database.execute("UPDATE oauth_clients SET secrets = ?", (secrets,))


@requirement("S-470", "A-323", "A-088")
async def test_an_end_that_was_put_off_in_the_database_ends_the_client_instead(world: World) -> None:
    old = await world.register(token_endpoint_auth_method="client_secret_basic")
    new = await rotated(world, old, overlap=60)
    put_off(world.store, old["client_id"])
    assert [secret.expires_at for secret in (await world.store.get_client(old["client_id"])).secrets] == [None, None]
    assert [await works(world, old), await works(world, new)] == [False, False]


@requirement("S-470", "S-465", "S-466", "S-473", "A-344")
async def test_a_rotation_is_told_and_its_secret_is_not(store: Any, caplog: pytest.LogCaptureFixture) -> None:
    events: list[Event] = []

    async def note(event: Event) -> None:
        events.append(event)

    async with running_world(store, on_event=note) as world:
        with caplog.at_level(logging.DEBUG, logger="grantwell"):
            old = await world.register(token_endpoint_auth_method="client_secret_basic")
            answer = await world.provider.helpers.rotate_client_secret(old["client_id"])
            assert answer is not None
            await works(world, old | {"client_secret": answer[1]})
        assert [(event.name, event.client_id) for event in events] == [
            ("client_registered", old["client_id"]),
            ("client_secret_rotated", old["client_id"]),
        ]
        assert (answer[0].secrets, answer[0].mac) == ((), b"")
        told = repr(events) + caplog.text + repr(rows_of(world.store)) + repr(answer[0])
        assert not [secret for secret in (old["client_secret"], answer[1]) if secret[4:-6] in told]
