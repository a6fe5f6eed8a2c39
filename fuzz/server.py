"""The server that random requests go to, in a process of its own: `python -m fuzz.server PARSER`.

It prints one line of JSON when it serves: its port, and the clients that its operator registered.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from grantwell import IdentityAssertion, MappedIdentity, OAuthProvider, Resource, SecretKey, TrustedIssuer
from grantwell.crypto import Keyring, PasswordHasher
from grantwell.signin import Accounts, SignIn
from grantwell_migrations import upgrade
from grantwell_storage import SQLStore

ISSUER = "https://as.test"
USER, PASSWORD = "ada", "correct horse"
SCOPES = {"read": "Read things", "write": "Write things"}
RESOURCES = (f"{ISSUER}/api", f"{ISSUER}/other")
REDIRECT = "https://c1.test/cb"
MOST_UNUSED_CLIENTS = 10
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
IDENTITY_PROVIDER = "https://idp.test"


async def mapped(event: IdentityAssertion) -> MappedIdentity:
    """Whom an identity assertion stands for."""
    return MappedIdentity(user_id=event.subject)


async def api(scope: Scope, receive: Receive, send: Send) -> None:
    """A protected application."""
    await PlainTextResponse("ok")(scope, receive, send)


def provider(store: SQLStore) -> OAuthProvider:
    """A server with everything on that can be switched on."""
    key = SecretKey(b"f" * 32)
    # As cheap as argon2id can be: what a password costs is not the question here.
    pages = SignIn(store, key, hasher=PasswordHasher(memory_kib=64, passes=1, lanes=1))
    return OAuthProvider(
        issuer=ISSUER,
        store=store,
        secret_key=key,
        api_handlers={"/api": api, "/other": api},
        resources={"/api": Resource(scopes=SCOPES, name="The API"), "/other": Resource(scopes={"read": "Read"})},
        default_handler=pages,
        introspection_endpoint="/introspect",
        allow_client_management=True,
        allow_token_exchange=True,
        # Its keys cannot be fetched: what is asked before that is in reach.
        trusted_issuers=[
            TrustedIssuer(issuer=IDENTITY_PROVIDER, jwks_uri="https://127.0.0.1:1/keys", map_claims=mapped)
        ],
        max_unused_clients=MOST_UNUSED_CLIENTS,
        trusted_proxies=["127.0.0.1"],
    )


async def operators_clients(app: OAuthProvider) -> list[dict[str, Any]]:
    """Clients that no one can register by himself."""
    created = []
    for metadata in (
        {"grant_types": ["client_credentials"], "scope": "read write"},
        {"grant_types": ["authorization_code", "refresh_token", TOKEN_EXCHANGE], "redirect_uris": [REDIRECT]},
        {"grant_types": ["client_credentials"], "introspects": list(RESOURCES)},
        {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"},
    ):
        client, secret = await app.helpers.create_client(metadata)
        created.append(
            {
                "client_id": client.client_id,
                "client_secret": secret,
                "redirect_uris": list(client.redirect_uris),
                "grant_types": list(client.grant_types),
                "token_endpoint_auth_method": client.token_endpoint_auth_method,
                "introspects": bool(client.introspects),
            }
        )
    return created


async def serve(parser: str, folder: Path) -> None:
    """Serve until the process is told to stop."""
    url = f"sqlite+aiosqlite:///{folder / 'oauth.db'}"
    await asyncio.to_thread(upgrade, url)
    store = SQLStore(url)
    app = provider(store)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        config = uvicorn.Config(
            app, http=parser, ws="none", lifespan="off", access_log=False, proxy_headers=False, log_level="error"
        )
        async with app.running():
            accounts = Accounts(
                store, Keyring(ISSUER, SecretKey(b"f" * 32)), PasswordHasher(memory_kib=64, passes=1, lanes=1)
            )
            await accounts.add(USER, PASSWORD)
            ready = {"port": listener.getsockname()[1], "clients": await operators_clients(app)}
            print(json.dumps(ready), flush=True)
            await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(serve(sys.argv[1], Path(place)))
