"""Bearer tokens that this server did not issue: `resolve_external_token` says who they are, within bounds."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from grantwell import ErrorEvent, ExternalToken, ExternalTokenCheck, ExternalTokenError, OAuthError, StoreUnavailable
from grantwell_storage import MemoryStore
from tests.wire.world import ISSUER, R1, R2, altered, running_world

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

METADATA = f"{ISSUER}/.well-known/oauth-protected-resource/api"


def known(**changes: Any) -> ExternalToken:
    members: dict[str, Any] = {"user_id": "e1", "props": {"from": "elsewhere"}, "audience": [R1], "scopes": ["read"]}
    return ExternalToken(**(members | changes))


async def answered(outcome: Any, path: str = "/api", token: str = "eyJhbGciOi.J9.x", **options: Any) -> httpx.Response:
    """The answer to a call whose token the resolver judges with this outcome."""

    async def resolve(check: ExternalTokenCheck) -> Any:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async with running_world(MemoryStore(), resolve_external_token=resolve, **options) as world:
        return await world.call(token, path)


def challenge_of(answer: httpx.Response) -> dict[str, str]:
    return dict(re.findall(r'(\w+)="([^"]*)"', answer.headers.get("www-authenticate", "")))


@requirement("C-215", "A-218", "S-129", "A-212")
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_a_token_that_the_resolver_knows_is_let_in_as_whom_it_says(kind: str) -> None:
    seen: list[ExternalTokenCheck] = []
    threads: list[threading.Thread] = []

    def resolve(check: ExternalTokenCheck) -> ExternalToken:
        seen.append(check)
        threads.append(threading.current_thread())
        return known(expires_at=4_000_000_000)

    async def resolve_later(check: ExternalTokenCheck) -> ExternalToken:
        return resolve(check)

    hook = resolve if kind == "sync" else resolve_later
    async with running_world(MemoryStore(), resolve_external_token=hook) as world:
        answer = await world.call("abc.def")
        assert answer.json() == {
            "user": "e1",
            "client": None,
            "grant": None,
            "scopes": ["read"],
            "audience": [R1],
            "props": {"from": "elsewhere"},
            "expires_at": 4_000_000_000,
        }
        assert (await world.call("abc.def", "/api/write")).status_code == 403
    assert (seen[0].token, seen[0].resource) == ("abc.def", R1)
    assert "abc.def" not in repr(seen[0])
    assert (threading.main_thread() in threads) == (kind == "async")


@requirement("A-212", "C-215", "C-216", "A-204", "A-210", "S-101")
@pytest.mark.parametrize(
    ("outcome", "status", "code"),
    [
        (None, 401, "invalid_token"),
        (known(audience=[]), 401, "invalid_token"),
        (known(audience=None), 401, "invalid_token"),
        (known(audience=[R2]), 401, "invalid_token"),
        (known(audience=[f"{R1}/"]), 401, "invalid_token"),
        (known(audience=[ISSUER]), 401, "invalid_token"),
        (known(expires_at=0), 401, "invalid_token"),
        (known(expires_at=1_750_000_000), 401, "invalid_token"),
        (known(audience=f"{R1} {R2}"), 500, "server_error"),
        (known(scopes="read"), 500, "server_error"),
        (known(scopes=[1]), 500, "server_error"),
        (known(user_id=7), 500, "server_error"),
        (known(expires_at="tomorrow"), 500, "server_error"),
        ({"user_id": "e1", "audience": [R1]}, 500, "server_error"),
        (True, 500, "server_error"),
        (RuntimeError("key=hunter2"), 500, "server_error"),
        (OAuthError("invalid_token"), 500, "server_error"),
        (StoreUnavailable("hunter2"), 503, "temporarily_unavailable"),
        (TimeoutError("hunter2"), 503, "temporarily_unavailable"),
    ],
    ids=str,
)
async def test_anything_else_is_refused(outcome: Any, status: int, code: str) -> None:
    answer = await answered(outcome)
    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert "hunter2" not in answer.text
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert ("retry-after" in answer.headers) == (status == 503)


@requirement("C-217", "C-218", "S-102", "S-110", "A-221", "S-105")
@pytest.mark.parametrize(
    ("error", "status", "challenge"),
    [
        (ExternalTokenError("invalid_token"), 401, {"error": "invalid_token", "scope": "read write"}),
        (
            ExternalTokenError("insufficient_scope", required_scopes=["admin", "offline_access"]),
            403,
            {"error": "insufficient_scope", "scope": "admin"},
        ),
        (ExternalTokenError("invalid_token", headers={"www-authenticate": 'Mine realm="x"'}), 401, {"realm": "x"}),
        (ExternalTokenError("session_over", status=401), 401, {"error": "session_over", "scope": "read write"}),
        (ExternalTokenError("slow_down", status=429, headers={"Retry-After": "7"}), 429, {}),
        (ExternalTokenError("temporarily_unavailable", status=502), 502, {}),
        (ExternalTokenError("insufficient_scope", status=400), 400, {}),
    ],
    ids=str,
)
async def test_a_resolver_may_answer_with_an_error_of_its_own(
    error: ExternalTokenError, status: int, challenge: dict[str, str]
) -> None:
    answer = await answered(error)
    assert (answer.status_code, answer.json()["error"]) == (status, error.code)
    members = challenge_of(answer)
    if "realm" not in members and members:
        assert members.pop("resource_metadata") == METADATA
        assert members.pop("error_description") == error.description
    assert members == challenge
    if status == 429:
        assert answer.headers["retry-after"] == "7"


@requirement("C-214", "S-126", "S-090", "A-212")
async def test_the_resolver_is_asked_about_foreign_tokens_alone() -> None:
    """It may hand what it is given to somebody else, so no credential of ours may reach it."""
    asked: list[str] = []

    async def resolve(check: ExternalTokenCheck) -> ExternalToken:
        asked.append(check.token)
        return known()

    async with running_world(MemoryStore(), resolve_external_token=resolve) as world:
        client = await world.register(token_endpoint_auth_method="client_secret_post")
        tokens = await world.tokens(client)
        assert (await world.call(tokens.access)).json()["user"] == "u1"
        for text in (tokens.refresh, await world.code(client), client["client_secret"]):
            assert (await world.call(text)).status_code == 401
        assert (await world.call(tokens.access, "/other")).status_code == 401
        assert (await world.call(None)).status_code == 401
        for malformed in ("a b", "é"):
            answer = await world.http.request(
                "GET", "/api", headers=[(b"authorization", f"Bearer {malformed}".encode("latin-1"))]
            )
            assert answer.status_code == 400
        assert asked == []
        foreign = altered(tokens.access)
        assert (await world.call(foreign)).json()["user"] == "e1"
        assert asked == [foreign]


@requirement("A-212", "F-077")
async def test_a_resolver_that_hangs_is_a_503() -> None:
    async def hang(check: ExternalTokenCheck) -> None:
        await asyncio.get_running_loop().create_future()

    async with running_world(MemoryStore(), resolve_external_token=hang, callback_timeout=0.05) as world:
        answer = await world.call("foreign")
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")


@requirement("C-223", "S-108")
async def test_what_the_resolver_cannot_answer_is_told_to_on_error() -> None:
    heard: list[ErrorEvent] = []

    def note(event: ErrorEvent) -> None:
        heard.append(event)

    await answered(RuntimeError("x"), on_error=note)
    await answered(None, on_error=note)
    assert [(event.endpoint, event.code, event.status) for event in heard] == [
        ("/api", "server_error", 500),
        ("/api", "invalid_token", 401),
    ]
    assert heard[0].reason == "resolve_external_token raised RuntimeError"


@requirement("A-272", "C-215")
async def test_each_call_has_props_of_its_own_though_the_resolver_gives_the_same() -> None:
    shared: dict[str, list[str]] = {"seen": []}

    async def resolve(check: ExternalTokenCheck) -> ExternalToken:
        return known(props=shared)

    async def careless(scope: Scope, receive: Receive, send: Send) -> None:
        scope["user"].props["seen"].append("me")
        await JSONResponse(scope["user"].props)(scope, receive, send)

    handlers = {"/api": careless}
    async with running_world(
        MemoryStore(), resolve_external_token=resolve, api_handlers=handlers, resources={}
    ) as world:
        for _ in range(2):
            assert (await world.call("abc.def")).json() == {"seen": ["me"]}
    assert shared == {"seen": []}
