"""What an application does with a valid authorization request: keep it, complete it, deny it (OAuth 2.1, 4.1)."""

from __future__ import annotations

import datetime
import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.requests import Request

from grantwell import AuthorizationError, AuthorizationRequest
from tests.wire.world import R1, R2, REDIRECT, World, asgi_scope, nothing_changes, parsed

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement


async def asked_by(world: World, client: dict[str, Any], **changes: str) -> AuthorizationRequest:
    """A valid request of a client, parsed."""
    query = {
        "response_type": "code",
        "client_id": client["client_id"],
        "redirect_uri": client["redirect_uris"][0],
        "code_challenge": world.pkce.challenge,
        "code_challenge_method": "S256",
        "state": "xyz",
        "resource": R1,
    } | changes
    request = Request(asgi_scope("/authorize", query_string=urlencode(query).encode()))
    return await world.provider.helpers.parse_authorization_request(request)


async def complete_kept(world: World, encoded: str) -> str:
    helpers = world.provider.helpers
    return await helpers.complete_authorization(await helpers.load_authorization_request(encoded), user_id="u1")


def code_in(location: str) -> str:
    return location.partition("code=")[2].partition("&")[0]


@requirement("C-092", "C-099", "S-171", "S-172")
async def test_a_request_can_be_kept_as_text_and_completed_later(world: World) -> None:
    client = await world.register()
    helpers = world.provider.helpers
    asked = await asked_by(world, client, state="\u202e %🦊")
    kept = await helpers.load_authorization_request(asked.encoded())
    assert kept == asked
    location = await helpers.complete_authorization(kept, user_id="u1", props={"a": 1}, metadata={"device": "phone"})
    assert location.startswith(f"{REDIRECT}?code=gwc_")
    tokens = parsed(await world.exchange(client, code_in(location)))
    assert (await world.call(tokens.access)).json()["props"] == {"a": 1}
    grant = (await helpers.list_user_grants("u1")).items[0]
    assert grant.metadata == {"device": "phone"}


KEPT: dict[str, Any] = {
    "client_id": "c",
    "redirect_uri": "r",
    "scopes": [],
    "resources": [],
    "code_challenge": "x",
    "state": None,
}
DAMAGE: list[dict[str, Any]] = [
    {"client_id": 1},
    {"client_id": None},
    {"scopes": 5},
    {"scopes": "read"},
    {"scopes": [1]},
    {"resources": None},
    {"redirect_uri": ["r"]},
    {"code_challenge": None},
    {"state": 0},
    {"state": []},
    {"state": False},
    {"user_id": "u2"},
]


