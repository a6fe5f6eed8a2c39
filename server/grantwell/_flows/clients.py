"""Who the client is: its row is believed only if this deployment wrote it, and it proves itself by its own method."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import replace

from .._protocol.client_auth import basic_challenge, presented_client
from .._protocol.client_metadata import ClientMetadata
from .._protocol.forms import Parameters
from .._protocol.tokens import format_client_secret
from ..crypto import Keyring, MacField, digest_of, equal
from ..errors import OAuthError
from ..records import Client, ClientOrigin, ClientSecret
from .context import Context
from .issuance import SECRET_BYTES

_MAX_CLIENT_ID_LENGTH = 512
_CLIENT_ID_BYTES = 16


def _row_fields(client: Client) -> list[MacField]:
    return [
        client.client_id,
        client.origin,
        client.name,
        client.redirect_uris,
        client.grant_types,
        client.response_types,
        client.token_endpoint_auth_method,
        client.scopes,
        json.dumps(dict(client.metadata), sort_keys=True),
        tuple((secret.digest, secret.expires_at) for secret in client.secrets),
        client.created_at,
        client.version,
    ]


def seal(keyring: Keyring, client: Client) -> Client:
    """The client with a MAC over everything that may widen it."""
    return replace(client, mac=keyring.row_mac("client", _row_fields(client)))


def new_client(
    keyring: Keyring, metadata: ClientMetadata, *, origin: ClientOrigin, now: int
) -> tuple[Client, str | None]:
    """A client with an id of the server's making, and its secret if its method needs one."""
    secret = None
    if metadata.token_endpoint_auth_method != "none":  # noqa: S105
        secret = format_client_secret(secrets.token_bytes(SECRET_BYTES))
    client = Client(
        client_id=secrets.token_hex(_CLIENT_ID_BYTES),
        origin=origin,
        name=metadata.name,
        redirect_uris=metadata.redirect_uris,
        grant_types=metadata.grant_types,
        response_types=metadata.response_types,
        token_endpoint_auth_method=metadata.token_endpoint_auth_method,
        scopes=metadata.scopes,
        metadata=metadata.metadata,
        secrets=() if secret is None else (ClientSecret(digest=digest_of("client_secret", secret), expires_at=None),),
        created_at=now,
        last_used_at=None,
        version=1,
        mac=b"",
    )
    return seal(keyring, client), secret


def without_credentials(client: Client) -> Client:
    """The client as applications and hooks may see it."""
    return replace(client, secrets=(), mac=b"")


async def find(context: Context, client_id: str) -> Client | None:
    """The client of this id, if there is one and this deployment wrote its row as it stands."""
    if not 0 < len(client_id) <= _MAX_CLIENT_ID_LENGTH or not client_id.isascii() or not client_id.isprintable():
        return None
    client = await context.store.get_client(client_id)
    if client is None or not context.keyring.row_mac_fits("client", _row_fields(client), client.mac):
        return None
    return client


async def authenticate(context: Context, authorization: Sequence[bytes], form: Parameters, now: int) -> Client:
    """The client that makes this request (RFC 6749 section 2.3). Raises OAuthError, the same one for all causes."""
    presented = presented_client(authorization, form)
    client = await find(context, presented.client_id)
    if client is None:
        reason = "unknown client"
    elif client.token_endpoint_auth_method != presented.method:
        reason = f"registered for {client.token_endpoint_auth_method}, presented {presented.method}"
    elif presented.secret is not None and not _secret_fits(client, presented.secret, now):
        reason = "wrong or expired secret"
    else:
        context.uses.note_client(context.store, client.client_id, client.last_used_at, now)
        return client
    headers = basic_challenge() if presented.method == "client_secret_basic" else None
    raise OAuthError("invalid_client", headers=headers, reason=reason)


def _secret_fits(client: Client, secret: str, now: int) -> bool:
    digest = digest_of("client_secret", secret)
    valid = [s for s in client.secrets if s.expires_at is None or now < s.expires_at]
    return any(equal(s.digest, digest) for s in valid)


def require_grant_type(client: Client, grant_type: str) -> None:
    """Raises OAuthError `unauthorized_client` if the client is not registered for the grant type."""
    if grant_type not in client.grant_types:
        raise OAuthError("unauthorized_client", reason=f"not registered for {grant_type}")
