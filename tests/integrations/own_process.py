"""A provider in the test's own process, in front of one application, and tokens of it by its own endpoints."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from grantwell import OAuthProvider, Resource, SecretKey
from grantwell_storage import MemoryStore
from tests.interop.person import CHALLENGE, VERIFIER, parameters_of

ISSUER = "http://127.0.0.1:8000"
REDIRECT_URI = "https://client.example/cb"


class Yes:
    """The default application: whoever the header names has signed in, and allows everything."""

    def __init__(self) -> None:
        self.props: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        request = Request(scope, receive)
        asked = await request.state.oauth.parse_authorization_request(request)
        user = request.headers["x-user"]
        location = await request.state.oauth.complete_authorization(asked, user_id=user, props=self.props)
        await Response(status_code=303, headers={"Location": location})(scope, receive, send)


@dataclass
class World:
    """A provider that is running, and a client of it."""

    provider: OAuthProvider
    http: httpx.AsyncClient
    site: Yes

    async def token(self, user: str, scope: str | None = None, props: Any = None) -> str:
        """An access token of the user, by a new client and the code flow."""
        metadata = {"redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "none"}
        client, _ = await self.provider.helpers.create_client(metadata)
        query = {
            "response_type": "code",
            "client_id": client.client_id,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        } | ({} if scope is None else {"scope": scope})
        self.site.props = props
        answer = await self.http.get("/authorize", params=query, headers={"X-User": user})
        form = {
            "grant_type": "authorization_code",
            "client_id": client.client_id,
            "code": parameters_of(answer.headers["location"])["code"],
            "code_verifier": VERIFIER,
        }
        token: str = (await self.http.post("/token", data=form)).raise_for_status().json()["access_token"]
        return token


@asynccontextmanager
async def provider_with(
    prefix: str,
    app: ASGIApp,
    scopes: Mapping[str, str],
    implies: Mapping[str, list[str]] | None = None,
    default: ASGIApp | None = None,
) -> AsyncIterator[World]:
    """A provider that runs in front of the application."""
    site = Yes()
    provider = OAuthProvider(
        issuer=ISSUER,
        store=MemoryStore(),
        secret_key=SecretKey(bytes(32)),
        api_handlers={prefix: app},
        default_handler=default or site,
        resources={prefix: Resource(scopes=scopes, implies=implies or {})},
    )
    transport = httpx.ASGITransport(app=provider)
    async with provider.running(), httpx.AsyncClient(transport=transport, base_url=ISSUER) as http:
        yield World(provider, http, site)
