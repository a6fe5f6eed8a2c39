"""What an operator or the application may do with clients and grants, by the rules that clients are held to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .._protocol.client_metadata import client_document, parse_client_metadata
from ..config import DAY
from ..errors import ClientMetadataError, OAuthError
from ..records import Client, RevocationReason
from ..store import Purge, PurgeResult, Revocation, UserRevocation
from .clients import find, new_client, seal
from .context import Context

# A wrong clock must not destroy what it takes for expired.
_PURGE_MARGIN_SECONDS = 3600
_MOST_UPDATE_ATTEMPTS = 8


async def create_client(context: Context, document: Mapping[str, Any]) -> tuple[Client, str | None]:
    """Create a client from RFC 7591 metadata; returns it with its secret, if it has one. Raises ClientMetadataError."""
    now = context.now()
    client, secret = new_client(
        context.keyring, parse_client_metadata(document, context.settings), origin="operator", now=now
    )
    await context.store.add_client(client)
    await context.tell("client_registered", now, client_id=client.client_id, reason="operator")
    return client, secret


async def update_client(context: Context, client_id: str, changes: Mapping[str, Any]) -> Client | None:
    """Change metadata of a client; None if there is none. Raises ClientMetadataError; then nothing changed.

    The authentication method and with it the secret stay: they belong to the credentials, not to the metadata.
    """
    for _ in range(_MOST_UPDATE_ATTEMPTS):
        client = await find(context, client_id)
        if client is None:
            return None
        document = client_document(client) | dict(changes)
        if document.get("token_endpoint_auth_method") != client.token_endpoint_auth_method:
            raise ClientMetadataError("token_endpoint_auth_method cannot be changed; create another client.")
        metadata = parse_client_metadata(document, context.settings)
        changed = seal(
            context.keyring,
            replace(
                client,
                name=metadata.name,
                redirect_uris=metadata.redirect_uris,
                grant_types=metadata.grant_types,
                response_types=metadata.response_types,
                scopes=metadata.scopes,
                metadata=metadata.metadata,
                version=client.version + 1,
                mac=b"",
            ),
        )
        if await context.store.replace_client(changed):
            await context.tell("client_changed", context.now(), client_id=client_id)
            return changed
    raise OAuthError("temporarily_unavailable", reason="the client keeps changing")


async def delete_client(context: Context, client_id: str) -> bool:
    """Delete a client with its grants, codes and tokens; False if there is none."""
    deleted = await context.store.delete_client(client_id)
    if deleted:
        await context.tell("client_deleted", context.now(), client_id=client_id)
    return deleted


async def revoke_grant(context: Context, grant_id: str, *, user_id: str | None, reason: RevocationReason) -> bool:
    """End one grant, with `user_id` only if it is that user's; False if there was nothing to end."""
    now = context.now()
    revoked = await context.store.revoke_grant(Revocation(grant_id=grant_id, now=now, reason=reason, user_id=user_id))
    if revoked:
        await context.tell("grant_revoked", now, user_id=user_id, grant_id=grant_id, reason=reason)
    return revoked


async def revoke_user_grants(context: Context, user_id: str, *, client_id: str | None, reason: RevocationReason) -> int:
    """End the grants of a user, or those with one client; returns how many had not ended."""
    now = context.now()
    count = await context.store.revoke_user_grants(
        UserRevocation(user_id=user_id, now=now, reason=reason, client_id=client_id)
    )
    if count:
        await context.tell("grant_revoked", now, client_id=client_id, user_id=user_id, reason=reason)
    return count


async def purge_expired(context: Context, *, limit: int) -> PurgeResult:
    """One bounded step of housekeeping, at most `limit` rows of each kind; call again until it is `done`."""
    now = context.now()
    unused_ttl = context.settings.unused_client_ttl
    result = await context.store.purge(
        Purge(
            now=now,
            ended_before=now - _PURGE_MARGIN_SECONDS,
            unused_since=None if unused_ttl is None else now - unused_ttl,
            never_used_since=None if unused_ttl is None else now - min(unused_ttl, DAY),
            limit=limit,
        )
    )
    await context.tell("purged", now, reason=str(result))
    return result
