"""Clients that fail to authenticate: whoever guesses has to wait, and nobody is locked out by that."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from grantwell._flows.clients import FAILED_AUTHENTICATIONS
from grantwell.throttle import Limits
from tests.assertions.signing import Key, authenticated, client_assertion, jwks, new_key
from tests.wire.addresses import sent_from
from tests.wire.world import World, nothing_changes, refused, running_world

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

GUESSER = "203.0.113.7"
OWNER = "198.51.100.9"
OF_CLIENT, OF_ADDRESS = 5, 12
METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")

KEY, OTHER_KEY = new_key(), new_key()


@pytest.fixture
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few failures that a test can make them all."""
    few = Limits(purpose="client", window=60, of_name=OF_CLIENT, of_address=OF_ADDRESS)
    monkeypatch.setattr("grantwell._flows.clients.FAILED_AUTHENTICATIONS", few)


async def registered(world: World, method: str) -> dict[str, Any]:
    """A client that authenticates by this method."""
    return await world.register(
        token_endpoint_auth_method=method, jwks=jwks(KEY) if method == "private_key_jwt" else None
    )


async def attempt(
    world: World,
    client: dict[str, Any],
    address: str,
    *,
    secret: str | None = None,
    key: Key = KEY,
    path: str = "/token",
) -> httpx.Response:
    """A request that authenticates by the client's own method, with its own secret or key unless told otherwise."""
    form: dict[str, Any] = {"grant_type": "refresh_token", "refresh_token": "unknown", "token": "unknown"}
    method, auth = client["token_endpoint_auth_method"], httpx.USE_CLIENT_DEFAULT
    secret = client.get("client_secret") if secret is None else secret
    if method == "private_key_jwt":
        form = authenticated(client_assertion(key, client["client_id"], world.clock()), **form)
    elif method == "client_secret_basic":
        return await sent_from(world, address, "POST", path, data=form, auth=(client["client_id"], secret))
    else:
        form |= {"client_id": client["client_id"]} | ({} if secret is None else {"client_secret": secret})
    return await sent_from(world, address, "POST", path, data=form, auth=auth)


async def guess(world: World, client: dict[str, Any], address: str = GUESSER, **options: Any) -> httpx.Response:
    """A wrong secret, or an assertion that another key made."""
    return await attempt(world, client, address, secret="guess", key=OTHER_KEY, **options)


def slowed(answer: httpx.Response) -> None:
    """Check that an answer tells to wait for a minute, and nothing else."""
    refused(answer, "temporarily_unavailable", 429)
    assert answer.headers["retry-after"] == "60"
    assert "www-authenticate" not in answer.headers


@requirement("A-091", "S-210")
def test_a_minute_has_room_for_100_failures_of_a_client_and_1000_of_an_address() -> None:
    assert Limits(purpose="client", window=60, of_name=100, of_address=1000) == FAILED_AUTHENTICATIONS


@requirement("A-091", "A-315", "S-210", "S-228")
@pytest.mark.usefixtures("_few")
@pytest.mark.parametrize("method", METHODS)
async def test_who_guesses_has_to_wait_and_the_owner_has_not(store: Any, method: str) -> None:
    async with running_world(store, introspection_endpoint="/introspect") as world:
        client = await registered(world, method)
        paths = ["/token", "/revoke", "/introspect"]
        for number in range(OF_CLIENT):
            refused(await guess(world, client, path=paths[number % 3]), "invalid_client", 401)
        with nothing_changes(world):
            for path in paths:
                slowed(await guess(world, client, path=path))
        refused(await guess(world, client, OWNER), "invalid_client", 401)
        for address in (OWNER, GUESSER):
            refused(await attempt(world, client, address), "invalid_grant")
        # The right secret is no pardon for the wrong ones.
        slowed(await guess(world, client))
        world.clock.advance(60)
        refused(await guess(world, client), "invalid_client", 401)


@requirement("A-091", "A-315")
@pytest.mark.usefixtures("_few")
async def test_who_guesses_at_many_clients_has_to_wait_with_all_of_them(world: World) -> None:
    clients = [await registered(world, "client_secret_post") for _ in range(4)]
    for number in range(OF_ADDRESS):
        refused(await guess(world, clients[number % 4]), "invalid_client", 401)
    fresh = await registered(world, "client_secret_basic")
    for client in (*clients, fresh):
        slowed(await guess(world, client))
        refused(await attempt(world, client, GUESSER), "invalid_grant")
    refused(await guess(world, fresh, OWNER), "invalid_client", 401)


