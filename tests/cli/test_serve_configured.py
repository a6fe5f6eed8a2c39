"""`grantwell serve` with a configuration, in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.cli.processes import configured_server, run
from tests.cli.terminal import Terminal
from tests.interop.person import CHALLENGE, VERIFIER, Person, parameters_of

pytestmark = pytest.mark.system

PASSWORD = "a long password"
UPSTREAM = (
    "[[upstream_signin]]\nkind = 'github'\nname = 'hub'\nlabel = 'With the hub'\nclient_id = 'c'\neverybody = true\n"
)
APP = """
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def me(request):
    return JSONResponse({"user": request.user.user_id, "scopes": list(request.auth.scopes)})

app = Starlette(routes=[Route("/api/me", me)])
"""


def _folder(folder: Path, more: str = "", *, behind: str = "app = 'notes:app'") -> str:
    """A folder with a configuration, an application, a database and a user; returns the issuer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    issuer = f"http://127.0.0.1:{port}"
    (folder / "notes.py").write_text(APP)
    (folder / "grantwell.toml").write_text(
        f"[server]\nissuer = '{issuer}'\nport = {port}\n{more}\n"
        f"[[api]]\nprefix = '/api'\n{behind}\nname = 'Notes'\nscopes = {{ read = 'Read your notes' }}\n"
    )
    assert run(folder, "migrate").returncode == 0
    assert run(folder, "users", "add", "ada", GRANTWELL_PASSWORD=PASSWORD).returncode == 0
    return issuer


async def _me(url: str) -> httpx.Response:
    """Go through everything once, and call the application."""
    async with httpx.AsyncClient(timeout=20) as http:
        return await http.get(f"{url}/api/me", headers={"Authorization": f"Bearer {await _token(url)}"})


async def _token(url: str) -> str:
    """Register, sign in, consent and exchange the code; the access token."""
    redirect = f"{url}/callback"
    async with httpx.AsyncClient(timeout=20) as http, Person("ada", PASSWORD) as person:
        metadata = {"redirect_uris": [redirect], "token_endpoint_auth_method": "none"}
        client = (await http.post(f"{url}/register", json=metadata)).json()["client_id"]
        request = f"?response_type=code&client_id={client}&code_challenge={CHALLENGE}&code_challenge_method=S256"
        back = await person.answer(f"{url}/authorize{request}&scope=read&state=x", redirect)
        code = parameters_of(back)["code"]
        form = {"grant_type": "authorization_code", "client_id": client, "code": code, "code_verifier": VERIFIER}
        token: str = (await http.post(f"{url}/token", data=form)).json()["access_token"]
        return token


@pytest.mark.anyio
@pytest.mark.requirement("G-604")
@pytest.mark.parametrize("workers", [1, 2])
async def test_an_application_is_served_behind_sign_in_and_guard(tmp_path: Path, workers: int) -> None:
    issuer = _folder(tmp_path, f"workers = {workers}")
    with configured_server(tmp_path) as server:
        assert server.url == issuer
        assert "/api  notes:app" in server.banner
        assert (await _me(server.url)).json() == {"user": "ada", "scopes": ["read"]}
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"{server.url}/api/me")).status_code == 401
            metadata = (await http.get(f"{server.url}/.well-known/oauth-protected-resource/api")).json()
        assert (metadata["resource_name"], metadata["scopes_supported"]) == ("Notes", ["read"])
    assert server.process.returncode == 0
    assert "Traceback" not in server.log


