"""Authlib's client goes through everything."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest
from authlib.integrations.httpx_client import AsyncOAuth2Client

from tests.cli.processes import Demo
from tests.interop.person import Person, parameters_of

pytestmark = [pytest.mark.anyio, pytest.mark.system]

REDIRECT = "http://127.0.0.1/authlib"


def _created(demo: Demo, *words: str) -> Any:
    return json.loads(demo.run("clients", "create", "--redirect-uri", REDIRECT, *words, "--json"))


@pytest.mark.requirement("G-320", "S-140", "S-173", "S-201", "S-247", "S-125", "S-211", "S-212")
@pytest.mark.parametrize("method", ["none", "client_secret_basic", "client_secret_post"])
async def test_authlib_gets_tokens_refreshes_twice_and_revokes(demo: Demo, person: Person, method: str) -> None:
    registered = _created(demo, "--auth-method", method)
    verifier = secrets.token_urlsafe(48)
    async with AsyncOAuth2Client(
        registered["client_id"],
        registered.get("client_secret"),
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        redirect_uri=REDIRECT,
        scope="notes:read notes:write",
        code_challenge_method="S256",
    ) as client:
        url, state = client.create_authorization_url(
            f"{demo.url}/authorize", code_verifier=verifier, resource=f"{demo.url}/api"
        )
        back = await person.answer(url, REDIRECT)
        assert parameters_of(back)["iss"] == demo.url
        token = await client.fetch_token(
            f"{demo.url}/token", authorization_response=back, state=state, code_verifier=verifier
        )
        assert token["scope"] == "notes:read notes:write"
        me = (await client.get(f"{demo.url}/api/me")).json()
        assert (me["user"], me["client"]) == ("demo", registered["client_id"])
        for _ in range(2):
            before = client.token["refresh_token"]
            await client.refresh_token(f"{demo.url}/token")
            assert client.token["refresh_token"] != before
            assert (await client.post(f"{demo.url}/api/notes", json={"text": "by Authlib"})).status_code == 201
        revoked = await client.revoke_token(f"{demo.url}/revoke", client.token["refresh_token"], "refresh_token")
        assert revoked.status_code == 200
        assert (await client.get(f"{demo.url}/api/me")).status_code == 401
