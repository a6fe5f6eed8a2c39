"""A server process over TLS, on an inherited socket: `python -m tests.interop.secure_app FOLDER DESCRIPTOR PATH`.

PATH is the path of the issuer: empty, or the prefix below which another application has mounted the provider.

The folder holds the certificates of `tests.interop.tls`; database and key are made there under the names that the
command line expects, so that an operator's commands run in the folder work beside the server.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from grantwell import OAuthProvider, Resource, SecretKey
from grantwell.crypto import Keyring
from grantwell.signin import Accounts, SignIn
from grantwell_migrations import upgrade
from grantwell_storage import SQLStore
from tests.cli.processes import DEMO_PASSWORD
from tests.interop.tls import HOST
from tests.wire.world import SCOPES, api

USER = "demo"
# Where the documents of clients are, in these tests.
LOOPBACK = ("127.0.0.0/8", "::1/128")


def make_provider(store: SQLStore, secret_key: SecretKey, issuer: str) -> OAuthProvider:
    """Two protected applications of the same scopes, and the default sign-in."""
    return OAuthProvider(
        issuer=issuer,
        store=store,
        secret_key=secret_key,
        api_handlers={"/api": api, "/other": api},
        resources={"/api": Resource(scopes=SCOPES), "/other": Resource(scopes=SCOPES)},
        default_handler=SignIn(store, secret_key),
        introspection_endpoint="/introspect",
        cimd_allowed_networks=LOOPBACK,
    )


def mounted(provider: OAuthProvider, path: str) -> ASGIApp:
    """The provider below a prefix of another application."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with provider.running():
            yield

    return Starlette(routes=[Mount("/.well-known", provider.well_known), Mount(path, provider)], lifespan=lifespan)


async def _seed(store: SQLStore, secret_key: SecretKey, issuer: str) -> None:
    await store.open()
    try:
        await Accounts(store, Keyring(issuer, secret_key)).add(USER, DEMO_PASSWORD)
    finally:
        await store.close()


if __name__ == "__main__":
    folder, listening, prefix = Path(sys.argv[1]), socket.socket(fileno=int(sys.argv[2])), sys.argv[3]
    database = f"sqlite+aiosqlite:///{folder / 'grantwell.db'}"
    key = SecretKey.file(folder / "grantwell.key")
    issuer = f"https://{HOST}:{listening.getsockname()[1]}{prefix}"
    upgrade(database)
    asyncio.run(_seed(SQLStore(database), key, issuer))
    served = make_provider(SQLStore(database), key, issuer)
    config = uvicorn.Config(
        mounted(served, prefix) if prefix else served,
        ssl_certfile=folder / "certificate.pem",
        ssl_keyfile=folder / "certificate.key",
        log_level="warning",
        access_log=False,
        lifespan="on",
    )
    uvicorn.Server(config).run(sockets=[listening])
