"""The demonstration itself: what its API, its tools and its pages answer."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from grantwell import AuthorizationRequest, OAuthProvider
from grantwell.cli import demo
from grantwell.cli.demo import DemoSettings, demo_provider
from grantwell.cli.demo.notes import MOST_CHARACTERS, MOST_NOTES, Notes
from grantwell_migrations import upgrade
from tests.interop.person import CHALLENGE, VERIFIER, parameters_of

pytestmark = pytest.mark.anyio

ISSUER = "http://127.0.0.1:8000"
API, MCP = f"{ISSUER}/api", f"{ISSUER}/mcp"
ACCEPT = {"Accept": "application/json, text/event-stream"}


@dataclass
class Office:
    """The demonstration, and tokens for it."""

    provider: OAuthProvider
    http: httpx.AsyncClient

    async def token(self, user: str, *scopes: str, resource: str = API) -> dict[str, str]:
        """The Authorization header of a user who allowed these scopes."""
        helpers = self.provider.helpers
        client, _ = await helpers.create_client(
            {"redirect_uris": [f"{ISSUER}/callback"], "token_endpoint_auth_method": "none"}
        )
        request = AuthorizationRequest(
            client_id=client.client_id,
            client=client,
            redirect_uri=client.redirect_uris[0],
            scopes=scopes,
            resources=(resource,),
            code_challenge=CHALLENGE,
            state=None,
        )
        code = parameters_of(await helpers.complete_authorization(request, user_id=user, props={"p": 1}))["code"]
        form = {"grant_type": "authorization_code", "client_id": client.client_id, "code": code}
        answer = await self.http.post("/token", data=form | {"code_verifier": VERIFIER})
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    async def call_tool(self, headers: dict[str, str], name: str, **arguments: Any) -> Any:
        """The result of a tool of the MCP server."""
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
        answer = await self.http.post("/mcp", json=call, headers=headers | ACCEPT)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """The demonstration in this process, on a new database."""
    settings = DemoSettings(
        issuer=ISSUER,
        database_url=f"sqlite+aiosqlite:///{tmp_path}/demo.db",
        secret_key_file=str(tmp_path / "demo.key"),
        notes_file=str(tmp_path / "notes.db"),
    )
    upgrade(settings.database_url)
    Notes(settings.notes_file).create()
    provider = demo_provider(settings)
    transport = httpx.ASGITransport(app=provider)
    async with provider.running(), httpx.AsyncClient(transport=transport, base_url=ISSUER) as http:
        yield Office(provider, http)


@pytest.mark.requirement("G-317")
async def test_the_api_tells_who_is_calling(office: Office) -> None:
    headers = await office.token("ada", "notes:read")
    for path in ("/api", "/api/me"):
        answer = await office.http.get(path, headers=headers)
        document = answer.json()
        assert set(document) == {"user", "client", "grant", "scopes", "audience", "expires_at", "props"}
        assert (document["user"], document["scopes"], document["audience"]) == ("ada", ["notes:read"], [API])
        assert document["props"] == {"p": 1}
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.requirement("G-317", "S-091")
async def test_notes_are_kept_for_each_user_until_they_are_deleted(office: Office) -> None:
    ada = await office.token("ada", "notes:read", "notes:write")
    bob = await office.token("bob", "notes:read", "notes:write")
    made = await office.http.post("/api/notes", json={"text": "a\u2028b <c>"}, headers=ada)
    assert made.status_code == 201
    note = made.json()
    assert note["text"] == "a\u2028b <c>"
    assert (await office.http.get("/api/notes", headers=ada)).json() == {"notes": [note]}
    assert (await office.http.get("/api/notes", headers=bob)).json() == {"notes": []}
    for headers, status in ((bob, 404), (ada, 204), (ada, 404)):
        assert (await office.http.delete(f"/api/notes/{note['id']}", headers=headers)).status_code == status
    assert (await office.http.delete(f"/api/notes/{2**64}", headers=ada)).status_code == 404


@pytest.mark.requirement("G-317", "S-102", "S-103")
async def test_without_the_scope_there_is_a_challenge_that_names_it(office: Office) -> None:
    reader, writer = await office.token("ada", "notes:read"), await office.token("ada", "notes:write")
    for method, path, headers, scope in (
        ("POST", "/api/notes", reader, "notes:write"),
        ("DELETE", "/api/notes/1", reader, "notes:write"),
        ("GET", "/api/notes", writer, "notes:read"),
    ):
        answer = await office.http.request(method, path, headers=headers)
        assert answer.status_code == 403
        challenge = answer.headers["www-authenticate"]
        assert f'scope="{scope}"' in challenge
        assert 'error="insufficient_scope"' in challenge
        assert f'resource_metadata="{ISSUER}/.well-known/oauth-protected-resource/api"' in challenge
        assert "error" in answer.json()


@pytest.mark.requirement("G-317")
@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b'{"text": "x"}', "text/plain", 415),
        (b"{", "application/json", 400),
        (b"[" * 10_000, "application/json", 400),
        (b"[]", "application/json", 400),
        (b"{}", "application/json", 400),
        (b'{"text": 1}', "application/json", 400),
        (b'{"text": "  "}', "application/json", 400),
        (b'{"text": "\\u0000"}', "application/json", 400),
        (b'{"text": "\\ud800"}', "application/json", 400),
        (b'{"text": "' + b"x" * (MOST_CHARACTERS + 1) + b'"}', "application/json", 400),
        (b'{"text": "' + b"x" * 20_000 + b'"}', "application/json", 413),
        (b"\xff", "application/json", 400),
    ],
)
async def test_bad_input_is_told_in_json(office: Office, body: bytes, content_type: str, status: int) -> None:
    headers = await office.token("ada", "notes:write")
    answer = await office.http.post("/api/notes", content=body, headers=headers | {"Content-Type": content_type})
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


@pytest.mark.requirement("G-317")
async def test_what_the_api_has_not_is_told_in_json_and_never_by_a_redirect(office: Office) -> None:
    headers = await office.token("ada", "notes:write")
    for method, path, status in (("PUT", "/api/notes", 405), ("GET", "/api/", 404), ("GET", "/api/none", 404)):
        answer = await office.http.request(method, path, headers=headers)
        assert answer.status_code == status
        assert set(answer.json()) == {"error"}
    assert (
        await office.http.get("/mcp/", headers=await office.token("ada", "mcp:use", resource=MCP))
    ).status_code == 404


@pytest.mark.requirement("G-317")
async def test_nobody_fills_the_disk_with_notes(office: Office, tmp_path: Path) -> None:
    headers = await office.token("ada", "notes:write")
    with closing(sqlite3.connect(tmp_path / "notes.db")) as database, database:
        rows = [("ada", "x", 1)] * MOST_NOTES
        database.executemany("INSERT INTO notes (owner, text, created_at) VALUES (?, ?, ?)", rows)
    assert (await office.http.post("/api/notes", json={"text": "x"}, headers=headers)).status_code == 409
    tools = await office.token("ada", "mcp:use", "notes:write", resource=MCP)
    full = await office.call_tool(tools, "add_note", text="x")
    assert full["isError"]
    assert "no room" in full["content"][0]["text"]
    (tmp_path / "notes.db").write_bytes(b"")
    for path in ("notes.db-wal", "notes.db-shm"):
        (tmp_path / path).unlink(missing_ok=True)
    assert (await office.http.post("/api/notes", json={"text": "x"}, headers=headers)).status_code == 503
    assert (await office.call_tool(tools, "add_note", text="x"))["isError"]


@pytest.mark.requirement("G-321", "S-091")
async def test_the_tools_take_their_scopes_from_the_token_of_each_call(office: Office) -> None:
    use = await office.token("ada", "mcp:use", resource=MCP)
    write = await office.token("bob", "mcp:use", "notes:write", resource=MCP)
    for headers, user in ((use, "ada"), (write, "bob"), (use, "ada")):
        assert (await office.call_tool(headers, "whoami"))["structuredContent"]["user"] == user
    refused = await office.call_tool(use, "add_note", text="x")
    assert refused["isError"]
    assert "notes:write" in refused["content"][0]["text"]
    assert not (await office.call_tool(write, "add_note", text="x"))["isError"]
    reader = await office.token("bob", "notes:read")
    assert (await office.http.get("/api/notes", headers=reader)).json()["notes"][0]["text"] == "x"


@pytest.mark.requirement("G-321", "S-102")
async def test_without_the_scope_of_the_tools_there_is_a_challenge(office: Office) -> None:
    headers = await office.token("ada", "notes:write", resource=MCP)
    answer = await office.http.post("/mcp", json={}, headers=headers | ACCEPT)
    assert answer.status_code == 403
    assert 'scope="mcp:use"' in answer.headers["www-authenticate"]


@pytest.mark.requirement("S-145", "G-317")
async def test_a_client_that_asks_for_no_scope_gets_the_default_ones(office: Office) -> None:
    client, _ = await office.provider.helpers.create_client(
        {"redirect_uris": [f"{ISSUER}/callback"], "token_endpoint_auth_method": "none"}
    )
    query = {
        "response_type": "code",
        "client_id": client.client_id,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    asked = await office.http.get("/authorize", params=query)
    page = await office.http.get(asked.headers["location"], follow_redirects=True)
    assert page.status_code == 200
    settings = office.provider.settings
    assert settings.default_scopes == ("notes:read", "notes:write", "mcp:use")
    assert {resource.identifier for resource in settings.resources} == {API, MCP}


@pytest.mark.requirement("S-155", "S-156", "S-157", "A-285", "G-640")
async def test_the_pages_of_the_demonstration_run_and_reveal_nothing(office: Office) -> None:
    code = "gwc_" + "A" * 65
    for path, shown in (
        ("/", f"{ISSUER}/register"),
        (f"/callback?code={code}", code),
        ("/callback?error=access_denied", "access_denied"),
        ("/callback", "nothing"),
        ("/callback?code=gwc_';rm%20-rf%20~;'" + "A" * 65, "nothing"),
        ("/callback?error=%3Cscript%3E", "&lt;script&gt;"),
        ("/callback?error=" + "e" * 300, f"<code>{'e' * 200}</code>"),
    ):
        page = await office.http.get(path)
        assert page.status_code == 200
        assert shown in page.text
        assert "rm -rf" not in page.text
        assert re.findall("<script.*", page.text) == [
            '<script type="module" src="/playground/playground.js"></script>'
        ], "one script, and it is a file"
        _assert_forbidding(page)
        assert page.headers["cache-control"] == "no-store"
        assert (await office.http.get(path, headers={"Host": "attacker.test:8000"})).status_code == 421
    nothing = await office.http.get("/no-such-page")
    assert nothing.status_code == 404
    _assert_forbidding(nothing)


@pytest.mark.requirement("G-640")
async def test_an_answer_that_the_script_reads_is_on_no_page_of_the_server(office: Office) -> None:
    code = "gwc_" + "B" * 65
    page = await office.http.get(f"/callback?code={code}&state=st4te&iss={ISSUER}")
    assert page.status_code == 200
    assert code not in page.text
    assert "st4te" not in page.text


@pytest.mark.requirement("G-640")
async def test_what_the_playground_loads_is_here_and_nothing_else_is(office: Office) -> None:
    page = (await office.http.get("/")).text
    named = set(re.findall(r'(?:src|href)="/playground/([^"]*)"', page))
    kept = {path.name for path in (Path(demo.__file__).parent / "static").iterdir()}
    for name in sorted(kept):
        file = await office.http.get(f"/playground/{name}")
        assert file.status_code == 200, name
        _assert_forbidding(file)
        named |= set(re.findall(r'from "\./([^"]+)"', file.text))
        # What it loads and names is its own: no address of anybody else.
        assert "//" not in re.sub(r"^ *//.*|; // .*|http://www\.w3\.org/2000/svg", "", file.text, flags=re.MULTILINE)
    assert named == kept
    for name in ("", "none.js", "..%2fpages.py", "%2e%2e/pages.py", "../pages.py"):
        assert (await office.http.get(f"/playground/{name}")).status_code == 404


def _assert_forbidding(page: httpx.Response) -> None:
    policy = page.headers["content-security-policy"].split("; ")
    for directive in (
        "default-src 'none'",
        "script-src 'self'",
        "connect-src 'self'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ):
        assert directive in policy
    assert "unsafe" not in page.headers["content-security-policy"]
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
