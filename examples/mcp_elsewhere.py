"""An MCP server in a process of its own, by the SDK's settings for authorization. In this order:

export GRANTWELL_DATABASE_URL=sqlite+aiosqlite:///mcp_elsewhere.db
grantwell migrate && grantwell users add alice
grantwell clients create --resource-server http://127.0.0.1:8001/mcp   # set what it prints as CLIENT_ID, CLIENT_SECRET
uvicorn --factory examples.mcp_elsewhere:authorization_server
uvicorn --factory examples.mcp_elsewhere:tools --port 8001
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import MCPServer
from starlette.applications import Starlette

from grantwell import OAuthProvider, Resource, SecretKey
from grantwell.integrations.mcp import RemoteTokenVerifier, get_access_token
from grantwell.signin import SignIn
from grantwell_storage import SQLStore

FOLDER = Path(os.environ.get("EXAMPLE_FOLDER", "."))
ISSUER = os.environ.get("ISSUER", "http://127.0.0.1:8000")
RESOURCE = os.environ.get("RESOURCE", "http://127.0.0.1:8001/mcp")


def authorization_server() -> OAuthProvider:
    """Signs people in and issues tokens; it knows of the MCP server by its URL."""
    store = SQLStore(f"sqlite+aiosqlite:///{FOLDER / 'mcp_elsewhere.db'}")
    key = SecretKey.file(FOLDER / "mcp_elsewhere.key")
    return OAuthProvider(
        issuer=ISSUER,
        store=store,
        secret_key=key,
        api_handlers={},
        default_handler=SignIn(store, key),
        introspection_endpoint="/introspect",
        resources={RESOURCE: Resource(scopes={"mcp:use": "Use the tools"}, name="Tools")},
    )


def tools() -> Starlette:
    """The MCP server, which has neither the database nor the key: it asks about each token."""
    client_id, secret = os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]
    tokens = RemoteTokenVerifier(resource=RESOURCE, issuer=ISSUER, client_id=client_id, client_secret=secret)
    server: MCPServer[Any] = MCPServer("tools", token_verifier=tokens, auth=tokens.settings(scopes=["mcp:use"]))

    @server.tool()
    async def whoami() -> str:
        """Tell who is calling."""
        token = get_access_token()
        return "" if token is None else f"{token.subject}, by {token.client_id}"

    return server.streamable_http_app()
