"""Dynamic client registration (RFC 7591): metadata in, a client of the server's making out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from .. import hooks
from .._protocol.client_metadata import client_document, parse_client_metadata
from ..errors import OAuthError, StoreUnavailable
from ..hooks import ClientRegistration
from ..records import Client
from .clients import new_client, without_credentials
from .context import Context

log = logging.getLogger("grantwell")


async def register(
    context: Context, document: Mapping[str, Any], headers: Mapping[str, str], address: str | None
) -> dict[str, Any]:
    """Register a client and return the answer, its secret included. Raises OAuthError; then nothing is stored."""
    now = context.now()
    metadata = parse_client_metadata(document, context.settings)
    client, secret = new_client(context.keyring, metadata, origin="registration", now=now)
    if context.hooks.client_registration is not None:
        shown = without_credentials(client)
        await _ask(context, ClientRegistration(metadata=dict(document), client=shown, headers=headers, address=address))
    await context.store.add_client(client)
    await context.tell("client_registered", now, client_id=client.client_id)
    return registration_answer(client, secret)


def registration_answer(client: Client, secret: str | None) -> dict[str, Any]:
    """The client as RFC 7591 section 3.2.1 has it; the secret is shown this once."""
    answer = client_document(client)
    if secret is not None:
        answer |= {"client_secret": secret, "client_secret_expires_at": 0}
    return answer


async def _ask(context: Context, event: ClientRegistration) -> None:
    callback = context.hooks.client_registration
    if callback is None:
        return
    try:
        async with asyncio.timeout(context.settings.callback_timeout):
            await hooks.call(callback, event)
    except (OAuthError, StoreUnavailable):
        raise
    except TimeoutError as error:
        raise OAuthError("temporarily_unavailable", reason="client_registration_callback took too long") from error
    except Exception as error:
        log.exception("client_registration_callback failed")
        raise OAuthError(
            "server_error", reason=f"client_registration_callback raised {type(error).__name__}"
        ) from error
