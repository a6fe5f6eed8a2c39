"""The token endpoint: authenticate the client, then the grant it names (OAuth 2.1 section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

from .._protocol.forms import Parameters
from ..errors import OAuthError
from ..records import Client
from . import code, refresh
from .clients import authenticate
from .context import Context
from .issuance import TokenAnswer

_MAY_REPEAT = frozenset({"resource"})


async def issue(context: Context, authorization: Sequence[bytes], form: Parameters) -> TokenAnswer:
    """Answer a token request. Raises OAuthError or StoreUnavailable."""
    now = context.now()
    refuse_repeated(form)
    client = await authenticate(context, authorization, form, now)
    try:
        return await _issue(context, client, form, now)
    except OAuthError as error:
        error.client_id = client.client_id
        raise


async def _issue(context: Context, client: Client, form: Parameters, now: int) -> TokenAnswer:
    match form.one("grant_type"):
        case None:
            raise OAuthError("invalid_request", "The grant_type parameter is missing.")
        case "authorization_code":
            return await code.exchange(context, client, form, now)
        case "refresh_token":
            return await refresh.refresh(context, client, form, now)
        case _:
            raise OAuthError("unsupported_grant_type")


def refuse_repeated(form: Parameters) -> None:
    """Raises OAuthError `invalid_request` if a parameter other than `resource` was sent twice."""
    if form.repeated(_MAY_REPEAT) is not None:
        raise OAuthError("invalid_request", "A parameter was sent more than once.")
