"""`grantwell serve --demo`, in processes of its own."""

from __future__ import annotations

import os
import re
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.cli.processes import DEMO_PASSWORD, demo_server, environment, run
from tests.cli.terminal import Terminal
from tests.interop.person import CHALLENGE, VERIFIER, Person, parameters_of

pytestmark = pytest.mark.system


async def _tokens(url: str, password: str) -> tuple[str, dict[str, str]]:
    """Go through everything once; returns the code and the tokens."""
    redirect = f"{url}/callback"
    async with httpx.AsyncClient(timeout=20) as http, Person("demo", password) as person:
        metadata = {"redirect_uris": [redirect], "token_endpoint_auth_method": "none"}
        client = (await http.post(f"{url}/register", json=metadata)).json()["client_id"]
        request = f"?response_type=code&client_id={client}&code_challenge={CHALLENGE}&code_challenge_method=S256"
        back = await person.answer(f"{url}/authorize{request}&state=very-secret-state", redirect)
        await http.get(back)
        code = parameters_of(back)["code"]
        form = {"grant_type": "authorization_code", "client_id": client, "code": code, "code_verifier": VERIFIER}
        return code, (await http.post(f"{url}/token", data=form)).json()


@pytest.mark.requirement("A-252", "G-311")
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "127.0.0.2", "example.com", "", "127.0.0.1 "])
def test_the_demonstration_is_for_this_machine_alone(terminal: Terminal, host: str) -> None:
    assert "for this machine alone" in terminal("serve", "--demo", "--host", host, code=2).stderr
    assert list(terminal.folder.iterdir()) == []


@pytest.mark.requirement("A-252", "G-311")
def test_serving_without_the_demonstration_is_wrong_usage(terminal: Terminal) -> None:
    assert "grantwell serve --demo" in terminal("serve", code=2).stderr
    terminal("serve", "--demo", "--port", "65536", code=2)
    terminal("serve", "--demo", "--workers", "0", code=2)
    assert list(terminal.folder.iterdir()) == []


@pytest.mark.requirement("G-311")
def test_a_port_that_is_taken_is_one_sentence_and_changes_nothing(terminal: Terminal) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = terminal("serve", "--demo", "--port", str(port), code=1)
    assert result.stderr == f"Error: Port {port} of 127.0.0.1 is taken; choose another one with --port.\n"
    assert list(terminal.folder.iterdir()) == []


@pytest.mark.requirement("G-311", "G-313")
def test_a_database_or_key_that_cannot_be_used_is_one_sentence(migrated: Terminal) -> None:
    serve = ["serve", "--demo", "--port", "0"]
    migrated.client()
    (migrated.folder / "wrong.key").write_text("0" * 64)
    (migrated.folder / "wrong.key").chmod(0o600)
    migrated("users", "add", "demo", GRANTWELL_PASSWORD=DEMO_PASSWORD)
    for words, sentence in (
        (["--database-url", "sqlite+aiosqlite:///no/such/folder/x.db"], "cannot be created"),
        (["--database-url", "postgresql://host/name"], "secret_key_file"),
        (["--secret-key-file", "wrong.key"], "is not the one of this database"),
        (["--secret-key-file", "lost.key"], "lost.key is missing"),
    ):
        assert sentence in migrated(*serve, *words, code=1).stderr
    assert "at least 8 characters" in migrated(*serve, code=1, GRANTWELL_DEMO_PASSWORD="short").stderr
    (migrated.folder / "grantwell-notes.db").unlink()
    (migrated.folder / "grantwell-notes.db").mkdir()
    assert "grantwell-notes.db cannot be used" in migrated(*serve, code=1).stderr
    with closing(sqlite3.connect("grantwell.db")) as database, database:
        database.execute("UPDATE oauth_schema_version SET version_num = '9999'")
    assert "does not know" in migrated(*serve, code=1).stderr


