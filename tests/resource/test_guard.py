"""The guard of a resource server elsewhere (threats 1.12): the cases of the server's own, on http and on websocket."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import pytest

from grantwell._protocol.tokens import format_client_secret, format_code, format_grant_id, format_refresh_token
from tests.resource.place import METADATA, RESOURCE, SCOPES, Place
from tests.wire.world import Conversation, asgi_scope

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

GRANT_ID = format_grant_id(b"g" * 12)
BARE = "bare"
OTHER_KINDS = {
    "refresh": format_refresh_token(GRANT_ID, b"f" * 16, b"r" * 32),
    "code": format_code(GRANT_ID, b"c" * 32),
    "secret": format_client_secret(b"s" * 32),
}


@dataclass(frozen=True)
class Case:
    """A request, and how it is answered: `error` BARE is a challenge that names none. `{t}` stands for the token."""

    name: str
    status: int
    error: str | None = None
    authorization: tuple[str, ...] = ("Bearer {t}",)
    path: str = "/api/x"
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    claims: dict[str, Any] = field(default_factory=dict)


def bare(name: str, *authorization: str, **options: Any) -> Case:
    return Case(name, 401, BARE, authorization, **options)


def malformed(name: str, *authorization: str, **options: Any) -> Case:
    return Case(name, 400, "invalid_request", authorization, **options)


def refused(name: str, authorization: str = "Bearer {t}", **claims: Any) -> Case:
    return Case(name, 401, "invalid_token", (authorization,), claims=claims)


CASES = [
    bare("no header"),
    bare("basic", "Basic dTE6cA=="),
    bare("another scheme", "Token {t}"),
    bare("dpop", "DPoP {t}"),
    bare("empty header", ""),
    *[
        Case(f"scheme {scheme!r}", 200, None, (scheme + " {t}",))
        for scheme in ("bearer", "BEARER", "bEaReR", "Bearer  ")
    ],
    *[
        malformed(repr(header), header)
        for header in (
            "Bearer",
            "Bearer ",
            "Bearer\t{t}",
            "Bearer {t} ",
            "Bearer {t} b",
            'Bearer "{t}"',
            "Bearer {t},b",
        )
    ],
    malformed("too long", "Bearer " + "a" * 513),
    malformed("latin-1", "Bearer {t}\xff"),
    malformed("good and bad header", "Bearer {t}", "Bearer x"),
    malformed("bad and good header", "Bearer x", "Bearer {t}"),
    malformed("the same header twice", "Bearer {t}", "Bearer {t}"),
    bare("token in the query", query="access_token={t}"),
    malformed("token in header and query", "Bearer {t}", query="x=1&access%5Ftoken={t}"),
    bare("cookie", headers=(("cookie", "access_token={t}"),)),
    bare("other headers", headers=(("x-access-token", "{t}"), ("mcp-session-id", "{t}"), ("x-user", "u1"))),
    refused("unknown token", "Bearer x"),
    *[refused(f"a {kind} of the same server", f"Bearer {text}") for kind, text in OTHER_KINDS.items()],
    refused("not active", active=False),
    refused("audience elsewhere", aud="https://files.test/other"),
    refused("audience the origin", aud="https://files.test"),
    refused("audience longer", aud=f"{RESOURCE}-evil"),
    refused("audience with a slash", aud=f"{RESOURCE}/"),
    refused("audience in upper case", aud=RESOURCE.upper()),
    refused("no audience", aud=[]),
    refused("many audiences elsewhere", aud=["https://files.test", f"{RESOURCE}/x"]),
    Case("many audiences with ours", 200, claims={"aud": ["https://other.test", RESOURCE]}),
    refused("another issuer", iss="https://other.test"),
    refused("issuer with a slash", iss="{i}/"),
    Case("no issuer", 200, claims={"iss": None}),
    refused("ends this second", exp="+0"),
    refused("ended", exp="-1"),
    Case("lives one more second", 200, claims={"exp": "+1"}),
    refused("begins in a second", nbf="+1"),
    Case("begins this second", 200, claims={"nbf": "+0"}),
    refused("bound to a key", token_type="DPoP"),
    refused("confirmed by a key", cnf={"jkt": "x"}),
    Case("token type in lower case", 200, claims={"token_type": "bearer"}),
    Case("no token type, no scope, no props", 200, claims={"token_type": None, "scope": None, "props": None}),
    *[
        Case(f"path {path}", 400, "invalid_request", path=path)
        for path in ("/api//x", "/api/../x", "/api/x%2Fy", "/api/%00", "/api\\x", "//api", "/x/../api", "/api/./x")
    ],
    *[
        Case(f"nothing at {path}", 404, "invalid_request", path=path)
        for path in (
            "/",
            "/x",
            "/apix",
            "/ap",
            "/API",
            "/api%20",
            "/authorize",
            "/.well-known/oauth-authorization-server",
        )
    ],
    *[
        Case(f"path {path}", 200, path=path)
        for path in ("/api", "/api/", "/%61pi", "/api/a;b", "/api/%C3%A9", "/api/...")
    ],
]


def claims_of(case: Case, place: Place) -> dict[str, Any]:
    """The claims of a case: seconds from now and the issuer filled in."""
    claims = dict(case.claims)
    for name, value in claims.items():
        if isinstance(value, str):
            text = value.replace("{i}", place.issuer.url)
            claims[name] = int(place.clock()) + int(text) if re.fullmatch(r"[+-]\d+", text) else text
    return claims


def challenge_in(headers: dict[str, str]) -> dict[str, str]:
    """The members of the Bearer challenge, each of which is there once."""
    scheme, _, rest = headers["www-authenticate"].partition(" ")
    members = re.findall(r'(\w+)="([^"]*)"', rest)
    assert scheme == "Bearer"
    assert ", ".join(f'{name}="{value}"' for name, value in members) == rest
    assert len(dict(members)) == len(members)
    return dict(members)


async def answered(place: Place, type_: Any, case: Case) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer to a request, or to the handshake of a websocket."""
    token = place.issuer.token(**claims_of(case, place))
    given = [(name, value.replace("{t}", token)) for name, value in case.headers]
    scope = asgi_scope(unquote(case.path), type_=type_, raw_path=case.path.encode(), headers=given)
    scope["query_string"] = case.query.replace("{t}", token).encode()
    scope["headers"] += [(b"authorization", a.replace("{t}", token).encode("latin-1")) for a in case.authorization]
    scope["extensions"] = {"websocket.http.response": {}}
    talk = Conversation(place.server, scope)
    if type_ == "http":
        return await talk.answered()
    talk.say("websocket.connect")
    start, body = await talk.hear(), await talk.hear()
    assert start is not None
    if start["type"] == "websocket.accept":
        return 200, {}, b""
    assert body is not None
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], headers, body["body"]


