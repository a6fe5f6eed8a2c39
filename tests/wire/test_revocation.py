"""Revocation: a client ends its own tokens at once, and learns nothing of anybody else's."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest

from grantwell._protocol.tokens import format_access_token, format_code, format_refresh_token
from tests.wire.world import ISSUER, Tokens, World, nothing_changes, parsed, refused, running_world

requirement = pytest.mark.requirement


@requirement("A-195", "S-367", "S-369", "C-173", "S-125")
async def test_a_revoked_access_token_dies_alone_and_at_once(world: World) -> None:
    client = await world.register()
    first = await world.tokens(client)
    second = parsed(await world.refresh(client, first.refresh))
    _acknowledged(await world.revoke(client, first.access))
    assert (await world.call(first.access)).status_code == 401
    assert (await world.call(second.access)).status_code == 200
    parsed(await world.refresh(client, second.refresh))


@requirement("A-194", "S-367", "S-368", "C-174", "S-125")
@pytest.mark.parametrize("which", [0, 1, 2, 3])
@pytest.mark.parametrize("seconds", [0, 3000])
async def test_any_refresh_token_of_a_grant_ends_all_of_it(world: World, which: int, seconds: int) -> None:
    client = await world.register()
    chain = [await world.tokens(client)]
    for _ in range(3):
        chain.append(parsed(await world.refresh(client, chain[-1].refresh)))
    world.clock.advance(seconds)
    _acknowledged(await world.revoke(client, chain[which].refresh))
    for tokens in chain:
        assert (await world.call(tokens.access)).status_code == 401
        refused(await world.refresh(client, tokens.refresh), "invalid_grant")
    ended = await world.provider.helpers.list_grants(state="ended")
    assert [grant.revoked_reason for grant in ended.items] == ["client_request"]


@requirement("A-065", "S-231")
async def test_a_revoked_code_cannot_be_exchanged_and_a_spent_one_ends_nothing(world: World) -> None:
    client = await world.register()
    code = await world.code(client)
    _acknowledged(await world.revoke(client, code))
    refused(await world.exchange(client, code), "invalid_grant")
    code = await world.code(client)
    tokens = parsed(await world.exchange(client, code))
    _acknowledged(await world.revoke(client, code))
    assert (await world.call(tokens.access)).status_code == 200


@requirement("A-189", "S-366", "C-176")
async def test_the_token_of_another_client_is_left_alone_and_the_answer_is_the_same(world: World) -> None:
    client = await world.register()
    strangers = [
        await world.register(),
        await world.register(token_endpoint_auth_method="client_secret_basic"),
        await world.register(token_endpoint_auth_method="client_secret_post"),
    ]
    tokens, code = await world.tokens(client), await world.code(client, headers={"x-user": "u2"})
    with nothing_changes(world):
        for stranger in strangers:
            for text in (tokens.access, tokens.refresh, code):
                for hint in (None, "access_token", "refresh_token"):
                    _acknowledged(await world.revoke(stranger, text, token_type_hint=hint))
    assert (await world.call(tokens.access)).status_code == 200
    parsed(await world.refresh(client, tokens.refresh))
    parsed(await world.exchange(client, code))


@requirement("A-191", "S-370", "C-172", "A-161", "A-164")
async def test_an_unknown_token_is_answered_like_a_known_one(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client)
    grant_id, secret = tokens.access[4:20], secrets.token_bytes(32)
    unknown = [
        "a",
        "a:b:c",
        "::",
        "gwa_",
        "é" * 80,
        "x" * 50_000,
        '{"token":1}',
        "eyJhbGciOiJub25lIn0.e30.",
        "' OR 1=1--",
        tokens.access + " ",
        " " + tokens.refresh,
        tokens.refresh[:-1],
        tokens.refresh.swapcase(),
        client["client_id"],
        format_access_token(grant_id, secret),
        format_access_token("A" * 16, secret),
        format_code(grant_id, secret),
        format_refresh_token(grant_id, secrets.token_bytes(16), secret),
    ]
    with nothing_changes(world):
        for text in unknown:
            for _ in range(2):
                _acknowledged(await world.revoke(client, text))
    for text in (tokens.access, tokens.refresh):
        for _ in range(3):
            _acknowledged(await world.revoke(client, text))


@requirement("S-371", "C-175", "S-372")
@pytest.mark.parametrize("hint", [None, "", "access_token", "refresh_token", "foo", "urn:x"])
@pytest.mark.parametrize("kind", ["access", "refresh"])
async def test_a_wrong_hint_is_no_obstacle(world: World, kind: str, hint: str | None) -> None:
    client = await world.register()
    tokens = await world.tokens(client)
    _acknowledged(await world.revoke(client, getattr(tokens, kind), token_type_hint=hint))
    assert (await world.call(tokens.access)).status_code == 401
    assert ((await world.refresh(client, tokens.refresh)).status_code == 200) is (kind == "access")


@requirement("A-192", "S-364")
async def test_a_request_without_a_token_or_with_two_is_malformed(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client)
    with nothing_changes(world):
        for token in (None, ""):
            refused(await world.revoke(client, token), "invalid_request")
        refused(await world.post("/revoke", client, {"token": [tokens.access, tokens.refresh]}), "invalid_request")
        refused(await world.post("/revoke", client, {"token": [tokens.access, ""]}), "invalid_request")


@requirement("A-190", "S-365", "S-216", "S-228", "C-171")
@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_a_confidential_client_must_authenticate_to_revoke(world: World, method: str) -> None:
    client = await world.register(token_endpoint_auth_method=method)
    tokens = await world.tokens(client)
    public = client | {"token_endpoint_auth_method": "none"}
    with nothing_changes(world):
        for text in (tokens.access, tokens.refresh, "unknown"):
            refused(await world.revoke(public, text), "invalid_client", 401)
            refused(await world.revoke(client | {"client_secret": "wrong"}, text), "invalid_client", 401)
            refused(await world.revoke(client, text, client_id="unknown"), *_wrong_client(method))
    _acknowledged(await world.revoke(client, tokens.refresh))
    assert (await world.call(tokens.access)).status_code == 401


@requirement("S-365", "A-084")
async def test_a_public_client_must_name_itself_to_revoke(world: World) -> None:
    tokens = await world.tokens(await world.register())
    with nothing_changes(world):
        refused(await world.http.post("/revoke", data={"token": tokens.refresh}), "invalid_client", 401)


@requirement("A-197", "S-374", "S-016")
async def test_nothing_is_revoked_by_a_get_with_or_without_a_callback(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client)
    query = {"token": tokens.refresh, "client_id": client["client_id"], "callback": "f"}
    with nothing_changes(world):
        answer = await world.http.get("/revoke", params=query)
        refused(answer, "invalid_request", 405)
        assert "POST" in answer.headers["allow"]
        refused(await world.http.post("/revoke", params=query), "invalid_request")
    answer = await world.revoke(client, tokens.refresh, callback="f")
    _acknowledged(answer)


@requirement("S-363")
async def test_the_published_revocation_endpoint_is_https_and_the_one_that_works(world: World) -> None:
    published = (await world.http.get("/.well-known/oauth-authorization-server")).json()["revocation_endpoint"]
    assert published == f"{ISSUER}/revoke"
    client = await world.register()
    tokens = await world.tokens(client)
    answer = await world.http.post(published, data={"token": tokens.refresh, "client_id": client["client_id"]})
    _acknowledged(answer)
    assert (await world.call(tokens.access)).status_code == 401


@requirement("S-373", "S-210", "A-187")
async def test_guessing_is_hopeless_and_locks_nobody_out(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client)
    with nothing_changes(world):
        for _ in range(100):
            guess = format_access_token(tokens.access[4:20], secrets.token_bytes(32))
            _acknowledged(await world.revoke(client, guess))
    assert (await world.call(tokens.access)).status_code == 200
    _acknowledged(await world.revoke(client, tokens.access))


@requirement("A-183", "D-02", "C-173")
async def test_a_revocation_among_refreshes_leaves_nothing_alive(world: World) -> None:
    client = await world.register()
    for _ in range(10):
        first = await world.tokens(client)
        revoked, *answers = await asyncio.gather(
            world.revoke(client, first.refresh), *(world.refresh(client, first.refresh) for _ in range(6))
        )
        _acknowledged(revoked)
        issued = [first, *(parsed(answer) for answer in answers if answer.status_code == 200)]
        for tokens in issued:
            assert (await world.call(tokens.access)).status_code == 401
            refused(await world.refresh(client, tokens.refresh), "invalid_grant")


@requirement("S-473", "A-194")
async def test_a_revocation_is_told_once(store: Any) -> None:
    events: list[Any] = []
    async with running_world(store, on_event=events.append) as world:
        client = await world.register()
        tokens = await world.tokens(client)
        events.clear()
        for text in (tokens.access, tokens.access, tokens.refresh, tokens.refresh, "unknown"):
            _acknowledged(await world.revoke(client, text))
        assert [event.name for event in events] == ["token_revoked", "grant_revoked"]
        assert {event.grant_id for event in events} == {tokens.access[4:20]}
        assert not any(secret in repr(events) for secret in (tokens.access, tokens.refresh))


@requirement("A-202", "F-010", "A-201")
async def test_what_was_revoked_is_dead_for_the_next_process_too(store: Any) -> None:
    async with running_world(store) as world:
        client, gone = await world.register(), await world.register()
        revoked, kept = await world.tokens(client), await world.tokens(client, headers={"x-user": "u2"})
        orphan = await world.tokens(gone)
        _acknowledged(await world.revoke(client, revoked.refresh))
        assert await world.provider.helpers.delete_client(gone["client_id"])
    async with running_world(store, clock=world.clock) as world:
        await _dead(world, client, revoked)
        assert (await world.call(orphan.access)).status_code == 401
        refused(await world.refresh(gone, orphan.refresh), "invalid_client", 401)
        refused(await world.revoke(gone, orphan.refresh), "invalid_client", 401)
        assert (await world.call(kept.access)).status_code == 200


@requirement("A-198")
async def test_the_grant_of_one_user_is_not_revoked_in_the_name_of_another(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client)
    grant_id = tokens.access[4:20]
    with nothing_changes(world):
        for user_id in ("u2", "", "U1", "%", "u_"):
            assert not await world.provider.helpers.revoke_grant(grant_id, user_id)
    assert await world.provider.helpers.revoke_grant(grant_id, "u1")
    await _dead(world, client, tokens)


def _acknowledged(answer: Any) -> None:
    """Check that an answer says what every acknowledgement says."""
    assert (answer.status_code, answer.content) == (200, b""), answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers


def _wrong_client(method: str) -> tuple[str, int]:
    """The refusal of a client_id in the body that is not that of the credentials."""
    return ("invalid_request", 400) if method == "client_secret_basic" else ("invalid_client", 401)


async def _dead(world: World, client: dict[str, Any], tokens: Tokens) -> None:
    assert (await world.call(tokens.access)).status_code == 401
    refused(await world.refresh(client, tokens.refresh), "invalid_grant")
