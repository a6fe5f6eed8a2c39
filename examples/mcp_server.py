"""Grantwell in front of an MCP server. Run: `uvicorn examples.mcp_server:app`, and add http://127.0.0.1:8000/mcp."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from starlette.requests import Request

from grantwell import OAuthProvider, Resource, SecretKey
from grantwell.signin import SignIn
from grantwell_storage import SQLStore

FOLDER = Path(os.environ.get("EXAMPLE_FOLDER", "."))

server: MCPServer[Any] = MCPServer("example")


@server.tool()
async def whoami(context: Context[Any, Request]) -> str:
    """Tell who is calling. The caller belongs to the HTTP request, so a stateless server always has the right one."""
    request = context.request_context.request
    if request is None:
        raise LookupError("this tool is called over HTTP")
    return f"{request.user.user_id}, by {request.user.client_id}"


store = SQLStore(f"sqlite+aiosqlite:///{FOLDER / 'mcp_server.db'}")
key = SecretKey.file(FOLDER / "mcp_server.key")
app = OAuthProvider(
    issuer="http://127.0.0.1:8000",
    store=store,
    secret_key=key,
    api_handlers={"/mcp": server.streamable_http_app(stateless_http=True, json_response=True)},
    default_handler=SignIn(store, key),
    resources={"/mcp": Resource(scopes={"mcp:use": "Use the tools"}, name="Example tools")},
)
