"""Who the client is: its row is believed only if this deployment wrote it, and it proves itself by its own method.

A client that fails is counted with the address that it came from: beyond a number of failures the answer there is
429, while the right credential is always accepted, so that nobody can lock a client out.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import fields, replace
from typing import Any

from .._protocol.client_auth import PresentedClient, basic_challenge, presented_client
from .._protocol.client_metadata import ClientMetadata
from .._protocol.forms import Parameters
from .._protocol.tokens import format_client_secret
from ..crypto import Keyring, KeySet, MacField, UnacceptableKeys, digest_of, equal
from ..errors import ClientMetadataError, OAuthError
from ..records import Client, ClientOrigin, ClientSecret, Digest
from ..throttle import Limits, Throttle
from . import assertions
from .context import Context, Sender
from .issuance import SECRET_BYTES

FAILED_AUTHENTICATIONS = Limits(purpose="client", window=60, of_name=100, of_address=1000)

_MAX_CLIENT_ID_LENGTH = 512
_CLIENT_ID_BYTES = 16


def _row_fields(client: Client) -> list[MacField]:
    # Behind what every row has since the first version stand only members that are set, so that older rows still fit.
    added: list[MacField] = [
        ("jwks", None if client.jwks is None else json.dumps(dict(client.jwks), sort_keys=True)),
        ("jwks_uri", client.jwks_uri),
        ("introspects", client.introspects or None),
        ("registration_access", client.registration_access),
        ("registered_from", client.registered_from),
    ]
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
        *(member for member in added if isinstance(member, tuple) and member[1] is not None),
    ]


def seal(keyring: Keyring, client: Client) -> Client:
    """The client with a MAC over everything that may widen it."""
    return replace(client, mac=keyring.row_mac("client", _row_fields(client)))


def new_client(
    keyring: Keyring,
    metadata: ClientMetadata,
    *,
    origin: ClientOrigin,
    now: int,
    registration_access: Digest | None = None,
    registered_from: Digest | None = None,
    client_id: str | None = None,
) -> tuple[Client, str | None]:
    """A client with this id or a new one, and its secret if its method has one. Raises ClientMetadataError."""
    secret = None
    if metadata.token_endpoint_auth_method in ("client_secret_basic", "client_secret_post"):
        secret = new_secret()
    client = Client(
        client_id=client_id or secrets.token_hex(_CLIENT_ID_BYTES),
        origin=origin,
        secrets=() if secret is None else (ClientSecret(digest=digest_of("client_secret", secret), expires_at=None),),
        created_at=now,
        last_used_at=None,
        version=1,
        mac=b"",
        registration_access=registration_access,
        registered_from=registered_from,
        **described(metadata),
    )
    return seal(keyring, client), secret


def new_secret() -> str:
    """A fresh client secret."""
    return format_client_secret(secrets.token_bytes(SECRET_BYTES))


def described(metadata: ClientMetadata) -> dict[str, Any]:
    """The members of a client that its metadata decides. Raises ClientMetadataError for keys that verify nothing."""
    if metadata.jwks is not None:
        try:
            KeySet.parse(metadata.jwks)
        except UnacceptableKeys as error:
            raise ClientMetadataError(f"jwks is not acceptable: {error}") from error
    return {field.name: getattr(metadata, field.name) for field in fields(metadata)}


def without_credentials(client: Client) -> Client:
    """The client as applications and hooks may see it."""
    return replace(client, secrets=(), registration_access=None, registered_from=None, mac=b"")


async def find(context: Context, client_id: str) -> Client | None:
    """The client of this id, if there is one and this deployment wrote its row as it stands."""
    if not 0 < len(client_id) <= _MAX_CLIENT_ID_LENGTH or not client_id.isascii() or not client_id.isprintable():
        return None
    client = await context.store.get_client(client_id)
    if client is None or not context.keyring.row_mac_fits("client", _row_fields(client), client.mac):
        return None
    return client


async def authenticate(context: Context, sender: Sender, form: Parameters, now: int) -> Client:
    """The client that makes this request (RFC 6749 section 2.3). Raises OAuthError, the same one for all causes."""
    presented = presented_client(sender.authorization, form)
    client = await find(context, presented.client_id)
    if client is None:
        reason = "unknown client"
    elif client.token_endpoint_auth_method != presented.method:
        reason = f"registered for {client.token_endpoint_auth_method}, presented {presented.method}"
    else:
        reason = await _unproven(context, client, presented, sender, now)
    if client is not None and not reason:
        # A stranger's client is in use once a person authorized it: to authenticate costs nothing.
        if client.origin == "operator" or client.last_used_at is not None:
            context.uses.note_client(context.store, client.client_id, client.last_used_at, now)
        return client
    if presented.method != "none":
        await _count_failure(context, presented.client_id, sender, now)
    headers = basic_challenge() if presented.method == "client_secret_basic" else None
    error = OAuthError("invalid_client", headers=headers, reason=reason)
    # It may stand in a header, and is not proven: for whoever looks into the refusal.
    error.inputs = {"client_id": presented.client_id}
    raise error


async def _unproven(context: Context, client: Client, presented: PresentedClient, sender: Sender, now: int) -> str:
    """Why what was presented does not prove that this is the client; "" if it does."""
    if presented.assertion is not None:
        return await assertions.unproven(context, client, presented.assertion, sender, now)
    if presented.secret is not None and not has_secret(client, presented.secret, now):
        return "wrong or expired secret"
    return ""


async def _count_failure(context: Context, client_id: str, sender: Sender, now: int) -> None:
    throttle = Throttle(context.store, context.keyring, FAILED_AUTHENTICATIONS)
    if not await throttle.allows(client_id, sender.address, now):
        raise OAuthError(
            "temporarily_unavailable",
            "Too many failed authentications; try again later.",
            status=429,
            headers={"Retry-After": str(FAILED_AUTHENTICATIONS.window)},
            reason=f"throttled: {sender.address}",
        )
    await throttle.count(client_id, sender.address, now)


def has_secret(client: Client, secret: str, now: int) -> bool:
    """Whether this is a secret of the client that is valid now."""
    digest = digest_of("client_secret", secret)
    valid = [s for s in client.secrets if s.expires_at is None or now < s.expires_at]
    return any(equal(s.digest, digest) for s in valid)


def require_grant_type(client: Client, grant_type: str) -> None:
    """Raises OAuthError `unauthorized_client` if the client is not registered for the grant type."""
    if grant_type not in client.grant_types:
        raise OAuthError("unauthorized_client", reason=f"not registered for {grant_type}")
