"""Several processes on one database: whichever answers, the answer is the same."""

from __future__ import annotations

import asyncio
import json
import secrets
from pathlib import Path
from typing import Any

import httpx
import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from tests.cli.processes import DEMO_PASSWORD, Demo, demo_server
from tests.interop.person import Person, parameters_of
from tests.interop.test_mcp import ACCEPT, CALL

pytestmark = [pytest.mark.anyio, pytest.mark.system]

REDIRECT = "http://127.0.0.1/workers"


async def _code(demo: Demo, person: Person, client: str, verifier: str) -> str:
    query = httpx.QueryParams(
        {
            "response_type": "code",
            "client_id": client,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
        }
    )
    return parameters_of(await person.answer(f"{demo.url}/authorize?{query}", REDIRECT))["code"]


async def _at_once(count: int, request: httpx.Request) -> list[httpx.Response]:
    """Send a request many times at once, each over a connection of its own, so that all processes get some."""

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(timeout=30) as http:
            copy = httpx.Request(request.method, request.url, headers=request.headers, content=request.content)
            return await http.send(copy)

    return list(await asyncio.gather(*(send() for _ in range(count))))


async def _exercise(demo: Demo) -> None:
    client = json.loads(demo.run("clients", "create", "--public", "--redirect-uri", REDIRECT, "--json"))["client_id"]
    verifier = secrets.token_urlsafe(48)
    async with Person("demo", DEMO_PASSWORD) as person:
        code = await _code(demo, person, client, verifier)
    form = {"grant_type": "authorization_code", "client_id": client, "code": code, "code_verifier": verifier}
    exchanges = await _at_once(20, httpx.Request("POST", f"{demo.url}/token", data=form))
    assert sorted(answer.status_code for answer in exchanges) == [200] + [400] * 19
    tokens: dict[str, Any] = next(answer.json() for answer in exchanges if answer.status_code == 200)
    form = {"grant_type": "refresh_token", "client_id": client, "refresh_token": tokens["refresh_token"]}
    refreshes = await _at_once(8, httpx.Request("POST", f"{demo.url}/token", data=form))
    assert {answer.status_code for answer in refreshes} == {200}
    assert len({answer.json()["refresh_token"] for answer in refreshes}) == 1
    bearer = {"Authorization": f"Bearer {refreshes[0].json()['access_token']}"}
    note = httpx.Request("POST", f"{demo.url}/api/notes", json={"text": "one of many"}, headers=bearer)
    ids = {answer.json()["id"] for answer in await _at_once(8, note)}
    assert len(ids) == 8
    notes = await _at_once(8, httpx.Request("GET", f"{demo.url}/api/notes", headers=bearer))
    assert all({kept["id"] for kept in answer.json()["notes"]} >= ids for answer in notes)
    tools = await _at_once(8, httpx.Request("POST", f"{demo.url}/mcp", json=CALL, headers=bearer | ACCEPT))
    assert {answer.json()["result"]["structuredContent"]["user"] for answer in tools} == {"demo"}
    demo.run("clients", "delete", client, "--yes")
    refused = await _at_once(8, httpx.Request("GET", f"{demo.url}/api/me", headers=bearer))
    assert {answer.status_code for answer in refused} == {401}


@pytest.mark.requirement("G-323", "S-125", "S-240", "S-250")
@pytest.mark.parametrize("workers", [2, 4])
async def test_several_processes_serve_one_database(tmp_path: Path, workers: int) -> None:
    with demo_server(tmp_path, "--workers", str(workers)) as demo:
        assert demo.banner.count("is ready") == 1
        await _exercise(demo)
    assert demo.process.returncode == 0
    assert "Traceback" not in demo.log
