"""The example of upstream sign-in, from an empty folder to a call that asks the issuer in the name of its caller."""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from grantwell_migrations import upgrade
from tests.docs.first_client import REDIRECT_URI
from tests.interop.person import CHALLENGE, VERIFIER
from tests.signin.browser import form_of
from tests.upstream.issuer import CLIENT_ID, CLIENT_SECRET, SUBJECT, running_issuer

pytestmark = [pytest.mark.anyio, pytest.mark.system]


@pytest.mark.requirement("G-02", "S-457")
async def test_an_api_asks_the_issuer_with_the_token_of_its_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade(f"sqlite+aiosqlite:///{tmp_path / 'upstream_login.db'}")
    async with running_issuer(time.time) as issuer:
        issuer.userinfo = {"sub": SUBJECT, "name": "Ada Lovelace"}
        monkeypatch.setenv("EXAMPLE_FOLDER", str(tmp_path))
        monkeypatch.setenv("UPSTREAM_ISSUER", issuer.issuer)
        monkeypatch.setenv("UPSTREAM_CLIENT_ID", CLIENT_ID)
        monkeypatch.setenv("UPSTREAM_CLIENT_SECRET", CLIENT_SECRET)
        sys.modules.pop("examples.upstream_login", None)
        app = importlib.import_module("examples.upstream_login").app
        transport = httpx.ASGITransport(app=app)
        async with app.running(), httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
            metadata = {"redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "none"}
            client = (await http.post("/register", json=metadata)).json()
            request = {
                "response_type": "code",
                "client_id": client["client_id"],
                "redirect_uri": REDIRECT_URI,
                "code_challenge": CHALLENGE,
                "code_challenge_method": "S256",
            }
            page = await http.get("/authorize", params=request, follow_redirects=True)
            left = await http.post("/signin/with/corp", data=form_of(page, "/signin/with/corp"))
            back = issuer.approve(left.headers["location"])
            consent = await http.get(back, follow_redirects=True)
            allowed = await http.post("/consent", data=form_of(consent, "/consent") | {"decision": "allow"})
            (code,) = parse_qs(urlsplit(allowed.headers["location"]).query)["code"]
            form = {"grant_type": "authorization_code", "client_id": client["client_id"], "code": code}
            answer = await http.post("/token", data=form | {"code_verifier": VERIFIER})
            tokens = answer.raise_for_status().json()
            headers = {"Authorization": f"Bearer {tokens['access_token']}"}
            called = (await http.get("/api/profile", headers=headers)).json()
    assert called == {"user": f"corp:{SUBJECT}", "there": issuer.userinfo}
