"""Grantwell in front of a FastAPI application. Run `uvicorn examples.fastapi_app:app`, and open /docs to try it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Security

from grantwell import OAuthProvider, Principal, Resource, SecretKey
from grantwell.integrations.fastapi import OAuth, add_docs
from grantwell.signin import SignIn
from grantwell_storage import SQLStore

FOLDER = Path(os.environ.get("EXAMPLE_FOLDER", "."))
ISSUER = os.environ.get("ISSUER", "http://127.0.0.1:8000")
SCOPES = {"notes:read": "Read your notes", "notes:write": "Write notes for you"}

api = FastAPI(title="Notes", docs_url=None)
oauth = OAuth(ISSUER, SCOPES)
add_docs(api, scopes=list(SCOPES))

# What these ask for is in the OpenAPI document, and a token without it is answered by 403.
Reader = Annotated[Principal, Security(oauth, scopes=["notes:read"])]
Writer = Annotated[Principal, Security(oauth, scopes=["notes:write"])]
notes: dict[str, list[str]] = {}


@api.get("/api/notes")
async def read(who: Reader) -> list[str]:
    """The notes of whoever calls."""
    return notes.get(who.identity, [])


@api.post("/api/notes", status_code=201)
async def write(text: str, who: Writer) -> int:
    """Keep a note; answers how many there are."""
    notes.setdefault(who.identity, []).append(text)
    return len(notes[who.identity])


store = SQLStore(f"sqlite+aiosqlite:///{FOLDER / 'fastapi_app.db'}")
key = SecretKey.file(FOLDER / "fastapi_app.key")
app = OAuthProvider(
    issuer=ISSUER,
    store=store,
    secret_key=key,
    api_handlers={"/api": api},
    # What is no page of the sign-in goes to FastAPI as well: /docs and /openapi.json, for everybody.
    default_handler=SignIn(store, key, fallback=api),
    resources={"/api": Resource(scopes=SCOPES)},
)
