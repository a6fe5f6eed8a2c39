"""The authorization-code grant: a code becomes tokens once, for its own client alone."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from grantwell._protocol.tokens import format_code, parse_token
from tests.wire.world import (
    ISSUER,
    R1,
    R2,
    REDIRECT,
    Pkce,
    World,
    answer_parameters,
    nothing_changes,
    parsed,
    refused,
    running_world,
)

requirement = pytest.mark.requirement

OTHER_VERIFIER = "another-verifier-than-the-one-of-the-request-0123"


@requirement("S-231", "S-176", "C-136", "A-166")
async def test_a_code_becomes_tokens_that_work(world: World) -> None:
    client = await world.register()
    answer = await world.exchange(client, await world.code(client))
    tokens = parsed(answer)
    assert tokens.raw == {
        "access_token": tokens.access,
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": "read write",
        "resource": R1,
        "refresh_token": tokens.refresh,
        "refresh_token_expires_in": 30 * 86_400,
    }
    called = (await world.call(tokens.access)).json()
    assert called["user"] == "u1"
    assert called["client"] == client["client_id"]
    assert called["scopes"] == ["read", "write"]
    assert called["audience"] == [R1]
    assert called["props"] == {"color": "teal", "user": "u1"}
    assert called["expires_at"] == world.clock() + 3600


@requirement("S-231", "C-126")
async def test_a_request_without_a_code_is_malformed(world: World) -> None:
    client = await world.register()
    for code in ({}, {"code": ""}):
        form = {"grant_type": "authorization_code", "code_verifier": world.pkce.verifier, **code}
        refused(await world.post("/token", client, form), "invalid_request")


@requirement("S-231", "A-061", "C-126")
@pytest.mark.parametrize(
    "change",
    [
        lambda code: "a",
        lambda code: "a:b:c",
        lambda code: "gwc_",
        lambda code: code + "A",
        lambda code: code[:-1],
        lambda code: code.swapcase(),
        lambda code: code + " ",
        lambda code: " " + code,
        lambda code: code[:-6] + "AAAAAA",
        lambda code: "gwa" + code[3:],
        lambda code: "é" * 69,
        lambda code: code * 700,
    ],
)
async def test_a_malformed_code_is_refused_and_the_real_one_still_works(world: World, change: Any) -> None:
    client = await world.register()
    code = await world.code(client)
    with nothing_changes(world):
        refused(await world.exchange(client, change(code)), "invalid_grant")
    parsed(await world.exchange(client, code))


@requirement("A-059", "A-060", "C-128", "S-258")
async def test_a_forged_code_naming_a_live_grant_changes_nothing(world: World) -> None:
    client, stranger = await world.register(), await world.register()
    code = await world.code(client)
    grant_id = _grant_id(code)
    forged = [format_code(grant_id, number.to_bytes(32, "big")) for number in range(20)]
    with nothing_changes(world):
        for text in forged:
            refused(await world.exchange(client, text), "invalid_grant")
            refused(await world.exchange(stranger, text), "invalid_grant")
    tokens = parsed(await world.exchange(client, code))
    with nothing_changes(world):
        for text in forged:
            refused(await world.exchange(client, text), "invalid_grant")
    assert (await world.call(tokens.access)).status_code == 200


@requirement("A-060", "S-177")
async def test_the_secret_of_one_code_does_not_fit_another_grant(world: World) -> None:
    client = await world.register()
    first, second = await world.code(client), await world.code(client, headers={"x-user": "u2"})
    secret = _secret(first)
    with nothing_changes(world):
        refused(await world.exchange(client, format_code(_grant_id(second), secret)), "invalid_grant")
        refused(await world.exchange(client, format_code("A" * 16, secret)), "invalid_grant")
    parsed(await world.exchange(client, first))
    parsed(await world.exchange(client, second))


@requirement("S-233", "S-177", "A-060", "C-129")
@pytest.mark.parametrize("used", [False, True])
async def test_another_client_gets_nothing_for_a_code_and_the_owner_keeps_it(world: World, used: bool) -> None:
    client, stranger = await world.register(), await world.register()
    confidential = await world.register(token_endpoint_auth_method="client_secret_basic")
    code = await world.code(client)
    tokens = parsed(await world.exchange(client, code)) if used else None
    world.clock.advance(30)
    with nothing_changes(world):
        refused(await world.exchange(stranger, code), "invalid_grant")
        refused(await world.exchange(confidential, code), "invalid_grant")
    tokens = tokens or parsed(await world.exchange(client, code))
    assert (await world.call(tokens.access)).status_code == 200


@requirement("A-062", "S-176", "S-231", "D-08", "C-098")
@pytest.mark.parametrize(("seconds", "works"), [(-1, True), (0, False), (1, False), (86_400, False)])
@pytest.mark.parametrize(("redirect", "lifetime"), [(REDIRECT, 60), ("http://127.0.0.1/cb", 300)])
async def test_a_code_ends_at_the_second(world: World, seconds: int, works: bool, redirect: str, lifetime: int) -> None:
    client = await world.register(redirect_uris=[redirect])
    code = await world.code(client)
    world.clock.advance(lifetime + seconds)
    if works:
        parsed(await world.exchange(client, code))
    else:
        refused(await world.exchange(client, code), "invalid_grant")


@requirement("F-057", "F-062")
@pytest.mark.parametrize(("seconds", "works"), [(-60, True), (-61, False), (-3600, False)])
async def test_a_code_from_the_future_is_refused_beyond_a_minute(world: World, seconds: int, works: bool) -> None:
    client = await world.register()
    code = await world.code(client)
    world.clock.advance(seconds)
    answer = await world.exchange(client, code)
    if works:
        assert parsed(answer).raw["expires_in"] == 3600
    else:
        refused(answer, "invalid_grant")
        world.clock.advance(-seconds)
        parsed(await world.exchange(client, code))


@requirement("S-234", "S-235", "S-238", "A-068", "C-133", "A-067", "C-134", "S-243", "C-091")
@pytest.mark.parametrize(
    ("verifier", "error"),
    [
        (OTHER_VERIFIER, "invalid_grant"),
        ("a" * 42, "invalid_grant"),
        ("a" * 129, "invalid_grant"),
        ("é" * 43, "invalid_grant"),
        ("a" * 42 + " ", "invalid_grant"),
        (None, "invalid_request"),
        ("", "invalid_request"),
    ],
)
async def test_a_verifier_that_does_not_fit_is_refused_and_the_code_stays(
    world: World, verifier: str | None, error: str
) -> None:
    client = await world.register()
    code = await world.code(client)
    with nothing_changes(world):
        refused(await world.exchange(client, code, code_verifier=verifier), error)
    parsed(await world.exchange(client, code))


@requirement("S-238")
@pytest.mark.parametrize("verifier", ["a" * 42, "a" * 129, "a" * 42 + "!"])
async def test_a_malformed_verifier_is_refused_even_if_its_hash_fits(world: World, verifier: str) -> None:
    client = await world.register()
    world.pkce = Pkce(verifier)
    code = await world.code(client)
    with nothing_changes(world):
        refused(await world.exchange(client, code), "invalid_grant")


@requirement("S-238")
@pytest.mark.parametrize("verifier", ["a" * 43, "-._~" * 32])
async def test_the_shortest_and_the_longest_verifier_work(world: World, verifier: str) -> None:
    client = await world.register()
    world.pkce = Pkce(verifier)
    parsed(await world.exchange(client, await world.code(client)))


@requirement("S-236", "S-237", "C-133")
async def test_no_code_without_a_challenge_exists(world: World) -> None:
    client = await world.register()
    for changes in ({"code_challenge": None}, {"code_challenge": None, "code_challenge_method": None}):
        answer = await world.authorize(client, **changes)
        assert answer_parameters(answer)["error"] == "invalid_request"
        assert "code" not in answer_parameters(answer)


@requirement("S-239", "C-131", "C-132", "A-067", "S-177")
async def test_the_redirect_uri_is_optional_and_must_be_the_one_that_was_used(world: World) -> None:
    client = await world.register(redirect_uris=[REDIRECT, "https://c1.test/other"])
    code = await world.code(client)
    with nothing_changes(world):
        for uri in ("https://c1.test/other", REDIRECT + "/", REDIRECT + "?", "HTTPS://c1.test/cb", "x"):
            refused(await world.exchange(client, code, redirect_uri=uri), "invalid_grant")
    parsed(await world.exchange(client, code, redirect_uri=None))
    parsed(await world.exchange(client, await world.code(client), redirect_uri=REDIRECT))


@requirement("S-239", "S-445")
async def test_a_loopback_redirect_uri_is_compared_with_the_port_that_was_used(world: World) -> None:
    client = await world.register(redirect_uris=["http://127.0.0.1/cb"])
    code = await world.code(client, redirect_uri="http://127.0.0.1:4567/cb")
    refused(await world.exchange(client, code, redirect_uri="http://127.0.0.1:9999/cb"), "invalid_grant")
    parsed(await world.exchange(client, code, redirect_uri="http://127.0.0.1:4567/cb"))


@requirement("A-066")
async def test_a_code_for_a_redirect_uri_that_was_withdrawn_is_refused(world: World) -> None:
    client = await world.register()
    code = await world.code(client)
    await world.provider.helpers.update_client(client["client_id"], {"redirect_uris": ["https://c1.test/new"]})
    refused(await world.exchange(client, code), "invalid_grant")


@requirement("A-066", "S-246")
async def test_a_code_ends_with_its_grant_its_user_and_its_client(world: World) -> None:
    helpers = world.provider.helpers
    client = await world.register()
    code = await world.code(client)
    assert await helpers.revoke_grant(_grant_id(code))
    refused(await world.exchange(client, code), "invalid_grant")
    code = await world.code(client)
    assert await helpers.revoke_user_grants("u1") == 1
    refused(await world.exchange(client, code), "invalid_grant")
    code = await world.code(client)
    await helpers.delete_client(client["client_id"])
    refused(await world.exchange(client, code), "invalid_client", 401)
    denied = await world.authorize(await world.register(), headers={"x-deny": "1"})
    assert "code" not in answer_parameters(denied)


@requirement("A-057", "S-240", "S-241", "C-130", "F-085")
@pytest.mark.parametrize(("seconds", "ends"), [(0, False), (1, False), (10, False), (11, True), (30, True)])
async def test_a_replay_is_refused_and_ends_the_grant_only_when_it_is_late(
    world: World, seconds: int, ends: bool
) -> None:
    client = await world.register()
    code = await world.code(client)
    tokens = parsed(await world.exchange(client, code))
    world.clock.advance(seconds)
    for _ in range(2):
        refused(await world.exchange(client, code), "invalid_grant")
    assert (await world.call(tokens.access)).status_code == (401 if ends else 200)
    answer = await world.refresh(client, tokens.refresh)
    if ends:
        refused(answer, "invalid_grant")
    else:
        assert (await world.call(parsed(answer).access)).status_code == 200


@requirement("A-057", "S-241", "C-130")
async def test_a_late_replay_ends_what_the_grant_has_become_since(world: World) -> None:
    client = await world.register()
    code = await world.code(client)
    tokens = parsed(await world.exchange(client, code))
    newer = parsed(await world.refresh(client, tokens.refresh))
    world.clock.advance(20 * 86_400)
    refused(await world.exchange(client, code), "invalid_grant")
    for refresh_token in (tokens.refresh, newer.refresh):
        refused(await world.refresh(client, refresh_token), "invalid_grant")
    assert await _grants(world) == ([], ["code_replay"])


@requirement("A-063")
async def test_a_replay_after_the_end_of_the_grant_is_refused(world: World) -> None:
    client = await world.register()
    code = await world.code(client)
    parsed(await world.exchange(client, code))
    world.clock.advance(31 * 86_400)
    refused(await world.exchange(client, code), "invalid_grant")


@requirement("A-058", "S-242", "C-119", "C-127")
async def test_a_replay_that_does_not_prove_possession_ends_nothing(world: World) -> None:
    client = await world.register(token_endpoint_auth_method="client_secret_post")
    stranger = await world.register()
    code = await world.code(client)
    tokens = parsed(await world.exchange(client, code))
    world.clock.advance(60)
    with nothing_changes(world):
        refused(await world.exchange(client, code, code_verifier=OTHER_VERIFIER), "invalid_grant")
        refused(await world.exchange(client, code, code_verifier=None), "invalid_request")
        refused(await world.exchange(client, code, redirect_uri="https://c1.test/x"), "invalid_grant")
        refused(await world.exchange(stranger, code, redirect_uri=None), "invalid_grant")
        refused(await world.exchange(client, code, client_secret="wrong"), "invalid_client", 401)
    assert (await world.call(tokens.access)).status_code == 200
    parsed(await world.refresh(client, tokens.refresh))


@requirement("A-064", "S-240", "D-01", "C-139")
async def test_of_many_concurrent_exchanges_exactly_one_is_answered_with_tokens(world: World) -> None:
    client = await world.register()
    code = await world.code(client)
    answers = await asyncio.gather(*(world.exchange(client, code) for _ in range(20)))
    winners = [answer for answer in answers if answer.status_code == 200]
    assert len(winners) == 1
    for answer in answers:
        if answer is not winners[0]:
            refused(answer, "invalid_grant")
    tokens = parsed(winners[0])
    assert (await world.call(tokens.access)).status_code == 200
    parsed(await world.refresh(client, tokens.refresh))


@requirement("A-065", "S-126", "S-260")
async def test_a_code_is_no_other_kind_of_token(world: World) -> None:
    client = await world.register()
    code = await world.code(client)
    with nothing_changes(world):
        assert (await world.call(code)).status_code == 401
        refused(await world.refresh(client, code), "invalid_grant")
        for kind in ("gwa_", "gwr_"):
            assert (await world.call(kind + code[4:])).status_code == 401
            refused(await world.refresh(client, kind + code[4:]), "invalid_grant")
    tokens = parsed(await world.exchange(client, code))
    with nothing_changes(world):
        for token in (tokens.access, tokens.refresh):
            refused(await world.exchange(client, token), "invalid_grant")


@requirement("A-067", "S-243", "C-135", "S-245", "S-323", "S-319", "S-326", "C-194", "C-201")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"resource": R2}, "invalid_target"),
        ({"resource": "https://elsewhere.test/"}, "invalid_target"),
        ({"resource": R1 + "#x"}, "invalid_target"),
        ({"resource": [R1, R2]}, "invalid_target"),
        ({"scope": "read write admin"}, "invalid_scope"),
        ({"scope": "write"}, "invalid_scope"),
        ({"scope": "read  write"}, "invalid_scope"),
    ],
)
async def test_more_than_was_granted_is_refused_and_the_code_stays(
    world: World, changes: dict[str, Any], error: str
) -> None:
    client = await world.register()
    code = await world.code(client, scope="read")
    with nothing_changes(world):
        refused(await world.exchange(client, code, **changes), error)
    assert parsed(await world.exchange(client, code)).raw["scope"] == "read"


@requirement("S-245", "S-323", "S-325", "S-326", "S-203", "S-322", "C-194", "C-201")
async def test_an_exchange_may_narrow_the_access_token_and_the_grant_stays_whole(world: World) -> None:
    client = await world.register()
    narrow = parsed(await world.exchange(client, await world.code(client), scope="read"))
    assert narrow.raw["scope"] == "read"
    assert (await world.call(narrow.access, "/api/write")).status_code == 403
    assert parsed(await world.refresh(client, narrow.refresh)).raw["scope"] == "read write"
    both = await world.code(client, resource=[R1, R2])
    other = parsed(await world.exchange(client, both, resource=R2))
    assert (other.raw["resource"], other.raw["scope"]) == (R2, "read")
    assert (await world.call(other.access, "/other")).status_code == 200
    assert (await world.call(other.access)).status_code == 401
    assert parsed(await world.refresh(client, other.refresh)).raw["resource"] == [R1, R2]


@requirement("S-204", "A-090", "S-200", "C-125")
async def test_a_client_without_the_refresh_grant_gets_no_refresh_token(world: World) -> None:
    client = await world.register(grant_types=["authorization_code"])
    tokens = await world.tokens(client)
    assert not {"refresh_token", "refresh_token_expires_in"} & set(tokens.raw)
    refused(await world.refresh(client, "gwr_x"), "unauthorized_client")
    world.clock.advance(3600)
    assert (await world.call(tokens.access)).status_code == 401
    assert await _grants(world) == ([], [None])


@requirement("A-188", "C-138")
async def test_without_refresh_tokens_a_grant_ends_with_its_access_token(store: Any) -> None:
    async with running_world(store, refresh_token_ttl=0) as world:
        client = await world.register()
        tokens = await world.tokens(client)
        assert "refresh_token" not in tokens.raw
        assert len((await _grants(world))[0]) == 1
        world.clock.advance(3599)
        assert (await world.call(tokens.access)).status_code == 200
        world.clock.advance(1)
        assert (await world.call(tokens.access)).status_code == 401
        assert await _grants(world) == ([], [None])


@requirement("A-184", "C-147", "S-208", "S-255")
async def test_an_access_token_never_outlives_its_grant(store: Any) -> None:
    async with running_world(store, refresh_token_ttl=100) as world:
        tokens = await world.tokens(await world.register())
        assert (tokens.raw["expires_in"], tokens.raw["refresh_token_expires_in"]) == (100, 100)


@requirement("C-138")
async def test_a_grant_without_end_says_nothing_of_its_end(store: Any) -> None:
    async with running_world(store, refresh_token_ttl=None) as world:
        client = await world.register()
        tokens = await world.tokens(client)
        assert "refresh_token_expires_in" not in tokens.raw
        world.clock.advance(50 * 365 * 86_400)
        parsed(await world.refresh(client, tokens.refresh))


@requirement("A-203", "C-102", "C-104")
async def test_an_exchange_replaces_the_older_grants_of_the_same_installation(world: World) -> None:
    client = await world.register(redirect_uris=[REDIRECT, "https://c1.test/2"])
    old = await world.tokens(client)
    kept = [
        await world.tokens(client, headers={"x-user": "u2"}),
        await world.tokens(client, resource=R2, scope="read"),
        parsed(
            await world.exchange(client, await world.code(client, redirect_uri="https://c1.test/2"), redirect_uri=None)
        ),
        await world.tokens(await world.register()),
    ]
    waiting = await world.code(client)
    assert (await world.call(old.access)).status_code == 200, "a consent alone ends nothing"
    new = parsed(await world.exchange(client, await world.code(client)))
    refused(await world.refresh(client, old.refresh), "invalid_grant")
    refused(await world.exchange(client, waiting), "invalid_grant")
    assert (await world.call(old.access)).status_code == 401
    assert (await world.call(new.access)).status_code == 200
    for tokens in kept:
        assert (await world.call(tokens.access, tokens.raw["resource"].removeprefix(ISSUER))).status_code == 200


@requirement("A-203")
async def test_an_exchange_does_not_end_a_grant_that_is_younger(world: World) -> None:
    client = await world.register()
    older, younger = await world.code(client), await world.code(client)
    tokens = parsed(await world.exchange(client, younger))
    refused(await world.exchange(client, older), "invalid_grant")
    assert (await world.call(tokens.access)).status_code == 200


@requirement("S-209", "A-073", "C-100")
async def test_tokens_are_random_and_name_no_user(world: World) -> None:
    client = await world.register()
    seen: set[str] = set()
    for _ in range(10):
        code = await world.code(client, headers={"x-user": "the-one-who-asks@example.test"})
        tokens = parsed(await world.exchange(client, code))
        seen |= {code, tokens.access, tokens.refresh}
        for text in (code, tokens.access, tokens.refresh):
            assert "the-one-who-asks" not in text
            assert len(_secret(text)) == 32
    assert len(seen) == 30


async def _grants(world: World) -> tuple[list[str], list[str | None]]:
    """The ids of the live grants, and why the others ended."""
    live = await world.provider.helpers.list_grants()
    ended = await world.provider.helpers.list_grants(state="ended")
    return [grant.grant_id for grant in live.items], [grant.revoked_reason for grant in ended.items]


def _grant_id(token: str) -> str:
    found = parse_token(token)
    assert found is not None
    return found.grant_id


def _secret(token: str) -> bytes:
    return base64.urlsafe_b64decode(token[:-6][-43:] + "=")
