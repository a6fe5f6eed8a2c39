"""MCP servers whose tokens are issued in another process: both SDKs, by introspection over real sockets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastmcp import FastMCP
from starlette.requests import Request
from starlette.responses import JSONResponse

from grantwell import OAuthError
from grantwell.integrations.fastmcp import Grantwell, RemoteGrantwell, get_access_token
from grantwell.integrations.mcp import RemoteTokenVerifier
from grantwell.testing import FrozenClock
from tests.cli.processes import run
from tests.integrations.running import PASSWORD, listener, made_database, origin_of, served
from tests.interop.person import Person
from tests.interop.sdk_client import Memory, session
from tests.interop.test_mcp import ACCEPT, CALL
from tests.resource.place import CLIENT, Issuer, running_issuer, running_place

pytestmark = [pytest.mark.anyio, pytest.mark.system]

RESOURCE = "https://tools.test/mcp"
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "by hand", "version": "1"}},
}


def _credentials(folder: Path, resource: str) -> dict[str, str]:
    """What the command gives a resource server, for its environment."""
    database = f"sqlite+aiosqlite:///{folder / 'mcp_elsewhere.db'}"
    done = run(folder, "clients", "create", "--resource-server", resource, "--json", "--database-url", database)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    return {"CLIENT_ID": made["client_id"], "CLIENT_SECRET": made["client_secret"]}


@pytest.mark.requirement("G-623", "S-123")
async def test_an_mcp_server_in_another_process_asks_about_the_tokens_of_its_callers(tmp_path: Path) -> None:
    made_database("mcp_elsewhere", tmp_path, "alice")
    issuing, serving = listener(), listener()
    settings = {"ISSUER": origin_of(issuing), "RESOURCE": f"{origin_of(serving)}/mcp"}
    settings |= _credentials(tmp_path, settings["RESOURCE"])
    memory = Memory()
    with (
        served("examples.mcp_elsewhere:authorization_server", tmp_path, issuing, "--factory", settings=settings),
        served("examples.mcp_elsewhere:tools", tmp_path, serving, "--factory", settings=settings),
    ):
        async with Person("alice", PASSWORD) as alice:
            async with session(settings["RESOURCE"], alice, memory, "legacy") as client:
                told = await client.call_tool("whoami", {})
            assert memory.client is not None
            assert memory.tokens is not None
            assert told.structured_content == {"result": f"alice, by {memory.client.client_id}"}
            async with httpx.AsyncClient(headers=ACCEPT) as http:
                token = {"Authorization": f"Bearer {memory.tokens.access_token}"}
                assert (await http.post(settings["RESOURCE"], json=INITIALIZE, headers=token)).status_code == 200
                database = f"sqlite+aiosqlite:///{tmp_path / 'mcp_elsewhere.db'}"
                ended = run(tmp_path, "users", "disable", "alice", "--yes", "--database-url", database)
                assert ended.returncode == 0, ended.stderr
                assert (await http.post(settings["RESOURCE"], json=CALL, headers=token)).status_code == 401


def _verifier(issuer: Issuer) -> RemoteTokenVerifier:
    return RemoteTokenVerifier(
        resource=RESOURCE, issuer=issuer.url, client_id=CLIENT[0], client_secret=CLIENT[1], clock=issuer.clock
    )


@pytest.mark.requirement("G-623", "G-624")
async def test_the_access_token_of_the_sdk_tells_all_that_introspection_told() -> None:
    async with running_issuer(FrozenClock()) as issuer:
        verifier = _verifier(issuer)
        token = issuer.token("alice", aud=RESOURCE)
        told = await verifier.verify_token(token)
        assert told is not None
        assert told.model_dump() == {
            "token": token,
            "client_id": "c1",
            "scopes": ["files:read", "files:write"],
            "expires_at": int(issuer.clock()) + 3600,
            "resource": RESOURCE,
            "subject": "alice",
            "claims": {
                "iss": issuer.url,
                "sub": "alice",
                "aud": [RESOURCE],
                "grant_id": "g1",
                "props": {"color": "teal", "user": "alice"},
            },
        }
        assert await verifier.verify_token(issuer.token("alice", aud="https://other.test/mcp")) is None
        issuer.revoke(token)
        assert await verifier.verify_token(token) is None
        await verifier.close()


@pytest.mark.requirement("G-624")
async def test_trouble_of_the_authorization_server_is_not_taken_for_a_bad_token() -> None:
    async with running_issuer(FrozenClock()) as issuer:
        verifier = _verifier(issuer)
        issuer.answer = lambda _: JSONResponse({}, 500)
        with pytest.raises(OAuthError) as trouble:
            await verifier.verify_token(issuer.token("alice", aud=RESOURCE))
        assert (trouble.value.code, trouble.value.status) == ("temporarily_unavailable", 503)
        await verifier.close()


@pytest.mark.requirement("G-622", "G-624", "S-066")
async def test_fastmcp_by_itself_tells_where_its_tokens_come_from_and_what_it_needs() -> None:
    async with running_issuer(FrozenClock()) as issuer:
        auth = RemoteGrantwell(
            resource=RESOURCE,
            issuer=issuer.url,
            client_id=CLIENT[0],
            client_secret=CLIENT[1],
            scopes={"files:read": "Read files", "files:write": "Write files"},
            required_scopes=["files:read"],
            name="Tools",
        )
        mcp: FastMCP[Any] = FastMCP("tools", auth=auth)

        @mcp.custom_route("/who", methods=["GET"])
        async def who(request: Request) -> JSONResponse:
            token = get_access_token()
            return JSONResponse(None if token is None else [token.subject, token.claims["props"]["color"]])

        app = mcp.http_app(path="/mcp", stateless_http=True, json_response=True)
        transport = httpx.ASGITransport(app=app)
        async with app.lifespan(app), httpx.AsyncClient(transport=transport, base_url="https://tools.test") as http:
            refused = await http.post("/mcp", json=CALL, headers=ACCEPT)
            assert refused.status_code == 401
            place = "https://tools.test/.well-known/oauth-protected-resource/mcp"
            assert f'resource_metadata="{place}"' in refused.headers["www-authenticate"]
            assert (await http.get(place)).json() == {
                "resource": RESOURCE,
                "authorization_servers": [issuer.url],
                "scopes_supported": ["files:read", "files:write"],
                "bearer_methods_supported": ["header"],
                "resource_name": "Tools",
            }
            token = {"Authorization": f"Bearer {issuer.token('u1', aud=RESOURCE, exp=4_000_000_000)}"}
            assert (await http.post("/mcp", json=INITIALIZE, headers=ACCEPT | token)).status_code == 200
            assert (await http.get("/who", headers=token)).json() == ["u1", "teal"]
            narrow = issuer.token("u1", aud=RESOURCE, exp=4_000_000_000, scope="files:write")
            refused = await http.post("/mcp", json=CALL, headers=ACCEPT | {"Authorization": f"Bearer {narrow}"})
            assert refused.status_code == 403
            issuer.answer = lambda _: JSONResponse({}, 500)
            outage = await http.post("/mcp", json=CALL, headers=ACCEPT | token)
            assert (outage.status_code, outage.json()["error"]) == (503, "temporarily_unavailable")
            assert "retry-after" in outage.headers
            assert "www-authenticate" not in outage.headers
        await auth.close()


@pytest.mark.requirement("G-620", "G-622")
async def test_a_server_behind_the_guard_of_a_resource_server_knows_its_caller_too() -> None:
    mcp: FastMCP[Any] = FastMCP("tools", auth=Grantwell(scopes=["files:read"]))

    @mcp.tool
    def whoami() -> list[str | None]:
        """Who calls."""
        token = get_access_token()
        return [] if token is None else [token.subject, token.resource, token.claims["props"]["color"]]

    call = CALL | {"params": {"name": "whoami", "arguments": {}}}
    app = mcp.http_app(path="/api", stateless_http=True, json_response=True)
    headers = ACCEPT | {"MCP-Protocol-Version": "2025-06-18"}
    async with running_place(app) as place:
        answer = await place.call(place.issuer.token("u1"), method="POST", json=call, headers=headers)
        told = answer.raise_for_status().json()["result"]["structuredContent"]["result"]
        assert told == ["u1", "https://files.test/api", "teal"]
        writer = place.issuer.token("u1", scope="files:write")
        assert (await place.call(writer, method="POST", json=call, headers=headers)).status_code == 403
    # The same without anybody in front: no call gets through.
    async with (
        app.lifespan(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="https://files.test") as alone,
    ):
        with pytest.raises(LookupError, match="not behind a guard"):
            await alone.post("/api", json=call, headers=headers | {"Authorization": "Bearer made-up"})
