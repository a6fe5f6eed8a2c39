"""Protected calls (RFC 6750, RFC 8707): who gets through as whom, and how the others are told."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from grantwell import Principal, Resource, StoreUnavailable, current_principal, require_scopes
from grantwell.records import Digest
from grantwell.store import LiveAccessToken
from grantwell_storage import MemoryStore
from tests.wire.world import (
    ISSUER,
    PARSERS,
    R1,
    R2,
    World,
    altered,
    api,
    asgi_scope,
    nothing_changes,
    running_world,
    serving,
    spoken,
)

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

METADATA = f"{ISSUER}/.well-known/oauth-protected-resource/api"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running_world(MemoryStore()) as running:
        yield running


def challenge_in(answer: httpx.Response) -> dict[str, str]:
    """The members of the one Bearer challenge in an answer, each of which is there once."""
    (header,) = answer.headers.get_list("www-authenticate")
    scheme, _, rest = header.partition(" ")
    assert scheme == "Bearer"
    members = re.findall(r'(\w+)="([ !#-\[\]-~]*)"', rest)
    assert ", ".join(f'{name}="{value}"' for name, value in members) == rest
    assert len(dict(members)) == len(members)
    assert members
    return dict(members)


def assert_challenged(answer: httpx.Response, error: str, status: int = 401) -> None:
    assert answer.status_code == status
    assert answer.json()["error"] == error
    assert answer.headers["cache-control"] == "no-store"
    members = challenge_in(answer)
    assert (members["error"], members["resource_metadata"]) == (error, METADATA)
    assert members["error_description"] == answer.json()["error_description"]


async def bearing(world: World, *headers: str, path: str = "/api", **options: Any) -> httpx.Response:
    """A call with these Authorization headers, byte by byte."""
    pairs = [(b"authorization", header.encode("latin-1")) for header in headers]
    return await world.http.request("GET", path, headers=pairs, **options)


@requirement("S-083", "S-084", "A-257", "C-206", "A-270")
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer ", "bearer    "])
async def test_the_scheme_is_read_in_any_case(world: World, scheme: str) -> None:
    client = await world.register()
    tokens = await world.tokens(client)
    answer = await world.http.get(
        "/api",
        headers={
            "Authorization": f"{scheme} {tokens.access}",
            "X-User": "u2",
            "X-Auth-Props": "{}",
            "Remote-User": "u2",
            "X-Forwarded-User": "u2",
        },
    )
    assert answer.status_code == 200
    assert answer.json() == {
        "user": "u1",
        "client": client["client_id"],
        "grant": (await world.provider.helpers.list_grants()).items[0].grant_id,
        "scopes": ["read", "write"],
        "audience": [R1],
        "props": {"color": "teal", "user": "u1"},
        "expires_at": int(world.clock()) + 3600,
    }


@requirement("A-256", "S-095", "S-096", "S-097", "S-098", "S-099", "S-100", "S-110", "C-205", "A-221", "C-212")
@pytest.mark.parametrize("header", [None, "Basic dTE6cA==", "Token x", "DPoP x", "BearerX x", ""])
async def test_a_call_without_a_bearer_credential_gets_a_bare_challenge(header: str | None) -> None:
    resource = Resource(scopes={"read": "", "offline_access": "", "write": ""})
    async with running_world(MemoryStore(), resources={"/api": resource}) as world:
        answer = await bearing(world, *([] if header is None else [header]))
        assert (answer.status_code, answer.content) == (401, b"")
        assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
        assert challenge_in(answer) == {"resource_metadata": METADATA, "scope": "read write"}
        document = (await world.http.get(METADATA)).json()
        assert (document["resource"], document["scopes_supported"]) == (R1, ["read", "write"])


@requirement("S-101", "S-126", "A-263", "A-210", "A-161", "C-207", "C-210", "S-305", "A-320")
async def test_whatever_is_no_live_access_token_of_ours_is_an_invalid_token(world: World) -> None:
    client = await world.register(token_endpoint_auth_method="client_secret_post")
    tokens = await world.tokens(client)
    code = await world.code(client)
    access = tokens.access
    with nothing_changes(world):
        for text in [
            tokens.refresh,
            code,
            client["client_secret"],
            client["client_id"],
            "x",
            "eyJhbGciOiJub25lIn0.e30.",
            access[:-1],
            access + "A",
            access.swapcase(),
            "gwr_" + access[4:],
            *[altered(access, at) for at in range(len(access))],
        ]:
            assert_challenged(await world.call(text), "invalid_token")
    async with running_world(MemoryStore()) as other:
        assert_challenged(await other.call(access), "invalid_token")
    assert (await world.call(access)).status_code == 200


@requirement("A-258", "S-104", "A-164", "S-105")
@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer\t{token}",
        "Bearer {token} ",
        "Bearer {token} b",
        'Bearer "{token}"',
        "Bearer {token},b",
        "Bearer %67wa_",
        "Bearer=",
        "Bearer ={token}",
        "Bearer " + "a" * 513,
        "Bearer " + "a" * 60_000,
        "Bearer {token}\xff",
        "Bearer \xe9",
    ],
)
async def test_a_malformed_bearer_header_is_an_invalid_request(world: World, header: str) -> None:
    tokens = await world.tokens(await world.register())
    assert_challenged(await bearing(world, header.replace("{token}", tokens.access)), "invalid_request", 400)


@requirement("A-259", "S-087")
@pytest.mark.parametrize("parser", PARSERS)
async def test_two_authorization_headers_are_refused_on_the_wire(world: World, parser: str) -> None:
    token = (await world.tokens(await world.register())).access
    good, bad = f"Bearer {token}", "Bearer x"
    async with serving(world.provider, parser) as port:

        async def answer(*headers: str) -> bytes:
            lines = "".join(f"Authorization: {header}\r\n" for header in headers)
            request = f"GET /api HTTP/1.1\r\nHost: as.test\r\nConnection: close\r\n{lines}\r\n"
            return (await spoken(port, request.encode("latin-1"))).split(b"\r\n")[0]

        assert b"200" in await answer(good)
        for pair in [(good, bad), (bad, good), (good, good), (good, "Basic dTE6cA=="), ("", good)]:
            assert b"400" in await answer(*pair), pair


@requirement("A-260", "S-104")
@pytest.mark.parametrize("parser", PARSERS)
async def test_strange_bytes_in_the_header_are_never_an_error_of_the_server(world: World, parser: str) -> None:
    token = (await world.tokens(await world.register())).access.encode()
    async with serving(world.provider, parser) as port:
        for header in (
            b"Bearer \xe9\xff",
            b"Bearer \x00" + token,
            b"Bearer a\r\n b",
            b"\xff",
            b"Bearer " + token + b"\x7f",
        ):
            request = b"GET /api HTTP/1.1\r\nHost: as.test\r\nConnection: close\r\nAuthorization: " + header
            status = (await spoken(port, request + b"\r\n\r\n")).split(b"\r\n")[0]
            assert b" 400 " in status or b" 401 " in status, (header, status)


@requirement("A-261", "S-085", "S-087", "S-018", "S-088", "A-274", "S-086")
async def test_a_token_anywhere_else_does_not_count_and_beside_the_header_is_refused(world: World) -> None:
    token = (await world.tokens(await world.register())).access
    body = {"access_token": token}
    for answer in [
        await world.call(None, f"/api?access_token={token}"),
        await world.call(None, method="POST", data=body),
        await world.call(None, method="POST", json=body),
        await world.call(None, headers={"Cookie": f"access_token={token}; session={token}"}),
        await world.call(None, headers={"X-Access-Token": token, "Mcp-Session-Id": token}),
        await world.call(None, headers={"Proxy-Authorization": f"Bearer {token}"}),
    ]:
        assert (answer.status_code, answer.content) == (401, b"")
        assert "error" not in challenge_in(answer)
    assert_challenged(await world.call(token, f"/api?access_token={token}"), "invalid_request", 400)
    assert_challenged(await world.call(token, f"/api?x=1&access%5Ftoken={token}"), "invalid_request", 400)
    assert (await world.call(token, "/api?access_token=")).status_code == 200
    assert (await world.call(token, "/api?my_access_token=1&a=%zz")).status_code == 200


@requirement("A-204", "A-206", "S-079", "S-082", "S-113", "S-322", "S-329", "C-197", "C-199")
async def test_a_token_works_at_the_resources_it_names_alone(world: World) -> None:
    client = await world.register()
    for resource, statuses in [(R1, (200, 401)), (R2, (401, 200)), ([R1, R2], (200, 200)), (None, (200, 200))]:
        token = (await world.tokens(client, resource=resource, scope="read")).access
        answers = [await world.call(token, path) for path in ("/api/x", "/other/x")]
        assert tuple(answer.status_code for answer in answers) == statuses
        for answer in answers:
            if answer.status_code == 401:
                assert answer.json()["error"] == "invalid_token"


@requirement("A-209", "S-020", "S-113", "A-265", "D-21")
async def test_the_audience_is_compared_with_the_settings_and_never_with_the_request(world: World) -> None:
    client = await world.register()
    elsewhere = (await world.tokens(client, resource=R2, scope="read")).access
    for headers in [
        {"Host": "other.test"},
        {"X-Forwarded-Host": "other.test", "X-Forwarded-Prefix": "/other", "X-Original-URL": "/other"},
        {"Forwarded": "host=as.test;proto=http"},
    ]:
        assert_challenged(await world.call(elsewhere, headers=headers), "invalid_token")
        token = (await world.tokens(client)).access
        assert (await world.call(token, headers=headers)).status_code == 200


@requirement("A-262", "S-112", "S-125", "D-09", "C-209", "S-208")
async def test_a_token_is_dead_from_its_end_on(world: World) -> None:
    token = (await world.tokens(await world.register())).access
    world.clock.advance(3599.9)
    assert (await world.call(token)).status_code == 200
    world.clock.advance(0.1)
    assert_challenged(await world.call(token), "invalid_token")


@requirement("A-262", "S-125", "D-09", "A-331", "C-211")
async def test_a_revoked_token_is_refused_by_the_next_call(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client)
    assert (await world.call(tokens.access)).status_code == 200
    await world.revoke(client, tokens.access)
    assert_challenged(await world.call(tokens.access), "invalid_token")
    assert (await world.refresh(client, tokens.refresh)).status_code == 200


@requirement("S-091", "S-102", "S-103", "A-219", "A-218", "C-213", "C-204")
async def test_too_little_scope_is_403_with_all_the_scopes_that_would_do() -> None:
    ran: list[str] = []

    async def careful(scope: Scope, receive: Receive, send: Send) -> None:
        require_scopes("read", "write", "offline_access")
        ran.append(current_principal().user_id or "")
        await JSONResponse({})(scope, receive, send)

    resource = Resource(scopes={"read": "", "write": "", "offline_access": ""})
    async with running_world(MemoryStore(), api_handlers={"/api": careful}, resources={"/api": resource}) as world:
        client = await world.register()
        for scope in ("read", "write", None):
            token = (await world.tokens(client, scope=scope)).access
            for _ in range(2):
                answer = await world.call(token)
                assert_challenged(answer, "insufficient_scope", 403)
                assert challenge_in(answer)["scope"] == "read write"
    assert ran == []


@requirement("S-091", "S-102", "S-103", "S-088", "C-008")
async def test_in_a_starlette_application_the_usual_tools_work() -> None:
    @requires("write")
    async def change(request: Request) -> JSONResponse:
        return JSONResponse(request.user.display_name)

    async def see(request: Request) -> JSONResponse:
        principal = require_scopes("read")
        assert isinstance(principal, Principal)
        assert request.user is principal is current_principal()
        assert (principal.identity, principal.is_authenticated) == ("u1", True)
        assert request.headers["authorization"].startswith("Bearer gwa_")
        return JSONResponse({"scopes": request.auth.scopes, "settings": request.state.oauth.settings.issuer})

    def in_a_thread(request: Request) -> JSONResponse:
        return JSONResponse(require_scopes("write").user_id)

    routes = [Route("/api/change", change), Route("/api/see", see), Route("/api/thread", in_a_thread)]
    async with running_world(MemoryStore(), api_handlers={"/api": Starlette(routes=routes)}, resources=None) as world:
        pass
    async with running_world(
        MemoryStore(),
        api_handlers={"/api": Starlette(routes=routes)},
        resources={"/api": Resource(scopes={"read": "", "write": ""})},
    ) as world:
        client = await world.register()
        both = (await world.tokens(client)).access
        assert (await world.call(both, "/api/change")).json() == "u1"
        assert (await world.call(both, "/api/see")).json() == {"scopes": ["read", "write"], "settings": ISSUER}
        assert (await world.call(both, "/api/thread")).json() == "u1"
        read = (await world.tokens(client, scope="read")).access
        assert (await world.call(read, "/api/change")).status_code == 403
        assert (await world.call(read, "/api/see")).status_code == 200
        refused = await world.call(read, "/api/thread")
        assert refused.status_code == 403
        assert challenge_in(refused) == {
            "resource_metadata": METADATA,
            "error": "insufficient_scope",
            "scope": "write",
            "error_description": "The access token does not have the scope this operation needs.",
        }


@requirement("A-271", "S-088")
async def test_fifty_users_at_once_are_never_taken_for_each_other() -> None:
    async def wandering(scope: Scope, receive: Receive, send: Send) -> None:
        first = current_principal()
        for turn in range(sum(scope["path"].encode()) % 7):
            await asyncio.sleep(0 if turn % 2 else 0.001)
        later = await asyncio.to_thread(current_principal)
        request = Request(scope, receive)
        names = {first.user_id, later.user_id, request.user.user_id, request.user.props["user"]}
        await JSONResponse(sorted(map(str, names)))(scope, receive, send)

    async with running_world(MemoryStore(), api_handlers={"/api": wandering}, resources={}) as world:
        client = await world.register()
        tokens = {}
        for number in range(50):
            headers = {"x-user": f"user-{number}"}
            tokens[f"user-{number}"] = (await world.tokens(client, headers=headers, scope=None)).access
        for turn in range(8):
            calls = {user: world.call(token, f"/api/{user}/{turn}") for user, token in tokens.items()}
            answers = await asyncio.gather(*calls.values())
            assert [answer.json() for answer in answers] == [[user] for user in calls]
        # In the very task that has just made a protected call.
        assert (await world.call(tokens["user-0"])).status_code == 200
    with pytest.raises(LookupError):
        current_principal()
    with pytest.raises(LookupError):
        require_scopes("read")


@requirement("A-272", "C-008")
async def test_what_an_application_does_to_props_and_state_stays_in_its_call() -> None:
    async def careless(scope: Scope, receive: Receive, send: Send) -> None:
        user = scope["user"]
        seen = JSONResponse([user.props, "mine" in scope["state"]])
        user.props["color"] = "red"
        user.props["more"] = [1]
        scope["state"]["mine"] = True
        await seen(scope, receive, send)

    async with running_world(MemoryStore(), api_handlers={"/api": careless}, resources={}) as world:
        token = (await world.tokens(await world.register(), scope=None)).access
        for _ in range(3):
            assert (await world.call(token)).json() == [{"color": "teal", "user": "u1"}, False]


@requirement("A-276", "S-246", "S-110")
async def test_a_store_in_trouble_is_a_503_that_says_nothing_about_the_token() -> None:
    class Away(MemoryStore):
        away = False

        async def get_access_token(self, grant_id: str, token: Digest, now: int) -> LiveAccessToken | None:
            if self.away:
                raise StoreUnavailable("password of the database: hunter2")
            return await super().get_access_token(grant_id, token, now)

    store = Away()
    async with running_world(store) as world:
        token = (await world.tokens(await world.register())).access
        store.away = True
        answer = await world.call(token, headers={"Origin": "https://spa.example"})
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        assert answer.headers["retry-after"] == "2"
        assert "www-authenticate" not in answer.headers
        assert "hunter2" not in answer.text
        assert answer.headers["access-control-allow-origin"] == "*"
        assert_challenged(await world.call("not-ours"), "invalid_token")
        store.away = False
        assert (await world.call(token)).status_code == 200


@requirement("S-108", "S-090", "A-275", "C-208", "D-24")
@pytest.mark.parametrize("path", ['/api/"><x', "/api/%0d%0aX:1", "/api/%E2%82%AC", "/api/" + "x" * 8000, "/api/é"])
async def test_a_challenge_carries_configured_urls_alone(world: World, path: str) -> None:
    token = (await world.tokens(await world.register())).access
    for answer in (await world.call(None, path), await world.call(altered(token), path)):
        assert answer.status_code in (400, 401)
        assert token not in answer.text + str(answer.headers)
        if answer.status_code == 401:
            assert challenge_in(answer)["resource_metadata"] == METADATA


@requirement("C-008", "S-129")
async def test_the_application_gets_the_request_as_it_came() -> None:
    seen: list[Scope] = []

    async def note(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await api(scope, receive, send)

    async with running_world(MemoryStore(), api_handlers={"/api": note}, resources={}) as world:
        client = await world.register()
        token = (await world.tokens(client, scope=None)).access
        sent = asgi_scope(
            "/api/a b/é",
            headers=[("authorization", f"Bearer {token}"), ("x-twice", "1"), ("x-twice", "2")],
            raw_path=b"/api/a%20b/%C3%A9",
            query_string=b"a=1&a=%zz&;",
            method="PATCH",
        )
        answered: list[Any] = []

        async def send(message: Any) -> None:
            answered.append(message)

        async def receive() -> Any:
            return {"type": "http.request"}

        await world.provider(sent, receive, send)
        assert answered[0]["status"] == 200
    scope = seen[-1]
    assert {name: value for name, value in scope.items() if name not in ("user", "auth", "state")} == sent
    assert "state" not in sent
    assert scope["user"].client_id == client["client_id"]
