"""An API and the tests of it, with real tokens of its own provider. Run: `pytest examples/tested_api.py`.

The application takes the parts of its provider from whoever makes it: nothing is replaced, patched or switched off.
"""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from grantwell import OAuthProvider, Resource, require_scopes
from grantwell_pytest.tokens import OAuth


async def notes(request: Request) -> JSONResponse:
    """The notes of whoever calls."""
    who = require_scopes("notes:read")
    return JSONResponse({"notes of": who.user_id, "plan": (who.props or {}).get("plan")})


def create_app(**parts: Any) -> OAuthProvider:
    """The application. In production `parts` are an `SQLStore` and a `SecretKey.file`; tests bring their own."""
    return OAuthProvider(
        issuer="https://api.example.com",
        api_handlers={"/api": Starlette(routes=[Route("/api/notes", notes)])},
        resources={"/api": Resource(scopes={"notes:read": "Read your notes", "notes:write": "Write notes for you"})},
        access_token_ttl=3600,
        **parts,
    )


@pytest.fixture
def client(oauth: OAuth) -> TestClient:
    """A client of the application under test."""
    return TestClient(oauth.use(create_app(**oauth.parts)), base_url="https://api.example.com")


def test_the_notes_are_those_of_the_caller(client: TestClient, oauth: OAuth) -> None:
    headers = oauth.headers("alice", ["notes:read"], props={"plan": "free"})
    assert client.get("/api/notes", headers=headers).json() == {"notes of": "alice", "plan": "free"}


def test_another_scope_is_not_enough(client: TestClient, oauth: OAuth) -> None:
    assert client.get("/api/notes", headers=oauth.headers("alice", ["notes:write"])).status_code == 403


def test_a_token_ends_after_an_hour_or_at_once(client: TestClient, oauth: OAuth) -> None:
    old = oauth.headers("alice", ["notes:read"])
    oauth.clock.advance(hours=1)
    assert client.get("/api/notes", headers=old).status_code == 401
    new = oauth.token("alice", ["notes:read"])
    oauth.revoke(new)
    assert client.get("/api/notes", headers={"Authorization": f"Bearer {new}"}).status_code == 401
