"""The refresh grant: two live tokens, a lost answer given again, and the end of the grant for reuse."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest

from grantwell import Resource
from grantwell._protocol.tokens import format_refresh_token, parse_token
from tests.wire.world import R1, R2, SCOPES, Tokens, World, api, nothing_changes, parsed, refused, running_world

requirement = pytest.mark.requirement

DAY = 86_400


@requirement("A-169", "S-248", "C-142", "S-201", "S-202")
async def test_a_refresh_gives_a_successor_and_keeps_the_old_access_token(world: World) -> None:
    client = await world.register()
    first = await world.tokens(client)
    second = parsed(await world.refresh(client, first.refresh))
    assert second.raw == {
        "access_token": second.access,
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": "read write",
        "resource": R1,
        "refresh_token": second.refresh,
        "refresh_token_expires_in": 30 * DAY,
    }
    assert len({first.access, first.refresh, second.access, second.refresh}) == 4
    for access in (first.access, second.access):
        called = (await world.call(access)).json()
        assert called["props"] == {"color": "teal", "user": "u1"}


@requirement("A-169", "S-248")
async def test_the_previous_token_dies_once_its_successor_is_used(world: World) -> None:
    client = await world.register()
    first, second, third = await _chain(world, client, 3)
    with nothing_changes(world):
        refused(await world.refresh(client, first.refresh), "invalid_grant")
    assert parsed(await world.refresh(client, second.refresh)).refresh == third.refresh


@requirement("S-231", "C-141", "S-010")
async def test_a_request_without_a_refresh_token_is_malformed(world: World) -> None:
    client = await world.register()
    for form in ({}, {"refresh_token": ""}):
        refused(await world.post("/token", client, {"grant_type": "refresh_token", **form}), "invalid_request")


@requirement("A-170", "C-143", "S-248", "D-14")
@pytest.mark.parametrize("seconds", [0, 1, 30, 59])
async def test_a_lost_answer_is_given_again_inside_the_window(world: World, seconds: int) -> None:
    client = await world.register()
    first = await world.tokens(client)
    second = parsed(await world.refresh(client, first.refresh))
    world.clock.advance(seconds)
    for _ in range(3):
        again = parsed(await world.refresh(client, first.refresh))
        assert (again.access, again.refresh) == (second.access, second.refresh)
        assert again.raw["expires_in"] == 3600 - seconds
        assert again.raw["refresh_token_expires_in"] == 30 * DAY - seconds
        assert again.raw.keys() == second.raw.keys()
    parsed(await world.refresh(client, second.refresh))


@requirement("A-171", "C-143", "S-248")
@pytest.mark.parametrize("seconds", [60, 61, 3 * DAY])
async def test_after_the_window_the_previous_token_leads_to_another_successor(world: World, seconds: int) -> None:
    client = await world.register()
    first = await world.tokens(client)
    lost = parsed(await world.refresh(client, first.refresh))
    world.clock.advance(seconds)
    second = parsed(await world.refresh(client, first.refresh))
    assert second.refresh != lost.refresh
    assert parsed(await world.refresh(client, first.refresh)).refresh == second.refresh, "a window of its own"
    refused(await world.refresh(client, lost.refresh), "invalid_grant")
    third = parsed(await world.refresh(client, second.refresh))
    assert (await world.call(third.access)).status_code == 200


@requirement("A-171", "C-143")
async def test_a_client_that_never_gets_the_answer_can_refresh_for_ever(world: World) -> None:
    client = await world.register()
    first = await world.tokens(client)
    successors = set()
    for _ in range(5):
        successors.add(parsed(await world.refresh(client, first.refresh)).refresh)
        world.clock.advance(61)
    assert len(successors) == 5
    newest = parsed(await world.refresh(client, first.refresh))
    parsed(await world.refresh(client, newest.refresh))


@requirement("A-172", "S-248")
@pytest.mark.parametrize(("seconds", "ends"), [(0, False), (9, False), (10, True), (11, True), (DAY, True)])
async def test_an_orphaned_sibling_is_a_racer_at_first_and_later_a_thief(
    world: World, seconds: int, ends: bool
) -> None:
    client = await world.register()
    first = await world.tokens(client)
    orphan = parsed(await world.refresh(client, first.refresh))
    world.clock.advance(61)
    second = parsed(await world.refresh(client, first.refresh))
    world.clock.advance(seconds)
    refused(await world.refresh(client, orphan.refresh), "invalid_grant")
    await _assert_alive(world, client, second, not ends)


@requirement("S-249", "A-172", "D-15", "C-145")
@pytest.mark.parametrize(("seconds", "ends"), [(0, False), (9, False), (10, True), (29 * DAY, True)])
async def test_a_retired_token_is_a_racer_at_first_and_then_reuse(world: World, seconds: int, ends: bool) -> None:
    client = await world.register()
    first, second, third = await _chain(world, client, 3)
    world.clock.advance(seconds)
    refused(await world.refresh(client, first.refresh), "invalid_grant")
    for tokens in (first, second, third):
        # Access tokens live for an hour.
        alive = not ends and seconds < 3600
        assert (await world.call(tokens.access)).status_code == (200 if alive else 401)
    await _assert_alive(world, client, third, not ends)


@requirement("S-249", "D-15", "C-145")
@pytest.mark.parametrize("generation", [0, 1, 5, 9])
async def test_reuse_is_recognised_at_any_age(store: Any, generation: int) -> None:
    events: list[Any] = []
    async with running_world(store, on_event=events.append) as world:
        client = await world.register()
        chain = []
        tokens = await world.tokens(client)
        for _ in range(12):
            chain.append(tokens)
            world.clock.advance(100)
            tokens = parsed(await world.refresh(client, tokens.refresh))
        refused(await world.refresh(client, chain[generation].refresh), "invalid_grant")
        for other in (*chain, tokens):
            assert (await world.call(other.access)).status_code == 401
        refused(await world.refresh(client, tokens.refresh), "invalid_grant")
        assert [event.name for event in events].count("refresh_reuse_detected") == 1
        ended = await world.provider.helpers.list_grants(state="ended")
        assert [grant.revoked_reason for grant in ended.items] == ["token_reuse"]


@requirement("A-174", "A-177", "S-247", "A-187")
async def test_a_stranger_gets_nothing_and_ends_nothing(world: World) -> None:
    client = await world.register()
    strangers = [
        await world.register(),
        await world.register(token_endpoint_auth_method="client_secret_basic"),
        await world.register(token_endpoint_auth_method="client_secret_post"),
    ]
    chain = await _chain(world, client, 3)
    world.clock.advance(100)
    with nothing_changes(world):
        for stranger in strangers:
            for tokens in chain:
                refused(await world.refresh(stranger, tokens.refresh), "invalid_grant")
    await _assert_alive(world, client, chain[-1], True)


@requirement("A-174", "A-187", "S-258", "A-161")
async def test_a_forged_token_naming_a_live_grant_changes_nothing(world: World) -> None:
    client = await world.register()
    chain = await _chain(world, client, 3)
    grant_id = chain[0].refresh[4:20]
    world.clock.advance(100)
    with nothing_changes(world):
        for _ in range(50):
            forged = format_refresh_token(grant_id, secrets.token_bytes(16), secrets.token_bytes(32))
            refused(await world.refresh(client, forged), "invalid_grant")
        for altered in _altered(chain[-1].refresh):
            refused(await world.refresh(client, altered), "invalid_grant")
    await _assert_alive(world, client, chain[-1], True)


@requirement("A-174", "S-258")
async def test_the_family_of_one_grant_is_nothing_to_another(world: World) -> None:
    client = await world.register()
    mine = await world.tokens(client)
    other = await world.tokens(client, headers={"x-user": "u2"})
    found = parse_token(mine.refresh)
    assert found is not None
    world.clock.advance(100)
    with nothing_changes(world):
        forged = format_refresh_token(other.refresh[4:20], found.family, secrets.token_bytes(32))
        refused(await world.refresh(client, forged), "invalid_grant")
    await _assert_alive(world, client, other, True)


@requirement("A-174", "S-249")
async def test_somebody_who_knows_the_family_held_a_token_so_a_made_up_one_is_reuse(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client)
    found = parse_token(tokens.refresh)
    assert found is not None
    forged = format_refresh_token(found.grant_id, found.family, secrets.token_bytes(32))
    refused(await world.refresh(client, forged), "invalid_grant")
    await _assert_alive(world, client, tokens, False)


@requirement("A-178", "S-260", "S-126")
async def test_a_refresh_token_is_no_other_kind_of_token(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client)
    with nothing_changes(world):
        refused(await world.refresh(client, tokens.access), "invalid_grant")
        refused(await world.refresh(client, "gwr_" + tokens.access[4:]), "invalid_grant")
        assert (await world.call(tokens.refresh)).status_code == 401
    await _assert_alive(world, client, tokens, True)


@requirement("A-175", "S-250", "D-02", "C-150")
@pytest.mark.parametrize("racers", [2, 8, 32])
async def test_parallel_refreshers_converge_on_one_successor(world: World, racers: int) -> None:
    client = await world.register()
    first = await world.tokens(client)
    answers = await asyncio.gather(*(world.refresh(client, first.refresh) for _ in range(racers)))
    assert len({(parsed(answer).access, parsed(answer).refresh) for answer in answers}) == 1
    successor = parsed(answers[0])
    for _ in range(2):
        again = await asyncio.gather(*(world.refresh(client, successor.refresh) for _ in range(racers)))
        assert len({parsed(answer).refresh for answer in again}) == 1
        successor = parsed(again[0])
    assert (await world.call(successor.access)).status_code == 200


@requirement("A-176", "S-250")
async def test_parallel_use_of_a_token_and_its_successor_leaves_the_newest_answer_good(world: World) -> None:
    client = await world.register()
    first = await world.tokens(client)
    for _ in range(10):
        second = parsed(await world.refresh(client, first.refresh))
        answers = await asyncio.gather(*(world.refresh(client, token) for token in [first.refresh, second.refresh] * 4))
        for answer in answers[::2]:
            if answer.status_code == 200:
                assert parsed(answer).refresh == second.refresh
            else:
                refused(answer, "invalid_grant")
        newest = {parsed(answer).refresh for answer in answers[1::2]}
        assert len(newest) == 1
        first = parsed(answers[1])
    await _assert_alive(world, client, first, True)


@requirement("A-179", "A-181", "S-251", "S-253", "C-148", "C-201")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"scope": "read write admin"}, "invalid_scope"),
        ({"scope": "write"}, "invalid_scope"),
        ({"scope": "read  "}, "invalid_scope"),
        ({"resource": R2}, "invalid_target"),
        ({"resource": [R1, R2]}, "invalid_target"),
        ({"resource": "https://elsewhere.test/"}, "invalid_target"),
    ],
)
@pytest.mark.parametrize("role", ["current", "previous", "late"])
async def test_more_than_the_grant_is_refused_and_nothing_changes(
    world: World, changes: dict[str, Any], error: str, role: str
) -> None:
    client = await world.register()
    first = await world.tokens(client, scope="read")
    if role != "current":
        parsed(await world.refresh(client, first.refresh))
        world.clock.advance(60 if role == "late" else 0)
    with nothing_changes(world):
        refused(await world.refresh(client, first.refresh, **changes), error)
    assert parsed(await world.refresh(client, first.refresh)).raw["scope"] == "read"


@requirement("A-180", "S-251", "S-252", "S-203", "C-203")
async def test_a_narrowed_refresh_narrows_its_access_token_alone(world: World) -> None:
    client = await world.register()
    first = await world.tokens(client)
    narrow = parsed(await world.refresh(client, first.refresh, scope="read"))
    assert narrow.raw["scope"] == "read"
    assert (await world.call(narrow.access, "/api/write")).status_code == 403
    whole = parsed(await world.refresh(client, narrow.refresh))
    assert whole.raw["scope"] == "read write"
    assert (await world.call(whole.access, "/api/write")).status_code == 200


@requirement("S-253", "S-322", "S-325", "S-326", "S-327")
async def test_a_refresh_for_one_resource_leaves_the_others_in_reach(world: World) -> None:
    client = await world.register()
    first = await world.tokens(client, resource=[R1, R2])
    narrow = parsed(await world.refresh(client, first.refresh, resource="HTTPS://AS.TEST/other"))
    assert (narrow.raw["resource"], narrow.raw["scope"]) == (R2, "read")
    assert (await world.call(narrow.access)).status_code == 401
    whole = parsed(await world.refresh(client, narrow.refresh))
    assert whole.raw["resource"] == [R1, R2]
    assert (await world.call(whole.access)).status_code == (await world.call(whole.access, "/other")).status_code == 200


@requirement("A-170", "A-180", "S-251")
async def test_another_request_with_the_previous_token_gets_the_same_successor_and_an_access_token_of_its_own(
    world: World,
) -> None:
    client = await world.register()
    first = await world.tokens(client, resource=[R1, R2])
    narrow = parsed(await world.refresh(client, first.refresh, scope="read", resource=R2))
    wide = parsed(await world.refresh(client, first.refresh))
    assert wide.refresh == narrow.refresh
    assert wide.access != narrow.access
    assert (wide.raw["scope"], wide.raw["resource"]) == ("read write", [R1, R2])
    assert (await world.call(wide.access, "/api/write")).json()["props"] == {"color": "teal", "user": "u1"}
    same = parsed(await world.refresh(client, first.refresh, scope="read", resource=R2))
    assert same.access == narrow.access


@requirement("A-170")
async def test_a_lost_answer_whose_access_token_is_gone_comes_with_a_new_one(store: Any) -> None:
    async with running_world(store, access_token_ttl=20) as world:
        client = await world.register()
        first = await world.tokens(client)
        ended = parsed(await world.refresh(client, first.refresh))
        world.clock.advance(20)
        renewed = parsed(await world.refresh(client, first.refresh))
        assert renewed.refresh == ended.refresh
        assert renewed.access != ended.access
        assert renewed.raw["expires_in"] == 20
        assert (await world.call(renewed.access)).status_code == 200
        assert (await world.revoke(client, renewed.access)).status_code == 200
        again = parsed(await world.refresh(client, first.refresh))
        assert again.refresh == ended.refresh
        assert (await world.call(again.access)).status_code == 200


@requirement("A-181", "S-246", "C-195")
async def test_a_grant_for_a_resource_that_is_hosted_no_more_has_to_be_asked_for_again(store: Any) -> None:
    async with running_world(store) as world:
        client = await world.register()
        gone, partly = await world.tokens(client, resource=R2), await world.tokens(client, resource=[R1, R2])
    async with running_world(
        store, clock=world.clock, api_handlers={"/api": api}, resources={"/api": Resource(scopes=SCOPES)}
    ) as world:
        refused(await world.refresh(client, gone.refresh), "invalid_grant")
        assert parsed(await world.refresh(client, partly.refresh)).raw["resource"] == R1


@requirement("A-182", "S-254", "S-246")
async def test_a_refresh_ends_with_the_grant_the_user_and_the_client(world: World) -> None:
    helpers = world.provider.helpers
    client = await world.register()
    tokens = await world.tokens(client)
    assert await helpers.revoke_grant(tokens.refresh[4:20])
    refused(await world.refresh(client, tokens.refresh), "invalid_grant")
    tokens = await world.tokens(client)
    assert await helpers.revoke_user_grants("u1") == 1
    refused(await world.refresh(client, tokens.refresh), "invalid_grant")
    tokens = await world.tokens(client)
    await helpers.delete_client(client["client_id"])
    refused(await world.refresh(client, tokens.refresh), "invalid_client", 401)
    assert (await world.call(tokens.access)).status_code == 401


@requirement("A-184", "S-255", "C-146", "C-147", "D-08")
@pytest.mark.parametrize(("seconds", "works"), [(-1, True), (0, False), (1, False)])
async def test_a_grant_ends_at_the_second_and_is_never_prolonged(store: Any, seconds: int, works: bool) -> None:
    async with running_world(store, refresh_token_ttl=1000, access_token_ttl=300) as world:
        client = await world.register()
        tokens = await world.tokens(client)
        for _ in range(9):
            world.clock.advance(100)
            tokens = parsed(await world.refresh(client, tokens.refresh))
        assert tokens.raw["refresh_token_expires_in"] == tokens.raw["expires_in"] == 100
        world.clock.advance(100 + seconds)
        answer = await world.refresh(client, tokens.refresh)
        if works:
            assert parsed(answer).raw["expires_in"] == parsed(answer).raw["refresh_token_expires_in"] == 1
        else:
            refused(answer, "invalid_grant")
            assert (await world.call(tokens.access)).status_code == 401


@requirement("A-184", "S-255")
@pytest.mark.parametrize(("seconds", "works"), [(-1, True), (0, False), (1, False)])
async def test_a_token_that_is_not_used_ends_before_its_grant(store: Any, seconds: int, works: bool) -> None:
    async with running_world(store, refresh_token_ttl=1000, refresh_token_idle_ttl=300) as world:
        client = await world.register()
        first = await world.tokens(client)
        for _ in range(2):
            assert first.raw["refresh_token_expires_in"] == 300
            world.clock.advance(150)
            first = parsed(await world.refresh(client, first.refresh))
        second = parsed(await world.refresh(client, first.refresh))
        world.clock.advance(300 + seconds)
        answer = await world.refresh(client, second.refresh)
        if works:
            assert parsed(answer).raw["refresh_token_expires_in"] == 300
        else:
            refused(answer, "invalid_grant")
            refused(await world.refresh(client, first.refresh), "invalid_grant")


@requirement("A-184", "S-255")
async def test_the_end_of_the_grant_comes_before_that_of_an_idle_token(store: Any) -> None:
    async with running_world(store, refresh_token_ttl=1000, refresh_token_idle_ttl=600) as world:
        client = await world.register()
        tokens = await world.tokens(client)
        world.clock.advance(599)
        tokens = parsed(await world.refresh(client, tokens.refresh))
        assert tokens.raw["refresh_token_expires_in"] == 401
        world.clock.advance(401)
        refused(await world.refresh(client, tokens.refresh), "invalid_grant")


@requirement("F-057", "F-058")
async def test_a_clock_that_is_set_back_stops_no_refresh(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client)
    for seconds in (3600, -3600, -3600, 7200):
        world.clock.advance(seconds)
        tokens = parsed(await world.refresh(client, tokens.refresh))
        assert (await world.call(tokens.access)).status_code == 200


@requirement("A-186")
async def test_at_most_twenty_access_tokens_of_a_grant_are_live(world: World) -> None:
    client = await world.register()
    chain = await _chain(world, client, 30)
    statuses = [(await world.call(tokens.access)).status_code for tokens in chain]
    assert statuses == [401] * 10 + [200] * 20


@requirement("C-144")
async def test_access_tokens_of_an_orphaned_answer_live_to_their_end(world: World) -> None:
    client = await world.register()
    first = await world.tokens(client)
    orphan = parsed(await world.refresh(client, first.refresh))
    world.clock.advance(61)
    parsed(await world.refresh(client, first.refresh))
    assert (await world.call(orphan.access)).status_code == 200


@requirement("D-14", "A-170")
async def test_without_a_window_each_use_of_the_previous_token_gives_another_successor(store: Any) -> None:
    async with running_world(store, refresh_replay_window=0) as world:
        client = await world.register()
        first = await world.tokens(client)
        second = parsed(await world.refresh(client, first.refresh))
        third = parsed(await world.refresh(client, first.refresh))
        assert second.refresh != third.refresh
        parsed(await world.refresh(client, third.refresh))


async def _chain(world: World, client: dict[str, Any], length: int) -> list[Tokens]:
    """The tokens of one grant and of the refreshes that followed each other."""
    chain = [await world.tokens(client)]
    while len(chain) < length:
        chain.append(parsed(await world.refresh(client, chain[-1].refresh)))
    return chain


async def _assert_alive(world: World, client: dict[str, Any], tokens: Tokens, alive: bool) -> None:
    answer = await world.refresh(client, tokens.refresh)
    if alive:
        assert (await world.call(parsed(answer).access)).status_code == 200
    else:
        refused(answer, "invalid_grant")
        assert (await world.call(tokens.access)).status_code == 401


def _altered(token: str) -> list[str]:
    """The token with one character changed, at each of its parts, and lengthened and shortened."""
    swapped = [token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in range(0, len(token), 6)]
    return [*swapped, token + "A", token[:-1], token.swapcase(), token + " ", "a:b:c", "é" * len(token)]
