"""How commands show a client: as RFC 7591 has it, with what only the server knows."""

from __future__ import annotations

from typing import Any

import click

from grantwell_storage import SQLStore

from .._protocol.client_metadata import client_document
from ..records import Client
from .deployment import Deployment


def document(client: Client) -> dict[str, Any]:
    return client_document(client) | {"origin": client.origin, "last_used_at": client.last_used_at}


async def missing(store: SQLStore, deployment: Deployment, client_id: str) -> click.ClickException:
    """Why there is no client of this id that could be believed."""
    if await store.get_client(client_id) is None:
        return click.ClickException("There is no client with this id.")
    return click.ClickException(
        f"The row of this client was not written with the key {deployment.key_file}: "
        "it was changed behind Grantwell's back, or this is the key of another database."
    )


def readable(document: dict[str, Any]) -> dict[str, Any]:
    """The document with a line for each key of the client."""
    if "jwks" not in document:
        return document
    return document | {"jwks": [_described(key) for key in document["jwks"]["keys"]]}


def _described(key: dict[str, Any]) -> str:
    """What tells a public key from others: type, curve, algorithm and id, as far as it says so."""
    return " ".join(f"{name}={key[name]}" for name in ("kty", "crv", "alg", "use", "kid") if name in key)
