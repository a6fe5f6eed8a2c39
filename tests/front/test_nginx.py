"""A real nginx with the configuration of docs/front.md asks `/verify` about each request."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.front.place import Place
from tests.front.proxies import asked, configurations, http_api, installed, placed, running, websocket_api

pytestmark = [pytest.mark.anyio, pytest.mark.system]
requirement = pytest.mark.requirement

AROUND = """
daemon off;
worker_processes 1;
error_log stderr warn;
pid nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    {site}
}}
"""


@asynccontextmanager
async def nginx(folder: Path, api: str) -> AsyncIterator[Place]:
    """A place whose port is nginx's, before this API."""
    program = installed("nginx")
    site, verify, identity = configurations("nginx")
    async with asked(api) as (place, addresses):
        (folder / "nginx.conf").write_text(AROUND.format(site=placed(site, addresses)))
        (folder / "verify.conf").write_text(verify)
        (folder / "identity.conf").write_text(identity)
        # Started by root, it would change to a user who may not read here.
        directives = ["-g", "user root;"] if os.getuid() == 0 else []
        command = (program, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf"), *directives)
        async with running(place.port, *command):
            yield place


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """A place whose port is nginx's, before the API in JavaScript."""
    async with http_api() as api, nginx(tmp_path, api) as place:
        yield place


def headers_of(body: bytes) -> dict[str, str]:
    """The headers that the API saw."""
    pairs = json.loads(body)["headers"]
    return {name.lower(): value for name, value in zip(pairs[::2], pairs[1::2], strict=True)}


@requirement("G-595", "G-581")
async def test_a_good_token_reaches_the_api_with_who_calls_and_without_the_token(place: Place) -> None:
    lies = ("X-Grantwell-User: eve", "X-Grantwell-Scopes: all", "X_Grantwell_User: eve", "X-Grantwell-Grant: eve")
    answer = await place.ask("GET /api/seen?a=%20b", *lies)
    assert answer.status == 200
    assert json.loads(answer.body)["url"] == "/api/seen?a=%20b"
    headers = headers_of(answer.body)
    assert (headers["x-grantwell-user"], headers["x-grantwell-scopes"]) == ("u1", "notes:read")
    assert headers["x-grantwell-client"] == place.client["client_id"]
    assert not [name for name, value in headers.items() if "eve" in value or name == "authorization"]
    assert (await place.ask("POST /api/count", "Content-Length: 4", body=b"body")).body == b"4"


@requirement("G-595")
async def test_without_a_good_token_the_answer_is_the_challenge_of_grantwell(place: Place) -> None:
    direct = await place.world.call("x", "/api/seen")
    place.token = "x"
    answer = await place.ask("GET /api/seen")
    assert (answer.status, answer.header("www-authenticate")) == (401, direct.headers["www-authenticate"])
    place.token = "a b"
    assert (await place.ask("GET /api/seen")).status == 401
    async with place.peer() as peer:
        await peer.say(b"GET /api/seen HTTP/1.1\r\nHost: as.test\r\n\r\n")
        challenged = await peer.answer()
        assert challenged.status == 401
        assert "resource_metadata=" in (challenged.header("www-authenticate") or "")


@requirement("G-595")
async def test_a_scope_that_nginx_wants_is_asked_for(place: Place) -> None:
    refusal = await place.ask("GET /api/write")
    assert refusal.status == 403
    assert 'error="insufficient_scope", scope="notes:write"' in (refusal.header("www-authenticate") or "")
    place.token = (await place.world.tokens(place.client, scope="notes:write")).access
    assert (await place.ask("GET /api/write")).body == b"nothing"


@requirement("G-595", "G-594", "A-264")
@pytest.mark.parametrize(
    "target",
    ["/x/../api/seen", "/api/../api/seen", "//api/seen", "/api//seen", "/x/%2e%2e/api/seen", "/api/%2e/seen",
     "/x/..%2fapi/seen", "/apixyz"],
)  # fmt: skip
async def test_no_spelling_of_a_path_gets_another_decision(place: Place, target: str) -> None:
    answer = await place.ask(f"GET {target}", "X-Forwarded-Uri: /api/seen")
    assert answer.status == 403 or answer.body == b"the site"


@requirement("G-595")
async def test_nobody_from_outside_asks_by_themselves(place: Place) -> None:
    for path in ("/verify", "/_may-call", "/_may-write"):
        assert (await place.ask(f"GET {path}", "X-Original-URI: /api/seen")).status == 404
    assert (await place.ask("GET /elsewhere")).body == b"the site"


@requirement("G-595", "G-584")
async def test_an_event_arrives_at_once(place: Place) -> None:
    async with place.peer() as peer:
        await peer.say(place.request("GET /api/events?every=5"))
        assert (await peer.head())[0] == 200
        assert await peer.piece() == b"data: 0\n\n"


@requirement("G-595", "A-266")
async def test_websockets_are_asked_about_like_any_request(tmp_path: Path) -> None:
    async with websocket_api() as api, nginx(tmp_path, api) as place:
        url = f"ws://127.0.0.1:{place.port}/api/ws"
        headers = {"Authorization": f"Bearer {place.token}", "X-Grantwell-User": "eve"}
        async with connect(url, additional_headers=headers, proxy=None) as client:
            assert await client.recv() == "u1"
            await client.send("echo")
            assert await client.recv() == "echo"
        with pytest.raises(InvalidStatus) as refusal:
            await connect(url, proxy=None)
        assert refusal.value.response.status_code == 401
        assert "resource_metadata=" in refusal.value.response.headers["WWW-Authenticate"]
