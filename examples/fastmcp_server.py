"""Grantwell in front of a FastMCP server. Run: `uvicorn examples.fastmcp_server:app`, add http://127.0.0.1:8000/mcp."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fastmcp import FastMCP
from fastmcp.server.auth import require_scopes

from grantwell import OAuthProvider, Resource, SecretKey
from grantwell.integrations.fastmcp import Grantwell, get_access_token
from grantwell.signin import SignIn
from grantwell_storage import SQLStore

FOLDER = Path(os.environ.get("EXAMPLE_FOLDER", "."))
ISSUER = os.environ.get("ISSUER", "http://127.0.0.1:8000")

# Every call needs the scope given here; a tool may ask for more, and is hidden from those who have less.
mcp: FastMCP[Any] = FastMCP("notes", auth=Grantwell(scopes=["notes:read"]))
notes: dict[str, list[str]] = {}


def caller() -> str:
    """Who is calling. `claims["props"]` has what was given to `complete_authorization`."""
    token = get_access_token()
    if token is None or token.subject is None:
        raise LookupError("these tools are for people, over HTTP")
    return token.subject


@mcp.tool
def read_notes() -> list[str]:
    """Read the notes of whoever calls."""
    return notes.get(caller(), [])


@mcp.tool(auth=require_scopes("notes:write"))
def add_note(text: str) -> int:
    """Keep a note; answers how many there are."""
    notes.setdefault(caller(), []).append(text)
    return len(notes[caller()])


store = SQLStore(f"sqlite+aiosqlite:///{FOLDER / 'fastmcp_server.db'}")
key = SecretKey.file(FOLDER / "fastmcp_server.key")
app = OAuthProvider(
    issuer=ISSUER,
    store=store,
    secret_key=key,
    api_handlers={"/mcp": mcp.http_app(path="/mcp")},
    default_handler=SignIn(store, key),
    resources={"/mcp": Resource(scopes={"notes:read": "Read your notes", "notes:write": "Write notes for you"})},
)
