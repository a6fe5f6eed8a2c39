"""What the reference provider does where clients register, and what is done here instead."""

from __future__ import annotations

from typing import Any

import pytest

from grantwell import ClientRegistration, OAuthError
from grantwell_storage import MemoryStore
from tests.wire.world import REDIRECT, World, parsed, refused, running_world

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

DAY = 86_400


async def purge(world: World) -> None:
    """Let housekeeping run to its end, after the uses that are written behind the requests, by a real clock."""
    await world.provider._context.uses.flush(world.store)
    while not (await world.provider.helpers.purge_expired()).done:
        continue


@requirement("C-058", "C-064", "S-467")
async def test_a_callback_may_keep_public_clients_out() -> None:
    def secrets_only(event: ClientRegistration) -> None:
        if event.client.is_public:
            raise OAuthError("invalid_client_metadata", "Register with a secret.")

    async with running_world(MemoryStore(), client_registration_callback=secrets_only) as world:
        body = {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"}
        refused(await world.http.post("/register", json=body), "invalid_client_metadata")
        client = await world.register(token_endpoint_auth_method="client_secret_basic")
        assert client["client_secret"]
        # What an operator makes is his own business.
        operated, secret = await world.provider.helpers.create_client(body)
        assert (operated.is_public, secret) == (True, None)


@requirement("C-067", "C-064", "S-400", "S-403")
@pytest.mark.parametrize("answer", [{}, {"client_name": "Mine"}, {"redirect_uris": ["https://evil.test/"]}, False])
async def test_what_a_callback_returns_changes_nothing(answer: Any) -> None:
    statements: list[Any] = []

    async def ambitious(event: ClientRegistration) -> Any:
        statements.append(event.metadata["software_statement"])
        return answer

    async with running_world(MemoryStore(), client_registration_callback=ambitious) as world:
        client = await world.register(software_statement="e30.e30.", client_name="A client")
        assert statements == ["e30.e30."]
        assert (client["client_name"], client["redirect_uris"]) == ("A client", [REDIRECT])
        assert "software_statement" not in client
        stored = await world.provider.helpers.lookup_client(client["client_id"])
        assert stored is not None
        assert (stored.name, stored.redirect_uris) == ("A client", (REDIRECT,))


@requirement("C-059", "S-407")
async def test_a_client_lives_for_a_day_unused_and_for_ninety_after_its_last_use(world: World) -> None:
    unused, used = await world.register(), await world.register()
    tokens = await world.tokens(used)
    await world.revoke(used, tokens.refresh)
    world.clock.advance(DAY - 60)
    await purge(world)
    for client in (unused, used):
        assert await world.provider.helpers.lookup_client(client["client_id"]) is not None
    world.clock.advance(2 * 3600)
    await purge(world)
    assert await world.provider.helpers.lookup_client(unused["client_id"]) is None
    world.clock.advance(80 * DAY)
    refused(await world.refresh(used, tokens.refresh), "invalid_grant")  # authenticating is use
    world.clock.advance(80 * DAY)
    await purge(world)
    assert await world.provider.helpers.lookup_client(used["client_id"]) is not None
    world.clock.advance(12 * DAY)
    await purge(world)
    assert await world.provider.helpers.lookup_client(used["client_id"]) is None


@requirement("C-060", "S-407", "S-246", "C-211")
async def test_a_client_is_not_taken_from_those_who_use_it_and_takes_its_tokens_along(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client)
    for _ in range(4):
        world.clock.advance(29 * DAY)
        await purge(world)
        tokens = await world.tokens(client)
    assert (await world.call(tokens.access)).status_code == 200
    refreshed = parsed(await world.refresh(client, tokens.refresh))
    assert await world.provider.helpers.delete_client(client["client_id"])
    assert (await world.call(refreshed.access)).status_code == 401
    refused(await world.refresh(client, refreshed.refresh), "invalid_client", 401)
