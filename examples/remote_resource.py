"""An API in a process of its own, which asks the authorization server about tokens. Three commands, in this order:

    eval "$(python -m examples.remote_resource)"
    uvicorn --factory examples.remote_resource:authorization_server
    uvicorn --factory examples.remote_resource:files --port 8001

The first makes credentials for the API and sets them in the environment; the others are the two processes.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from grantwell import OAuthProvider, Resource, SecretKey, require_scopes
from grantwell.resource import ResourceServer
from grantwell.signin import SignIn
from grantwell_storage import SQLStore

FOLDER = Path(os.environ.get("EXAMPLE_FOLDER", "."))
ISSUER = os.environ.get("ISSUER", "http://127.0.0.1:8000")
RESOURCE = os.environ.get("RESOURCE", "http://127.0.0.1:8001/files")
SCOPES = {"files:read": "List your files", "files:write": "Change your files"}


def authorization_server() -> OAuthProvider:
    """Signs people in and issues tokens; it protects no API itself, but knows of one elsewhere."""
    store = SQLStore(f"sqlite+aiosqlite:///{FOLDER / 'remote_resource.db'}")
    key = SecretKey.file(FOLDER / "remote_resource.key")
    return OAuthProvider(
        issuer=ISSUER,
        store=store,
        secret_key=key,
        api_handlers={},
        default_handler=SignIn(store, key),
        introspection_endpoint="/introspect",
        resources={RESOURCE: Resource(scopes=SCOPES, name="Files")},
    )


async def list_files(request: Request) -> JSONResponse:
    """The files of whoever calls."""
    who = require_scopes("files:read")
    return JSONResponse([f"{who.user_id}/notes.txt"])


async def remove_files(request: Request) -> JSONResponse:
    """Remove them."""
    who = require_scopes("files:write")
    return JSONResponse({"removed": who.user_id})


def files() -> ResourceServer:
    """The API, which has neither the database nor the key."""
    api = Starlette(
        routes=[Route("/files", list_files), Route("/files", remove_files, methods=["DELETE"])],
    )
    return ResourceServer(
        api,
        resource=RESOURCE,
        issuer=ISSUER,
        client_id=os.environ["FILES_CLIENT_ID"],
        client_secret=os.environ["FILES_CLIENT_SECRET"],
        scopes=SCOPES,
        name="Files",
    )


async def credentials() -> dict[str, str]:
    """Those of the API at the authorization server, made anew: its client id and its secret."""
    metadata = {
        "client_name": "Files",
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "client_secret_basic",
        "introspects": [RESOURCE],
    }
    async with authorization_server().running() as server:
        client, secret = await server.helpers.create_client(metadata)
    return {"FILES_CLIENT_ID": client.client_id, "FILES_CLIENT_SECRET": secret or ""}


if __name__ == "__main__":
    for name, value in asyncio.run(credentials()).items():
        print(f"export {name}={value}")