@requirement("C-096", "A-340")
@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", "[" * 100_000, '{"client_id": NaN}', *[json.dumps(KEPT | change) for change in DAMAGE]],
    ids=lambda text: text[:60] + text[60:][-20:],
)
async def test_a_kept_text_that_is_no_request_is_a_value_error(world: World, text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        await world.provider.helpers.load_authorization_request(text)


@requirement("C-095", "C-096", "A-033", "A-216", "A-015", "S-136", "S-177", "S-245", "D-19", "C-097")
@pytest.mark.parametrize(
    "tampered",
    [
        {"client_id": "0" * 32},
        {"client_id": ""},
        {"redirect_uri": "https://evil.test/cb"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": ""},
        {"scopes": ("read", "admin")},
        {"resources": ("https://evil.test/",)},
        {"resources": (R2,), "scopes": ("write",)},
        {"code_challenge": ""},
        {"code_challenge": "plain-text"},
        {"state": "x" * 2049},
    ],
    ids=str,
)
async def test_a_tampered_request_is_neither_completed_nor_denied(world: World, tampered: dict[str, Any]) -> None:
    client = await world.register()
    helpers = world.provider.helpers
    asked = replace(await asked_by(world, client), **tampered)
    with nothing_changes(world):
        for ending in (helpers.complete_authorization(asked, user_id="u1"), helpers.deny_authorization(asked)):
            with pytest.raises(AuthorizationError) as caught:
                await ending
            assert caught.value.redirect_to is None
        with pytest.raises(AuthorizationError):
            await complete_kept(world, asked.encoded())


@requirement("A-033", "S-177")
async def test_a_state_that_cannot_be_sent_grants_nothing(world: World) -> None:
    client = await world.register()
    asked = replace(await asked_by(world, client), state="\ud800")
    with nothing_changes(world), pytest.raises(ValueError, match="surrogates"):
        await world.provider.helpers.complete_authorization(asked, user_id="u1")


@requirement("A-033", "S-254")
async def test_what_was_withdrawn_meanwhile_is_not_granted(world: World) -> None:
    helpers = world.provider.helpers
    client = await world.register(redirect_uris=[REDIRECT, "https://c1.test/b"], scope="read write")
    asked = await asked_by(world, client)
    await helpers.update_client(client["client_id"], {"scope": "read"})
    with pytest.raises(AuthorizationError, match="invalid_scope"):
        await helpers.complete_authorization(asked, user_id="u1")
    asked = await asked_by(world, client)
    code = code_in(await helpers.complete_authorization(asked, user_id="u1"))
    await helpers.update_client(client["client_id"], {"redirect_uris": ["https://c1.test/b"]})
    refused = await world.exchange(client, code)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    for ending in (helpers.complete_authorization(asked, user_id="u1"), helpers.deny_authorization(asked)):
        with pytest.raises(AuthorizationError) as caught:
            await ending
        assert caught.value.redirect_to is None
    await helpers.delete_client(client["client_id"])
    with pytest.raises(AuthorizationError):
        await helpers.complete_authorization(asked, user_id="u1")
    with pytest.raises(AuthorizationError):
        await helpers.load_authorization_request(asked.encoded())


@requirement("A-217", "S-245", "C-101")
async def test_a_user_may_grant_fewer_scopes_and_never_more(world: World) -> None:
    helpers = world.provider.helpers
    client = await world.register()
    asked = await asked_by(world, client, scope="read write")
    tokens = parsed(
        await world.exchange(
            client, code_in(await helpers.complete_authorization(asked, user_id="u1", scopes=["read"]))
        )
    )
    assert tokens.raw["scope"] == "read"
    refused = await world.refresh(client, tokens.refresh, scope="read write")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")
    assert (await world.call(tokens.access, "/api/write")).status_code == 403
    asked = await asked_by(world, client, scope="read")
    with nothing_changes(world):
        for more in (["read", "write"], ["admin"], ["read", "read write"]):
            with pytest.raises(AuthorizationError, match="invalid_scope"):
                await helpers.complete_authorization(asked, user_id="u1", scopes=more)
        with pytest.raises(ValueError, match="list"):
            await helpers.complete_authorization(asked, user_id="u1", scopes="read")
    nothing = code_in(await helpers.complete_authorization(asked, user_id="u1", scopes=[]))
    assert parsed(await world.exchange(client, nothing)).raw["scope"] == ""


def cycle() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


UNSTORABLE: list[Any] = [
    float("nan"),
    float("inf"),
    b"bytes",
    {1: "a"},
    {None: 1},
    {"a": {2: 1}},
    2**63,
    -(2**63) - 1,
    "\ud800",
    {"\udfff": 1},
    {1, 2},
    object(),
    datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    cycle(),
    nested(40),
    "x" * (256 * 1024),
]


@requirement("A-333", "C-241")
@pytest.mark.parametrize("props", UNSTORABLE, ids=lambda value: f"{type(value).__name__} {str(value)[:20]!a}")
async def test_props_and_metadata_that_cannot_be_stored_are_refused_before_anything_is_written(
    world: World, props: Any
) -> None:
    helpers = world.provider.helpers
    asked = await asked_by(world, await world.register())
    with nothing_changes(world):
        with pytest.raises(ValueError, match="props"):
            await helpers.complete_authorization(asked, user_id="u1", props=props)
        with pytest.raises(ValueError, match=r"."):
            await helpers.complete_authorization(asked, user_id="u1", metadata={"a": props})


@requirement("A-333", "C-241", "S-465")
@pytest.mark.parametrize(
    "props",
    [None, True, 0, "", [], {}, 1.5, 2**63 - 1, "🦊\u2028\x00", {"": ["a", {"b": None}]}, nested(30), "x" * 262_000],
    ids=lambda value: f"{type(value).__name__} {str(value)[:20]!a}",
)
async def test_props_of_every_json_type_reach_the_application_as_they_were(world: World, props: Any) -> None:
    client = await world.register()
    asked = await asked_by(world, client)
    location = await world.provider.helpers.complete_authorization(asked, user_id="u1", props=props)
    tokens = parsed(await world.exchange(client, code_in(location)))
    assert (await world.call(tokens.access)).json()["props"] == props


@requirement("A-333", "A-343")
@pytest.mark.parametrize("user_id", ["", "a" * 256, "a\nb", "a\x00b", "\u202ea", "a\ud800", None, 7])
async def test_a_user_id_that_cannot_be_stored_is_refused(world: World, user_id: Any) -> None:
    helpers = world.provider.helpers
    asked = await asked_by(world, await world.register())
    with nothing_changes(world), pytest.raises(ValueError, match="user id"):
        await helpers.complete_authorization(asked, user_id=user_id)


@requirement("C-237", "D-10", "A-198", "D-11")
async def test_user_ids_are_compared_whole_whatever_they_contain(world: World) -> None:
    helpers = world.provider.helpers
    client = await world.register()
    names = ["a", "a:b", "A", "a%", "a_", "ä", "a" * 255, "' OR 1=1 --", "a b"]
    for name in names:
        location = await helpers.complete_authorization(await asked_by(world, client), user_id=name)
        parsed(await world.exchange(client, code_in(location)))
        assert len(name) < 3 or name not in location  # two letters may stand in a code by chance
    for name in names:
        assert [grant.user_id for grant in (await helpers.list_user_grants(name)).items] == [name]


@requirement("A-333")
async def test_metadata_is_a_bounded_json_object(world: World) -> None:
    helpers = world.provider.helpers
    asked = await asked_by(world, await world.register())
    with nothing_changes(world), pytest.raises(ValueError, match="metadata"):
        await helpers.complete_authorization(asked, user_id="u1", metadata={"a": "x" * 17_000})
    await helpers.complete_authorization(asked, user_id="u1", metadata={"a": "x" * 16_000})
