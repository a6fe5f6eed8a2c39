"""The token endpoint: authenticate the client, then the grant it names (OAuth 2.1 section 3.2)."""

from __future__ import annotations

from .. import config
from .._protocol.forms import Parameters
from ..errors import OAuthError
from ..records import Client
from . import client_credentials, code, exchange, jwt_bearer, refresh
from .clients import authenticate
from .context import Context, Sender
from .issuance import TokenAnswer


async def issue(context: Context, sender: Sender, form: Parameters) -> TokenAnswer:
    """Answer a token request. Raises OAuthError or StoreUnavailable."""
    now = context.now()
    refuse_repeated(form)
    client = await authenticate(context, sender, form, now)
    try:
        return await _issue(context, client, sender, form, now)
    except OAuthError as error:
        error.client_id = client.client_id
        raise


async def _issue(context: Context, client: Client, sender: Sender, form: Parameters, now: int) -> TokenAnswer:
    grant_type = form.one("grant_type")
    if grant_type is None:
        raise OAuthError("invalid_request", "The grant_type parameter is missing.")
    if grant_type not in context.settings.grant_types:
        raise OAuthError("unsupported_grant_type")
    match grant_type:
        case "authorization_code":
            return await code.exchange(context, client, form, now)
        case "refresh_token":
            return await refresh.refresh(context, client, form, now)
        case "client_credentials":
            return await client_credentials.issue(context, client, form, now)
        case config.TOKEN_EXCHANGE:
            return await exchange.issue(context, client, form, now)
        case _:
            return await jwt_bearer.issue(context, client, sender, form, now)


def refuse_repeated(form: Parameters) -> None:
    """Raises OAuthError `invalid_request` if a parameter was sent twice that may not be (RFC 6749, 8693, 8707)."""
    may_repeat = {"resource", "audience"} if form.names() & {"subject_token"} else {"resource"}
    if form.repeated(frozenset(may_repeat)) is not None:
        raise OAuthError("invalid_request", "A parameter was sent more than once.")
