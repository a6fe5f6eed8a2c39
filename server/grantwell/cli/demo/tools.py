"""The MCP server of the demonstration, by the MCP Python SDK: streamable HTTP, nothing kept between requests.

Who calls is taken from the HTTP request that carries the call, never from a session: each request has its own token.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from ... import Principal, require_scopes
from .api import describe
from .notes import MOST_NOTES, Notes, NotesUnavailable, checked_text

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_INSTRUCTIONS = (
    "A demonstration of Grantwell. `whoami` tells whom the access token stands for; `add_note` keeps a note."
)


class _Tools:
    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    async def whoami(self, context: Context[Any, Request]) -> dict[str, Any]:
        """Tell who is calling: the user, the client, and what the user allowed it."""
        return describe(_principal(context))

    async def add_note(self, text: str, context: Context[Any, Request]) -> str:
        """Keep a note for the user. Needs the scope notes:write."""
        principal = _principal(context)
        if "notes:write" not in principal.scopes:
            raise ToolError("This needs the scope notes:write, which the access token does not have.")
        try:
            note = await self._notes.add(principal.identity, checked_text(text))
        except (ValueError, NotesUnavailable) as error:
            raise ToolError(str(error)) from error
        if note is None:
            raise ToolError(f"The user has {MOST_NOTES} notes already, and there is no room for more.")
        return f"Note {note['id']} is kept."


def _principal(context: Context[Any, Request]) -> Principal:
    request = context.request_context.request
    if request is None:
        raise ToolError("This tool is called over HTTP.")
    principal: Principal = request.user
    return principal


def mcp_server(issuer: str, notes: Notes) -> ASGIApp:
    """The application behind `/mcp`; every call of it needs the scope mcp:use."""
    server: MCPServer[Any] = MCPServer(
        "grantwell-demo", instructions=_INSTRUCTIONS, log_level="WARNING", subscriptions=False
    )
    tools = _Tools(notes)
    server.add_tool(tools.whoami)
    server.add_tool(tools.add_note)
    port = urlsplit(issuer).port
    hosts = [host if port is None else f"{host}:{port}" for host in _LOOPBACK]
    app = server.streamable_http_app(
        streamable_http_path="/mcp",
        stateless_http=True,
        json_response=True,
        transport_security=TransportSecuritySettings(
            allowed_hosts=hosts, allowed_origins=[f"http://{host}" for host in hosts]
        ),
    )
    # A redirect to the same path with a slash would be built from the Host header.
    app.router.redirect_slashes = False

    async def with_scope(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            require_scopes("mcp:use")
        await app(scope, receive, send)

    return with_scope
