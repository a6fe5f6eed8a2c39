"""The client of the MCP SDK, with OAuth as it does it by itself, and a person for its browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.client.client import Client, ConnectMode
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from tests.interop.person import Person, parameters_of

REDIRECT = "http://127.0.0.1:33418/mcp"


class Memory(TokenStorage):
    """Keeps what the client got."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


@asynccontextmanager
async def session(url: str, person: Person, memory: Memory, mode: ConnectMode) -> AsyncIterator[Client]:
    """A session with the MCP server at this URL; whoever has to allow it is sent to the person."""
    came_back = ""

    async def open_browser(url: str) -> None:
        nonlocal came_back
        came_back = await person.answer(url, REDIRECT)

    async def callback() -> AuthorizationCodeResult:
        return AuthorizationCodeResult.model_validate(parameters_of(came_back))

    auth = OAuthClientProvider(
        url,
        OAuthClientMetadata(client_name="SDK", redirect_uris=[AnyUrl(REDIRECT)], token_endpoint_auth_method="none"),
        memory,
        open_browser,
        callback,
    )
    async with (
        httpx2.AsyncClient(auth=auth, timeout=20) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client