class _Echo(BaseHTTPRequestHandler):
    """An API that is not ours: tells the path and the headers that it got."""

    def do_GET(self) -> None:
        """Answer."""
        body = json.dumps({"path": self.path, **{name.lower(): value for name, value in self.headers.items()}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.mark.anyio
@pytest.mark.requirement("G-604")
async def test_an_api_that_is_not_python_is_served_behind_the_front(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as upstream:
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{upstream.server_address[1]}"
        _folder(tmp_path, behind=f"upstream = '{url}'\nstrip_prefix = true\nidle_timeout = '1h'")
        with configured_server(tmp_path) as server:
            assert f"/api  {url}" in server.banner
            told = (await _me(server.url)).json()
        upstream.shutdown()
    assert (told["path"], told["x-grantwell-user"], told["x-grantwell-scopes"]) == ("/me", "ada", "read")
    assert "authorization" not in told


@pytest.mark.anyio
@pytest.mark.requirement("G-604")
async def test_a_proxy_asks_about_calls_that_it_sends_elsewhere(tmp_path: Path) -> None:
    _folder(tmp_path, "[oauth]\nverify_endpoint = '/verify'", behind="")
    with configured_server(tmp_path) as server:
        token = await _token(server.url)
        async with httpx.AsyncClient(base_url=server.url) as http:
            asked = {"X-Original-URI": "/api/me"}
            answer = await http.get("/verify", headers={"Authorization": f"Bearer {token}"} | asked)
            assert (answer.status_code, answer.headers["x-grantwell-user"]) == (204, "ada")
            assert (await http.get("/verify", headers=asked)).status_code == 401
            assert (await http.get("/api/me", headers={"Authorization": f"Bearer {token}"})).status_code == 404


@pytest.mark.requirement("G-604")
def test_the_sign_in_page_is_as_configured(tmp_path: Path) -> None:
    _folder(tmp_path, "[signin]\npasswords = false\nname = 'Example Notes'\n" + UPSTREAM)
    with configured_server(tmp_path, GRANTWELL_UPSTREAM_SIGNIN__0__CLIENT_SECRET="hunter2") as server:
        page = httpx.get(f"{server.url}/signin").text
        assert "Example Notes" in page
        assert "With the hub" in page
        assert 'type="password"' not in page
    assert "hunter2" not in server.log + server.banner


@pytest.mark.requirement("G-605")
def test_health_tells_whether_the_process_answers_and_whether_it_can_serve(tmp_path: Path) -> None:
    _folder(tmp_path)
    with configured_server(tmp_path) as server:
        for path in ("/healthz", "/readyz"):
            answer = httpx.get(f"{server.url}{path}", headers={"Host": "10.0.0.7"})
            assert (answer.status_code, answer.text, answer.headers["cache-control"]) == (200, "ok\n", "no-store")
            assert httpx.head(f"{server.url}{path}").status_code == 200
            refused = httpx.post(f"{server.url}{path}")
            assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
        with closing(sqlite3.connect(tmp_path / "grantwell.db")) as database:
            database.execute("ALTER TABLE oauth_clients RENAME TO oauth_gone")
        answer = httpx.get(f"{server.url}/readyz")
        assert (answer.status_code, answer.text) == (503, "the database does not answer\n")
        assert answer.headers["retry-after"] == "2"
        assert httpx.get(f"{server.url}/healthz").status_code == 200


@pytest.mark.requirement("G-604", "A-252")
def test_what_cannot_be_served_is_said_before_anything_is_started(tmp_path: Path, terminal: Terminal) -> None:
    _folder(tmp_path)
    text = (tmp_path / "grantwell.toml").read_text()
    assert "127.0.0.1, ::1 or localhost" in terminal("serve", "--host", "0.0.0.0", code=1).stderr
    assert "--host: server.host" in terminal("serve", "--host", "::", code=1).stderr
    (tmp_path / "grantwell.key").chmod(0o644)
    assert "chmod 600" in terminal("serve", code=1).stderr
    (tmp_path / "grantwell.key").rename(tmp_path / "moved.key")
    assert "grantwell.key is missing" in terminal("serve", code=1).stderr
    (tmp_path / "grantwell.key").write_text("0" * 64)
    (tmp_path / "grantwell.key").chmod(0o600)
    assert "it is another database's" in terminal("serve", code=1).stderr
    (tmp_path / "grantwell.toml").write_text(text.replace("[[api]]", "database_url = 'sqlite:///new.db'\n[[api]]"))
    assert "grantwell migrate" in terminal("serve", code=1).stderr
    assert not (tmp_path / "new.db").exists()
    (tmp_path / "grantwell.toml").write_text(text.replace("http://127.0.0.1", "https://127.0.0.1"))
    assert "no address of this machine" in terminal("serve", "--host", "no such host", code=1).stderr
    (tmp_path / "grantwell.toml").write_text(text.replace("notes:app", "notes:no"))
    assert "api[0].app: cannot be had" in terminal("serve", code=1).stderr


@pytest.mark.requirement("A-252")
def test_the_demonstration_is_not_served_where_there_is_a_configuration(tmp_path: Path, terminal: Terminal) -> None:
    _folder(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    assert "try it in another folder" in terminal("serve", "--demo", code=2).stderr
    (tmp_path / "grantwell.toml").unlink()
    terminal("serve", "--demo", code=2, GRANTWELL_SERVER__ISSUER="https://auth.example.com")
    assert "grantwell init" in terminal("serve", code=2).stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [name for name in before if name != "grantwell.toml"]


@pytest.mark.requirement("G-604")
def test_migrate_makes_the_schema_first_and_systemd_is_told_when_it_serves(tmp_path: Path) -> None:
    _folder(tmp_path)
    for name in ("grantwell.db", "grantwell.key"):
        (tmp_path / name).unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        address = str(tmp_path / "notify")
        systemd.bind(address)
        systemd.settimeout(30)
        with configured_server(tmp_path, "--migrate", NOTIFY_SOCKET=address) as server:
            assert systemd.recv(100) == b"READY=1"
            assert httpx.get(f"{server.url}/readyz").status_code == 200
            assert (tmp_path / "grantwell.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.requirement("G-604")
def test_a_stop_lets_a_request_finish(tmp_path: Path) -> None:
    _folder(tmp_path, "shutdown_timeout = '30s'")
    with configured_server(tmp_path) as server, httpx.Client(timeout=30) as http:
        port = int(server.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as slow:
            slow.sendall(
                b"POST /token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\n"
                b"Content-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\n\r\n"
            )
            assert slow.recv(100).startswith(b"HTTP/1.1 100")
            os.kill(server.process.pid, signal.SIGTERM)
            refused = threading.Event()
            while not refused.is_set():
                try:
                    http.get(f"{server.url}/healthz")
                except httpx.TransportError:
                    refused.set()
            slow.sendall(b"a=b")
            assert slow.recv(4096).startswith(b"HTTP/1.1 401")
        assert server.process.wait(20) in (0, -signal.SIGTERM)
