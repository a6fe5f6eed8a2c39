"""Grantwell in front of an MCP server. Run: `uvicorn examples.mcp_server:app`, and add http://127.0.0.1:8000/mcp."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import MCPServer

from grantwell import OAuthProvider, Resource, SecretKey
from grantwell.integrations.mcp import Authenticated, get_access_token
from grantwell.signin import SignIn
from grantwell_storage import SQLStore

FOLDER = Path(os.environ.get("EXAMPLE_FOLDER", "."))
ISSUER = os.environ.get("ISSUER", "http://127.0.0.1:8000")

server: MCPServer[Any] = MCPServer("example")


@server.tool()
async def whoami() -> str:
    """Tell who is calling: the SDK's own function knows, for each call of a session."""
    token = get_access_token()
    if token is None:
        raise LookupError("this tool is called over HTTP")
    return f"{token.subject}, by {token.client_id}"


store = SQLStore(f"sqlite+aiosqlite:///{FOLDER / 'mcp_server.db'}")
key = SecretKey.file(FOLDER / "mcp_server.key")
app = OAuthProvider(
    issuer=ISSUER,
    store=store,
    secret_key=key,
    # Every call needs the scope, and a session answers nobody but the user and client that began it. On a public name
    # tell the SDK, which otherwise answers on this machine's names alone: streamable_http_app(host="api.example.com").
    api_handlers={"/mcp": Authenticated(server.streamable_http_app(), scopes=["mcp:use"])},
    default_handler=SignIn(store, key),
    resources={"/mcp": Resource(scopes={"mcp:use": "Use the tools"}, name="Example tools")},
)
