"""The authorization endpoint (OAuth 2.1 section 4.1): what is shown where the browser is, and what is sent on."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from starlette.requests import Request

from grantwell import AuthorizationError, Client
from grantwell._flows.clients import seal
from grantwell_storage import MemoryStore
from tests.wire.world import ISSUER, R1, R2, REDIRECT, World, answer_parameters, asgi_scope, parsed, running_world

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running_world(MemoryStore()) as running:
        yield running


def assert_shown_locally(answer: httpx.Response, code: str = "invalid_request") -> None:
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert answer.text == f"local error: {code}"


def assert_redirected(answer: httpx.Response, code: str, *, state: str | None = "xyz", uri: str = REDIRECT) -> None:
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{uri}?")
    parameters = answer_parameters(answer)
    assert parameters.pop("error") == code
    assert parameters.pop("error_description").isprintable()
    assert parameters == {"iss": ISSUER} | ({} if state is None else {"state": state})


async def send(world: World, client: dict[str, Any], *more: tuple[str, str]) -> httpx.Response:
    """A valid authorization request, with more parameters behind it."""
    pairs = [
        ("response_type", "code"),
        ("client_id", client["client_id"]),
        ("redirect_uri", client["redirect_uris"][0]),
        ("code_challenge", world.pkce.challenge),
        ("code_challenge_method", "S256"),
        ("state", "xyz"),
        ("scope", "read"),
        *more,
    ]
    return await world.http.get(f"/authorize?{urlencode(pairs)}")


@requirement("A-034", "S-134", "S-135", "S-138", "S-139", "C-084", "S-021")
@pytest.mark.parametrize("good", list(itertools.product([True, False], repeat=4)), ids=str)
async def test_nothing_is_redirected_until_client_and_redirect_uri_are_proven(
    world: World, good: tuple[bool, bool, bool, bool]
) -> None:
    client, redirect, response_type, pkce = good
    changes: dict[str, Any] = {} if client else {"client_id": "nobody"}
    changes |= {} if redirect else {"redirect_uri": "https://evil.test/cb"}
    changes |= {} if response_type else {"response_type": "token"}
    changes |= {} if pkce else {"code_challenge": None}
    answer = await world.authorize(await world.register(), **changes)
    if not (client and redirect):
        assert_shown_locally(answer)
    elif not response_type:
        assert_redirected(answer, "unsupported_response_type")
    elif not pkce:
        assert_redirected(answer, "invalid_request")
    else:
        assert answer_parameters(answer).keys() == {"code", "state", "iss"}


@requirement("S-134", "S-135", "A-001", "A-003", "A-005", "S-136", "S-448", "S-010")
@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": ""},
        {"client_id": "x" * 5000},
        {"client_id": "ünknown"},
        {"client_id": "' OR 1=1 --"},
        {"redirect_uri": "https://evil.test/cb"},
        {"redirect_uri": REDIRECT + "/"},
        {"redirect_uri": REDIRECT.upper()},
        {"redirect_uri": REDIRECT + "?x=1"},
        {"redirect_uri": REDIRECT + "#"},
        {"redirect_uri": "http://c1.test/cb"},
        {"redirect_uri": "https://c1.test:443/cb"},
        {"redirect_uri": "https://evil.test\\@c1.test/cb"},
        {"redirect_uri": "http://[:::::::]/cb"},
        {"redirect_uri": "javascript:alert(1)"},
    ],
    ids=str,
)
async def test_an_unproven_client_or_redirect_uri_is_told_where_the_browser_is(
    world: World, changes: dict[str, Any]
) -> None:
    client = await world.register()
    assert_shown_locally(await world.authorize(client, **changes))
    assert (await world.provider.helpers.list_grants()).items == ()
    await world.code(client)


@requirement("S-137", "S-132", "C-087")
async def test_the_redirect_uri_may_be_left_out_where_there_is_only_one(world: World) -> None:
    one = await world.register()
    two = await world.register(redirect_uris=[REDIRECT, "https://c1.test/b"])
    answer = await world.authorize(one, redirect_uri=None)
    assert answer.headers["location"].startswith(f"{REDIRECT}?code=")
    assert_shown_locally(await world.authorize(two, redirect_uri=None))


@requirement("S-138", "A-037", "S-033", "S-012", "S-179", "C-108")
@pytest.mark.parametrize(
    ("response_type", "error"),
    [
        (None, "invalid_request"),
        ("", "invalid_request"),
        *[
            (value, "unsupported_response_type")
            for value in ("token", "id_token", "code token", "code id_token", "none", "CODE", "code code", "code ")
        ],
    ],
)
async def test_code_is_the_only_response_type(world: World, response_type: str | None, error: str) -> None:
    answer = await world.authorize(await world.register(), response_type=response_type)
    assert_redirected(answer, error)
    assert "token=" not in answer.headers["location"]


@requirement("A-038", "S-055")
@pytest.mark.parametrize("mode", ["fragment", "form_post", "web_message", "jwt", "query.jwt", "xyz", "QUERY"])
async def test_only_the_response_mode_query_is_supported(world: World, mode: str) -> None:
    client = await world.register()
    assert_redirected(await world.authorize(client, response_mode=mode), "invalid_request")
    assert "code" in answer_parameters(await world.authorize(client, response_mode="query"))


@requirement(
    "S-139", "S-140", "S-141", "S-142", "S-143", "A-039", "A-040", "A-041", "A-042", "S-453", "S-036", "C-090", "C-091"
)
@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None},
        {"code_challenge": ""},
        {"code_challenge": "a" * 42},
        {"code_challenge": "a" * 44},
        {"code_challenge": "a" * 42 + "="},
        {"code_challenge": "a" * 42 + "+"},
        {"code_challenge": "a" * 42 + "ä"},
        {"code_challenge_method": None},
        *[{"code_challenge_method": value} for value in ("", "plain", "PLAIN", "s256", "S256 ", "S512")],
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["none", "client_secret_basic"])
async def test_pkce_with_s256_is_required_of_every_client(world: World, method: str, changes: dict[str, Any]) -> None:
    client = await world.register(token_endpoint_auth_method=method)
    assert_redirected(await world.authorize(client, **changes), "invalid_request")


@requirement("S-149", "A-050")
@pytest.mark.parametrize("name", ["request", "request_uri"])
async def test_request_objects_are_refused_by_name(world: World, name: str) -> None:
    changes: dict[str, Any] = {name: "http://169.254.169.254/"}
    answer = await world.authorize(await world.register(), **changes)
    assert_redirected(answer, f"{name}_not_supported")


@requirement("S-148", "A-034")
async def test_a_client_without_the_code_grant_is_unauthorized(world: World) -> None:
    """No rule of ours registers one, so the row is written here, as an older version may have."""
    client = await world.register()
    stored = await world.store.get_client(client["client_id"])
    assert stored is not None
    keyring = world.provider._context.keyring
    assert await world.store.replace_client(seal(keyring, replace(stored, grant_types=("refresh_token",), version=2)))
    assert_redirected(await world.authorize(client), "unauthorized_client")


@requirement("S-011", "A-053", "A-025", "S-174", "C-083")
async def test_a_repeated_parameter_is_refused_and_resource_alone_may_repeat(world: World) -> None:
    client = await world.register()
    for name, value in [("client_id", client["client_id"]), ("redirect_uri", REDIRECT)]:
        assert_shown_locally(await send(world, client, (name, value)))
    for name, value in [
        ("response_type", "code"),
        ("scope", "read"),
        ("code_challenge", world.pkce.challenge),
        ("code_challenge_method", "S256"),
        ("nonsense", "2"),
    ]:
        assert_redirected(await send(world, client, (name, value), ("nonsense", "1")), "invalid_request")
    assert_redirected(await send(world, client, ("state", "other")), "invalid_request", state=None)
    answer = await send(world, client, ("resource", R1), ("resource", R2), ("resource", R1))
    tokens = parsed(await world.exchange(client, answer_parameters(answer)["code"]))
    assert tokens.raw["resource"] == [R1, R2]


@requirement("S-009", "A-054", "S-012", "C-093")
async def test_unknown_parameters_are_ignored(world: World) -> None:
    client = await world.register()
    answer = await send(
        world, client, ("foo", "1"), ("nonce", "x"), ("claims", "{}"), ("prompt", "none"), ("Scope", "admin")
    )
    assert parsed(await world.exchange(client, answer_parameters(answer)["code"])).raw["scope"] == "read"


@requirement("S-172", "A-030", "S-013", "S-022", "S-010")
@pytest.mark.parametrize(
    "state", [" %&+£€", '"><script>alert(1)</script>', "\u202eoops", "a" * 2048, "=&state=evil&code=evil", "🦊"]
)
async def test_state_comes_back_as_it_was_sent_and_only_then(world: World, state: str) -> None:
    client = await world.register()
    for headers, names in [({}, {"code", "state", "iss"}), ({"x-deny": "1"}, {"error", "error_description"})]:
        answer = await world.authorize(client, headers=headers, state=state)
        assert answer.headers["location"].isascii()
        assert answer.headers["location"].isprintable()
        assert answer_parameters(answer)["state"] == state
        assert names <= answer_parameters(answer).keys()
        for absent in (None, ""):
            answer = await world.authorize(client, headers=headers, state=absent)
            assert "state" not in answer_parameters(answer)
    assert_redirected(
        await world.authorize(client, response_type="token", state=state), "unsupported_response_type", state=state
    )


@requirement("A-030", "A-055", "A-154", "S-022", "S-023")
async def test_a_state_that_is_no_state_is_refused_and_not_echoed(world: World) -> None:
    client = await world.register()
    assert_redirected(await world.authorize(client, state="a" * 2049), "invalid_request", state=None)
    for hostile in ("%0d%0aSet-Cookie:%20a=b", "%00", "%", "%ff"):
        query = urlencode({"client_id": client["client_id"], "redirect_uri": REDIRECT}) + f"&state={hostile}"
        answer = await world.http.get(f"/authorize?{query}")
        assert_shown_locally(answer)
        assert "set-cookie" not in answer.headers


@requirement("A-055", "A-157", "S-023")
async def test_a_request_that_is_too_large_is_refused_where_the_browser_is(world: World) -> None:
    client = await world.register()
    many = "&".join(f"p{i}=1" for i in range(2000))
    assert_shown_locally(await world.http.get(f"/authorize?client_id={client['client_id']}&{many}"))
    answer = await world.authorize(client, login_hint="x" * 60_000)
    assert answer.status_code in (303, 400)
    assert_redirected(await world.authorize(client, scope=" ".join(f"s{i}" for i in range(65))), "invalid_scope")


@requirement("A-029", "S-171", "S-174")
async def test_the_answer_begins_with_the_registered_bytes(world: World) -> None:
    uri = "https://c1.test/cb;v=1/%7Euser?a=1&flag&b=%2B+%e2%82%ac&&c='"
    client = await world.register(redirect_uris=[uri])
    for headers in ({}, {"x-deny": "1"}):
        location = (await world.authorize(client, headers=headers)).headers["location"]
        assert location.startswith(f"{uri}&")
        names = [name for name, _ in parse_qsl(urlsplit(location).query, keep_blank_values=True)]
        assert len(set(names)) == len(names)
        assert "#" not in location


@requirement("S-171", "S-451", "S-445", "S-446", "S-447", "S-454")
@pytest.mark.parametrize(
    ("registered", "presented"),
    [
        ("com.example.app:/cb", "com.example.app:/cb"),
        ("cursor://anysphere.cursor-retrieval/oauth/cb", "cursor://anysphere.cursor-retrieval/oauth/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb"),
        ("http://[::1]:3000/cb", "http://[::1]:51004/cb"),
        ("http://localhost:3000/cb", "http://localhost:8765/cb"),
    ],
)
async def test_every_kind_of_native_redirect_uri_leads_to_tokens(world: World, registered: str, presented: str) -> None:
    client = await world.register(redirect_uris=[registered])
    answer = await world.authorize(client, redirect_uri=presented)
    location = answer.headers["location"]
    assert location.startswith(f"{presented}?code=")
    code = answer_parameters(answer)["code"]
    other = "http://127.0.0.1:51005/cb"
    assert (await world.exchange(client, code, redirect_uri=other)).status_code == 400
    parsed(await world.exchange(client, code, redirect_uri=presented))


@requirement("S-173", "S-043", "S-175", "S-179", "S-178")
async def test_iss_is_in_every_answer_and_a_denial_is_access_denied(world: World) -> None:
    client = await world.register()
    granted = answer_parameters(await world.authorize(client))
    assert granted["iss"] == ISSUER
    assert granted["code"].startswith("gwc_")
    assert world.pkce.challenge not in granted["code"]
    assert_redirected(await world.authorize(client, headers={"x-deny": "1"}), "access_denied")
    assert_redirected(await world.authorize(client, scope="admin"), "invalid_scope")
    assert_redirected(await world.authorize(client, resource="https://nobody.test"), "invalid_target")


@requirement("S-320", "S-321", "S-328", "A-208", "C-192")
@pytest.mark.parametrize(
    "resource",
    ["mcp.example.com", "/api", f"{R1}#x", f"{R1}#", "https://as.test/nope", f"{R1}?x=1", "https://as.test/API"],
)
async def test_a_resource_that_is_not_of_this_server_is_invalid_target(world: World, resource: str) -> None:
    assert_redirected(await world.authorize(await world.register(), resource=resource), "invalid_target")


@requirement("S-324", "S-322", "S-326", "S-327", "A-208", "S-319", "C-094")
async def test_a_request_without_resource_gets_the_default_ones() -> None:
    for default, audience in [(None, [R1, R2]), ([R2], R2)]:
        async with running_world(MemoryStore(), default_resources=default) as world:
            client = await world.register()
            tokens = await world.tokens(client, resource=None)
            assert tokens.raw["resource"] == audience
            assert tokens.raw["scope"] == ("read write" if default is None else "read")
            tokens = await world.tokens(client, resource="HTTPS://AS.test:443/api")
            assert tokens.raw["resource"] == R1


@requirement("S-145", "S-146", "A-213", "A-214", "S-326", "S-259", "C-202")
async def test_scopes_are_the_default_ones_or_those_asked_for_as_far_as_the_resources_know_them(world: World) -> None:
    client = await world.register()
    for asked, resource, got in [
        (None, R1, "read write"),
        ("", R1, "read write"),
        ("write", R1, "write"),
        ("write read write", R1, "write read"),
        ("read write", R2, "read"),
        ("read offline_access", R1, "read"),
        ("offline_access", R1, "read write"),
    ]:
        tokens = await world.tokens(client, scope=asked, resource=resource)
        assert tokens.raw["scope"] == got, (asked, resource)
    for refused, resource in [
        ("admin", R1),
        ("*", R1),
        ("read admin", R1),
        ("Read", R1),
        ("write", R2),
        ("read  write", R1),
        (" read", R1),
        ("read,write", R1),
        ("read\u00a0write", R1),
        ('read "', R1),
    ]:
        answer = await world.authorize(client, scope=refused, resource=resource)
        assert_redirected(answer, "invalid_scope")


@requirement("S-145", "S-147", "S-408", "A-094", "S-467", "C-204")
async def test_default_scopes_and_the_limits_of_a_client_hold_together() -> None:
    async with running_world(MemoryStore(), default_scopes=["write"]) as world:
        free = await world.register()
        limited = await world.register(scope="read admin")
        assert limited["scope"] == "read"
        assert (await world.tokens(free, scope=None)).raw["scope"] == "write"
        assert (await world.tokens(limited, scope="read write")).raw["scope"] == "read"
        assert_redirected(await world.authorize(limited, scope="write"), "invalid_scope")
        none = await world.code(limited, scope=None)
        assert parsed(await world.exchange(limited, none)).raw["scope"] == ""


@requirement("S-132", "A-051", "C-082")
async def test_a_post_carries_its_parameters_in_the_body_alone(world: World) -> None:
    client = await world.register()
    form = {
        "response_type": "code",
        "client_id": client["client_id"],
        "redirect_uri": REDIRECT,
        "code_challenge": world.pkce.challenge,
        "code_challenge_method": "S256",
        "state": "xyz",
    }
    answer = await world.http.post("/authorize", data=form)
    assert answer_parameters(answer).keys() == {"code", "state", "iss"}
    assert_shown_locally(await world.http.post("/authorize?client_id=evil", data=form))
    assert_shown_locally(await world.http.post(f"/authorize?{urlencode(form)}"))
    assert_shown_locally(await world.http.post("/authorize", json=form))
    assert_shown_locally(await world.http.post("/authorize", data=form | {"login_hint": "x" * 70_000}))


@requirement("A-052")
@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_no_other_method_is_an_authorization_request(world: World, method: str) -> None:
    client = await world.register()
    valid = (await world.authorize(client)).request.url
    before = (await world.provider.helpers.list_grants()).items
    answer = await world.http.request(method, valid)
    assert answer.status_code in (400, 405)
    assert "location" not in answer.headers
    assert (await world.provider.helpers.list_grants()).items == before


@requirement("S-005", "C-011")
async def test_the_authorization_endpoint_has_no_cors(world: World) -> None:
    client = await world.register()
    preflight = {"Origin": "https://spa.example", "Access-Control-Request-Method": "GET"}
    for answer in [
        await world.authorize(client, headers={"Origin": "https://spa.example"}),
        await world.authorize(client, headers={"Origin": "https://spa.example"}, client_id="nobody"),
        await world.http.options("/authorize", headers=preflight),
    ]:
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@requirement("S-152", "S-467")
async def test_an_error_says_whether_an_operator_vouches_for_the_redirect_uri(world: World) -> None:
    registered = await world.register()
    vetted, _ = await world.provider.helpers.create_client({"redirect_uris": [REDIRECT]})
    for client_id, trusted in [(registered["client_id"], False), (vetted.client_id, True)]:
        query = urlencode({"client_id": client_id, "redirect_uri": REDIRECT, "state": "xyz"}).encode()
        with pytest.raises(AuthorizationError) as caught:
            await world.provider.helpers.parse_authorization_request(
                Request(asgi_scope("/authorize", query_string=query))
            )
        assert caught.value.redirect_to is not None
        assert caught.value.trusted is trusted


@requirement("A-015", "S-180", "S-136", "D-19")
async def test_a_stored_redirect_uri_that_is_not_acceptable_gets_no_answer(world: World) -> None:
    """An operator took a scheme off the list after a client had registered it."""
    store = MemoryStore()
    async with running_world(store, private_use_schemes=["oldtool"]) as before:
        client = await before.register(redirect_uris=["oldtool://cb"])
        asked = await before.provider.helpers.parse_authorization_request(Request(_scope_of(before, client)))
    async with running_world(store) as after:
        assert_shown_locally(await after.authorize(client))
        assert_shown_locally(await after.authorize(client, response_type="token"))
        for ending in (
            after.provider.helpers.complete_authorization(asked, user_id="u1"),
            after.provider.helpers.deny_authorization(asked),
        ):
            with pytest.raises(AuthorizationError) as caught:
                await ending
            assert caught.value.redirect_to is None


def _scope_of(world: World, client: dict[str, Any]) -> Any:
    query = {
        "response_type": "code",
        "client_id": client["client_id"],
        "redirect_uri": client["redirect_uris"][0],
        "code_challenge": world.pkce.challenge,
        "code_challenge_method": "S256",
    }
    return asgi_scope("/authorize", query_string=urlencode(query).encode())


@requirement("S-134", "A-340")
async def test_the_client_in_a_request_has_no_hashes(world: World) -> None:
    client = await world.register(token_endpoint_auth_method="client_secret_post")
    asked = await world.provider.helpers.parse_authorization_request(Request(_scope_of(world, client)))
    assert isinstance(asked.client, Client)
    assert (asked.client.secrets, asked.client.mac) == ((), b"")
