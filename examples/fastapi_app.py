"""Grantwell in front of a FastAPI application. Run: `uvicorn examples.fastapi_app:app`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI

from grantwell import OAuthProvider, Principal, Resource, SecretKey, require_scopes
from grantwell.signin import SignIn
from grantwell_storage import SQLStore

FOLDER = Path(os.environ.get("EXAMPLE_FOLDER", "."))


async def reader() -> Principal:
    """Who calls, if their token may read; otherwise the answer is a 403 that says what is missing."""
    return require_scopes("notes:read")


async def writer() -> Principal:
    """Who calls, if their token may write."""
    return require_scopes("notes:write")


api = FastAPI()
notes: dict[str, list[str]] = {}


@api.get("/api/notes")
async def read(who: Annotated[Principal, Depends(reader)]) -> list[str]:
    """The notes of whoever calls."""
    return notes.get(who.identity, [])


@api.post("/api/notes", status_code=201)
async def write(text: str, who: Annotated[Principal, Depends(writer)]) -> int:
    """Keep a note; answers how many there are."""
    notes.setdefault(who.identity, []).append(text)
    return len(notes[who.identity])


store = SQLStore(f"sqlite+aiosqlite:///{FOLDER / 'fastapi_app.db'}")
key = SecretKey.file(FOLDER / "fastapi_app.key")
app = OAuthProvider(
    issuer="http://127.0.0.1:8000",
    store=store,
    secret_key=key,
    api_handlers={"/api": api},
    default_handler=SignIn(store, key),
    resources={"/api": Resource(scopes={"notes:read": "Read your notes", "notes:write": "Write notes for you"})},
)
