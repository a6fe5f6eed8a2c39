"""The operations that an application is given (design section 2): clients, grants, tokens, housekeeping."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from grantwell import Client, ClientMetadataError, Grant, OAuthError, Page, StoreUnavailable
from grantwell.config import DAY
from grantwell_storage import MemoryStore
from tests.wire.world import ISSUER, R1, R2, REDIRECT, World, altered, nothing_changes, parsed, running_world

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement


def bytes_in(value: object) -> list[bytes]:
    """Every byte string in a record, however deep: digests, MACs, wrapped keys and ciphertexts are bytes."""
    if isinstance(value, bytes):
        return [value] if value else []
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    elif isinstance(value, dict):
        value = list(value.values())
    return [found for item in value for found in bytes_in(item)] if isinstance(value, list | tuple) else []


def assert_without_hashes(value: object) -> None:
    assert not bytes_in(value)


async def everything(listing: Callable[..., Awaitable[Page[Any]]], limit: int, **filters: Any) -> list[Any]:
    """All pages of a listing."""
    items: list[Any] = []
    cursor = None
    while True:
        page = await listing(limit=limit, cursor=cursor, **filters)
        assert len(page.items) <= limit
        items += page.items
        if (cursor := page.cursor) is None:
            return items


@requirement("G-627")
async def test_an_operator_may_choose_the_id_of_a_client(world: World) -> None:
    helpers = world.provider.helpers
    metadata = {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"}
    client, _ = await helpers.create_client(metadata, client_id="docs-1.a_b")
    assert await helpers.lookup_client("docs-1.a_b") == client
    for refused in ("docs-1.a_b", "", "https://app.example/client", "a b", "é", "a" * 65, "a\n", 'a"b'):
        with pytest.raises(ClientMetadataError):
            await helpers.create_client(metadata, client_id=refused)
    assert [found.client_id for found in (await helpers.list_clients()).items] == ["docs-1.a_b"]


@requirement("C-227", "C-228", "A-199", "S-211", "S-230", "S-467")
async def test_a_client_that_an_operator_creates_shows_its_secret_once(world: World) -> None:
    helpers = world.provider.helpers
    client, secret = await helpers.create_client({"redirect_uris": [REDIRECT], "client_secret": "mine"})
    assert secret is not None
    assert secret.startswith("gws_")
    assert (client.origin, client.created_at, client.last_used_at) == ("operator", int(world.clock()), None)
    public, none = await helpers.create_client({"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"})
    assert none is None
    listed = await helpers.list_clients()
    for found in (client, await helpers.lookup_client(client.client_id), public, *listed.items):
        assert_without_hashes(found)
    registered = {
        "client_id": client.client_id,
        "client_secret": secret,
        "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "client_secret_basic",
    }
    code = await world.code(registered)
    assert (await world.exchange(registered | {"client_secret": altered(secret)}, code)).status_code == 401
    parsed(await world.exchange(registered, code))


@requirement("C-228", "S-394", "A-014", "S-399")
async def test_an_operator_is_held_to_the_rules_that_clients_are_held_to(world: World) -> None:
    helpers = world.provider.helpers
    client, _ = await helpers.create_client({"redirect_uris": [REDIRECT]})
    bad: list[dict[str, Any]] = [
        {"redirect_uris": []},
        {"redirect_uris": ["javascript:alert(1)"]},
        {"redirect_uris": REDIRECT},
        {"grant_types": ["implicit"]},
        {"scope": "admin"},
        {"client_name": "a\u202eb"},
        {"client_uri": "http://c1.test"},
    ]
    with nothing_changes(world):
        for changes in bad:
            with pytest.raises(ClientMetadataError):
                await helpers.create_client({"redirect_uris": [REDIRECT]} | changes)
            with pytest.raises(ClientMetadataError):
                await helpers.update_client(client.client_id, changes)
        for method in ("none", "client_secret_post"):
            with pytest.raises(ClientMetadataError, match="cannot be changed"):
                await helpers.update_client(client.client_id, {"token_endpoint_auth_method": method})


@requirement("C-229", "A-033", "S-147")
async def test_an_update_changes_what_is_named_and_nothing_else(world: World) -> None:
    helpers = world.provider.helpers
    client, secret = await helpers.create_client(
        {"redirect_uris": [REDIRECT], "client_name": "A", "client_uri": "https://c1.test/", "scope": "read"}
    )
    changed = await helpers.update_client(
        client.client_id, {"client_name": "B", "client_id": "other", "client_id_issued_at": 1, "version": 9}
    )
    assert changed == dataclasses.replace(client, name="B", version=2)
    assert_without_hashes(changed)
    assert await helpers.lookup_client(client.client_id) == changed
    cleared = await helpers.update_client(client.client_id, {"scope": "", "client_uri": ""})
    assert cleared == dataclasses.replace(client, name="B", version=3, scopes=None, metadata={})
    registered = {"client_id": client.client_id, "client_secret": secret, "redirect_uris": [REDIRECT]}
    await world.tokens(registered | {"token_endpoint_auth_method": "client_secret_basic"})
    assert await helpers.update_client("nobody", {}) is None
    assert await helpers.lookup_client("nobody") is None
    assert await helpers.delete_client("nobody") is False


@requirement("C-229", "S-169")
async def test_of_updates_at_once_none_is_lost(world: World) -> None:
    helpers = world.provider.helpers
    client, _ = await helpers.create_client({"redirect_uris": [REDIRECT]})
    changes: list[dict[str, Any]] = [
        {"client_name": "B"},
        {"contacts": ["a@c1.test"]},
        {"client_uri": "https://c1.test/"},
    ]
    await asyncio.gather(*(helpers.update_client(client.client_id, change) for change in changes))
    changed = await helpers.lookup_client(client.client_id)
    assert changed is not None
    assert changed.version == 4
    assert changed.name == "B"
    assert changed.metadata == {"contacts": ["a@c1.test"], "client_uri": "https://c1.test/"}


@requirement("C-229", "S-246")
async def test_a_client_that_keeps_changing_is_a_refusal_and_no_endless_loop() -> None:
    class Busy(MemoryStore):
        async def replace_client(self, client: Client) -> bool:
            return False

    async with running_world(Busy()) as world:
        client, _ = await world.provider.helpers.create_client({"redirect_uris": [REDIRECT]})
        with pytest.raises(OAuthError) as caught:
            await world.provider.helpers.update_client(client.client_id, {"client_name": "B"})
        assert (caught.value.code, caught.value.status) == ("temporarily_unavailable", 503)


@requirement("C-230", "S-254", "S-125", "A-262", "D-09", "C-211")
async def test_deleting_a_client_ends_its_tokens_and_no_others(world: World) -> None:
    doomed, other = await world.register(), await world.register()
    dead = [await world.tokens(doomed, headers={"x-user": user}) for user in ("u1", "u2")]
    code = await world.code(doomed)
    alive = await world.tokens(other)
    assert await world.provider.helpers.delete_client(doomed["client_id"]) is True
    for tokens in dead:
        assert (await world.call(tokens.access)).status_code == 401
        assert (await world.refresh(doomed, tokens.refresh)).json()["error"] == "invalid_client"
    assert (await world.exchange(doomed, code)).json()["error"] == "invalid_client"
    assert (await world.authorize(doomed)).status_code == 400
    assert (await world.call(alive.access)).status_code == 200
    parsed(await world.refresh(other, alive.refresh))


@requirement("C-231", "A-199")
async def test_clients_are_listed_newest_first_in_pages_that_neither_repeat_nor_forget(world: World) -> None:
    helpers = world.provider.helpers
    created: list[str] = []
    for number in range(7):
        client, _ = await helpers.create_client({"redirect_uris": [REDIRECT], "client_name": str(number)})
        created.append(client.client_id)
        world.clock.advance(number % 2)
    for limit in (1, 3, 7, 1000):
        listed: list[Client] = await everything(helpers.list_clients, limit)
        assert sorted(client.client_id for client in listed) == sorted(created)
        assert [client.created_at for client in listed] == sorted((c.created_at for c in listed), reverse=True)
    for limit in (0, -1, 1001):
        with pytest.raises(ValueError, match=r"limit|page"):
            await helpers.list_clients(limit=limit)
    page = await helpers.list_clients(limit=2)
    for cursor in ("", "x", "e30", "W10", "\x00", "' OR 1=1 --", f"{page.cursor}x" * 3):
        with pytest.raises(ValueError, match="cursor"):
            await helpers.list_clients(limit=2, cursor=cursor)


@requirement("C-231", "S-169", "A-199", "S-239")
async def test_grants_are_listed_by_user_client_and_state(world: World) -> None:
    helpers = world.provider.helpers
    one, two = await world.register(), await world.register(redirect_uris=["https://c2.test/cb"])
    for client, user, scope in [(one, "u1", "read"), (two, "u1", "write"), (one, "u2", "read write")]:
        await world.tokens(client, headers={"x-user": user}, scope=scope)
        world.clock.advance(1)
    await world.code(two, headers={"x-user": "u2"})
    revoked = (await helpers.list_grants(user_id="u1", client_id=two["client_id"])).items[0]
    assert await helpers.revoke_grant(revoked.grant_id, "u1")

    async def found(**filters: Any) -> list[tuple[str | None, str]]:
        for limit in (1, 100):
            grants: list[Grant] = await everything(helpers.list_grants, limit, **filters)
            for grant in grants:
                assert_without_hashes(grant)
                assert (await helpers.list_grants(limit=1000)).items or filters.get("state")
        return [(grant.user_id, grant.client_id) for grant in grants]

    first, second = one["client_id"], two["client_id"]
    assert await found() == [("u2", second), ("u2", first), ("u1", first)]
    assert await found(state="active") == [("u2", first), ("u1", first)]
    assert await found(state="pending") == [("u2", second)]
    assert await found(state="ended") == [("u1", second)]
    assert await found(user_id="u1") == [("u1", first)]
    assert await found(user_id="u1", state="ended") == [("u1", second)]
    assert await found(client_id=first) == [("u2", first), ("u1", first)]
    assert await found(user_id="u2", client_id=first) == [("u2", first)]
    assert await found(user_id="nobody") == []
    world.clock.advance(61)
    assert await found(state="pending") == []
    world.clock.advance(30 * DAY)
    assert await found() == []
    assert len(await found(state="ended")) == 4
    for limit in (0, 1001):
        with pytest.raises(ValueError, match=r"limit|page"):
            await helpers.list_grants(limit=limit)
    with pytest.raises(ValueError, match="cursor"):
        await helpers.list_user_grants("u1", cursor="nonsense")


@requirement("S-169", "C-231", "S-469")
async def test_a_listed_grant_says_what_was_granted(world: World) -> None:
    client = await world.register()
    issued = int(world.clock())
    world.clock.advance(5)
    await world.tokens(client, scope="read", resource=[R1, R2])
    grant = (await world.provider.helpers.list_user_grants("u1")).items[0]
    assert (grant.user_id, grant.client_id, grant.scopes, grant.resources) == (
        "u1",
        client["client_id"],
        ("read",),
        (R1, R2),
    )
    assert (grant.redirect_uri, grant.created_at, grant.exchanged_at) == (REDIRECT, issued + 5, issued + 5)
    assert (grant.expires_at, grant.revoked_at) == (issued + 5 + 30 * DAY, None)


@requirement("A-198", "S-169", "C-232", "S-125", "D-09", "A-262", "A-331")
async def test_a_grant_is_revoked_only_for_its_own_user(world: World) -> None:
    helpers = world.provider.helpers
    client = await world.register()
    tokens = await world.tokens(client)
    pending = await world.code(client)
    grants = {bool(grant.exchanged_at): grant.grant_id for grant in (await helpers.list_user_grants("u1")).items}
    with nothing_changes(world):
        for user in ("u2", "", "U1", "u1 ", "%", "' OR 1=1 --"):
            assert await helpers.revoke_grant(grants[True], user) is False
        for grant_id in ("", "nothing", "%", grants[True][:-1], grants[True].upper()):
            assert await helpers.revoke_grant(grant_id, "u1") is False
    assert (await world.call(tokens.access)).status_code == 200
    assert await helpers.revoke_grant(grants[True], "u1") is True
    assert await helpers.revoke_grant(grants[True], "u1") is False
    assert (await world.call(tokens.access)).status_code == 401
    assert (await world.refresh(client, tokens.refresh)).json()["error"] == "invalid_grant"
    assert await helpers.revoke_grant(grants[False]) is True
    assert (await world.exchange(client, pending)).json()["error"] == "invalid_grant"


@requirement("S-169", "C-232", "A-198", "S-125")
async def test_all_grants_of_a_user_are_revoked_at_once_or_those_with_one_client(world: World) -> None:
    helpers = world.provider.helpers
    one, two = await world.register(), await world.register()
    mine = [await world.tokens(client) for client in (one, two)]
    code = await world.code(two)
    theirs = await world.tokens(one, headers={"x-user": "u2"})
    assert await helpers.revoke_user_grants("nobody") == 0
    assert await helpers.revoke_user_grants("u1", client_id=one["client_id"]) == 1
    assert [(await world.call(tokens.access)).status_code for tokens in mine] == [401, 200]
    assert await helpers.revoke_user_grants("u1") == 2
    assert await helpers.revoke_user_grants("u1") == 0
    assert [(await world.call(tokens.access)).status_code for tokens in [*mine, theirs]] == [401, 401, 200]
    assert (await world.exchange(two, code)).status_code == 400
    assert (await world.call((await world.tokens(one)).access)).status_code == 200


@requirement("S-169", "G-542")
async def test_grants_that_were_listed_are_ended_a_slice_at_a_time_and_no_others(world: World) -> None:
    helpers = world.provider.helpers
    client = await world.register()
    listed = [await world.tokens(client, headers={"x-user": f"u{n}"}) for n in range(3)]
    ids = [grant.grant_id for grant in (await helpers.list_grants()).items]
    later = await world.tokens(client, headers={"x-user": "u9"})
    await helpers.revoke_grant(ids[0])
    assert [ended async for ended in helpers.revoke_grants([*ids, "no-such-grant", *(["none"] * 100)])] == [2, 0]
    assert {(await world.call(tokens.access)).status_code for tokens in listed} == {401}
    assert (await world.call(later.access)).status_code == 200
    found = await helpers.lookup_grant(ids[1])
    assert found is not None
    assert (found.revoked_reason, found.revoked_at) == ("operator", int(world.clock()))
    assert await helpers.lookup_grant("no-such-grant") is None


@requirement("C-233", "S-126", "A-262", "A-263")
async def test_unwrap_says_what_a_live_access_token_is_and_nothing_of_any_other_text(world: World) -> None:
    helpers = world.provider.helpers
    client = await world.register()
    tokens = await world.tokens(client, resource=R2, scope="read")
    found = await helpers.unwrap_token(tokens.access)
    assert found is not None
    assert (found.principal.user_id, found.principal.scopes, found.principal.audience) == ("u1", ("read",), (R2,))
    assert found.principal.props == {"color": "teal", "user": "u1"}
    assert (found.issued_at, found.expires_at) == (int(world.clock()), int(world.clock()) + 3600)
    assert found.grant.client_id == client["client_id"]
    code = await world.code(client)
    for text in (tokens.refresh, code, "", "x", tokens.access[:-1], tokens.access + "A", altered(tokens.access), "é"):
        assert await helpers.unwrap_token(text) is None
    world.clock.advance(3599)
    assert await helpers.unwrap_token(tokens.access) is not None
    world.clock.advance(1)
    assert await helpers.unwrap_token(tokens.access) is None


@requirement("S-319", "S-323", "A-205", "S-245", "C-166", "C-170")
async def test_an_exchanged_token_is_narrower_and_never_wider_or_longer(world: World) -> None:
    helpers = world.provider.helpers
    client = await world.register()
    subject = await world.tokens(client, resource=[R1, R2])
    answer = await helpers.exchange_token(subject.access, scopes=["read"], resources=[R2], ttl=60)
    assert {name: answer[name] for name in ("scope", "resource", "expires_in", "token_type")} == {
        "scope": "read",
        "resource": R2,
        "expires_in": 60,
        "token_type": "Bearer",
    }
    assert answer["issued_token_type"] == "urn:ietf:params:oauth:token-type:access_token"
    assert "refresh_token" not in answer
    narrow = answer["access_token"]
    assert [(await world.call(narrow, path)).status_code for path in ("/api", "/other")] == [401, 200]
    assert (await world.call(narrow, "/other")).json()["props"] == {"color": "teal", "user": "u1"}
    for refused, code in [
        ({"scopes": ["write"]}, "invalid_scope"),
        ({"scopes": ["admin"]}, "invalid_scope"),
        ({"scopes": "read"}, "invalid_scope"),
        ({"resources": [R1]}, "invalid_target"),
        ({"resources": ["https://evil.test"]}, "invalid_target"),
        ({"ttl": 0}, "invalid_request"),
        ({"ttl": -1}, "invalid_request"),
    ]:
        with pytest.raises(OAuthError) as caught:
            await helpers.exchange_token(narrow, **refused)  # type: ignore[arg-type]
        assert caught.value.code == code
    reading = (await helpers.exchange_token(subject.access, scopes=["read"]))["access_token"]
    assert (await helpers.exchange_token(reading, resources=[R1]))["scope"] == "read"
    with pytest.raises(OAuthError, match="invalid_scope"):
        await helpers.exchange_token(reading, scopes=["write"])
    world.clock.advance(59)
    assert (await helpers.exchange_token(narrow, ttl=DAY))["expires_in"] == 1
    world.clock.advance(1)
    assert (await world.call(narrow, "/other")).status_code == 401


@requirement("A-331", "S-125", "S-126")
async def test_an_exchanged_token_dies_with_its_grant_and_only_live_access_tokens_are_exchanged(world: World) -> None:
    helpers = world.provider.helpers
    client = await world.register()
    subject = await world.tokens(client)
    child = (await helpers.exchange_token(subject.access))["access_token"]
    assert (await world.call(child)).status_code == 200
    await helpers.revoke_user_grants("u1")
    assert (await world.call(child)).status_code == 401
    for text in (subject.access, subject.refresh, child, "", "x", await world.code(client)):
        with pytest.raises(OAuthError) as caught:
            await helpers.exchange_token(text)
        assert caught.value.code == "invalid_request"


@requirement("C-234", "C-235", "S-407", "S-246")
async def test_purge_takes_what_nothing_needs_in_bounded_steps(world: World) -> None:
    helpers = world.provider.helpers
    used, unused = await world.register(), await world.register()
    operated, _ = await helpers.create_client({"redirect_uris": [REDIRECT]})
    tokens = await world.tokens(used)
    for _ in range(5):
        await world.code(used)
    assert (await helpers.purge_expired()).done
    world.clock.advance(DAY + 3700)
    steps = 0
    while not (result := await helpers.purge_expired(limit=2)).done:
        assert max(result.grants, result.clients, result.access_tokens) <= 2
        steps += 1
    assert steps == 2
    assert await helpers.lookup_client(unused["client_id"]) is None
    assert (await helpers.list_grants(state="ended")).items == ()
    refreshed = parsed(await world.refresh(used, tokens.refresh))
    world.clock.advance(200 * DAY)
    while not (await helpers.purge_expired()).done:
        pass
    assert await helpers.lookup_client(used["client_id"]) is None
    assert await helpers.lookup_client(operated.client_id) is not None
    assert (await world.refresh(used, refreshed.refresh)).json()["error"] == "invalid_client"
    with pytest.raises(ValueError, match="at least 1"):
        await helpers.purge_expired(limit=0)


@requirement("S-407")
async def test_without_a_ttl_clients_stay_for_ever() -> None:
    async with running_world(MemoryStore(), unused_client_ttl=None) as world:
        client = await world.register()
        world.clock.advance(1000 * DAY)
        await world.provider.helpers.purge_expired()
        assert await world.provider.helpers.lookup_client(client["client_id"]) is not None


@requirement("A-276", "S-246")
async def test_helpers_say_so_when_the_store_is_away() -> None:
    class Away(MemoryStore):
        async def get_client(self, client_id: str) -> Client | None:
            raise StoreUnavailable("away")

    async with running_world(Away()) as world:
        with pytest.raises(StoreUnavailable):
            await world.provider.helpers.lookup_client("x")


@requirement("C-009", "S-020")
async def test_helpers_are_in_the_state_of_every_request_and_know_the_settings(world: World) -> None:
    assert world.provider.helpers.settings.issuer == ISSUER
    assert (await world.http.get("/elsewhere")).text == "the site"