@requirement("A-091", "A-086", "S-214")
@pytest.mark.usefixtures("_few")
@pytest.mark.parametrize("method", METHODS)
async def test_a_client_that_is_not_there_is_slowed_alike(world: World, method: str) -> None:
    known = await registered(world, method)
    unknown = known | {"client_id": "0" * 32}
    answers = [[await guess(world, client) for _ in range(OF_CLIENT + 1)] for client in (known, unknown)]
    facts = [[(answer.status_code, answer.headers, answer.content) for answer in each] for each in answers]
    assert facts[0] == facts[1]
    slowed(answers[0][-1])


@requirement("A-091", "S-213", "S-216")
@pytest.mark.usefixtures("_few")
@pytest.mark.parametrize("method", ["none", "client_secret_post"])
async def test_another_method_than_the_registered_one_is_a_failure_too(world: World, method: str) -> None:
    client = await registered(world, method) | {"token_endpoint_auth_method": "client_secret_basic"}
    for _ in range(OF_CLIENT):
        refused(await attempt(world, client, GUESSER, secret="guess"), "invalid_client", 401)
    slowed(await attempt(world, client, GUESSER, secret="guess"))


@requirement("A-091", "A-315", "S-404")
@pytest.mark.usefixtures("_few")
async def test_who_has_nothing_to_guess_is_never_slowed(world: World) -> None:
    public, secret = await registered(world, "none"), await registered(world, "client_secret_post")
    for number in range(OF_ADDRESS):
        await guess(world, secret | {"client_id": f"unknown-{number}"})
    slowed(await guess(world, secret))
    for _ in range(OF_ADDRESS + 1):
        refused(await attempt(world, public, GUESSER), "invalid_grant")
    nobody = public | {"client_id": "nobody"}
    without = {name: value for name, value in secret.items() if name != "client_secret"}
    for client in (nobody, without):
        for _ in range(OF_ADDRESS + 1):
            refused(await attempt(world, client, OWNER), "invalid_client", 401)
    # Neither of which was counted.
    refused(await guess(world, secret, OWNER), "invalid_client", 401)


@requirement("A-091", "S-019", "A-278")
@pytest.mark.usefixtures("_few")
async def test_a_forwarded_address_gives_more_tries_to_nobody(store: Any) -> None:
    async with running_world(store, trusted_proxies=["10.0.0.0/8"]) as world:
        client = await registered(world, "client_secret_post")
        form = {"client_id": client["client_id"], "client_secret": "guess"}

        async def forwarded(sender: str, address: str) -> int:
            headers = {"X-Forwarded-For": address}
            return (await sent_from(world, sender, "POST", "/token", data=form, headers=headers)).status_code

        assert [await forwarded(GUESSER, f"192.0.2.{n}") for n in range(OF_CLIENT + 1)] == [401] * OF_CLIENT + [429]
        spelled = [f"2001:db8::{n}" for n in range(OF_CLIENT + 1)]
        assert [await forwarded("10.0.0.1", address) for address in spelled] == [401] * OF_CLIENT + [429]
        assert await forwarded("10.0.0.1", OWNER) == 401
        assert await forwarded("10.0.0.1", GUESSER) == 429


@requirement("A-091", "S-210")
@pytest.mark.usefixtures("_few")
async def test_guesses_at_once_end_at_the_limit_too(world: World) -> None:
    client = await registered(world, "client_secret_post")
    answers = await asyncio.gather(*(guess(world, client) for _ in range(4 * OF_CLIENT)))
    assert {answer.status_code for answer in answers} <= {401, 429}
    slowed(await guess(world, client))
    refused(await attempt(world, client, GUESSER), "invalid_grant")


@requirement("A-091", "S-466", "A-319")
@pytest.mark.usefixtures("_few")
async def test_the_log_tells_of_the_guesser_and_not_of_the_guess(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    client = await registered(world, "client_secret_post")
    with caplog.at_level("DEBUG", logger="grantwell"):
        for _ in range(OF_CLIENT + 1):
            await attempt(world, client, GUESSER, secret="hunter2")
    assert f"throttled: {GUESSER}" in caplog.text
    assert "hunter2" not in caplog.text
