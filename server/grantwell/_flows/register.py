"""Dynamic client registration (RFC 7591): metadata in, a client of the server's making out."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from .._protocol.client_metadata import client_document, parse_client_metadata
from .._protocol.tokens import format_registration_access_token
from .._urls import network_of
from ..crypto import digest_of
from ..errors import OAuthError
from ..hooks import ClientRegistration
from ..records import Client, Digest
from ..store import Registration
from . import initial_access
from .asking import asked
from .clients import new_client, without_credentials
from .context import Context, Sender
from .issuance import SECRET_BYTES

QUOTA_SECONDS = 3600


async def register(
    context: Context, document: Mapping[str, Any], headers: Mapping[str, str], sender: Sender
) -> dict[str, Any]:
    """Register a client and return the answer, its credentials included. Raises OAuthError; then nothing is stored.

    Of one address at most `max_unused_clients` an hour are kept that nobody uses; those that are used do not count.
    """
    now = context.now()
    settings = context.settings
    initial_token = await initial_access.required(context, sender, now)
    management_token = _management_token() if settings.allow_client_management else None
    address = None if sender.address is None else network_of(sender.address) or sender.address
    client, secret = new_client(
        context.keyring,
        parse_client_metadata(document, settings),
        origin="registration",
        now=now,
        registration_access=None if management_token is None else digest_of("registration_access", management_token),
        registered_from=None if address is None else context.keyring.throttle_key("registration", address),
    )
    shown = without_credentials(client)
    await ask(
        context, ClientRegistration(metadata=dict(document), client=shown, headers=headers, address=sender.address)
    )
    await _store(context, client, initial_token, now)
    await context.tell("client_registered", now, client_id=client.client_id)
    answer = registration_answer(client, secret)
    return answer if management_token is None else answer | management(context, client, management_token)


async def ask(context: Context, event: ClientRegistration) -> None:
    """Let `client_registration_callback` refuse a client. Raises OAuthError."""
    if context.hooks.client_registration is not None:
        await asked(context, "client_registration_callback", context.hooks.client_registration, event)


async def _store(context: Context, client: Client, initial_token: Digest | None, now: int) -> None:
    registration = Registration(
        client=client,
        most_unused=context.settings.max_unused_clients,
        since=now - QUOTA_SECONDS,
        initial_access=initial_token,
        now=now,
    )
    outcome = await context.store.register_client(registration)
    if outcome == "too_many":
        # Uses are written behind the requests: some of the clients may be in use already.
        await context.uses.flush(context.store)
        outcome = await context.store.register_client(registration)
    if outcome == "spent":
        raise initial_access.refused("spent meanwhile")
    if outcome == "too_many":
        raise OAuthError(
            "temporarily_unavailable",
            "Too many clients were registered from here and never used; try again later.",
            status=429,
            headers={"Retry-After": str(QUOTA_SECONDS)},
            reason="quota of unused clients",
        )


def registration_answer(client: Client, secret: str | None) -> dict[str, Any]:
    """The client as RFC 7591 section 3.2.1 has it; the secret is shown this once."""
    answer = client_document(client)
    if secret is not None:
        answer |= {"client_secret": secret, "client_secret_expires_at": 0}
    return answer


def management(context: Context, client: Client, token: str) -> dict[str, Any]:
    """The members that let a client manage what it registered (RFC 7592 section 3)."""
    place = f"{context.settings.client_registration_endpoint}/{client.client_id}"
    return {"registration_client_uri": context.settings.url(place), "registration_access_token": token}


def _management_token() -> str:
    return format_registration_access_token(secrets.token_bytes(SECRET_BYTES))
