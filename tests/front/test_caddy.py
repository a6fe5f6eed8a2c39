"""A real Caddy with the configuration of docs/front.md asks `/verify` about each request."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.front.place import Place
from tests.front.proxies import asked, configurations, http_api, installed, placed, running, websocket_api

pytestmark = [pytest.mark.anyio, pytest.mark.system]
requirement = pytest.mark.requirement

AROUND = "{{\n\tadmin off\n\tauto_https off\n\tstorage file_system {folder}\n}}\n"


@asynccontextmanager
async def caddy(folder: Path, api: str) -> AsyncIterator[Place]:
    """A place whose port is Caddy's, before this API."""
    program = installed("caddy")
    (site,) = configurations("caddy")
    async with asked(api) as (place, addresses):
        file = folder / "Caddyfile"
        file.write_text(AROUND.format(folder=folder) + placed(site, addresses))
        async with running(place.port, program, "run", "--config", str(file), "--adapter", "caddyfile"):
            yield place


@requirement("G-596", "G-581")
async def test_caddy_lets_through_what_grantwell_lets_through(tmp_path: Path) -> None:
    async with http_api() as api, caddy(tmp_path, api) as place:
        lies = ("X-Grantwell-User: eve", "X_Grantwell_User: eve", "X-Grantwell-Grant: eve", "X-Original-URI: /eve")
        answer = await place.ask("GET /api/seen?a=%20b", *lies)
        seen = json.loads(answer.body)
        assert (answer.status, seen["url"]) == (200, "/api/seen?a=%20b")
        headers = dict(zip([name.lower() for name in seen["headers"][::2]], seen["headers"][1::2], strict=True))
        assert (headers["x-grantwell-user"], headers["x-grantwell-scopes"]) == ("u1", "notes:read")
        assert "eve" not in json.dumps(seen)
        assert "authorization" not in headers
        assert (await place.ask("GET /verify", "X-Forwarded-Uri: /api/seen")).status == 404
        assert (await place.ask("GET /x/..%2fapi/seen")).status == 403
        assert (await place.ask("GET /api/..%2fapi/seen")).status == 403
        direct = await place.world.call("x", "/api/seen")
        place.token = "x"
        refusal = await place.ask("GET /api/seen")
        assert (refusal.status, refusal.body) == (401, direct.content)
        assert refusal.header("www-authenticate") == direct.headers["www-authenticate"]


@requirement("G-596", "A-266")
async def test_caddy_asks_about_websockets_too(tmp_path: Path) -> None:
    async with websocket_api() as api, caddy(tmp_path, api) as place:
        url = f"ws://127.0.0.1:{place.port}/api/ws"
        async with connect(url, additional_headers={"Authorization": f"Bearer {place.token}"}, proxy=None) as client:
            assert await client.recv() == "u1"
