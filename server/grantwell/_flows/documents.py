"""Clients that are known by a metadata document: fetched when a user is asked, and then taken at its word (CIMD).

Only the authorization endpoint fetches. What the document said there travels with the request, sealed, and is stored
with the grant; the token endpoint looks at nothing else.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from .._outbound.failures import FetchBudgetSpent, FetchFailed
from .._protocol.client_id_urls import check_client_id_url
from .._protocol.client_metadata import check_document_members, client_document, parse_client_metadata
from .._protocol.json_documents import parse_object
from .._protocol.media_types import is_json_document
from ..config import DAY
from ..errors import AuthorizationError, ClientMetadataError, OAuthError
from ..hooks import ClientRegistration
from ..records import Client
from . import clients, register
from .context import Context

MAX_DOCUMENT_BYTES = 5 * 1024


async def fetch(context: Context, client_id: str, address: str | None) -> Client:
    """The client whose metadata document is at this URL. Raises AuthorizationError, to be shown in the browser."""

    async def load() -> tuple[Client, int]:
        fetched = await context.fetcher.get(client_id, most_bytes=MAX_DOCUMENT_BYTES, on_behalf_of=address)
        if not is_json_document(fetched.content_type):
            raise FetchFailed("its media type is not JSON")
        document = parse_object(fetched.body)
        check_document_members(document, client_id)
        client = _client_of(context, client_id, document)
        shown = clients.without_credentials(client)
        await register.ask(context, ClientRegistration(metadata=document, client=shown, headers={}, address=address))
        return client, min(fetched.max_age or 0, DAY)

    try:
        check_client_id_url(client_id)
        return await context.documents.get(client_id, load)
    except FetchBudgetSpent as error:
        raise AuthorizationError(
            "temporarily_unavailable",
            "Too many metadata documents are being fetched; try again later.",
            status=429,
            headers={"Retry-After": str(error.retry_after)},
            reason=str(error),
        ) from error
    except ClientMetadataError as error:
        raise AuthorizationError(error.code, error.description, reason=f"the document of {client_id!r}") from error
    except OAuthError as error:
        raise AuthorizationError(error.code, error.description, status=error.status, reason=error.reason) from error
    except (FetchFailed, ValueError) as error:
        # One sentence for every cause: the page must not tell what a stranger's network looks like from here.
        raise AuthorizationError(
            "invalid_request",
            "The metadata document of this client cannot be used.",
            reason=f"the document of {client_id!r}: {error}",
        ) from error


def sealed(context: Context, client: Client) -> str:
    """What the document said, as text that only this deployment can have written, to travel with the request."""
    text = json.dumps(client_document(client), sort_keys=True, separators=(",", ":"))
    return json.dumps([text, client.created_at, context.keyring.row_mac("document", [text, client.created_at]).hex()])


def opened(context: Context, client_id: str, snapshot: str) -> Client:
    """The client that was sealed. Raises AuthorizationError for what was altered, or is not acceptable any more."""
    try:
        text, fetched_at, mac = json.loads(snapshot)
        if not context.keyring.row_mac_fits("document", [text, fetched_at], bytes.fromhex(mac)):
            raise ValueError("altered")
        document = json.loads(text)
        check_document_members(document, client_id)
        return replace(_client_of(context, client_id, document), created_at=fetched_at)
    except (ValueError, TypeError, RecursionError, ClientMetadataError) as error:
        raise AuthorizationError("invalid_request", "The client is not known here.", reason="snapshot") from error


async def to_store(context: Context, client: Client) -> Client | None:
    """The row to store with a grant of this client; None if the stored one says the same."""
    stored = await clients.find(context, client.client_id)
    if stored is None:
        return clients.seal(context.keyring, client)
    changed = replace(
        client, created_at=stored.created_at, last_used_at=stored.last_used_at, version=stored.version + 1
    )
    if replace(changed, version=stored.version, mac=stored.mac) == stored:
        return None
    return clients.seal(context.keyring, changed)


def _client_of(context: Context, client_id: str, document: dict[str, Any]) -> Client:
    metadata = parse_client_metadata(document, context.settings, origin="document")
    return Client(
        client_id=client_id,
        origin="document",
        secrets=(),
        created_at=context.now(),
        last_used_at=None,
        version=1,
        mac=b"",
        **clients.described(metadata),
    )
