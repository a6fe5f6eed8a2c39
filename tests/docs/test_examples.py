"""The examples of the server itself, each run from an empty folder to a call that is answered.

Those of the adapters are run by `tests/integrations`, in processes of their own.
"""

from __future__ import annotations

import asyncio
import importlib
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from click.testing import CliRunner

from grantwell import OAuthProvider
from grantwell.cli import main
from tests.docs.first_client import REDIRECT_URI, bearer, tokens_for
from tests.interop.person import Person
from tests.resource.place import served

ISSUER = "http://127.0.0.1:8000"
PASSWORD = "correct horse battery staple"

pytestmark = pytest.mark.requirement("G-02")


async def loaded(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program of an example with a database of its own and the user alice."""
    database = f"sqlite+aiosqlite:///{folder / name}.db"
    command = CliRunner(env={"GRANTWELL_PASSWORD": PASSWORD})
    for arguments in (["migrate"], ["users", "add", "alice"]):
        outcome = await asyncio.to_thread(command.invoke, main, [*arguments, "--database-url", database])
        assert outcome.exit_code == 0, outcome.output
    monkeypatch.setenv("EXAMPLE_FOLDER", str(folder))
    sys.modules.pop(f"examples.{name}", None)
    return importlib.import_module(f"examples.{name}")


@asynccontextmanager
async def example(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """An example with a database of its own and the user alice, and a client of it."""
    app: OAuthProvider = (await loaded(name, folder, monkeypatch)).app
    transport = httpx.ASGITransport(app=app)
    async with app.running(), httpx.AsyncClient(transport=transport, base_url=ISSUER) as http:
        yield http


def person(http: httpx.AsyncClient) -> Person:
    """Alice, with a browser that reaches the example."""
    return Person("alice", PASSWORD, transport=http._transport)


async def test_a_login_of_your_own_takes_one_route_and_users_take_back_what_they_granted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with example("own_login", tmp_path, monkeypatch) as http:
        registered = await http.post(
            "/register", json={"redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "none"}
        )
        verifier_challenge = (
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        )
        request = {
            "response_type": "code",
            "client_id": registered.json()["client_id"],
            "redirect_uri": REDIRECT_URI,
            "code_challenge": verifier_challenge[1],
            "code_challenge_method": "S256",
        }
        nobody = await http.get("/authorize", params=request)
        assert nobody.status_code == 401, nobody.headers
        bob = {"X-Authenticated-User": "bob"}
        granted = await http.get("/authorize", params=request, headers=bob)
        code = httpx.URL(granted.headers["location"]).params["code"]
        form = {
            "grant_type": "authorization_code",
            "client_id": request["client_id"],
            "code": code,
            "code_verifier": verifier_challenge[0],
        }
        tokens = (await http.post("/token", data=form)).raise_for_status().json()
        assert (await http.get("/api/plan", headers=bearer(tokens))).json() == {"plan": "free"}
        listed = (await http.get("/connections", headers=bob)).json()
        assert [connection["client"] for connection in listed] == [request["client_id"]]
        place = f"/connections/{listed[0]['grant']}"
        assert (await http.delete(place, headers={"X-Authenticated-User": "eve"})).status_code == 404
        assert (await http.get("/api/plan", headers=bearer(tokens))).status_code == 200
        assert (await http.delete(place, headers=bob)).status_code == 204
        assert (await http.get("/api/plan", headers=bearer(tokens))).status_code == 401


async def test_an_api_in_another_process_asks_about_the_tokens_it_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    issuer, origin = (f"http://127.0.0.1:{listener.getsockname()[1]}" for listener in listeners)
    monkeypatch.setenv("ISSUER", issuer)
    monkeypatch.setenv("RESOURCE", f"{origin}/files")
    program = await loaded("remote_resource", tmp_path, monkeypatch)
    for name, value in (await program.credentials()).items():
        monkeypatch.setenv(name, value)
    server, files = program.authorization_server(), program.files()
    async with (
        served(server, listeners[0]),
        server.running(),
        served(files, listeners[1]),
        files.running(),
        httpx.AsyncClient(base_url=issuer) as http,
        httpx.AsyncClient(base_url=origin) as api,
        Person("alice", PASSWORD) as alice,
    ):
        challenge = (await api.get("/files")).headers["www-authenticate"]
        assert f'resource_metadata="{origin}/.well-known/oauth-protected-resource/files"' in challenge
        tokens = await tokens_for(http, alice, scope="files:read")
        assert (await api.get("/files", headers=bearer(tokens))).json() == ["alice/notes.txt"]
        assert (await api.delete("/files", headers=bearer(tokens))).status_code == 403
        assert await server.helpers.revoke_user_grants("alice") == 1
        assert (await api.get("/files", headers=bearer(tokens))).status_code == 401
