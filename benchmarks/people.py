"""Users who say yes at once, so that there are codes and tokens to measure with."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx

from grantwell import AuthorizationRequest, OAuthProvider

REDIRECT_URI = "http://127.0.0.1/callback"
VERIFIER = "a-verifier-that-everybody-here-knows-0123456789"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Pair:
    """An access token and a refresh token."""

    access: str
    refresh: str


class Office:
    """Works with the server's own operations, in the process of the benchmark, on the database of the server."""

    def __init__(self, provider: OAuthProvider, client_id: str, http: httpx.AsyncClient) -> None:
        self._provider = provider
        self._http = http
        self.client_id = client_id

    async def code(self, user_id: str) -> str:
        """A code that the user granted."""
        helpers = self._provider.helpers
        client = await helpers.lookup_client(self.client_id)
        if client is None:
            raise LookupError(self.client_id)
        resources = tuple(dict.fromkeys(r.identifier for r in self._provider.settings.resources))
        request = AuthorizationRequest(
            client_id=self.client_id,
            client=client,
            redirect_uri=REDIRECT_URI,
            scopes=tuple(self._provider.settings.scopes),
            resources=resources,
            code_challenge=CHALLENGE,
            state=None,
        )
        location = await helpers.complete_authorization(
            request, user_id=user_id, props={"name": user_id, "team": "a" * 150}
        )
        return parse_qs(urlsplit(location).query)["code"][0]

    async def tokens(self, user_id: str) -> Pair:
        """The tokens for a code that the user granted."""
        form = {
            "grant_type": "authorization_code",
            "client_id": self.client_id,
            "code": await self.code(user_id),
            "code_verifier": VERIFIER,
        }
        answer = (await self._http.post("/token", data=form)).raise_for_status().json()
        return Pair(answer["access_token"], answer["refresh_token"])


@asynccontextmanager
async def office(provider: OAuthProvider) -> AsyncIterator[Office]:
    """An office for a provider, with a client of its own."""
    transport = httpx.ASGITransport(app=provider)
    async with (
        provider.running(),
        httpx.AsyncClient(transport=transport, base_url=provider.settings.issuer) as http,
    ):
        client, _ = await provider.helpers.create_client(
            {
                "redirect_uris": [REDIRECT_URI],
                "token_endpoint_auth_method": "none",
                "grant_types": ["authorization_code", "refresh_token"],
            }
        )
        yield Office(provider, client.client_id, http)