@requirement("A-256", "A-257", "A-258", "A-259", "A-260", "A-261", "A-262", "A-264", "A-266", "A-270", "A-274", "A-275")
@requirement("S-085", "S-087", "S-095", "S-097", "S-098", "S-099", "S-101", "S-104", "S-110", "S-112", "S-113", "S-114")
@requirement("S-084", "S-105", "S-123", "S-126", "S-127")
@pytest.mark.parametrize("type_", ["http", "websocket"])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_the_application_runs_for_a_good_token_and_all_others_get_their_refusal(
    place: Place, case: Case, type_: str
) -> None:
    status, headers, body = await answered(place, type_, case)
    assert status == case.status, body
    assert place.app.ran == (1 if status == 200 else 0)
    if status == 200:
        return
    assert headers["cache-control"] == "no-store"
    if case.error == BARE:
        assert body == b""
        assert challenge_in(headers) == {"resource_metadata": METADATA, "scope": "files:read files:write"}
        return
    assert f'"error":"{case.error}"'.encode() in body
    challenged = status == 401 or (status == 400 and case.error == "invalid_request" and case.path == "/api/x")
    assert ("www-authenticate" in headers) == challenged
    if challenged:
        assert challenge_in(headers).items() >= {"resource_metadata": METADATA, "error": case.error}.items()


@requirement("A-266")
async def test_a_websocket_of_a_server_that_cannot_refuse_by_http_is_closed(place: Place) -> None:
    for token in (None, "x"):
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        talk = Conversation(place.server, asgi_scope("/api", type_="websocket", headers=headers))
        talk.say("websocket.connect")
        assert await talk.hear() == {"type": "websocket.close", "code": 1008}
        assert await talk.hear() is None
    assert place.app.ran == 0


@requirement("S-083", "S-129")
async def test_the_application_learns_who_calls(place: Place) -> None:
    expires_at = int(place.clock()) + 3600
    known = {"client": "c1", "grant": "g1", "scopes": [*SCOPES], "audience": [RESOURCE], "expires_at": expires_at}
    answer = await place.call(place.issuer.token("alice"))
    assert answer.json() == known | {"user": "alice", "props": {"color": "teal", "user": "alice"}}
    named = await place.call(place.issuer.token("248289761001", username="Alice"))
    assert named.json()["user"] == "248289761001", "a name may change hands, a subject does not"
    own = await place.call(place.issuer.token(None, sub="alice", client_id="alice"))
    assert own.json() == known | {"user": None, "client": "alice", "props": {"color": "teal", "user": None}}


@requirement("S-126", "S-090")
async def test_credentials_for_somewhere_else_are_sent_to_nobody(place: Place) -> None:
    for text in OTHER_KINDS.values():
        assert (await place.call(text)).status_code == 401
    assert place.issuer.asked == []


@requirement("S-091", "S-102", "S-103", "C-213")
async def test_too_little_scope_is_403_with_all_the_scopes_of_the_operation(place: Place) -> None:
    for scope in ("files:read", "files:write", "other", None):
        answer = await place.call(place.issuer.token(scope=scope), "/api/write")
        assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
        assert challenge_in(dict(answer.headers)) == {
            "resource_metadata": METADATA,
            "error": "insufficient_scope",
            "scope": "files:read files:write",
            "error_description": answer.json()["error_description"],
        }
    assert (await place.call(place.issuer.token(), "/api/write")).status_code == 200


@requirement("A-268", "S-109")
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "POST", "DELETE", "get", "M-SEARCH"])
async def test_no_method_gets_past_the_guard(place: Place, method: str) -> None:
    for headers in (
        {},
        {"X-HTTP-Method-Override": "OPTIONS"},
        {"Origin": "https://spa.test"},
        {"Access-Control-Request-Method": "GET"},
    ):
        assert (await place.call(None, method=method, headers=headers)).status_code == 401
    assert place.app.ran == 0
    assert place.issuer.asked == []


@requirement("S-109")
async def test_a_preflight_is_answered_without_a_token_and_scripts_may_read_the_answers(place: Place) -> None:
    asked = {"Origin": "https://spa.test", "Access-Control-Request-Method": "POST"}
    preflight = await place.call(None, method="OPTIONS", headers=asked)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, "*")
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
    for token, status in ((place.issuer.token(), 200), ("x", 401), (None, 401)):
        answer = await place.call(token, headers={"Origin": "https://spa.test"})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, "*")
        assert "access-control-allow-credentials" not in answer.headers
        assert "WWW-Authenticate" in answer.headers["access-control-expose-headers"]
