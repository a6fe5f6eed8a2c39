"""The pytest plugin: run as its users run it, and its tokens against stores, loops and workers of every kind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from grantwell import AuthorizationError, OAuthProvider, Resource, TokenExchange, TokenExchangeResult, require_scopes
from grantwell_migrations import upgrade
from grantwell_pytest.tokens import AsyncOAuth, OAuth
from grantwell_storage import SQLStore
from tests.cli.processes import environment
from tests.integrations.running import ROOT

ISSUER = "https://api.test/auth"


async def api(scope: Scope, receive: Receive, send: Send) -> None:
    """Says who calls."""
    if scope["type"] == "http":
        who = require_scopes("read")
        await JSONResponse({"user": who.user_id, "props": who.props, "audience": who.audience})(scope, receive, send)


def provider(parts: dict[str, Any], **more: Any) -> OAuthProvider:
    """An application's own, mounted below a prefix of another."""
    scopes = {"read": "Read", "write": "Write"}
    return OAuthProvider(
        issuer=ISSUER,
        api_handlers={"/api": api, "/mcp": api},
        resources={"/api": Resource(scopes=scopes), "/mcp": Resource(scopes=scopes)},
        **parts,
        **more,
    )


def called(app: OAuthProvider) -> httpx.AsyncClient:
    """A client of the application."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app, root_path="/auth"), base_url=ISSUER)


def pytest_of(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run pytest with the plugin, as an installed Grantwell brings it."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "grantwell_pytest", "-p", "no:cacheprovider", *words],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.requirement("G-630")
def test_the_tests_of_the_example_pass() -> None:
    done = pytest_of(ROOT, "examples/tested_api.py")
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


@pytest.mark.requirement("G-630")
def test_an_async_test_takes_tokens_on_its_own_loop(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "from examples.tested_api import create_app\n"
        "@pytest.mark.anyio\n"
        "@pytest.mark.parametrize('anyio_backend', ['asyncio'])\n"
        "async def test_it(async_oauth, anyio_backend):\n"
        "    async_oauth.use(create_app(**async_oauth.parts))\n"
        "    assert (await async_oauth.token('alice', ['notes:read'])).startswith('gwa_')\n"
    )
    done = pytest_of(tmp_path, "test_it.py")
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout


@pytest.mark.requirement("G-631")
def test_a_project_that_does_not_use_the_plugin_does_not_notice_it(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "import pytest\n@pytest.fixture\ndef oauth():\n    return 'the one of the project'\n"
    )
    (tmp_path / "test_it.py").write_text(
        "import sys\n"
        "def test_it(oauth):\n"
        "    assert oauth == 'the one of the project'\n"
        "    assert not {'grantwell', 'starlette', 'httpx', 'sqlalchemy'} & set(sys.modules)\n"
    )
    done = pytest_of(tmp_path, "-p", "no:anyio", "test_it.py")
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["pytest11"] == {"grantwell_pytest": "grantwell_pytest"}


@pytest.mark.requirement("G-630")
async def test_a_token_is_for_the_user_scopes_resource_and_props_that_were_named() -> None:
    oauth = AsyncOAuth()
    app = oauth.use(provider(oauth.parts))
    async with called(app) as http:
        everywhere = await http.get("/api", headers=await oauth.headers("alice", ["read"], props={"n": 1}))
        assert everywhere.json() == {"user": "alice", "props": {"n": 1}, "audience": [f"{ISSUER}/api", f"{ISSUER}/mcp"]}
        there = await oauth.headers("bob", resource="/mcp")
        assert (await http.get("/mcp", headers=there)).json()["audience"] == [f"{ISSUER}/mcp"]
        assert (await http.get("/api", headers=there)).status_code == 401
        assert (await http.get("/api", headers=await oauth.headers("bob", ["write"]))).status_code == 403
    with pytest.raises(AuthorizationError):
        await oauth.token("alice", ["no such scope"])


@pytest.mark.requirement("G-630")
async def test_the_clock_ends_tokens_and_grants() -> None:
    oauth = AsyncOAuth()
    app = oauth.use(provider(oauth.parts, refresh_token_ttl=86400))
    tokens = await oauth.tokens("alice", ["read"])
    oauth.clock.advance(hours=2)
    async with called(app) as http:
        assert (await http.get("/api", headers=_bearer(tokens))).status_code == 401
        renewed = await oauth.refresh(tokens)
        assert (await http.get("/api", headers=_bearer(renewed))).status_code == 200
    oauth.clock.advance(days=1)
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        await oauth.refresh(renewed)


def _bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


@pytest.mark.requirement("G-630")
async def test_revoking_ends_the_token_and_its_grant() -> None:
    oauth = AsyncOAuth()
    app = oauth.use(provider(oauth.parts))
    tokens = await oauth.tokens("alice", ["read"])
    await oauth.revoke(tokens["refresh_token"])
    async with called(app) as http:
        assert (await http.get("/api", headers=_bearer(tokens))).status_code == 401


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database as the application has it in production."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'own.db'}"
    upgrade(url)
    return url


@pytest.mark.requirement("G-630")
async def test_the_applications_own_store_serves_as_well(url: str) -> None:
    oauth = AsyncOAuth()
    app = oauth.use(provider(oauth.parts | {"store": SQLStore(url)}))
    async with app.running(), called(app) as http:
        assert (await http.get("/api", headers=await oauth.headers("alice", ["read"]))).json()["user"] == "alice"


@pytest.mark.requirement("G-630")
def test_without_a_loop_the_applications_own_store_is_reached_through_a_portal(url: str) -> None:
    oauth = OAuth(AsyncOAuth())
    app = provider(oauth.parts | {"store": SQLStore(url)})
    with TestClient(app, base_url="https://api.test", root_path="/auth") as client:
        oauth.use(app, portal=client.portal)
        tokens = oauth.tokens("alice", ["read"])
        assert client.get("/auth/api", headers=_bearer(oauth.refresh(tokens))).json()["user"] == "alice"
        oauth.revoke(tokens["access_token"])
        assert client.get("/auth/api", headers=_bearer(tokens)).status_code == 401


@pytest.mark.requirement("G-632")
async def test_a_lost_answer_and_workers_that_race_are_one_line_each(url: str) -> None:
    asked: list[TokenExchange] = []

    def upstream(event: TokenExchange) -> TokenExchangeResult:
        asked.append(event)
        return TokenExchangeResult(props={"calls": len(asked)})

    def worker() -> OAuthProvider:
        return provider(oauth.parts | {"store": SQLStore(url)}, token_exchange_callback=upstream)

    oauth = AsyncOAuth()
    one, two = oauth.use(worker()), worker()
    async with one.running(), two.running():
        tokens = await oauth.tokens("alice", ["read"])
        await oauth.refresh(tokens)  # its answer is lost
        repeated = await oauth.refresh(tokens, at=two)
        assert len(asked) == 2, "once for the code, once for both refreshes"
        race = await asyncio.gather(*(oauth.refresh(repeated, at=worker) for worker in (one, two, one, two)))
        assert len({answer["refresh_token"] for answer in race}) == 1
        assert len(asked) == 3


@pytest.mark.requirement("G-630")
async def test_what_cannot_work_says_what_to_do_instead() -> None:
    asynchronous = AsyncOAuth()
    oauth = OAuth(asynchronous)
    with pytest.raises(LookupError, match=r"oauth\.use\(provider\)"):
        oauth.provider  # noqa: B018
    oauth.use(provider({"store": oauth.parts["store"], "secret_key": oauth.parts["secret_key"]}))
    with pytest.raises(LookupError, match="a clock of its own"):
        oauth.clock  # noqa: B018
    with pytest.raises(RuntimeError, match="async_oauth"):
        oauth.token("alice")
    assert oauth.provider is asynchronous.provider


def test_the_clock_counts_as_people_do() -> None:
    clock = AsyncOAuth().clock
    before = clock()
    clock.advance(1, minutes=1, hours=1, days=1)
    clock.advance(-1)
    assert clock() - before == 86400 + 3600 + 60
