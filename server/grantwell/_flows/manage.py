"""A client that registered itself reads, changes and deletes what it registered (RFC 7592)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._protocol.challenges import bearer_credential
from .._protocol.client_metadata import parse_client_metadata
from .._protocol.tokens import parse_token
from ..crypto import digest_of, equal
from ..errors import ClientMetadataError, OAuthError
from ..hooks import ClientRegistration
from ..records import Client
from . import admin, register
from .clients import find, has_secret, without_credentials
from .context import Context, Sender
from .initial_access import registration_refused

# What the server alone says, and a client must not send (RFC 7592 section 2.2).
_SERVER_MEMBERS = (
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
)


async def read(context: Context, client_id: str, sender: Sender) -> dict[str, Any]:
    """What is registered. Raises OAuthError `invalid_token`, also for a client that is not there."""
    client, token = await _authenticated(context, client_id, sender)
    return register.registration_answer(client, None) | register.management(context, client, token)


async def replace(
    context: Context, client_id: str, document: Mapping[str, Any], headers: Mapping[str, str], sender: Sender
) -> dict[str, Any]:
    """Register the document in the place of what was registered: what it leaves out is gone. Raises OAuthError."""
    client, token = await _authenticated(context, client_id, sender)
    _check_members(client, document, context.now())
    metadata = parse_client_metadata(document, context.settings)
    shown = without_credentials(admin.redescribed(client, metadata))
    sent = {name: value for name, value in document.items() if name != "client_secret"}
    await register.ask(
        context, ClientRegistration(metadata=sent, client=shown, headers=headers, address=sender.address)
    )
    changed = await admin.redescribe(context, client.client_id, lambda _: metadata)
    if changed is None:
        raise _refused("the client was deleted meanwhile")
    return register.registration_answer(changed, None) | register.management(context, changed, token)


def _check_members(client: Client, document: Mapping[str, Any], now: int) -> None:
    """Raises ClientMetadataError for members that the client may not change (RFC 7592 section 2.2)."""
    if document.get("client_id") != client.client_id:
        raise ClientMetadataError("client_id must be that of the client.")
    if any(name in document for name in _SERVER_MEMBERS):
        raise ClientMetadataError("The body has members that only the server may set.")
    if "client_secret" not in document:
        return
    secret = document["client_secret"]
    if not isinstance(secret, str) or not has_secret(client, secret, now):
        raise ClientMetadataError("client_secret must be left out, or be the client's own.")


async def delete(context: Context, client_id: str, sender: Sender) -> None:
    """Delete the client with its grants and tokens. Raises OAuthError `invalid_token`."""
    client, _ = await _authenticated(context, client_id, sender)
    await admin.delete_client(context, client.client_id)


async def _authenticated(context: Context, client_id: str, sender: Sender) -> tuple[Client, str]:
    """The client, and its registration access token as it was sent; the same refusal whatever is wrong with it."""
    token = bearer_credential(sender.authorization, b"")
    parsed = None if token is None else parse_token(token)
    client = await find(context, client_id)
    if token is None or parsed is None or parsed.kind != "registration_access":
        raise _refused("no registration access token", was_sent=token is not None)
    if client is None or client.registration_access is None:
        raise _refused("unknown client, or one that is not managed here")
    if not equal(client.registration_access, digest_of("registration_access", token)):
        raise _refused("another registration access token")
    return client, token


def _refused(reason: str, *, was_sent: bool = True) -> OAuthError:
    # RFC 7592 section 2.1: 401 for a client that is not there too, so that nobody learns which there are.
    return registration_refused("The registration access token is not valid.", reason, was_sent=was_sent)