@pytest.mark.anyio
@pytest.mark.requirement("A-252", "G-315")
async def test_the_first_start_makes_everything_and_tells_where_to_go(tmp_path: Path) -> None:
    with demo_server(tmp_path, GRANTWELL_DEMO_PASSWORD="") as demo:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", demo.url)
        for path in ("/api", "/api/me", "/api/notes", "/mcp", "/.well-known/oauth-authorization-server"):
            assert f"{demo.url}{path}" in demo.banner
        assert demo.banner.splitlines()[-1] == demo.url, "the last line is the one to open"
        password = re.findall(r"sign in +demo, password (\S{16}) ", demo.banner)[0]
        _, tokens = await _tokens(demo.url, password)
        assert tokens["scope"] == "notes:read notes:write mcp:use"
    assert demo.process.returncode == 0
    for name in ("grantwell.db", "grantwell.key", "grantwell-notes.db"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert all(password.encode() not in contents for contents in _contents(tmp_path))
    with demo_server(tmp_path, GRANTWELL_DEMO_PASSWORD="") as again:
        assert "the password of the first start" in again.banner
        assert password not in again.banner
        await _tokens(again.url, password)


@pytest.mark.anyio
@pytest.mark.requirement("G-315", "S-256")
async def test_a_password_that_is_given_holds_and_another_one_ends_the_grants(tmp_path: Path) -> None:
    with demo_server(tmp_path) as demo:
        assert "password from $GRANTWELL_DEMO_PASSWORD" in demo.banner
        assert DEMO_PASSWORD not in demo.banner
        await _tokens(demo.url, DEMO_PASSWORD)
    assert "active" in run(tmp_path, "grants", "list").stdout
    with demo_server(tmp_path) as demo:
        assert "active" in run(tmp_path, "grants", "list").stdout
    with demo_server(tmp_path, GRANTWELL_DEMO_PASSWORD="another password") as demo:
        assert "the grants given before have ended" in demo.banner
        assert "active" not in run(tmp_path, "grants", "list").stdout
        await _tokens(demo.url, "another password")


@pytest.mark.anyio
@pytest.mark.requirement("A-338", "A-345", "A-350", "S-090", "S-466")
@pytest.mark.parametrize("workers", ["1", "2"])
async def test_no_secret_reaches_the_log_the_command_line_or_another_process(tmp_path: Path, workers: str) -> None:
    with demo_server(tmp_path, "--workers", workers) as demo:
        code, tokens = await _tokens(demo.url, DEMO_PASSWORD)
        async with httpx.AsyncClient() as http:
            token = tokens["access_token"]
            for path in (f"/api?access_token={token}&x=very-secret-query", f"/{token}", "/%0d%0aforged%1b[2J"):
                answer = await http.get(demo.url + path, headers={"Authorization": f"Bearer {token}x"})
                assert "server" not in answer.headers
        shown = demo.banner + demo.log + _processes_of(demo.process.pid)
        key = (tmp_path / "grantwell.key").read_text().strip()
    assert "/authorize" in shown
    for secret in (code, tokens["access_token"], DEMO_PASSWORD, key, "very-secret", VERIFIER):
        assert secret not in shown
    assert "gwa_***" in shown
    assert "\x1b" not in shown
    assert "?" not in re.sub(r"forgotten\?", "", demo.log)
    assert not [line for line in demo.log.splitlines() if line.startswith("forged")]


def _contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir()]


def _processes_of(pid: int) -> str:
    """What anybody sees of a process and its children; and the environment of the children."""
    shown = ""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split(" ")[2])
            if pid in (int(entry.name), parent):
                shown += (entry / "cmdline").read_bytes().decode(errors="replace")
            if pid == parent:
                shown += (entry / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
    return shown


@pytest.mark.requirement("A-278", "A-285")
def test_headers_of_proxies_and_foreign_hosts_are_not_believed(tmp_path: Path) -> None:
    with demo_server(tmp_path) as demo:
        forwarded = {"X-Forwarded-For": "203.0.113.66", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.test"}
        metadata = httpx.get(f"{demo.url}/.well-known/oauth-authorization-server", headers=forwarded)
        assert metadata.json()["issuer"] == demo.url
        assert "203.0.113.66" not in demo.log
        for path in ("/", "/api", "/mcp", "/authorize", "/signin", "/token", "/.well-known/oauth-authorization-server"):
            assert httpx.get(demo.url + path, headers={"Host": "attacker.test"}).status_code == 421


@pytest.mark.requirement("G-316")
def test_without_the_mcp_package_the_rest_is_served(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['mcp'] = None\n")
    with demo_server(tmp_path, "--no-access-log", PYTHONPATH=_path_with(tmp_path)) as demo:
        assert "not served: the package mcp is missing" in demo.banner
        assert httpx.get(f"{demo.url}/mcp").status_code == 404
        assert httpx.get(f"{demo.url}/api").status_code == 401
        assert "/mcp is" not in httpx.get(demo.url).text
        assert "GET" not in demo.log


@pytest.mark.requirement("G-311")
def test_workers_that_cannot_start_end_the_command(tmp_path: Path) -> None:
    spoil = "import os, sys\nif '--multiprocessing-fork' in sys.orig_argv: os.chmod('grantwell.key', 0o644)\n"
    (tmp_path / "sitecustomize.py").write_text(spoil)
    result = run(tmp_path, "serve", "--demo", "--port", "0", "--workers", "2", PYTHONPATH=_path_with(tmp_path))
    assert result.returncode == 1
    assert "chmod 600" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


@pytest.mark.requirement("G-311")
@pytest.mark.parametrize("trouble", ["raise demo.GrantwellError('no store')", "await send(failed)"])
def test_a_server_that_cannot_start_ends_the_command(tmp_path: Path, trouble: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import grantwell.cli.demo as demo\n"
        "failed = {'type': 'lifespan.startup.failed', 'message': 'no store'}\n"
        f"async def broken(scope, receive, send):\n    {trouble}\n"
        f"def provider(settings):\n    {trouble if 'raise' in trouble else 'return broken'}\n"
        "demo.demo_provider = provider\n"
    )
    result = run(tmp_path, "serve", "--demo", "--port", "0", PYTHONPATH=_path_with(tmp_path))
    assert result.returncode == 1
    assert "no store" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def _path_with(folder: Path) -> str:
    return f"{folder}{os.pathsep}{environment()['PYTHONPATH']}"
