"""What an operator or the application may do with clients and grants, by the rules that clients are held to."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from .._protocol.client_metadata import ClientMetadata, client_document, parse_client_metadata
from ..config import DAY, MAX_TTL
from ..crypto import digest_of
from ..errors import ClientMetadataError, OAuthError
from ..records import Client, ClientSecret, RevocationReason
from ..store import Purge, PurgeResult, Revocation, UserRevocation
from .clients import described, find, new_client, new_secret, seal
from .context import Context
from .issuance import sooner

# A wrong clock must not destroy what it takes for expired.
_PURGE_MARGIN_SECONDS = 3600
_MOST_UPDATE_ATTEMPTS = 8
_CHOSEN_CLIENT_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SLICE_OF_GRANTS = 100


async def create_client(
    context: Context, document: Mapping[str, Any], *, client_id: str | None
) -> tuple[Client, str | None]:
    """Create a client from RFC 7591 metadata, with this id or a new one; returns it with its secret, if it has one.

    Raises ClientMetadataError, for an id that is malformed or taken as well.
    """
    now = context.now()
    metadata = parse_client_metadata(document, context.settings, origin="operator")
    if client_id is not None:
        await _check_free(context, client_id)
    client, secret = new_client(context.keyring, metadata, origin="operator", now=now, client_id=client_id)
    await context.store.add_client(client)
    await context.tell("client_registered", now, client_id=client.client_id, reason="operator")
    return client, secret


async def _check_free(context: Context, client_id: str) -> None:
    if not _CHOSEN_CLIENT_ID.fullmatch(client_id):
        raise ClientMetadataError("A client_id has 1 to 64 letters, digits, dots, hyphens and underscores.")
    if await context.store.get_client(client_id) is not None:
        raise ClientMetadataError("There is a client of this client_id already.")


async def update_client(context: Context, client_id: str, changes: Mapping[str, Any]) -> Client | None:
    """Change metadata of a client; None if there is none. Raises ClientMetadataError; then nothing changed.

    The authentication method and with it the secret stay: they belong to the credentials, not to the metadata.
    """

    def changed(client: Client) -> ClientMetadata:
        document = client_document(client)
        # They follow the grant types, which may change.
        del document["response_types"]
        return parse_client_metadata(document | dict(changes), context.settings, origin=client.origin)

    return await redescribe(context, client_id, changed)


async def redescribe(
    context: Context, client_id: str, metadata_of: Callable[[Client], ClientMetadata]
) -> Client | None:
    """Give a client other metadata, which may be made of what it has; None if there is none.

    Raises ClientMetadataError for a document's client, for another authentication method, and what `metadata_of`
    raises.
    """
    for _ in range(_MOST_UPDATE_ATTEMPTS):
        client = await find(context, client_id)
        if client is None:
            return None
        if client.origin == "document":
            raise ClientMetadataError("This client is what its metadata document says.")
        changed = seal(context.keyring, redescribed(client, metadata_of(client)))
        if await context.store.replace_client(changed):
            await context.tell("client_changed", context.now(), client_id=client_id)
            return changed
    raise OAuthError("temporarily_unavailable", reason="the client keeps changing")


def redescribed(client: Client, metadata: ClientMetadata) -> Client:
    """The next version of a client, with other metadata, not sealed yet. Raises ClientMetadataError."""
    if metadata.token_endpoint_auth_method != client.token_endpoint_auth_method:
        raise ClientMetadataError("token_endpoint_auth_method cannot be changed; create another client.")
    return replace(client, **described(metadata), version=client.version + 1, mac=b"")


async def rotate_client_secret(context: Context, client_id: str, *, overlap: int) -> tuple[Client, str] | None:
    """Give a client another secret; the newest one before it stays valid for `overlap` seconds (0: ends at once).

    Returns None if there is no such client. Raises ClientMetadataError for one without a secret, ValueError.
    """
    if isinstance(overlap, bool) or not isinstance(overlap, int) or not 0 <= overlap <= MAX_TTL:
        raise ValueError(f"the overlap is a whole number of seconds from 0 to {MAX_TTL}")
    for _ in range(_MOST_UPDATE_ATTEMPTS):
        client = await find(context, client_id)
        if client is None:
            return None
        if not client.secrets:
            raise ClientMetadataError("This client has no secret to rotate.")
        now = context.now()
        secret = new_secret()
        newest = client.secrets[-1]
        before = replace(newest, expires_at=sooner(newest.expires_at, now + overlap))
        kept = (before,) if overlap else ()
        added = ClientSecret(digest=digest_of("client_secret", secret), expires_at=None)
        changed = seal(context.keyring, replace(client, secrets=(*kept, added), version=client.version + 1, mac=b""))
        if await context.store.replace_client(changed):
            await context.tell("client_secret_rotated", now, client_id=client_id)
            return changed, secret
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
    # For the event alone: a damaged row cannot be read, and is revoked all the same.
    grant = await context.store.get_grant(grant_id)
    revoked = await context.store.revoke_grant(Revocation(grant_id=grant_id, now=now, reason=reason, user_id=user_id))
    if revoked:
        await context.tell(
            "grant_revoked",
            now,
            client_id=None if grant is None else grant.client_id,
            user_id=user_id if grant is None else grant.user_id,
            grant_id=grant_id,
            reason=reason,
        )
    return revoked


async def revoke_grants(context: Context, grant_ids: Iterable[str], *, reason: RevocationReason) -> AsyncIterator[int]:
    """End these grants, a slice at a time; after each slice, how many of it had not ended.

    Each is a transaction of its own, so that nobody else waits for all of them.
    """
    ids = list(grant_ids)
    for start in range(0, len(ids), _SLICE_OF_GRANTS):
        ended = 0
        for grant_id in ids[start : start + _SLICE_OF_GRANTS]:
            ended += await revoke_grant(context, grant_id, user_id=None, reason=reason)
        yield ended


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
    result = await purge_step(context, limit=limit)
    await context.tell("purged", context.now(), reason=str(result))
    return result


async def purge_step(context: Context, *, limit: int) -> PurgeResult:
    """The same, which nobody is told of."""
    now = context.now()
    unused_ttl, event_ttl = context.settings.unused_client_ttl, context.settings.event_ttl
    return await context.store.purge(
        Purge(
            now=now,
            ended_before=now - _PURGE_MARGIN_SECONDS,
            unused_since=None if unused_ttl is None else now - unused_ttl,
            never_used_since=None if unused_ttl is None else now - min(unused_ttl, DAY),
            limit=limit,
            events_before=None if event_ttl is None else now - event_ttl,
        )
    )
